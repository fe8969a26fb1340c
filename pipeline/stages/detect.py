"""Detect: events to findings, by way of each key's state.

State is looked up by (detector, cluster, key); whoever runs this keeps it between batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from detectors.contract import Detector, EpisodeSettings
from detectors.episodes import KeyState, Seen, fold
from schemas.types import Event, Finding

Key = tuple[str, str, str]
"""Detector, cluster, key."""

Active = Sequence[tuple[Detector, EpisodeSettings]]


@dataclass(slots=True)
class Detected:
    """Findings of a batch, the keys whose state changed, and events that came too late."""

    findings: list[Finding] = field(default_factory=list)
    touched: set[Key] = field(default_factory=set)
    late: set[bytes] = field(default_factory=set)


def sightings(active: Active, events: Iterable[Event]) -> dict[Key, Seen]:
    """Which events concern which key of which detector."""
    out: dict[Key, Seen] = {}
    for detector, settings in active:
        name, sight = detector.name, detector.sight
        for event in events:
            for sighting in sight(event, settings):
                # Without a time no window can count it; what is grave by itself still is.
                if event.time_precision == "unknown" and not sighting.grave:
                    continue
                key = name, event.cluster, sighting.key
                seen = out.get(key)
                if seen is None:
                    seen = out[key] = Seen()
                if not sighting.success:
                    seen.evidence.append((event, sighting))
                elif not event.suspect:
                    seen.successes.append(event)
    return out


def detect(
    active: Active, events: Sequence[Event], state_of: Callable[[Key], KeyState]
) -> Detected:
    """Fold a batch of events into the detectors' state.

    Args:
        active: detectors with their numbers.
        state_of: the state of a key, {} where there is none; it is changed in place.
    """
    out = Detected()
    by_name = {detector.name: (detector, settings) for detector, settings in active}
    for key, seen in sightings(active, events).items():
        name, cluster, value = key
        folded = fold(*by_name[name], cluster, value, state_of(key), seen)
        out.findings += folded.findings
        out.late.update(folded.late)
        out.touched.add(key)
    return out
