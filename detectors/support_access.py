"""Support access: an estate's deeds by session, each with what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from detectors.cases import DECISIONS, SESSION, Case, cases, same
from detectors.contract import Judgement
from detectors.coverage import (
    DAY_MS,
    VIOLATIONS,
    Act,
    Maintenance,
    Way,
    flaws,
    of_activity,
    of_record,
    reviewed,
    ways,
)
from detectors.runs import MOST_EVIDENCE
from schemas.networks import within
from schemas.support import Activity, Picture, SupportRecord
from schemas.vocabulary import Severity

_MOST_NAMED = 3


@dataclass(slots=True)
class _Group:
    """Deeds of one session, or of one principal on one day."""

    acts: dict[str, Act] = field(default_factory=dict)
    violations: dict[str, set[str]] = field(default_factory=dict)

    def add(self, act: Act, names: Iterable[str]) -> None:
        for name in names:
            self.acts[act.event] = act
            self.violations.setdefault(name, set()).add(act.event)


def judge(picture: Picture, data_buckets: Sequence[str]) -> Iterator[Judgement]:
    """One judgement for each session, or principal and day, with its violations.

    Args:
        data_buckets: patterns of buckets whose objects are record payloads.
    """
    # What somebody may have written who should not have gives no leave.
    records = [
        r for r in picture.records if r.time > 0 and not (r.suspect and r.kind not in SESSION)
    ]
    found = cases(records)
    windows = [_maintenance(r, records) for r in records if r.kind == "maintenance_window"]
    groups: dict[str, _Group] = {}
    for case in found.values():
        group = groups[f"session={case.id}"] = _Group()
        for record in case.sessions:
            act = of_record(record, case, data_buckets)
            approved = ways(act.actor, act.persons, (case,))
            wrong = flaws(act, approved, (case,), windows)
            group.add(act, {*wrong, *_of_itself(record, case, picture.newest)})
    candidates = _candidates(list(found.values()))
    for one in picture.activity:
        if one.time <= 0:
            continue
        near, approved = candidates(one.actor, one.address)
        act = of_activity(one, data_buckets)
        wrong = flaws(act, approved, near, windows)
        if wrong:
            groups.setdefault(_key(one, near), _Group()).add(act, wrong)
    return (_judgement(key, group) for key, group in groups.items() if group.acts)


def _of_itself(record: SupportRecord, case: Case, newest: int) -> Iterator[str]:
    """What is wrong with a session whoever approved it."""
    if not record.registered and not _known_otherwise(record, case):
        yield "unregistered"
    if record.kind == "break_glass" and not reviewed(record, case):
        late = newest > record.time + DAY_MS
        yield "break_glass_unreviewed" if late else "break_glass"


def _known_otherwise(record: SupportRecord, case: Case) -> bool:
    """Whether another record of the session says from where: this one says nothing of it."""
    return not record.addresses and any(
        other.registered for other in case.sessions if same(other.principal, record.principal)
    )


def _maintenance(window: SupportRecord, records: Sequence[SupportRecord]) -> Maintenance:
    ends = [r.time for r in records if r.kind in DECISIONS and r.approves == window.id]
    return Maintenance(window, min((t for t in ends if t >= window.time), default=None))


def _candidates(found: Sequence[Case]) -> Callable[[str, str], tuple[list[Case], list[Way]]]:
    """A function from (principal, address) to the cases that may be about it, and what they
    approve."""
    whole = [(case, case.accessors, case.addresses) for case in found]

    @cache
    def near(actor: str, address: str) -> tuple[list[Case], list[Way]]:
        fit = [
            case
            for case, accessors, addresses in whole
            if any(same(name, actor) for name in accessors)
            or any(within(address, network) for network in addresses)
        ]
        return fit, ways(actor, (), fit)

    return near


def _key(one: Activity, near: Sequence[Case]) -> str:
    """What a deed that is not covered is told with."""
    open_then = [
        (not any(same(name, one.actor) for name in case.accessors), -span.start, case.id)
        for case in near
        if (span := case.span(one.time))
    ]
    if open_then:
        return f"session={min(open_then)[2]}"
    day = datetime.fromtimestamp(one.time / 1000, UTC).date().isoformat()
    who = f"principal={one.actor}" if one.actor else f"address={one.address}"
    return f"{who} day={day}"


def _judgement(key: str, group: _Group) -> Judgement:
    acts = sorted(group.acts.values(), key=lambda act: (act.time, act.event))
    trusted = {act.event for act in acts if not act.suspect}
    standing = [n for n, ids in group.violations.items() if not trusted or ids & trusted]
    severity = max(VIOLATIONS[name][0] for name in standing)
    ordered = sorted(group.violations, key=lambda name: (-VIOLATIONS[name][0], name))
    said = [f"{VIOLATIONS[n][1]} ({len(group.violations[n])})" for n in ordered]
    actor = next((act.actor for act in acts if act.actor), "")
    address = next((act.address for act in acts if act.address), "")
    message = f"{actor or 'Somebody'}{f' from {address}' if address else ''}"
    message += f", {key[key.rindex(' ') + 1 :] if ' day=' in key else key}".replace("=", " ", 1)
    message += f": {'; '.join(said)}.{_touched(acts)}"
    if not trusted:
        message += " It rests on records that a client may have forged."
    return Judgement(
        key=key,
        severity_id=severity if trusted else min(severity, Severity.LOW),
        title="Support access: " + ", ".join(VIOLATIONS[n][1] for n in ordered[:_MOST_NAMED]),
        message=message,
        evidence=tuple(act.event for act in acts),
        first_time=acts[0].time,
        last_time=acts[-1].time,
        actor=actor,
        address=address,
        suspect=not trusted,
        details={
            "violations": [
                {"name": n, "says": VIOLATIONS[n][1], "evidence": _listed(group.violations[n])}
                for n in ordered
            ]
        },
    )


def _listed(ids: Iterable[str]) -> list[str]:
    return sorted(ids)[:MOST_EVIDENCE]


def _touched(acts: Sequence[Act]) -> str:
    """What it was about, in words."""
    things = {f"{a.thing.type} {a.thing.name}" for a in acts if a.thing and a.thing.name}
    if not things:
        return ""
    named = sorted(things)
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return f" It touched {', '.join(named[:_MOST_NAMED])}{more}."
