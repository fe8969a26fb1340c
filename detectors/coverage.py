"""Coverage: what is wrong with a deed, held against what was approved.

A deed is covered where some approval has no flaw for it. Otherwise it has the flaws of the approval
that fits best, which is what whoever looks into it wants to know first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from detectors.cases import Case, named, same
from detectors.scopes import Done, Thing, allows, bucket, fits, kind, plain
from schemas.patterns import matches
from schemas.support import Action, Activity, SupportRecord, Window
from schemas.vocabulary import ActorKind, Outcome, Severity

DAY_MS: Final = 86_400_000
_READS: Final = frozenset(("read", "fetch", "consume", "getobject", "readdata"))
_NO_READS: Final = frozenset(("offsetcommit", "txnoffsetcommit"))
"""Requests that Kafka decides by READ, and by which nothing is read."""
_OBJECT_READS: Final = _READS | {"selectobjectcontent"}

VIOLATIONS: Final[Mapping[str, tuple[int, str]]] = {
    "payload": (Severity.CRITICAL, "record payloads read without leave"),
    "no_approval": (Severity.HIGH, "no approval"),
    "denied": (Severity.HIGH, "after it was denied"),
    "revoked": (Severity.HIGH, "after it was revoked"),
    "outside_window": (Severity.HIGH, "outside the approved window"),
    "outside_scope": (Severity.HIGH, "a resource outside the approved scope"),
    "operation": (Severity.HIGH, "an operation that was not approved"),
    "other_person": (Severity.HIGH, "by another than was approved"),
    "self_approved": (Severity.HIGH, "approved by whoever accessed"),
    "break_glass_unreviewed": (Severity.HIGH, "break-glass that nobody reviewed within 24 h"),
    "over_stayed": (Severity.MEDIUM, "stayed beyond the approved window"),
    "ticket_missing": (Severity.MEDIUM, "approved without a ticket"),
    "ticket_different": (Severity.MEDIUM, "approved for another ticket"),
    "unregistered": (Severity.MEDIUM, "by a principal no [[principals]] entry knows"),
    "retroactive": (Severity.LOW, "approved afterwards"),
    "break_glass": (Severity.LOW, "break-glass, to be reviewed within 24 h"),
}
"""Each violation: severity of a finding it raises alone, and in words."""


class Act(NamedTuple):
    """One deed that needs cover.

    ``own``: kind of the record that states it, or empty: a log does. ``thing`` is None where it is
    about no resource.
    """

    event: str
    time: int
    actor: str
    address: str
    kind: str
    provider: str
    persons: frozenset[str]
    own: str
    thing: Thing | None
    done: Done
    payload: bool
    suspect: bool


def of_activity(one: Activity, data_buckets: Sequence[str]) -> Act:
    """A provider's deed as some log has it."""
    thing = Thing(one.resource_type, one.resource, one.uid, one.cluster)
    done = Done(one.operation, one.request, one.activity)
    payload = _payload(thing, done, data_buckets) and one.outcome != Outcome.FAILURE
    return Act(
        one.event, one.time, one.actor, one.address, one.kind, one.provider, frozenset(),
        "", None if one.login else thing, done, payload, one.suspect,
    )  # fmt: skip


def of_record(record: SupportRecord, case: Case, data_buckets: Sequence[str]) -> Act:
    """A session's beginning or end, or what was done in it, as a ticket system has it."""
    action = (record.action or Action()) if record.kind == "action" else None
    persons = {record.person} if record.person else case.persons(record.principal)
    thing: Thing | None = None
    done, payload = Done(record.kind), False
    if action is not None:
        thing, done = Thing(action.resource_type, action.resource), Done(action.operation)
        payload = action.payload or _payload(thing, done, data_buckets)
        payload = payload and action.outcome != Outcome.FAILURE
    return Act(
        record.event, record.time, record.principal, next(iter(record.addresses), ""),
        record.actor_kind, record.provider, frozenset(persons), record.kind, thing, done,
        payload, record.suspect,
    )  # fmt: skip


def _payload(thing: Thing, done: Done, data_buckets: Sequence[str]) -> bool:
    said = plain(done.operation)
    if kind(thing.type) == "topic":
        return said in _READS and plain(done.request) not in _NO_READS
    return said in _OBJECT_READS and any(matches(wanted, bucket(thing)) for wanted in data_buckets)


class Maintenance(NamedTuple):
    """A maintenance window. ``until``: when it was revoked, epoch milliseconds, or None."""

    window: SupportRecord
    until: int | None


class Way(NamedTuple):
    """One approval that may cover somebody's deeds. ``fixed``: its flaws for all of them."""

    approval: SupportRecord
    case: Case
    fixed: frozenset[str]


def ways(actor: str, persons: Collection[str], candidates: Sequence[Case]) -> list[Way]:
    """Approvals that may cover somebody's deeds.

    Args:
        persons: who is behind the actor; none: as the records of a case say.
        candidates: cases that the deeds may belong to.
    """
    return [
        Way(approval, case, frozenset(_fixed(actor, approval, case, persons)))
        for case in candidates
        for approval in case.approvals
    ]


