"""Conclusions: from episodes to versions of findings, against what was said of them before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from detectors.contract import Detector, Episode, Settings, Verdict
from schemas.findings import document
from schemas.types import Finding
from schemas.vocabulary import ID_RECIPE, Severity

if TYPE_CHECKING:
    from detectors.episodes import Run

_PERSON = b"auditstr.fnd" + bytes([ID_RECIPE])


def finding_id(detector: str, cluster: str, key: str, first_time: int, first_id: str) -> bytes:
    """A finding's id, 16 bytes: 48 bits of the earliest evidence's time in milliseconds, then 80
    of BLAKE2b over detector, cluster, key and the earliest evidence's id."""
    parts = [p.encode() for p in (detector, cluster, key)] + [bytes.fromhex(first_id)]
    said = b"".join(len(p).to_bytes(8, "big") + p for p in parts)
    hashed = blake2b(said, digest_size=10, person=_PERSON).digest()
    return min(max(first_time, 0), 2**48 - 1).to_bytes(6, "big") + hashed


def conclude(
    detector: Detector,
    settings: Settings,
    cluster: str,
    key: str,
    state: dict[str, Any],
    runs: Sequence[Run],
    followed: Mapping[str, bool],
) -> list[Finding]:
    """New versions of findings. ``state["emitted"]`` is read and changed.

    Args:
        runs: the key's episodes.
        followed: by an episode's first id, whether a success came soon after it.
    """
    emitted: dict[str, dict[str, Any]] = state["emitted"]
    current: dict[str, tuple[Finding, Verdict]] = {}
    for run in runs:
        if run.reasons:
            found, verdict = _finding(
                detector, settings, cluster, key, state, run, followed[run.first_id]
            )
            current[found.id.hex()] = found, verdict
    out: list[Finding] = []
    for gone in [name for name in emitted if name not in current]:
        out.append(_retire(emitted, gone, [f for f, _ in current.values()], detector, cluster, key))
    for name, (found, verdict) in current.items():
        entry = emitted.setdefault(name, _nothing())
        found.supersedes = tuple(bytes.fromhex(s) for s in entry["supersedes"])
        digest = _digest(found)
        if digest != entry["digest"]:
            found.version = entry["version"] + 1
            entry.update(version=found.version, digest=digest, severity=found.severity_id)
            entry.update(first=found.first_time, last=found.last_time)
            _write(found, detector, verdict.title, verdict.message)
            out.append(found)
    return out


def _nothing() -> dict[str, Any]:
    return {"version": 0, "digest": "", "supersedes": []}


def _finding(
    detector: Detector,
    settings: Settings,
    cluster: str,
    key: str,
    state: dict[str, Any],
    run: Run,
    followed: bool,
) -> tuple[Finding, Verdict]:
    suspect = not run.trusted
    reasons = run.trusted or run.reasons
    episode = Episode(
        key, run.count, run.first_time, run.last_time, reasons, followed and not suspect
    )
    verdict = detector.judge(episode, settings)
    found = _blank(
        finding_id(detector.name, cluster, key, run.first_time, run.first_id),
        detector.name,
        cluster,
        key,
    )
    found.severity_id = verdict.severity_id
    if suspect:
        found.severity_id = min(verdict.severity_id, Severity.LOW)
        verdict = verdict._replace(
            message=verdict.message
            + " It rests on records that a client may have written into the log."
        )
    found.first_time, found.last_time, found.count = run.first_time, run.last_time, run.count
    found.lower_bound, found.suspect = bool(state["lower_bound"]), suspect
    found.evidence = tuple(bytes.fromhex(i) for i in run.ids)
    return found, verdict


def _blank(id: bytes, detector: str, cluster: str, key: str) -> Finding:
    name, _, value = key.partition("=")
    return Finding(
        id=id,
        version=1,
        status="open",
        detector=detector,
        key=key,
        cluster=cluster,
        severity_id=Severity.INFORMATIONAL,
        first_time=0,
        last_time=0,
        count=0,
        lower_bound=False,
        suspect=False,
        actor=value if name == "principal" else "",
        address=value if name == "address" else "",
        evidence=(),
        supersedes=(),
    )


def _digest(found: Finding) -> str:
    said = (
        found.severity_id,
        found.last_time,
        found.count,
        found.lower_bound,
        found.suspect,
        b"".join(found.evidence),
        b"".join(found.supersedes),
    )
    return blake2b(repr(said).encode(), digest_size=8).hexdigest()


def _retire(
    emitted: dict[str, dict[str, Any]],
    gone: str,
    current: Sequence[Finding],
    detector: Detector,
    cluster: str,
    key: str,
) -> Finding:
    """The last version of a finding that is no more."""
    entry = emitted.pop(gone)
    found = _blank(bytes.fromhex(gone), detector.name, cluster, key)
    found.version, found.severity_id = entry["version"] + 1, entry["severity"]
    found.first_time, found.last_time = entry["first"], entry["last"]
    found.supersedes = tuple(bytes.fromhex(s) for s in entry["supersedes"])
    heir = next((f for f in current if f.first_time <= entry["first"] <= f.last_time), None)
    if heir is None:
        found.status, message = "withdrawn", "Later evidence took away what this rested on."
    else:
        taken = emitted.setdefault(heir.id.hex(), _nothing())["supersedes"]
        taken += [s for s in (*entry["supersedes"], gone) if s not in taken]
        found.status, message = "superseded", f"Finding {heir.id.hex()} takes its place."
    _write(found, detector, detector.title, message)
    return found


def _write(found: Finding, detector: Detector, title: str, message: str) -> None:
    found.ocsf = document(
        found,
        title=title,
        message=message,
        analytic=detector.title,
        attacks=[tuple(a) for a in detector.attacks],
        triage=detector.triage,
    )
