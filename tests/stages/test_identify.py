"""Identify: the recipe of ids, written down a second time, and golden ids that never change."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from pipeline.batch import Fact, Line, Origin, Record, Stream
from pipeline.stages.identify import dead_letter_id, digest, event_id, position, timed
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, ID_RECIPE
from tests.feed import feed_lines, stream
from tests.logs import START, decision
from tests.stages.carriers import filebeat

RAW = "Principal = User:Zoë".encode()
FILE = Stream("auto", "prod-eu", "broker-1", bytes(range(32)), "kafka.log", "UTC")


def fact(time: int = 1_795_215_121_297, **said: object) -> Fact:
    event = Event(time, API_ACTIVITY, 2, "success", "kafka_authorizer")
    event.cluster, event.host = "prod-eu", "broker-1"
    return Fact(event, **said)  # type: ignore[arg-type]


def line(at: int = 4711, origin: Origin | None = None, number: int = 0) -> Line:
    return Line(RAW, RAW.decode(), Record(RAW, at), origin, number=number)


def recipe(time: int, *parts: bytes) -> bytes:
    """The recipe of docs/adr/0002, in other words than the product's."""
    hashed = blake2b(digest_size=10, person=b"auditstream\x01")
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return max(0, min(time, 2**48 - 1)).to_bytes(6, "big") + hashed.digest()


GOLDEN = {
    "position": (fact(), line(), "01a1fb28db91"),
    "shipper": (fact(), line(origin=Origin("b", "/var/log/kafka.log", 9)), "01a1fb28db91"),
    "natural key": (fact(natural_key=("a", "b")), line(), "01a1fb28db91"),
    "second item": (fact(), line(number=1), "01a1fb28db91"),
    "before 1970": (fact(-1), line(), "000000000000"),
    "after 10889": (fact(2**60), line(), "ffffffffffff"),
}


def test_the_recipe_is_version_1() -> None:
    """A new recipe is a new version, and all golden ids with it."""
    assert ID_RECIPE == 1


@pytest.mark.parametrize("name", GOLDEN)
def test_ids_follow_the_recipe(name: str) -> None:
    made, where, _ = GOLDEN[name]
    number = where.number.to_bytes(4, "big")
    if made.natural_key:
        parts = [b"natural", b"prod-eu", b"kafka_authorizer", b"a", b"b", number]
    else:
        place, offset = FILE.origin, where.record.position
        if where.origin:
            place, offset = b"shipper\0" + where.origin.file.encode(), where.origin.offset
        parts = [
            b"position",
            b"prod-eu",
            b"broker-1",
            place,
            offset.to_bytes(8, "big"),
            RAW,
            number,
        ]
    assert event_id(made, where, FILE, RAW) == recipe(made.event.time, *parts)


IDS = {
    "position": "01a1fb28db91c4f693b11db432d687f1",
    "shipper": "01a1fb28db91dc47ffd20fb88469d168",
    "natural key": "01a1fb28db91e95ea8a4ad6579acbe54",
    "second item": "01a1fb28db91d9c637c8fc65465b9d17",
    "before 1970": "000000000000c4f693b11db432d687f1",
    "after 10889": "ffffffffffffc4f693b11db432d687f1",
    "dead letter": "c938b870e6c91ec70b0db702dfd3971f",
    "shipped dead letter": "48a786390400d1ffdfffb305f8c20426",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_ids_never_change(name: str) -> None:
    made, where, time = GOLDEN[name]
    found = event_id(made, where, FILE, RAW).hex()
    assert found.startswith(time)
    assert found == IDS[name]


def test_golden_ids_of_dead_letters_never_change() -> None:
    assert dead_letter_id(line(), FILE, "auto").hex() == IDS["dead letter"]
    shipped = line(origin=Origin("broker-7", "/kafka.log", 9))
    assert dead_letter_id(shipped, FILE, "kafka_authorizer").hex() == IDS["shipped dead letter"]


def test_what_identity_rests_on_and_what_not() -> None:
    text = decision(START, "User:alice")
    base = stream(cluster="c", host="h", zone="UTC")

    def only(found: str | bytes, where: Stream, before: int = 0) -> bytes:
        return feed_lines([" " * before, found] if before else [found], where).events[0].id

    same = only(text, base)
    assert (
        only(text, stream("kafka_authorizer", cluster="c", host="h", zone="UTC", carrier="z"))
        == same
    )
    for changed in (
        stream(cluster="d", host="h", zone="UTC"),
        stream(cluster="c", host="i", zone="UTC"),
        stream(cluster="c", host="h", zone="UTC", origin=b"p" * 32),
        stream(cluster="c", host="h", zone="Europe/Berlin"),
    ):
        assert only(text, changed) != same
    assert only(text, base, before=3) != same
    assert only(text.replace("alice", "alicf"), base) != same
    assert only(filebeat(text, 4), base) == only(
        filebeat(text, 4), stream(cluster="c", host="h", zone="UTC", origin=b"p" * 32), before=9
    )


def test_ids_sort_by_time() -> None:
    times = [0, 1, 255, 256, 10**12, 1_795_215_121_297]
    assert [timed(t, b"\xff" * 10) for t in times] == sorted(timed(t, b"\xff" * 10) for t in times)


def test_parts_cannot_run_into_each_other() -> None:
    assert digest(10, [b"a", b"bc"]) != digest(10, [b"ab", b"c"])
    assert digest(10, [b"a", b""]) != digest(10, [b"a"])


def test_a_position_before_the_beginning_is_a_position() -> None:
    assert position(line(-1), FILE) == (FILE.origin, b"\xff" * 8)
    assert position(line(origin=Origin("h", "f", -1)), FILE) == (
        FILE.origin,
        (4711).to_bytes(8, "big"),
    )
