"""Files in parcels: what a lane reads, to be sent instead of going through the engine."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Protocol

from pipeline.batch import Ingested, Record
from pipeline.collectors.documents import Readable
from pipeline.collectors.files import CHUNK_BYTES, LineReader
from pipeline.collectors.shipping import key, stream_header
from pipeline.runtimes.lanes import BEFORE_ALL, Chunk, Course, Lane, Stride
from pipeline.stages.recognise import Look

_LOOKED_AT = 4
"""Lines of a parcel among which one with a time is looked for."""


class Asides(Protocol):
    """What is known of files that are shorter than what was sent of their stream."""

    def is_aside(self, key: bytes, digest: bytes) -> bool:
        """Whether a file of this content was sent already."""


class Looks(Protocol):
    """Tells a line."""

    def __call__(self, value: bytes, /) -> Look:
        """What it is."""


@dataclass(slots=True)
class Parcel(Chunk):
    """Records to be sent.

    Attributes:
        records: in order.
        time: of the first that holds one, or of an earlier parcel, in epoch milliseconds.
        anew: the stream begins anew with the first.
        aside: digest of a file that was sent beside its stream, to its end, or empty.
    """

    records: list[Record] = field(default_factory=list)
    time: int = BEFORE_ALL
    anew: bool = False
    aside: bytes = b""

    @property
    def first_time(self) -> int:
        """When the first line was written, as far as that is known."""
        return self.time


@dataclass(slots=True)
class SendingLane(Lane):
    """One stream on its way to a topic.

    Attributes:
        look: tells its lines.
        asides: what was sent beside streams.
        key, header: of its records.
    """

    look: Looks = field(init=False)
    asides: Asides = field(init=False)
    key: bytes = field(init=False)
    header: bytes = field(init=False)

    def __post_init__(self) -> None:
        # Not `super()`: a dataclass with slots is another class than the one written here.
        Lane.__post_init__(self)
        self.key = key(self.stream)
        # What the file was called first: rotated, it is still the same file to whoever reads this.
        self.header = stream_header(replace(self.stream, carrier=self.row.carrier))

    def course(self, file: Readable, carrier: str) -> Course:
        """One of its files, to be sent from here."""
        return Shipment(self, carrier, file, LineReader(file, self.plan.max_record_bytes))


class Shipment(Course):
    """One file of a lane, sent on from where the lane stands.

    A file that is shorter than what was sent (`aside`) is sent as a whole, once: it may hold what
    was in no longer one.
    """

    def __init__(self, lane: SendingLane, carrier: str, file: Readable, reader: LineReader) -> None:
        super().__init__(lane, carrier, file, reader)
        self._sending = lane
        self._read_from = file
        self._time = BEFORE_ALL
        self._anew = self.aside or (lane.kept.position > 0 and lane.row.position == 0)

    def chunks(self, stride: Stride) -> Iterator[Chunk]:
        """Parcels to the end there is now."""
        if not self.aside:
            yield from super().chunks(stride)
            return
        digest = _digest(self._read_from)
        if self._sending.asides.is_aside(self._sending.row.key, digest):
            return
        yield from super().chunks(stride)
        if not self.lost and not self.reader.broken:
            yield Parcel(Ingested(), self, replace(self._row), aside=digest)

    def _chunks(self, records: list[Record], span_ms: int | None) -> Iterator[Chunk]:
        parts = [records] if span_ms is None else list(self._parts(records, span_ms))
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            row, reader = self._row, self.reader
            if following is None:
                row.position, row.digest = reader.position, reader.digest
            else:
                row.position = following[0].position
                row.digest = reader.digest_at(row.position)
            yield self._parcel(part)

    def _parcel(self, records: list[Record]) -> Parcel:
        self._time = _time(self._sending.look, records, self._time)
        anew, self._anew = self._anew, False
        return Parcel(
            Ingested(), self, replace(self._row), records=records, time=self._time, anew=anew
        )

    def _parts(self, records: list[Record], span_ms: int) -> Iterator[list[Record]]:
        """Records in parts, halved until none spans more, so that files can be merged by time."""
        if len(records) > 1:
            look = self._sending.look
            first = _time(look, records, BEFORE_ALL)
            last = _time(look, records[: -_LOOKED_AT - 1 : -1], BEFORE_ALL)
            if first != BEFORE_ALL and last != BEFORE_ALL and abs(last - first) > span_ms:
                middle = len(records) // 2
                yield from self._parts(records[:middle], span_ms)
                yield from self._parts(records[middle:], span_ms)
                return
        yield records

    def end(self) -> Iterator[Chunk]:
        """The end of a bounded input. What is unfinished in a copy goes on in the longer file."""
        if not self.aside:
            yield from super().end()

    def _last(self, records: list[Record]) -> Chunk:
        self._row.position, self._row.digest = self.reader.position, self.reader.digest
        return self._parcel(records)


def _time(look: Looks, records: list[Record], otherwise: int) -> int:
    for record in records[:_LOOKED_AT]:
        found = look(record.value)
        if found.time is not None:
            return found.time
    return otherwise


def _digest(file: Any) -> bytes:
    """Of all that can be read of a file, which is then at its beginning again."""
    found = sha256()
    # A compressed file may be damaged, or end in the middle.
    with suppress(EOFError, OSError, zlib.error):
        while data := file.read(CHUNK_BYTES):
            found.update(data)
    file.seek(0)
    return found.digest()
