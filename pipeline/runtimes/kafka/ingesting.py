"""Ingest: a batch of a raw partition to events and all else that follows, as records to send.

What is known of a partition is the position behind it, its clocks, and the state of each of its
streams; it is sent in the same transaction as what it led to. Nothing here waits or reads a clock.

State of the partition (JSON): ``{"position", "clocks": {cluster: newest time}}``; of a stream:
``{"stream", "next": offset behind the last line read or -1, "holes": [[from, to], …] before it that
were never read, "ended": its end or [], "state"}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any

import orjson

from pipeline.batch import Account, Ingested, Record, State, Stream
from pipeline.collectors.raw_records import Received, bounded, received
from pipeline.engine import Plan, ingest
from pipeline.runtimes.kafka.leading import Leading
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.remembered import Remembered
from pipeline.runtimes.kafka.states import PARTITION, States
from pipeline.runtimes.kafka.transport import Batch
from pipeline.stages.detect import Active, Sighter
from pipeline.stages.identify import digest
from pipeline.streaming import RawTopic, Streaming
from schemas.types import AccountOf, Clock

_NOWHERE = -1
MOST_STREAMS = 10_000
"""Of a partition, that are remembered; the one longest unseen is given up first."""
_PARTS = attrgetter("source", "cluster", "host", "origin", "carrier", "zone")
_MOST_HOLES = 16
"""Of a stream, that are remembered; of more, the earliest are taken for read."""
_SLICE = 256
"""Records that become bytes together; what the engine takes at once, too."""


@dataclass(slots=True)
class _Known:
    """What is known of one stream."""

    stream: Stream
    next: int = _NOWHERE
    ended: list[Any] = field(default_factory=list)
    state: State = field(default_factory=dict)
    holes: list[list[int]] = field(default_factory=list)

    def was_read(self, position: int) -> bool:
        """Whether the line there was read. Who sends may have failed to send some, and gone on:
        sent again, those are no repetition."""
        return position < self.next and not any(a <= position < b for a, b in self.holes)

    def read(self, position: int, behind: int) -> None:
        """A line from one position up to another is read."""
        if position < self.next:
            left = [
                part
                for a, b in self.holes
                for part in ([[a, position], [behind, b]] if a <= position < b else [[a, b]])
            ]
            self.holes = [[a, b] for a, b in left if a < b]
            return
        if self.next not in (_NOWHERE, position):
            self.holes = [*self.holes, [self.next, position]][-_MOST_HOLES:]
        self.next = behind

    def frozen(self) -> bytes:
        """JSON of it."""
        source, cluster, host, origin, carrier, zone = _PARTS(self.stream)
        stream = source, cluster, host, origin.hex(), carrier, zone
        said = {"stream": stream, "next": self.next, "ended": self.ended, "state": self.state}
        return orjson.dumps(said | {"holes": self.holes})

    @classmethod
    def thawed(cls, frozen: bytes) -> _Known:
        """As it was."""
        said = orjson.loads(frozen)
        source, cluster, host, origin, carrier, zone = said.pop("stream")
        stream = Stream(source, cluster, host, bytes.fromhex(origin), carrier, zone)
        return cls(stream, **said)


class RawPartition:
    """What is known of one partition of a raw topic, from assignment to revocation.

    Args:
        kept: what `States.load` gave.
    """

    def __init__(self, kept: Mapping[bytes, bytes]) -> None:
        said = orjson.loads(kept.get(PARTITION, b"{}"))
        self.position: int | None = said.get("position")
        self.clocks: dict[str, int] = said.get("clocks", {})
        self.streams = Remembered(kept, _Known.thawed, _Known.frozen, MOST_STREAMS)

    def stream(self, stream: Stream) -> _Known:
        """What is known of a stream, to be changed."""
        return self.streams.of(_name(stream), lambda: _Known(stream))

    def frozen(self) -> bytes:
        """The partition's own state."""
        return orjson.dumps({"position": self.position, "clocks": self.clocks})


@dataclass(slots=True)
class _Counted:
    """What is counted over a batch."""

    account: Account = field(default_factory=Account)
    redelivered: int = 0
    newest: dict[str, int] = field(default_factory=dict)
    forgotten: list[bytes] = field(default_factory=list)

    def add(self, result: Ingested) -> None:
        self.account.add(result.account)
        # As far as no client can have made it up.
        times = [event.time for event in result.events if not event.suspect]
        if times:
            # What comes of a stream is of its cluster.
            cluster = result.events[0].cluster
            self.newest[cluster] = max(self.newest.get(cluster, _NOWHERE), *times)


