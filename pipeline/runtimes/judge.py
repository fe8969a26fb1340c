"""Judge: estates, as the store holds them, to findings of estate detectors.

All there is is judged each time, and what was said already is not said again: so it is right after
any crash, in whatever order the events came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

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


class Judge:
    """Estate detectors upon one store.

    Attributes:
        news: something was written since the last judging that they look at.
        named: estates that support records name.
    """

    def __init__(
        self,
        active: Sequence[tuple[EstateDetector, EstateSettings]],
        store: SqliteStore,
        estate_of: Callable[[str], str],
    ) -> None:
        self.active, self.store, self.estate_of = active, store, estate_of
        self.news = False
        self.named: set[str] = set()
        self._newest: dict[str, int] | None = None
        self._not_before = 0.0

    def note(self, events: Iterable[Event]) -> None:
        """Events that were written, or taken back."""
        for event in events:
            if (
                event.leg
                or event.access_path == _SUPPORT
                or event.class_uid == APPLICATION_LIFECYCLE
            ):
                self.news = True
        if self._newest is not None:
            self._age(events, self._newest)

    def _age(self, events: Iterable[Event], newest: dict[str, int]) -> None:
        """Where support records are, time that passes is news too: a review may be overdue."""
        for event in events:
            if event.time > newest.get(event.cluster, 0) and not event.suspect:
                newest[event.cluster] = event.time
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
        self.news = False
        if not self.active:
            return set()
        if self._newest is None:
            self._newest = self.store.newest()
        found = pictures(self.store, self.estate_of, self._newest)
        self.named = set(named(found))
        new = list(self._judged(found))
        if new:
            with self.store.transaction():
                self.store.write_findings(new)
        return {finding.id for finding in new}

    def _judged(self, found: dict[str, Picture]) -> Iterator[Finding]:
        for detector, settings in self.active:
            said: dict[str, list[Finding]] = {}
            for finding in self.store.said(detector.name):
                said.setdefault(finding.cluster, []).append(finding)
            for estate in sorted({*found, *said}):
                judgements = detector.judge(found.get(estate, _NOTHING), settings)
                yield from settle(detector, estate, judgements, said.get(estate, ()))