def flaws(
    act: Act,
    approved: Sequence[Way],
    candidates: Sequence[Case],
    windows: Sequence[Maintenance],
) -> frozenset[str]:
    """What is wrong with a deed; nothing where it is covered.

    Args:
        approved: :func:`ways` of its actor.
        candidates: cases it may belong to.
        windows: maintenance windows of the estate.
    """
    for way in approved:
        # Most deeds are covered, and most approvals are of another time.
        if not way.fixed and _current(act, way.approval) and not _against(act, way):
            return frozenset()
    if any(_maintained(act, window) for window in windows):
        return frozenset()
    found = [(_against(act, way), way.approval) for way in approved]
    for case in candidates:
        for broken in case.breaks:
            if _breaking(act, broken, case):
                beyond = frozenset(_beyond(act, broken, case))
                if not beyond:
                    return beyond
                found.append((beyond, broken))
    if found:
        return min(found, key=lambda one: (*_gravity(one[0]), one[1].time, one[1].id))[0]
    before = {d.kind for case in candidates for d in case.decisions if d.time <= act.time}
    none = "denied" if "denial" in before else "revoked" if before else "no_approval"
    return frozenset((none, "payload") if act.payload else (none,))


def _current(act: Act, approval: SupportRecord) -> bool:
    window = approval.window
    return approval.time <= act.time and (window is None or window.holds(act.time))


@lru_cache(maxsize=4096)
def _gravity(names: frozenset[str]) -> tuple[int, int]:
    return max(VIOLATIONS[name][0] for name in names), len(names)


def _fixed(
    actor: str, approval: SupportRecord, case: Case, persons: Collection[str]
) -> Iterator[str]:
    """Flaws of an approval for whatever somebody does."""
    behind = persons or case.persons(actor)
    if not approval.ticket:
        yield "ticket_missing"
    elif any(
        r.ticket and r.ticket.casefold() != approval.ticket.casefold()
        for r in (*case.requests, *case.sessions)
    ):
        yield "ticket_different"
    if not _for(actor, approval, case, behind):
        yield "other_person"
    if named(approval.approved_by, actor) or _among(approval.approved_by, behind):
        yield "self_approved"


def _against(act: Act, way: Way) -> frozenset[str]:
    approval, case, fixed = way
    found = {*fixed, *_beyond(act, approval, case)}
    if approval.time > act.time:
        found.add("retroactive")
    if act.own != "session_closed":
        # Whoever leaves does as was decided.
        for decision in case.against(approval):
            if decision.time <= act.time:
                found.add("revoked" if decision.kind == "revocation" else "denied")
    return frozenset(found)


def _beyond(act: Act, leave: SupportRecord, case: Case) -> Iterator[str]:
    """What is not within the window, the scope and the leave that a record states."""
    window = leave.window
    if window is not None and not window.holds(act.time):
        yield "over_stayed" if _stayed(act, window, case) else "outside_window"
    if act.thing is not None and (leave.scope or leave.kind == "approval"):
        fitting = [scope for scope in leave.scope if fits(scope, act.thing)]
        if not fitting:
            yield "outside_scope"
        elif not any(allows(scope.operations, act.done) for scope in fitting):
            yield "operation"
    if act.payload and not leave.payload_access:
        yield "payload"


def _stayed(act: Act, window: Window, case: Case) -> bool:
    """Whether a deed after a window is of a session that went on from within it, or before."""
    if act.time <= window.end:
        return False
    return _only_ends(act, window.end, case) or case.stayed(window.end, act.time)


def _only_ends(act: Act, since: int, case: Case) -> bool:
    """Whether a deed closes a session that nobody opened after a time."""
    return act.own == "session_closed" and not case.opened_between(since, act.time)


def _for(actor: str, approval: SupportRecord, case: Case, persons: Collection[str]) -> bool:
    """Whether the approval is for whoever acts."""
    if approval.approved_for:
        return _agree(approval.approved_for, actor) or _among(approval.approved_for, persons)
    if case.requests:
        return any(
            _agree(request.principal, actor)
            and (not request.person or not persons or _among(request.person, persons))
            for request in case.requests
        )
    principals = {r.principal for r in case.sessions} - {""}
    return not principals or any(_agree(name, actor) for name in principals)


def _agree(name: str, actor: str) -> bool:
    return not name or not actor or same(name, actor)


def _among(name: str, persons: Collection[str]) -> bool:
    return name.casefold() in {person.casefold() for person in persons}


def _maintained(act: Act, maintenance: Maintenance) -> bool:
    """Whether a provider's automation may do this while it maintains. Nobody may read payloads."""
    window, until = maintenance
    if until is not None and act.time >= until:
        return False
    if act.kind != ActorKind.PROVIDER_AUTOMATION or act.payload or window.time > act.time:
        return False
    if window.window is None or not window.window.holds(act.time):
        return False
    if window.principal and not same(window.principal, act.actor):
        return False
    if act.provider and window.provider.casefold() not in ("", act.provider.casefold()):
        return False
    if act.thing is None or not window.scope:
        return True
    return any(fits(s, act.thing) and allows(s.operations, act.done) for s in window.scope)


def _breaking(act: Act, broken: SupportRecord, case: Case) -> bool:
    """Whether a deed was done under a broken glass: one that nobody closes is so for a day."""
    closed = case.closed_after(broken.time)
    end = broken.time + DAY_MS if closed is None else closed
    return (
        broken.time <= act.time
        # Two systems may tell of one end, which is no access after it.
        and (act.time <= end or _only_ends(act, end, case))
        and not any(d.time <= act.time for d in case.against(broken))
        and any(_agree(b.principal, act.actor) for b in case.breaks)
        and not broken.suspect
    )


def reviewed(broken: SupportRecord, case: Case) -> bool:
    """Whether somebody else looked at a break-glass within a day."""
    persons = {broken.person, *case.persons(broken.principal)} - {""}
    return any(
        broken.time <= review.time <= broken.time + DAY_MS
        and not any(
            who and (named(who, broken.principal) or _among(who, persons))
            for who in (review.approved_by, review.person, review.principal)
        )
        for review in case.reviews
    )
