"""The topics of the stream, as one table, and whether a cluster has them as they must be.

Some are *placed*: which partition a record is in says what it belongs together with. One of those
that is given more partitions in place parts what belonged together, silently. So what each was made
with is written down (see `Made`), and `check` holds the cluster against it before a worker starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pipeline.registry import sources
from pipeline.rights import COUNTERS, READS, STATEFUL, WRITES
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError, Delivery, Found
from pipeline.runtimes.kafka.reading import reading
from pipeline.streaming import RAW, Streaming
from schemas.types import HeldState
from schemas.wire import Undecodable, decoder, encoder

RECORD_BYTES: Final = 4 * 1024 * 1024
"""Longest record of our own topics: what a record of `max_record_bytes` becomes."""

PLACED: Final = ("control", "clocks", "state", COUNTERS)
"""Topics whose partitions are what they were made with."""
COMPACTED: Final = ("clocks", "accounts", "state", "changes", "findings")
_OTHERS: Final = ("events", "dead-letters")

_DAY_MS = 86_400_000
_PATIENCE_S = 60.0
_MARK = b"topics\0"
_APPLY = "run `auditstream topics apply`"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be. ``name`` is the contract's, ``topic`` the cluster's."""

    name: str
    topic: str
    partitions: int
    replication: int
    settings: Mapping[str, str]

    def settings_for(self, replicas: int) -> dict[str, str]:
        """The settings, where there are `replicas`: more in-sync ones than that nobody can have."""
        least = str(min(2, replicas))
        return {**self.settings, "min.insync.replicas": least}


@dataclass(frozen=True, slots=True)
class Made:
    """What a placed topic was made with. Kept in the topic of states, under ``topics NUL name``."""

    topic: str
    partitions: int
    topic_id: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The topics of a cluster, found fit.

    Attributes:
        counters_topic: the generation that counters are in.
        partitions: how many each topic has, by full name; topics to be read raw included.
        raw: full names of the raw topics there are.
    """

    counters_topic: str
    partitions: Mapping[str, int] = field(repr=False)
    raw: tuple[str, ...] = field(repr=False)


def wanted(streaming: Streaming) -> Iterator[Wanted]:
    """The topics that there should be."""
    for source in ("auto", *sources()):
        yield _wanted(streaming, f"{RAW}.{source}")
    for name in ("events", "control", COUNTERS, "dead-letters", *COMPACTED):
        yield _wanted(streaming, name)


def counters_wanted(streaming: Streaming, number: int) -> Wanted:
    """A generation of the counters, from 1."""
    name = COUNTERS if number == 1 else f"{COUNTERS}.{number}"
    return _wanted(streaming, name)


def generation(streaming: Streaming, topic: str) -> int:
    """Which generation of the counters a topic is; 0: none."""
    found = re.fullmatch(re.escape(streaming.topic(COUNTERS)) + r"(?:\.([1-9]\d{0,5}))?", topic)
    return int(found[1] or 1) if found else 0


def _wanted(streaming: Streaming, name: str) -> Wanted:
    settings = {
        "max.message.bytes": str(RECORD_BYTES),
        "min.insync.replicas": str(min(2, streaming.replication)),
        "compression.type": "producer",
    }
    base = name.partition(".")[0]
    if base in COMPACTED:
        # Whoever takes a partition over reads it whole: what is superseded should go soon, and the
        # segment that is written to is never compacted.
        settings |= {
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.2",
            "segment.bytes": str(64 * 1024 * 1024),
            "segment.ms": str(_DAY_MS),
        }
    else:
        by_horizon = base in ("control", COUNTERS)
        days = streaming.horizon_days if by_horizon else streaming.retention_days
        # A cluster's default may bound the size, and would delete by it what is not yet read.
        settings |= {
            "cleanup.policy": "delete",
            "retention.ms": str(days * _DAY_MS),
            "retention.bytes": "-1",
        }
    if base == RAW:
        # Shippers stamp records with the time of the line: last year's would be deleted unread.
        settings["message.timestamp.type"] = "LogAppendTime"
    topic, partitions = streaming.topic(name), streaming.partitions
    return Wanted(name, topic, partitions, streaming.replication, settings)


def kept_s(streaming: Streaming) -> dict[str, float]:
    """By full name, how long topics of ours that delete by age keep records, as they should be."""
    found = ((one.topic, one.settings.get("retention.ms")) for one in wanted(streaming))
    return {topic: int(kept) / 1000 for topic, kept in found if kept is not None}


def made(cluster: Cluster, streaming: Streaming, role: str = "topics") -> dict[str, Made]:
    """What the placed topics were made with, by the contract's name. Raises `ClusterError`."""
    topic, decode = streaming.topic("state"), decoder("state")
    found: dict[str, Made] = {}
    # A worker that was killed leaves a transaction open for a minute. What is asked for here is in
    # nobody's transaction, so that it need not be waited for.
    with reading(
        cluster, streaming, topic, _PATIENCE_S, role=role, partitions=[0], committed=False
    ) as records:
        for message, *_ in records:
            key, value = message.key() or b"", message.value()
            if key.startswith(_MARK) and value is not None:
                try:
                    said: Any = orjson.loads(decode(value)["state"])
                    found[key.removeprefix(_MARK).decode()] = Made(**said)
                except (Undecodable, ValueError, TypeError) as error:
                    raise ClusterError(f"{topic} offset {message.offset()}: {error}") from None
    return found


def counters_topic(streaming: Streaming, marks: Mapping[str, Made]) -> str:
    """The generation of the counters that counts."""
    return marks[COUNTERS].topic if COUNTERS in marks else streaming.topic(COUNTERS)


