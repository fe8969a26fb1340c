"""Eras: how far back a key remembers, and what comes too late.

A key forgets what is older than its newest event minus the horizon. One wrong clock must not blind
it: an event too far from all others to have to do with them begins an *era* with a newest of its
own, and those of the right time go on in theirs, whichever came first.

An era is ``[begin, newest, floor]``, epoch milliseconds: its earliest and its newest event, and up
to where its evidence was shed for want of room. A key's eras are sorted. Where two meet they become
one, and where they are too many the two nearest: so a clock costs a key no more of its memory than
the distance by which it is wrong.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

MOST_ERAS = 4
NEVER = -(2**62)

Era = list[int]
Zone = tuple[int, int]
"""From and to, both included, epoch milliseconds."""


class Span(NamedTuple):
    """How far a key looks, in milliseconds.

    Attributes:
        horizon: how far behind the newest an event may come and is not late.
        margin: how far from such an event lies what it may touch.
    """

    horizon: int
    margin: int

    @property
    def memory(self) -> int:
        """How far behind the newest evidence is remembered."""
        return self.horizon + self.margin


def _place(eras: Sequence[Era], time: int) -> int:
    """Of the first era whose newest is not before ``time``."""
    return bisect_left(eras, time, key=lambda era: era[1])


def late(eras: Sequence[Era], time: int, span: Span) -> bool:
    """Whether what this touches may be forgotten: it is behind the horizon of its own era."""
    place = _place(eras, time)
    if place == len(eras) or _reached(eras, place, time, span):
        return False
    begin, newest, _ = eras[place]
    return begin - span.memory <= time < newest - span.horizon


def shed(eras: Sequence[Era], time: int) -> bool:
    """Whether evidence of this time was shed already."""
    place = _place(eras, time)
    return place < len(eras) and eras[place][0] <= time <= eras[place][2]


def clear(eras: Sequence[Era], span: Span) -> int:
    """Since when nothing is late and nothing was shed: most events need no closer look."""
    if not eras:
        return NEVER
    return max(eras[-1][1] - span.horizon, *(floor + 1 for _, _, floor in eras))


def advance(eras: list[Era], times: Sequence[int], span: Span) -> None:
    """Take times that are not late into the eras, the earliest first."""
    if times and times[-1] - times[0] <= span.horizon:
        # What lies between falls into the era of one or the other.
        times = (times[0], times[-1])
    for time in times:
        place = _place(eras, time)
        if place < len(eras) and time >= eras[place][1] - span.horizon:
            eras[place][0] = min(eras[place][0], time)
            if _reached(eras, place, eras[place][0], span):
                _unite(eras, place)
        elif _reached(eras, place, time, span):
            eras[place - 1][1] = time
        elif place == len(eras) or time < eras[place][0] - span.memory:
            eras.insert(place, [time, time, NEVER])
            _thin(eras)


def merged(eras: Iterable[Era], others: Iterable[Era], span: Span) -> list[Era]:
    """What two memories of one key come to, each upon other events."""
    out: list[Era] = []
    for era in sorted([*eras, *others]):
        out.append([*era])
        if _reached(out, len(out) - 1, era[0], span):
            _unite(out, len(out) - 1)
    _thin(out)
    return out


def _thin(eras: list[Era]) -> None:
    """Make one of the two nearest, as long as they are too many."""
    while len(eras) > MOST_ERAS:
        apart = [later[0] - earlier[1] for earlier, later in pairwise(eras)]
        _unite(eras, apart.index(min(apart)) + 1)


def _reached(eras: Sequence[Era], place: int, time: int, span: Span) -> bool:
    """Whether ``time`` is near enough to the era before ``place`` to carry it on."""
    return place > 0 and time <= eras[place - 1][1] + span.memory


def _unite(eras: list[Era], place: int) -> None:
    """Make one of the era at ``place`` and the one before it."""
    (begin, newest, floor), later = eras[place - 1 : place + 1]
    both = [min(begin, later[0]), max(newest, later[1]), max(floor, later[2])]
    eras[place - 1 : place + 1] = [both]


def zones(eras: Iterable[Era], span: Span) -> list[Zone]:
    """What is remembered, sorted and apart."""
    out: list[Zone] = []
    for begin, end in sorted((era[1] - span.memory, era[1]) for era in eras):
        if out and begin <= out[-1][1]:
            begin, end = out[-1][0], max(end, out[-1][1])
            out.pop()
        out.append((begin, end))
    return out
