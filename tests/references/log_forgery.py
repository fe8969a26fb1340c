"""Records that show that a client wrote into the log, by principal, else by address or host."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from detectors.contract import EpisodeSettings
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, AUTHENTICATION, Severity
from tests.references import Fields, Key, View, settled

_DENIED: dict[str, Any] = {"class_uid": API_ACTIVITY, "outcome": "failure"}
_BROKEN = {**_DENIED, "forgery": "broken_head"}

EVENTS: Sequence[Fields] = (
    *[_DENIED] * 4,
    *[_BROKEN] * 2,
    {**_DENIED, "forgery": "line_break"},
    {**_DENIED, "forgery": "imitation", "suspect": True},
    {**_DENIED, "suspect": True},
    {**_BROKEN, "suspect": True},
    {**_BROKEN, "time_precision": "unknown"},
    {**_BROKEN, "actor": "", "address": "", "host": "broker-1"},
    {"class_uid": AUTHENTICATION, "outcome": "failure", "forgery": "broken_head", "actor": ""},
)
NUMBERS: Fields = {}


def reference(events: Sequence[Event], settings: EpisodeSettings) -> View:
    """High, each; low where all of them are suspect themselves."""
    failures: dict[Key, list[Event]] = defaultdict(list)
    for event in events:
        if event.forgery:
            key = f"host={event.host}"
            if event.address:
                key = f"address={event.address}"
            if event.actor:
                key = f"principal={event.actor}"
            failures[event.cluster, key].append(event)
    return settled(
        "log_forgery",
        failures,
        settings.gap_s,
        reasons=lambda episode: {"forgery"} if episode else set(),
        severity=lambda _, __, ___: Severity.HIGH,
    )
