"""What auditstream's own principals do beside their work, or are refused of it, by principal."""

from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

from detectors.own import Own, OwnSettings
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, AUTHENTICATION, ENTITY_MANAGEMENT, Severity
from tests.references import Fields, Key, View, settled

_WRITES: dict[str, Any] = {
    "resource_type": "Topic", "pattern": "audit.findings", "operations": ["WRITE", "DESCRIBE"],
}  # fmt: skip
_MAKES: dict[str, Any] = {
    "resource_type": "Topic", "pattern": "audit.*", "operations": ["CREATE", "CreateTopics"],
}  # fmt: skip
_DETECT: dict[str, Any] = {
    "role": "detect", "cluster": "", "networks": ["192.0.2.0/29", "2001:db8::/64"],
    "rights": [_WRITES],
}  # fmt: skip
NUMBERS: Fields = {
    "own": {
        "User:auditstream": [_DETECT, {**_DETECT, "networks": ["198.51.100.1"], "rights": [_MAKES]}]
    }
}

_WROTE: dict[str, Any] = {
    "class_uid": API_ACTIVITY, "outcome": "success", "actor": "User:auditstream",
    "address": "192.0.2.7", "operation": "WRITE", "resource_type": "Topic",
    "resource": "audit.findings", "pattern_type": "LITERAL",
}  # fmt: skip
_DENIED = {**_WROTE, "outcome": "failure"}
_READ = {**_WROTE, "operation": "READ"}
_MADE: dict[str, Any] = {
    **_WROTE, "class_uid": ENTITY_MANAGEMENT, "operation": "CreateTopics", "pattern_type": "",
    "source": "kafka_request", "address": "198.51.100.1", "leg": "request",
}  # fmt: skip
_LOGIN: dict[str, Any] = {
    "class_uid": AUTHENTICATION, "outcome": "success", "actor": "User:auditstream",
    "address": "198.51.100.1",
}  # fmt: skip

EVENTS: Sequence[Fields] = (
    *[_WROTE] * 3,
    *[_DENIED] * 4,
    {**_WROTE, "address": "2001:db8::7"},
    {**_WROTE, "address": "192.0.2.8"},
    {**_WROTE, "address": ""},
    {**_WROTE, "address": "198.51.100.1"},
    {**_WROTE, "resource": "hr.salaries"},
    {**_WROTE, "resource_type": "Group"},
    {**_WROTE, "pattern_type": "PREFIXED"},
    {**_WROTE, "outcome": "unknown"},
    {**_WROTE, "forgery": "broken_head", "blind_spots": ("partial_name",)},
    {**_WROTE, "blind_spots": ("partial_name",)},
    {**_WROTE, "actor": "User:auditstream2"},
    _READ,
    {**_READ, "actor": "User:alice"},
    {**_READ, "outcome": "failure"},
    {**_READ, "suspect": True},
    {**_READ, "suspect": True},
    {**_READ, "time_precision": "unknown"},
    {**_DENIED, "suspect": True},
    {**_DENIED, "time_precision": "unknown"},
    _MADE,
    {**_MADE, "leg": "forwarded", "address": ""},
    {**_MADE, "leg": "forwarded", "address": "", "resource": "hr.salaries"},
    {**_MADE, "address": "192.0.2.7"},
    _LOGIN,
    {**_LOGIN, "address": "198.51.100.2"},
    {**_LOGIN, "outcome": "failure"},
    {**_LOGIN, "outcome": "unknown", "address": "198.51.100.2"},
)


def _is_its_work(event: Event, own: Sequence[Own]) -> bool:
    return not event.forgery and "partial_name" not in event.blind_spots and any(
        event.cluster == one.cluster
        and (
            event.leg == "forwarded"
            or (event.address and any(
                ip_address(event.address) in ip_network(network) for network in one.networks
            ))
        )
        and (
            event.class_uid == AUTHENTICATION
            or (event.pattern_type in ("", "LITERAL") and any(
                event.operation in right.operations
                and event.resource_type == right.resource_type
                and event.resource
                and fnmatchcase(event.resource, right.pattern)
                for right in one.rights
            ))
        )
        for one in own
    )  # fmt: skip


def reference(events: Sequence[Event], settings: OwnSettings) -> View:
    """High where an episode has anything beside its work; medium where it was refused that."""
    found: dict[Key, list[Event]] = defaultdict(list)
    beside: set[bytes] = set()
    for event in events:
        own = settings.own.get(event.actor)
        tried = event.class_uid == AUTHENTICATION and event.outcome != "success"
        if own is None or tried:
            continue
        its_work = _is_its_work(event, own)
        undated = event.time_precision == "unknown"
        if not its_work:
            beside.add(event.id)
        if not its_work or (event.outcome == "failure" and not undated):
            found[event.cluster, f"principal={event.actor}"].append(event)
    return settled(
        "audit_principal_misuse",
        found,
        settings.gap_s,
        reasons=lambda episode: {"beside" if e.id in beside else "refused" for e in episode},
        severity=lambda _, why, __: Severity.HIGH if "beside" in why else Severity.MEDIUM,
    )
