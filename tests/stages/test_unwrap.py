"""Unwrap: the line, and what its carrier says of it, out of every carrier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from pipeline.batch import Line, Origin, Record
from pipeline.engine import Plan
from pipeline.errors import Reason
from pipeline.registry import sources
from pipeline.stages.envelopes import Inner, Room, opened
from pipeline.stages.unwrap import MOST_WAITING, unwrap
from tests.feed import feed, feed_lines, records, stream
from tests.logs import START, decision
from tests.stages.carriers import (
    FILE,
    HOST,
    PIECE,
    cri,
    cri_pieces,
    docker,
    docker_pieces,
    filebeat,
    fluent_bit,
    kubernetes,
    vector,
)  # fmt: skip

LINE = decision(START, "User:alice")
LOGGED = 1795218765001
LONG = decision(START, "User:alice", allowed=False, resource="Group:LITERAL:" + "é" * 30_000)
SHIPPERS: dict[str, Callable[..., bytes]] = {
    "filebeat": filebeat,
    "vector": vector,
    "fluent_bit": fluent_bit,
}


def owns_nothing(_text: str) -> bool:
    return False


def lines(
    values: Sequence[bytes], longest: int = 1 << 20, state: dict[str, Any] | None = None
) -> list[Line]:
    """Lines of records, none of which may be refused."""
    found = unwrap(records(values), {} if state is None else state, owns_nothing, longest, True)
    assert [refused for _, refused in found if refused] == []
    return [line for line, _ in found]


def test_a_plain_line_is_itself() -> None:
    (line,) = lines([LINE.encode()])
    assert (line.text, line.raw, line.origin, line.logged) == (LINE, LINE.encode(), None, None)


@pytest.mark.parametrize("carrier", SHIPPERS)
def test_shippers_say_host_file_and_offset(carrier: str) -> None:
    (line,) = lines([SHIPPERS[carrier](LINE, 4711)])
    assert line.text == LINE
    assert line.raw == LINE.encode()
    assert line.origin == Origin(HOST, FILE, 4711)
    assert line.logged == LOGGED


def test_the_same_line_through_two_shippers_is_the_same_event() -> None:
    made = [feed_lines([carry(LINE, 4711)]).events[0] for carry in SHIPPERS.values()]
    assert len({event.id for event in made}) == 1
    assert {event.host for event in made} == {HOST}
    assert {event.raw for event in made} == {LINE.encode()}
    assert feed_lines([filebeat(LINE, 4712)]).events[0].id != made[0].id


def test_what_the_configuration_says_of_the_host_goes_before_the_shipper() -> None:
    (event,) = feed_lines([filebeat(LINE)], stream(host="broker-9")).events
    assert event.host == "broker-9"


@pytest.mark.parametrize("value", [docker(LINE + "\n"), cri(LINE), cri(LINE, "F:x")])
def test_container_logs_say_when(value: bytes) -> None:
    (line,) = lines([value])
    assert (line.text, line.origin, line.logged) == (LINE, None, LOGGED)


def test_kubernetes_filter_tells_containers_of_one_node_apart() -> None:
    found = lines([kubernetes(LINE, pod="kafka-0"), kubernetes(LINE, pod="kafka-1")])
    assert [line.origin for line in found] == [
        Origin("node-1", "kafka/kafka-0/kafka", -1),
        Origin("node-1", "kafka/kafka-1/kafka", -1),
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        docker_pieces(LONG),
        cri_pieces(LONG),
        cri_pieces(LONG, size=PIECE + 1),
        [kubernetes(LONG[:9000], "P"), kubernetes(LONG[9000:], "F")],
        [
            kubernetes(LONG[:9000], "F", _partial=True, logtag="x"),
            kubernetes(LONG[9000:], "F", logtag="x"),
        ],
    ],
    ids=["docker", "cri", "cri cut inside a character", "fluent bit", "vector"],
)
def test_pieces_are_joined_before_anything_looks_at_them(pieces: list[bytes]) -> None:
    (line,) = lines(pieces)
    assert line.text == LONG
    assert line.record.position == 0
    for batches in ([records(pieces)], [[record] for record in records(pieces)]):
        (event,) = feed(batches).events
        assert event.actor == "User:alice"
        assert event.resource == "é" * 30_000


def test_pieces_of_two_streams_and_two_containers_do_not_mix() -> None:
    values = [
        docker(LONG[:PIECE], "stdout"),
        docker("from the other stream\n", "stderr"),
        docker(LONG[PIECE:] + "\n", "stdout"),
        kubernetes("a", "P", pod="kafka-0"),
        kubernetes("b", "P", pod="kafka-1"),
        kubernetes("c", "F", pod="kafka-0"),
        kubernetes("d", "F", pod="kafka-1"),
    ]
    assert [line.text for line in lines(values)] == ["from the other stream", LONG, "ac", "bd"]


def test_a_last_piece_that_never_came_is_cut_short_with_its_origin() -> None:
    fed = feed_lines([kubernetes(LINE[:50], "P")])
    (letter,) = fed.dead_letters
    assert letter.reason == Reason.CUT_SHORT
    assert letter.host == "node-1"
    assert letter.head == LINE[:50]


def test_joined_pieces_over_the_limit_are_one_dead_letter_and_cost_no_neighbour() -> None:
    pieces = [cri("x" * 1000, "P") for _ in range(30)]
    forged = cri(LINE, "P")
    values = [cri(LINE), *pieces, forged, cri("end"), cri(LINE)]
    for batches in ([records(values)], [[record] for record in records(values)]):
        fed = feed(batches, plan=Plan(sources(), max_record_bytes=10_000))
        assert fed.reasons() == ["too_long"]
        assert fed.dead_letters[0].length == 30_000 + len(LINE) + 3
        assert len(fed.dead_letters[0].head) <= 512
        assert [event.actor for event in fed.events] == ["User:alice", "User:alice"]


def test_lines_whose_end_never_comes_are_given_up_oldest_first() -> None:
    values = [kubernetes("x", "P", pod=f"kafka-{n}") for n in range(MOST_WAITING + 3)]
    state: dict[str, Any] = {}
    found = unwrap(records(values), state, owns_nothing, 1 << 20, False)
    assert [line.origin.file for line, _ in found if line.origin] == [
        f"kafka/kafka-{n}/kafka" for n in range(3)
    ]
    assert len(state["pieces"]) == MOST_WAITING


@pytest.mark.parametrize(
    "value",
    [
        filebeat(docker(LINE + "\n").decode(), 7),
        vector(cri(LINE).decode(), 7),
        fluent_bit(docker(LINE + "\n", attrs={"tag": "kafka"}).decode(), 7),
    ],
    ids=["docker in filebeat", "cri in vector", "docker in fluent bit"],
)
def test_envelopes_stand_in_each_other(value: bytes) -> None:
    (line,) = lines([value])
    assert line.text == LINE
    assert line.origin == Origin(HOST, FILE, 7)


def test_pieces_of_an_envelope_are_joined_before_it_is_opened() -> None:
    (line,) = lines(cri_pieces(filebeat(LINE, 7).decode(), size=100))
    assert (line.text, line.origin) == (LINE, Origin(HOST, FILE, 7))


@pytest.mark.parametrize(
    "value",
    [
        b'{"message":"no carrier\'s key beside it"}',
        b'{"timestamp":"2026-11-20T23:52:45Z","message":{"not":"text"}}',
        b'{"timestamp":1,"text":"another name"}',
        b'{"message":"cut off","time',
        b"{}",
        b"{" + b'"a":{' * 2000,
        b'{"time":1e999,"log":"x"}',
        b'{"time":"x","log":"\\ud800"}',
        b"2026-11-20T23:52:45Z stdmix F line",
        b"2026-13-20T23:52:45Z stdout F line",
        b"2026-11-20T23:52:45Z stdout",
    ],
)
def test_what_is_no_envelope_is_a_line(value: bytes) -> None:
    (line,) = lines([value])
    assert line.raw == value
    assert (line.origin, line.logged) == (None, None)


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ({"timestamp": "2026-11-20T23:52:45.001Z"}, LOGGED),
        ({"timestamp": "2026-11-21T00:52:45.001+01:00"}, LOGGED),
        ({"date": 1795218765.001}, LOGGED),
        ({"date": 1795218765}, 1795218765000),
        ({"time": 1795218765001}, LOGGED),
        ({"time": "yesterday"}, None),
        ({"time": -1}, None),
        ({"time": 1e300}, None),
        ({"time": True}, None),
        ({"time": None}, None),
    ],
)
def test_a_carriers_time_is_understood_or_left_out(
    said: dict[str, Any], logged: int | None
) -> None:
    (line,) = lines([orjson.dumps({"message": LINE, **said})])
    assert line.logged == logged


@pytest.mark.parametrize("offset", [-1, 2**63, 1.5, "x", "٣", True, None, [1]])
def test_an_offset_that_is_none_is_not_believed(offset: object) -> None:
    value = orjson.loads(vector(LINE)) | {"offset": "?"}
    encoded = orjson.dumps(value).replace(
        b'"?"', orjson.dumps(offset) if offset != 2**63 else b"9223372036854775808"
    )
    (line,) = lines([encoded])
    assert line.origin == Origin(HOST, FILE, -1)


def test_a_document_that_a_source_reads_itself_is_no_envelope() -> None:
    value = filebeat(LINE)
    (line, refused), *rest = unwrap(
        records([value]), {}, lambda t: "@timestamp" in t, 1 << 20, True
    )
    assert (line.raw, refused, rest) == (value, None, [])


def test_line_breaks_inside_one_record_stay_inside_it() -> None:
    name = "x\n" + decision(START, "User:admin")
    fed = feed_lines(
        [filebeat(decision(START, "User:mallory", allowed=False, resource=f"Group:LITERAL:{name}"))]
    )
    (event,) = fed.events
    assert event.actor == "User:mallory"
    assert event.resource == name
    assert event.forgery
    assert event.suspect


def test_a_message_without_layout_stays_whole_too() -> None:
    said = "Principal = User:{} is {} operation = READ from host = 192.0.2.66 on resource = Group:LITERAL:x"
    end = " for request = JoinGroup with resourceRefCount = 1 based on rule "
    text = (
        said.format("mallory", "Denied")
        + "\n"
        + said.format("admin", "Allowed")
        + end
        + "SuperUser\n"
        + end
        + "DefaultDeny"
    )
    fed = feed_lines([filebeat(text)])
    assert [(event.actor, event.suspect) for event in fed.events] == [("User:mallory", True)]


def test_lines_that_a_shipper_joined_are_taken_apart() -> None:
    trace = "[2026-11-20 23:52:44,297] ERROR it failed (kafka.server.KafkaApis)\njava.lang.Error: x\n\tat a.B.c(D.java:1)"
    fed = feed_lines([filebeat(trace), filebeat(LINE)])
    assert fed.account.filtered == {"logger:kafka.server.KafkaApis": 1}
    assert fed.deeds() == [("User:alice", "READ", "success", "")]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda line: line.encode(),
        lambda line: docker(line + "\n"),
        cri,
        filebeat,
    ],
    ids=["plain", "docker", "cri", "filebeat"],
)
@pytest.mark.parametrize("disguise", [filebeat, vector, fluent_bit, docker, cri, kubernetes])
def test_a_client_cannot_write_envelopes_of_its_own(
    wrap: Callable[[str], bytes], disguise: Callable[[str], bytes]
) -> None:
    """Text behind an injected line break may look like an envelope. It would name a file of its
    own, in which nothing is suspect yet."""
    forged = decision(
        START, "User:admin", operation="ALTER", resource="Cluster:LITERAL:kafka-cluster"
    )
    true = decision(START, "User:mallory", allowed=False, resource="Group:LITERAL:x\ty")
    head, tail = true.split("\t")
    fed = feed_lines(
        [
            wrap(LINE),
            wrap(head),
            wrap(disguise(forged + "\n" if disguise is docker else forged).decode()),
            wrap(tail),
        ]
    )
    assert fed.deeds() == [
        ("User:alice", "READ", "success", ""),
        ("User:mallory", "READ", "failure", "broken_head"),
    ]
    assert fed.reasons() == ["orphan", "orphan"]


@pytest.mark.parametrize("first", [b"\xff", b""])
def test_a_head_that_cannot_be_read_teaches_all_the_same(first: bytes) -> None:
    """The first line of a file may be a client's: what looks like an envelope behind it is none."""
    head = decision(START, "User:mallory", allowed=False, resource="Group:LITERAL:x\ty").split(
        "\t"
    )[0]
    found = records([head.encode() + first, filebeat(LINE)])
    if not first:
        found[0] = found[0]._replace(length=5000, digest="0" * 64)
    fed = feed([found])
    assert fed.events == []
    assert fed.reasons() == ["not_utf8" if first else "too_long", "orphan"]


def test_too_long_and_broken_records_say_so() -> None:
    values = [Record(b"x" * 100, 0, 5000, "d" * 64), Record(b"y", 5001, broken="the gzip ends")]
    fed = feed([values])
    assert [(d.reason, d.length, d.digest[:1]) for d in fed.dead_letters] == [
        ("too_long", 5000, "d"),
        ("cut_short", 1, fed.dead_letters[1].digest[:1]),
    ]


def test_a_call_of_s3_on_the_event_bus_is_no_notice_of_a_file() -> None:
    """Both come from ``aws.s3``: what is in it tells."""
    called = {"eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy"}
    envelope = {
        "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "detail": called,
        "time": "2026-11-20T09:00:00Z",
    }  # fmt: skip
    (inner,) = opened(envelope, Room(1000, 1000)) or [Inner()]
    assert (orjson.loads(inner.value), inner.refused) == (called, None)
