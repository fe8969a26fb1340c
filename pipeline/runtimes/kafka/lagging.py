"""Lagging: what waits to be read for so long that retention will soon delete it. Pure.

Retention deletes a partition from its beginning: by age, and where it is bounded by size as well,
whenever there is too much. How near the first unread record is to that is asked by offsets alone,
so that nobody need be allowed to read the records.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from pipeline.runtimes.kafka.notices import LAG, Notice, Told, name_of, opened, over, span
from schemas.types import Finding
from schemas.vocabulary import FindingStatus

_TWICE: Final = 2
"""So much of what raised it must be left before it is over; else it would come and go."""


class Backlog(NamedTuple):
    """A partition as a group has read it.

    Attributes:
        read: the first offset that is not read.
        low, high: the first offset that is there, and the one behind the last.
        near: the first offset that has more than `left` of its retention before it.
        clear: the same, where it is over.
        kept_ms: how long a record is kept; 0: for ever.
        sized: bounded by size as well.
    """

    group: str
    topic: str
    partition: int
    read: int
    low: int
    high: int
    near: int
    clear: int
    kept_ms: int
    sized: bool

    @property
    def unread(self) -> int:
        """Positions that are there and not read."""
        return self.high - max(self.read, self.low)

    def nears(self, offset: int, left: float) -> bool:
        """Whether less than `left` of retention is before what is unread; by age, `offset` says."""
        if self.unread <= 0:
            return False
        # What was never full has room yet; how much, only a right to see the disks would tell.
        is_full = self.sized and self.low > 0
        return self.read < offset or (
            is_full and self.read - self.low < left * (self.high - self.low)
        )


def ages(at: int, kept_ms: int, left: float) -> tuple[int, int]:
    """When what is unread must have been written for a lag to be raised, and to be over: before the
    first, and not before the second (epoch milliseconds)."""
    return at - round((1 - left) * kept_ms), at - round((1 - clear(left)) * kept_ms)


def clear(left: float) -> float:
    """How much of retention must be left for a lag to be over."""
    return min(_TWICE * left, (1 + left) / 2)


class Lags:
    """What was said of lags.

    Args:
        left: the share of retention that must be left; 0: all is well.
        said: what was said and is known, by name.
    """

    def __init__(self, left: float, said: Mapping[bytes, Finding]) -> None:
        self._left = left
        self._said = {name: one for name, one in said.items() if one.detector == LAG.name}

    def look(self, at: int, backlogs: Iterable[Backlog], there: Container[str]) -> list[Notice]:
        """Take what was found at a time (epoch milliseconds), and the topics that are `there`; what
        is to be said."""
        found: dict[bytes, list[Backlog]] = {}
        for one in backlogs:
            found.setdefault(name_of(LAG, one.group, one.topic), []).append(one)
        return [*self._raised(at, found), *self._over(at, found, there)]

    def _raised(self, at: int, found: Mapping[bytes, list[Backlog]]) -> Iterator[Notice]:
        for name, backlogs in sorted(found.items()):
            near = [one for one in backlogs if self._left and one.nears(one.near, self._left)]
            if near and name not in self._said:
                self._said[name] = opened(LAG, _near(at, near, self._left))
                yield Notice(name, self._said[name], True)

    def _over(
        self, at: int, found: Mapping[bytes, list[Backlog]], there: Container[str]
    ) -> Iterator[Notice]:
        for name, said in sorted(self._said.items()):
            backlogs, left = found.get(name, []), clear(self._left)
            _, group, topic = name.decode().split("\0")
            if not self._left:
                why, status = "Lags are not looked at any more.", FindingStatus.WITHDRAWN
            elif topic not in there:
                why, status = f"{topic} is not there, or not ours to see.", FindingStatus.WITHDRAWN
            elif backlogs and not any(one.nears(one.clear, left) for one in backlogs):
                why, status = "What waits is young again, or nothing does.", FindingStatus.CLOSED
            else:
                continue
            del self._said[name]
            title = f"{group} is not near the end of {topic}'s retention any more"
            told = _told(group, topic, at, 0, title, why)
            yield Notice(name, over(LAG, told, said, status), False)


def _near(at: int, near: list[Backlog], left: float) -> Told:
    group, topic = near[0].group, near[0].topic
    unread = sum(one.unread for one in near)
    where = ", ".join(str(one.partition) for one in near[:10]) + (" and more" if near[10:] else "")
    message = (
        f"{unread:,} records in partitions {where} of {topic} wait for {group}, "
        f"and less than {left:.0%} of the topic's retention is left for them."
    )
    if kept_ms := near[0].kept_ms:
        message += f" It keeps records for {span(kept_ms)}."
    if lost := sum(max(0, one.low - one.read) for one in near):
        message += f" {lost:,} before them were deleted unread: they are lost."
    title = f"{group} is near the end of {topic}'s retention"
    return _told(group, topic, at, unread, title, message)


def _told(group: str, topic: str, at: int, count: int, title: str, message: str) -> Told:
    details = {"group": group, "topic": topic}
    return Told("", f"topic={topic} group={group}", at, at, count, title, message, details)
