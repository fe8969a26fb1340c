"""The store, against a real broker and a real OpenSearch with TLS and logins: role `index` beside a
bare loop that sends the same documents."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import OpenSearchException

from pipeline.lab.kafka import Kafka
from pipeline.lab.opensearch import OpenSearch
from pipeline.runtimes.kafka.watermarks import watermarks
from pipeline.sinks import opensearch_documents as documents
from pipeline.sinks.opensearch import PIECE_BYTES
from schemas import indices
from schemas.wire import decoder
from tests.benchmarks.latency import latencies
from tests.benchmarks.load import PARTITIONS, Loading
from tests.benchmarks.workers import Stream
from tests.logs import authorizer_lines
from tests.stores import clear, put_templates, section

_RUNS = 3
_CONNECTIONS = 4
"""Of the bare loop: as many partitions as the worker has."""
_LOOK_S = 0.1

Figures = Mapping[str, float]


class _Readable:
    """When a search first returned the finding about each key."""

    def __init__(self, client: Client) -> None:
        self.at: dict[str, float] = {}
        self._client, self._over = client, False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        # What was read is not asked for again: to look is to cost little of what is measured.
        key = "auditstream.key"
        body: dict[str, Any] = {"size": 100, "_source": False, "docvalue_fields": [key]}
        while not self._over:
            with suppress(OpenSearchException):
                body["query"] = {"bool": {"must_not": {"terms": {key: list(self.at)}}}}
                said = self._client.search(index=indices.searched(indices.FINDINGS), body=body)
                now = time.monotonic()
                for hit in said["hits"]["hits"]:
                    self.at.setdefault(hit["fields"][key][0], now)
            time.sleep(_LOOK_S)

    def close(self) -> None:
        self._over = True
        self._thread.join()


def _bodies(stream: Stream) -> tuple[list[bytes], int]:
    """All events of a stream as bulk requests, and how many they are."""
    topic, decode = stream.topic("events"), decoder("audit_event")
    line = documents.action("create", "audit-standard-2026.11")
    consumer = Consumer(
        {**stream.client, "group.id": "bodies", "isolation.level": "read_committed"}
    )
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    parts: list[bytes] = []
    size, count, out = 0, 0, []
    while messages := consumer.consume(10_000, 5):
        for message in messages:
            row = decode(message.value() or b"")
            both = line(row["id"].hex()), documents.event(row["ocsf"], row["raw"])
            parts += (*both, b"\n")
            size += sum(map(len, both))
            count += 1
            if size >= PIECE_BYTES:
                out.append(b"".join(parts))
                parts, size = [], 0
    consumer.close()
    return [*out, b"".join(parts)], count


class Bench:
    """All measurements, on one broker and one node."""

    def __init__(self, kafka: Kafka, node: OpenSearch, folder: Path, lines: int) -> None:
        self._kafka, self._node, self._folder = kafka, node, folder
        self.client = node.client()
        put_templates(self.client)
        self._streams = 0
        self._filled = self.stream()
        Loading(self._filled.client).lines(
            self._filled.topic("raw.kafka_authorizer"), authorizer_lines(lines)
        )
        raw = self._filled.topic("raw.kafka_authorizer")
        self._filled.measured("ingest", "ingest", raw, lines)
        self._bodies, self._count = _bodies(self._filled)

    def stream(self, prefix: str = "") -> Stream:
        """One of its own, or one that reads another's topics anew."""
        self._streams += 1
        folder = self._folder / f"store{self._streams}"
        return Stream(self._kafka, folder, None, section(self._node), prefix)

    def index(self) -> Figures:
        """The role, from the topic to all indexed and committed."""
        clear(self.client)
        stream = self.stream(self._filled.name)
        topic = stream.topic("events")
        ends = watermarks(
            {**stream.client, "group.id": "ends"}, [(topic, p) for p in range(PARTITIONS)]
        )
        return stream.measured("index", "index", topic, sum(end for _, end in ends.values()))

    def bare(self) -> Figures:
        """The same documents, sent from memory as fast as they are taken."""
        clear(self.client)

        def send(body: bytes) -> None:
            said = self.client.transport.perform_request(
                "POST", "/_bulk", params={"filter_path": "errors"}, body=body,
                headers={"content-type": "application/x-ndjson"},
            )  # fmt: skip
            assert said["errors"] is False

        cpu, began = sum(os.times()[:2]), time.monotonic()
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(send, self._bodies))
        took = time.monotonic() - began
        spent = sum(os.times()[:2]) - cpu
        return {"rate": self._count / took, "cpu_us": spent / self._count * 1e6}


def _medians(runs: list[Figures]) -> Figures:
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _row(what: str, figures: Figures, promised: str = "") -> None:
    rate, cpu = figures["rate"], figures["cpu_us"]
    print(f"{what:<52}{rate:>11,.0f}/s{cpu:>9.1f} µs   {promised}", flush=True)


def measure(folder: Path, lines: int) -> None:
    """Measure all, and print it beside what is promised."""
    print(f"\nThe store: {lines:,} events, medians of {_RUNS} runs in turn; some 4 minutes")
    with (
        Kafka(folder / "kafka", {"admin": "admin-password"}, heap_mib=768) as kafka,
        OpenSearch(folder / "opensearch", heap_mib=2048, optimised=True) as node,
    ):
        bench = Bench(kafka, node, folder, lines)
        measures: dict[str, Callable[[], Figures]] = {"bare": bench.bare, "index": bench.index}
        runs: dict[str, list[Figures]] = {"bare": [], "index": []}
        for _ in range(_RUNS):
            for name, once in measures.items():
                runs[name].append(once())
        bare, ours = _medians(runs["bare"]), _medians(runs["index"])
        print(f"\n{'':<52}{'documents':>13}{'CPU each':>12}   promised")
        _row("bare bulk loop, the same documents", bare)
        _row("role index, topic to indexed and committed", ours, "25 µs (aim 16)")
        print(f"role index / bare loop: {ours['rate'] / bare['rate']:.0%} (promised: 80 %)")
        print(
            json.dumps(
                {name: [round(run["rate"]) for run in several] for name, several in runs.items()}
            )
        )
        clear(bench.client)
        found = latencies(
            bench.stream(),
            5_000,
            20,
            # As in docker-compose.yml: one of each.
            ("ingest", "detect", "index"),
            lambda _: _Readable(bench.client),
        )
        print(
            f"line produced → finding in a search, at 5,000/s, {found.found} findings: "
            f"p50 {found.p50_s:.2f} s, p99 {found.p99_s:.2f} s (promised: 2 s, 5 s); "
            f"not raised: {found.missing}",
            flush=True,
        )
        bench.client.close()
