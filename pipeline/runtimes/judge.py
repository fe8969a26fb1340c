"""Judge: estates, as the store holds them, to findings of estate detectors.

All there is is judged each time, and what was said already is not said again: so it is right after
any crash, in whatever order the events came. What was said on events that retention has removed
stands as it was said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from detectors.contract import EstateDetector, EstateSettings
from detectors.estates import settle
from pipeline.runtimes.pictures import named, pictures
from pipeline.sinks.sqlite import SqliteStore
from schemas.support import Picture
from schemas.types import Event, Finding
from schemas.vocabulary import APPLICATION_LIFECYCLE, AccessPath

PAUSE_S: Final = 2.0
"""Between two judgings while files are followed, at the least."""
_SHARE: Final = 10
"""And so many times as long as the last one took: a large estate is not judged all the time."""
_SUPPORT: Final = AccessPath.SUPPORT.value
_NOTHING: Final = Picture()


def concerns_estates(event: Event) -> bool:
    """Whether estate detectors look at an event: a leg of a change, a broker's life, support."""
    return bool(
        event.leg or event.access_path == _SUPPORT or event.class_uid == APPLICATION_LIFECYCLE
    )


class Judge:
    """Estate detectors upon one store.

    Args:
        estate_of: the estate that a label is of.
        mine: whether an estate is to be judged here.
        newest: by cluster, the time of its newest event; default: the store's.

    Attributes:
        news: something was written since the last judging that they look at.
        named: estates that support records name.
        pictures: those that were judged last, by estate.
    """

    def __init__(
        self,
        active: Sequence[tuple[EstateDetector, EstateSettings]],
        store: SqliteStore,
        estate_of: Callable[[str], str],
        mine: Callable[[str], bool] = lambda _: True,
        newest: dict[str, int] | None = None,
    ) -> None:
        self.active, self.store, self.estate_of = active, store, estate_of
        self.news = False
        self.named: set[str] = set()
        self.pictures: dict[str, Picture] = {}
        self._mine = mine
        self._newest = newest
        self._not_before = 0.0

    def note(self, events: Iterable[Event]) -> None:
        """Events that were written, or taken back."""
        self.news = self.news or any(map(concerns_estates, events))
        if self._newest is not None:
            self._age(events, self._newest)

    def _age(self, events: Iterable[Event], newest: dict[str, int]) -> None:
        for event in events:
            if not event.suspect and event.time > newest.get(event.cluster, 0):
                self.pass_time(event.cluster, event.time)

    def pass_time(self, cluster: str, time_ms: int) -> None:
        """Say how far a cluster has come. Where support records are that is news too: a review may
        be overdue."""
        newest = self._newest
        if newest is not None and time_ms > newest.get(cluster, 0):
            newest[cluster] = time_ms
            self.news = self.news or bool(self.named)

    def soon(self) -> set[bytes]:
        """Judge if there is news and the last time is long enough ago; ids of what was said."""
        start = time.monotonic()
        if not self.news or start < self._not_before:
            return set()
        said = self.now()
        end = time.monotonic()
        self._not_before = end + max(PAUSE_S, _SHARE * (end - start))
        return said

    def now(self) -> set[bytes]:
        """Judge, in one transaction; ids of findings that were raised, amended or taken back.

        Raises:
            StoreError: the store cannot be read or written.
        """
        new = self.judged() if self.active else []
        self.news = False
        if new:
            with self.store.transaction():
                self.store.write_findings(new)
        return {finding.id for finding in new}

    def judged(self) -> list[Finding]:
        """Versions of findings that are to be said, and are not written yet.

        Raises:
            StoreError: the store cannot be read.
        """
        self.news = False
        if self._newest is None:
            self._newest = self.store.newest()
        found = pictures(self.store, self.estate_of, self._newest)
        self.named = set(named(found))
        self.pictures = {name: picture for name, picture in found.items() if self._mine(name)}
        return list(self._judged(self.pictures))

    def _judged(self, found: dict[str, Picture]) -> Iterator[Finding]:
        removals = self.store.removals()
        for detector, settings in self.active:
            known = self.store.said(detector.name)
            outlived = self._outlived(known) if removals else set()
            said: dict[str, list[Finding]] = {}
            for finding in known:
                if outlived.isdisjoint(finding.evidence):
                    said.setdefault(finding.cluster, []).append(finding)
            unsure = _unsure(removals, settings.horizon_s * 1000)
            for estate in sorted({*found, *said}):
                judgements = detector.judge(found.get(estate, _NOTHING), settings)
                for new in settle(detector, estate, judgements, said.get(estate, ())):
                    if outlived.isdisjoint(new.evidence) and new.last_time > unsure:
                        yield new

    def _outlived(self, known: Iterable[Finding]) -> set[bytes]:
        """Evidence of findings, some of which is there no more."""
        resting = [finding.evidence for finding in known]
        held = self.store.held(i for evidence in resting for i in evidence)
        return {i for evidence in resting if not held.issuperset(evidence) for i in evidence}


def _unsure(removals: Iterable[dict[str, Any]], horizon_ms: int) -> float:
    """The time up to which nothing new is said: what would explain it may have been removed.

    As far behind what was removed as the horizon is long, and never up to what was new then.
    """
    return max(
        (
            until + min(horizon_ms, (removal["at"] - until) // 2)
            for removal in removals
            if (until := removal["estates_until"]) is not None
        ),
        default=-math.inf,
    )
