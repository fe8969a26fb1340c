"""Gauges: what stands at the moment it is asked for, out of what is known of each role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.runtimes.kafka.health import CHECKS, Health

_PLACE = ["role", "topic", "partition"]


class Gauges(Collector):
    """Lag, state and readiness.

    Args:
        retention_s: of topics that delete by age, seconds.
    """

    def __init__(self, health: Health, retention_s: Mapping[str, float]) -> None:
        self._health, self._retention_s = health, retention_s

    def collect(self) -> Iterator[Metric]:
        """All of them, as they are now."""
        yield self._ready()
        yield from self._lags()
        yield from self._states()
        kept = GaugeMetricFamily(
            "auditstream_retention_seconds",
            "How long a topic that this worker reads keeps records.",
            labels=["topic"],
        )
        for topic in sorted({topic for one in self._health.watches for topic in one.topics}):
            if topic in self._retention_s:
                kept.add_metric([topic], self._retention_s[topic])
        yield kept

    def _ready(self) -> Metric:
        wrong = {check for check, _ in self._health.ready()}
        family = GaugeMetricFamily(
            "auditstream_ready", "Whether it can work now, by what was checked.", labels=["check"]
        )
        for check in CHECKS:
            family.add_metric([check], float(check not in wrong))
        return family

    def _lags(self) -> Iterator[Metric]:
        records = GaugeMetricFamily(
            "auditstream_lag_records", "Positions of a partition that are not done.", labels=_PLACE
        )
        seconds = GaugeMetricFamily(
            "auditstream_lag_seconds",
            "How long the oldest record that is not done has waited.",
            labels=_PLACE,
        )
        margin = GaugeMetricFamily(
            "auditstream_margin_records",
            "Positions from the first that the topic still has to the first that is not done.",
            labels=_PLACE,
        )
        for watch in self._health.watches:
            for place in watch.places():
                labels = [watch.role, place[0], str(place[1])]
                records.add_metric(labels, watch.lag(place))
                seconds.add_metric(labels, watch.age_s(place))
                margin.add_metric(labels, watch.position(place) - watch.ends[place].low)
        yield from (records, seconds, margin)

    def _states(self) -> Iterator[Metric]:
        entries = GaugeMetricFamily(
            "auditstream_state_entries",
            "Streams, keys or events that are known of the partitions in hand.",
            labels=["work"],
        )
        size = GaugeMetricFamily("auditstream_state_bytes", "What these take.", labels=["work"])
        for watch in self._health.watches:
            for work, (count, of_bytes) in sorted(watch.known().items()):
                entries.add_metric([work], count)
                size.add_metric([work], of_bytes)
        yield from (entries, size)
