"""Records: the events that say what retention removed, and which holds were added and released.

They are OCSF Entity Management (3004): a month of a class is deleted, a hold is created or deleted.
Their class of retention is :data:`schemas.indices.OWN`, which nothing removes; they are of no
cluster, and stand outside what must be the same for the same input (``metadata.log_name`` begins
with ``auditstream.``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from pipeline.batch import Fact
from pipeline.retention.holds import ADD, HOLD, RELEASE, Hold
from pipeline.retention.terms import Period
from pipeline.stages.identify import digest, timed
from pipeline.stages.project import project
from schemas import indices
from schemas.types import Event
from schemas.vocabulary import ENTITY_MANAGEMENT, AccessPath, ActorKind, Outcome

RETENTION: Final = "auditstream.retention"
"""``metadata.log_name`` of what was removed."""
REMOVE: Final = "RETENTION_REMOVE"
KEEP: Final = "RETENTION_KEEP"
"""Operations: a removal; and one that was recorded, broken off, and not carried out after all."""

_PRODUCT: Final = {"name": "auditstream", "vendor_name": "auditstream"}
_CREATE, _DELETE, UPDATE = 1, 4, 3
_HOLD_DIGITS: Final = 12
_MONTH: Final = "Month of events"
_OF_HOLDS: Final = "Hold"


@dataclass(frozen=True, slots=True)
class Who:
    """By whom something is done.

    Attributes:
        actor: principal, as ``OS:alice`` or ``OpenSearch:retention``.
        kind: of actor, by the configuration.
        user: the operating system's, whoever the login is.
    """

    actor: str
    kind: str = ActorKind.UNKNOWN.value
    user: str = ""


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed of one month of a class.

    Attributes:
        name: of the month, ``audit-CLASS-YYYY.MM``.
        retention, month: class, and ``YYYY.MM`` or ``undated``.
        events: how many.
        first, last: times of the first and the last, epoch milliseconds.
        days: of the policy.
        identity: what tells it from a later removal of the same month.
        estates: time of the last of them that estate detectors look at, or None: there is none.
    """

    name: str
    retention: str
    month: str
    events: int
    first: int
    last: int
    days: int
    identity: tuple[bytes, ...]
    estates: int | None = None


def removed(removal: Removal, who: Who, at: int) -> Event:
    """The event of a removal, at a time in epoch milliseconds."""
    said = (
        f"Retention removed {removal.events:,} events of the class {removal.retention} of "
        f"{removal.month}, which is kept for {removal.days} days"
    )
    return _removal(removal, who, at, REMOVE, _DELETE, said)


def kept(removal: Removal, who: Who, at: int, why: str, record: bytes) -> Event:
    """The event that takes a removal back that the event ``record`` tells of, and nobody made."""
    said = (
        f"Retention did not remove {removal.name} after all, though it was recorded: {why}. "
        f"{removal.events:,} events are there"
    )
    return _removal(removal, who, at, KEEP, UPDATE, said, record)


def record_id(name: str, identity: tuple[bytes, ...], at: int) -> bytes:
    """The id of the event of a removal."""
    return own_id(at, REMOVE, name, *identity)


def _removal(
    removal: Removal,
    who: Who,
    at: int,
    operation: str,
    activity: int,
    message: str,
    record: bytes = b"",
) -> Event:
    event = own_event(RETENTION, who, at, operation, activity, message)
    event.resource_type, event.resource = _MONTH, removal.name
    event.id = own_id(at, operation, removal.name, *removal.identity)
    about = {"uid": (record or event.id).hex()}
    extension = {
        "removal": {
            "class": removal.retention,
            "month": removal.month,
            "events": removal.events,
            "first_time": removal.first,
            "last_time": removal.last,
            "days": removal.days,
            "estates_until": removal.estates,
        }
    }
    times = {"start_time": removal.first, "end_time": removal.last} if removal.events else {}
    more = {"entity": about, "count": removal.events, **times}
    return written(event, who, extension, more)


