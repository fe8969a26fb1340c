"""Ingest: a batch of a raw partition to events and all else that follows, as records to send.

What is known of a partition is the position behind it, its clocks, and the state of each of its
streams; it is sent in the same transaction as what it led to. Nothing here waits or reads a clock.

State of the partition (JSON): ``{"position", "clocks": {cluster: newest time}}``; of a stream:
``{"next": offset behind the last line read, or -1, "ended": [offset, digest] or [], "state"}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any
from zlib import crc32

import orjson

from pipeline.batch import Account, Ingested, Record, State, Stream
from pipeline.collectors.raw_records import Received, bounded, received
from pipeline.engine import Plan, ingest
from pipeline.runtimes.judge import concerns_estates
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.states import PARTITION, States
from pipeline.runtimes.kafka.transport import Batch
from pipeline.stages.detect import Active, sighted
from pipeline.stages.identify import digest
from pipeline.streaming import RawTopic, Streaming
from schemas.types import AccountOf, Clock, DeadLetter, Event
from schemas.wire import Encode

_NOWHERE = -1


@dataclass(slots=True)
class _Known:
    """What is known of one stream."""

    next: int = _NOWHERE
    ended: list[Any] = field(default_factory=list)
    state: State = field(default_factory=dict)

    def frozen(self) -> bytes:
        # Integer keys and tuples are JSON's after this, as the embedded store has them.
        return orjson.dumps({"next": self.next, "ended": self.ended, "state": self.state})


class RawPartition:
    """What is known of one partition of a raw topic, from assignment to revocation.

    Args:
        kept: what `States.load` gave.
    """

    def __init__(self, kept: Mapping[bytes, bytes]) -> None:
        said = orjson.loads(kept.get(PARTITION, b"{}"))
        self.position: int | None = said.get("position")
        self.clocks: dict[str, int] = said.get("clocks", {})
        self._kept = {name: state for name, state in kept.items() if name != PARTITION}
        self._streams: dict[bytes, _Known] = {}

    def stream(self, name: bytes) -> _Known:
        """What is known of a stream, to be changed."""
        known = self._streams.get(name)
        if known is None:
            kept = self._kept.pop(name, None)
            known = _Known(**orjson.loads(kept)) if kept else _Known()
            self._streams[name] = known
        return known

    def frozen(self) -> bytes:
        """The partition's own state."""
        return orjson.dumps({"position": self.position, "clocks": self.clocks})


@dataclass(slots=True)
class Outcome:
    """What a batch led to."""

    events: list[Event] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    redelivered: int = 0
    touched: set[bytes] = field(default_factory=set)

    def add(self, result: Ingested) -> None:
        self.events += result.events
        self.dead_letters += result.dead_letters
        self.account.add(result.account)


