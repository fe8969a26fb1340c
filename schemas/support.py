"""Support access, as it was approved and as it was done: what a whole estate looks like to a
detector that holds one against the other.

Records are those of ``support-session`` version 1 (docs/support-sessions.md), normalised: times are
epoch milliseconds, what a record does not state is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from schemas.changes import Change, Lifecycle

Kind = Literal[
    "request", "approval", "denial", "session_opened", "action", "session_closed", "revocation",
    "break_glass", "review", "maintenance_window",
]  # fmt: skip
KINDS: Final[tuple[str, ...]] = get_args(Kind)


class Window(NamedTuple):
    """A span of time, both ends included; epoch milliseconds."""

    start: int
    end: int

    def holds(self, time: int) -> bool:
        """Whether a time, epoch milliseconds, is within."""
        return self.start <= time <= self.end


class Scope(NamedTuple):
    """What an approval is for. ``resource`` may hold ``*``; no ``operations``: any."""

    resource_type: str
    resource: str
    operations: tuple[str, ...] = ()


class Action(NamedTuple):
    """What somebody states was done within a session. ``payload``: record payloads were read."""

    operation: str = ""
    resource_type: str = ""
    resource: str = ""
    payload: bool = False
    outcome: str = "unknown"


@dataclass(frozen=True, slots=True)
class SupportRecord:
    """One record about support access.

    Attributes:
        event: id of the event it became, hexadecimal.
        kind: one of :data:`KINDS`.
        id: natural key of the record within its estate.
        session: ties request, approval, session and actions together, or empty.
        principal, person: who accesses, and the individual behind it.
        actor_kind: by configuration, else as the record says: ``provider_human``,
            ``provider_automation`` or ``unknown``.
        addresses: addresses or networks it is from.
        approves: session or request that an approval, denial, revocation or review is about.
        approved_for: person or principal an approval names.
        scope: of an approval or a maintenance window.
        payload_access: may record payloads be read.
        registered: a ``[[principals]]`` entry of a provider covers the principal or the addresses,
            or the cloud itself knows the principal as its own.
        suspect: the record stands where somebody is known to have written into the log.
    """

    event: str
    time: int
    kind: str
    id: str
    session: str = ""
    provider: str = ""
    principal: str = ""
    person: str = ""
    actor_kind: str = "unknown"
    addresses: tuple[str, ...] = ()
    approved_by: str = ""
    approved_for: str = ""
    approves: str = ""
    window: Window | None = None
    scope: tuple[Scope, ...] = ()
    ticket: str = ""
    payload_access: bool = False
    action: Action | None = None
    registered: bool = True
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """One event of a provider's: by its principal or from its network, in whatever source.

    Attributes:
        event: its id, hexadecimal.
        actor: full principal, or empty: nobody says.
        kind: of actor, by configuration.
        provider: by configuration, or empty.
        operation: in the source's vocabulary; ``request``: on whose behalf it was decided.
        activity: OCSF's word for it (Create, Read, Update, Delete), or empty.
        uid: full name of the resource (an ARN), or empty.
        login: it is about no resource: a login, a logout.
    """

    event: str
    time: int
    cluster: str = ""
    source: str = ""
    actor: str = ""
    address: str = ""
    kind: str = "unknown"
    provider: str = ""
    operation: str = ""
    request: str = ""
    activity: str = ""
    resource_type: str = ""
    resource: str = ""
    uid: str = ""
    outcome: str = "success"
    login: bool = False
    suspect: bool = False


class Picture(NamedTuple):
    """All that an estate detector is given: one estate, each part in order of (time, id).

    Attributes:
        changes: of all clusters and accounts of the estate; likewise all else.
        newest: time of the estate's newest event, epoch milliseconds.
    """

    changes: Sequence[Change] = ()
    lifecycle: Sequence[Lifecycle] = ()
    records: Sequence[SupportRecord] = ()
    activity: Sequence[Activity] = ()
    newest: int = 0
