"""Files to records: plain or gzip, lines or JSON documents, in bounded memory, resumable.

Positions are those in the lines: decompressed, and of a document one line an element.
"""

from __future__ import annotations

import glob
import gzip
import io
import os
import zlib
from collections.abc import Callable, Container
from hashlib import sha256
from pathlib import Path

from pipeline.batch import HEAD_BYTES, Record
from pipeline.collectors.documents import CutShort, Documents, Readable, is_document
from pipeline.collectors.progress import PROGRESS_ID
from pipeline.errors import InputError
from pipeline.sinks.sqlite_schema import APPLICATION_ID

CHUNK_BYTES = 1024 * 1024
CHECKED_BYTES = 4096
"""How much before a position must be as it was for reading to go on from there."""
_GZIP = b"\x1f\x8b"
_SQLITE = b"SQLite format 3\0"
_APPLICATION_ID_AT = 68


class _Glance:
    """A file from its beginning, whose own position stays as it is."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._descriptor = raw.fileno()
        self._seen = 0

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._descriptor, size, self._seen)
        self._seen += len(data)
        return data


class _Gzip(gzip.GzipFile):
    """Gives out all that could be decompressed before it says why no more can be."""

    _failed: Exception | None = None

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return super().read(size)
        if self._failed is not None:
            raise self._failed
        parts: list[bytes] = []
        while size:
            try:
                data = self.read1(size)
            except (EOFError, OSError, zlib.error) as error:
                if not parts:
                    raise
                self._failed = error
                break
            if not data:
                break
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._failed = None
        return super().seek(offset, whence)


def shown(path: Path) -> str:
    """The path as text that can be stored and sent; a name that is not UTF-8 is escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def unusable(path: Path | str, error: OSError) -> InputError:
    """The error that says an input cannot be read, and why."""
    return InputError(f"the input {path} cannot be read: {error.strerror or error}")


