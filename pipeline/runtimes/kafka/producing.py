"""An idempotent producer for Faust's event loop: bounded, and honest about what was not delivered.

librdkafka does the sending in threads of its own. Here records are handed to it, waiting where its
queue is full, and `flush` says whether all of them were acknowledged by all in-sync replicas.

A :class:`Transactional` one makes all that a batch led to visible at once, or none of it, together
with the offset behind the batch (KIP-98). The group's generation goes with the offset (KIP-447), so
that a worker which was put out of the group and does not know it can commit nothing at all.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from pipeline.errors import StreamError

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_SAID_EACH_S = 30.0
_TURN = 500
"""Records handed over before others on the event loop get their turn: about a millisecond."""


class NotDelivered(StreamError):
    """Records were not acknowledged; what led to them must be done again."""


class Outgoing(NamedTuple):
    """One record to send; its key, if any, settles its partition unless one is named."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, str | bytes | None]] | None = None
    partition: int = -1


class Member(NamedTuple):
    """Who a worker is in its consumer group, for as long as one assignment lasts."""

    group: str
    generation: int
    member: str


NOBODY = Member("", -1, "")
"""Who never joined."""


@dataclass(frozen=True, slots=True)
class Sending:
    """Bounds of what waits to be sent, and how it is sent (times in milliseconds)."""

    queue_bytes: int = 64 * 1024 * 1024
    queue_records: int = 100_000
    linger_ms: int = 20
    request_bytes: int = 1024 * 1024
    record_bytes: int = 4 * 1024 * 1024
    compression: str = "lz4"
    delivery_ms: int = 60_000
    transaction_ms: int = 30_000

    def settings(self) -> dict[str, Any]:
        """The same for librdkafka: idempotent, and acknowledged by all in-sync replicas."""
        return {
            "acks": "all",
            "enable.idempotence": True,
            "queue.buffering.max.kbytes": self.queue_bytes // 1024,
            "queue.buffering.max.messages": self.queue_records,
            "linger.ms": self.linger_ms,
            "batch.size": self.request_bytes,
            "message.max.bytes": self.record_bytes,
            "compression.type": self.compression,
            "delivery.timeout.ms": self.delivery_ms,
            # Java's partitioner, so that keys lie where other clients expect them.
            "partitioner": "murmur2_random",
            # A call for each record that was delivered would cost more than sending it.
            "delivery.report.only.error": True,
        }


