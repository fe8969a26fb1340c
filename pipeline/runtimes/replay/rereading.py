"""Rereading: inputs from their beginning into a scratch store, by today's code and configuration.

State is carried over from line to line, so a stream is always read whole. Nothing is detected:
findings rest on all that the store holds, and not only on what is read again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Any, cast

from pipeline.batch import Record, Stream
from pipeline.collectors.documents import Readable
from pipeline.config import Config, Input
from pipeline.runtimes.embedded import Embedded, Summary
from pipeline.runtimes.lanes import Chunk, Course, Lane, Reader, Replay
from pipeline.sinks.sqlite import StreamRow
from pipeline.sinks.sqlite_scratch import Scratch


@dataclass(slots=True)
class Reread:
    """A stream that was read again.

    Attributes:
        number: of the stream, in the scratch store.
        row: where its reading ended, and what its end led to, as a run would keep it.
        positions: of its records, in order.
        marks: the first 64 bits of the SHA-256 of each, without a line break.
    """

    number: int
    stream: Stream
    row: StreamRow
    positions: array[int] = field(default_factory=lambda: array("q"))
    marks: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, records: Iterable[Record]) -> None:
        """Note records that were read."""
        for record in records:
            self.positions.append(record.position)
            said = record.digest or sha256(record.value.rstrip(b"\r\n")).hexdigest()
            self.marks.append(mark(said))

    def order(self) -> None:
        """All were noted. Copies of a file, and what was sent twice, come one after the other."""
        if any(one > other for one, other in pairwise(self.positions)):
            several = sorted(set(zip(self.positions, self.marks, strict=True)))
            self.positions = array("q", (position for position, _ in several))
            self.marks = array("Q", (said for _, said in several))

    def has(self, position: int) -> bool:
        """Whether a record at this position was read."""
        return next(self._at(position), None) is not None

    def holds(self, position: int, digest: str) -> bool:
        """Whether a record of this SHA-256 (hexadecimal) was read at this position."""
        return mark(digest) in self._at(position)

    def _at(self, position: int) -> Iterator[int]:
        place = bisect_left(self.positions, position)
        while place < len(self.positions) and self.positions[place] == position:
            yield self.marks[place]
            place += 1


def mark(digest: str) -> int:
    """What is kept of a SHA-256: of millions of records."""
    return int(digest[:16], 16)


class _Watched:
    """A reader that tells which records it gave out. All else is the reader's own."""

    def __init__(self, reader: Reader, tell: Callable[[Iterable[Record]], None]) -> None:
        self._reader, self._tell = reader, tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, size: int) -> list[Record]:
        records = self._reader.read(size)
        self._tell(records)
        return records

    def rest(self) -> Record | None:
        record = self._reader.rest()
        if record is not None:
            self._tell([record])
        return record


class _Lane(Lane):
    """A lane whose records are told."""

    tell: Callable[[Iterable[Record]], None]

    def course(self, file: Readable, carrier: str) -> Course:
        course = super().course(file, carrier)
        course.reader = cast("Reader", _Watched(course.reader, self.tell))
        return course


class Rereading(Embedded):
    """A bounded run into a scratch store.

    Attributes:
        reread: the streams, once :meth:`run` is done.
    """

    lane_of = _Lane

    def __init__(
        self,
        config: Config,
        inputs: Sequence[Input],
        store: Scratch,
        progress: Callable[[str, int], None],
    ) -> None:
        super().__init__(config, inputs, store, progress)
        self.active = self.judge.active = ()
        self.reread: list[Reread] = []
        self._scratch = store
        self._by_key: dict[bytes, Reread] = {}

    def lanes(self) -> list[Lane]:
        """As of any run, each watched."""
        lanes = super().lanes()
        for number, lane in enumerate(lanes):
            found = Reread(number, lane.stream, lane.row)
            self._by_key[lane.row.key] = found
            cast("_Lane", lane).tell = found.add
            if lane.replay is not None:
                lane.replay = cast("Replay", _Watched(lane.replay, found.add))
        return lanes

    def apply(self, lane: Lane, chunk: Chunk) -> None:
        """Write one chunk, and of which stream it is."""
        super().apply(lane, chunk)
        ids = [event.id for event in chunk.result.events]
        ids += [letter.id for letter in chunk.result.dead_letters]
        self._scratch.place(ids, self._by_key[lane.row.key].number)

    def finish(self, lanes: Iterable[Lane]) -> Summary:
        """The summary; :attr:`reread` is then complete."""
        lanes = list(lanes)
        summary = super().finish(lanes)
        for lane in lanes:
            found = self._by_key[lane.row.key]
            found.row = lane.kept
            found.order()
        self.reread = list(self._by_key.values())
        self._scratch.complete()
        return summary
