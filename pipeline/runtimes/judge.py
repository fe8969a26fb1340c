"""Judge: changes and brokers' lives, as the store holds them, to findings of estate detectors.

All there is is judged each time, and what was said already is not said again: so it is right after
any crash, in whatever order the events came.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import orjson

from detectors.contract import EstateDetector, EstateSettings
from detectors.estates import settle
from pipeline.changes.join import joined
from pipeline.sinks.sqlite import SqliteStore
from schemas.changes import Change, Lifecycle
from schemas.types import Event, Finding
from schemas.vocabulary import APPLICATION_LIFECYCLE, Outcome

PAUSE_S: Final = 2.0
"""Between two judgings while files are followed, at the least."""
_SHARE: Final = 10
"""And so many times as long as the last one took: a large estate is not judged all the time."""


class Judge:
    """Estate detectors upon one store.

    Attributes:
        news: something was written since the last judging that they look at.
    """

    def __init__(
        self, active: Sequence[tuple[EstateDetector, EstateSettings]], store: SqliteStore
    ) -> None:
        self.active, self.store = active, store
        self.news = False
        self._not_before = 0.0

    def note(self, events: Iterable[Event]) -> None:
        """Events that were written, or taken back."""
        self.news = self.news or any(
            e.leg or e.class_uid == APPLICATION_LIFECYCLE for e in events
        )  # fmt: skip

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
        said = {
            (detector.name, cluster): list(found)
            for detector, _ in self.active
            for cluster, found in _by_cluster(self.store.said(detector.name))
        }
        lives = {
            cluster: [life for _, document in rows if (life := lifecycle(orjson.loads(document)))]
            for cluster, rows in groupby(self.store.lifecycle(), itemgetter(0))
        }
        new: list[Finding] = []
        left = {cluster for _, cluster in said} | set(lives)
        for cluster, found in joined(self.store.legs()):
            new += self._judged(cluster, found, lives.get(cluster, []), said)
            left.discard(cluster)
        for cluster in sorted(left):
            new += self._judged(cluster, [], lives.get(cluster, []), said)
        if new:
            with self.store.transaction():
                self.store.write_findings(new)
        return {found.id for found in new}

    def _judged(
        self,
        cluster: str,
        changes: Sequence[Change],
        lives: Sequence[Lifecycle],
        said: dict[tuple[str, str], list[Finding]],
    ) -> Iterator[Finding]:
        for detector, settings in self.active:
            judgements = detector.judge(changes, lives, settings)
            yield from settle(detector, cluster, judgements, said.get((detector.name, cluster), ()))


def _by_cluster(found: list[Finding]) -> Iterator[tuple[str, Iterator[Finding]]]:
    def cluster(finding: Finding) -> str:
        return finding.cluster

    return groupby(sorted(found, key=cluster), cluster)


def lifecycle(document: dict[str, Any]) -> Lifecycle | None:
    """What the OCSF document of a 6002 event says of a broker's life.

    None where a client may have written it, where nobody knows when, and where it failed.
    """
    said = document["auditstream"]
    if said["suspect"] or said["time_precision"] == "unknown" or said["outcome"] == Outcome.FAILURE:
        return None
    stated = {**said.get("settings", {})}
    if "logger" in said:
        stated |= {"logger": said["logger"], "level": said.get("level")}
    return Lifecycle(
        id=document["metadata"]["uid"],
        time=document["time"],
        host=said["host"],
        kind=document.get("api", {}).get("operation", ""),
        settings={name: value for name, value in stated.items() if isinstance(value, str)},
        message=document["message"],
    )
