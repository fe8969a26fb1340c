"""Retention in OpenSearch, as tests do it: indices filled, plans carried out, and killed at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from typing import Any

from opensearchpy import OpenSearch as Client

from pipeline.lab.opensearch import OpenSearch
from pipeline.retention.holds import holds
from pipeline.retention.planning import Verdict, planned
from pipeline.retention.records import Who, removals
from pipeline.retention.terms import period
from pipeline.sinks.opensearch_documents import action
from pipeline.sinks.opensearch_documents import event as document
from pipeline.sinks.opensearch_dropping import OpenSearchRetention
from schemas import indices
from schemas.types import Event
from tests.retention.year import NOW, RETENTION

ME = Who("OpenSearch:retention", "human", "alice")
LATER = count(NOW)


def fill(client: Client, events: Sequence[Event], carried: int = NOW) -> None:
    """Index events as the role `index` does."""
    lines = []
    for one in events:
        index = indices.of_event(one.retention, one.time, carried, 400)
        lines.append(action("create", index)(one.id.hex()) + document(one.ocsf, one.raw))
    said = client.bulk(body=b"\n".join(lines) + b"\n", params={"refresh": "true"})
    assert not said["errors"]


def starts(month: str) -> int:
    """The first millisecond of a month."""
    found = period(month)
    assert found is not None
    assert found.since is not None
    return found.since


def plan(store: OpenSearchRetention, now: int = NOW, undated_days: int = 0) -> list[Verdict]:
    return planned(store.units(now), holds(store.own()), RETENTION, now, undated_days)


def due(store: OpenSearchRetention) -> list[Verdict]:
    return [verdict for verdict in plan(store) if verdict.state == "due"]


def apply(store: OpenSearchRetention) -> None:
    """What the command does."""
    verdicts = plan(store)
    store.settle(verdicts, ME, LATER.__next__)
    for verdict in verdicts:
        if verdict.state == "due":
            list(store.remove(verdict, ME, LATER.__next__))


def there(client: Client) -> dict[str, int]:
    """How many events are in each index, but for ours."""
    client.indices.refresh(index="audit-*")
    said = client.search(index="audit-*", body={
        "size": 0, "aggs": {"by": {"terms": {"field": "_index", "size": 1000}}},
    })  # fmt: skip
    found = {one["key"]: one["doc_count"] for one in said["aggregations"]["by"]["buckets"]}
    return {name: n for name, n in found.items() if not name.startswith("audit-auditstream-")}


def recorded(store: OpenSearchRetention) -> Counter[str]:
    """Events that are said to be gone, by index."""
    told: Counter[str] = Counter()
    for one in removals(store.own()):
        told[f"audit-{one['class']}-{one['month']}"] += one["events"]
    return told


class Killed(BaseException):
    """What no code of ours catches."""


class Dying(OpenSearchRetention):
    """Killed behind the n-th request that changes something: OpenSearch is as before the next."""

    def __init__(self, client: Client, dies_at: int) -> None:
        super().__init__(client)
        asked, send = count(1), client.transport.perform_request

        def perform(method: str, url: str, *args: Any, **more: Any) -> Any:
            changes = method in ("PUT", "DELETE") or "/_doc/" in url
            number = next(asked) if changes and "point_in_time" not in url else 0
            answer = send(method, url, *args, **more)
            if number == dies_at:
                raise Killed
            return answer

        client.transport.perform_request = perform  # type: ignore[method-assign]


def died(node: OpenSearch, dies_at: int) -> bool:
    """Whether it was killed before it was done."""
    with closing(Dying(node.client("retention"), dies_at)) as dying:
        try:
            apply(dying)
        except Killed:
            return True
    return False
