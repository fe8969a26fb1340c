"""Where partitions begin and end, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition

_CALL_S = 20.0


def watermarks(
    settings: Mapping[str, Any], places: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], tuple[int, int]]:
    """By (topic, partition), its first offset and the one behind its last. Blocks.

    A consumer that is read_committed is told where the earliest open transaction begins, and would
    take that for the end: what was committed behind it would be missed. So another one asks.

    Args:
        settings: librdkafka's, with a group.

    Raises:
        KafkaException: it cannot be said.
    """
    asker = Consumer(
        {**settings, "isolation.level": "read_uncommitted", "enable.auto.commit": False}
    )
    try:
        return {
            (topic, number): asker.get_watermark_offsets(TopicPartition(topic, number), _CALL_S)
            for topic, number in places
        }
    finally:
        asker.close()
