"""Reject: dead letters that say what, where, when and why, and no more than may be kept."""

from __future__ import annotations

from hashlib import sha256

from pipeline.engine import Plan
from pipeline.registry import sources
from pipeline.stages.reject import HEAD_CHARACTERS
from tests.feed import feed, feed_lines, records, stream
from tests.logs import START, decision
from tests.stages.carriers import filebeat, kubernetes

LINE = decision(START, "User:alice")
TORN = LINE[:200]


def test_a_dead_letter_says_what_where_and_when() -> None:
    where = stream(cluster="prod-eu", host="broker-1", zone="Europe/Berlin")
    (letter,) = feed_lines([LINE, TORN], where).dead_letters
    assert (letter.cluster, letter.host, letter.carrier) == ("prod-eu", "broker-1", "kafka.log")
    assert (letter.position, letter.length) == (len(LINE) + 1, len(TORN))
    assert letter.digest == sha256(TORN.encode()).hexdigest()
    assert letter.head == TORN
    assert letter.raw == TORN.encode()
    assert letter.source == "kafka_authorizer"
    assert letter.time == 1_793_487_600_000
    assert len(letter.id) == 16


def test_a_line_of_nobody_keeps_its_head_alone() -> None:
    text = "x" * 5000
    (letter,) = feed_lines([text]).dead_letters
    assert (letter.source, letter.raw, letter.time) == ("auto", b"", 0)
    assert letter.head == "x" * HEAD_CHARACTERS
    assert letter.length == 5000


def test_a_line_of_a_source_that_was_named_is_kept() -> None:
    (letter,) = feed_lines(["x" * 5000], stream("kafka_authorizer")).dead_letters
    assert (letter.source, letter.raw) == ("kafka_authorizer", b"x" * 5000)


def test_bytes_outside_utf8_are_escaped_in_the_head_and_kept_in_the_record() -> None:
    value = LINE.encode().replace(b"alice", b"al\xffce\0")
    (letter,) = feed_lines([value]).dead_letters
    assert letter.reason == "not_utf8"
    assert "al\\xffce\0" in letter.head
    assert letter.raw == value
    assert letter.source == "kafka_authorizer"
    assert letter.time > 0


def test_the_time_is_the_carriers_where_the_line_has_none() -> None:
    (letter,) = feed_lines([kubernetes("no layout at all")]).dead_letters
    assert (letter.time, letter.host) == (1795218765001, "node-1")
    (letter,) = feed_lines(
        [filebeat("[2026-13-20 23:52:44,297] INFO x (kafka.authorizer.logger)")]
    ).dead_letters
    assert letter.time == 1795218765001


def test_what_was_too_long_keeps_length_and_digest_of_all_of_it() -> None:
    (record,) = records(["x" * 600])
    found = [record._replace(length=2_000_000, digest="d" * 64)]
    (letter,) = feed([found], stream("kafka_authorizer")).dead_letters
    assert (letter.reason, letter.length, letter.digest) == ("too_long", 2_000_000, "d" * 64)
    assert letter.raw == b""


def test_no_text_of_the_record_stands_in_the_reason() -> None:
    lines = [
        LINE.replace("alice", "s3cret").replace("2026-11-01", "2026-99-01"),
        "s3cret " * 9,
        TORN,
    ]
    fed = feed_lines(lines)
    assert len(fed.dead_letters) == 3
    assert not any("s3cret" in letter.detail for letter in fed.dead_letters)


def test_equal_lines_at_two_places_are_two_dead_letters() -> None:
    fed = feed_lines(["nonsense", "nonsense"])
    assert len({letter.id for letter in fed.dead_letters}) == 2
    again = feed([[record] for record in records(["nonsense", "nonsense"])], plan=Plan(sources()))
    assert again.dead_letters == fed.dead_letters
