"""Guardrails: what a change takes from the keys, trails, buckets and endpoints of an account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from detectors import grants, selectors
from detectors.grants import Weakness
from schemas.changes import Change, Deed
from schemas.vocabulary import PUBLIC_ACCESS_BLOCKS, Severity

TRIAGE: Final = (
    "Undo it first: cancel the deletion, enable the key, start the trail, put the policy back.",
    "Was it announced? Infrastructure kept as code has a run and a review at that time.",
    "What else did the actor do, and from where? `auditstream timeline --actor`.",
    "Who used what was open while it was? The trail's data events say so, where it has them.",
)
FALSE_POSITIVES: Final = (
    "Environments torn down delete their keys, trails and buckets.",
    "Public websites are buckets open to everyone; partners are accounts to be trusted by setting.",
    "Tools state a trail's settings anew when they change one: low where nobody says the others.",
)
BLIND_SPOTS: Final = (
    "What conditions of a policy say is not weighed, nor whether a denial elsewhere takes it back.",
    "What was there before is known only from earlier changes; without them an old grant is new.",
    "Who stands behind a canonical user id, and what objects allow by ACLs of their own.",
    "What a lifecycle rule deletes after how many days, and object lock.",
)
_SOON_DAYS: Final = 7
"""The shortest wait before a key is deleted; nothing kept for less long is found in time."""
_LONGEST: Final = 300
"""Characters of a value that a message repeats."""
_MOST: Final = 5
_BLOCKS: Final = frozenset(PUBLIC_ACCESS_BLOCKS)
"""What a bucket has unless somebody took it away."""


def weaknesses(deed: Deed, trusted: frozenset[str]) -> list[Weakness]:
    """All that a deed weakens, the gravest first.

    Args:
        trusted: accounts that may be let in.
    """
    return sorted(_weaknesses(deed, trusted), key=lambda w: (-w.severity_id, w))


def _weaknesses(deed: Deed, trusted: frozenset[str]) -> Iterator[Weakness]:
    subject = deed.target.partition(":")[0], deed.action
    if deed.kind == "policy" and deed.item == "public_access_block":
        yield from _unblocked(deed)
    elif deed.kind == "policy":
        yield from grants.of_policy(deed, trusted)
    elif deed.kind == "attachment":
        yield from grants.of_attachment(deed)
    elif deed.kind == "selectors":
        yield from selectors.narrowed(deed)
    elif deed.kind == "settings":
        yield from _set(deed)
    elif subject == ("Key", "schedule_deletion"):
        yield from _doomed(deed)
    elif deed.kind in ("state", "entity") and subject in _ENDS:
        if deed.before is None or deed.before != deed.after:
            yield _ENDS[subject]
    elif (deed.kind, deed.action) == ("entity", "create"):
        yield from grants.of_creation(deed, trusted)


_UNRECORDED: Final = "nothing is recorded"
_ENDS: Final = {
    ("Key", "disable"): Weakness(
        Severity.MEDIUM, "Key disabled", "what it encrypts can be neither read nor written"
    ),
    ("Key", "delete"): Weakness(
        Severity.HIGH, "Key material deleted", "what it encrypts can be read no more"
    ),
    ("Trail", "disable"): Weakness(Severity.HIGH, "Trail stopped", _UNRECORDED),
    ("Trail", "delete"): Weakness(Severity.HIGH, "Trail deleted", _UNRECORDED),
    ("EventDataStore", "disable"): Weakness(Severity.HIGH, "Event data store stopped", _UNRECORDED),
    ("EventDataStore", "schedule_deletion"): Weakness(
        Severity.HIGH, "Event data store scheduled for deletion", _UNRECORDED
    ),
    ("Bucket", "delete"): Weakness(Severity.MEDIUM, "Bucket deleted", "its name is free to all"),
}


def _doomed(deed: Deed) -> Iterator[Weakness]:
    days = deed.after.get("days") if isinstance(deed.after, dict) else None
    soon = isinstance(days, int) and days <= _SOON_DAYS
    title = "Key scheduled for deletion" + (f" in {days} days" if isinstance(days, int) else "")
    says = "what it encrypts can be read no more, then never again"
    yield Weakness(Severity.CRITICAL if soon else Severity.HIGH, title, says)


def _unblocked(deed: Deed) -> Iterator[Weakness]:
    known = isinstance(deed.before, dict)
    before = grants.texts(deed.before.get("blocks")) if known else _BLOCKS
    after = grants.texts(deed.after.get("blocks")) if isinstance(deed.after, dict) else frozenset()
    gone = before - after
    if gone:
        title = "Public access block " + ("weakened" if after else "removed")
        severity = (Severity.MEDIUM if after else Severity.HIGH) - (not known)
        yield Weakness(severity, title, f"no more: {', '.join(sorted(gone))}")


class _Setting(NamedTuple):
    """``strength`` of a value: less of it guards less. None: any other value than before is worth
    a look."""

    severity_id: int
    title: str
    strength: Callable[[Any], float] | None = None


def _on(value: Any) -> float:
    """Of a switch; of several whether any is on."""
    if isinstance(value, dict):
        return max(map(_on, value.values()), default=0)
    return float(bool(value) and str(value).lower() not in ("disabled", "suspended"))


def _off(value: Any) -> float:
    return 1 - _on(value)


def _authenticated(value: Any) -> float:
    return _off(value.get("unauthenticated")) if isinstance(value, dict) else 1


def _encrypted(value: Any) -> float:
    how = value.get("clientBroker") if isinstance(value, dict) else None
    return {"PLAINTEXT": 0.0, "TLS_PLAINTEXT": 0.5}.get(str(how), 1)


_SETTINGS: Final = {
    "Trail": {
        "is_multi_region": _Setting(Severity.MEDIUM, "Trail covers one region only", _on),
        "log_file_validation": _Setting(Severity.MEDIUM, "Trail's files can be forged", _on),
        "include_global": _Setting(Severity.MEDIUM, "Trail leaves global services out", _on),
        "organization": _Setting(Severity.MEDIUM, "Trail covers one account only", _on),
        "bucket": _Setting(Severity.HIGH, "Trail's bucket changed"),
        "kms_key": _Setting(Severity.MEDIUM, "Trail's key changed"),
    },
    "Key": {"rotation": _Setting(Severity.LOW, "Key rotated no more", _on)},
    "Bucket": {
        "versioning": _Setting(Severity.MEDIUM, "Bucket keeps no versions", _on),
        "logging": _Setting(Severity.MEDIUM, "Bucket's access is logged no more", _on),
        "lifecycle": _Setting(Severity.LOW, "Bucket deletes or moves objects by rule", _off),
    },
    "EndpointService": {
        "acceptance_required": _Setting(
            Severity.MEDIUM, "Endpoint service takes connections unasked", _on
        )
    },
    "MskCluster": {
        "public_access": _Setting(Severity.HIGH, "MSK cluster open to the internet", _off),
        "authentication": _Setting(
            Severity.HIGH, "MSK cluster lets in who does not log in", _authenticated
        ),
        "encryption": _Setting(Severity.MEDIUM, "MSK cluster takes plain text", _encrypted),
        "logging": _Setting(Severity.MEDIUM, "MSK cluster's brokers log nowhere", _on),
    },
}


def _set(deed: Deed) -> Iterator[Weakness]:
    kind = deed.target.partition(":")[0]
    before = _values(deed.before)
    for name, value in _values(deed.after).items():
        setting = _SETTINGS.get(kind, {}).get(name)
        if setting is None:
            continue
        was = before.get(name)
        if setting.strength is None:
            weaker = was != value
        else:
            weaker = setting.strength(value) < (1 if was is None else setting.strength(was))
        if weaker:
            # Tools state all of a trail's settings when they change one.
            unsure = was is None and kind == "Trail"
            severity = Severity.LOW if unsure else setting.severity_id
            says = f"{name} was {_stated(was, 'unknown')}, is {_stated(value, 'nothing')}"
            yield Weakness(severity, setting.title, says)


def _values(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def told(change: Change, found: Sequence[Weakness]) -> str:
    """Who did it, from where, what it weakens, and what was there before and is after."""
    deed = change.deed
    who = (change.actor or "Somebody") + (f" from {change.address}" if change.address else "")
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    said = "; ".join(weakness.says for weakness in found[:_MOST]) + more
    before, after = _stated(deed.before, "unknown"), _stated(deed.after, "nothing")
    return f"{who} changed {deed.target}: {said}. Before: {before}. After: {after}."


def _stated(value: Any, nothing: str) -> str:
    known = grants.grants(value)
    if known is not None:
        return _short("; ".join(map(str, known)) or "no grants")
    return nothing if value is None else _short(value)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