class Producing:
    """One producer, for one event loop. `settings` are librdkafka's: where to, and as whom."""

    def __init__(
        self,
        settings: Mapping[str, Any],
        sending: Sending | None = None,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Raises `confluent_kafka.KafkaException` where librdkafka refuses a setting."""
        sending = sending or Sending()
        self._delivery_s = sending.delivery_ms / 1000
        self._failures = 0
        self._first: KafkaError | None = None
        self._fatal: KafkaError | None = None
        self._said = -_SAID_EACH_S
        self._thread = ThreadPoolExecutor(1, "producer-flush")
        # Else librdkafka writes lines of its own to standard error, whatever the log's form is.
        told = {"error_cb": self._on_error, "log_level": 0}
        self._producer = Producer({**settings, **sending.settings(), **told, **more})

    async def send(self, records: Iterable[Outgoing]) -> None:
        """Hand records over, waiting while the queue is full.

        Returns before they are delivered. Raises `NotDelivered` where the queue stays full for the
        time a delivery may take, or the producer can no longer go on, and
        `confluent_kafka.KafkaException` for a record that can never be sent (too large).
        """
        produce, told = self._producer.produce, self._told
        for number, record in enumerate(records, 1):
            if number % _TURN == 0:
                self._producer.poll(0)
                await asyncio.sleep(0)
            topic, value, key, headers, partition = record
            try:
                produce(topic, value, key, partition, on_delivery=told, headers=headers)
            except BufferError:
                await self._squeeze(record)
            except KafkaException:
                self._check_alive()
                raise

    async def flush(self) -> None:
        """Wait until each record sent so far is acknowledged.

        Raises `NotDelivered` if any was not, with the first reason; the count then starts anew.
        """
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + self._delivery_s + 10
        # In slices, so that the thread is free soon after a cancellation.
        while len(self._producer):
            await loop.run_in_executor(self._thread, self._producer.flush, 0.5)
            if time.monotonic() > deadline:
                raise NotDelivered(f"{len(self._producer)} records are still not acknowledged")
        self._producer.poll(0)
        self._check_alive()
        failures, first = self._failures, self._first
        self._failures, self._first = 0, None
        if failures:
            raise NotDelivered(f"{failures} records were not delivered; the first: {first}")

    def close(self) -> None:
        """Give up what is not delivered yet. Only what was flushed is delivered for certain."""
        self._producer.purge()
        # One that was fenced refuses even that.
        with suppress(KafkaException):
            self._producer.flush(1)
        self._thread.shutdown()

    async def _squeeze(self, record: Outgoing) -> None:
        """Send into a full queue once there is room."""
        topic, value, key, headers, partition = record
        deadline = time.monotonic() + self._delivery_s + 10
        while time.monotonic() < deadline:
            self._producer.poll(0)
            await asyncio.sleep(0.005)
            self._check_alive()
            try:
                self._producer.produce(
                    topic, value, key, partition, on_delivery=self._told, headers=headers
                )
            except BufferError:
                continue
            return
        raise NotDelivered("the queue stays full: the brokers take nothing")

    def _check_alive(self) -> None:
        if self._fatal is not None:
            raise NotDelivered(f"the producer cannot go on: {self._fatal}")

    def _told(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failures += 1
            self._first = self._first or error

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error
        now = time.monotonic()
        # What befell an idle one is told all at once, with its next record.
        if error.fatal() or now - self._said >= _SAID_EACH_S:
            self._said = now
            _log.warning("waiting: the producer says: %s", error.str())


class Transactional(Producing):
    """A producer whose records are seen when their transaction commits, with offsets in it."""

    def __init__(
        self, settings: Mapping[str, Any], name: str, sending: Sending | None = None
    ) -> None:
        """`name` is the transactional id: no other producer may have it.

        Raises `confluent_kafka.KafkaException` where librdkafka refuses a setting, and
        `RuntimeError` where it states group members in a form that is not known here.
        """
        sending = sending or Sending()
        # librdkafka wants it so: a transaction outlives each record in it.
        delivery_ms = min(sending.delivery_ms, sending.transaction_ms)
        sending = replace(sending, delivery_ms=delivery_ms)
        known = {"transactional.id": name, "transaction.timeout.ms": sending.transaction_ms}
        super().__init__(settings, sending, known)
        _check_stated()
        self._ready = self._open = False

    async def begin(self) -> None:
        """Begin a transaction. Raises `NotDelivered` where the brokers do not let us."""
        if not self._ready:
            await self._carry_out(lambda: self._producer.init_transactions(_CALL_S))
            self._ready = True
        await self._carry_out(self._producer.begin_transaction)
        self._open = True

    async def commit(self, offsets: Mapping[tuple[str, int], int], member: Member) -> None:
        """Commit all that was sent since `begin`, and where to go on reading, by partition.

        Raises `NotDelivered` where that failed: nothing of it is then ever seen. So it is where the
        group goes on without this member.
        """
        positions = [TopicPartition(topic, p, at) for (topic, p), at in offsets.items()]
        # All of it is there before the group is asked whether we are still a member: whoever takes
        # the partition over then waits for this transaction, whatever becomes of us.
        try:
            await self.flush()
        except NotDelivered as error:
            raise NotDelivered(f"{error}{await self._because()}") from error
        await self._send_offsets(positions, stated(member))
        await self._commit()
        self._open = False

    def close(self) -> None:
        """Take back what was not committed: else whoever reads on waits for it to time out."""
        if self._open:
            self._producer.purge()
            with suppress(KafkaException):
                self._producer.abort_transaction(_CALL_S)
        super().close()

    async def _send_offsets(self, positions: list[TopicPartition], member: bytes) -> None:
        def send() -> None:
            self._producer.send_offsets_to_transaction(positions, member, _CALL_S)

        await self._carry_out(send)

    async def _because(self) -> str:
        """Why librdkafka gave the transaction up: it says so to who asks for another meanwhile."""
        try:
            await self._in_thread(self._producer.begin_transaction)
        except KafkaException as error:
            why: KafkaError = error.args[0]
            if why.code() != KafkaError._STATE:
                return f"; the transaction failed: {why}"
        return ""

    async def _commit(self) -> None:
        await self._carry_out(lambda: self._producer.commit_transaction(_CALL_S))

    async def _carry_out(self, call: Callable[[], _T]) -> _T:
        """Call until it succeeds or can no more."""
        deadline = time.monotonic() + self._delivery_s + 10
        while True:
            try:
                return await self._in_thread(call)
            except KafkaException as error:
                why: KafkaError = error.args[0]
                if not why.retriable() or time.monotonic() > deadline:
                    because = f"; the first record refused: {self._first}" if self._first else ""
                    raise NotDelivered(f"the transaction failed: {why}{because}") from error

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


_CALL_S = 5.0
"""Of one call of librdkafka; it is called again for as long as a delivery may take."""
_MAGIC = b"CGMDv2:"


def stated(member: Member) -> bytes:
    """A member as librdkafka states it (`rd_kafka_consumer_group_metadata_write`, version 2).

    That is what `send_offsets_to_transaction` takes, and what only its own consumers give out.
    """
    group, name = member.group.encode(), member.member.encode()
    return _MAGIC + struct.pack("=i", member.generation) + group + b"\0" + name + b"\0\1"


@cache
def _check_stated() -> None:
    """Hold `stated` against what librdkafka itself says of a consumer that never joined."""
    consumer = Consumer({"group.id": "group", "log_level": 0})
    said = consumer.consumer_group_metadata()
    consumer.close()
    if said != stated(NOBODY._replace(group="group")):
        raise RuntimeError("this confluent-kafka states group members in a form not known here")
