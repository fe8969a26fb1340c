"""Estates: from judgements upon a whole estate to versions of findings, against what was said.

What is found is a function of the set of events: judgements are made anew each time, of all there
is, and only what differs from the last version said becomes a new one. Judging the same twice says
nothing twice. A finding whose ground is gone is withdrawn, or superseded where another stands on
the same ground; should that ground come back, it is open again with the version after.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from detectors.conclusions import finding_id, retire, write
from detectors.contract import EstateDetector, Judgement
from detectors.runs import MOST_EVIDENCE
from schemas.changes import Change, Deed
from schemas.types import Finding
from schemas.vocabulary import FindingStatus, Outcome, Severity

_OPEN = FindingStatus.OPEN.value


def judgement(change: Change, severity_id: int, title: str, message: str) -> Judgement:
    """What one change amounts to.

    One level lower where nobody says what came of it, and where only a replay tells of it.

    Args:
        severity_id: if it was done.
    """
    ids = tuple(leg.id for leg in change.legs)
    unsure = (change.outcome == Outcome.UNKNOWN) + (not change.timely)
    if change.outcome == Outcome.UNKNOWN:
        message += " Nobody says what came of it."
    if not change.timely:
        message += " It was done at that time or before."
    return Judgement(
        key=about(change.deed),
        severity_id=max(Severity.INFORMATIONAL, severity_id - unsure),
        title=title,
        message=message,
        evidence=ids,
        first_time=when(ids[0]),
        last_time=max(map(when, ids)),
        actor=change.actor,
        address=change.address,
    )


def about(deed: Deed) -> str:
    """What a deed is about, as a key."""
    return f"{deed.kind}={deed.target} {deed.item}".rstrip()


def when(event_id: str) -> int:
    """The time of an event, epoch milliseconds: its id (hexadecimal) begins with it."""
    return int(event_id[:12], 16)


@dataclass(slots=True)
class _Case:
    """A judgement, or several of one id, as one finding; ``found`` has all but its document.

    ``ground`` is all of the evidence, of which a finding keeps no more than its most.
    """

    found: Finding
    ground: frozenset[bytes]
    title: str
    message: str
    details: Mapping[str, Any]


def settle(
    detector: EstateDetector,
    estate: str,
    judgements: Iterable[Judgement],
    said: Iterable[Finding],
) -> list[Finding]:
    """New versions of findings.

    Args:
        estate: its name, which stands in its findings' ``cluster``.
        judgements: of all that is known of the estate, in any order.
        said: the last version of each finding of this detector and estate.
    """
    last = {found.id: found for found in said}
    cases = _cases(detector, estate, judgements)
    grounds = _grounds(cases)
    out: list[Finding] = []
    taken: dict[bytes, set[bytes]] = {}
    for old in last.values():
        if old.status == _OPEN and old.id not in cases:
            heir = _heir(old, cases, grounds)
            if heir is not None:
                taken.setdefault(heir, set()).update((old.id, *old.supersedes))
            gone = replace(old, version=old.version + 1, evidence=(), count=0)
            retire(gone, detector, heir.hex() if heir else None)
            out.append(gone)
    for name, case in cases.items():
        found, known = case.found, last.get(name)
        before = set(known.supersedes) if known else set()
        found.supersedes = tuple(sorted((before | taken.get(name, set())) - cases.keys()))
        if known is None or not _same(case, known):
            found.version = known.version + 1 if known else 1
            write(found, detector, case.title, case.message, case.details)
            out.append(found)
    return out


def _cases(
    detector: EstateDetector, estate: str, judgements: Iterable[Judgement]
) -> dict[bytes, _Case]:
    cases: dict[bytes, _Case] = {}
    # Details, which cannot be compared, come last and follow from the rest.
    for judged in sorted(judgements, key=lambda j: j[:-1]):
        name = finding_id(detector.name, estate, judged.key, judged.first_time, judged.evidence[0])
        found = _finding(detector.name, estate, name, judged)
        ground = frozenset(map(bytes.fromhex, judged.evidence))
        case = _Case(found, ground, judged.title, judged.message, judged.details)
        cases[name] = _joined(cases[name], case) if name in cases else case
    return cases


def _finding(detector: str, estate: str, name: bytes, judged: Judgement) -> Finding:
    return Finding(
        id=name,
        version=1,
        status=_OPEN,
        detector=detector,
        key=judged.key,
        cluster=estate,
        severity_id=judged.severity_id,
        first_time=judged.first_time,
        last_time=judged.last_time,
        count=1,
        lower_bound=False,
        suspect=judged.suspect,
        actor=judged.actor,
        address=judged.address,
        evidence=tuple(bytes.fromhex(i) for i in judged.evidence[:MOST_EVIDENCE]),
        supersedes=(),
    )


def _joined(one: _Case, other: _Case) -> _Case:
    """Two deeds of one request that are about the same: one finding. The gravest speaks."""
    gravest = max(one, other, key=lambda case: case.found.severity_id)
    evidence = sorted({*one.found.evidence, *other.found.evidence})[:MOST_EVIDENCE]
    found = replace(
        gravest.found,
        last_time=max(one.found.last_time, other.found.last_time),
        count=one.found.count + other.found.count,
        evidence=tuple(evidence),
    )
    return replace(gravest, found=found, ground=one.ground | other.ground)


def _grounds(cases: Mapping[bytes, _Case]) -> dict[bytes, list[bytes]]:
    """Which findings stand on a piece of evidence."""
    grounds: dict[bytes, list[bytes]] = {}
    for name, case in cases.items():
        for piece in case.ground:
            grounds.setdefault(piece, []).append(name)
    return grounds


def _heir(
    old: Finding, cases: Mapping[bytes, _Case], grounds: Mapping[bytes, Sequence[bytes]]
) -> bytes | None:
    """Which finding stands on the same ground: of the same deed, or on all of its evidence."""
    shared = Counter(name for piece in old.evidence for name in grounds.get(piece, ()))
    fit = [
        (-pieces, cases[name].found.key != old.key, name)
        for name, pieces in shared.items()
        if cases[name].found.key == old.key or pieces == len(old.evidence)
    ]
    return min(fit)[-1] if fit else None


def _same(case: _Case, known: Finding) -> bool:
    if replace(case.found, version=known.version, ocsf=known.ocsf) != known:
        return False
    said = orjson.loads(known.ocsf)
    if (said["finding_info"]["title"], said["message"]) != (case.title, case.message):
        return False
    told = said["auditstream"]
    return all(told.get(name) == value for name, value in case.details.items())
