"""Conclusions: from runs of evidence to versions of findings, against what was said before.

What was said, by a finding's id in hexadecimal::

    {"version", "digest", "severity", "first", "last", "supersedes", "followed"}

``followed`` is the last failure that a success was seen to follow: once seen it stays, although
the success is forgotten before the run is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NamedTuple

from detectors.contract import Detector, EpisodeSettings, EstateDetector
from detectors.runs import Run
from schemas.findings import document
from schemas.types import Finding
from schemas.vocabulary import ID_RECIPE, FindingStatus, Severity

_PERSON = b"auditstr.fnd" + bytes([ID_RECIPE])

Emitted = dict[str, dict[str, Any]]


class Watch(NamedTuple):
    """A detector with its numbers, upon one key of one cluster."""

    detector: Detector
    settings: EpisodeSettings
    cluster: str
    key: str

    def name(self, run: Run) -> str:
        """The id of the run's finding, hexadecimal."""
        return finding_id(self.detector.name, self.cluster, self.key, *run.first).hex()


def finding_id(detector: str, cluster: str, key: str, first_time: int, first_id: str) -> bytes:
    """A finding's id, 16 bytes: 48 bits of the earliest evidence's time in milliseconds, then 80
    of BLAKE2b over detector, cluster, key and the earliest evidence's id."""
    parts = [p.encode() for p in (detector, cluster, key)] + [bytes.fromhex(first_id)]
    said = b"".join(len(p).to_bytes(8, "big") + p for p in parts)
    hashed = blake2b(said, digest_size=10, person=_PERSON).digest()
    return min(max(first_time, 0), 2**48 - 1).to_bytes(6, "big") + hashed


def conclude(
    watch: Watch,
    emitted: Emitted,
    runs: Sequence[Run],
    followed: Callable[[int], bool],
    turned_away: int,
) -> list[Finding]:
    """New versions of findings.

    Args:
        emitted: what was said so far. It is changed.
        runs: the key's episodes.
        followed: whether a success came soon after a time.
        turned_away: the latest time, epoch milliseconds, whose evidence may be missing.
    """
    current = {watch.name(run): run for run in runs if run.reasons}
    gone = [name for name in emitted if name not in current]
    out = [_retired(watch, emitted, name, current) for name in gone]
    for name, run in current.items():
        entry = emitted.setdefault(name, _nothing())
        last = run.last_trusted
        if last is not None and entry["followed"] != last and followed(last):
            entry["followed"] = last
        found, title = _finding(watch, name, run, entry)
        found.lower_bound = run.first[0] <= turned_away
        digest = _digest(found)
        if digest != entry["digest"]:
            found.version = entry["version"] + 1
            entry.update(version=found.version, digest=digest, severity=found.severity_id)
            entry.update(first=found.first_time, last=found.last_time)
            write(found, watch.detector, title, _message(found, watch.detector))
            out.append(found)
    return out


def _nothing() -> dict[str, Any]:
    return {"version": 0, "digest": "", "supersedes": [], "followed": None}


def _finding(watch: Watch, name: str, run: Run, entry: Mapping[str, Any]) -> tuple[Finding, str]:
    """The finding as it is now, and its title."""
    suspect = not run.trusted
    followed = not suspect and entry["followed"] == run.last_trusted
    holding = [r for r in watch.detector.reasons if r.name in (run.trusted or run.reasons)]
    severity = max(r.severity_id for r in holding) + followed
    titles = [r.title for r in holding] + ["then a success"] * followed
    found = _blank(watch, name, entry["supersedes"])
    found.severity_id = min(severity, Severity.LOW if suspect else Severity.CRITICAL)
    found.suspect, found.count = suspect, run.total
    found.first_time, found.last_time = run.first[0], run.last
    found.evidence = tuple(bytes.fromhex(i) for _, i in run.ids)
    title = ", ".join(titles)
    return found, title[:1].upper() + title[1:]


def _message(found: Finding, detector: Detector) -> str:
    least = "At least " if found.lower_bound else ""
    message = f"{least}{found.count} {detector.deeds}, {found.key.replace('=', ' ', 1)}."
    if found.suspect:
        message += " It rests on records that a client may have forged."
    return message


def _blank(watch: Watch, name: str, supersedes: Sequence[str]) -> Finding:
    kind, _, value = watch.key.partition("=")
    return Finding(
        id=bytes.fromhex(name),
        version=1,
        status="open",
        detector=watch.detector.name,
        key=watch.key,
        cluster=watch.cluster,
        severity_id=Severity.INFORMATIONAL,
        first_time=0,
        last_time=0,
        count=0,
        lower_bound=False,
        suspect=False,
        actor=value if kind == "principal" else "",
        address=value if kind == "address" else "",
        evidence=(),
        supersedes=tuple(bytes.fromhex(s) for s in supersedes),
    )


def _digest(found: Finding) -> str:
    said = found.severity_id, found.last_time, found.count, found.lower_bound, found.suspect
    ids = b"".join((*found.evidence, *found.supersedes))
    return blake2b(repr(said).encode() + ids, digest_size=8).hexdigest()


def _retired(watch: Watch, emitted: Emitted, gone: str, current: Mapping[str, Run]) -> Finding:
    """The last version of a finding that is no more."""
    entry = emitted.pop(gone)
    found = _blank(watch, gone, entry["supersedes"])
    found.version, found.severity_id = entry["version"] + 1, entry["severity"]
    found.first_time, found.last_time = entry["first"], entry["last"]
    heirs = (name for name, run in current.items() if run.first[0] <= entry["first"] <= run.last)
    heir = next(heirs, None)
    if heir is not None:
        taken = emitted.setdefault(heir, _nothing())["supersedes"]
        taken += [s for s in (*entry["supersedes"], gone) if s not in taken]
    retire(found, watch.detector, heir)
    return found


def retire(found: Finding, detector: Detector | EstateDetector, heir: str | None) -> None:
    """Make of a finding its last version: another, ``heir`` (hexadecimal), takes its place, or
    none does."""
    if heir is None:
        found.status = FindingStatus.WITHDRAWN.value
        message = "Later evidence took away what this rested on."
    else:
        found.status = FindingStatus.SUPERSEDED.value
        message = f"Finding {heir} takes its place."
    write(found, detector, detector.title, message)


def write(
    found: Finding,
    detector: Detector | EstateDetector,
    title: str,
    message: str,
    details: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write ``found.ocsf``, of a finding that is complete but for it."""
    found.ocsf = document(
        found,
        title=title,
        message=message,
        details=details,
        analytic=detector.title,
        attacks=detector.attacks,
        triage=detector.triage,
    )