def mark(cluster: Cluster, streaming: Streaming, name: str, as_made: Made) -> None:
    """Write down, durably, what a placed topic was made with. Raises `ClusterError`."""
    said = {
        "topic": as_made.topic,
        "partitions": as_made.partitions,
        "topic_id": as_made.topic_id,
    }
    row = HeldState("", 0, name.encode(), orjson.dumps(said))
    delivery = Delivery(cluster.producer())
    # Always there, so that it is found whatever became of the topic's partitions.
    delivery.send(
        streaming.topic("state"), encoder("state")(row), _MARK + name.encode(), partition=0
    )
    delivery.flush()


def check(streaming: Streaming, role: str = "") -> Layout:
    """The topics of the cluster, if a worker may start on them. Blocks, for 30 s at most.

    Args:
        role: look at what this role of a worker may see and needs, and no more; default: at all.

    Raises:
        ConfigError: the connection's settings mean nothing.
        ClusterError: the cluster cannot be reached, topics are missing, or unfit; says what to do.
    """
    cluster = Cluster(streaming)
    found = cluster.topics()
    names = [one.name for one in wanted(streaming) if not one.name.startswith(f"{RAW}.")]
    if role:
        names = [name for name in names if name in (*READS[role], *WRITES[role])]
    missing = [topic for name in names if (topic := streaming.topic(name)) not in found]
    if any(generation(streaming, topic) for topic in found):
        # Which one counts is written down; an earlier one may have been deleted since.
        missing = [topic for topic in missing if not generation(streaming, topic)]
    if missing:
        raise ClusterError(f"missing, or not ours to see: {', '.join(missing)}; {_APPLY}")
    marks: Mapping[str, Made] = {}
    if "state" in names:
        marks = made(cluster, streaming, role or "topics")
    for name in names:
        if name in PLACED:
            _check_placed(cluster, streaming, found, name, marks.get(name))
    current = counters_topic(streaming, marks)
    _check_pair(streaming, found, names)
    written = [name for name in names if not role or name in WRITES[role]]
    topics = [current if name == COUNTERS else streaming.topic(name) for name in written]
    _check_sizes(cluster, topics)
    raw = raw_topics(streaming, found)
    if role in ("", "ingest") and not raw:
        said = f"{streaming.topic(RAW)}.*"
        raise ClusterError(f"there is no topic to read, neither {said} nor of kafka.raw; {_APPLY}")
    shown = {*map(streaming.topic, names), current, *raw} & set(found)
    return Layout(current, {name: found[name].partitions for name in sorted(shown)}, raw)


def raw_topics(streaming: Streaming, found: Mapping[str, Found]) -> tuple[str, ...]:
    """Those of the cluster's topics that are to be read raw: a pattern never means our own."""
    ours = {streaming.topic(name) for name in (*PLACED, *COMPACTED, *_OTHERS)}
    return tuple(
        sorted(
            name
            for name in found
            if name not in ours
            and not generation(streaming, name)
            and not name.startswith("__")
            and streaming.raw_topic(name) is not None
        )
    )


def _check_placed(
    cluster: Cluster,
    streaming: Streaming,
    found: Mapping[str, Found],
    name: str,
    as_made: Made | None,
) -> None:
    if as_made is None:
        topic = streaming.topic(name)
        raise ClusterError(f"{topic} is there, but not written down as complete; {_APPLY}")
    if said := broken(cluster, as_made, found):
        raise ClusterError(f"{said}; {way_out(streaming, name)}")


def broken(cluster: Cluster, as_made: Made, found: Mapping[str, Found]) -> str:
    """What is wrong with a placed topic; empty: nothing. Raises `ClusterError`."""
    topic = as_made.topic
    if topic not in found:
        return f"{topic} is missing, or not ours to see"
    if found[topic].partitions != as_made.partitions:
        return (
            f"{topic} has {found[topic].partitions} partitions but was made with "
            f"{as_made.partitions}: growing it in place parts what belongs together"
        )
    if cluster.ids([topic])[topic] != as_made.topic_id:
        return f"{topic} was deleted and made anew: what it held is gone"
    return ""


def way_out(streaming: Streaming, name: str) -> str:
    """What to do about a placed topic that is broken."""
    if name == COUNTERS:
        return f"stop the workers and {_APPLY}: it makes their next generation"
    topics = " and ".join(map(streaming.topic, ("control", "clocks", "state")))
    groups = " and ".join(f"{streaming.group}-{role}" for role in STATEFUL)
    return (
        f"stop the workers, delete {topics}, {_APPLY}, and set the groups {groups} back to the "
        "earliest offsets (kafka-consumer-groups --reset-offsets): what the raw topics still hold "
        "is read again, and gives the same ids"
    )


def _check_pair(streaming: Streaming, found: Mapping[str, Found], names: list[str]) -> None:
    """An estate's clocks are in the partition of the same number as its events."""
    if "control" in names and "clocks" in names:
        control, clocks = (found[streaming.topic(name)] for name in ("control", "clocks"))
        if control.partitions != clocks.partitions:
            raise ClusterError(
                f"{control.name} has {control.partitions} partitions and {clocks.name} "
                f"{clocks.partitions}, but they must have as many; {way_out(streaming, 'control')}"
            )


def _check_sizes(cluster: Cluster, topics: list[str]) -> None:
    for topic, settings in cluster.configurations(topics).items():
        if int(settings["max.message.bytes"]) < RECORD_BYTES:
            raise ClusterError(
                f"{topic} takes records of {int(settings['max.message.bytes']):,} bytes only "
                f"(max.message.bytes); {RECORD_BYTES:,} are needed; {_APPLY}"
            )
