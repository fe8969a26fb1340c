"""Files, plain or gzip, to records: in bounded memory, resumable, the same under any name.

A file is known by its *origin*: the SHA-256 of its first complete line that holds a time, or of
all of it where none does. A copied, renamed or compressed file is the same file; positions count
bytes of the decompressed stream.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.batch import Record
from pipeline.errors import InputError

CHUNK_BYTES = 1024 * 1024
CHECKED_BYTES = 4096
"""How much before a position must be as it was for reading to go on from there."""
_HEAD_BYTES = 4096
_GZIP = b"\x1f\x8b"


class Identity(NamedTuple):
    """What a file is, whatever it is called.

    Attributes:
        origin: 32 bytes.
        recognised: some line is of a kind the asking source reads.
        first: the line the origin was taken from, or empty: no line holds a time.
    """

    origin: bytes
    recognised: bool
    first: bytes


def open_stream(path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed if it is gzip.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        file = path.open("rb")
        compressed = file.read(2) == _GZIP
        file.seek(0)
    except OSError as error:
        raise InputError(f"the input {path} cannot be read: {error.strerror}") from error
    return gzip.GzipFile(fileobj=file) if compressed else file  # type: ignore[return-value]


class LineReader:
    """Records of one open file, from a position on.

    Attributes:
        position: offset behind the last record given out.
        broken: why nothing more can be read, or empty.
    """

    def __init__(self, file: IO[bytes], longest: int) -> None:
        self._file = file
        self._longest = longest
        self._rest = b""
        self._before = b""
        self._recent = b""
        self._skipped = 0
        self._skipped_tail = b""
        self._hash = sha256()
        self.position = 0
        self.broken = ""

    @property
    def digest(self) -> bytes:
        """Of the bytes before ``position``."""
        return sha256(self._before).digest()

    def digest_at(self, position: int) -> bytes:
        """Of the bytes before a record's position that was given out last."""
        back = self.position - position
        held = self._recent[: len(self._recent) - back]
        return sha256(held[-CHECKED_BYTES:]).digest()

    def resume(self, position: int, digest: bytes) -> bool:
        """Go on at ``position`` if what stands before it has this digest; whether it did."""
        try:
            self._file.seek(max(0, position - CHECKED_BYTES))
            before = self._file.read(min(position, CHECKED_BYTES))
        except (OSError, EOFError, zlib.error):
            before = b""
        if len(before) == min(position, CHECKED_BYTES) and sha256(before).digest() == digest:
            self._before, self.position = before, position
            return True
        self._file.seek(0)
        return False

    def read(self) -> list[Record]:
        """The next complete lines, about a megabyte; empty where there is none (yet)."""
        records: list[Record] = []
        while not records:
            data = self._more()
            if not data:
                break
            self._split(data, records)
        return records

    def _more(self) -> bytes:
        if self.broken:
            return b""
        try:
            return self._file.read(CHUNK_BYTES)
        except EOFError:
            self.broken = "the gzip file ends in the middle"
        except (zlib.error, gzip.BadGzipFile) as error:
            self.broken = f"the gzip file is damaged: {error}"
        except OSError as error:
            self.broken = f"reading failed: {error.strerror or error}"
        return b""

    def _split(self, data: bytes, records: list[Record]) -> None:
        if self._skipped:
            end = data.find(b"\n")
            if end < 0:
                self._skip(data)
                return
            self._skip(data[:end])
            records.append(self._oversized())
            data = data[end + 1 :]
            lines = data.split(b"\n")
        else:
            lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        position, longest = self.position, self._longest
        for line in lines:
            if len(line) > longest:
                digest = sha256(line).hexdigest()
                records.append(Record(line[:_HEAD_BYTES], position, len(line), digest))
            else:
                records.append(Record(line, position))
            position += len(line) + 1
        if lines:
            self.position = position
            self._remember(lines)
        if len(self._rest) > longest:
            rest, self._rest = self._rest, b""
            self._skip(rest)
            self._rest = rest[:_HEAD_BYTES]

    def _remember(self, lines: list[bytes]) -> None:
        self._recent = self._before + b"\n".join(lines) + b"\n"
        self._before = self._recent[-CHECKED_BYTES:]

    def _skip(self, data: bytes) -> None:
        self._hash.update(data)
        self._skipped += len(data)
        self._skipped_tail = (self._skipped_tail + data)[-CHECKED_BYTES:]

    def _oversized(self) -> Record:
        record = Record(self._rest, self.position, self._skipped, self._hash.hexdigest())
        self._before = (self._before + self._skipped_tail + b"\n")[-CHECKED_BYTES:]
        self.position += self._skipped + 1
        self._rest, self._skipped, self._hash, self._skipped_tail = b"", 0, sha256(), b""
        return record

    def rest(self) -> Record | None:
        """What stands behind the last line break, or None. The position stays before it."""
        if self._skipped:
            return Record(self._rest, self.position, self._skipped, self._hash.hexdigest())
        if self._rest or self.broken:
            return Record(self._rest, self.position, broken=self.broken)
        return None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def identify(
    file: IO[bytes], dated: Callable[[bytes], bool], ours: Callable[[bytes], bool]
) -> Identity:
    """What a file is. Reads until a line is dated and one is ours, or to the end.

    Args:
        dated: whether a complete line holds a time.
        ours: whether a line is of a kind that is read.
    """
    whole, origin, first, recognised = sha256(), b"", b"", False
    rest, at_end = b"", False
    while not (origin and recognised):
        try:
            data = file.read(CHUNK_BYTES)
        except (OSError, EOFError, zlib.error):
            data = b""
        whole.update(data)
        at_end = not data
        lines = (rest + data).split(b"\n")
        # A line without its end may go on: it names nothing, but it may be recognised.
        rest = b"" if at_end else lines.pop()
        complete = lines[:-1] if at_end else lines
        if not origin:
            first = next((line for line in complete if dated(line)), b"")
            origin = sha256(first).digest() if first else b""
        recognised = recognised or any(ours(line) for line in lines if line)
        if len(rest) > CHUNK_BYTES:
            rest = rest[:CHUNK_BYTES]
        if at_end:
            break
    return Identity(origin or whole.digest(), recognised, first)


