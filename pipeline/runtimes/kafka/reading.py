"""What a topic holds now, from its beginning, read once and in no group."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.patience import GivenUp, LeftOff, never
from pipeline.runtimes.kafka.watermarks import watermarks
from pipeline.streaming import Streaming

_POLL_S = 0.05
_BATCH = 5_000


class Read(NamedTuple):
    """A record, how many positions were read with it, and how many there are to be read."""

    message: Any
    read: int
    total: int


class NotRead(Exception):
    """What a topic holds cannot be read, or not to its end; says which and why."""


def each(
    settings: Mapping[str, Any],
    topic: str,
    partitions: Iterable[int],
    patience_s: float,
    committed: bool = True,
    given_up: GivenUp = never,
    starts: Mapping[int, int] = MappingProxyType({}),
) -> Generator[Read, None, None]:
    """All records there are of some partitions of a topic. To be closed where it is left early.

    Args:
        settings: librdkafka's, with a group; nothing is committed in it.
        patience_s: how long it is waited without any progress.
        committed: wait for transactions that are open, and leave out what they take back.
        starts: by partition, the position to begin at, where that is not the first.

    Raises:
        NotRead: also while it is iterated over.
        LeftOff: the same.
    """
    settings = {
        **settings,
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        # To close one while it connects would be said as a failed login.
        "log_level": 0,
        "fetch.wait.max.ms": 100,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed" if committed else "read_uncommitted",
    }
    consumer = Consumer(settings)
    try:
        ends = {
            number: (max(low, starts.get(number, 0)), high)
            for (_, number), (low, high) in watermarks(
                settings, [(topic, number) for number in partitions], given_up
            ).items()
        }
        for one in _Reading(consumer, topic, ends).records(patience_s):
            if given_up():
                raise LeftOff
            if one:
                yield one
    except KafkaException as error:
        raise NotRead(f"{topic} cannot be read: {error.args[0].str()}") from None
    finally:
        consumer.close()


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
    starts: Mapping[int, int] = MappingProxyType({}),
) -> Iterator[Iterator[Read]]:
    """:func:`each`, of all partitions by default, as whoever has a role.

    Raises:
        ClusterError: it cannot be read, or not to its end; also while it is iterated over.
    """
    settings = {**cluster.settings, "group.id": f"{streaming.group}-{role}"}
    if partitions is None:
        partitions = range(cluster.topics()[topic].partitions)
    try:
        found = each(settings, topic, partitions, patience_s, committed, starts=starts)
        with closing(found) as records:
            yield records
    except NotRead as error:
        raise ClusterError(str(error)) from None


class _Reading:
    """How far each partition has come."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        ends: Mapping[int, tuple[int, int]],
    ) -> None:
        self._consumer, self._topic = consumer, topic
        self._at: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        for number, (low, high) in ends.items():
            if low < high:
                self._at[number], self._ends[number] = low, high
        self._total = sum(self._ends.values()) - sum(self._at.values())
        self._unfinished = set(self._ends)
        consumer.assign([TopicPartition(topic, number, at) for number, at in self._at.items()])

    def records(self, patience_s: float) -> Iterator[Read | None]:
        """Each record up to where its partition ended when this began, or a little further.

        None stands for a while in which nothing came.
        """
        last = time.monotonic()
        while self._unfinished:
            if time.monotonic() - last > patience_s:
                raise NotRead(
                    f"{self._topic} cannot be read to its end: a transaction in it stays open, "
                    "or a broker is away"
                )
            messages = self._consumer.consume(_BATCH, _POLL_S)
            if not messages:
                yield None
            for message in messages:
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
            raise NotRead(f"{self._topic} cannot be read: {error.str()}")
        # A marker of a transaction is no record, and yet a position.
        self._at[number] = message.offset()
        if self._at[number] >= self._ends[number]:
            self._unfinished.discard(number)
        return False

    def _left(self) -> int:
        return sum(max(0, end - self._at[number]) for number, end in self._ends.items())
