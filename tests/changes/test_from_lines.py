"""Lines of the broker's files to changes: what is a leg, what is none, and what comes with what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from pipeline.changes.join import join
from pipeline.changes.legs import read
from schemas.changes import Change
from tests.feed import feed_lines
from tests.logs import decision
from tests.request_log import Body, line

AT = datetime(2026, 11, 20, 23, 52, 0, 290_000, tzinfo=UTC)
ADDRESS = "192.0.2.9"
ACL = {
    "resourceType": 2, "resourceName": "orders", "resourcePatternType": 3,
    "principal": "User:alice", "host": "*", "operation": 3, "permissionType": 3,
}  # fmt: skip
GRANTED = {"throttleTimeMs": 0, "results": [{"errorCode": 0, "errorMessage": ""}]}


def changes(*lines: str) -> list[Change]:
    """Of lines of one file."""
    fed = feed_lines(list(lines))
    assert "fault" not in fed.reasons()
    found = (read(orjson.loads(event.ocsf)) for event in fed.events if event.leg)
    return join("default", [leg for leg in found if leg is not None])


def decided(request: str, operation: str, resource: str, **how: Any) -> str:
    return decision(
        AT, "User:admin", operation=operation, resource=resource, request=request,
        address=ADDRESS, **how,
    )  # fmt: skip


def said(message: str, control: str) -> str:
    """A line of the controller's, within the time of the requests."""
    at = "[2026-11-20 23:52:00,292]"
    name = f"org.apache.kafka.controller.{control}ControlManager"
    return f"{at} INFO [QuorumController id=1] {message} ({name})"


def both(api: str, request: Any, response: Any) -> list[str]:
    """A request, as it was passed on and as the client made it."""
    return [line(api, request, response, forwarded=True), line(api, request, response)]


def creation(*, validate_only: bool) -> tuple[Any, Any]:
    """A request for the topic `t`, and its answer."""
    topic = {
        "name": "t", "numPartitions": 1, "replicationFactor": 1, "assignments": [], "configs": [],
    }  # fmt: skip
    asked = {"topics": [topic], "timeoutMs": 1000, "validateOnly": validate_only}
    done = {"name": "t", "errorCode": 0, "errorMessage": None}
    return asked, {"throttleTimeMs": 0, "topics": [done]}


CLUSTER = "Cluster:LITERAL:kafka-cluster"


def test_one_deed_from_four_lines() -> None:
    (change,) = changes(
        decided("CreateAcls", "ALTER", CLUSTER),
        said(
            "Replayed AccessControlEntryRecord for Z6aCTrZzQbiDuRSvNuIvYw, setting StandardAcl("
            "resourceType=TOPIC, resourceName=orders, patternType=LITERAL, principal=User:alice, "
            "host=*, operation=READ, permissionType=ALLOW)",
            "Acl",
        ),
        *both("CreateAcls", {"creations": [ACL]}, GRANTED),
    )
    assert (change.actor, change.address) == ("User:admin", ADDRESS)
    assert (change.deed.target, change.deed.before) == ("Topic:orders", None)
    assert change.deed.after["principal"] == "User:alice"
    assert (change.outcome, change.confidence, change.missing) == ("success", "high", ())
    assert sorted(leg.leg for leg in change.legs) == [
        "authorizer", "effect", "forwarded", "request",
    ]  # fmt: skip


@pytest.mark.parametrize("standby", [False, True])
def test_three_controllers_tell_of_one_deed(standby: bool) -> None:
    record = said("Replayed TopicRecord for topic t with topic ID UL4ACbsZRFO168xYx4fSgA.",
                  "Replication")  # fmt: skip
    quorum = "org.apache.kafka.controller.QuorumController"
    began = f"[2026-11-20 23:51:00,000] INFO [QuorumController id=1] Creating new {quorum[25:]} x"
    lines = []
    for node in (1, 2, 3):
        if standby and node > 1:
            lines.append(f"{began} ({quorum})".replace("id=1", f"id={node}"))
        lines.append(record.replace("id=1", f"id={node}"))
    assert len(changes(*lines)) == 1


def test_what_a_cluster_starts_with_is_no_change_when_read_again() -> None:
    user = said(
        "Replayed UserScramCredentialRecord creating new entry for ann with mechanism "
        "SCRAM_SHA_256.",
        "Scram",
    )
    start = said("Replayed BeginTransactionRecord(name='Bootstrap records') at offset 1.", "Offset")
    end = said("Replayed EndTransactionRecord() at offset 9.", "Offset")
    again = said("Creating new QuorumController with clusterId x.", "Acl").replace(
        "AclControlManager", "QuorumController"
    )
    assert changes(start, user, end, again, user) == []
    (change,) = changes(again, user)
    assert (change.timely, change.confidence) == (False, "low")


