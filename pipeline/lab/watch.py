"""A watch over an OpenSearch: when each finding could first be read there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from opensearchpy import OpenSearchException

from pipeline.errors import LabError
from pipeline.sinks.opensearch_client import connect, failure
from pipeline.storage import Storage
from schemas import indices

EVERY_S: Final = 0.25
_MOST: Final = 1_000
_PATIENCE_S: Final = 15.0
_FIELDS: Final = (
    "severity", "finding_info.title", "finding_info.analytic.uid", "finding_info.last_seen_time",
    "auditstream.version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sighting:
    """A finding as it was when it was first returned. Times in epoch milliseconds.

    Attributes:
        last_time: of the event that completed it.
    """

    id: str
    detector: str
    title: str
    severity: str
    last_time: int
    seen: int


class Watch:
    """Looks four times a second, in a thread of its own, while the context lasts.

    Args:
        storage: where, and as whom: who may read findings.
        told: hears of each finding when it is first seen, in that thread.
    """

    def __init__(self, storage: Storage, told: Callable[[Sighting], None]) -> None:
        self._client = connect(storage)
        self._told = told
        self._versions: dict[str, int] = {}
        self._changed = self._answered = time.monotonic()
        self._failed: OpenSearchException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self.sightings: dict[str, Sighting] = {}
        """By id."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(_PATIENCE_S)

    def quiet_s(self) -> float:
        """For how long no finding was new or amended. Raises `StoreError`: nothing answers."""
        if self._failed is not None and time.monotonic() - self._answered > _PATIENCE_S:
            raise failure(self._client, "search the findings", self._failed)
        if not self._thread.is_alive():
            raise LabError("the watch over the findings has ended: a fault of the lab")
        return time.monotonic() - self._changed

    def _look(self) -> None:
        with closing(self._client):
            while not self._over.wait(EVERY_S):
                try:
                    hits = self._search()
                except OpenSearchException as error:
                    self._failed = error
                    continue
                self._failed, self._answered = None, time.monotonic()
                self._note(hits, time.time_ns() // 1_000_000)

    def _search(self) -> list[dict[str, Any]]:
        found = self._client.search(
            index=indices.searched(indices.FINDINGS),
            body={"query": {"match_all": {}}},
            params={"size": _MOST, "_source_includes": ",".join(_FIELDS)},
        )
        hits: list[dict[str, Any]] = found["hits"]["hits"]
        return hits

    def _note(self, hits: list[dict[str, Any]], seen: int) -> None:
        for hit in hits:
            name, said = hit["_id"], hit["_source"]
            version = said["auditstream"]["version"]
            if version == self._versions.get(name):
                continue
            self._versions[name] = version
            self._changed = time.monotonic()
            if name not in self.sightings:
                info = said["finding_info"]
                self.sightings[name] = Sighting(
                    name, info["analytic"]["uid"], info["title"], said["severity"],
                    info["last_seen_time"], seen,
                )  # fmt: skip
                self._told(self.sightings[name])
