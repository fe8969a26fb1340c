"""Records of raw topics: what headers say, and that none of them does harm."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.batch import HEAD_BYTES, Record, Stream
from pipeline.collectors import shipping
from pipeline.collectors.raw_records import (
    MOST_STREAM_BYTES,
    Received,
    bounded,
    received,
)
from pipeline.streaming import RawTopic

RAW = RawTopic(
    topic="logs", source="kafka_authorizer", cluster="prod", host="broker-9", zone="Europe/Berlin"
)
STREAM = Stream("auto", "default", "broker-1", b"\xab" * 32, "/var/log/kafka/server.log", "UTC")
SAID: dict[str, Any] = orjson.loads(shipping.stream_header(STREAM))
UNPLACED = Stream(
    "kafka_authorizer", "prod", "broker-9", b"logs\x002\0k", "logs[2]", "Europe/Berlin"
)


def read(headers: Any = (), value: bytes | None = b"line", key: bytes | None = b"k") -> Received:
    return received(RAW, "logs", 2, key, value, headers, 7)


def placed(said: Any = SAID, offset: bytes = b"1200", *more: tuple[str, bytes]) -> Received:
    return read([("audit-stream", orjson.dumps(said)), ("audit-offset", offset), *more])


def sent(record: Record, stream: Stream = STREAM, **what: bool) -> Received:
    headers: Any = shipping.headers(record, shipping.stream_header(stream), **what)
    return read(headers, record.value or None, shipping.key(stream))


@pytest.mark.parametrize("timestamp", [-1, 0, 1_795_000_000_000])
@pytest.mark.parametrize(
    "headers",
    [(), [("audit-stream", orjson.dumps(SAID))], shipping.headers(Record(b"line", 5), b"{}")],
)
def test_when_kafka_was_given_a_record_is_kept(headers: Any, timestamp: int) -> None:
    found = received(RAW, "logs", 2, b"k", b"line", headers, 7, timestamp)
    assert found.record.received == timestamp
    longer = bounded(found.record._replace(value=b"x" * 5_000), 4_500)
    assert (longer.received, longer.length) == (timestamp, 5_000)


@pytest.mark.parametrize(
    "record",
    [
        Record(b"a line", 0),
        Record(b"", 10**17),
        Record(b"ends with a break\n", 5),
        Record(b"head", 17, 2_000_000, sha256(b"x").hexdigest()),
        Record(b"the rest", 99, broken="the gzip file ends in the middle"),
        Record(b"", 99, broken="reading failed: é"),
    ],
)
@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize("anew", [False, True])
def test_what_is_shipped_is_received(record: Record, end: bool, anew: bool) -> None:
    found = sent(record, end=end, anew=anew)
    assert found == Received(STREAM, record, end, True, anew)
    nothing = end and record.value == b"" and not record.broken
    assert found.records == (() if nothing else (record,))
    length = record.length if record.length >= 0 else len(record.value)
    assert found.behind == record.position + (0 if end else length + 1)


@given(st.text(), st.text(max_size=200), st.binary(min_size=1, max_size=64))
def test_any_names_are_received(cluster: str, host: str, origin: bytes) -> None:
    stream = Stream("auto", cluster[:200], host, origin, host, "")
    assert sent(Record(b"line", 3), stream) == Received(stream, Record(b"line", 3), False, True)


def test_a_path_too_long_for_the_header_loses_its_beginning() -> None:
    stream = Stream("auto", "default", "h", b"\xab" * 32, "/x" * 20_000 + "/server.log", "")
    header = shipping.stream_header(stream)
    assert len(header) <= MOST_STREAM_BYTES
    found = sent(Record(b"line", 3), stream)
    assert found.placed
    assert found.stream.origin == stream.origin
    assert found.stream.carrier.endswith("/x/server.log")


def test_records_of_a_file_share_one_stream() -> None:
    assert sent(Record(b"a", 0)).stream is sent(Record(b"b", 2)).stream


def test_without_headers_a_key_s_records_are_a_stream() -> None:
    none: list[Any] = [[], None]
    for headers in none:
        assert read(headers) == Received(UNPLACED, Record(b"line", 7), False, False)
    assert read().behind == 8
    assert read(value=None).record == Record(b"", 7)
    assert read(value=b"line\n").record == Record(b"line", 7)
    keys = [None, b"", b"k", b"K", b"k" * 31, b"k" * 32, b"k" * 5000, sha256(b"k" * 32).digest()]
    origins = {read(key=key).stream.origin for key in keys}
    assert len(origins) == len(keys)
    assert max(map(len, origins)) < 64


def test_a_header_may_say_a_part() -> None:
    found = read([("audit-stream", orjson.dumps({"cluster": "test", "zone": ""}))])
    assert not found.placed
    assert (found.stream.cluster, found.stream.host) == ("test", "broker-9")
    assert (found.stream.zone, found.stream.origin) == ("", UNPLACED.origin)


@pytest.mark.parametrize(
    "broken",
    [
        {"source": "no_such_source"},
        {"source": None},
        {"zone": "Atlantis/Deep"},
        {"zone": "../../etc/passwd"},
        {"zone": "Europe"},
        {"zone": "\0"},
        {"origin": "xyz"},
        {"origin": 7},
        {"origin": "ab" * 65},
        {"cluster": ["a"]},
        {"host": {}},
        {"file": 1.5},
        {"file": "x" * MOST_STREAM_BYTES},
    ],
)
def test_a_header_that_cannot_be_meant_is_passed_over(broken: dict[str, Any]) -> None:
    found = placed(SAID | broken)
    assert found == Received(UNPLACED, Record(b"line", 7), False, False)


@pytest.mark.parametrize(
    "header",
    [b"", b"{", b"null", b"[]", b"7", b'"source"', b'["source"]', b"\xff", b"[" * 5000,
     b'{"source": "\\ud800"}', b"{}", b'{"origin": ""}'],
)  # fmt: skip
def test_what_is_no_object_of_texts_is_passed_over(header: bytes) -> None:
    found = read([("audit-stream", header), ("audit-offset", b"3"), ("audit-end", b"1")])
    assert found == Received(UNPLACED, Record(b"line", 7), False, False)


@pytest.mark.parametrize("offset", [b"", b"-1", b"+1", b" 1", b"1_0", b"1.0", b"\xb2", b"9" * 19])
def test_an_offset_that_is_no_number_places_nothing(offset: bytes) -> None:
    found = placed(SAID, offset)
    assert not found.placed
    assert found.record.position == 7


@pytest.mark.parametrize(
    ("length", "digest"),
    [(b"3", b"ab" * 32), (b"-9", b"ab" * 32), (b"9", b"ab"), (b"9", b"\xff"), (b"9", b"")],
)
def test_a_length_that_cannot_be_is_passed_over(length: bytes, digest: bytes) -> None:
    found = placed(SAID, b"5", ("audit-length", length), ("audit-digest", digest))
    assert found.record == Record(b"line", 5)


def test_the_last_of_several_headers_counts() -> None:
    assert placed(SAID, b"5", ("audit-offset", b"6")).record.position == 6


def test_a_record_too_long_is_cut_to_its_head() -> None:
    record = Record(b"x" * 5000, 3)
    assert bounded(record, 5000) is record
    assert bounded(record, 4999) == Record(
        b"x" * 4096, 3, 5000, sha256(record.value).hexdigest()
    )  # fmt: skip


def test_a_head_stays_what_its_sender_says_of_the_whole() -> None:
    head = Record(b"x" * HEAD_BYTES, 0, 10_000, sha256(b"x" * 10_000).hexdigest())
    assert bounded(head, 1_024) == head
    assert bounded(head._replace(value=b"x" * 9_000), 1_024) == head


NAMES = st.sampled_from(
    ["audit-stream", "audit-offset", "audit-length", "audit-digest", "audit-broken", "audit-end",
     "audit-anew", "audit-", "other", ""]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.sampled_from([*SAID, "more"]), JSON).map(
    lambda d: orjson.dumps(SAID | d)
)
CONTENTS = st.none() | st.binary() | OBJECTS | st.integers().map(lambda n: b"%d" % n)


@given(
    st.lists(st.tuples(NAMES, CONTENTS), max_size=8),
    st.none() | st.binary(),
    st.none() | st.binary(),
)
@example([("audit-stream", b'{"zone": "' + b"a/" * 3000 + b'"}')], b"", b"")
def test_no_header_raises_and_none_unplaced_passes_for_a_file(
    headers: list[tuple[str, bytes | None]], value: bytes | None, key: bytes | None
) -> None:
    found = read(headers, value, key)
    assert found == read(headers, value, key)
    if found.placed:
        assert 0 <= found.record.position < 10**18
        assert found.stream.origin
    else:
        assert found.record.position == 7
        assert found.stream.origin.startswith(b"logs\x002")
        assert not found.end
    assert found.record.length == -1 or found.record.length >= len(found.record.value)
    hash(found.stream)