def added(hold: Hold, who: Who, at: int) -> Event:
    """The event that adds a hold; ``resource`` is then its id."""
    event = own_event(HOLD, who, at, ADD, _CREATE, f"{described(hold)} are held: {hold.reason}")
    # With the time: one that is added anew is not the one that was released.
    parts = (
        str(at),
        *map(str, hold.period),
        hold.retention,
        hold.reason,
        hold.owner,
        who.actor,
        who.user,
    )
    event.id = own_id(at, ADD, *parts)
    return _of_hold(event, hold, event.id.hex()[-_HOLD_DIGITS:], who)


def released(hold: Hold, who: Who, at: int, reason: str) -> Event:
    """The event that releases a hold."""
    said = f"The hold {hold.id} is released: {reason}. {described(hold)} were held: {hold.reason}"
    event = own_event(HOLD, who, at, RELEASE, _DELETE, said)
    event.id = own_id(at, RELEASE, hold.id, who.actor, who.user)
    return _of_hold(event, hold, hold.id, who, {"released_because": reason})


def described(hold: Hold) -> str:
    """What a hold keeps, in words."""
    of = f"of the class {hold.retention}" if hold.retention else "of every class"
    return f"Events {of} {spelt(hold.period)}"


def spelt(time: Period) -> str:
    """A period in words."""
    from_, to = (None if at is None else _date(at) for at in time)
    parts = [f"from {from_}" if from_ else "", f"before {to}" if to else ""]
    return " ".join(filter(None, parts)) or "of all time"


def _date(at: int) -> str:
    try:
        exact = "milliseconds" if at % 1000 else "auto"
        said = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec=exact)
    except (OverflowError, ValueError, OSError):
        return f"{at} ms"
    return said.removesuffix("+00:00").removesuffix("T00:00:00")


def _of_hold(
    event: Event, hold: Hold, name: str, who: Who, more: Mapping[str, Any] | None = None
) -> Event:
    event.resource_type, event.resource = _OF_HOLDS, name
    said = {
        "since": hold.period.since, "until": hold.period.until, "class": hold.retention,
        "reason": hold.reason, "owner": hold.owner, **(more or {}),
    }  # fmt: skip
    return written(event, who, {"hold": said}, {"comment": hold.reason})


def own_event(source: str, who: Who, at: int, operation: str, activity: int, message: str) -> Event:
    """An event of ours at a time in epoch milliseconds; id, resource and document are yet to come.

    Args:
        source: ``metadata.log_name``.
        activity: of OCSF Entity Management.
    """
    return Event(
        at, ENTITY_MANAGEMENT, activity, Outcome.SUCCESS.value, source,
        actor=who.actor, actor_kind=who.kind, operation=operation, message=message,
        access_path=AccessPath.CONTROL.value, retention=indices.OWN,
    )  # fmt: skip


def written(event: Event, who: Who, extension: dict[str, Any], document: dict[str, Any]) -> Event:
    """An event of ours, whose columns are complete, with its document; what is said beside them
    stands under ``auditstream`` and at the top."""
    api = {"operation": event.operation, "service": {"name": _PRODUCT["name"]}}
    said = {**extension, "by": {"actor": who.actor, "os_user": who.user}}
    project(Fact(event, document={**document, "api": api}, extension=said), _PRODUCT, None)
    return event


def own_id(at: int, *parts: str | bytes) -> bytes:
    """The id of an event of ours: of its time, and of what tells it from others."""
    said = [part.encode() if isinstance(part, str) else part for part in parts]
    return timed(at, digest(10, [b"own", *said]))


def removals(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was removed, of events whose ``source`` is :data:`RETENTION`: as the extension has it,
    with ``at``, the time of the removal. What was not carried out is left out."""
    found = [row for row in rows if row["source"] == RETENTION]
    undone = taken_back(found)
    return [
        {**orjson.loads(row["ocsf"])["auditstream"]["removal"], "at": row["time"]}
        for row in found
        if row["operation"] == REMOVE and _entity(row) not in undone
    ]


def taken_back(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids of recorded removals that were not carried out, hexadecimal."""
    return {_entity(row) for row in rows if row["operation"] == KEEP}


def _entity(row: Mapping[str, Any]) -> str:
    return str(orjson.loads(row["ocsf"])["entity"]["uid"])
