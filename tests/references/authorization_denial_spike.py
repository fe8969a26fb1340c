"""Denials by principal: many, of many resources, or of what only administrators do."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from detectors.authorization_denial_spike import DenialSettings
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, AUTHENTICATION, Severity
from tests.references import Fields, Key, View, settled, windows

_DENIED: dict[str, Any] = {
    "class_uid": API_ACTIVITY,
    "outcome": "failure",
    "operation": "READ",
    "resource_type": "Topic",
    "resource": "orders",
}
_GRAVE = {**_DENIED, "operation": "ALTER"}
# Two names that begin alike, and are long enough for any place that cuts names short.
_LONG = "x" * 600

EVENTS: Sequence[Fields] = (
    *[_DENIED] * 6,
    *[{**_DENIED, "resource": name} for name in ("payments", "", _LONG + "1", _LONG + "2")],
    {**_DENIED, "resource_type": "Group"},
    {**_DENIED, "weight": 3},
    {**_DENIED, "suspect": True},
    {**_DENIED, "suspect": True, "resource": "audit"},
    {**_DENIED, "time_precision": "unknown"},
    {**_DENIED, "outcome": "success", "operation": "ALTER"},
    {"class_uid": AUTHENTICATION, "outcome": "failure"},
    {**_DENIED, "source": "aws_cloudtrail", "rule": "AccessDenied"},
    {**_DENIED, "source": "aws_cloudtrail", "operation": "ALTER"},
    {**_DENIED, "source": "aws_cloudtrail", "rule": "AccessDenied", "class_uid": 3004},
    {**_DENIED, "operation": "CREATE"},
    {**_DENIED, "operation": "CREATE", "resource_type": "Cluster", "resource": "kafka-cluster"},
    {**_GRAVE, "suspect": True},
    {**_GRAVE, "time_precision": "unknown"},
    {**_DENIED, "operation": "ALTER_CONFIGS", "resource_type": "Cluster"},
    {**_DENIED, "operation": "CLUSTER_ACTION", "resource_type": "Cluster"},
)
NUMBERS: Fields = {"resources": 4}


def _grave(event: Event) -> bool:
    return event.operation in ("ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION") or (
        event.operation == "CREATE" and event.resource_type == "Cluster"
    )


def reference(events: Sequence[Event], settings: DenialSettings) -> View:
    """Medium; low where a denied operation of administrators is all there is. A success afterwards
    raises nothing: nearly everybody is allowed something soon after."""
    failures: dict[Key, list[Event]] = defaultdict(list)
    for event in events:
        decided = event.rule or event.source == "kafka_authorizer"
        failed = event.class_uid != AUTHENTICATION and event.outcome == "failure"
        if failed and decided and event.actor:
            if event.time_precision == "unknown" and not _grave(event):
                continue
            failures[event.cluster, f"principal={event.actor}"].append(event)

    def reasons(episode: Sequence[Event]) -> set[str]:
        found = {"administration"} if any(_grave(e) for e in episode) else set()
        for held in windows(episode, settings.window_s):
            if sum(e.weight for e in held) >= settings.threshold:
                found.add("spike")
            if len({(e.resource_type, e.resource) for e in held}) >= settings.resources:
                found.add("enumeration")
        return found

    def severity(_: Key, why: set[str], __: int) -> int:
        return Severity.LOW if why == {"administration"} else Severity.MEDIUM

    longest = max(settings.gap_s, settings.window_s)
    return settled("authorization_denial_spike", failures, longest, reasons, severity)
