"""Looking: what brokers say of who is heard and who is behind, asked every few seconds.

Offsets and clocks suffice for all of it: where partitions begin and end, where groups are in them,
from which offset on records are younger than so long. Nothing needs the right to read what people
send. A look is a handful of requests, however many partitions there are.

Calls block, for a few seconds at most where brokers are away.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from pipeline.runtimes.kafka.cluster import Found
from pipeline.runtimes.kafka.lagging import Backlog, ages
from pipeline.runtimes.kafka.registry import RegistryAway
from pipeline.runtimes.kafka.silence import Clocked, Heard, Voice
from pipeline.runtimes.kafka.topics import raw_topics
from pipeline.streaming import Streaming
from schemas.wire import Decode, Undecodable

_ANSWER_S: Final = 5.0
_SETTINGS_EACH_S: Final = 300.0
_TAIL_S: Final = 30.0
_BATCH: Final = 5_000
_EARLIEST: Final[Any] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: Final[Any] = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Place = tuple[str, int]
Offsets = Mapping[Place, int]
"""By topic and partition."""


class Look(NamedTuple):
    """What was found. `backlogs`: of every partition that a group has read anything of; `there`:
    all topics."""

    heard: Heard
    backlogs: list[Backlog]
    there: frozenset[str]


class _Kept(NamedTuple):
    """How long a topic keeps records (milliseconds; 0: for ever), and whether its size counts."""

    ms: int
    sized: bool


class Looking:
    """Asks with connections of its own, and keeps them: each login would be an event.

    Args:
        settings: librdkafka's.
        counters: the topic of the counters now.
        decode: a clock's row.
        left: as :class:`pipeline.runtimes.kafka.lagging.Lags` has it.
        listens: whether clocks are wanted at all.
    """

    def __init__(
        self,
        streaming: Streaming,
        settings: Mapping[str, Any],
        counters: str,
        decode: Decode,
        left: float,
        listens: bool,
    ) -> None:
        quiet = {**settings, "log_level": 0}
        self._streaming, self._left = streaming, left
        self._counters = counters
        self._admin = AdminClient(quiet)
        roles = ("ingest", "detect", "index") if left else ("ingest",)
        self._groups = {
            group: Consumer({**quiet, "group.id": group, "enable.auto.commit": False})
            for group in (f"{streaming.group}-{role}" for role in roles)
        }
        tailing = {**quiet, "group.id": f"{streaming.group}-detect"}
        topic = streaming.topic("clocks")
        self._tail = Tail(tailing, topic, decode) if listens else None
        self._partitions: Mapping[str, int] = {}
        self._kept: dict[str, _Kept] = {}
        self._known_until = 0.0

    def look(self) -> Look:
        """What there is to be found now.

        Raises:
            KafkaException: brokers do not answer, or not us.
            RegistryAway: a clock's schema has to be asked for, and cannot be.
        """
        try:
            return self._look()
        except KafkaException:
            # Else librdkafka goes on asking by the epoch of a leader that is no more.
            self._known_until = 0.0
            raise

    def _look(self) -> Look:
        self._know()
        # Tokens are renewed in it.
        self._admin.poll(0)
        read = {group: self._committed(group) for group in self._groups}
        raw = self._topics()[f"{self._streaming.group}-ingest"]
        places = list(self._places(topic for topics in self._topics().values() for topic in topics))
        high = self._offsets(dict.fromkeys(places, _LATEST))
        low = self._offsets(dict.fromkeys(places, _EARLIEST))
        clocks = self._tail.clocks(list(range(self._clocks()))) if self._tail else {}
        at = int(time.time() * 1000)
        ingested = read[f"{self._streaming.group}-ingest"]
        heard = Heard(
            at,
            clocks,
            {topic: _of(topic, high) for topic in raw},
            {topic: _of(topic, {**_of_topic(topic, low), **ingested}) for topic in raw},
        )
        backlogs = self._backlogs(at, read, low, high) if self._left else []
        return Look(heard, backlogs, frozenset(self._partitions))

    def close(self) -> None:
        """Ask no more."""
        for consumer in self._groups.values():
            consumer.close()
        if self._tail:
            self._tail.close()

    # Which topics there are, and how long they keep what they hold.

    def _topics(self) -> dict[str, tuple[str, ...]]:
        """By group that reads them, the topics that are deleted by age or size."""
        name, group = self._streaming.topic, self._streaming.group
        found = {one: Found(one, count, 0) for one, count in self._partitions.items()}
        several = {
            f"{group}-ingest": raw_topics(self._streaming, found),
            f"{group}-detect": (self._counters, name("control")),
            f"{group}-index": (name("events"), name("dead-letters")),
        }
        return {
            group: tuple(topic for topic in topics if topic in found)
            for group, topics in several.items()
            if group in self._groups
        }

    def _know(self) -> None:
        if time.monotonic() < self._known_until:
            return
        topics = self._admin.list_topics(timeout=_ANSWER_S).topics
        self._partitions = {
            name: len(one.partitions)
            for name, one in topics.items()
            if one.error is None and one.partitions
        }
        if self._left:
            names = {topic for several in self._topics().values() for topic in several}
            self._kept = self._settings(sorted(names))
        self._known_until = time.monotonic() + _SETTINGS_EACH_S

    def _settings(self, topics: list[str]) -> dict[str, _Kept]:
        asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        found: dict[str, _Kept] = {}
        if not asked:
            return found
        answers = self._admin.describe_configs(asked, request_timeout=_ANSWER_S)
        for resource, future in answers.items():
            said = future.result(2 * _ANSWER_S)
            deletes = "delete" in said["cleanup.policy"].value
            kept_ms, size = (int(said[f"retention.{what}"].value) for what in ("ms", "bytes"))
            found[resource.name] = _Kept(
                kept_ms if deletes and kept_ms > 0 else 0, deletes and size >= 0
            )
        return found

    def _clocks(self) -> int:
        return self._partitions.get(self._streaming.topic("clocks"), 0)

    def _places(self, topics: Iterable[str]) -> Iterator[Place]:
        for topic in topics:
            for number in range(self._partitions[topic]):
                yield topic, number

    # Where everybody is.

    def _committed(self, group: str) -> Offsets:
        """Where a group is, in partitions of which it has committed anything."""
        asked = [TopicPartition(*place) for place in self._places(self._topics()[group])]
        if not asked:
            return {}
        found = self._groups[group].committed(asked, _ANSWER_S)
        return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def _offsets(self, specs: Mapping[Place, Any]) -> dict[Place, int]:
        """An offset of each; -1: there is none."""
        asked = {TopicPartition(*place): spec for place, spec in specs.items()}
        if not asked:
            return {}
        answers = self._admin.list_offsets(asked, request_timeout=_ANSWER_S)
        return {
            (place.topic, place.partition): future.result(2 * _ANSWER_S).offset
            for place, future in answers.items()
        }

    def _backlogs(
        self, at: int, read: Mapping[str, Offsets], low: Offsets, high: Offsets
    ) -> list[Backlog]:
        lags: dict[Place, tuple[str, int]] = {}
        for group, topics in self._topics().items():
            # Of a topic that it has committed nothing of, it may never have read anything.
            reading = {topic for topic, _ in read[group]}
            for place in self._places(topic for topic in topics if topic in reading):
                lags[place] = group, read[group].get(place, low[place])
        behind = [place for place, (_, offset) in lags.items() if offset < high[place]]
        near, clear = (self._younger(behind, high, at, which) for which in (0, 1))
        return [
            Backlog(
                group, *place, offset, low[place], high[place], near.get(place, 0),
                clear.get(place, 0), *self._kept.get(place[0], _Kept(0, False)),
            )
            for place, (group, offset) in sorted(lags.items())
        ]  # fmt: skip

    def _younger(self, places: Iterable[Place], high: Offsets, at: int, which: int) -> Offsets:
        """The first offset of each that is young enough; where age does not count, 0."""
        specs = {
            place: OffsetSpec.for_timestamp(max(0, ages(at, kept.ms, self._left)[which]))
            for place in places
            if (kept := self._kept.get(place[0])) is not None and kept.ms
        }
        found = self._offsets(specs)
        return {place: offset if offset >= 0 else high[place] for place, offset in found.items()}


class Tail:
    """The newest clock of each voice, in a topic of clocks read from its beginning, in no group."""

    def __init__(self, settings: Mapping[str, Any], topic: str, decode: Decode) -> None:
        self._topic, self._decode = topic, decode
        self._clocks: dict[Voice, Clocked] = {}
        self._left: set[int] = set()
        self._begun = False
        self._consumer = Consumer(
            {
                **settings,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )

    def clocks(self, partitions: list[int]) -> Mapping[Voice, Clocked]:
        """As they are now; the first time, once all of the topic is read.

        Raises:
            KafkaException: the topic cannot be read.
            RegistryAway: a schema has to be asked for, and cannot be.
        """
        if not self._begun:
            places = [TopicPartition(self._topic, one, OFFSET_BEGINNING) for one in partitions]
            self._consumer.assign(places)
            self._left, self._begun = set(partitions), True
        deadline = time.monotonic() + _TAIL_S
        # More may come without end.
        while self._take() == _BATCH or self._left:
            if self._left and time.monotonic() > deadline:
                raise KafkaException(
                    KafkaError(KafkaError._TIMED_OUT, f"{self._topic} is not read")
                )
        return self._clocks

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()

    def _take(self) -> int:
        """Take what is there; how many records that were."""
        messages = self._consumer.consume(_BATCH, 0.1)
        for message in messages:
            error = message.error()
            if error is None:
                self._see(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._left.discard(message.partition())
            else:
                raise KafkaException(error)
        return len(messages)

    def _see(self, message: Any) -> None:
        if message.value() is None:
            return
        try:
            row = self._decode(message.value())
        except Undecodable:
            return  # said by whoever judges
        except RegistryAway:
            self._begun = False  # or this one would be passed over
            raise
        voice, stamp = (row["cluster"], row["topic"]), message.timestamp()[1]
        known = self._clocks.get(voice, Clocked(0, 0))
        self._clocks[voice] = Clocked(max(known.stamp, stamp), max(known.time, row["time"]))


def _of(topic: str, offsets: Offsets) -> dict[int, int]:
    return {number: offset for (name, number), offset in offsets.items() if name == topic}


def _of_topic(topic: str, offsets: Offsets) -> dict[Place, int]:
    return {place: offset for place, offset in offsets.items() if place[0] == topic}
