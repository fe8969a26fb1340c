"""Cover: what is wrong with every approval, break-glass and maintenance window, for one deed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.support import Activity, SupportRecord, Window
from tests.references.estates.names import allows, fits, known_as, same

Records = Sequence[SupportRecord]
Maintenance = Sequence[tuple[SupportRecord, list[int]]]
"""Maintenance windows, each with when it was revoked."""

DAY_MS = 86_400_000
LOW, MEDIUM, HIGH, CRITICAL = 2, 3, 4, 5
SEVERITY = {
    "payload": CRITICAL,
    "no_approval": HIGH, "denied": HIGH, "revoked": HIGH, "outside_window": HIGH,
    "outside_scope": HIGH, "operation": HIGH, "other_person": HIGH, "self_approved": HIGH,
    "break_glass_unreviewed": HIGH,
    "over_stayed": MEDIUM, "ticket_missing": MEDIUM, "ticket_different": MEDIUM,
    "unregistered": MEDIUM,
    "retroactive": LOW, "break_glass": LOW,
}  # fmt: skip

SESSION_RECORDS = ("session_opened", "session_closed", "action", "break_glass")


@dataclass(frozen=True)
class Deed:
    """What must be covered: an activity, or what a session's record states.

    ``case`` is the only one that may cover a record's; an activity's are found by who and where.
    ``resource`` says whether it is about one.
    """

    event: str
    time: int
    actor: str
    kind: str
    provider: str
    suspect: bool
    done: Activity
    resource: bool
    payload: bool
    person: str = ""
    ticket: str = ""
    case: str | None = None
    closes: bool = False


@dataclass(frozen=True)
class Case:
    """The records about one thing, in order of (time, event)."""

    id: str
    records: Records

    def of(self, *kinds: str) -> Records:
        return [record for record in self.records if record.kind in kinds]

    @property
    def principals(self) -> set[str]:
        stated = self.of("request", *SESSION_RECORDS)
        return {record.principal for record in stated if record.principal}

    @property
    def accessors(self) -> set[str]:
        return self.principals | {approval.approved_for for approval in self.of("approval")}

    @property
    def addresses(self) -> set[str]:
        return {at for record in self.of("request", *SESSION_RECORDS) for at in record.addresses}

    @property
    def closes(self) -> list[float]:
        return [r.time for r in self.of("session_closed")]

    @property
    def opens(self) -> list[float]:
        return [r.time for r in self.of("session_opened", "break_glass")]

    def end(self, start: float) -> float:
        """When a session that was on at some time was closed first."""
        return min((t for t in self.closes if t >= start), default=float("inf"))

    @property
    def spells(self) -> list[tuple[float, float]]:
        """From each beginning to its end, both included. An action opens nothing again."""
        begun = [*self.opens, *(r.time for r in self.of("action") if not any(
            closed < r.time for closed in self.closes
        ))]  # fmt: skip
        return [(start, self.end(start)) for start in begun]

    def on(self, time: int) -> float | None:
        """Since when its session had been on; or, where nobody says when it was, its approvals."""
        spells = self.spells
        windows = [a.window for a in self.of("approval") if a.window]
        if not spells and windows:
            spells = [(min(w.start for w in windows), max(w.end for w in windows))]
        return min((start for start, end in spells if start <= time <= end), default=None)

    def ended(self, leave: SupportRecord, time: int) -> set[str]:
        """Kinds of decisions that took an approval or a break-glass back, by some time.

        One that names it by its id, and nothing else, is about it alone.
        """
        leaves = {record.id for record in self.of("approval", "break_glass")}
        wider = {record.id for record in self.of("request")} | {self.id}
        return {
            record.kind
            for record in self.of("denial", "revocation")
            if leave.time <= record.time <= time
            and (
                record.approves == leave.id
                or record.approves in wider
                or record.approves not in leaves
            )
        }

    def behind(self, principal: str) -> set[str]:
        """Who is said to be behind a principal, in lower case."""

        def named(*kinds: str) -> set[str]:
            stated = [r for r in self.of(*kinds) if same(r.principal, principal)]
            return {record.person.lower() for record in stated if record.person}

        return named(*SESSION_RECORDS) or named("request")

    def persons(self, deed: Deed) -> set[str]:
        """Who is behind a deed, in lower case."""
        if deed.person:
            return {deed.person.lower()}
        return self.behind(deed.actor)


def flaws(deed: Deed, near: Sequence[Case], maintenance: Maintenance) -> set[str]:
    """Why nothing covers a deed; empty where something does."""
    approved = [
        (of_approval(deed, approval, case), approval)
        for case in near
        for approval in case.of("approval")
    ]
    if any(not found for found, _ in approved):
        return set()
    if maintained(deed, maintenance):
        return set()
    approved += [
        (of_break_glass(deed, record, case), record)
        for case in near
        for record in case.of("break_glass")
        if breaks_glass(deed, record, case)
    ]
    if approved:
        return min(approved, key=lambda pair: rank(*pair))[0]
    for kind, flaw in (("denial", "denied"), ("revocation", "revoked")):
        if any(record.time <= deed.time for case in near for record in case.of(kind)):
            return {flaw, "payload"} if deed.payload else {flaw}
    return {"no_approval", "payload"} if deed.payload else {"no_approval"}


def rank(found: set[str], record: SupportRecord) -> tuple[int, int, int, str, str]:
    """The least is the best."""
    worst = max((SEVERITY[flaw] for flaw in found), default=0)
    return worst, len(found), record.time, record.id, record.event


def of_approval(deed: Deed, approval: SupportRecord, case: Case) -> set[str]:
    """What is wrong with an approval as cover for a deed."""
    found = of_window(deed, approval.window, case) | of_scope(deed, approval)
    if approval.time > deed.time:
        found.add("retroactive")
    stated = {record.ticket for record in case.of("request", *SESSION_RECORDS)} | {deed.ticket}
    if not approval.ticket:
        found.add("ticket_missing")
    elif {ticket.lower() for ticket in stated} - {"", approval.ticket.lower()}:
        found.add("ticket_different")
    for kind, flaw in (("denial", "denied"), ("revocation", "revoked")):
        if not deed.closes and kind in case.ended(approval, deed.time):
            found.add(flaw)
    if not is_for(deed, approval, case):
        found.add("other_person")
    by = approval.approved_by
    if by and (known_as(by, deed.actor) or by.lower() in case.persons(deed)):
        found.add("self_approved")
    if deed.payload and not approval.payload_access:
        found.add("payload")
    return found


def of_window(deed: Deed, window: Window | None, case: Case) -> set[str]:
    if window is None or window.start <= deed.time <= window.end:
        return set()
    if deed.time > window.end and (
        any(start <= window.end and deed.time <= end for start, end in case.spells)
        or (deed.closes and not any(window.end < at <= deed.time for at in case.opens))
    ):
        return {"over_stayed"}
    return {"outside_window"}


def of_scope(deed: Deed, stated: SupportRecord) -> set[str]:
    if not deed.resource:
        return set()
    fit = [entry for entry in stated.scope if fits(entry, deed.done)]
    if not fit:
        return {"outside_scope"}
    if not any(allows(entry, deed.done) for entry in fit):
        return {"operation"}
    return set()


def is_for(deed: Deed, approval: SupportRecord, case: Case) -> bool:
    """Whether an approval is for who acts. Nobody in particular may be anybody."""

    def acts(principal: str) -> bool:
        return not principal or not deed.actor or same(principal, deed.actor)

    persons = case.persons(deed)
    if approval.approved_for:
        return acts(approval.approved_for) or approval.approved_for.lower() in persons
    if requests := case.of("request"):
        return any(
            acts(request.principal)
            and (not request.person or not persons or request.person.lower() in persons)
            for request in requests
        )
    principals = {r.principal for r in case.of(*SESSION_RECORDS) if r.principal}
    return not principals or any(acts(principal) for principal in principals)


def maintained(deed: Deed, maintenance: Maintenance) -> bool:
    """Whether a maintenance window covers a deed."""
    if deed.kind != "provider_automation" or deed.payload:
        return False
    return any(
        record.time <= deed.time
        and record.window is not None
        and record.window.start <= deed.time <= record.window.end
        and (not record.scope or not of_scope(deed, record))
        and (not record.principal or same(record.principal, deed.actor))
        and (
            not record.provider
            or not deed.provider
            or record.provider.lower() == deed.provider.lower()
        )
        and not any(end <= deed.time for end in ended)
        for record, ended in maintenance
    )


def breaks_glass(deed: Deed, record: SupportRecord, case: Case) -> bool:
    """Whether a deed may be covered by a break-glass."""
    principals = [r.principal for r in case.of("break_glass")]
    end = case.end(record.time)
    if end == float("inf"):
        end = record.time + DAY_MS
    closed_again = deed.closes and not any(end < at <= deed.time for at in case.opens)
    return (
        not record.suspect
        and record.time <= deed.time
        and (deed.time <= end or closed_again)
        and not case.ended(record, deed.time)
        and (
            not deed.actor
            or any(not principal or same(principal, deed.actor) for principal in principals)
        )
    )


def of_break_glass(deed: Deed, record: SupportRecord, case: Case) -> set[str]:
    found = of_window(deed, record.window, case)
    if record.scope:
        found |= of_scope(deed, record)
    if deed.payload and not record.payload_access:
        found.add("payload")
    return found
