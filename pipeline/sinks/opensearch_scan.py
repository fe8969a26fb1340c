"""Every document of some indices, whatever is in it, as it was at one moment; and single ones now.

A search finds what OpenSearch has made searchable; a look by id finds what it has taken. Documents
are told apart by the shard and the place in it that they have in one point in time (OpenSearch 3.3
or later): two of one id, or without an id of ours, are two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Self

from opensearchpy import OpenSearch

from pipeline.errors import StoreError
from pipeline.sinks.opensearch_pages import ABSENT, KEPT, WHOLE, Answers

_PAGE: Final = 10_000
"""What OpenSearch answers at once, at the most (index.max_result_window)."""
_ORDER: Final = ({"_index": "asc"}, {"_shard_doc": "asc"})
"""A number in a shard is unique in its index alone."""

Place = tuple[str, str]
"""Index and ``_id``."""


class Hit(NamedTuple):
    """A document in the index ``home``. ``fields`` holds those asked for that it has; ``source`` is
    it, if asked for."""

    home: str
    id: str
    version: int
    fields: Mapping[str, Any]
    source: Any


class Scan:
    """Reads OpenSearch to the last document. Methods raise `StoreError`.

    Args:
        client: closed in the end.
    """

    def __init__(self, client: OpenSearch) -> None:
        self._client = client
        self._answers = Answers(client, lambda _: None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()

    def each(
        self,
        pattern: str,
        fields: Iterable[str],
        dates: Iterable[str] = (),
        *,
        only: Mapping[str, Any] | None = None,
        whole: bool = False,
    ) -> Iterator[tuple[list[Hit], int]]:
        """All documents, in no order that means anything, many at a time; and how many there are.

        Args:
            pattern: of indices; there need be none.
            fields: what is wanted of each, of mapped fields: lists of values.
            dates: the same of dates: epoch milliseconds, as text.
            only: a query that they fit.
            whole: the document itself, too.
        """
        point = self._answers.point(pattern)
        if point is None:
            return
        wanted: list[Any] = [*fields, *({"field": d, "format": "epoch_millis"} for d in dates)]
        body: dict[str, Any] = {
            "size": _PAGE,
            "_source": whole,
            "version": True,
            "docvalue_fields": wanted,
            "query": only or {"match_all": {}},
            "sort": list(_ORDER),
            "track_total_hits": True,
        }
        total = 0
        try:
            while True:
                said = {**body, "pit": {"id": point.id, "keep_alive": KEPT}}
                ask = partial(self._client.search, body=said, params=WHOLE)
                answer = self._answers.ask(f"read {pattern}", ask)
                point.id = answer.get("pit_id", point.id)
                if body["track_total_hits"]:
                    total = answer["hits"]["total"]["value"]
                    body["track_total_hits"] = False
                hits = answer["hits"]["hits"]
                if hits:
                    yield [_hit(hit) for hit in hits], total
                if len(hits) < _PAGE:
                    return
                body["search_after"] = hits[-1]["sort"]
        finally:
            self._answers.give_back(point)

    def look(self, places: Sequence[Place], whole: bool = False) -> dict[Place, Hit]:
        """The documents that are in these places now, searchable or not."""
        asked = [{"_index": index, "_id": name, "_source": whole} for index, name in places]
        if not asked:
            return {}
        body = {"docs": asked}
        said = self._answers.ask("look documents up", lambda: self._client.mget(body=body))
        found: dict[Place, Hit] = {}
        for doc in said["docs"]:
            error = doc.get("error")
            if error is not None and error.get("type") != ABSENT:
                reason = f"{error.get('type')}: {error.get('reason')}"
                raise StoreError(f"OpenSearch cannot look into {doc['_index']}: {reason}")
            if doc.get("found"):
                found[doc["_index"], doc["_id"]] = _hit(doc)
        return found


def _hit(said: Mapping[str, Any]) -> Hit:
    return Hit(
        said["_index"], said["_id"], said.get("_version", 0), said.get("fields", {}),
        said.get("_source"),
    )  # fmt: skip
