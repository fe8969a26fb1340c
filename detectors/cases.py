"""Cases: what support records say of one session, and who did what within it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

from schemas.support import SupportRecord, Window

DECISIONS: Final = ("denial", "revocation")
"""Kinds of records that end an approval."""
_ABOUT: Final = ("approval", *DECISIONS, "review")
_BEGUN: Final = ("session_opened", "action", "break_glass")
SESSION: Final = (*_BEGUN, "session_closed")
"""Kinds of records that tell of a session itself."""
_FOR_EVER: Final = 2**63
_NEVER: Final = Window(0, -1)
_ROLE: Final = re.compile(r"arn:[^:]*:iam::([0-9]*):role/(?:.*/)?([^/]+)", re.DOTALL)
_ASSUMED: Final = re.compile(r"arn:[^:]*:sts::([0-9]*):assumed-role/([^/]+)(?:/.*)?", re.DOTALL)


@dataclass
class Case:
    """Records about one thing, each list in order of (time, id). Complete before it is asked.

    Attributes:
        sessions: records that tell of the session itself.
    """

    id: str
    requests: list[SupportRecord] = field(default_factory=list)
    sessions: list[SupportRecord] = field(default_factory=list)
    approvals: list[SupportRecord] = field(default_factory=list)
    decisions: list[SupportRecord] = field(default_factory=list)
    reviews: list[SupportRecord] = field(default_factory=list)

    @cached_property
    def breaks(self) -> list[SupportRecord]:
        """Break-glass records."""
        return [r for r in self.sessions if r.kind == "break_glass"]

    @cached_property
    def closed(self) -> int | None:
        """When it was closed last, or None."""
        return max((r.time for r in self.sessions if r.kind == "session_closed"), default=None)

    @cached_property
    def begun(self) -> int | None:
        """When the session began, as far as its own records say, or None."""
        return min((r.time for r in self.sessions if r.kind in _BEGUN), default=None)

    @cached_property
    def interval(self) -> Window:
        """When the session was, or else for when it was approved; where nobody says it holds no
        time."""
        if self.begun is not None:
            return Window(self.begun, _FOR_EVER if self.closed is None else self.closed)
        windows = [r.window for r in self.approvals if r.window]
        if windows:
            return Window(min(w.start for w in windows), max(w.end for w in windows))
        return _NEVER

    def was_on(self, time: int) -> bool:
        """Whether the session itself is known to have been on then."""
        return self.begun is not None and self.interval.holds(time)

    @cached_property
    def accessors(self) -> set[str]:
        """Whoever may be the one who accesses."""
        stated = {r.principal for r in (*self.requests, *self.sessions)}
        return (stated | {r.approved_for for r in self.approvals}) - {""}

    @cached_property
    def addresses(self) -> set[str]:
        """Addresses and networks it is said to be from."""
        return {a for r in (*self.requests, *self.sessions) for a in r.addresses}

    def persons(self, principal: str) -> set[str]:
        """Who is said to be behind a principal: in the session, else by who asked for it."""
        for records in (self.sessions, self.requests):
            found = {r.person for r in records if same(r.principal, principal)} - {""}
            if found:
                return found
        return set()


def cases(records: Sequence[SupportRecord]) -> dict[str, Case]:
    """Cases by id. ``records``: in order of (time, id)."""
    found: dict[str, Case] = {}
    for record, name in _named(records):
        case = found.setdefault(name, Case(name))
        if record.kind == "request":
            case.requests.append(record)
        elif record.kind in SESSION:
            case.sessions.append(record)
        elif record.kind == "approval":
            case.approvals.append(record)
        elif record.kind in DECISIONS:
            case.decisions.append(record)
        elif record.kind == "review":
            case.reviews.append(record)
    return found


def _named(records: Sequence[SupportRecord]) -> Iterator[tuple[SupportRecord, str]]:
    """Each record with the id of its case."""
    # Who approves a request often knows first which session it became.
    became = {r.approves: r.session for r in reversed(records) if r.kind in _ABOUT and r.session}
    requests = {r.id: r.session or became.get(r.id) or r.id for r in records if r.kind == "request"}
    stating = ("request", "approval", *SESSION)
    sessions = {r.session for r in records if r.kind in stating} - {""}

    others = {r.id: r for r in records if r.kind in ("approval", "break_glass")}

    def about(record: SupportRecord) -> str:
        passed: set[str] = set()
        while True:
            what = record.approves
            if record.kind == "break_glass":
                return record.session
            if what in requests:
                return requests[what]
            if what in sessions:
                return what
            passed.add(record.event)
            other = others.get(what)
            if other is None or other.event in passed:
                return record.session or what
            record = other

    for record in records:
        if record.kind == "request":
            yield record, requests[record.id]
        elif record.kind in _ABOUT:
            yield record, about(record)
        elif record.kind in SESSION:
            yield record, record.session


@lru_cache(maxsize=65_536)
def same(one: str, other: str) -> bool:
    """Whether two names are of one principal: a role, and a session that assumed it, are."""
    if not one or not other:
        return False
    if one == other:
        return True
    roles = _ROLE.fullmatch(one) or _ROLE.fullmatch(other)
    assumed = _ASSUMED.fullmatch(one) or _ASSUMED.fullmatch(other)
    return bool(roles and assumed) and roles.groups() == assumed.groups()  # type: ignore[union-attr]


def named(name: str, principal: str) -> bool:
    """Whether a name is of a principal, with or without what stands before it, in any case."""
    names = {principal, principal.partition(":")[2], re.split("[/:]", principal)[-1]} - {""}
    return same(name, principal) or name.casefold() in {n.casefold() for n in names}
