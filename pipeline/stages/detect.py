"""Detect: events to findings, by way of each key's state.

State is looked up by (detector, cluster, key); whoever runs this keeps it between batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from detectors.contract import Detector, EpisodeSettings, Sighting
from detectors.episodes import Counted, KeyState, Seen, fold
from schemas.types import Event, Finding, Observation

Key = tuple[str, str, str]
"""Detector, cluster, key."""


def key_name(key: Key) -> bytes:
    """A key as bytes: what its rows travel by, and what its state is kept under."""
    return "\0".join(key).encode()


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
    for key, event, sighting in _sighted(active, events):
        _gather(out, key, event, sighting)
    return out


def _sighted(active: Active, events: Iterable[Event]) -> Iterator[tuple[Key, Event, Sighting]]:
    for detector, settings in active:
        name, sight = detector.name, detector.sight
        for event in events:
            for sighting in sight(event, settings):
                # Without a time no window can count it; what is grave by itself still is.
                if event.time_precision != "unknown" or sighting.grave:
                    yield (name, event.cluster, sighting.key), event, sighting


def _gather(out: dict[Key, Seen], key: Key, event: Counted, sighting: Sighting) -> None:
    seen = out.get(key)
    if seen is None:
        seen = out[key] = Seen()
    if not sighting.success:
        seen.evidence.append((event, sighting))
    elif not event.suspect:
        seen.successes.append(event)


class Sighter:
    """Which events concern which key of which detector, as rows that can travel by key.

    Of successes only those that a key's state would keep of them (:mod:`detectors.successes`), and
    those of a whole batch at its end: nearly every line of an authorizer is one.
    """

    def __init__(self, active: Active) -> None:
        self._active = active
        self._spans = {detector.name: detector.follow_s * 1000 for detector, _ in active}
        self._first: dict[tuple[Key, int], Event] = {}
        self._last: dict[tuple[Key, int], Event] = {}

    def see(self, events: Sequence[Event]) -> Iterator[Observation]:
        """Rows of evidence; those of successes are kept back."""
        spans, first, last = self._spans, self._first, self._last
        for key, event, sighting in _sighted(self._active, events):
            if not sighting.success:
                yield _observation(key, event, sighting)
            elif not event.suspect and (span := spans[key[0]]):
                place = key, event.time // span
                known = last.get(place)
                if known is None:
                    first[place] = last[place] = event
                elif event.time > known.time:
                    last[place] = event
                elif event.time < first[place].time:
                    first[place] = event

    def successes(self) -> Iterator[Observation]:
        """Rows of successes since the last time: the first and the last of each span."""
        for place, first in self._first.items():
            key, last = place[0], self._last[place]
            yield _observation(key, first, Sighting(key[2], success=True))
            if last is not first:
                yield _observation(key, last, Sighting(key[2], success=True))
        self._first.clear()
        self._last.clear()


def sighted(active: Active, events: Sequence[Event]) -> Iterator[Observation]:
    """All rows of some events."""
    sighter = Sighter(active)
    yield from sighter.see(events)
    yield from sighter.successes()


def _observation(key: Key, event: Event, sighting: Sighting) -> Observation:
    _, success, tag, grave = sighting
    return Observation(*key, event.id, event.time, event.weight, event.suspect, success, grave, tag)


def observed(observations: Iterable[Observation]) -> dict[Key, Seen]:
    """What :func:`sightings` would give for the events that were sighted."""
    out: dict[Key, Seen] = {}
    for one in observations:
        key = one.detector, one.cluster, one.key
        _gather(out, key, one, Sighting(one.key, one.success, one.tag, one.grave))
    return out


def detect(
    active: Active, events: Sequence[Event], state_of: Callable[[Key], KeyState]
) -> Detected:
    """Fold a batch of events into the detectors' state.

    Args:
        active: detectors with their numbers.
        state_of: the state of a key, {} where there is none; it is changed in place.
    """
    return count(active, sightings(active, events), state_of)


def count(
    active: Active, sighted: Mapping[Key, Seen], state_of: Callable[[Key], KeyState]
) -> Detected:
    """:func:`detect`, of what was sighted already; keys of detectors not active are left out."""
    out = Detected()
    by_name = {detector.name: (detector, settings) for detector, settings in active}
    for key, seen in sighted.items():
        name, cluster, value = key
        if name not in by_name:
            continue
        folded = fold(*by_name[name], cluster, value, state_of(key), seen)
        out.findings += folded.findings
        out.late.update(folded.late)
        out.touched.add(key)
    return out
