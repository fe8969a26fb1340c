"""Typed mirrors of the Avro schemas. ``tests/schemas`` holds them against the ``.avsc`` files.

Names and types are Avro's, and so is the order, but for :class:`Event`: what every source has to
state has no default and comes first, the rest follows in Avro's order. Nothing hangs on it, since
fastavro takes a row by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar

from schemas.vocabulary import RETENTION_STANDARD


@dataclass(slots=True)
class Carriage:
    """How a record came here; no identity and no comparison looks at it."""

    carrier: str = ""
    position: int = 0
    late: bool = False


@dataclass(slots=True)
class Event:
    """One audit event. Meaning as in ``audit_event.avsc``.

    A source fills in what the record says; the engine's stages fill in the rest.
    """

    time: int
    class_uid: int
    activity_id: int
    outcome: str
    source: str
    id: bytes = b""
    actor: str = ""
    actor_kind: str = "unknown"
    address: str = ""
    cluster: str = ""
    host: str = ""
    resource_type: str = ""
    resource: str = ""
    operation: str = ""
    access_path: str = "data"
    pattern_type: str = ""
    rule: str = ""
    session: str = ""
    ticket: str = ""
    retention: str = RETENTION_STANDARD
    time_precision: str = "exact"
    weight: int = 1
    suspect: bool = False
    leg: str = ""
    forgery: str = ""
    message: str = ""
    blind_spots: tuple[str, ...] = ()
    carriage: Carriage = field(default_factory=Carriage)
    ocsf: bytes = b""
    raw: bytes = b""


@dataclass(slots=True, eq=False)
class Shared:
    """What is worked out once for all events that say the same, by whoever needs it.

    Attributes:
        rows: by what stands before a row, the bytes of the columns they share.
        sighted: for whom, and what detectors see in each of them.
    """

    rows: dict[bytes, list[bytes]] = field(default_factory=dict)
    sighted: tuple[Any, Any] = (None, None)


class Repeated(Event):
    """An event that says again what others say, at another time and place."""

    __slots__ = ("shared",)
    shared: Shared

    def __eq__(self, other: object) -> bool:
        """By columns: whether something was worked out anew is nobody's business."""
        if not isinstance(other, Event):
            return NotImplemented
        return _COLUMNS(self) == _COLUMNS(other)

    __hash__ = None  # type: ignore[assignment]


_COLUMNS = attrgetter(*(one.name for one in fields(Event)))


@dataclass(slots=True)
class Finding:
    """One version of one conclusion. Meaning as in ``finding.avsc``."""

    id: bytes
    version: int
    status: str
    detector: str
    key: str
    cluster: str
    severity_id: int
    first_time: int
    last_time: int
    count: int
    lower_bound: bool
    suspect: bool
    actor: str
    address: str
    evidence: tuple[bytes, ...]
    supersedes: tuple[bytes, ...]
    ocsf: bytes = b""


@dataclass(slots=True)
class DeadLetter:
    """What could not be read. Meaning as in ``dead_letter.avsc``."""

    id: bytes
    time: int
    reason: str
    detail: str
    source: str
    cluster: str
    host: str
    carrier: str
    position: int
    length: int
    digest: str
    head: str
    raw: bytes


@dataclass(slots=True)
class ChangeVersion:
    """One version of one change. Meaning as in ``change.avsc``."""

    id: bytes
    version: int
    status: str
    cluster: str
    time: int
    actor: str
    address: str
    kind: str
    action: str
    target: str
    item: str
    before: bytes
    after: bytes
    outcome: str
    confidence: str
    timely: bool
    missing: tuple[str, ...]
    legs: tuple[bytes, ...]
    leg_kinds: tuple[str, ...]
    supersedes: tuple[bytes, ...]


@dataclass(slots=True)
class AccountOf:
    """Where the items of some positions of a raw partition went. Meaning as in ``account.avsc``."""

    topic: str
    partition: int
    start: int
    end: int
    lost: int
    records: int
    redelivered: int
    items: int
    events: int
    filtered: dict[str, int]
    dead_letters: dict[str, int]


@dataclass(slots=True)
class Observation:
    """One event as one key of a counter sees it. Meaning as in ``observation.avsc``."""

    detector: str
    cluster: str
    key: str
    id: bytes
    time: int
    weight: int
    suspect: bool
    success: bool
    grave: bool
    tag: str


@dataclass(slots=True)
class Clock:
    """How far a raw partition has come in a cluster's time. Meaning as in ``clock.avsc``."""

    topic: str
    partition: int
    cluster: str
    time: int


@dataclass(slots=True)
class HeldState:
    """What a worker knows behind a position. Meaning as in ``state.avsc``."""

    topic: str
    partition: int
    name: bytes
    state: bytes


Row = Event | Finding | DeadLetter | ChangeVersion | AccountOf | Observation | Clock | HeldState

_NAMES: dict[type[Any], tuple[str, ...]] = {
    cls: tuple(f.name for f in fields(cls))
    for cls in (Event, Finding, DeadLetter, ChangeVersion, AccountOf, Observation, Clock, HeldState)
}
_LISTS = {
    cls: tuple(f.name for f in fields(cls) if str(f.type).startswith("tuple")) for cls in _NAMES
}
_R = TypeVar("_R", bound=Row)
_VALUES = {cls: attrgetter(*names) for cls, names in _NAMES.items()}


def columns(row: Row) -> dict[str, Any]:
    """The row as fastavro takes it: field name to value, nested records as dictionaries."""
    cls = type(row)
    out: dict[str, Any] = dict(zip(_NAMES[cls], _VALUES[cls](row), strict=True))
    if isinstance(row, Event):
        way = row.carriage
        out["carriage"] = {"carrier": way.carrier, "position": way.position, "late": way.late}
    return out


def row_of(cls: type[_R], said: Mapping[str, Any]) -> _R:
    """The reverse of :func:`columns`: a row as it is read, typed."""
    values = {name: said[name] for name in _NAMES[cls]}
    for name in _LISTS[cls]:
        values[name] = tuple(values[name])
    if cls is Event:
        values["carriage"] = Carriage(**said["carriage"])
    return cls(**values)
