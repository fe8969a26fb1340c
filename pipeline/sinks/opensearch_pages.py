"""Answers of any length from OpenSearch, page by page, over what was there when they began.

Each is read over a point in time (a PIT), which OpenSearch keeps for whoever asks on. It is given
back at the end of the answer, where nobody wants the rest, and when the reader is closed; where
even that fails, OpenSearch forgets it by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from opensearchpy import OpenSearch
from opensearchpy.exceptions import (
    ConnectionError,  # noqa: A004  # as the library calls it
    ConnectionTimeout,
    NotFoundError,
    OpenSearchException,
    RequestError,
    SSLError,
    TransportError,
)

from pipeline.errors import StoreError
from pipeline.sinks.opensearch_client import asked
from pipeline.sinks.opensearch_filters import Filter
from pipeline.sinks.reading import Row

_T = TypeVar("_T")

FIRST_PAGE: Final = 20
LONGEST_PAGE: Final = 500
"""Larger ones come no faster, and nobody knows beforehand how large documents are: a node with
little memory dies of a page of the largest."""
_GROWTH: Final = 5
_VALUES: Final = 1_000
_PAGE_BYTES: Final = 8 * 1024 * 1024
_KEPT_UNASKED: Final = "1m"
KEPT: Final = "10m"
"""How long a pager may stand still; after that the answer goes on from another point in time."""
_GIVING_BACK_S: Final = 5
_PAUSES_S: Final = (0.2, 0.5, 1, 2, 4)
_PASSING: Final = (429, 502, 503, 504)
_BUSY: Final = 429
_ALL_OF_IT: Final = {"keep_alive": _KEPT_UNASKED, "allow_partial_pit_creation": "false"}
WHOLE: Final = {"allow_partial_search_results": "false"}
ABSENT: Final = "index_not_found_exception"
_GONE: Final = (ABSENT, "index_closed_exception")

Convert = Callable[[dict[str, Any]], Row]
"""A document to its row."""
Order = Sequence[tuple[str, str]]
"""Paths and the types they are of, the most significant first; ascending."""


@dataclass(eq=False, slots=True)
class Point:
    """A point in time: its id, and how many shards it is of."""

    id: str
    shards: int


class Answers:
    """What a client is asked. Methods raise `StoreError`.

    Args:
        absent: told of a pattern that no index is of.
    """

    def __init__(self, client: OpenSearch, absent: Callable[[str], None]) -> None:
        self._client = client
        self._absent = absent
        self._points: set[Point] = set()
        self._reached = False

    def close(self) -> None:
        """Give back every point in time, and close the client."""
        for point in list(self._points):
            self.give_back(point)
        self._client.close()

    def pages(
        self,
        pattern: str,
        filters: Sequence[Filter],
        order: Order,
        row: Convert,
        limit: int | None = None,
    ) -> Iterator[list[Row]]:
        """Rows in order, none twice, some at a time.

        Args:
            pattern: of the indices that are searched; there need be none.
            filters: what a document must be like.
            limit: how many are wanted; more may come.
        """
        point = self.point(pattern)
        if point is None:
            self._absent(pattern)
            return
        body = _body(filters, order)
        size = min(limit or FIRST_PAGE, FIRST_PAGE)
        left = limit or 0
        try:
            while True:
                hits, size = self._page(pattern, point, body | {"size": size})
                rows = [row(hit["_source"]) for hit in _once(hits, body.get("search_after"))]
                if rows:
                    yield rows
                if len(hits) < size:
                    return
                body["search_after"] = hits[-1]["sort"]
                size, left = _next_size(size, rows), left - len(rows)
                # Where those were not all wanted, more than is left is asked for.
                size = min(size, left) if left > 0 else size
        finally:
            self.give_back(point)

    def one_of_each(
        self,
        pattern: str,
        filters: Sequence[Filter],
        kinds: Sequence[Filter],
        unread: Sequence[str] = (),
    ) -> list[dict[str, Any] | None]:
        """Of each kind of documents one that all filters find, or None; in one search.

        Args:
            unread: paths that are left out of the documents.
        """
        one = {"one": {"top_hits": {"size": 1, "_source": {"excludes": list(unread)}}}}
        body = _filtered(filters) | {
            "size": 0,
            "aggs": {"each": {"filters": {"filters": list(kinds)}, "aggs": one}},
        }
        ask = partial(self._client.search, body=body, index=pattern, params=WHOLE)
        answer = self.ask(f"search {pattern}", ask)
        if "aggregations" not in answer:
            return [None] * len(kinds)
        found = [kind["one"]["hits"]["hits"] for kind in answer["aggregations"]["each"]["buckets"]]
        return [hits[0]["_source"] if hits else None for hits in found]

    def values(self, pattern: str, filters: Sequence[Filter], path: str) -> Iterator[str]:
        """What documents have at a path that is a keyword, each once, in order."""
        said: dict[str, Any] = {"size": _VALUES, "sources": [{"v": {"terms": {"field": path}}}]}
        body = _filtered(filters) | {"size": 0}
        while True:
            asked = body | {"aggs": {"values": {"composite": said}}}
            ask = partial(self._client.search, body=asked, index=pattern, params=WHOLE)
            answer = self.ask(f"search {pattern}", ask)
            found = answer.get("aggregations", {}).get("values", {})
            yield from (bucket["key"]["v"] for bucket in found.get("buckets", ()))
            if "after_key" not in found:
                return
            said["after"] = found["after_key"]

    def ask(self, doing: str, ask: Callable[[], _T]) -> _T:
        """What `ask` returns; asked again where OpenSearch, once reached, has a bad moment."""

        def again() -> _T:
            for pause in _PAUSES_S:
                try:
                    return ask()
                except TransportError as error:
                    if not self._passes(error):
                        raise
                time.sleep(pause)
            return ask()

        answer = asked(self._client, doing, again)
        self._reached = True
        return answer

    def _passes(self, error: TransportError) -> bool:
        if isinstance(error, ConnectionError):
            return self._reached and not isinstance(error, (ConnectionTimeout, SSLError))
        return error.status_code in _PASSING

    def point(self, pattern: str) -> Point | None:
        """A point in time of these indices, to be given back; None: there are none."""

        def ask() -> Any:
            try:
                return self._client.create_pit(index=pattern, params=_ALL_OF_IT)
            except NotFoundError as error:
                # Where no pattern was asked for, or one went in that moment.
                if _kind(error) != ABSENT:
                    raise
                return None
            except RequestError:
                # So it is without any index, in words that are not meant for that.
                if self._client.search(index=pattern, body={"size": 0})["_shards"]["total"]:
                    raise
                return None

        said = self.ask(f"search {pattern}", ask)
        if said is None:
            return None
        point = Point(said["pit_id"], said["_shards"]["total"])
        self._points.add(point)
        return point

    def give_back(self, point: Point) -> None:
        """Let OpenSearch forget a point in time."""
        if point not in self._points:
            return
        self._points.discard(point)
        try:
            self._client.delete_pit(
                body={"pit_id": [point.id]}, params={"request_timeout": _GIVING_BACK_S}
            )
        except OpenSearchException:
            # It is forgotten by itself, and whoever stops has no use for a complaint.
            return

    def _page(
        self, pattern: str, point: Point, body: dict[str, Any]
    ) -> tuple[list[dict[str, Any]], int]:
        """Hits, and how many were asked for: fewer where OpenSearch cannot hold as many."""

        def ask() -> Any:
            try:
                said = body | {"pit": {"id": point.id, "keep_alive": KEPT}}
                return self._client.search(body=said, params=WHOLE)
            except NotFoundError as error:
                if _kind(error) in _GONE:
                    raise
                self._renew(pattern, point)
                return None
            except TransportError as error:
                if error.status_code == _BUSY:
                    body["size"] = max(1, body["size"] // 2)
                raise

        try:
            answer = None
            while answer is None:
                answer = self.ask(f"search {pattern}", ask)
        except StoreError as error:
            if _kind(error.__cause__) in _GONE:
                raise _deleted(pattern) from error
            raise
        point.id = answer.get("pit_id", point.id)
        return answer["hits"]["hits"], body["size"]

    def _renew(self, pattern: str, point: Point) -> None:
        """Go on from another point in time where OpenSearch has forgotten this one.

        Nothing is missed or told twice: what a row is sorted by never changes.
        """
        self._points.discard(point)
        other = self.point(pattern)
        if other is None or other.shards < point.shards:
            raise _deleted(pattern)
        point.id = other.id
        self._points.discard(other)
        self._points.add(point)


def _deleted(pattern: str) -> StoreError:
    said = f"of {pattern} an index was deleted or closed while it was read"
    return StoreError(f"{said}: what came out is not all; ask again")


def _kind(error: BaseException | None) -> str:
    """The type that OpenSearch says an error is of; of several, the first."""
    info = error.info if isinstance(error, TransportError) else None
    said = info.get("error") if isinstance(info, dict) else None
    causes = (said.get("root_cause") or [said]) if isinstance(said, dict) else [{}]
    return str(causes[0].get("type", ""))


def _body(filters: Sequence[Filter], order: Order) -> dict[str, Any]:
    sort: list[dict[str, dict[str, str]]] = []
    for path, kind in order:
        said = {"order": "asc", "unmapped_type": kind}
        if kind == "date":
            # OpenSearch (3.4) takes a time before 1970 that is an upper bound for a millisecond
            # less. By such a bound it passes over shards whose first time is the last one of
            # those wanted, but for where a missing time might come first.
            said["missing"] = "_first"
        sort.append({path: said})
    return _filtered(filters) | {"sort": sort, "track_total_hits": False}


def _filtered(filters: Sequence[Filter]) -> dict[str, Any]:
    return {"query": {"bool": {"filter": list(filters)}}}


def _once(hits: Sequence[dict[str, Any]], last: Any) -> Iterator[dict[str, Any]]:
    """Hits without those that are in two indices."""
    for hit in hits:
        if hit["sort"] != last:
            last = hit["sort"]
            yield hit


def _next_size(size: int, rows: Sequence[Row]) -> int:
    """How many rows the next page is of, by what these took."""
    taken = sum(len(row.get("ocsf", b"")) + len(row.get("raw", b"")) for row in rows)
    fitting = size * _PAGE_BYTES // max(taken, 1)
    return max(1, min(fitting, size * _GROWTH, LONGEST_PAGE))