class Ingesting:
    """The role's work, for all partitions.

    Args:
        leading: makes records of rows.
    """

    def __init__(
        self,
        plan: Plan,
        active: Active,
        streaming: Streaming,
        states: States,
        leading: Leading,
    ) -> None:
        self._plan, self._active, self._streaming = plan, active, streaming
        self._states, self._leading = states, leading
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
        counted, sighter = _Counted(), Sighter(self._active)
        for result in self._read(part, batch, records, counted):
            counted.add(result)
            batch.tally.see(result.events)
            yield from self._leading.events(result.events)
            yield from self._leading.observations(sighter.see(result.events))
            yield from map(self._leading.letter, result.dead_letters)
        part.position = batch.end
        yield from self._leading.observations(sighter.successes())
        yield from self._time(part, batch, counted.newest)
        yield self._account(batch, start, counted)
        for name in counted.forgotten:
            yield self._states.record(batch.topic, batch.partition, name, None)
        for name, state in part.streams.freeze():
            yield self._states.record(batch.topic, batch.partition, name, state)
        yield self._states.record(batch.topic, batch.partition, PARTITION, part.frozen())
        batch.tally.state[batch.topic, batch.partition] = part.streams.size

    # Reading.

    def _read(
        self, part: RawPartition, batch: Batch, records: Iterable[Any], counted: _Counted
    ) -> Iterator[Ingested]:
        """What records led to, some at a time: it is still in the processor's cache when it is
        written."""
        raw = self._raw(batch.topic)
        streams: dict[Stream, list[Received]] = {}
        for record in records:
            found = received(
                raw, batch.topic, batch.partition, record.key, record.value, record.headers,
                record.offset, record.timestamp,
            )  # fmt: skip
            of_stream = streams.get(found.stream)
            if of_stream is None:
                of_stream = streams[found.stream] = []
            of_stream.append(found)
        for stream, several in streams.items():
            yield from self._read_stream(stream, part.stream(stream), several, counted)
        for name, known in part.streams.superfluous():
            counted.forgotten.append(name)
            # What waits for more is given up, and says so.
            yield ingest(self._plan, known.stream, [], known.state, final=True)

    def _read_stream(
        self, stream: Stream, known: _Known, several: Iterable[Received], counted: _Counted
    ) -> Iterator[Ingested]:
        longest = self._plan.max_record_bytes
        fresh: list[Record] = []
        for found in several:
            if found.anew or found.end or len(fresh) == _SLICE:
                yield from self._run(stream, known, fresh)
                fresh = []
            if found.anew:
                known.next, known.ended, known.state, known.holes = _NOWHERE, [], {}, []
            if found.end:
                yield from self._end(stream, known, found, counted)
            elif found.placed and known.was_read(found.record.position):
                counted.redelivered += 1
            else:
                fresh.append(bounded(found.record, longest))
                if found.placed:
                    known.read(found.record.position, found.behind)
        yield from self._run(stream, known, fresh)

    def _run(self, stream: Stream, known: _Known, records: Sequence[Record]) -> Iterator[Ingested]:
        if records:
            result = ingest(self._plan, stream, records, known.state)
            known.state = result.state
            yield result

    def _end(
        self, stream: Stream, known: _Known, end: Received, counted: _Counted
    ) -> Iterator[Ingested]:
        """What the end of a bounded input leads to. The stream stays before what is unfinished
        there, for the input may grow."""
        rest = end.record
        ended = [rest.position, sha256(rest.value).hexdigest(), rest.broken]
        if ended == known.ended or rest.position < known.next:
            counted.redelivered += 1
            return
        known.ended = ended
        state = orjson.loads(orjson.dumps(known.state))
        records = [bounded(record, self._plan.max_record_bytes) for record in end.records]
        yield ingest(self._plan, stream, records, state, final=True)

    # What goes out.

    def _time(
        self, part: RawPartition, batch: Batch, newest: Mapping[str, int]
    ) -> Iterator[Outgoing]:
        """How far clusters have come."""
        for cluster, time in newest.items():
            if time > part.clocks.get(cluster, _NOWHERE):
                part.clocks[cluster] = time
                yield self._leading.clock(Clock(batch.topic, batch.partition, cluster, time))

    def _account(self, batch: Batch, start: int, counted: _Counted) -> Outgoing:
        account = counted.account
        row = AccountOf(
            batch.topic, batch.partition, start, batch.end, batch.skipped, account.records,
            counted.redelivered, account.items, account.events, account.filtered,
            account.dead_letters,
        )  # fmt: skip
        batch.tally.account = row
        return self._leading.account(row)


@lru_cache(maxsize=4096)
def _name(stream: Stream) -> bytes:
    """What the state of a stream is kept under."""
    parts = [stream.source.encode(), stream.cluster.encode(), stream.host.encode(), stream.origin]
    return digest(16, [b"stream", *parts])
