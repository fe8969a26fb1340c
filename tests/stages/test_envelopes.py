"""Envelopes of cloud services: what went in comes out, however they stand in each other."""

from __future__ import annotations

import gzip
import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import Fact, Line, Origin, Outcome, Reading, Record, Source, each, moment
from pipeline.clocks import clock
from pipeline.engine import Plan
from pipeline.errors import Reason, Unreadable
from pipeline.stages.enrich import address
from pipeline.stages.recognise import recogniser
from pipeline.stages.unwrap import unwrap
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY
from tests.feed import Fed, feed, feed_lines, records, stream
from tests.growth import grows_no_faster
from tests.logs import START, decision
from tests.stages import carriers as c

Wrap = Callable[[Sequence[str]], str]


def packed(wrap: Callable[..., str]) -> Wrap:
    return lambda texts: wrap(texts, pack=True)


def one(wrap: Callable[[str], str]) -> Wrap:
    """An envelope of one text as one of several: in an array of such."""
    return lambda texts: "[" + ",".join(wrap(text) for text in texts) + "]"


def in_object(text: str) -> str:
    """EventBridge carries objects alone."""
    return text if text.startswith("{") else f'{{"Records":{text}}}'


def by_the_line(texts: Sequence[str]) -> str:
    """Firehose records of lines."""
    return c.firehose(["\n".join(texts) + "\n"])


def joined(texts: Sequence[str]) -> str:
    """One message that holds them one behind the other."""
    return c.sqs(["".join(texts)])


TEXTS: dict[str, Wrap] = {
    "sqs": c.sqs,
    "sqs to lambda": c.sqs_to_lambda,
    "sns": one(c.sns),
    "sns to lambda": c.sns_to_lambda,
    "firehose": c.firehose,
    "firehose, gzip": packed(c.firehose),
    "firehose to http": c.firehose_to_http,
    "firehose to http, gzip": packed(c.firehose_to_http),
    "kinesis": c.kinesis_to_lambda,
    "kinesis, gzip": packed(c.kinesis_to_lambda),
    "cloudwatch": c.cloud_watch,
    "cloudwatch to lambda": c.cloud_watch_to_lambda,
    "looked up": c.looked_up,
}
"""Envelopes of any text."""
OBJECTS: dict[str, Wrap] = TEXTS | {
    "trail file": c.trail_file,
    "eventbridge": lambda texts: one(c.event_bridge)([in_object(text) for text in texts]),
    "array": lambda texts: "[" + ",".join(texts) + "]",
    "lines": by_the_line,
    "joined": joined,
}
"""Envelopes of JSON objects."""


def owns(text: str) -> bool:
    return text.startswith('{"ours":')


def taken_out(
    values: Sequence[str | bytes], longest: int = 1 << 20, state: dict[str, Any] | None = None
) -> list[Line]:
    """Lines of records, none of which may be refused."""
    found = unwrap(records(values), {} if state is None else state, owns, longest, True)
    assert [refused for _, refused in found if refused] == []
    return [line for line, _ in found]


def refused(value: str | bytes, longest: int = 1 << 20) -> list[tuple[str, str]]:
    found = unwrap(records([value]), {}, owns, longest, True)
    return [(said.reason, said.detail) for _, said in found if said is not None]


# What comes out.

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9)
ours = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=5), v, max_size=3)
).map(lambda value: orjson.dumps({"ours": value}).decode())  # fmt: skip


@settings(max_examples=150)
@given(
    st.lists(ours, min_size=1, max_size=4),
    st.lists(st.sampled_from(sorted(OBJECTS)), min_size=1, max_size=4),
)
def test_objects_come_out_of_any_envelopes_as_they_went_in(
    texts: list[str], names: list[str]
) -> None:
    value, size = texts, len(texts)
    for name in names:
        value = [OBJECTS[name](value)]
    found = taken_out(value)
    assert [line.text for line in found] == texts
    assert [line.number for line in found] == list(range(size))