def open_raw(path: Path) -> io.BufferedReader:
    """Open a file for reading, as it lies there.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise unusable(path, error) from error


def is_gzip(raw: io.BufferedReader) -> bool:
    """Whether an open file begins as gzip does. Its position stays as it is."""
    return os.pread(raw.fileno(), len(_GZIP), 0) == _GZIP


def is_whole(raw: io.BufferedReader) -> bool:
    """Whether an open file is of a kind that is written as a whole: gzip or a JSON document.

    Its position stays as it is.
    """
    return is_gzip(raw) or is_document(_Glance(raw))


def opened(raw: io.BufferedReader, owned: bool = False) -> io.BufferedIOBase | Documents:
    """An open file from its beginning, decompressed if it is gzip, whatever it is called, and as
    lines of elements if it is a JSON document. ``owned``: to be closed with what is returned."""
    raw.seek(0)
    if not is_gzip(raw):
        return Documents(raw) if is_document(_Glance(raw)) else raw
    found = is_document(_Gzip(fileobj=raw))
    # Damaged gzip says so only to whoever meets the damage first.
    raw.seek(0)
    unpacked = _Gzip(fileobj=raw)
    if owned:
        unpacked.myfileobj = raw  # type: ignore[assignment]
    return Documents(unpacked) if found else unpacked


def open_stream(path: Path) -> io.BufferedIOBase | Documents:
    """Open a file for reading. See :func:`opened`.

    Raises:
        InputError: it cannot be opened or read.
    """
    raw = open_raw(path)
    try:
        return opened(raw, owned=True)
    except OSError as error:
        raw.close()
        raise unusable(path, error) from error


class LineReader:
    """Records of one open file, from a position on.

    Attributes:
        position: offset behind the last record given out.
        broken: why nothing more can be read, or empty.
    """

    def __init__(self, file: Readable, longest: int) -> None:
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

    def resume(self, position: int, digest: bytes) -> bool | None:
        """Go on at ``position`` if what stands before it has this digest.

        Returns whether it did; None where the file is shorter. It is then at its beginning.
        """
        wanted = min(position, CHECKED_BYTES)
        try:
            self._file.seek(position - wanted)  # type: ignore[attr-defined]
            before = b""
            while len(before) < wanted and (data := self._file.read(wanted - len(before))):
                before += data
        except (OSError, EOFError, zlib.error):
            before = b""
        if len(before) == wanted and sha256(before).digest() == digest:
            self._before, self.position = before, position
            return True
        self._file.seek(0)  # type: ignore[attr-defined]
        return False if len(before) == wanted else None

    def read(self, size: int = CHUNK_BYTES) -> list[Record]:
        """The next complete lines, about ``size`` bytes; empty where there is none (yet)."""
        records: list[Record] = []
        while not records:
            data = self._more(size)
            if not data:
                break
            self._split(data, records)
        return records

    def _more(self, size: int) -> bytes:
        if self.broken:
            return b""
        try:
            return self._file.read(size)
        except CutShort as error:
            self.broken = str(error)
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
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        position, longest = self.position, self._longest
        for line in lines:
            if len(line) > longest:
                digest = sha256(line).hexdigest()
                records.append(Record(line[:HEAD_BYTES], position, len(line), digest))
            else:
                records.append(Record(line, position))
            position += len(line) + 1
        if lines:
            self.position = position
            self._recent = self._before + b"\n".join(lines) + b"\n"
            self._before = self._recent[-CHECKED_BYTES:]
        if len(self._rest) > longest:
            begun, self._rest = self._rest, b""
            self._skip(begun)

    def _skip(self, data: bytes) -> None:
        # As long a head as it has where it was read in one piece.
        self._rest += data[: HEAD_BYTES - len(self._rest)]
        self._hash.update(data)
        self._skipped += len(data)
        self._skipped_tail = (self._skipped_tail + data)[-CHECKED_BYTES:]

    def _oversized(self) -> Record:
        record = Record(self._rest, self.position, self._skipped, self._hash.hexdigest())
        self._before = (self._before + self._skipped_tail + b"\n")[-CHECKED_BYTES:]
        self._recent = self._before
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


def _raise(error: OSError) -> None:
    raise unusable(error.filename, error) from error


def discover(
    path: str, refuse: Callable[[OSError], None] = _raise, known: Container[Path] = ()
) -> list[Path]:
    """Files that ``path`` means: itself, those below a folder, or those a glob matches.

    Hidden files in a folder are left alone, as a shell's glob leaves them, and so are folders
    behind a symbolic link. What we keep ourselves is no input.

    Args:
        refuse: told of folders that cannot be listed.
        known: files that were found before and need no look whether they are a store.

    Raises:
        InputError: there is none, or it is neither file nor folder.
    """
    place, magic = Path(path), glob.has_magic(path)
    try:
        there = place.exists()
    except OSError as error:
        raise unusable(path, error) from error
    if not there and not magic:
        raise InputError(f"the input {path} does not exist; name a file, a folder or a glob")
    named = [place] if there else _globbed(path)
    if not named:
        raise InputError(f"the input {path} matches nothing; name a file, a folder or a glob")
    if there and not (place.is_dir() or place.is_file()):
        raise InputError(f"the input {path} is no file; to read a pipe, write -")
    found: set[Path] = set()
    for each in named:
        found.update(_below(each, refuse) if each.is_dir() else [each])
    return sorted(p for p in found if p.is_file() and (p in known or not _a_store(p)))


def _globbed(pattern: str) -> list[Path]:
    # pathlib takes no absolute pattern.
    return [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207


def _below(folder: Path, refuse: Callable[[OSError], None]) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(where, name) for name in names if not name.startswith(".")]
    return found


def _a_store(path: Path) -> bool:
    """Whether a file is one of those our store consists of: it may lie in the folder read."""
    name = path.name
    for companion in ("-wal", "-shm", "-journal", ".lock"):
        if name.endswith(companion):
            path = path.with_name(name.removesuffix(companion))
            break
    try:
        with path.open("rb") as file:
            head = file.read(_APPLICATION_ID_AT + 4)
    except OSError:
        return False
    ours = APPLICATION_ID.to_bytes(4), PROGRESS_ID.to_bytes(4)
    return head.startswith(_SQLITE) and head[_APPLICATION_ID_AT:] in ours
