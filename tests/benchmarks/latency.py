"""How long it takes from a line to the finding it leads to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from statistics import quantiles
from typing import NamedTuple, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas.wire import decoder
from tests.benchmarks.load import PARTITIONS, Fresh, Loading, guesses, paced
from tests.benchmarks.workers import Stream
from tests.runtimes.kafka.running import eventually

_GRACE_S = 30.0
_EACH = 5
"""Steps of the load from one burst of guesses to the next."""


class Latencies(NamedTuple):
    """Seconds from the last line of a burst to its finding, as a consumer reads it."""

    p50_s: float
    p99_s: float
    found: int
    missing: int


class _Arrivals:
    """When the first finding about each key came."""

    def __init__(self, stream: Stream) -> None:
        self.at: dict[str, float] = {}
        self._over = False
        settings = {"group.id": "arrivals", "isolation.level": "read_committed"}
        self._consumer = Consumer({**stream.client, **settings, "fetch.wait.max.ms": 10})
        topic = stream.topic("findings")
        places = [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)]
        self._consumer.assign(places)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        decode = decoder("finding")
        while not self._over:
            for message in self._consumer.consume(100, 0.01):
                now = time.monotonic()
                if message.error() is None:
                    key = decode(message.value() or b"")["key"]
                    self.at.setdefault(key, now)

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._consumer.close()


class Arrivals(Protocol):
    """When the first finding about each key could be read, by key; seconds of the monotonic clock."""

    at: dict[str, float]

    def close(self) -> None:
        """Read no more."""


def latencies(
    stream: Stream,
    rate: float,
    seconds: float,
    workers: Sequence[str] = ("ingest,detect",),
    read: Callable[[Stream], Arrivals] = _Arrivals,
) -> Latencies:
    """Lines at a rate, failed logins among them that are one finding each.

    Args:
        workers: the roles of each process.
    """
    topic = stream.topic("raw.auto")
    loading, fresh, produced = Loading(stream.client), Fresh(), dict[str, float]()

    def step(count: int, number: int) -> None:
        for line in fresh.some(count):
            loading.line(topic, line)
        if number % _EACH == 0:
            key, lines = guesses(number)
            for line in lines:
                loading.line(topic, line)
            produced[key] = time.monotonic()
        loading.poll()

    with (
        ExitStack() as running,
        stream.committed("detect", stream.topic("counters")) as ask,
        closing(read(stream)) as arrivals,
    ):
        for roles in workers:
            running.enter_context(stream.worker(roles))
        # Once without a clock, so that nothing starts while it is measured.
        paced(500, 3, step)
        eventually(lambda: ask() > 0, "the worker to work", 60)
        eventually(lambda: set(produced) <= set(arrivals.at), "the first findings", 60)
        produced.clear()
        paced(rate, seconds, lambda count, number: step(count, number + 1_000))
        loading.flush()
        deadline = time.monotonic() + _GRACE_S
        while set(produced) - set(arrivals.at) and time.monotonic() < deadline:
            time.sleep(0.1)
    waited = [arrivals.at[a] - at for a, at in produced.items() if a in arrivals.at]
    cuts = quantiles(waited, n=100)
    return Latencies(cuts[49], cuts[98], len(waited), len(produced) - len(waited))
