"""What a file is, whatever it is called: a copied, renamed or compressed file is the same file.

A file is known by its *origin*: the SHA-256 of its first complete line that holds a time, or of
all of it where none does. A line over the limit holds none: nobody reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from pipeline.collectors.documents import Readable
from pipeline.collectors.files import LineReader

Tells = Callable[[bytes], bool]


class Identity(NamedTuple):
    """What is known of a file.

    Attributes:
        origin: 32 bytes.
        recognised: some line is of a kind the asking source reads.
        first: the line the origin was taken from, or empty: no line holds a time.
        at: where that line stands.
        head: its first complete line, or empty.
        empty: nothing is in it.
        broken: why no more of it can be read, or empty.
    """

    origin: bytes
    recognised: bool
    first: bytes
    at: int
    head: bytes
    empty: bool
    broken: str


class _Hashed:
    def __init__(self, file: Readable) -> None:
        self._file = file
        self.hash = sha256()
        self.seen = 0

    def read(self, size: int, /) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        self.seen += len(data)
        return data


class Looking:
    """Finding out what a file is, line by line; goes on where it was when the file has grown.

    Args:
        dated: whether a complete line holds a time.
        ours: whether a line is of a kind that is read.
        longest: bytes a line may have.

    Attributes:
        seen: bytes looked at.
    """

    def __init__(self, file: Readable, dated: Tells, ours: Tells, longest: int) -> None:
        self._file = _Hashed(file)
        self._reader = LineReader(self._file, longest)
        self._dated, self._ours = dated, ours
        self._head = self._first = b""
        self._at = 0
        self._recognised = False

    @property
    def seen(self) -> int:
        return self._file.seen

    def look(self) -> Identity:
        """Read until a line is dated and one is ours, or to the end there is now."""
        while not (self._first and self._recognised):
            records = self._reader.read()
            if not records:
                break
            self._head = self._head or records[0].value
            whole = [record for record in records if record.length < 0 and record.value]
            if not self._first:
                dated = next((record for record in whole if self._dated(record.value)), None)
                self._first, self._at = (dated.value, dated.position) if dated else (b"", 0)
            self._recognised = self._recognised or any(self._ours(r.value) for r in whole)
        # A line without its end may go on: it names nothing, but it may be recognised.
        rest = self._reader.rest()
        if rest is not None and rest.length < 0 and not self._recognised:
            self._recognised = self._ours(rest.value)
        origin = sha256(self._first) if self._first else self._file.hash
        return Identity(
            origin.digest(),
            self._recognised,
            self._first,
            self._at,
            self._head,
            not self._file.seen and not self._reader.broken,
            self._reader.broken,
        )


def identify(file: Readable, dated: Tells, ours: Tells, longest: int) -> Identity:
    """What a file is, from its beginning. See :class:`Looking`."""
    return Looking(file, dated, ours, longest).look()
