"""Failed logins by address and by claimed principal."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from detectors.contract import WindowSettings
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, AUTHENTICATION, ENTITY_MANAGEMENT, Severity
from tests.references import Fields, Key, View, settled, windows

_FAILED: dict[str, Any] = {"class_uid": AUTHENTICATION, "outcome": "failure"}

EVENTS: Sequence[Fields] = (
    *[_FAILED] * 8,
    {**_FAILED, "weight": 2},
    {**_FAILED, "weight": 4},
    {**_FAILED, "suspect": True},
    {**_FAILED, "time_precision": "unknown"},
    {"class_uid": AUTHENTICATION, "outcome": "success"},
    {"class_uid": AUTHENTICATION, "outcome": "success", "suspect": True},
    {"class_uid": AUTHENTICATION, "outcome": "unknown"},
    {"class_uid": API_ACTIVITY, "outcome": "success"},
    {"class_uid": API_ACTIVITY, "outcome": "failure"},
    {"class_uid": ENTITY_MANAGEMENT, "outcome": "failure"},
)
NUMBERS: Fields = {}


def _keys(event: Event) -> Iterator[Key]:
    if event.address:
        yield event.cluster, f"address={event.address}"
    if event.actor:
        yield event.cluster, f"principal={event.actor}"


def _succeeded(event: Event) -> bool:
    """A login that worked, or that must have worked: the authorizer knows who asks."""
    if event.class_uid == API_ACTIVITY:
        return event.actor not in ("", "User:ANONYMOUS")
    return event.class_uid == AUTHENTICATION and event.outcome == "success"


def reference(events: Sequence[Event], settings: WindowSettings) -> View:
    """``threshold`` failures within a window; one level higher with a success soon after."""
    failures: dict[Key, list[Event]] = defaultdict(list)
    successes: dict[Key, list[int]] = defaultdict(list)
    for event in events:
        if event.time_precision == "unknown":
            continue
        for key in _keys(event):
            if event.class_uid == AUTHENTICATION and event.outcome == "failure":
                failures[key].append(event)
            elif _succeeded(event) and not event.suspect:
                successes[key].append(event.time)

    def reasons(episode: Sequence[Event]) -> set[str]:
        full = any(
            sum(e.weight for e in held) >= settings.threshold
            for held in windows(episode, settings.window_s)
        )
        return {"spike"} if full else set()

    def severity(key: Key, _: set[str], last: int) -> int:
        after = any(last < success <= last + 30 * 60 * 1000 for success in successes[key])
        return Severity.HIGH if after else Severity.MEDIUM

    longest = max(settings.gap_s, settings.window_s)
    return settled("auth_failure_spike", failures, longest, reasons, severity)