@settings(max_examples=100)
@given(
    st.lists(
        st.sampled_from(["a line", "é", decision(START, "User:alice")]), min_size=1, max_size=4
    ),
    st.lists(st.sampled_from(sorted(TEXTS)), min_size=1, max_size=4),
)
def test_lines_of_logs_come_out_as_they_went_in(texts: list[str], names: list[str]) -> None:
    value = texts
    for name in names:
        value = [TEXTS[name](value)]
    assert [line.text for line in taken_out(value)] == texts


@pytest.mark.parametrize("name", OBJECTS)
def test_every_envelope_says_when(name: str) -> None:
    for line in taken_out([OBJECTS[name](['{"ours":1}', '{"ours":2}'])]):
        silent = name in ("looked up", "trail file", "array")
        assert line.logged == (None if silent else c.AT_MS)


def test_the_time_of_the_innermost_envelope_is_the_lines() -> None:
    inner = c.sns('{"ours":1}').replace(c.AT, "2026-11-20T23:00:00Z")
    (line,) = taken_out([c.sqs([inner])])
    assert line.logged == 1795215600000


def test_single_elements_are_opened_where_a_document_was_taken_apart() -> None:
    for name in (
        "sqs",
        "sqs to lambda",
        "sns to lambda",
        "firehose",
        "firehose to http",
        "kinesis",
    ):
        document = orjson.loads(TEXTS[name](['{"ours":1}', '{"ours":2}']))
        several = next(value for value in document.values() if isinstance(value, list))
        found = taken_out([orjson.dumps(element) for element in several])
        assert [line.text for line in found] == ['{"ours":1}', '{"ours":2}']
    document = orjson.loads(c.cloud_watch(["one", "two"]))
    found = taken_out([orjson.dumps(element) for element in document["logEvents"]])
    assert [(line.text, line.logged) for line in found] == [("one", c.AT_MS), ("two", c.AT_MS)]


def test_long_chains() -> None:
    event = '{"ours":1}'
    for value in (
        c.sqs([c.sns(c.event_bridge(event))]),
        c.firehose([c.cloud_watch([c.event_bridge(event)])], pack=True),
        c.sqs([c.sns(c.firehose([c.cloud_watch_to_lambda([c.event_bridge(event)])], pack=True))]),
        c.filebeat(c.sqs_to_lambda([c.sns(c.trail_file([event]))]), 5).decode(),
    ):
        assert [line.text for line in taken_out([value])] == [event]


def test_a_log_stream_of_cloudwatch_is_a_file_of_its_own() -> None:
    lines = taken_out([c.cloud_watch(["a"]), c.firehose([c.cloud_watch(["b"], stream="broker-2")])])
    assert [line.origin for line in lines] == [
        Origin("broker-1", "/example/kafka", -1),
        Origin("broker-2", "/example/kafka", -1),
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (c.queue_notice(), "the notice of a file: name the bucket's files as input"),
        (c.sqs([c.sns(c.queue_notice())]), "the notice of a file"),
        ('{"s3Bucket":"example-logs","s3ObjectKey":["AWSLogs/a.json.gz"]}', "the notice of a file"),
        (
            '{"detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"x"}}}',
            "the notice of a file",
        ),
        (c.cloud_watch(["try"], "CONTROL_MESSAGE"), "this holds no event"),
        ('{"recordId":"1","data":"no base64"}', "not base64"),
        ('{"kinesis":{"data":"e30"},"eventSource":"aws:kinesis"}', "not base64"),
        (c.firehose(["x"]).replace(c.base64("x"), "H4sIAAAAAAAA"), "ends in the middle"),
        (c.firehose(["x"]).replace(c.base64("x"), "H4sIAAAAAAAA////////////////"), "damaged"),
    ],
)  # fmt: skip
def test_what_holds_no_event_says_so(value: str, said: str) -> None:
    ((_, detail),) = refused(value)
    assert said in detail


