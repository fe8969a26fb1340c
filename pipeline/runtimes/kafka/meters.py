"""Meters: what a worker counts, as Prometheus reads it.

Every metric there is, is declared here; docs/metrics.md says what it is good for. Labels are
bounded: topics, partitions, clusters, sources, detectors and reasons, of which there are few, and
never a principal, a host or a text that a client wrote. Counted is once a batch, when it has
committed.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.errors import Reason
from pipeline.registry import sources
from pipeline.runtimes.kafka.tally import Tally
from pipeline.sinks.opensearch import Sent
from schemas.types import AccountOf
from schemas.vocabulary import SEVERITY_NAMES

_SIZES: Final = (1, 10, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
DELAYS_S: Final = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400, 604_800)
MOST_REASONS: Final = 200
"""Why items were filtered out; what sources outside this repository name is not known here."""
MOST_CLUSTERS: Final = 200
"""Labels of clusters are configured, but whoever sends records can name them, too."""
_LONGEST: Final = 100
OTHER: Final = "(other)"
_OURS: Final = (Reason.FOREIGN, Reason.REFUSED)
_REASONS: Final[Mapping[str, tuple[Reason, ...]]] = {
    "ingest": tuple(one for one in Reason if one not in (*_OURS, Reason.RESOLVED)),
    "index": _OURS,
    "findings": _OURS,
}
"""Of dead letters, by work; of any other there are `foreign` ones alone."""
_BULK: Final = ("indexed", "rejected", "refused")


class _Few:
    """The first so many names there were; any other is one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        if len(self._known) < self._most and len(name) <= _LONGEST:
            self._known.add(name)
        return name if name in self._known else OTHER