def test_a_forged_decision_is_no_leg() -> None:
    true = decision(AT, "User:mallory", allowed=False, resource="Group:LITERAL:x\ty")
    head, tail = true.split("\t")
    forged = decided("CreateAcls", "ALTER", CLUSTER)
    alone = changes(forged)
    assert [(c.actor, c.outcome) for c in alone] == [("User:admin", "unknown")]
    assert changes(head, forged, tail) == []
    # Nor is anything else that stands so close to it in the same file.
    assert changes(head, forged, *both("CreateAcls", {"creations": [ACL]}, GRANTED)) == []


def test_what_was_only_validated_is_no_change() -> None:
    asked, answer = creation(validate_only=True)
    assert (
        changes(decided("CreateTopics", "CREATE", CLUSTER), *both("CreateTopics", asked, answer))
        == []
    )


def test_legacy_alter_configs_removes_what_it_does_not_name() -> None:
    resource = {"resourceType": 2, "resourceName": "t"}
    asked = {
        "resources": [{**resource, "configs": [{"name": "retention.ms", "value": "5"}]}],
        "validateOnly": False,
    }
    answer = {
        "throttleTimeMs": 0,
        "responses": [{**resource, "errorCode": 0, "errorMessage": None}],
    }
    where = "ConfigResource(type=TOPIC, name='t')"
    found = changes(
        said(f"Replayed ConfigRecord for {where} which set configuration retention.ms to 5",
             "Configuration"),
        said(f"Replayed ConfigRecord for {where} which set configuration cleanup.policy to null",
             "Configuration"),
        *both("AlterConfigs", asked, answer),
    )  # fmt: skip
    assert {(c.actor, c.deed.item, c.deed.action, c.deed.after) for c in found} == {
        ("User:admin", "retention.ms", "set", "5"),
        ("User:admin", "cleanup.policy", "delete", None),
    }


def test_a_topic_by_use_is_a_change_of_whoever_used_it() -> None:
    asked, answer = creation(validate_only=False)
    (change,) = changes(
        decided("Metadata", "CREATE", "Topic:LITERAL:t"),
        decided("CreateTopics", "CREATE", "Topic:LITERAL:t"),
        line("CreateTopics", asked, answer, forwarded=True),
    )
    assert (change.actor, change.address, change.deed.target) == ("User:admin", ADDRESS, "Topic:t")
    assert change.missing == ("request", "effect")


def test_a_topic_by_use_is_one_change_without_the_request_log_too() -> None:
    (change,) = changes(
        decided("Metadata", "CREATE", "Topic:LITERAL:t"),
        decided("CreateTopics", "CREATE", "Topic:LITERAL:t"),
        said("Replayed TopicRecord for topic t with topic ID UL4ACbsZRFO168xYx4fSgA.",
             "Replication"),
    )  # fmt: skip
    assert (change.actor, change.outcome, change.confidence) == ("User:admin", "success", "low")


@pytest.mark.parametrize("name", ["__consumer_offsets", "__transaction_state"])
def test_brokers_own_topics_are_no_changes(name: str) -> None:
    record = said(f"Replayed TopicRecord for topic {name} with topic ID UL4ACbsZRFO168xYx4fSgA.",
                  "Replication")  # fmt: skip
    assert changes(record) == []
    assert len(changes(record.replace(name, "orders"))) == 1


def told(found: list[Change]) -> list[tuple[str, str, str, str]]:
    return sorted((c.actor, c.deed.action, c.deed.target, c.outcome) for c in found)


LATE = {"errorCode": 7, "errorMessage": None}
GRANT = said(
    "Replayed AccessControlEntryRecord for Z6aCTrZzQbiDuRSvNuIvYw, setting StandardAcl("
    "resourceType=TOPIC, resourceName=orders, patternType=LITERAL, principal=User:alice, "
    "host=*, operation=READ, permissionType=ALLOW)",
    "Acl",
)
REMOVAL = said(
    "Replayed RemoveTopicRecord for topic t with ID UL4ACbsZRFO168xYx4fSgA.", "Replication"
)
UNANSWERED: list[tuple[str, Body, Body, Body, str, tuple[str, str]]] = [
    ("CreateAcls", {"creations": [ACL]}, {"throttleTimeMs": 0, "results": [LATE]}, GRANTED, GRANT,
     ("create", "Topic:orders")),
    ("DeleteTopics", {"topicNames": ["t"], "timeoutMs": 1000},
     {"throttleTimeMs": 0, "responses": [{"name": "t", **LATE}]},
     {"throttleTimeMs": 0, "responses": [{"name": "t", "errorCode": 0}]}, REMOVAL,
     ("delete", "Topic:t")),
]  # fmt: skip
"""API, request, the answer that came too late, the one in time, the effect, and the deed."""


