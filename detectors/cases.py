"""Cases: what support records say of one session, and who did what within it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

from schemas.support import SupportRecord, Window

DECISIONS: Final = ("denial", "revocation")
"""Kinds of records that end an approval."""
_ABOUT: Final = ("approval", *DECISIONS, "review")
_OPENING: Final = ("session_opened", "break_glass")
SESSION: Final = (*_OPENING, "action", "session_closed")
"""Kinds of records that tell of a session itself."""
_FOR_EVER: Final = 2**63
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
    def _closed(self) -> list[int]:
        return [r.time for r in self.sessions if r.kind == "session_closed"]

    def closed_after(self, time: int) -> int | None:
        """When it was closed first from a time on, or None. Whoever closes it, closes it."""
        at = bisect_left(self._closed, time)
        return self._closed[at] if at < len(self._closed) else None

    @cached_property
    def spans(self) -> list[Window]:
        """When the session itself is known to have been on, in order."""
        # What was done in it tells that it had begun, never that it was opened again.
        first = self._closed[0] if self._closed else _FOR_EVER
        spans: dict[int, int] = {}
        for r in self.sessions:
            if r.kind in _OPENING or (r.kind == "action" and r.time <= first):
                end = self.closed_after(r.time)
                spans.setdefault(_FOR_EVER if end is None else end, r.time)
        return [Window(start, end) for end, start in spans.items()]

    @cached_property
    def _starts(self) -> list[int]:
        return [span.start for span in self.spans]

    @cached_property
    def _approved(self) -> Window | None:
        """For when it was approved, from the first beginning to the last end, or None."""
        windows = [r.window for r in self.approvals if r.window]
        if not windows:
            return None
        return Window(min(w.start for w in windows), max(w.end for w in windows))

    def span(self, time: int) -> Window | None:
        """When the session was, of which a time is, or else for when it was approved; or None."""
        if not self.spans:
            whole = self._approved
            return whole if whole is not None and whole.holds(time) else None
        at = bisect_right(self._starts, time) - 1
        return self.spans[at] if at >= 0 and self.spans[at].holds(time) else None

    def stayed(self, end: int, time: int) -> bool:
        """Whether the session was on at an end, and still at a time after it."""
        span = self.span(time) if self.spans else None
        return span is not None and span.start <= end

    def opened_between(self, after: int, until: int) -> bool:
        """Whether it was opened after one time, until another."""
        return bisect_right(self._openings, after) < bisect_right(self._openings, until)

    @cached_property
    def _openings(self) -> list[int]:
        return [r.time for r in self.sessions if r.kind in _OPENING]

    @cached_property
    def _single(self) -> frozenset[str]:
        """Ids of which each names one approval, or one break-glass, alone."""
        whole = {self.id, *(r.id for r in self.requests)}
        return frozenset(r.id for r in (*self.approvals, *self.breaks)) - whole

    def against(self, leave: SupportRecord) -> Iterator[SupportRecord]:
        """Decisions against an approval or a break-glass, from its time on."""
        for decision in self.decisions:
            meant = decision.approves == leave.id or decision.approves not in self._single
            if meant and decision.time >= leave.time:
                yield decision

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
