"""Follow: growing files, through rename, copy-truncate and compression.

A file is watched by device and inode only while this process runs; what it *is* is its origin, so
that a rotated, copied or compressed file is found to be read already, and one that was truncated
under our hand is found to be another. Each poll reads, merged by time, what has come since the one
before; the first reads what was there. An open file is read to its end before it is let go.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import Any

from pipeline.collectors.files import (
    CHECKED_BYTES,
    discover,
    is_whole,
    open_raw,
    opened,
    shown,
)  # fmt: skip
from pipeline.collectors.identity import Identity, Looking
from pipeline.config import Input
from pipeline.errors import ArgumentError, InputError
from pipeline.runtimes.inputs import Inputs
from pipeline.runtimes.lanes import Chunk, Course, Lane, Stride

POLL_S = 0.5
_GONE_POLLS = 4
"""How often a file that lost its name is looked at once more: its writer may still hold it."""
_QUIET_POLLS = 20
"""After how many polls a file that does not grow is closed. A change opens it again."""
_MOST_OPEN = 256
_UNFINISHED = (".lock", ".tmp", ".swp", ".part")

FileId = tuple[int, int]
Stat = tuple[int, int]
_NEVER = (-1, -1)


@dataclass(slots=True)
class _Tail:
    """One file, whatever it is called at the moment.

    Attributes:
        now, before: size and time of change at this poll and at the one before.
        seen: the same when it was last read to its end, or found to hold nothing to read.
    """

    given: Input
    path: Path
    now: Stat
    before: Stat = _NEVER
    seen: Stat = _NEVER
    raw: BufferedReader | None = None
    looking: Looking | None = None
    what: Identity | None = None
    lane: Lane | None = None
    course: Course | None = None
    gone: int = 0
    quiet: int = 0


def follow(runtime: Inputs, between: Callable[[], None] | None = None) -> Any:
    """Read what is there, then what comes, until ``runtime.stop``.

    Args:
        between: returns when it is time for the next poll; half a second later unless given.

    Raises:
        ArgumentError: an input is standard input or a topic.
        InputError: an input's folder does not exist.
        StoreError: the store cannot be written.
    """
    if any(given.path == "-" for given in runtime.inputs):
        raise ArgumentError("standard input cannot be followed: leave --follow out, or name a file")
    for given in runtime.inputs:
        if given.topic:
            raise ArgumentError(f"{given.path} cannot be followed: leave --follow out")
    return _Follower(runtime, between).run()


class _Follower:
    def __init__(self, runtime: Inputs, between: Callable[[], None] | None) -> None:
        self.runtime = runtime
        self.between = between or self._wait
        self.tails: dict[FileId, _Tail] = {}
        self.lanes: dict[bytes, Lane] = {}
        self.first = True
        self.opened = 0

    def run(self) -> Any:
        try:
            while not self.runtime.stop:
                self._list()
                self._read()
                self.runtime.pause()
                self.first = False
                self.between()
            return self._finish()
        finally:
            for tail in self.tails.values():
                self._close(tail)

    def _wait(self) -> None:
        deadline = time.monotonic() + POLL_S
        while not self.runtime.stop and time.monotonic() < deadline:
            time.sleep(0.05)

    def _finish(self) -> Any:
        for tail in self.tails.values():
            if tail.lane is None and tail.what is not None and not tail.what.empty:
                self.runtime.found.unrecognised.append(shown(tail.path))
            if tail.course is not None and tail.course.reader.broken and tail.lane is not None:
                said = f"{shown(tail.path)}: {tail.course.reader.broken}"
                tail.lane.complaints.append(said)
        return self.runtime.finish(self.lanes.values())

    # What there is.

    def _list(self) -> None:
        """See which files there are, under which names, and how they stand."""
        named: set[FileId] = set()
        for given in self.runtime.inputs:
            for path in self._candidates(given):
                try:
                    status = path.stat()
                except OSError:
                    # Rotated away between the listing and the look: it has another name now.
                    continue
                key, now = (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)
                named.add(key)
                tail = self.tails.setdefault(key, _Tail(given, path, _NEVER))
                tail.path, tail.before, tail.now, tail.gone = path, tail.now, now, 0
        for key in [k for k in self.tails if k not in named]:
            tail = self.tails[key]
            tail.gone += 1
            if tail.raw is None or tail.gone > _GONE_POLLS:
                self._close(tail)
                del self.tails[key]
                continue
            status = os.fstat(tail.raw.fileno())
            tail.before, tail.now = tail.now, (status.st_size, status.st_mtime_ns)

    def _candidates(self, given: Input) -> list[Path]:
        single = Path(given.path)
        known = {tail.path for tail in self.tails.values()}
        refuse = self.runtime.refuse if self.first else lambda _: None
        try:
            found = discover(given.path, refuse, known)
        except InputError:
            if self.first and (single.exists() or not single.parent.is_dir()):
                raise
            found = []
        if single.is_dir() or glob.has_magic(given.path):
            return found
        # What rotation makes of a single file is the same log.
        beside = single.parent.glob(glob.escape(single.name) + "[.-]*")
        return found + sorted(p for p in beside if p.is_file() and p.suffix not in _UNFINISHED)

    # What is in it.

    def _read(self) -> None:
        """Read what has come since the last poll."""
        news: dict[bytes, list[_Tail]] = {}
        for tail in self.tails.values():
            if tail.now == tail.seen:
                tail.quiet += 1
                if tail.quiet > _QUIET_POLLS:
                    self._close(tail)
                continue
            tail.quiet = 0
            try:
                ready = self._prepare(tail)
            except InputError as error:
                tail.seen = tail.now
                if tail.path.exists():
                    self.runtime.found.unusable.append(str(error))
                continue
            if ready and tail.lane is not None:
                news.setdefault(tail.lane.row.key, []).append(tail)
        if news:
            stride = self.runtime.stride(len(news))
            feeds = [(self.lanes[k], self._chunks(tails, stride)) for k, tails in news.items()]
            self.runtime.drain(feeds, stride)

    def _prepare(self, tail: _Tail) -> bool:
        """Find the lane of a file that has changed; whether it is to be read now."""
        raw = self._open(tail)
        whole = is_whole(raw)
        if whole and not self._settled(tail):
            return False
        if tail.lane is not None and not whole and _unchanged(tail, raw):
            return True
        anew = whole or tail.course is not None
        if tail.looking is None or anew or tail.now[0] < tail.looking.seen:
            # A seek from the end forgets what was buffered: the file may have been written anew.
            raw.seek(0, os.SEEK_END)
            tells = self.runtime.tells(tail.given, shown(tail.path))
            longest = self.runtime.plan.max_record_bytes
            tail.looking = Looking(opened(raw), *tells, longest)
        tail.course = tail.lane = None
        what = tail.what = tail.looking.look()
        if what.first or (what.recognised and what.head):
            tail.looking = None
            if not what.first:
                # No line holds a time, and all of a growing file is not known: its place must do.
                place = os.fsencode(tail.path.absolute())
                what = what._replace(origin=sha256(place + b"\0" + what.head).digest())
            lane = self.runtime.lane(tail.given, shown(tail.path), what)
            tail.lane = self.lanes.setdefault(lane.row.key, lane)
        else:
            tail.seen = tail.now
        self._spare(tail)
        return tail.lane is not None

    def _settled(self, tail: _Tail) -> bool:
        """Whether the file is not being written at the moment, as far as one can see."""
        return self.first or tail.now == tail.before

    def _chunks(self, tails: list[_Tail], stride: Stride) -> Iterator[Chunk]:
        """Chunks of the files of one stream, the longest first."""
        tails.sort(key=lambda tail: (tail.path.suffix == ".gz", -tail.now[0]))
        for tail in tails:
            try:
                course = self._course(tail)
            except InputError:
                continue
            if course is not None:
                yield from course.chunks(stride)
                if course.lost:
                    tail.course = None
                else:
                    tail.seen = tail.now
                self._spare(tail)

    def _course(self, tail: _Tail) -> Course | None:
        assert tail.lane is not None
        if tail.course is None or tail.course.ahead():
            course = tail.lane.course(opened(self._open(tail)), shown(tail.path))
            if course.aside and not self._settled(tail):
                # A copy in the making: it may yet hold more than was read.
                return None
            tail.course = course
        return tail.course

    # Open files.

    def _open(self, tail: _Tail) -> BufferedReader:
        if tail.raw is None:
            tail.raw = open_raw(tail.path)
            tail.looking = tail.course = None
            self.opened += 1
        return tail.raw

    def _close(self, tail: _Tail) -> None:
        if tail.raw is not None:
            tail.raw.close()
            tail.raw = tail.looking = tail.course = None
            self.opened -= 1

    def _spare(self, tail: _Tail) -> None:
        if self.opened > _MOST_OPEN:
            self._close(tail)


def _unchanged(tail: _Tail, raw: BufferedReader) -> bool:
    """Whether the file still holds what was read of it, before what follows is believed."""
    course = tail.course
    if course is None or course.aside or course.ahead() or tail.now[0] < raw.tell():
        return False
    position = course.reader.position
    start = max(0, position - CHECKED_BYTES)
    before = os.pread(raw.fileno(), position - start, start)
    return sha256(before).digest() == course.reader.digest
