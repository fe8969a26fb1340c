"""Ingest without a broker: what a batch leads to, and what is known behind it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Config
from pipeline.runtimes.kafka import counting as keys
from pipeline.runtimes.kafka import ingesting as streams
from pipeline.runtimes.kafka.counting import CountedPartition, Counting
from pipeline.runtimes.kafka.ingesting import Ingesting, RawPartition
from pipeline.runtimes.kafka.leading import Leading
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.states import States
from pipeline.runtimes.kafka.transport import Batch
from schemas.avro import NAMES
from schemas.types import Observation
from schemas.wire import decoder, encoder
from tests.logs import broker_lines

CONFIG = Config()
STATES = States(lambda *_: None, "ingest", "audit.state", 4, encoder("state"), decoder("state"))
ENCODE = {name: encoder(name) for name in NAMES}
LEADING = Leading(CONFIG.kafka, ENCODE, "audit.counters", 4, CONFIG.estate_of)
INGESTING = Ingesting(CONFIG.plan(), CONFIG.active(), CONFIG.kafka, STATES, LEADING)
COUNTING = Counting(CONFIG.active(), CONFIG.kafka, STATES, ENCODE, decoder("observation"))
TOPIC = "audit.raw.auto"


def records(lines: Iterable[str], files: int = 1, first: int = 0) -> Iterator[Any]:
    """As aiokafka delivers what `auditstream collect` sends of some files."""
    offsets = [0] * files
    for number, line in enumerate(lines):
        which = number % files
        said = {"source": "auto", "cluster": "c", "host": f"b{which}", "zone": "UTC"}
        stream = json.dumps({**said, "file": "f", "origin": f"{which:032x}"}).encode()
        value = line.encode()
        yield SimpleNamespace(
            key=b"%d" % which,
            value=value,
            headers=(("audit-stream", stream), ("audit-offset", b"%d" % offsets[which])),
            offset=first + number,
            topic=TOPIC,
            partition=0,
            timestamp=0,
        )
        offsets[which] += len(value) + 1


def batch(taken: list[Any], start: int | None = None) -> Batch:
    first = taken[0].offset if start is None else start
    return Batch(TOPIC, 0, first, taken[-1].offset + 1, taken)


def rows(sent: Iterable[Outgoing], topic: str, schema: str) -> list[dict[str, Any]]:
    decode = decoder(schema)
    return [decode(one.value) for one in sent if one.topic == topic and one.value is not None]


def kept(sent: Iterable[Outgoing]) -> dict[bytes, bytes]:
    """What `States.load` would give after all that was sent."""
    found: dict[bytes, bytes] = {}
    for one in sent:
        if one.topic == "audit.state":
            name = (one.key or b"").split(b"\0", 3)[3]
            if one.value is None:
                found.pop(name, None)
            else:
                found[name] = decoder("state")(one.value)["state"]
    return found


def summed(sent: list[Outgoing]) -> tuple[Any, ...]:
    accounts = rows(sent, "audit.accounts", "account")
    letters = {row["id"] for row in rows(sent, "audit.dead-letters", "dead_letter")}
    events = [row["id"] for row in rows(sent, "audit.events", "audit_event")]
    numbers = [sum(row[name] for row in accounts) for name in ("records", "items", "events")]
    return numbers, sorted(events), letters


LINES = list(broker_lines(900))
WHOLE = list(INGESTING.work(RawPartition({}), batch(list(records(LINES, 3)))))


@settings(max_examples=15)
@given(st.lists(st.integers(1, 899), max_size=8))
def test_no_split_and_no_change_of_worker_can_tell(cuts: list[int]) -> None:
    taken = list(records(LINES, 3))
    sent: list[Outgoing] = []
    bounds = [0, *sorted(set(cuts)), len(taken)]
    for begin, end in pairwise(bounds):
        part = RawPartition(kept(sent))
        sent += INGESTING.work(part, batch(taken[begin:end]))
    assert summed(sent) == summed(WHOLE)
    chain = [(row["start"], row["end"]) for row in rows(sent, "audit.accounts", "account")]
    assert chain == list(pairwise(bounds))


@pytest.mark.parametrize("together", [1, 7, 100])
def test_events_say_when_kafka_was_given_their_records(together: int) -> None:
    taken = list(records(LINES[:100]))
    for number, record in enumerate(taken):
        # Some have no time of their own: Kafka says -1.
        record.timestamp = 1_795_000_000_000 + number if number % 10 else -1
    sent: list[Outgoing] = []
    for begin in range(0, 100, together):
        # A line waits for the next, which comes with another batch, and to another worker.
        part = RawPartition(kept(sent))
        sent += INGESTING.work(part, batch(taken[begin : begin + together]))
    given_at = {record.headers[1][1]: record.timestamp for record in taken}
    events = rows(sent, "audit.events", "audit_event")
    assert len(events) > 50
    for event in events:
        carriage = json.loads(event["ocsf"])["auditstream"]["carriage"]
        expected = given_at[b"%d" % event["carriage"]["position"]]
        assert carriage.get("received", -1) == expected


def test_what_is_delivered_again_counts_nothing() -> None:
    taken = list(records(LINES, 3))
    part = RawPartition({})
    sent = list(INGESTING.work(part, batch(taken[:500])))
    # The group's offset was asked for while a commit was under way.
    assert list(INGESTING.work(part, batch(taken[:500]))) == []
    sent += INGESTING.work(part, batch(taken[300:]))
    assert summed(sent) == summed(WHOLE)
    # A collector that was killed sends the lines again, at positions of their own.
    again = list(INGESTING.work(part, batch(list(records(LINES, 3, first=900)))))
    [account] = rows(again, "audit.accounts", "account")
    assert (account["start"], account["end"], account["redelivered"]) == (900, 1_800, 900)
    assert account["items"] == account["events"] == 0
    assert rows(again, "audit.events", "audit_event") == []


@pytest.mark.parametrize("together", [1, 13, 1000])
def test_what_was_left_out_and_comes_later_is_no_repetition(together: int) -> None:
    """A collector failed to send some lines and went on, was started again, and failed again."""
    taken = list(records(LINES[:100]))
    came = [*taken[:40], *taken[60:70], *taken[75:], *taken[30:50], *taken[62:], *taken[45:]]
    again = [SimpleNamespace(**{**vars(one), "offset": n}) for n, one in enumerate(came)]
    sent: list[Outgoing] = []
    for begin in range(0, len(again), together):
        part = RawPartition(kept(sent))
        sent += INGESTING.work(part, batch(again[begin : begin + together]))
    accounts = rows(sent, "audit.accounts", "account")
    assert sum(row["redelivered"] for row in accounts) == len(came) - 100
    whole = list(INGESTING.work(RawPartition({}), batch(taken)))
    one, other = (rows(each, "audit.events", "audit_event") for each in (whole, sent))
    # The last line of either waits for what may follow it.
    last = {row["id"] for row in one} ^ {row["id"] for row in other}
    assert len(last) <= 2
    assert len(one) > 50


def test_holes_are_no_more_than_can_be_remembered() -> None:
    part = RawPartition({})
    taken = list(records(LINES[:200]))
    list(INGESTING.work(part, batch(taken[::2], 0)))
    [account] = rows(INGESTING.work(part, batch(late(taken[1::2]))), "audit.accounts", "account")
    assert account["redelivered"] == 100 - 1 - streams._MOST_HOLES


def late(taken: list[Any]) -> list[Any]:
    return [SimpleNamespace(**{**vars(one), "offset": 200 + n}) for n, one in enumerate(taken)]


def test_positions_that_were_lost_are_in_the_account() -> None:
    taken = list(records(LINES[:100]))
    part = RawPartition({})
    list(INGESTING.work(part, batch(taken[:40])))
    lost = Batch(TOPIC, 0, 60, 100, taken[60:], 20)
    [account] = rows(INGESTING.work(part, lost), "audit.accounts", "account")
    assert (account["start"], account["end"], account["lost"]) == (40, 100, 20)


def test_streams_that_are_too_many_are_given_up_and_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 3)
    part = RawPartition({})
    sent: list[Outgoing] = []
    for number in range(6):
        [record] = records([f"[2026-11-21 10:00:00,00{number}] INFO Principal = "])
        record.headers, record.key, record.offset = (), b"%d" % number, number
        sent += INGESTING.work(part, batch([record]))
    assert len(kept(sent)) == 3 + 1
    accounts = rows(sent, "audit.accounts", "account")
    assert sum(row["dead_letters"].get("torn", 0) for row in accounts) == 3
    assert len(rows(sent, "audit.dead-letters", "dead_letter")) == 3


def test_keys_that_are_too_many_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MOST_KEYS", 5)
    part = CountedPartition({})
    sent: list[Outgoing] = []
    for number in range(9):
        seen = Observation(
            "auth_failure_spike", "c", f"address=192.0.2.{number}", number.to_bytes(16, "big"),
            1_000 + number, 1, False, False, False, "",
        )  # fmt: skip
        value = encoder("observation")(seen)
        record = SimpleNamespace(value=value, offset=number, topic="t", partition=0, timestamp=0)
        sent += COUNTING.work(part, batch([record]))
    names = set(kept(sent)) - {b""}
    assert {name[-1:] for name in names} == {b"4", b"5", b"6", b"7", b"8"}
