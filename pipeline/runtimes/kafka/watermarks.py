"""Where partitions begin and end, whoever asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.runtimes.kafka.patience import GivenUp, LeftOff, never

_PATIENCE_S = 60.0
_CALL_S = 2.0
_PAUSE_S = 0.5
_PASSING = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
)


def watermarks(
    settings: Mapping[str, Any],
    places: Iterable[tuple[str, int]],
    given_up: GivenUp = never,
) -> dict[tuple[str, int], tuple[int, int]]:
    """By (topic, partition), its first offset and the one behind its last. Blocks.

    A consumer that is read_committed is told where the earliest open transaction begins, and would
    take that for the end: what was committed behind it would be missed. So another one asks.

    Args:
        settings: librdkafka's, with a group.

    Raises:
        KafkaException: it cannot be said.
        LeftOff: as `given_up` has it.
    """
    asker = Consumer(
        {
            **settings,
            "isolation.level": "read_uncommitted",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        return {place: _asked(asker, TopicPartition(*place), given_up) for place in places}
    finally:
        asker.close()


def _asked(asker: Consumer, place: TopicPartition, given_up: GivenUp) -> tuple[int, int]:
    """Ask until a broker answers: after a restart a partition has no leader for a moment."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            found: tuple[int, int] = asker.get_watermark_offsets(place, _CALL_S)
            return found
        except KafkaException as error:
            why: KafkaError = error.args[0]
            if why.code() not in _PASSING or time.monotonic() > deadline:
                raise
            if given_up():
                raise LeftOff from None
            time.sleep(_PAUSE_S)
