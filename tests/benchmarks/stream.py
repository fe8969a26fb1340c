"""The stream, against a real broker: our workers beside the floor and plain Faust, in one run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from pipeline.lab.kafka import Kafka
from tests.benchmarks.latency import latencies
from tests.benchmarks.load import PARTITIONS, Loading, observations
from tests.benchmarks.soak import soak, sustained
from tests.benchmarks.trails import trail_lines
from tests.benchmarks.workers import Stream
from tests.logs import authorizer_lines, routine_lines

_RUNS = 3
_NAIVE = 20_000
"""Records for those who take them one by one."""
_KEYS = 10_000
_RAW = {
    "bench-lines": "kafka_authorizer",
    "bench-unlike": "kafka_authorizer",
    "bench-trails": "aws_cloudtrail",
}
_PROPERTIES = {"log.retention.check.interval.ms": "3000", "log.segment.delete.delay.ms": "1000"}

Figures = Mapping[str, float]


class Bench:
    """All measurements, on one broker.

    Args:
        lines: authorizer lines, as often again of which hardly two are alike; a third as many trail
            records, for they are long.
    """

    def __init__(self, kafka: Kafka, folder: Path, lines: int) -> None:
        self._kafka, self._folder = kafka, folder
        self._client: dict[str, Any] = dict(kafka.client("admin"))
        self._count = {"bench-lines": lines, "bench-unlike": lines, "bench-trails": lines // 3}
        self._streams = 0
        self._make(*_RAW, "bench-few", "bench-out")
        Loading(self._client).lines("bench-lines", routine_lines(lines))
        Loading(self._client).lines("bench-unlike", authorizer_lines(lines))
        Loading(self._client).lines("bench-trails", trail_lines(lines // 3))
        Loading(self._client).lines("bench-few", routine_lines(_NAIVE))

    def _make(self, *topics: str) -> None:
        admin = AdminClient(self._client)
        for made in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in topics]).values():
            made.result(30)

    def stream(self, raw: Mapping[str, str] | None = None) -> Stream:
        """One with no past."""
        self._streams += 1
        return Stream(self._kafka, self._folder / f"bench{self._streams}", raw)

    def peer(self, what: str, topic: str, kind: str = "line") -> Figures:
        """A figure of `peers.py`."""
        options = {
            "what": what, "topic": topic, "out": "bench-out", "kind": kind, "client": self._client,
            "expected": self._count.get(topic, _NAIVE), "folder": str(self._folder),
        }  # fmt: skip

        def once() -> Figures:
            command = [sys.executable, "-m", "tests.benchmarks.peers", json.dumps(options)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            figures: Figures = json.loads(done.stdout.splitlines()[-1])
            return figures

        return _medians(once)

    def ingest(self, topic: str, roles: str = "ingest") -> Figures:
        """Our worker, from a raw topic to all that follows, acknowledged."""

        def once() -> Figures:
            stream = self.stream({topic: _RAW[topic]})
            try:
                return stream.measured(roles, "ingest", topic, self._count[topic])
            finally:
                self._forget(stream)

        return _medians(once)

    def detect(self, count: int) -> Figures:
        """Our worker, upon observations of many keys."""

        def once() -> Figures:
            stream = self.stream()
            loading, topic = Loading(self._client), stream.topic("counters")
            for key, value in observations(count, _KEYS):
                loading.put(topic, value, key)
            loading.flush()
            try:
                return stream.measured("detect", "detect", topic, count)
            finally:
                self._forget(stream)

        return _medians(once)

    def _forget(self, stream: Stream) -> None:
        """Its topics take much room."""
        admin = AdminClient(self._client)
        names = [
            name
            for name in admin.list_topics(timeout=30).topics
            if name.startswith(f"{stream.name}.")
        ]
        for deleted in admin.delete_topics(names).values():
            with suppress(KafkaException):
                deleted.result(30)


def _medians(once: Callable[[], Figures]) -> Figures:
    runs = [once() for _ in range(_RUNS)]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _row(what: str, figures: Figures, promised: str = "") -> Figures:
    peak = f"{figures['memory'] / 2**20:>7.0f} MB" if "memory" in figures else f"{'':>10}"
    print(
        f"{what:<52}{figures['rate']:>11,.0f}/s{figures['cpu_us']:>9.1f} µs{peak}   {promised}",
        flush=True,
    )
    return figures


def measure(folder: Path, lines: int, soak_minutes: float) -> None:
    """Measure all, and print it beside what is promised."""
    print(f"\nThe stream: {lines:,} lines, medians of {_RUNS} runs; some 8 minutes and the soak")
    with Kafka(
        folder / "kafka", {"admin": "admin-password"}, properties=_PROPERTIES, heap_mib=768
    ) as kafka:
        bench = Bench(kafka, folder, lines)
        print(f"\n{'':<52}{'records':>13}{'CPU each':>12}{'peak':>10}   promised")
        _row("floor: confluent-kafka and re, authorizer lines", bench.peer("floor", "bench-lines"))
        _row(
            "floor: confluent-kafka and orjson, trail", bench.peer("floor", "bench-trails", "trail")
        )
        naive = _row("plain Faust agent: re, Avro, send", bench.peer("naive", "bench-few"))
        _row("the same with take(1000)", bench.peer("take", "bench-few"))
        ours = _row("ingest, authorizer lines", bench.ingest("bench-lines"), "40,000/s, 20 µs")
        _row("ingest, authorizer lines, hardly two alike", bench.ingest("bench-unlike"))
        _row("ingest, CloudTrail of 1.7 KB", bench.ingest("bench-trails"), "45 µs")
        _row(f"detect, {_KEYS:,} keys", bench.detect(lines), "30,000/s")
        both = _row(
            "both roles in one worker, lines ingested", bench.ingest("bench-lines", "ingest,detect")
        )
        print(f"\ningest / plain Faust agent: {ours['rate'] / naive['rate']:.1f} × (promised: 8 ×)")
        found = latencies(bench.stream(), 5_000, 20)
        print(
            f"line produced → finding read, at 5,000/s, {found.found} findings: p50 {found.p50_s:.2f} s, "
            f"p99 {found.p99_s:.2f} s (promised: 1 s, 3 s); not raised: {found.missing}"
        )
        limit = sustained(bench.stream(), both["rate"])
        print(f"both roles, while lines come: {limit:,.0f} lines/s", flush=True)
        print(soak(bench.stream(), 0.8 * limit, soak_minutes), flush=True)
