"""What a schema registry has of ours and what it lacks, and the way from the one to the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.runtimes.kafka.registry import Absent, Registry, RegistryError
from pipeline.runtimes.kafka.wires import LEVEL, TOPICS, registered, subject
from pipeline.streaming import Streaming


@dataclass(frozen=True, slots=True)
class Step:
    """A subject as it is.

    Attributes:
        schema: a name of `schemas.avro.NAMES`.
        number: of this release's schema there; None: it has not that schema.
        level: the compatibility level of its own; empty: it has none.
        compatible: its level lets our schema follow those it has.
    """

    subject: str
    schema: str
    number: int | None
    level: str
    compatible: bool

    @property
    def other_level(self) -> bool:
        """Whether the level is to be set."""
        return self.level != LEVEL

    @property
    def to_do(self) -> bool:
        """Whether anything is."""
        return self.other_level or self.number is None


def plan(registry: Registry, streaming: Streaming) -> list[Step]:
    """What there is of each subject. Changes nothing. Raises `RegistryError`."""
    return [_step(registry, subject(streaming, topic), name) for topic, name in TOPICS.items()]


def apply(registry: Registry, streaming: Streaming, say: Callable[[str], None]) -> int:
    """Set levels and register schemas; how many deeds that were, each of them said.

    Nothing is done where a subject would refuse.

    Raises:
        RegistryError: a schema is incompatible, or the registry cannot be asked.
    """
    steps = plan(registry, streaming)
    refused = [step.subject for step in steps if not step.compatible]
    if refused:
        raise RegistryError(
            f"this release's schema and what is registered do not read each other: "
            f"{', '.join(refused)}; nothing was done; see `auditstream registry plan`"
        )
    deeds = 0
    for step in steps:
        # The level first, so that it holds for the registering too.
        if step.other_level:
            registry.compatibility(step.subject, LEVEL)
            say(f"{step.subject}: {LEVEL} instead of {step.level or 'no level of its own'}")
            deeds += 1
        if step.number is None:
            number = registry.register(step.subject, registered(step.schema))
            say(f"{step.subject}: registered {step.schema} as {number}")
            deeds += 1
    return deeds


def _step(registry: Registry, name: str, schema: str) -> Step:
    level = registry.level(name)
    try:
        number = registry.id_of(name, registered(schema))
        return Step(name, schema, number, level, True)
    except Absent:
        pass
    try:
        compatible = registry.compatible(name, registered(schema))
    except Absent:
        compatible = True
    return Step(name, schema, None, level, compatible)
