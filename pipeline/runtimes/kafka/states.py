"""States: what a role knows behind a position, in a compacted topic of our own.

Faust's tables would do, but for this: their changelog is written by a producer of its own, so that
no transaction holds a batch's output, its offset and the state behind it. Here they are one.

A record is about one (role, topic, partition, name): a stream, a detector's key, or the partition
itself. All of one partition lie in one partition of the topic, in order, and whoever takes the
partition over reads that one to its end: to where no transaction is open any more, so that what the
one before was committing at that moment is seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.errors import StreamError
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.watermarks import watermarks
from schemas.types import HeldState
from schemas.wire import Decode, Encode

PARTITION = b""
"""Name of what is known of the partition as a whole."""
_POLL_S = 0.05


class NotLoaded(StreamError):
    """State could not be read: nothing can be done with the partition until it can."""


class States:
    """The states of one role.

    Args:
        settings: librdkafka's: where to, and as whom.
        group: the role's consumer group; nothing is committed in it here.
        role: tells its states from other roles'.
        topic, partitions: where they are.
        patience_s: how long somebody's open transaction is waited for.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        group: str,
        role: str,
        topic: str,
        partitions: int,
        encode: Encode,
        decode: Decode,
        patience_s: float = 90.0,
    ) -> None:
        self._settings = {**settings, "group.id": group}
        self._role, self._topic, self._partitions = role.encode(), topic, partitions
        self._encode, self._decode = encode, decode
        self._patience_s = patience_s

    def record(self, topic: str, partition: int, name: bytes, state: bytes | None) -> Outgoing:
        """The record that keeps `state`, or forgets it where that is None."""
        key = self._prefix(topic, partition) + name
        value = None
        if state is not None:
            value = self._encode(HeldState(topic, partition, name, state))
        return Outgoing(self._topic, value, key, None, self._place(topic, partition))

    def load(self, topic: str, partition: int) -> dict[bytes, bytes]:
        """What is known of a partition, by name. Blocks.

        Raises:
            NotLoaded: it cannot be read, or a transaction stays open.
        """
        found: dict[bytes, bytes] = {}
        prefix = self._prefix(topic, partition)

        def take(key: bytes | None, value: bytes | None) -> None:
            if key is None or not key.startswith(prefix):
                return
            name = key[len(prefix) :]
            if value is None:
                found.pop(name, None)
            else:
                found[name] = self._decode(value)["state"]

        place = self._place(topic, partition)
        read_whole(self._settings, self._topic, place, take, self._patience_s)
        return found

    def _prefix(self, topic: str, partition: int) -> bytes:
        return b"%b\0%b\0%d\0" % (self._role, topic.encode(), partition)

    def _place(self, topic: str, partition: int) -> int:
        return crc32(f"{topic}\0{partition}".encode()) % self._partitions


def read_whole(
    settings: Mapping[str, Any],
    topic: str,
    partition: int,
    take: Callable[[bytes | None, bytes | None], None],
    patience_s: float,
) -> int:
    """Give `take` key and value of each committed record there is of a partition now. Blocks.

    Returns the offset behind the last. Waits for transactions that are open, up to `patience_s`
    without any progress.

    Raises:
        NotLoaded: it cannot be read, or a transaction stays open.
    """
    consumer = Consumer(
        {
            **settings,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # To close one while it connects would be said as a failed login.
            "log_level": 0,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
        }
    )
    where = f"{topic}[{partition}]"
    try:
        place = TopicPartition(topic, partition, OFFSET_BEGINNING)
        low, high = watermarks(settings, [(topic, partition)])[topic, partition]
        consumer.assign([place])
        deadline = time.monotonic() + patience_s
        while low < high:
            for message in consumer.consume(10_000, _POLL_S):
                error = message.error()
                if error is None:
                    take(message.key(), message.value())
                    deadline = time.monotonic() + patience_s
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise NotLoaded(f"{where} cannot be read: {error}")
                elif (message.offset() or 0) >= high:
                    return high
            if time.monotonic() > deadline:
                raise NotLoaded(f"{where}: a transaction before offset {high} stays open")
        return high
    except KafkaException as error:
        raise NotLoaded(f"{where} cannot be read: {error}") from error
    finally:
        consumer.close()
