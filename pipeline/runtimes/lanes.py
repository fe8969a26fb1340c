"""Lanes: one per stream, from a file's bytes to chunks the store can take.

A lane holds what the store knows of a stream, reads the file on from there, and runs the engine
over it. A chunk carries everything the store needs to be right at its end: position, digest and
the stream's state. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

import orjson

from pipeline.batch import Account, Ingested, Record, Stream
from pipeline.collectors.files import LineReader, open_stream
from pipeline.engine import Plan, ingest
from pipeline.sinks.sqlite import StreamRow


@dataclass(slots=True)
class Chunk:
    """A batch that went through the engine, and where the stream stands behind it.

    ``ending``: what an input's end led to; undone when the file has grown since.
    ``undone``: the ending before, to be taken back first.
    """

    result: Ingested
    position: int
    digest: bytes
    state: bytes
    ending: dict[str, object] | None = None
    undone: dict[str, object] | None = None

    @property
    def first_time(self) -> int:
        """Earliest event time, or a time before all others where there is no event."""
        return min((e.time for e in self.result.events), default=-(2**62))


@dataclass(slots=True)
class Lane:
    """One stream and the files that hold it (copies and grown versions of one another).

    Attributes:
        start: time of its first dated line, or None.
        row: the stream's row in the store, or a fresh one.
    """

    plan: Plan
    stream: Stream
    files: list[Path]
    start: int | None
    row: StreamRow
    account: Account = field(default_factory=Account)
    complaints: list[str] = field(default_factory=list)
    bytes_read: int = 0
    spooled: IO[bytes] | None = None

    def __post_init__(self) -> None:
        if self.row.account:
            self.account = Account(**orjson.loads(self.row.account))
        readers = ",".join(self.plan.sources)
        if self.row.readers != readers:
            if any(rule.startswith("unread:") for rule in self.account.filtered):
                # A source that was not there then reads what had to be passed over.
                self.row.position, self.row.state, self.row.ending = 0, b"{}", b""
                self.account = Account()
            self.row.readers = readers

    def chunks(self, span_ms: int | None) -> Iterator[Chunk]:
        """Every chunk of every file, to the end of each.

        Args:
            span_ms: no chunk spans more event time than this, or None: as it comes.
        """
        for path in self.files:
            self.stream = _renamed(self.stream, str(path))
            self.row.carrier = str(path)
            reader = self.open(self.spooled or open_stream(path))
            try:
                yield from self._file(reader, span_ms)
            finally:
                reader.close()

    def open(self, file: IO[bytes]) -> LineReader:
        """A reader that goes on where the store left off, if the file is still as it was."""
        reader = LineReader(file, self.plan.max_record_bytes)
        if self.row.position and not reader.resume(self.row.position, self.row.digest):
            self.row.position, self.row.state, self.row.ending = 0, b"{}", b""
        return reader

    def _file(self, reader: LineReader, span_ms: int | None) -> Iterator[Chunk]:
        records = reader.read()
        ending = orjson.loads(self.row.ending) if self.row.ending else None
        if ending is not None and not records and _tail(reader) == ending["tail"]:
            return
        while records:
            for part, position, digest in self._parts(records, reader, span_ms):
                chunk = self.chunk(part, position, digest)
                chunk.undone, ending = ending, None
                yield chunk
            records = reader.read()
        last = self.end(reader)
        last.undone = ending
        yield last

    def _parts(
        self, records: list[Record], reader: LineReader, span_ms: int | None
    ) -> Iterator[tuple[list[Record], int, bytes]]:
        if span_ms is None:
            yield records, reader.position, reader.digest
            return
        trial = ingest(self.plan, self.stream, records, orjson.loads(self.row.state))
        cuts = _cuts(trial, span_ms)
        starts = [r.position for r in records]
        begin = 0
        for cut in cuts:
            place = starts.index(cut)
            if place > begin:
                yield records[begin:place], cut, reader.digest_at(cut)
                begin = place
        yield records[begin:], reader.position, reader.digest

    def chunk(self, records: list[Record], position: int, digest: bytes) -> Chunk:
        """Run the engine over records of this stream, from the state it is in."""
        state = orjson.loads(self.row.state)
        result = ingest(self.plan, self.stream, records, state)
        self.row.state = orjson.dumps(result.state)
        self.bytes_read = position
        return Chunk(result, position, digest, self.row.state)

    def end(self, reader: LineReader) -> Chunk:
        """What the end of a bounded input leads to. The stream's own state stays before it."""
        rest = reader.rest()
        state = orjson.loads(self.row.state)
        records = [rest] if rest is not None else []
        result = ingest(self.plan, self.stream, records, state, final=True)
        if reader.broken:
            self.complaints.append(f"{self.stream.carrier}: {reader.broken} at byte {reader.position}")
        ending: dict[str, object] = {
            "tail": _tail(reader),
            "account": asdict(result.account),
            "events": [e.id.hex() for e in result.events],
            "dead_letters": [d.id.hex() for d in result.dead_letters],
        }
        return Chunk(result, reader.position, reader.digest, self.row.state, ending)


def _renamed(stream: Stream, carrier: str) -> Stream:
    return Stream(
        stream.source, stream.cluster, stream.host, stream.origin, carrier, stream.zone
    )


def _tail(reader: LineReader) -> str:
    rest = reader.rest()
    if rest is None:
        return ""
    said = f"{rest.length} {rest.digest} {rest.broken} ".encode()
    return sha256(said + rest.value).hexdigest()


def _cuts(trial: Ingested, span_ms: int) -> list[int]:
    """Record positions at which a new part begins, so that none spans more than ``span_ms``."""
    cuts: list[int] = []
    first: int | None = None
    last_position = -1
    for event in trial.events:
        position = event.carriage.position
        if first is None:
            first = event.time
        elif abs(event.time - first) > span_ms and position > last_position:
            cuts.append(position)
            first = event.time
        last_position = position
    return cuts
