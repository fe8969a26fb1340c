"""Merge: chunks of many lanes, in order of their earliest event, made ahead of whoever writes."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from types import TracebackType
from typing import NamedTuple

from pipeline.runtimes.lanes import Chunk, Lane, Stride

Feed = tuple[Lane, Iterator[Chunk]]
_CHECK_S = 0.1


class Taken(NamedTuple):
    """A chunk and its lane."""

    lane: Lane
    chunk: Chunk


def merged(feeds: Iterable[Feed], stride: Stride) -> Iterator[Taken]:
    """All chunks, by time. A lane is opened when the time of its first line has come.

    Args:
        stride: is told how many lanes are open.
    """
    upcoming = sorted(feeds, key=lambda feed: feed[0].start, reverse=True)
    ticket = itertools.count()
    heap: list[tuple[int, int, Chunk, Feed]] = []
    stride.lanes = 0
    while upcoming or heap:
        if upcoming and (not heap or upcoming[-1][0].start <= heap[0][0]):
            feed = upcoming.pop()
            stride.lanes += 1
        else:
            _, _, chunk, feed = heapq.heappop(heap)
            yield Taken(feed[0], chunk)
        following = next(feed[1], None)
        if following is None:
            stride.lanes -= 1
        else:
            heapq.heappush(heap, (following.first_time, next(ticket), following, feed))


class Ahead:
    """Takes from an iterator in a thread of its own, a few items ahead.

    SQLite works without the interpreter's lock: while it writes, the engine makes what comes next.
    """

    def __init__(self, items: Iterator[Taken], most: int) -> None:
        self._items = items
        self._queue: Queue[Taken | BaseException | None] = Queue(most)
        self._left = Event()
        self._thread = Thread(target=self._work, name="engine", daemon=True)

    def __enter__(self) -> Ahead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()

    def take(self, patience_s: float) -> Taken | None:
        """The next item; None, again and again, after the last.

        Raises:
            TimeoutError: there is none within the time given.
            InputError: as the iterator raised it.
        """
        try:
            item = self._queue.get(timeout=patience_s)
        except Empty:
            raise TimeoutError from None
        if isinstance(item, BaseException):
            raise item
        if item is None:
            self._queue.put(None)
        return item

    def _work(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: Taken | BaseException | None) -> bool:
        while not self._left.is_set():
            try:
                self._queue.put(item, timeout=_CHECK_S)
                return True
            except Full:
                continue
        return False