class Ingesting:
    """The role's work, for all partitions.

    Args:
        encode: by name of schema, how its rows are written.
        counters: the topic of the counters now.
        keyed: partitions of `control` and `clocks`.
        estate_of: the estate that a label is of.
    """

    def __init__(
        self,
        plan: Plan,
        active: Active,
        streaming: Streaming,
        states: States,
        encode: Mapping[str, Encode],
        counters: str,
        keyed: int,
        estate_of: Callable[[str], str],
    ) -> None:
        self._plan, self._active, self._streaming = plan, active, streaming
        self._states, self._encode = states, encode
        self._counters, self._keyed = counters, keyed
        self._estate_of = estate_of
        names = ("events", "control", "clocks", "dead-letters", "accounts")
        self._topic = {name: streaming.topic(name) for name in names}
        self._raw = lru_cache(maxsize=4096)(self._said_of)

    def _said_of(self, topic: str) -> RawTopic:
        return self._streaming.raw_topic(topic) or RawTopic(topic=topic)

    def work(self, part: RawPartition, batch: Batch) -> Iterator[Outgoing]:
        """All that a batch leads to; `part` is then as it stands behind the batch."""
        start = batch.start - batch.skipped if part.position is None else part.position
        records = batch.records
        if start > batch.start:
            # Somebody was still committing when the group was asked where to go on.
            records = [record for record in records if record.offset >= start]
        if batch.end <= start:
            return
        out = self._read(part, batch, records)
        part.position = batch.end
        yield from self._events(out.events)
        for letter in out.dead_letters:
            value = self._encode["dead_letter"](letter)
            yield Outgoing(self._topic["dead-letters"], value, letter.id)
        yield from self._time(part, batch, out.events)
        yield self._account(batch, start, out)
        for name in out.touched:
            state = part.stream(name).frozen()
            yield self._states.record(batch.topic, batch.partition, name, state)
        yield self._states.record(batch.topic, batch.partition, PARTITION, part.frozen())

    # Reading.

    def _read(self, part: RawPartition, batch: Batch, records: Iterable[Any]) -> Outcome:
        raw, longest = self._raw(batch.topic), self._plan.max_record_bytes
        streams: dict[Stream, list[Received]] = {}
        for record in records:
            found = received(
                raw, batch.topic, batch.partition, record.key, record.value, record.headers,
                record.offset,
            )  # fmt: skip
            of_stream = streams.get(found.stream)
            if of_stream is None:
                of_stream = streams[found.stream] = []
            of_stream.append(found)
        out = Outcome()
        for stream, several in streams.items():
            name = _name(stream)
            known = part.stream(name)
            fresh: list[Record] = []
            for found in several:
                if found.anew:
                    self._run(stream, known, fresh, out)
                    fresh = []
                    known.next, known.ended, known.state = _NOWHERE, [], {}
                if found.end:
                    self._run(stream, known, fresh, out)
                    fresh = []
                    self._end(stream, known, found, out)
                elif found.placed and found.record.position < known.next:
                    out.redelivered += 1
                else:
                    fresh.append(bounded(found.record, longest))
                    if found.placed:
                        known.next = found.behind
            self._run(stream, known, fresh, out)
            out.touched.add(name)
        return out

    def _run(self, stream: Stream, known: _Known, records: Sequence[Record], out: Outcome) -> None:
        if records:
            result = ingest(self._plan, stream, records, known.state)
            known.state = result.state
            out.add(result)

    def _end(self, stream: Stream, known: _Known, end: Received, out: Outcome) -> None:
        """What the end of a bounded input leads to. The stream stays before what is unfinished
        there, for the input may grow."""
        rest = end.record
        ended = [rest.position, sha256(rest.value).hexdigest(), rest.broken]
        if ended == known.ended or rest.position < known.next:
            out.redelivered += 1
            return
        known.ended = ended
        state = orjson.loads(orjson.dumps(known.state))
        records = [bounded(record, self._plan.max_record_bytes) for record in end.records]
        out.add(ingest(self._plan, stream, records, state, final=True))

    # What goes out.

    def _events(self, events: Sequence[Event]) -> Iterator[Outgoing]:
        encode, topic, control = self._encode["audit_event"], *self._to("events", "control")
        for event in events:
            value = encode(event)
            yield Outgoing(topic, value, event.id)
            if concerns_estates(event):
                for place in self._places(event):
                    yield Outgoing(control, value, event.id, None, place)
        observe = self._encode["observation"]
        for seen in sighted(self._active, events):
            key = f"{seen.detector}\0{seen.cluster}\0{seen.key}".encode()
            yield Outgoing(self._counters, observe(seen), key)

    def _to(self, *names: str) -> list[str]:
        return [self._topic[name] for name in names]

    def _places(self, event: Event) -> Iterable[int]:
        """Partitions of the estates that an event concerns: its own, and the one it names."""
        estates = {self._estate_of(event.cluster)}
        if event.session or event.ticket or event.access_path == "support":
            said = orjson.loads(event.ocsf)["auditstream"].get("support", {})
            if "estate" in said:
                estates.add(self._estate_of(said["estate"]))
        return {place(estate, self._keyed) for estate in estates}

    def _time(
        self, part: RawPartition, batch: Batch, events: Iterable[Event]
    ) -> Iterator[Outgoing]:
        """How far clusters have come, as far as no client can have made it up."""
        newest: dict[str, int] = {}
        for event in events:
            if event.time > newest.get(event.cluster, _NOWHERE) and not event.suspect:
                newest[event.cluster] = event.time
        for cluster, time in newest.items():
            if time > part.clocks.get(cluster, _NOWHERE):
                part.clocks[cluster] = time
                clock = Clock(batch.topic, batch.partition, cluster, time)
                key = f"{cluster}\0{batch.topic}\0{batch.partition}".encode()
                there = place(self._estate_of(cluster), self._keyed)
                value = self._encode["clock"](clock)
                yield Outgoing(self._topic["clocks"], value, key, None, there)

    def _account(self, batch: Batch, start: int, out: Outcome) -> Outgoing:
        account = out.account
        row = AccountOf(
            batch.topic, batch.partition, start, batch.end, batch.skipped, account.records,
            out.redelivered, account.items, account.events, account.filtered, account.dead_letters,
        )  # fmt: skip
        key = f"{batch.topic}\0{batch.partition}\0{start}".encode()
        return Outgoing(self._topic["accounts"], self._encode["account"](row), key)


def place(estate: str, partitions: int) -> int:
    """The partition of `control` and `clocks` that an estate's records are in."""
    return crc32(estate.encode()) % partitions


@lru_cache(maxsize=4096)
def _name(stream: Stream) -> bytes:
    """What the state of a stream is kept under."""
    parts = [stream.source.encode(), stream.cluster.encode(), stream.host.encode(), stream.origin]
    return digest(16, [b"stream", *parts])
