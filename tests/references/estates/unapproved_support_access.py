"""``F`` of ``unapproved_support_access``: what was done without an approval that covers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.support import Action, Activity, Picture, SupportRecord
from tests.references.estates.cover import (
    DAY_MS,
    LOW,
    SESSION_RECORDS,
    SEVERITY,
    Case,
    Deed,
    Records,
    flaws,
)
from tests.references.estates.names import holds, known_as, reads_payloads, same

Violations = dict[str, tuple[str, ...]]
"""Ids of the evidence, sorted, by the violation's name."""

Found = dict[str, tuple[int, Violations, bool]]
"""Severity, violations, and whether all of it is suspect, by key."""


def reference(picture: Picture, settings: Any) -> Found:
    """What of one estate's support access is a finding.

    Args:
        settings: has ``data_buckets``, patterns.
    """
    records = [
        record
        for record in picture.records
        if record.time and (record.kind in SESSION_RECORDS or not record.suspect)
    ]
    ids = {record.event: case_id(record, records) for record in records}
    cases = [
        Case(id, [record for record in records if ids[record.event] == id])
        for id in sorted({id for id in ids.values() if id is not None})
    ]
    deeds = [
        *(of_record(r, settings) for r in records if r.kind in SESSION_RECORDS),
        *(of_activity(a, settings) for a in picture.activity if a.time),
    ]
    maintenance = [
        (record, [end.time for end in ends(record, records)])
        for record in records
        if record.kind == "maintenance_window"
    ]
    told: list[tuple[str, str, str, bool]] = []
    for deed in deeds:
        near = candidates(deed, cases)
        found = flaws(deed, near, maintenance)
        told += [(key(deed, near), flaw, deed.event, deed.suspect) for flaw in found]
    for case in cases:
        stated = beside(case, picture.newest)
        told += [(f"session={case.id}", flaw, r.event, r.suspect) for flaw, r in stated]
    return findings(told)


def ends(window: SupportRecord, records: Records) -> Records:
    """Records that revoke a maintenance window."""
    return [
        record
        for record in records
        if record.kind in ("denial", "revocation")
        and record.approves == window.id
        and record.time >= window.time
    ]


def findings(told: Iterable[tuple[str, str, str, bool]]) -> Found:
    """One for each key, of (key, violation, event, suspect)."""
    told = list(told)
    found: Found = {}
    for name in {row[0] for row in told}:
        rows = [row for row in told if row[0] == name]
        trusted = [SEVERITY[row[1]] for row in rows if not row[3]]
        severity = max(trusted) if trusted else min(LOW, max(SEVERITY[row[1]] for row in rows))
        violations = {
            violation: tuple(sorted({row[2] for row in rows if row[1] == violation}))
            for violation in {row[1] for row in rows}
        }
        found[name] = severity, violations, not trusted
    return found


# Cases.


def case_id(record: SupportRecord, records: Records, passed: tuple[str, ...] = ()) -> str | None:
    """What a record is about. Approvals that approve one another in a ring are about themselves."""
    if record.kind == "maintenance_window":
        return None
    if record.kind in SESSION_RECORDS:
        return record.session
    if record.kind == "request":
        return requested(record, records)
    named = [other for other in records if record.approves and other.id == record.approves]
    for other in named:
        if other.kind == "request":
            return requested(other, records)
    stating = [
        other for other in records if other.kind in ("request", "approval", *SESSION_RECORDS)
    ]
    if any(record.approves and other.session == record.approves for other in stating):
        return record.approves
    passed = (*passed, record.event)
    for other in named:
        if other.kind in ("approval", "break_glass") and other.event not in passed:
            return case_id(other, records, passed)
    return record.session or record.approves


def requested(request: SupportRecord, records: Records) -> str:
    """What a request is about: its session, or the one that who decided on it says it became."""
    became = [
        record.session
        for record in records
        if record.kind in ("approval", "denial", "revocation", "review")
        and record.approves == request.id
        and record.session
    ]
    return request.session or next(iter(became), "") or request.id


def candidates(deed: Deed, cases: Sequence[Case]) -> list[Case]:
    """Cases that may cover a deed."""
    if deed.case is not None:
        return [case for case in cases if case.id == deed.case]
    return [case for case in cases if by_principal(case, deed) or by_address(case, deed)]


def by_principal(case: Case, deed: Deed) -> bool:
    return any(same(accessor, deed.actor) for accessor in case.accessors)


def by_address(case: Case, deed: Deed) -> bool:
    return any(holds(network, deed.done.address) for network in case.addresses)


def key(deed: Deed, near: Sequence[Case]) -> str:
    """What a deed without cover is told with."""
    if deed.case is not None:
        return f"session={deed.case}"
    at = [
        (not by_principal(case, deed), -since, case.id)
        for case in near
        if (since := case.on(deed.time)) is not None
    ]
    if at:
        return f"session={min(at)[-1]}"
    day = datetime.fromtimestamp(deed.time / 1000, UTC).strftime("%Y-%m-%d")
    if deed.actor:
        return f"principal={deed.actor} day={day}"
    return f"address={deed.done.address} day={day}"


# Deeds.


def of_activity(done: Activity, settings: Any) -> Deed:
    payload = done.outcome != "failure" and reads_payloads(done, settings.data_buckets)
    return Deed(
        done.event, done.time, done.actor, done.kind, done.provider, done.suspect, done,
        not done.login, payload,
    )  # fmt: skip


def of_record(record: SupportRecord, settings: Any) -> Deed:
    action = (record.action or Action()) if record.kind == "action" else Action()
    done = Activity(
        record.event, record.time, operation=action.operation, resource=action.resource,
        resource_type=action.resource_type,
    )  # fmt: skip
    read = action.payload or reads_payloads(done, settings.data_buckets)
    return Deed(
        record.event, record.time, record.principal, record.actor_kind, record.provider,
        record.suspect, done, record.kind == "action", read and action.outcome != "failure",
        record.person, record.ticket, record.session, record.kind == "session_closed",
    )  # fmt: skip


# Beside what was done.


def beside(case: Case, newest: int) -> Iterable[tuple[str, SupportRecord]]:
    """Violations by records themselves."""
    for record in case.of(*SESSION_RECORDS):
        known = [
            other
            for other in case.of(*SESSION_RECORDS)
            if other.registered and same(other.principal, record.principal)
        ]
        if not record.registered and (record.addresses or not known):
            yield "unregistered", record
    for record in case.of("break_glass"):
        if not any(reviews(review, record, case) for review in case.of("review")):
            late = newest > record.time + DAY_MS
            yield ("break_glass_unreviewed" if late else "break_glass"), record


def reviews(review: SupportRecord, record: SupportRecord, case: Case) -> bool:
    """Whether a review is of a break-glass: in time, and not by whoever it is about."""
    if not record.time <= review.time <= record.time + DAY_MS:
        return False
    persons = case.behind(record.principal)
    persons |= {record.person.lower()}
    by = [who for who in (review.approved_by, review.person, review.principal) if who]
    return not any(known_as(who, record.principal) or who.lower() in persons for who in by)
