"""The counters' next generation: another number of partitions, filled out of the events.

Which key an event concerns is a function of the event and the configuration, so the topic of the
counters can be made anew from the topic of the events. What is older than the events are kept is
not in it: with the settings as they come, retention is seven times the detectors' horizon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.runtimes.kafka.cluster import Cluster, ClusterError, Delivery
from pipeline.runtimes.kafka.reading import reading
from pipeline.runtimes.kafka.registry import RegistryAway
from pipeline.runtimes.kafka.wires import wires
from pipeline.stages.detect import Active, observation_key, sighted
from pipeline.streaming import Streaming
from schemas.types import Event, row_of
from schemas.wire import Decode, Undecodable

Progress = Callable[[int, int], None]
"""Told records read, and how many there are (gaps included)."""

_PATIENCE_S = 100.0
"""Longer than anybody's transaction stays open."""


def rekey(
    cluster: Cluster, streaming: Streaming, active: Active, topic: str, progress: Progress
) -> int:
    """Fill `topic` with the observations of all events there are; returns how many those are.

    All are acknowledged when it returns. What was in the topic before stays: detectors take an
    event once, however often it comes.

    Raises:
        ClusterError: an event cannot be read, or an observation is not taken.
        RegistryError: our schemas are not in the registry, or it cannot be asked.
    """
    held = wires(streaming)
    decode, encode = held.decoder("audit_event"), held.encoder("observation")
    events = streaming.topic("events")
    delivery = Delivery(cluster.producer())
    total = 0
    with reading(cluster, streaming, events, _PATIENCE_S) as records:
        for message, read, there in records:
            found = row_of(Event, _row(decode, message))
            # So that it is deleted when what it is made from would have been.
            _, stamp = message.timestamp()
            for seen in sighted(active, [found]):
                delivery.send(topic, encode(seen), observation_key(seen), timestamp=stamp)
                total += 1
            progress(read, there)
        delivery.flush()
    return total


def _row(decode: Decode, message: Any) -> dict[str, Any]:
    try:
        return decode(message.value() or b"")
    except (Undecodable, RegistryAway) as error:
        where = f"{message.topic()}[{message.partition()}] offset {message.offset()}"
        raise ClusterError(f"{where}: {error}; the counters are left as they were") from None
