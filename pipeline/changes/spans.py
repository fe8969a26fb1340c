"""Spans: things that last from a time to a time, asked by key and time, the first to end first."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Spans(Generic[T]):
    """An index. Asking looks at what overlaps the time asked for, and little else.

    Args:
        key: what things are asked by.
        span: when they begin and end, and what decides between two that end together.
    """

    def __init__(
        self,
        things: Iterable[T],
        key: Callable[[T], Hashable],
        span: Callable[[T], tuple[int, int, str]],
    ) -> None:
        self._groups: dict[Hashable, tuple[list[int], list[tuple[int, T]], int]] = {}
        sorted_things: dict[Hashable, list[tuple[int, str, int, T]]] = {}
        for thing in things:
            start, end, tie = span(thing)
            sorted_things.setdefault(key(thing), []).append((end, tie, start, thing))
        for name, group in sorted_things.items():
            group.sort(key=lambda entry: entry[:2])
            longest = max(end - start for end, _, start, _ in group)
            rows = [(start, thing) for _, _, start, thing in group]
            self._groups[name] = [end for end, *_ in group], rows, longest

    def holding(self, key: Hashable, first: int, last: int, slack: int) -> Iterator[T]:
        """Things that begin by ``first`` and end no earlier than ``last``, give or take ``slack``
        milliseconds."""
        ends, rows, longest = self._groups.get(key, ([], [], 0))
        for place in range(bisect_left(ends, last - slack), len(ends)):
            if ends[place] - longest > first + slack:
                return
            start, thing = rows[place]
            if start - slack <= first:
                yield thing
