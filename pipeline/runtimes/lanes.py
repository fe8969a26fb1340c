"""Lanes: one per stream, from a file's bytes to chunks the store can take.

A lane knows what the store knows of a stream. A *course* reads one of the stream's files on from
there and runs the engine over it; a chunk carries everything the store needs to be right at its
end. Nothing here writes, so a course may run ahead of the store in another thread; what only the
writer knows (account, ending, the row as it is kept) is the writer's alone.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import orjson

from pipeline.batch import Account, Ingested, Record, Stream
from pipeline.collectors.documents import Readable
from pipeline.collectors.files import CHUNK_BYTES, LineReader, open_stream, shown
from pipeline.engine import Plan, ingest
from pipeline.errors import InputError
from pipeline.sinks.sqlite import StreamRow
from schemas.types import Event

BEFORE_ALL = -(2**62)
_UNREAD = "unread:"
_WAITING_BYTES = 8 * CHUNK_BYTES
_LEAST_BYTES = 64 * 1024


@dataclass(slots=True)
class Stride:
    """How much a chunk holds.

    Attributes:
        span_ms: of event time, or None: any.
        lanes: how many are being read side by side.
    """

    span_ms: int | None = None
    lanes: int = 1

    @property
    def size(self) -> int:
        """Bytes, so that what lies read and waiting in all lanes stays within bounds."""
        return max(_LEAST_BYTES, min(CHUNK_BYTES, _WAITING_BYTES // max(self.lanes, 1)))


class Tail(NamedTuple):
    """The end of a bounded input: what stood unfinished there, and where that began."""

    position: int
    digest: str


class Reader(Protocol):
    """What a course reads records with. See :class:`pipeline.collectors.files.LineReader`."""

    position: int
    broken: str

    @property
    def digest(self) -> bytes:
        """Of the bytes before ``position``; empty where they are not known."""

    def digest_at(self, position: int) -> bytes:
        """Of the bytes before a record's position that was given out last."""

    def resume(self, position: int, digest: bytes) -> bool | None:
        """Go on at ``position``; whether it did, None where there is less than that."""

    def read(self, size: int) -> list[Record]:
        """The next records, about ``size`` bytes; empty where there is none."""

    def rest(self) -> Record | None:
        """What stands unfinished at the end, or None."""


class Replay(Reader, Protocol):
    """A stream's records out of recorded topics, in parts: each time it ended, a part ends.

    Attributes:
        anew: the stream begins anew with the part at hand.
        ended: the part was read to its end, and that is news.
    """

    anew: bool
    ended: bool

    def more(self) -> bool:
        """Go on to the next part, if there is one."""


@dataclass(slots=True)
class Chunk:
    """A batch that went through the engine, and where the stream stands behind it.

    Attributes:
        course: what it was read on.
        row: the stream's row behind it, but for what the writer knows.
        undo: the input went on behind what was taken for its end: take that back first.
        tail: it is a bounded input's end.
    """

    result: Ingested
    course: Course
    row: StreamRow
    undo: bool = False
    tail: Tail | None = None

    @property
    def first_time(self) -> int:
        """Earliest event time, or a time before all others where there is no event."""
        return min((e.time for e in self.result.events), default=BEFORE_ALL)