def discover(path: str) -> list[Path]:
    """Files that ``path`` means: itself, those below a folder, or those a glob matches.

    Raises:
        InputError: there is none.
    """
    place = Path(path)
    if place.is_dir():
        found = [
            Path(folder, name)
            for folder, folders, names in os.walk(place)
            for name in names
            if not name.startswith(".") and (folders.sort() or True)
        ]
    elif place.exists():
        found = [place]
    else:
        anchor = Path(place.anchor) if place.is_absolute() else Path()
        pattern = str(place.relative_to(place.anchor)) if place.is_absolute() else path
        magic = any(c in path for c in "*?[")
        found = list(anchor.glob(pattern)) if magic else []
        if not found:
            what = "matches nothing" if magic else "does not exist"
            raise InputError(f"the input {path} {what}; name a file, a folder or a glob")
    return sorted(p for p in found if p.is_file() and not _a_store(p))


def _a_store(path: Path) -> bool:
    """Whether a file is SQLite's: a store of ours lies in the folder that is read."""
    if path.name.endswith(("-wal", "-shm", ".lock")):
        return True
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


class Spooled(io.RawIOBase):
    """Standard input with its beginning given back, so that it can be looked at twice."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = io.BytesIO(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """What was looked at first, then what follows."""
        data = self._head.read(size)
        if data:
            return data
        reader = getattr(self._rest, "read1", self._rest.read)
        return bytes(reader(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Only back to the beginning, before anything new was read."""
        return self._head.seek(0)