@pytest.mark.parametrize(
    "value",
    [
        b'{"Records":"none"}', b'{"Records":[1,2]}', b'{"records":{"data":""}}', b'{"Body":"x"}',
        b'{"body":"x","other":1}', b'{"Type":"Notification","Message":"x"}', b'{"data":"no base64"}',
        b'{"Type":"Notification","TopicArn":"x","Message":{}}', b'{"data":"e30=","name":"more"}',
        b'{"detail-type":"x","detail":"text"}', b'{"awslogs":{"data":1}}', b'{"kinesis":1}', b"[1,2]",
        b'{"CloudTrailEvent":{}}', b'{"Sns":"x"}', b'[{"a":1}', b'{"a":1', b"[{]", b'{"message":"x"}',
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_a_line(value: bytes) -> None:
    (line,) = taken_out([value])
    assert line.raw == value


def test_an_element_that_is_bad_costs_no_neighbour() -> None:
    deep = '{"a":' * 700 + "1" + "}" * 700
    for text in (deep, '{"ours":', "[" * 5000, "\\ud800", "", "{}{"):
        value = c.sqs(['{"ours":1}', text, '{"ours":2}'])
        found = unwrap(records([value]), {}, owns, 1 << 20, True)
        assert (found[0][0].text, found[-1][0].text) == ('{"ours":1}', '{"ours":2}')
    (_, middle, _) = taken_out(['{"Records":[{"ours":1},' + deep + ',{"ours":2}]}'])
    assert middle.text == deep


def test_nothing_is_in_an_empty_envelope() -> None:
    assert taken_out(['{"Records":[]}', c.cloud_watch([]), c.sqs([])]) == []


def test_a_document_that_a_source_reads_itself_is_no_envelope() -> None:
    for value in ('{"ours":1,"Records":[{"a":1}]}', '{"ours":1,"message":"x","time":"y"}'):
        (line,) = taken_out([value])
        assert line.text == value


def test_a_byte_order_mark_before_a_line_of_json_is_left_out() -> None:
    found = taken_out(['\ufeff{"ours":1}', "\ufefftext"])
    assert [line.text for line in found] == ['{"ours":1}', "text"]


# Bombs.


def test_a_bomb_is_one_dead_letter_that_names_the_compressed_bytes() -> None:
    value = c.firehose(["fine", "x" * 5_000_000, "fine too"], pack=True)
    found = unwrap(records([value]), {}, owns, 100_000, True)
    assert [line.text for line, said in found if said is None] == ["fine", "fine too"]
    ((line, said),) = [each for each in found if each[1] is not None]
    assert said is not None
    assert said.reason == Reason.TOO_LONG
    assert 4000 < line.record.length < 6000
    assert len(line.record.digest) == 64
    assert len(line.raw) == 4096


def test_bombs_in_bombs_stay_small() -> None:
    text = c.firehose(["x" * 900_000] * 40, pack=True)
    value = c.firehose([c.firehose([text] * 40, pack=True)] * 40, pack=True)
    found = unwrap(records([value]), {}, owns, 1 << 20, True)
    assert sum(len(line.raw) for line, _ in found) < 64 * len(value) + 2**22


def test_gzip_of_several_members_is_read_to_its_end() -> None:
    data = b64encode(gzip.compress(b'{"ours":') + gzip.compress(b"1}")).decode()
    (line,) = taken_out([orjson.dumps({"recordId": "1", "data": data})])
    assert line.text == '{"ours":1}'


# Clients.


@pytest.mark.parametrize("name", TEXTS)
def test_a_client_cannot_write_an_envelope_into_a_log(name: str) -> None:
    """Opened, it would hold more than 32 KiB, or stand in a file where nothing is suspect."""
    forged = TEXTS[name]([decision(START, "User:admin", operation="ALTER")] * 50)
    true = decision(START, "User:mallory", allowed=False, resource="Group:LITERAL:x\ty")
    head, tail = true.split("\t")
    wraps: list[Wrap] = ["".join, c.cloud_watch, c.firehose]
    for wrap in wraps:
        values = [wrap([text]) for text in (decision(START, "User:alice"), head, forged, tail)]
        fed = feed_lines(values)
        assert {event.actor for event in fed.events} == {"User:alice", "User:mallory"}


def test_json_teaches_nothing() -> None:
    event = '{"ours":1}'
    state: dict[str, Any] = {}
    values: list[str | bytes] = [
        event,
        c.sqs([c.sns(event)]),
        c.filebeat(event),
        c.cloud_watch([event]),
    ]
    for value in values:
        assert [line.text for line in taken_out([value], state=state)] == [event]


# Through the engine.


def _read(line: Line, reading: Reading) -> Outcome:
    try:
        said = orjson.loads(line.text)
    except orjson.JSONDecodeError:
        raise Unreadable(Reason.TORN, "JSON was expected") from None
    at, precision, spots = moment(line, reading)
    event = Event(said.get("at", at), API_ACTIVITY, 2, "success", "cloud")
    event.time_precision, event.blind_spots = precision, spots
    event.actor, event.operation = str(said["ours"]), "READ"
    return Fact(event, natural_key=(str(said["ours"]),))


CLOUD = Source(
    name="cloud", title="x", documentation="x", product={"name": "x", "vendor_name": "x"},
    read=each(_read), recognise=owns, dated=lambda text: '"at"' in text,
)  # fmt: skip
EVENTS = [f'{{"ours":{n},"at":{1795215121297 + n}}}' for n in range(9)]


def fed(values: Sequence[str], splits: Sequence[int] = ()) -> Fed:
    found = records(values)
    edges = [0, *sorted(splits), len(found)]
    return feed([found[a:b] for a, b in pairwise(edges)], plan=Plan({"cloud": CLOUD}))


def test_an_event_has_one_id_in_every_envelope() -> None:
    alone = {event.id for event in fed(EVENTS).events}
    assert len(alone) == len(EVENTS)
    for name, wrap in OBJECTS.items():
        assert [event.id for event in fed([wrap(EVENTS)]).events] == [
            event.id for event in fed(EVENTS).events
        ], name
        assert {event.id for event in fed(["{}", wrap(EVENTS[3:])]).events} < alone


@settings(max_examples=60)
@given(
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from(sorted(OBJECTS)), min_size=3, max_size=8),
)
def test_any_split_gives_the_same(chance: random.Random, names: list[str]) -> None:
    values = [
        OBJECTS[name]([*EVENTS[:3], '{"ours":', '{"else":1}']) for name in names if name in TEXTS
    ]
    values += [OBJECTS[name](EVENTS[:4]) for name in names]
    values += [c.filebeat(decision(START, "User:alice")).decode(), c.queue_notice()]
    chance.shuffle(values)
    whole = fed(values)
    assert whole.account.balances()
    assert len({letter.id for letter in whole.dead_letters}) == len(whole.dead_letters)
    assert fed(values, [chance.randrange(len(values)) for _ in range(4)]) == whole


def test_a_file_is_recognised_by_what_is_in_its_envelopes() -> None:
    reading = Reading(clock(""), address, stream())
    look = recogniser({"cloud": CLOUD}, "auto", reading, 1 << 20)
    for name, wrap in OBJECTS.items():
        assert look(wrap(["{}", *EVENTS]).encode())[:2] == (True, True), name
        assert look(wrap(['{"else":1}']).encode())[:2] == (False, False), name
    assert not look(b'{"Records":[]}').ours
    assert not look(c.queue_notice().encode()).ours


# Time.


@pytest.mark.parametrize(
    "unit",
    ['{"a":1}', '{"a":1}\n', '{"Records":[', '{"Body":"', "[{", '{"a":', "{", '"', "\\", "},{", '{"ours":1},'],
)  # fmt: skip
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    def prepared(size: int) -> Callable[[], object]:
        text = unit * (size // len(unit))
        values = [
            c.sqs([text]), "{" + text, '{"Records":[' + text, "[" + text + "{}]",
            '{"Records":[' + text + "{}]}", c.firehose([text], pack=True),
        ]  # fmt: skip
        records = [Record(value.encode(), 0) for value in values]
        return lambda: [unwrap([record], {}, owns, 1 << 22, True) for record in records]

    grows_no_faster(prepared, 1 << 15, 1 << 18)
