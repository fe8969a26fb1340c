"""Record: the event that says what a replay changed, who had it done, and by which code.

OCSF Entity Management (3004), Update, of the class of our own records, which nothing removes; its
``metadata.log_name`` is :data:`REPLAY`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final

from pipeline.config import Config
from pipeline.retention.records import UPDATE, Who, own_event, own_id, spelt, written
from pipeline.runtimes.replay.comparing import Asked
from schemas.types import Event

REPLAY: Final = "auditstream.replay"
"""``metadata.log_name``."""
APPLY: Final = "REPLAY_APPLY"
"""Operation."""

_STORE: Final = "Store"


@dataclass(frozen=True, slots=True)
class Applied:
    """What a replay did.

    Attributes:
        inputs: what was read again, as ``SOURCE=PATH``.
        counts: of events, dead letters and findings, by what became of them.
        attributes: of events that changed, by name, in how many.
        resolved: dead letters that are events now, or nothing, by reason.
    """

    inputs: Sequence[str]
    asked: Asked
    counts: dict[str, dict[str, int]]
    attributes: dict[str, int]
    resolved: dict[str, int]


def config_digest(config: Config) -> str:
    """SHA-256, in hexadecimal, of a configuration with all defaults. It holds no secrets: it names
    files and variables that do."""
    return sha256(config.model_dump_json().encode()).hexdigest()


def replayed(applied: Applied, config: Config, who: Who, at: int) -> Event:
    """The event of a replay, at a time in epoch milliseconds."""
    events, letters = applied.counts["events"], applied.counts["dead_letters"]
    when = spelt(applied.asked.period)
    said = (
        f"Replay of records {when}: {events['new']:,} events new, {events['changed']:,} changed, "
        f"{events['gone']:,} made no more; {letters['gone']:,} dead letters resolved"
    )
    event = own_event(REPLAY, who, at, APPLY, UPDATE, said)
    event.resource_type, event.resource = _STORE, "events"
    code = config_digest(config)
    event.id = own_id(at, APPLY, code, said)
    about: dict[str, Any] = {
        "inputs": list(applied.inputs),
        "since": applied.asked.period.since,
        "until": applied.asked.period.until,
        "reasons": list(applied.asked.reasons),
        "release": version("auditstream"),
        "config_sha256": code,
        **applied.counts,
        "attributes": applied.attributes,
        "resolved": applied.resolved,
    }
    document = {"entity": {"uid": event.id.hex()}, "count": sum(events.values())}
    return written(event, who, {"replay": about}, document)