class Meters:
    """All that one worker counts.

    Attributes:
        registry: what is served.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        # When each began is told for twice the size, and asked by nobody.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._clock = clock
        self._reasons, self._clusters = _Few(MOST_REASONS), _Few(MOST_CLUSTERS)
        ProcessCollector(registry=self.registry)
        built = self._gauge("build_info", "What runs; always 1.", "version")
        built.labels(version("auditstream")).set(1)
        self._batches()
        self._items()
        self._said()
        self._bulk()
        self._delays = Delays()
        self.registry.register(self._delays)

    # What there is.

    def _batches(self) -> None:
        self._records = self._counter("records", "Records read.", "work", "topic")
        self._lost = self._counter(
            "lost_records", "Positions that retention deleted before they were read.", "topic"
        )
        self._redelivered = self._counter(
            "redelivered_records", "Raw records that had been read before, and count nothing.",
            "topic",
        )  # fmt: skip
        self._size = self._histogram("batch_records", "Records of a batch.", _SIZES, "work")
        self._took = self._histogram(
            "batch_seconds", "From a batch in hand to its transaction committed.", _SECONDS, "work"
        )
        self._failed = self._counter(
            "commit_failures", "Transactions or offsets that were not committed. The worker ends.",
            "work",
        )  # fmt: skip

    def _items(self) -> None:
        self._outcomes = self._counter(
            "items", "What records held, by what became of it and why.", "outcome", "reason"
        )
        self._events = self._counter(
            "events", "Events by the source that read them.", "source", "cluster"
        )
        self._heard = self._gauge(
            "source_last_event_timestamp_seconds", "When events of a source last came in.",
            "source", "cluster",
        )  # fmt: skip
        self._letters = self._counter(
            "dead_letters", "What could not be read, or was refused.", "work", "reason"
        )

    def _said(self) -> None:
        self._findings = self._counter(
            "findings", "Findings, at their first version.", "detector", "severity"
        )
        self._versions = self._counter(
            "finding_versions", "Versions of findings.", "detector", "severity", "status"
        )

    def _bulk(self) -> None:
        self._bulk_took = self._histogram(
            "bulk_seconds", "Answers of OpenSearch to bulk requests.", _SECONDS, "outcome"
        )
        self._bulk_documents = self._counter(
            "bulk_documents",
            "Documents by OpenSearch's answer: indexed (or there already), rejected (they are sent "
            "again), refused (they become dead letters).",
            "outcome",
        )

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(f"auditstream_{name}", said, labels, registry=self.registry)

    def _gauge(self, name: str, said: str, *labels: str) -> Gauge:
        return Gauge(f"auditstream_{name}", said, labels, registry=self.registry)

    def _histogram(
        self, name: str, said: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"auditstream_{name}", said, labels, registry=self.registry, buckets=buckets
        )

    # What is counted.

    def begins(self, work: str, topics: Iterable[str]) -> None:
        """There will be such work: its counters are there from now on, at 0. Prometheus sees no
        increase in one that begins with its first count."""
        for topic in topics:
            self._records.labels(work, topic)
            self._lost.labels(topic)
        self._failed.labels(work)
        for reason in _REASONS.get(work, (Reason.FOREIGN,)):
            self._letters.labels(work, reason)
        if work == "ingest":
            self._outcomes.labels("event", "")
            for reason in _REASONS[work]:
                self._outcomes.labels("dead_letter", reason)
        if work == "index":
            for outcome in _BULK:
                self._bulk_documents.labels(outcome)

    def done(
        self, work: str, topic: str, records: int, lost: int, took_s: float, tally: Tally
    ) -> None:
        """Count a batch that has committed.

        Args:
            work: the name of what was done with it.
            lost: positions before it that were deleted unread.
        """
        self._records.labels(work, topic).inc(records)
        self._lost.labels(topic).inc(lost)
        self._size.labels(work).observe(records)
        self._took.labels(work).observe(took_s)
        if tally.account is not None:
            self._account(work, tally.account)
        now = self._clock()
        for (source, named), count in tally.events.items():
            cluster = self._clusters.of(named)
            self._events.labels(source, cluster).inc(count)
            self._heard.labels(source, cluster).set(now)
        if tally.times:
            self._delays.see(work, tally.times, int(now * 1000))
        for reason, count in tally.letters.items():
            self._letters.labels(work, reason).inc(count)
        self.say(tally)

    def say(self, tally: Tally) -> None:
        """Count versions of findings, whatever they came of."""
        for said, count in tally.findings.items():
            severity = SEVERITY_NAMES.get(said.severity_id, OTHER).lower()
            self._versions.labels(said.detector, severity, said.status).inc(count)
            if said.first:
                self._findings.labels(said.detector, severity).inc(count)

    def _account(self, work: str, account: AccountOf) -> None:
        self._redelivered.labels(account.topic).inc(account.redelivered)
        self._outcomes.labels("event", "").inc(account.events)
        for rule, count in account.filtered.items():
            self._outcomes.labels("filtered", self._reason(rule)).inc(count)
        for reason, count in account.dead_letters.items():
            self._outcomes.labels("dead_letter", reason).inc(count)
            self._letters.labels(work, reason).inc(count)

    def _reason(self, rule: str) -> str:
        """A rule without what a client can have written: loggers' names stand in some."""
        head = rule.partition(":")[0]
        return self._reasons.of(rule if head in sources() else head)

    def failed(self, work: str) -> None:
        """Count a commit that failed."""
        self._failed.labels(work).inc()

    def sent(self, sent: Sent) -> None:
        """Count a bulk request."""
        self._bulk_took.labels("failed" if sent.failed else "answered").observe(sent.took_s)
        counts = (sent.indexed, sent.rejected, sent.refused)
        for outcome, count in zip(_BULK, counts, strict=True):
            self._bulk_documents.labels(outcome).inc(count)


class Delays(Collector):
    """How old events are when they are done: a histogram that takes a batch at a time.

    An observation of Prometheus' client takes a microsecond; here a whole batch is sorted, which it
    nearly is, and the bounds are looked for in it.
    """

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def see(self, work: str, times: Iterable[int], now: int) -> None:
        """Count events by their times, epoch milliseconds. Those without a time are left out."""
        known = sorted(times)
        del known[: bisect_right(known, 0)]
        counts = [
            len(known) - bisect_right(known, now - int(bound * 1000) - 1) for bound in DELAYS_S
        ]
        counts.append(len(known))
        before = self._counts.get(work)
        self._counts[work] = (
            counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]
        )
        # A clock that is ahead makes nothing younger than new.
        early = len(known) - bisect_right(known, now)
        past = sum(known[: len(known) - early])
        delay = ((len(known) - early) * now - past) / 1000
        self._sums[work] = self._sums.get(work, 0.0) + delay

    def collect(self) -> Iterator[Metric]:
        """The histogram."""
        family = HistogramMetricFamily(
            "auditstream_event_delay_seconds",
            "From an event's own time to when it was done.",
            labels=["work"],
        )
        bounds = [*map(str, map(float, DELAYS_S)), "+Inf"]
        for work, counts in list(self._counts.items()):
            buckets = list(zip(bounds, map(float, counts), strict=True))
            family.add_metric([work], buckets, self._sums.get(work, 0.0))
        yield family
