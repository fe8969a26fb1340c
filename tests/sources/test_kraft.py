"""What controllers and brokers log: names that imitate the log, forged standings, secrets, splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import Unreadable
from pipeline.kraft.access import acl
from pipeline.kraft.messages import said
from schemas.types import Event
from tests.feed import Fed, feed, feed_lines, records, stream
from tests.growth import grows_no_faster
from tests.logs import START, decision
from tests.sources.golden import load, paths

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "kafka-4.1.1"
ID = "AAAAAAAAQACAAAAAAAAAAQ"
MINE = [path for path in paths() if path.parent.name in ("kafka_controller", "kafka_broker")]
LINES = [line for path in MINE for line in load(path)["lines"]]
WORDS = [
    "CreatableTopic(name='", "', numPartitions=1, ", "replicationFactor=1, assignments=[], ",
    "configs=[]): SUCCESS", "configs=[]): A_B (", ")", ", ", "x", "'", "\n", "(", "]): ",
]  # fmt: skip


def controller(message: str, manager: str = "ReplicationControlManager") -> str:
    logger = f"org.apache.kafka.controller.{manager}"
    return f"[2026-11-20 23:52:44,297] INFO [QuorumController id=1] {message} ({logger})"


def created(name: str) -> str:
    return controller(f"Replayed TopicRecord for topic {name} with topic ID {ID}.")


def extension(event: Event) -> dict[str, object]:
    out: dict[str, object] = orjson.loads(event.ocsf)["auditstream"]
    return out


def legs(fed: Fed) -> list[str]:
    return [event.leg for event in fed.events if event.operation == "TopicRecord"]


@settings(max_examples=200)
@given(*[st.text(st.sampled_from("ab,=() :'\n|"), max_size=12)] * 3)
def test_a_rule_is_read_as_it_was_written(name: str, principal: str, host: str) -> None:
    found = acl(
        f"resourceType=TOPIC, resourceName={name}, patternType=LITERAL, principal={principal}, "
        f"host={host}, operation=READ, permissionType=ALLOW"
    )
    assert (found.resource, found.principal, found.host) == (name, principal, host)
    assert not found.ambiguous


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
def test_a_refused_name_makes_no_result_of_another_topic(name: str) -> None:
    text = (
        f"CreateTopics result(s): CreatableTopic(name='{name}', numPartitions=-1, "
        "replicationFactor=-1, assignments=[], configs=[]): INVALID_TOPIC_EXCEPTION "
        f"(Topic name is invalid: '{name}' contains one or more characters other than ASCII)"
    )
    items = said(text)
    assert not isinstance(items, Unreadable)
    assert all(item.ambiguous or item.resource == name for item in items)
    assert len(items) == 1


@settings(max_examples=300)
@given(st.sampled_from(LINES), st.integers(0, 400), st.text(max_size=20), st.integers(0, 20))
def test_damaged_messages_raise_nothing(line: str, at: int, text: str, gone: int) -> None:
    damaged = line[:at] + text + line[at + gone :]
    for source in ("auto", "kafka_controller", "kafka_broker"):
        fed = feed_lines([damaged.encode()], stream(source))
        assert "fault" not in fed.reasons()
        assert all(event.actor == "" for event in fed.events if event.source.startswith("kafka_c"))


@pytest.mark.parametrize("line", LINES)
def test_every_line_cut_at_every_byte(line: str) -> None:
    raw = line.encode()
    for cut in range(0, len(raw), 3):
        fed = feed_lines([raw[:cut], created("a")])
        assert "fault" not in fed.reasons()
        assert fed.events[-1].resource == "a"


@pytest.mark.parametrize(
    "marker",
    ["Creating new QuorumController with clusterId x", "Renouncing the leadership due to x",
     "In the new epoch 9, the leader is 2."],
)  # fmt: skip
def test_a_forged_standing_hides_nothing(marker: str) -> None:
    head = decision(START, "User:eve", allowed=False, resource="Group:LITERAL:x\ty").split("\t")[0]
    lines = [created("a"), head, controller(marker, "QuorumController"), created("b")]
    assert legs(feed_lines(lines)) == ["effect", "effect"]
    assert legs(feed_lines([line for line in lines if line != head])) == ["effect", "replayed"]


def test_an_unseen_forged_transaction_would_hide_only_until_the_standing_changes() -> None:
    begin = controller("Replayed BeginTransactionRecord(name='x') at offset 1.")
    active = controller("Becoming the active controller at epoch 1, x", "QuorumController")
    fed = feed_lines([begin, created("a"), active, created("b")])
    marked = [
        extension(e).get("bookkeeping", False) for e in fed.events if e.resource in ("a", "b")
    ]
    assert marked == [True, False]


@pytest.mark.parametrize("path", MINE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_secret_is_kept(path: Path) -> None:
    fed = feed_lines(load(path)["lines"])
    for event in fed.events:
        assert b"canary" not in event.raw + event.ocsf
        assert "canary" not in event.message
    for letter in fed.dead_letters:
        assert b"canary" not in letter.raw


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_torn_dump_keeps_no_secret(cut: int) -> None:
    (path,) = [path for path in MINE if path.stem == "settings"]
    lines = load(path)["lines"][:19]
    for fed in (feed_lines([*lines[:cut], created("a")]), feed_lines(lines[: cut + 6])):
        for letter in fed.dead_letters:
            assert b"canary" not in letter.raw + letter.head.encode()


def test_a_dump_keeps_all_its_lines_as_its_record() -> None:
    head = "[2026-11-20 23:52:44,297] INFO KafkaConfig values: "
    lines = [head, "\tnode.id = 1 (a.b)", "\tbroker.id = 1", " (kafka.server.KafkaConfig)"]
    for batches in ([records(lines)], [[record] for record in records(lines)]):
        (event,) = feed(batches).events
        assert event.raw == "\n".join(lines).encode()
        assert extension(event)["settings"] == {"node.id": "1 (a.b)", "broker.id": "1"}
    (joined,) = feed_lines(["\n".join(lines)]).events
    assert extension(joined)["settings"] == {"node.id": "1 (a.b)", "broker.id": "1"}


def test_a_dump_without_end_is_given_up_at_a_length_and_costs_no_neighbour() -> None:
    head = "[2026-11-20 23:52:44,297] INFO KafkaConfig values: "
    lines = [head, *["\tx = " + "y" * 1000] * 100, " (kafka.server.KafkaConfig)", created("a")]
    for batches in ([records(lines)], [[record] for record in records(lines)]):
        fed = feed(batches)
        assert fed.reasons() == ["too_long"]
        assert [event.resource for event in fed.events] == ["a"]


@pytest.mark.parametrize(
    "unit",
    ["', numPartitions=", "]): A (", ", CreatableTopic(name='", ", host=", ", patternType=LITERAL, principal=",
     ", user=", " with mechanism ", "}) ", " to ", ": Renouncing leadership and ", "[QuorumController id=1] "],
)  # fmt: skip
@pytest.mark.parametrize(
    "start",
    ["CreateTopics result(s): CreatableTopic(name='", "DeleteTopics result(s): {id: a, name: ",
     f"Replayed AccessControlEntryRecord for {ID}, setting StandardAcl(resourceType=TOPIC, resourceName=",
     "Replayed ClientQuotaRecord for ClientQuotaEntity(entries={user=", "event: ",
     "Replayed UserScramCredentialRecord creating new entry for ", "Replayed partition change ",
     "Replayed ConfigRecord for ConfigResource(type=TOPIC, name='"],
)  # fmt: skip
def test_time_grows_with_length_and_no_faster(start: str, unit: str) -> None:
    def prepared(size: int) -> Callable[[], object]:
        line = controller(start + unit * (size // len(unit)) + ")")
        return lambda: feed_lines([line, line])

    grows_no_faster(prepared, 8_000, 64_000)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples beside this repository")
def test_the_sample_tells_each_change_once() -> None:
    fed = feed_lines((SAMPLES / "controller.log").read_bytes().split(b"\n")[:-1])
    said = [extension(event) for event in fed.events]
    deeds = [s.get("deed") for s in said if not s.get("bookkeeping")]
    told = [(d["kind"], d["action"], d["target"]) for d in deeds if isinstance(d, dict)]
    assert told == [
        ("topic", "create", "Topic:payments.orders"),
        ("partitions", "create", "Topic:payments.orders"),
        ("partitions", "create", "Topic:payments.orders"),
        ("acl", "create", "Topic:*"),
        ("config", "set", "Topic:payments.orders"),
        ("scram", "create", "User:bob"),
        ("topic", "delete", "Topic:payments.orders"),
        ("acl", "delete", "Topic:*"),
    ]
    assert {event.leg for event in fed.events} == {"", "effect"}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples beside this repository")
def test_the_samples_dumps_are_the_same_however_they_are_cut() -> None:
    found = records((SAMPLES / "server.log").read_bytes().split(b"\n")[:-1])
    whole = feed([found])
    assert feed([found[at : at + 7] for at in range(0, len(found), 7)]) == whole
    dumps = [event for event in whole.events if "settings" in extension(event)]
    assert len(dumps) == 5
    assert max(event.raw.count(b"\n") for event in dumps) == 337