@dataclass(slots=True)
class Lane:
    """One stream and the files that hold it (copies and grown versions of one another).

    Attributes:
        start: time of its first dated line in epoch milliseconds, or a time before all others.
        row: where this lane stands; ahead of the store by the chunks it has given out.
        mark: where the line stands that its files are known by, and that line.
        files: a bounded input's, the longest first: a shorter copy then has nothing to add.
        pipe: what is read in the place of files, from the beginning.
        replay: its records in recorded topics.
        tail: the end the row's ending is about, or None.
        kept, account, ending: the writer's: the row as the store has it, what was counted in this
            stream, and what its end led to.
        complaints: what a person should know.
        refused: files that could not be read any more.
    """

    plan: Plan
    stream: Stream
    start: int
    row: StreamRow
    mark: tuple[int, bytes] = (0, b"")
    files: list[Path] = field(default_factory=list)
    pipe: Readable | None = None
    replay: Replay | None = None
    tail: Tail | None = None
    kept: StreamRow = field(init=False)
    account: Account = field(default_factory=Account)
    ending: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept, self.row = self.row, replace(self.row)
        if self.kept.account:
            self.account = Account(**orjson.loads(self.kept.account))
        if self.kept.ending:
            self.ending = orjson.loads(self.kept.ending)
            self.tail = Tail(*self.ending["tail"])
        readers = ",".join(self.plan.sources)
        if self.row.readers != readers and self.unread():
            # A source that was not there then reads what had to be passed over.
            self.restart()
            _count_no_unread(self.account)
            if self.ending:
                ended = Account(**self.ending["account"])
                _count_no_unread(ended)
                self.ending["account"] = asdict(ended)
        self.row.readers = readers

    def unread(self) -> dict[str, int]:
        """Lines by logger that state audit facts which no source reads yet."""
        rules = self.account.filtered.items()
        return {r.removeprefix(_UNREAD): n for r, n in rules if r.startswith(_UNREAD)}

    def restart(self) -> None:
        """Read from the beginning. What was read before is known by its ids."""
        self.row = blank(self.row)

    def chunks(self, stride: Stride) -> Iterator[Chunk]:
        """Every chunk of every file, to the end of each."""
        if self.pipe is not None:
            # A pipe cannot be resumed.
            self.restart()
            yield from self._whole(self.course(self.pipe, "-"), stride)
        for path in self.files:
            try:
                file = open_stream(path)
            except InputError as error:
                self.refused.append(str(error))
                continue
            with file:
                yield from self._whole(self.course(file, shown(path)), stride)
        if self.replay is not None:
            yield from self._replayed(self.replay, stride)

    def course(self, file: Readable, carrier: str) -> Course:
        """One of its files, to be read on from here."""
        return Course(self, carrier, file, LineReader(file, self.plan.max_record_bytes))

    def _replayed(self, replay: Replay, stride: Stride) -> Iterator[Chunk]:
        while replay.more():
            if replay.anew:
                self.restart()
            course = Course(self, self.stream.carrier, None, replay)
            yield from course.chunks(stride)
            if replay.ended:
                yield from course.end()

    def _whole(self, course: Course, stride: Stride) -> Iterator[Chunk]:
        yield from course.chunks(stride)
        if course.lost:
            said = "was written over while it was read; run again for what it holds now"
            self.complaints.append(f"{course.carrier}: {said}")
        else:
            yield from course.end()


def blank(row: StreamRow) -> StreamRow:
    """The row of a stream of which nothing was read."""
    return replace(row, position=0, digest=b"", state=b"{}")


def _count_no_unread(account: Account) -> None:
    """Take out what was passed over for want of a source: it is counted anew."""
    for rule in [r for r in account.filtered if r.startswith(_UNREAD)]:
        account.items -= account.filtered.pop(rule)


