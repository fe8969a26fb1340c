"""What a topic holds now, from its beginning, read once and in no group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.watermarks import watermarks
from pipeline.streaming import Streaming

_POLL_S = 0.05
_BATCH = 5_000


class Read(NamedTuple):
    """A record, how many positions were read with it, and how many there are to be read."""

    message: Any
    read: int
    total: int


@contextmanager
def reading(
    cluster: Cluster,
    streaming: Streaming,
    topic: str,
    patience_s: float,
    *,
    role: str = "topics",
    partitions: Iterable[int] | None = None,
    committed: bool = True,
) -> Iterator[Iterator[Read]]:
    """All records there are of a topic, or of some of its partitions.

    Args:
        patience_s: how long it is waited without any progress.
        role: whose group says who we are; nothing is committed in it.
        committed: wait for transactions that are open, and leave out what they take back.

    Raises:
        ClusterError: it cannot be read, or not to its end; also while it is iterated over.
    """
    settings = {
        **cluster.settings,
        "group.id": f"{streaming.group}-{role}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        # To close one while it connects would be said as a failed login.
        "log_level": 0,
        "fetch.wait.max.ms": 100,
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    }
    if partitions is None:
        partitions = range(cluster.topics()[topic].partitions)
    consumer = Consumer(settings)
    try:
        ends = watermarks(settings, [(topic, number) for number in partitions])
        yield _Reading(consumer, topic, ends).records(patience_s)
    except KafkaException as error:
        raise ClusterError(f"{topic} cannot be read: {error.args[0].str()}") from None
    finally:
        consumer.close()


class _Reading:
    """How far each partition has come."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        ends: Mapping[tuple[str, int], tuple[int, int]],
    ) -> None:
        self._consumer, self._topic = consumer, topic
        self._at: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        for (_, number), (low, high) in ends.items():
            if low < high:
                self._at[number], self._ends[number] = low, high
        self._total = sum(self._ends.values()) - sum(self._at.values())
        self._unfinished = set(self._ends)
        consumer.assign([TopicPartition(topic, number, at) for number, at in self._at.items()])

    def records(self, patience_s: float) -> Iterator[Read]:
        """Each record up to where its partition ended when this began, or a little further."""
        last = time.monotonic()
        while self._unfinished:
            if time.monotonic() - last > patience_s:
                raise ClusterError(
                    f"{self._topic} cannot be read to its end: a transaction in it stays open, "
                    "or a broker is away"
                )
            for message in self._consumer.consume(_BATCH, _POLL_S):
                last = time.monotonic()
                if self._take(message):
                    yield Read(message, self._total - self._left(), self._total)

    def _take(self, message: Any) -> bool:
        """Whether it is a record; notes how far its partition has come."""
        number, error = message.partition(), message.error()
        if error is None:
            self._at[number] = message.offset() + 1
            return True
        if error.code() != KafkaError._PARTITION_EOF:
            raise ClusterError(f"{self._topic} cannot be read: {error.str()}")
        # A marker of a transaction is no record, and yet a position.
        self._at[number] = message.offset()
        if self._at[number] >= self._ends[number]:
            self._unfinished.discard(number)
        return False

    def _left(self) -> int:
        return sum(max(0, end - self._at[number]) for number, end in self._ends.items())
