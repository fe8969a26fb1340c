"""The store in OpenSearch, read: the same questions, answers and order as of the embedded store.

OpenSearch finds every answer and now and then a little more; what comes out is what the rows, taken
out of their documents again, say themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import OpenSearchException

from pipeline.errors import Reason
from pipeline.query import Query
from pipeline.sinks import opensearch_filters as filters
from pipeline.sinks.opensearch_client import templated
from pipeline.sinks.opensearch_documents import RAW, dead_letter_row, event_row, finding_row
from pipeline.sinks.opensearch_filters import Filter
from pipeline.sinks.opensearch_pages import Answers, Convert, Order
from pipeline.sinks.reading import Row, fitting, mentions, readable, says
from schemas import indices
from schemas.avro import schema
from schemas.vocabulary import ActorKind

_EVENT: Final = {column.name: column.path for column in schema("audit_event").columns}
_FINDING: Final = {column.name: column.path for column in schema("finding").columns}
_LETTER: Final = {column.name: column.path for column in schema("dead_letter").columns}

_BY_TIME: Final = ((_EVENT["time"], "date"), (_EVENT["id"], "keyword"))
_BY_CLUSTER: Final = ((_EVENT["cluster"], "keyword"), *_BY_TIME)
_BY_FIRST_TIME: Final = (
    (_FINDING["first_time"], "date"), (_FINDING["id"], "keyword"), (_FINDING["version"], "integer"),
)  # fmt: skip
_BY_CARRIER: Final = (
    (_LETTER["carrier"], "keyword"), (_LETTER["position"], "long"), (_LETTER["id"], "keyword"),
)  # fmt: skip

_ID_BYTES: Final = 16
_LATEST: Final = 2**48 - 1
"""Milliseconds that an id can say: this of anything later, and 0 of anything before 1970."""
_IDS_AT_ONCE: Final = 1_000
_EVIDENCE_AT_ONCE: Final = 8_000
_FINDINGS_AT_ONCE: Final = 100

Resting = tuple[Row, list[str]]
"""A finding, and the ids of events that it rests on."""


class OpenSearchReader:
    """Answers queries, as :class:`pipeline.sinks.reading.Reader` promises.

    Args:
        client: closed with the reader.
        notice: says to a person what stands beside the answer.

    Raises:
        StoreError: from every method, where OpenSearch cannot be reached, refuses, or loses an
            index while it is read.
    """

    def __init__(self, client: OpenSearch, notice: Callable[[str], None] = lambda _: None) -> None:
        self._client = client
        self._notice = notice
        self._answers = Answers(client, self._hint)

    def close(self) -> None:
        """Leave nothing under way, and close the connections."""
        self._answers.close()

    def events(self, query: Query, limit: int | None = None) -> Iterator[Row]:
        """Events in order of (time, id)."""
        fits = fitting(query)
        found = self._events(filters.events(query), _BY_TIME, limit)
        return islice((row for row in found if fits(row)), limit)

    def legs(self) -> Iterator[tuple[str, bytes]]:
        """Cluster and OCSF document of what may be part of a change, by cluster, time and id."""
        found = self._events([filters.exists(_EVENT["leg"])], _BY_CLUSTER)
        return ((row["cluster"], row["ocsf"]) for row in found if row["leg"])

    def by_id(self, ids: Sequence[str]) -> list[Row]:
        """Events of these ids (hexadecimal), in order of (time, id)."""
        asked, found = list(dict.fromkeys(ids)), list[Row]()
        for start in range(0, len(asked), _IDS_AT_ONCE):
            part = asked[start : start + _IDS_AT_ONCE]
            found += self._events(_of_ids(part), _BY_TIME, len(part))
        return sorted(found, key=lambda row: (row["time"], row["id"]))

    def strangers(self) -> list[str]:
        """Principals of unknown kind, by name; none whose name is too long to be indexed."""
        unknown = [filters.term(_EVENT["actor_kind"], ActorKind.UNKNOWN)]
        return list(
            self._answers.values(indices.searched(indices.EVENTS), unknown, _EVENT["actor"])
        )

    def findings(
        self, query: Query, history: bool = False, named: str = "", limit: int | None = None
    ) -> Iterator[Row]:
        """Findings in order of (first time, id, version): the settled view, or every version."""
        asked = [] if history else [filters.term(_FINDING["status"], "open")]
        asked += filters.period(_FINDING["last_time"], query.since, None)
        asked += filters.period(_FINDING["first_time"], None, query.until)
        if named:
            asked.append({"prefix": {_FINDING["id"]: named}})
        name = indices.VERSIONS if history else indices.FINDINGS
        return islice(self._findings(name, asked, query, limit), limit)

    def dead_letters(self, query: Query, limit: int | None = None) -> Iterator[Row]:
        """Dead letters in order of (carrier, position, id).

        Raises:
            ArgumentError: asked for a class or an outcome: what cannot be read has none.
        """
        readable(query)
        timeless = filters.term(_LETTER["time"], 0)
        period = filters.period(_LETTER["time"], query.since, query.until)
        asked = [filters.any_of([said, timeless]) for said in period]
        asked.append(filters.without(filters.term(_LETTER["reason"], Reason.RESOLVED)))
        if query.source is not None:
            asked.append(filters.term(_LETTER["source"], query.source))
        found = self._rows(indices.DEAD_LETTERS, asked, _BY_CARRIER, dead_letter_row, limit)
        return islice((row for row in found if mentions(row, query)), limit)

    def _findings(
        self, name: str, asked: Sequence[Filter], query: Query, limit: int | None
    ) -> Iterator[Row]:
        pages = self._pages(name, asked, _BY_FIRST_TIME, finding_row, limit)
        rest = replace(query, since=None, until=None, text=None)
        for page in pages:
            rows = [row for row in page if says(row, query.text)]
            if rest == Query():
                yield from rows
                continue
            for some in _by_evidence(self._with_last_evidence(rows)):
                yield from self._resting_on(some, rest)

    def _resting_on(self, findings: Sequence[Resting], query: Query) -> list[Row]:
        """Those of these findings that rest on an event that is asked for."""
        fits, wanted = fitting(query), filters.events(query)
        together = _of_ids([i for _, ids in findings for i in ids])
        kinds = [filters.term(_EVENT["id"], *ids) for _, ids in findings]
        pattern = indices.searched(indices.EVENTS)
        first = self._answers.one_of_each(pattern, [*together, *wanted], kinds, RAW)
        return [
            finding
            for (finding, ids), document in zip(findings, first, strict=True)
            if document is not None
            and (
                fits(event_row(document))
                or any(map(fits, self._events(_of_ids(ids) + wanted, _BY_TIME)))
            )
        ]

    def _with_last_evidence(self, findings: Sequence[Row]) -> Iterator[Resting]:
        """Findings and what each rests on, or rested on before it was taken back."""
        taken_back = {row["id"].hex() for row in findings if not row["evidence"]}
        last: dict[bytes, tuple[int, bytes]] = {}
        if taken_back:
            asked = [
                filters.term(_FINDING["id"], *taken_back), filters.exists(_FINDING["evidence"])
            ]  # fmt: skip
            for row in self._rows(indices.VERSIONS, asked, _BY_FIRST_TIME, finding_row, None):
                if row["version"] >= last.get(row["id"], (0, b""))[0]:
                    last[row["id"]] = row["version"], row["evidence"]
        for row in findings:
            ids = row["evidence"] or last.get(row["id"], (0, b""))[1]
            if ids:
                yield row, _ids(ids)

    def _events(
        self, asked: Sequence[Filter], order: Order, limit: int | None = None
    ) -> Iterator[Row]:
        # Anybody may call an index audit-something.
        ours = filters.exists(_EVENT["outcome"])
        return self._rows(indices.EVENTS, [ours, *asked], order, event_row, limit)

    def _rows(
        self, name: str, asked: Sequence[Filter], order: Order, row: Convert, limit: int | None
    ) -> Iterator[Row]:
        for page in self._pages(name, asked, order, row, limit):
            yield from page

    def _pages(
        self, name: str, asked: Sequence[Filter], order: Order, row: Convert, limit: int | None
    ) -> Iterator[list[Row]]:
        return self._answers.pages(indices.searched(name), asked, order, row, limit)

    def _hint(self, pattern: str) -> None:
        """Say what is missing, where nothing was ever written."""
        try:
            there = templated(self._client)
        except OpenSearchException:
            # Whoever may read need not be allowed to ask this.
            return
        if pattern not in there:
            self._notice("the store is not set up: `auditstream opensearch apply` does that")


def _by_evidence(findings: Iterable[Resting]) -> Iterator[list[Resting]]:
    """Findings in order, as many together as one search takes."""
    some: list[Resting] = []
    size = 0
    for found in findings:
        if some and (size + len(found[1]) > _EVIDENCE_AT_ONCE or len(some) == _FINDINGS_AT_ONCE):
            yield some
            some, size = [], 0
        some.append(found)
        size += len(found[1])
    if some:
        yield some


def _of_ids(ids: Sequence[str]) -> list[Filter]:
    """Events of these ids. Their times are said too: most indices then need not be looked into."""
    times = [int(said[:12], 16) for said in ids] or [0]
    since = min(times) or None
    until = max(times) + 1 if max(times) < _LATEST else None
    return [filters.term(_EVENT["id"], *ids), *filters.period(_EVENT["time"], since, until)]


def _ids(joined: bytes) -> list[str]:
    return [joined[i : i + _ID_BYTES].hex() for i in range(0, len(joined), _ID_BYTES)]
