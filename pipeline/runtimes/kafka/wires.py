"""How rows travel in this stream's topics: in which format, and by which number of the registry.

Subjects are called after their topics (TopicNameStrategy: ``TOPIC-value``); later generations of
the counters go by the first one's. What is registered of a schema is what matters on the wire:
names, types, defaults. So words and OpenSearch's types can change without a new version.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

from pipeline.runtimes.kafka.registry import Absent, Registry, RegistryAway, RegistryError
from pipeline.streaming import Streaming
from schemas import wire

TOPICS: Final[Mapping[str, str]] = {
    "events": "audit_event",
    "control": "audit_event",
    "clocks": "clock",
    "counters": "observation",
    "dead-letters": "dead_letter",
    "accounts": "account",
    "changes": "change",
    "findings": "finding",
}
"""Topics that hold rows for others, and the schema of their rows. States are for ourselves alone:
they need no registry."""
LEVEL: Final = "FULL_TRANSITIVE"
"""Workers of two releases in one group read each other's rows, whichever of them is the newer; and
topics keep what releases long gone have written."""

_ON_THE_WIRE: Final = (
    "type", "name", "namespace", "fields", "items", "values", "size", "symbols", "default",
    "aliases",
)  # fmt: skip
_BRIEFLY_S: Final = 3.0
_ABSENT_S: Final = 60.0
_MOST_ABSENT: Final = 1024
_PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)


@cache
def registered(name: str) -> str:
    """What is registered of a schema of ours: JSON, always the same text."""
    said = json.loads((files("schemas") / f"{name}.avsc").read_text("utf-8"))
    return json.dumps(_on_the_wire(said), separators=(",", ":"))


def subject(streaming: Streaming, topic: str) -> str:
    """The subject of a topic, as the contract calls it."""
    return f"{streaming.topic(topic)}-value"


class Wires:
    """Encoders and decoders for one stream.

    Args:
        registry: where schemas are; None: rows are in Avro's single-object encoding.
        numbers: by topic, the number of its rows' schema there.
        clock: seconds, from anywhere.
    """

    def __init__(
        self,
        registry: Registry | None = None,
        numbers: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._numbers = dict(numbers or {})
        self._known = None if registry is None else _Known(registry, clock)

    def encoder(self, name: str, topic: str = "") -> wire.Encode:
        """Writes rows of a schema.

        Args:
            topic: as the contract calls it; default: the first that has rows of that schema. A
                registry gives the same schema the same number under all subjects.
        """
        topic = topic or next(topic for topic, held in TOPICS.items() if held == name)
        if self._known is None:
            return wire.encoder(name)
        return wire.encoder(name, self._head(topic))

    def encoders(self, topics: Iterable[str]) -> dict[str, wire.Encode]:
        """By name of schema, how rows are written to these of our topics."""
        # One row goes to both, as it is.
        named = [topic for topic in topics if topic not in ("state", "control")]
        return {TOPICS[topic]: self.encoder(TOPICS[topic], topic) for topic in named}

    def decoder(self, name: str) -> wire.Decode:
        """Reads rows of a schema in either format.

        With a registry it raises `RegistryAway`, beside `Undecodable`, where the registry has to be
        asked and cannot be: the row may be right, so whoever reads it waits and tries again.
        """
        return wire.decoder(name, None if self._known is None else self._known.schema)

    def columns(self, name: str, wanted: Sequence[str]) -> wire.Columns:
        """Reads some columns, in the schema's order, out of rows; raises as a decoder does."""
        topics = [] if self._known is None else [t for t, held in TOPICS.items() if held == name]
        return wire.columns_of(name, wanted, self.decoder(name), map(self._head, topics))

    def _head(self, topic: str) -> bytes:
        return wire.CONFLUENT + self._numbers[topic].to_bytes(4, "big")


def wires(streaming: Streaming) -> Wires:
    """How rows travel in this stream. Blocks while a registry is asked.

    Raises:
        ConfigError: as `Registry`.
        RegistryError: it cannot be asked, or our schemas are not registered.
    """
    if not streaming.registry.url:
        return Wires()
    registry = Registry(streaming.registry)
    numbers: dict[str, int] = {}
    missing = []
    for topic, name in TOPICS.items():
        try:
            numbers[topic] = registry.id_of(subject(streaming, topic), registered(name))
        except Absent:
            missing.append(subject(streaming, topic))
    if missing:
        raise RegistryError(
            f"{streaming.registry.url} has not this release's schema of {', '.join(missing)}; "
            "run `auditstream registry apply`"
        )
    # From now on others wait for the answer: they ask again in their own time.
    return Wires(Registry(streaming.registry, _BRIEFLY_S, ()), numbers)


class _Known:
    """The registry's schemas, each asked for once; and a registry that is away left alone a while.

    Numbers never change their schema, so a running worker needs the registry only for new ones.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float]) -> None:
        self._registry = registry
        self._clock = clock
        self._schemas: dict[int, Any] = {}
        self._absent: dict[int, float] = {}
        self._failures = 0
        self._next = 0.0
        self._said = ""

    def schema(self, number: int) -> Any:
        """The parsed schema of a number. Raises `Undecodable` or `RegistryAway`."""
        found = self._schemas.get(number)
        if found is not None:
            return found
        now = self._clock()
        if now < self._absent.get(number, now):
            raise wire.Undecodable(f"the registry has no schema {number}")
        if now < self._next:
            raise RegistryAway(self._said)
        return self._ask(number)

    def _ask(self, number: int) -> Any:
        try:
            said = self._registry.schema(number)
        except Absent:
            self._failures = 0
            if len(self._absent) >= _MOST_ABSENT:
                self._absent.clear()
            self._absent[number] = self._clock() + _ABSENT_S
            raise wire.Undecodable(f"the registry has no schema {number} of Avro") from None
        except RegistryError as error:
            # A refused login too: the row is not at fault, and people may be changing passwords.
            pause_s = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
            self._failures += 1
            self._next, self._said = self._clock() + pause_s, str(error)
            raise RegistryAway(self._said) from None
        self._failures = 0
        try:
            found = wire.parsed(said)
            wire.mark(found)
        except Exception as error:
            # Fastavro raises of every kind over what is no schema.
            self._absent[number] = self._clock() + _ABSENT_S
            said = f"schema {number} of the registry cannot be used: {type(error).__name__}"
            raise wire.Undecodable(said) from None
        self._schemas[number] = found
        return found


def _on_the_wire(said: Any) -> Any:
    """A schema without what no reader needs."""
    if isinstance(said, dict):
        return {
            key: value if key == "default" else _on_the_wire(value)
            for key, value in said.items()
            if key in _ON_THE_WIRE
        }
    return [_on_the_wire(one) for one in said] if isinstance(said, list) else said