class Course:
    """One file of a lane, read on from where the lane stands, if the file is still as it was.

    Attributes:
        aside: the file is shorter than what was read of the stream already: another state of
            it, or a copy in the making. It is read from its beginning, beside the stream, which
            stays where it was.
        diverged: the writer found something new in a file that is read aside.
        lost: the file became another one under our hand.
    """

    def __init__(self, lane: Lane, carrier: str, file: Readable | None, reader: Reader) -> None:
        self._lane = lane
        self._file = file
        self.carrier = carrier
        self._stream = replace(lane.stream, carrier=carrier)
        self.reader = reader
        self.aside = self.diverged = self.lost = False
        row = lane.row
        if row.position:
            resumed = self.reader.resume(row.position, row.digest)
            self.aside = resumed is None
            if resumed is False:
                lane.restart()
        self._row = blank(row) if self.aside else lane.row

    def ahead(self) -> bool:
        """Whether the stream was read further, or anew, through another file."""
        row = self._lane.row
        return not self.aside and (row is not self._row or row.position != self.reader.position)

    def chunks(self, stride: Stride) -> Iterator[Chunk]:
        """Chunks to the end there is now."""
        while records := self.reader.read(stride.size):
            if not self._intact():
                self.lost = True
                return
            for chunk in self._chunks(records, stride.span_ms):
                tail = self._lane.tail
                if tail is not None and not self.aside and chunk.row.position > tail.position:
                    chunk.undo, self._lane.tail = True, None
                yield chunk
        # An end may be one that a truncation made.
        self.lost = not self._intact()

    def _intact(self) -> bool:
        """Whether what was just read is of the file that was known: nobody truncated it before.

        A writer may have filled it again, past where we were. What was truncated stands elsewhere.
        """
        at, line = self._lane.mark
        if not isinstance(self._file, io.BufferedReader):
            return True
        return os.pread(self._file.fileno(), len(line), at) == line

    def _chunks(self, records: list[Record], span_ms: int | None) -> Iterator[Chunk]:
        state = self._row.state
        result = ingest(self._lane.plan, self._stream, records, orjson.loads(state))
        cuts = _cuts(result.events, span_ms) if span_ms is not None else []
        if not cuts:
            yield self._chunk(result, self.reader.position, self.reader.digest)
            return
        places = {record.position: n for n, record in enumerate(records)}
        begin = 0
        for cut in [*cuts, self.reader.position]:
            stop = places.get(cut, begin) if cut != self.reader.position else len(records)
            if stop > begin:
                state = orjson.loads(self._row.state)
                result = ingest(self._lane.plan, self._stream, records[begin:stop], state)
                yield self._chunk(result, cut, self.reader.digest_at(cut))
                begin = stop

    def _chunk(self, result: Ingested, position: int, digest: bytes) -> Chunk:
        row = self._row
        row.state, row.position, row.digest = orjson.dumps(result.state), position, digest
        row.carrier = self.carrier
        return Chunk(result, self, replace(row))

    def end(self) -> Iterator[Chunk]:
        """What the end of a bounded input leads to, if anything that was not known already.

        The stream's own state and position stay before what is unfinished there.
        """
        lane, reader, row = self._lane, self.reader, self._row
        if reader.broken:
            where = f"{self.carrier}: {reader.broken}, at byte {reader.position:,}"
            lane.complaints.append(f"{where}; what stands before that is read")
        rest = reader.rest()
        tail = Tail(reader.position, _unfinished(rest, row.readers))
        if tail == lane.tail:
            return
        chunk = self._last([rest] if rest is not None else [])
        chunk.tail, chunk.undo = tail, lane.tail is not None and not self.aside
        if not self.aside:
            lane.tail = tail
        yield chunk

    def _last(self, records: list[Record]) -> Chunk:
        """What the end leads to."""
        row, state = self._row, orjson.loads(self._row.state)
        result = ingest(self._lane.plan, self._stream, records, state, final=True)
        row.position, row.digest = self.reader.position, self.reader.digest
        row.carrier = self.carrier
        return Chunk(result, self, replace(row))


def _unfinished(rest: Record | None, readers: str) -> str:
    if rest is None:
        return readers
    said = f"{rest.length} {rest.digest} {rest.broken} ".encode()
    return f"{readers} {sha256(said + rest.value).hexdigest()}"


def _cuts(events: Iterable[Event], span_ms: int) -> list[int]:
    """Record positions at which a new part begins, so that none spans more than ``span_ms``."""
    cuts: list[int] = []
    first: int | None = None
    for event in events:
        if first is None:
            first = event.time
        elif abs(event.time - first) > span_ms:
            cuts.append(event.carriage.position)
            first = event.time
    return cuts
