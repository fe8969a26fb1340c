"""`timeline` as a story, and one finding whole: what people read first."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.cli.story import SPAN_MS, Entry, finding, told
from tests.cli.test_changes import GRANTED, acl, asked
from tests.logs import START, decision, login, write
from tests.request_log import line
from tests.runtimes.runs import run

SECOND = timedelta(seconds=1)


def event(time: int, **said: object) -> Entry:
    row = {
        "time": time, "cluster": "c", "actor": "User:a", "address": "", "outcome": "success",
        "source": "s", "leg": "", "suspect": 0, "session": "", "class_uid": 6003,
        "operation": "READ", "resource_type": "Topic", "resource": "t", "ocsf": b"{}",
        "message": "as it was said",
    }  # fmt: skip
    return time, f"{time:032x}", row | said


def story(*entries: Entry) -> list[tuple[int, int, str]]:
    lines = told(entries, lambda row: {"when": row["time"], "said": row["message"]})
    return [(line["when"], line["count"], line["said"]) for line in lines]


def test_the_same_again_is_one_line_for_as_long_as_a_span() -> None:
    times = [0, 1000, SPAN_MS, SPAN_MS + 1]
    assert story(*map(event, times)) == [
        (0, 3, "as it was said"),
        (SPAN_MS + 1, 1, "as it was said"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"actor": "User:b"}, {"address": "192.0.2.1"}, {"outcome": "failure"}, {"cluster": "d"},
        {"suspect": 1}, {"session": "S-1"},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_what_differs_in_anything_people_go_by_stands_apart(other: dict[str, object]) -> None:
    assert [count for _, count, _ in story(event(1), event(2, **other), event(3))] == [2, 1]


def test_what_was_done_to_what_is_summed_up() -> None:
    topics = [event(n, resource=f"t{n}") for n in range(5)]
    ((_, count, said),) = story(*topics, event(9, operation="WRITE", resource="t0"))
    assert count == 6
    assert said == "READ 5×, WRITE 1× on Topic t0, Topic t1, Topic t2 and 2 more"


def test_one_thing_of_which_different_is_said_is_counted_by_what_was_done() -> None:
    assert story(event(1, message="by Fetch"), event(2, message="by OffsetCommit")) == [
        (1, 2, "READ 2× on Topic t")
    ]


def test_logins_that_failed_otherwise_stand_apart() -> None:
    login = {"class_uid": 3002, "operation": "AUTHENTICATE", "resource_type": "", "resource": ""}
    reasons = ("no TLS", "bad password", "no TLS")
    assert story(*(event(n, message=said, **login) for n, said in enumerate(reasons))) == [
        (0, 2, "no TLS"),
        (1, 1, "bad password"),
    ]


def change(time: int, **said: object) -> Entry:
    row = {
        "id": f"{time:032x}", "time": time, "cluster": "c", "actor": "User:a", "address": "",
        "action": "config.set", "target": "Topic:t", "item": "x", "before": None, "after": "1",
        "outcome": "success", "exact_time": True,
    } | said  # fmt: skip
    words = f"{row['target']} {row['item']}: {row['before']} → {row['after']}"
    return time, str(row["id"]), row | {"message": words}


@pytest.mark.parametrize(
    "other",
    [
        {"item": "y"}, {"after": "2"}, {"before": "0"}, {"actor": "User:b"}, {"outcome": "failure"},
        {"action": "config.delete"}, {"target": "Topic:u", "after": "2"}, {"exact_time": False},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_a_change_of_anything_else_is_a_line_of_its_own(other: dict[str, object]) -> None:
    assert [count for _, count, _ in story(change(1), change(2, **other))] == [1, 1]


def test_one_change_of_many_things_is_one_line_that_says_it() -> None:
    assert story(*(change(n, target=f"Topic:t{n}") for n in range(5))) == [
        (0, 5, "Topic:t0, Topic:t1, Topic:t2 and 2 more x: None → 1")
    ]


def test_what_was_set_back_and_forth_ends_as_it_ended() -> None:
    """The last line about a thing tells how it is."""
    there, back = {"before": "1", "after": "2"}, {"before": "2", "after": "1"}
    entries = [change(1, **there), change(2, **there), change(3, **back), change(4, **there)]
    assert [(when, count) for when, count, _ in story(*entries)] == [(1, 2), (3, 1), (4, 1)]
    made = {"action": "acl.create", "item": "r"}
    gone = made | {"action": "acl.delete", "actor": "User:b"}
    entries = [change(1, **made), change(2, **gone), change(3, **made)]
    assert [(when, count) for when, count, _ in story(*entries)] == [(1, 1), (2, 1), (3, 1)]


def test_another_things_way_back_is_no_reason_for_a_line() -> None:
    other = {"target": "Topic:u"}
    entries = [change(1, after="2"), change(2), change(3, **other), change(4, **other, after="2")]
    assert [(when, count) for when, count, _ in story(*entries)] == [(1, 1), (2, 2), (4, 1)]


def level(time: int, said: str, host: str = "b1") -> Entry:
    written = json.dumps({"auditstream": {"host": host}}).encode()
    return event(
        time, class_uid=6002, source="kafka_broker", operation="SetLogLevel", resource_type="",
        resource="", ocsf=written, message=f"Level was set to {said}",
    )  # fmt: skip


def test_what_a_broker_states_of_itself_is_told_in_its_order() -> None:
    levels = [level(1, "DEBUG"), level(2, "OFF"), level(3, "DEBUG"), level(4, "DEBUG")]
    assert [(when, count, said[-5:]) for when, count, said in story(*levels)] == [
        (1, 1, "DEBUG"), (2, 1, "o OFF"), (3, 2, "DEBUG"),
    ]  # fmt: skip


def test_brokers_that_state_the_same_are_one_line() -> None:
    stated = ("started", "User:admin", "DEBUG")
    hosts = ("b1", "b2", "b3")
    levels = [level(n, said, host) for n, host in enumerate(hosts) for said in stated]
    assert [count for _, count, _ in story(*levels)] == [3, 3, 3]


def test_findings_of_one_title_and_another_severity_stand_apart() -> None:
    written = json.dumps({"finding_info": {"title": "Opened"}}).encode()

    def found(time: int, severity: int) -> Entry:
        row = {
            "detector": "d", "cluster": "c", "actor": "User:a", "address": "", "ocsf": written,
            "severity_id": severity, "first_time": time,
        }  # fmt: skip
        return time, "", row

    lines = list(told([found(1, 3), found(2, 4), found(3, 3)], finding))
    assert [(line["outcome"], line["count"]) for line in lines] == [("Medium", 2), ("High", 1)]


def test_lines_stand_where_they_begin_and_little_is_kept() -> None:
    """An endless stream of others does not hold back what is over."""
    seen = []

    def endless() -> object:
        yield event(0, actor="User:first")
        for n in range(1, 10_000):
            seen.append(n)
            yield event(n * 1000)

    lines = told(endless(), lambda row: {"who": row["actor"], "said": ""})  # type: ignore[arg-type]
    assert next(lines)["who"] == "User:first"
    assert len(seen) == SPAN_MS // 1000 + 1


@pytest.fixture
def store(tmp_path: Path) -> Path:
    lines = [login(START + n * SECOND, "198.51.100.9") for n in range(12)]
    lines += [decision(START + (20 + n) * SECOND, "User:app") for n in range(30)]
    run(tmp_path / "s.db", write(tmp_path / "a.log", lines))
    grant = write(tmp_path / "b.log", [line("CreateAcls", acl("User:x"), GRANTED)])
    run(tmp_path / "s.db", grant)
    return tmp_path / "s.db"


def test_the_timeline_tells_findings_among_what_they_rest_on(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(capsys, "timeline", "--store", store).splitlines()
    assert len(lines) == 6
    assert [re.split(r"  +", row)[1] for row in lines[1:]] == [
        "FINDING", "kafka_authentic…", "kafka_authorizer", "FINDING", "acl.create",
    ]  # fmt: skip
    assert "Many failed logins" in lines[1]
    assert " 12 " in lines[2]
    each = asked(capsys, "timeline", "--store", store, "--each").splitlines()
    assert len(each) == 1 + 12 + 30 + 1
    assert "FINDING" not in "".join(each)
    jsonl = asked(capsys, "timeline", "--store", store, "--format", "jsonl").splitlines()
    assert len(jsonl) == 12 + 30 + 1 + 2
    assert sum(json.loads(line).get("class_uid") == 2004 for line in jsonl) == 2


def test_the_timeline_of_somebody_has_the_findings_about_them(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(capsys, "timeline", "--store", store, "--ip", "198.51.100.9").splitlines()
    assert len(lines) == 3


def test_one_finding_whole(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, "findings", "--store", store, "--format", "jsonl").splitlines()
    name = json.loads(found[0])["metadata"]["uid"]
    whole = asked(capsys, "findings", "--store", store, "--id", name[:12].upper())
    head, message, which, *rest = whole.splitlines()
    assert head.endswith("Many failed logins")
    assert message.startswith("12 failed logins")
    assert name in which
    assert sum("198.51.100.9" in row for row in rest) == 12
    assert "1. " in whole
    same = asked(capsys, "findings", "--store", store, "--id", name, "--format", "jsonl")
    assert same.splitlines() == found[:1]
    assert asked(capsys, "findings", "--store", store, "--id", "ffff") == "nothing found\n"
