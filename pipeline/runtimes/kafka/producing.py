"""An idempotent producer for Faust's event loop: bounded, and honest about what was not delivered.

librdkafka does the sending in threads of its own. Here records are handed to it, waiting where its
queue is full, and `flush` says whether all of them were acknowledged by all in-sync replicas.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

_log = logging.getLogger(__name__)

_TURN = 500
"""Records handed over before others on the event loop get their turn: about a millisecond."""


class NotDelivered(RuntimeError):
    """Records were not acknowledged; what led to them must be done again."""


class Outgoing(NamedTuple):
    """One record to send; its key, if any, settles its partition."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: list[tuple[str, str | bytes | None]] | None = None


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


class Producing:
    """One producer, for one event loop. `settings` are librdkafka's: where to, and as whom."""

    def __init__(self, settings: Mapping[str, Any], sending: Sending | None = None) -> None:
        """Raises `confluent_kafka.KafkaException` where librdkafka refuses a setting."""
        sending = sending or Sending()
        self._delivery_s = sending.delivery_ms / 1000
        self._failures = 0
        self._first: KafkaError | None = None
        self._fatal: KafkaError | None = None
        self._thread = ThreadPoolExecutor(1, "producer-flush")
        self._producer = Producer(
            {
                **settings,
                "acks": "all",
                "enable.idempotence": True,
                "queue.buffering.max.kbytes": sending.queue_bytes // 1024,
                "queue.buffering.max.messages": sending.queue_records,
                "linger.ms": sending.linger_ms,
                "batch.size": sending.request_bytes,
                "message.max.bytes": sending.record_bytes,
                "compression.type": sending.compression,
                "delivery.timeout.ms": sending.delivery_ms,
                # Java's partitioner, so that keys lie where other clients expect them.
                "partitioner": "murmur2_random",
                # A call for each record that was delivered would cost more than sending it.
                "delivery.report.only.error": True,
                "error_cb": self._on_error,
            }
        )

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
            topic, value, key, headers = record
            try:
                produce(topic, value, key, on_delivery=told, headers=headers)
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
        self._producer.flush(1)
        self._thread.shutdown()

    async def _squeeze(self, record: Outgoing) -> None:
        """Send into a full queue once there is room."""
        topic, value, key, headers = record
        deadline = time.monotonic() + self._delivery_s + 10
        while time.monotonic() < deadline:
            self._producer.poll(0)
            await asyncio.sleep(0.005)
            self._check_alive()
            try:
                self._producer.produce(topic, value, key, on_delivery=self._told, headers=headers)
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
        _log.warning("producer: %s", error)