@pytest.mark.parametrize(("api", "asked", "late", "answer", "effect", "deed"), UNANSWERED)
def test_who_had_no_answer_in_time_may_have_done_it(
    api: str, asked: Body, late: Body, answer: Body, effect: str, deed: tuple[str, str]
) -> None:
    own, twin = line(api, asked, late), line(api, asked, answer, forwarded=True)
    assert told(changes(own)) == [("User:admin", *deed, "unknown")]
    for lines in ([own, effect], [effect, own], [own, twin], [twin, own], [twin, own, effect]):
        assert told(changes(*lines)) == [("User:admin", *deed, "success")]
    refused = line(api, asked, late, forwarded=True).replace('"errorCode":7', '"errorCode":31')
    assert told(changes(own, refused)) == [("User:admin", *deed, "failure")]


def test_what_was_done_is_laid_to_who_was_told_so_before_who_was_not() -> None:
    def request(principal: str, answer: Body) -> str:
        return line("CreateAcls", {"creations": [ACL]}, answer, principal=principal)

    late = request("User:ann", UNANSWERED[0][2])
    found = changes(late, GRANT, request("User:ben", GRANTED))
    assert [c[0::3] for c in told(found)] == [("User:ann", "unknown"), ("User:ben", "success")]


def test_a_late_answer_states_no_defaults_and_has_a_twin_all_the_same() -> None:
    asked, answer = creation(validate_only=False)
    asked["topics"][0] |= {"numPartitions": -1}
    made = {"throttleTimeMs": 0, "topics": [answer["topics"][0] | {"numPartitions": 3}]}
    late = {"throttleTimeMs": 0, "topics": [{"name": "t", **LATE}]}
    own, twin = line("CreateTopics", asked, late), line("CreateTopics", asked, made, forwarded=True)
    (change,) = changes(own, twin)
    assert (change.outcome, [leg.leg for leg in change.legs].count("forwarded")) == ("success", 1)


def test_two_controllers_whose_clocks_differ_tell_of_one_deed() -> None:
    quorum = "org.apache.kafka.controller.QuorumController"
    began = f"[2026-11-20 23:51:00,000] INFO [QuorumController id=2] Creating new {quorum[25:]} x"
    behind = GRANT.replace("id=1", "id=2").replace(",292", ",272")
    for first in ([], [line("CreateAcls", {"creations": [ACL]}, GRANTED)]):
        (change,) = changes(GRANT, f"{began} ({quorum})", behind, *first)
        assert change.timely


SET = "Replayed ConfigRecord for ConfigResource(type=TOPIC, name='t') which set configuration "
MADE = said("Replayed TopicRecord for topic t with topic ID UL4ACbsZRFO168xYx4fSgA.", "Replication")


def test_what_a_topic_was_made_with_is_what_was_there_before() -> None:
    brought = [
        said(f"{SET}{name}", "Configuration").replace(",292", ",293")
        for name in ("retention.ms to 5000", "cleanup.policy to delete")
    ]
    later = said(f"{SET}retention.ms to 1000", "Configuration").replace("52:00", "59:00")
    lines = [MADE, *brought, later]
    for again in (lines, lines[::-1]):
        made, shorter = changes(*again)
        assert made.deed.after == {"configs": {"cleanup.policy": "delete", "retention.ms": "5000"}}
        assert (shorter.deed.before, shorter.deed.after) == ("5000", "1000")


def test_a_topic_made_anew_has_nothing_of_the_old_one() -> None:
    brought = said(f"{SET}retention.ms to 5000", "Configuration").replace(",292", ",293")
    found = changes(
        MADE, brought, REMOVAL.replace("52:00", "53:00"), MADE.replace("52:00", "54:00"),
        said(f"{SET}retention.ms to 1000", "Configuration").replace("52:00", "59:00"),
    )  # fmt: skip
    assert [c.deed.action for c in found] == ["create", "delete", "create", "set"]
    assert found[-1].deed.before is None
