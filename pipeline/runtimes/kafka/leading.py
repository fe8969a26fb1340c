"""Leading: what events, dead letters and accounts are in the stream, as records to send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from zlib import crc32

import orjson

from pipeline.config import Config
from pipeline.runtimes.judge import concerns_estates
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.topics import Layout
from pipeline.stages.detect import observation_key
from pipeline.streaming import Streaming
from schemas.types import AccountOf, Clock, DeadLetter, Event, Observation
from schemas.wire import Encode


class Leading:
    """Makes records of rows.

    Args:
        encode: by name of schema, how its rows are written.
        counters: the topic of the counters now.
        keyed: partitions of `control` and `clocks`.
        estate_of: the estate that a label is of.
    """

    def __init__(
        self,
        streaming: Streaming,
        encode: Mapping[str, Encode],
        counters: str,
        keyed: int,
        estate_of: Callable[[str], str],
    ) -> None:
        self._encode, self._counters, self._keyed = encode, counters, keyed
        self._estate_of = estate_of
        names = ("events", "control", "clocks", "dead-letters", "accounts")
        self._topic = {name: streaming.topic(name) for name in names}

    @classmethod
    def of(cls, config: Config, layout: Layout, encode: Mapping[str, Encode]) -> Leading:
        """Into a stream's topics as they are."""
        streaming = config.kafka
        keyed = layout.partitions[streaming.topic("control")]
        return cls(streaming, encode, layout.counters_topic, keyed, config.estate_of)

    def events(self, events: Sequence[Event]) -> Iterator[Outgoing]:
        """Events, and what of them detectors upon estates look at."""
        encode = self._encode["audit_event"]
        topic, control = self._topic["events"], self._topic["control"]
        for event in events:
            value = encode(event)
            yield Outgoing(topic, value, event.id)
            if concerns_estates(event):
                for there in self._places(event):
                    yield Outgoing(control, value, event.id, None, there)

    def observations(self, seen: Iterable[Observation]) -> Iterator[Outgoing]:
        """What counters look at."""
        observe = self._encode["observation"]
        for one in seen:
            yield Outgoing(self._counters, observe(one), observation_key(one))

    def letter(self, letter: DeadLetter) -> Outgoing:
        """A dead letter."""
        value = self._encode["dead_letter"](letter)
        return Outgoing(self._topic["dead-letters"], value, letter.id)

    def clock(self, row: Clock) -> Outgoing:
        """How far a raw partition has come in a cluster's time, for whoever looks at its estate."""
        key = f"{row.cluster}\0{row.topic}\0{row.partition}".encode()
        there = place(self._estate_of(row.cluster), self._keyed)
        return Outgoing(self._topic["clocks"], self._encode["clock"](row), key, None, there)

    def account(self, row: AccountOf) -> Outgoing:
        """An account."""
        key = f"{row.topic}\0{row.partition}\0{row.start}".encode()
        return Outgoing(self._topic["accounts"], self._encode["account"](row), key)

    def _places(self, event: Event) -> Iterable[int]:
        """Partitions of the estates that an event concerns: its own, and the one it names."""
        estates = {self._estate_of(event.cluster)}
        if event.session or event.ticket or event.access_path == "support":
            said = orjson.loads(event.ocsf)["auditstream"].get("support", {})
            if "estate" in said:
                estates.add(self._estate_of(said["estate"]))
        return {place(estate, self._keyed) for estate in estates}


def place(estate: str, partitions: int) -> int:
    """The partition of `control` and `clocks` that an estate's records are in."""
    return crc32(estate.encode()) % partitions
