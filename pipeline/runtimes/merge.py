"""Merge: chunks of many lanes, in order of their earliest event."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, wait

from pipeline.runtimes.lanes import Chunk, Lane, Stride

Feed = tuple[Lane, Iterator[Chunk]]


class Merge:
    """Lanes are opened when their first line's time has come, and read one chunk ahead.

    Raises:
        InputError: from every method, what a lane's reading raised.
    """

    def __init__(self, feeds: Iterable[Feed], stride: Stride, ahead: Executor) -> None:
        self._upcoming = sorted(feeds, key=lambda feed: feed[0].start, reverse=True)
        self._stride = stride
        self._ahead = ahead
        self._ticket = itertools.count()
        self._heap: list[tuple[int, int, Chunk, Feed]] = []
        self._pending: tuple[Feed, Future[Chunk | None]] | None = None
        stride.lanes = 0

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing more."""
        return not (self._upcoming or self._heap or self._pending)

    def ready(self, patience_s: float) -> bool:
        """Whether the chunk being read is there, now or within the time given."""
        if self._pending is None:
            return True
        feed, future = self._pending
        if not wait((future,), patience_s).done:
            return False
        self._pending = None
        self._push(feed, future.result())
        return True

    def take(self) -> tuple[Lane, Chunk] | None:
        """The next chunk, or None where there is none. Only when ready."""
        while self._upcoming and (
            not self._heap or self._upcoming[-1][0].start <= self._heap[0][0]
        ):
            feed = self._upcoming.pop()
            self._stride.lanes += 1
            self._push(feed, next(feed[1], None))
        if not self._heap:
            return None
        _, _, chunk, feed = heapq.heappop(self._heap)
        self._pending = feed, self._ahead.submit(next, feed[1], None)
        return feed[0], chunk

    def _push(self, feed: Feed, chunk: Chunk | None) -> None:
        if chunk is None:
            self._stride.lanes -= 1
        else:
            heapq.heappush(self._heap, (chunk.first_time, next(self._ticket), chunk, feed))
