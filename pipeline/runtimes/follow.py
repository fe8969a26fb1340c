"""Follow: growing files, through rename, copy-truncate and compression.

A file is watched by device and inode only while this process runs; what it *is* is its origin, so
that a rotated, copied or compressed file is found to be read already, and one that was truncated
under our hand is found to be another. An open file is read to its end before it is let go.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

from pipeline.collectors.files import CHECKED_BYTES, LineReader, discover, identify, open_stream
from pipeline.config import Input
from pipeline.errors import InputError
from pipeline.runtimes.embedded import Embedded, Summary
from pipeline.runtimes.lanes import Lane

POLL_S = 0.5
_GONE_POLLS = 4
"""How often a file that lost its name is looked at once more: its writer may still hold it."""

FileId = tuple[int, int]


@dataclass(slots=True)
class _Tail:
    """One open file and its lane (None: nothing in it is recognised yet)."""

    path: Path
    given: Input
    file: IO[bytes]
    lane: Lane | None = None
    reader: LineReader | None = None
    looked_at: int = -1
    gone: int = 0


def follow(runtime: Embedded) -> Summary:
    """Read what is there, then what comes, until ``runtime.stop``."""
    tails: dict[FileId, _Tail] = {}
    lanes: dict[bytes, Lane] = {}
    try:
        while not runtime.stop:
            _open_new(runtime, tails)
            grew = [_advance(runtime, key, tails, lanes) for key in list(tails)]
            if not any(grew):
                _wait(runtime)
    finally:
        for tail in tails.values():
            tail.file.close()
    return runtime.finish()


def _wait(runtime: Embedded) -> None:
    deadline = time.monotonic() + POLL_S
    while not runtime.stop and time.monotonic() < deadline:
        time.sleep(0.05)


def _open_new(runtime: Embedded, tails: dict[FileId, _Tail]) -> None:
    """Open files that appeared, and mark those that lost their name."""
    named: set[FileId] = set()
    for given in runtime.inputs:
        if given.path == "-":
            raise InputError("standard input cannot be followed; leave --follow out")
        for path in _candidates(given, tails):
            try:
                status = path.stat()
                key = (status.st_dev, status.st_ino)
                named.add(key)
                if key not in tails:
                    tails[key] = _Tail(path, given, open_stream(path))
            except (OSError, InputError):
                # Rotated away between the listing and the look: it comes back under another name.
                continue
    for key in [k for k in tails if k not in named]:
        tails[key].gone += 1
        if tails[key].gone > _GONE_POLLS:
            tails.pop(key).file.close()


def _candidates(given: Input, tails: dict[FileId, _Tail]) -> list[Path]:
    try:
        found = discover(given.path)
    except InputError:
        if not tails:
            raise
        return []
    single = Path(given.path)
    if not single.is_file():
        return found
    # What rotation makes of a single file: read on where it holds more of what was read.
    beside = single.parent.glob(single.name + "?*")
    return found + sorted(p for p in beside if p.is_file() and p.suffix not in (".lock", ".tmp"))


def _advance(
    runtime: Embedded, key: FileId, tails: dict[FileId, _Tail], lanes: dict[bytes, Lane]
) -> bool:
    """Read what one file has more of; whether there was anything."""
    tail = tails[key]
    size = os.fstat(tail.file.fileno()).st_size
    if size == tail.looked_at:
        return False
    if tail.lane is None or not _unchanged(tail, size):
        tail.lane = _identified(runtime, tail, lanes)
        if tail.lane is None:
            tail.looked_at = size
            return False
        tail.file.seek(0)
        tail.reader = tail.lane.open(tail.file)
    lane, reader = tail.lane, tail.reader
    grew = False
    while reader is not None and not runtime.stop and (records := reader.read()):
        chunk = lane.chunk(records, reader.position, reader.digest)
        if lane.row.ending:
            import orjson

            chunk.undone = orjson.loads(lane.row.ending)
        with runtime.store.transaction():
            runtime.apply(lane, chunk)
        grew = True
    tail.looked_at = size
    return grew


def _unchanged(tail: _Tail, size: int) -> bool:
    """Whether the file still holds what was read of it, before what follows is believed."""
    reader = tail.reader
    if reader is None:
        return False
    if tail.file.__class__.__name__ == "GzipFile":
        return True
    if size < reader.position:
        return False
    start = max(0, reader.position - CHECKED_BYTES)
    before = os.pread(tail.file.fileno(), reader.position - start, start)
    return sha256(before).digest() == reader.digest


def _identified(
    runtime: Embedded, tail: _Tail, lanes: dict[bytes, Lane]
) -> Lane | None:
    """The lane of a file, or None where there is nothing to tell it by yet."""
    look = runtime.look(tail.given, str(tail.path))
    tail.file.seek(0)
    what = identify(tail.file, lambda v: look(v).dated, lambda v: look(v).ours)
    if tail.given.source == "auto" and not what.recognised:
        return None
    origin = what.origin
    if not what.first:
        head = tail.file.seek(0) or tail.file.readline()
        if not head.endswith(b"\n"):
            return None
        # No line holds a time, and all of a growing file is not known: its place must do.
        origin = sha256(str(tail.path.absolute()).encode() + b"\0" + head).digest()
    lane = runtime.make(tail.given, tail.path, origin, None)
    return lanes.setdefault(lane.row.key, lane)
