"""The counters' next generation: another topic, which goes on where the one before stands.

What is known of each key is carried over, so that findings go on as they were, and what was said of
one that is no more can be taken back. What nobody had counted yet is copied. Where the topic itself
is gone, that is made anew out of the topic of the events: which key an event concerns is a function
of the event and the configuration, and a key's state knows what it has counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import orjson
from aiokafka.partitioner import murmur2

from detectors.episodes import KeyState, hold_back, merge
from pipeline.rights import COUNTERS
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError, Delivery
from pipeline.runtimes.kafka.counting import frozen
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.reading import reading
from pipeline.runtimes.kafka.registry import RegistryAway
from pipeline.runtimes.kafka.states import PARTITION, States, holder, read_whole
from pipeline.runtimes.kafka.watermarks import watermarks
from pipeline.runtimes.kafka.wires import wires
from pipeline.stages.detect import Active, Key, observation_key, sighted
from pipeline.streaming import Streaming
from schemas.types import Event, Observation, row_of
from schemas.wire import Decode, Undecodable, decoder, encoder

Progress = Callable[[int, int], None]
"""Told positions read, and how many there are."""

_PATIENCE_S = 100.0
"""Longer than anybody's transaction stays open."""


@dataclass(frozen=True, slots=True)
class Before:
    """The generation that counts so far.

    Attributes:
        made: how many partitions its topic was made with; a key's state lies by that.
        partitions: how many it has; more than `made` where it was grown in place.
        there: whether it still is the topic that was counted.
    """

    topic: str
    made: int
    partitions: int
    there: bool


class Carried(NamedTuple):
    """What a generation began with: keys that are known, observations that were sent, and how many
    positions of the one before were deleted before anybody counted them."""

    keys: int
    sent: int
    lost: int


class Rekeying:
    """Fills one generation's topic. Done twice, it comes to the same: counters know what they saw.

    Args:
        topic, partitions: the next generation's.

    Raises:
        ClusterError: the cluster cannot be reached.
        RegistryError: our schemas are not in the registry, or it cannot be asked.
    """

    def __init__(
        self, cluster: Cluster, streaming: Streaming, active: Active, topic: str, partitions: int
    ) -> None:
        self._cluster, self._streaming, self._active = cluster, streaming, active
        self._topic, self._partitions = topic, partitions
        self._delivery = Delivery(cluster.producer())
        self._held = wires(streaming)
        self._encode = self._held.encoder("observation")
        state = streaming.topic("state")
        self._settings = {**cluster.settings, "group.id": f"{streaming.group}-topics"}
        self._states = States(
            partial(read_whole, self._settings, patience_s=_PATIENCE_S),
            holder("detect", COUNTERS),
            state,
            cluster.topics()[state].partitions,
            encoder("state"),
            decoder("state"),
        )

    def carry_over(self, before: Before, progress: Progress) -> Carried:
        """Go on where `before` stands. All is acknowledged when it returns.

        Raises:
            ClusterError: a topic cannot be read, or what was sent is not taken.
            NotLoaded: what is known of keys cannot be read.
        """
        strays = self._strays(before)
        positions: dict[int, int] = {}
        keys = 0
        for number in range(before.partitions):
            kept = self._states.load(before.topic, number)
            positions[number] = orjson.loads(kept.pop(PARTITION, b"{}")).get("position", 0)
            for name, state in kept.items():
                if name not in strays:
                    self._keep(name, state)
                    keys += 1
        parted = sum(self._unite(name, states) for name, states in strays.items())
        lost = 0
        if before.there:
            lost = self._lost(before.topic, positions)
            sent = self._copy(before.topic, positions, progress)
        else:
            sent = self._derive(progress)
        self._delivery.flush()
        return Carried(keys + len(strays), sent + parted, lost)

    def _lost(self, topic: str, positions: Mapping[int, int]) -> int:
        places = [(topic, number) for number in positions]
        ends = watermarks(self._settings, places)
        return sum(max(0, low - positions[number]) for (_, number), (low, _) in ends.items())

    def _strays(self, before: Before) -> dict[bytes, list[KeyState]]:
        """Keys of which something is known elsewhere than the topic was made for."""
        strays: dict[bytes, list[KeyState]] = {}
        if before.partitions == before.made:
            return strays
        for away in (True, False):
            for number in range(before.partitions):
                for name, state in self._states.load(before.topic, number).items():
                    if name == PARTITION or (away is (_home(name, before.made) == number)):
                        continue
                    if away or name in strays:
                        strays.setdefault(name, []).append(orjson.loads(state))
        return strays

    def _unite(self, name: bytes, states: Sequence[KeyState]) -> int:
        """Keep what several knew of a key; how many observations were sent for that to be said."""
        key: Key = tuple(name.decode().split("\0", 2))  # type: ignore[assignment]
        found = [(one, numbers) for one, numbers in self._active if one.name == key[0]]
        whole, newest = states[-1], None
        for detector, numbers in found if len(states) > 1 else ():
            for other in states[:-1]:
                merge(detector, numbers, whole, other)
            newest = hold_back(whole)
        self._keep(name, frozen(whole))
        if newest is None:
            return 0
        time, id, weight, suspect, tag, grave = newest
        seen = Observation(*key, bytes.fromhex(id), time, weight, suspect, False, grave, tag)
        self._send(seen)
        return 1

    def _keep(self, name: bytes, state: bytes) -> None:
        self._put(self._states.record(self._topic, _home(name, self._partitions), name, state))

    def _copy(self, topic: str, positions: Mapping[int, int], progress: Progress) -> int:
        """What was not counted yet, as it is."""
        sent = 0
        with reading(
            self._cluster, self._streaming, topic, _PATIENCE_S, starts=positions
        ) as records:
            for message, read, there in records:
                # So that it is deleted when the one it was copied from would have been.
                _, stamp = message.timestamp()
                self._delivery.send(self._topic, message.value(), message.key(), timestamp=stamp)
                sent += 1
                progress(read, there)
        return sent

    def _derive(self, progress: Progress) -> int:
        """The observations of all events there are."""
        decode, events = self._held.decoder("audit_event"), self._streaming.topic("events")
        sent = 0
        with reading(self._cluster, self._streaming, events, _PATIENCE_S) as records:
            for message, read, there in records:
                found = row_of(Event, _row(decode, message))
                _, stamp = message.timestamp()
                for seen in sighted(self._active, [found]):
                    self._send(seen, timestamp=stamp)
                    sent += 1
                progress(read, there)
        return sent

    def _send(self, seen: Observation, **more: Any) -> None:
        self._delivery.send(self._topic, self._encode(seen), observation_key(seen), **more)

    def _put(self, record: Outgoing) -> None:
        self._delivery.send(record.topic, record.value, record.key, partition=record.partition)


def _home(name: bytes, partitions: int) -> int:
    """The partition of a key's observations, as producers that partition like Java's place them."""
    hashed: int = murmur2(name)
    return (hashed & 0x7FFFFFFF) % partitions


def _row(decode: Decode, message: Any) -> dict[str, Any]:
    try:
        return decode(message.value() or b"")
    except (Undecodable, RegistryAway) as error:
        where = f"{message.topic()}[{message.partition()}] offset {message.offset()}"
        raise ClusterError(f"{where}: {error}; the counters are left as they were") from None
