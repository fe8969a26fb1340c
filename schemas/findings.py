"""The OCSF 2004 document of a finding, as it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import orjson

from schemas.ocsf import user
from schemas.types import Finding
from schemas.vocabulary import (
    ATTACK_VERSION,
    CLASS_NAMES,
    DETECTION_FINDING,
    OCSF_VERSION,
    SEVERITY_NAMES,
    FindingStatus,
)

_PRODUCT: Final = {"name": "auditstream", "vendor_name": "auditstream"}
_RAISED, _AMENDED, _CLOSED = 1, 2, 3
_STATUS: Final[Mapping[str, tuple[int, str]]] = {
    FindingStatus.OPEN: (1, "New"),
    FindingStatus.CLOSED: (4, "Resolved"),
}
_ARCHIVED: Final = (5, "Archived")
FINDINGS: Final = "auditstream.findings"
"""``metadata.log_name`` of what detectors conclude."""


def document(
    found: Finding,
    *,
    title: str,
    message: str,
    analytic: str,
    attacks: Sequence[tuple[str, ...]],
    triage: Sequence[str],
    details: Mapping[str, Any] = MappingProxyType({}),
    log_name: str = FINDINGS,
) -> bytes:
    """JSON of one version of a finding.

    Args:
        title: what happened, in a few words.
        message: what happened, in a sentence or two.
        analytic: the detector in a line.
        attacks: (technique, its name, tactic, its name) of MITRE ATT&CK.
        triage: what to do, step by step.
        details: more, in JSON, by name; under ``auditstream``.
        log_name: whose conclusion it is.
    """
    activity = _activity(found)
    status_id, status = _STATUS.get(found.status, _ARCHIVED)
    out: dict[str, Any] = {
        "metadata": _metadata(found, log_name),
        "time": found.last_time,
        "class_uid": DETECTION_FINDING,
        "class_name": CLASS_NAMES[DETECTION_FINDING],
        "category_uid": DETECTION_FINDING // 1000,
        "activity_id": activity,
        "type_uid": DETECTION_FINDING * 100 + activity,
        "severity_id": found.severity_id,
        "severity": SEVERITY_NAMES[found.severity_id],
        "status_id": status_id,
        "status": status,
        "message": message,
        "count": found.count,
        "finding_info": _info(found, title, message, analytic, attacks),
        "auditstream": {**_extension(found), **details},
    }
    if evidence := _evidence(found):
        out["evidences"] = [evidence]
    if triage:
        out["remediation"] = {"desc": "\n".join(f"{n}. {s}" for n, s in enumerate(triage, 1))}
    return orjson.dumps(out)


def _metadata(found: Finding, log_name: str) -> dict[str, Any]:
    return {
        "version": OCSF_VERSION,
        "uid": found.id.hex(),
        "product": _PRODUCT,
        "log_name": log_name,
    }


def _activity(found: Finding) -> int:
    if found.status != FindingStatus.OPEN:
        return _CLOSED
    return _RAISED if found.version == 1 else _AMENDED


def _info(
    found: Finding, title: str, message: str, analytic: str, attacks: Sequence[tuple[str, ...]]
) -> dict[str, Any]:
    info: dict[str, Any] = {
        "uid": found.id.hex(),
        "title": title,
        "desc": message,
        "analytic": {"uid": found.detector, "name": analytic, "type": "Rule", "type_id": 1},
        "first_seen_time": found.first_time,
        "last_seen_time": found.last_time,
        "related_events_count": max(found.count, len(found.evidence)),
        "related_events": [{"uid": e.hex()} for e in found.evidence],
    }
    if attacks:
        info["attacks"] = [_attack(*attack) for attack in attacks]
    return info


def _attack(technique: str, name: str, tactic: str, tactic_name: str) -> dict[str, Any]:
    """OCSF ``attack``. ``T1565.001`` is a sub-technique, and its name is not its technique's."""
    above, _, sub = technique.partition(".")
    said = {"uid": technique, "name": name}
    return {
        **({"technique": {"uid": above}, "sub_technique": said} if sub else {"technique": said}),
        "tactic": {"uid": tactic, "name": tactic_name},
        "version": ATTACK_VERSION,
    }


def _evidence(found: Finding) -> dict[str, Any]:
    evidence: dict[str, Any] = {}
    if found.actor:
        evidence["actor"] = {"user": user(found.actor)}
    if found.address:
        evidence["src_endpoint"] = {"ip": found.address}
    return evidence


def _extension(found: Finding) -> dict[str, Any]:
    out: dict[str, Any] = {
        "version": found.version,
        "status": found.status,
        "key": found.key,
        "cluster": found.cluster,
        "lower_bound": found.lower_bound,
        "suspect": found.suspect,
        "evidence": [e.hex() for e in found.evidence],
        "supersedes": [s.hex() for s in found.supersedes],
    }
    if found.actor:
        out["actor"] = found.actor
    if found.address:
        out["address"] = found.address
    return out
