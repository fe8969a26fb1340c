"""How far a stream is, while it runs."""

from __future__ import annotations

import time
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.streams import StreamOn

_LOOK_S = 0.3
_CALL_S = 5.0


class Gauge:
    """Records collected and worked off, and observations worked off; as of the last look."""

    def __init__(self, stream: StreamOn) -> None:
        self._stream = stream
        partitions = stream.config.kafka.partitions
        self._raw = self._places("raw.auto", partitions)
        self.count_in("counters", partitions)
        self.collected = self.ingested = self.counted = 0
        self._not_before = 0.0
        self._consumers = {
            role: Consumer({**stream.settings, "group.id": f"{stream.name}-{role}", "log_level": 0})
            for role in ("ingest", "detect")
        }

    def count_in(self, name: str, partitions: int) -> None:
        """Counters are in this topic from now on."""
        self._counters = self._places(name, partitions)

    def read(self) -> None:
        """Look again, if the last look is a moment ago."""
        if time.monotonic() < self._not_before:
            return
        # Brokers may be away.
        with suppress(KafkaException):
            ask = self._consumers["ingest"].get_watermark_offsets
            self.collected = sum(ask(place, _CALL_S)[1] for place in self._raw)
            self.ingested = self._committed("ingest", self._raw)
            self.counted = self._committed("detect", self._counters)
        self._not_before = time.monotonic() + _LOOK_S

    def close(self) -> None:
        """Let the brokers go."""
        for consumer in self._consumers.values():
            consumer.close()

    def _places(self, name: str, partitions: int) -> list[TopicPartition]:
        topic = self._stream.config.kafka.topic(name)
        return [TopicPartition(topic, p) for p in range(partitions)]

    def _committed(self, role: str, places: list[TopicPartition]) -> int:
        found = self._consumers[role].committed(places, _CALL_S)
        return sum(max(place.offset, 0) for place in found)
