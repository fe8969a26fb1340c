"""Detect: events to findings, by way of each key's state.

State is looked up by (detector, cluster, key); whoever runs this keeps it between batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from detectors.contract import Detector, EpisodeSettings, Sighting
from detectors.episodes import Counted, KeyState, Seen, fold
from schemas.types import Event, Finding, Observation, Repeated

Key = tuple[str, str, str]
"""Detector, cluster, key."""


def key_name(key: Key) -> bytes:
    """A key as bytes: what its rows travel by, and what its state is kept under."""
    return "\0".join(key).encode()


def observation_key(one: Observation) -> bytes:
    """What an observation travels by."""
    return key_name((one.detector, one.cluster, one.key))


Active = Sequence[tuple[Detector, EpisodeSettings]]


_Found = tuple[Sequence[tuple[Key, Sighting]], Sequence[tuple[Key, int]]]
"""Evidence, and successes with the span in which they count, in milliseconds."""


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
                if counted(event, sighting):
                    yield (name, event.cluster, sighting.key), event, sighting


def counted(event: Event, sighting: Sighting) -> bool:
    """Without a time no window can count it; what is grave by itself still is."""
    return event.time_precision != "unknown" or sighting.grave


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
        self._ends: dict[tuple[Key, int], list[Event]] = {}

    def see(self, events: Sequence[Event]) -> Iterator[Observation]:
        """Rows of evidence; those of successes are kept back."""
        for event in events:
            if event.__class__ is Repeated:
                whose, found = event.shared.sighted
                if whose is not self._active:
                    found = self._found(event)
                    event.shared.sighted = self._active, found
            else:
                found = self._found(event)
            evidence, successes = found
            for key, sighting in evidence:
                yield _observation(key, event, sighting)
            for key, span_ms in successes:
                self._keep(key, span_ms, event)

    def _found(self, event: Event) -> _Found:
        """What detectors see in an event, whenever it was."""
        evidence: list[tuple[Key, Sighting]] = []
        successes: list[tuple[Key, int]] = []
        for detector, settings in self._active:
            span_ms = detector.follow_s * 1000
            for sighting in detector.sight(event, settings):
                key = detector.name, event.cluster, sighting.key
                if not counted(event, sighting):
                    continue
                if not sighting.success:
                    evidence.append((key, sighting))
                elif span_ms and not event.suspect:
                    successes.append((key, span_ms))
        return evidence, successes

    def _keep(self, key: Key, span_ms: int, event: Event) -> None:
        place = key, event.time // span_ms
        held = self._ends.get(place)
        if held is None:
            self._ends[place] = [event, event]
        elif event.time > held[1].time:
            held[1] = event
        elif event.time < held[0].time:
            held[0] = event

    def successes(self) -> Iterator[Observation]:
        """Rows of successes since the last time: the first and the last of each span."""
        for (key, _), (first, last) in self._ends.items():
            success = Sighting(key[2], success=True)
            yield _observation(key, first, success)
            if last is not first:
                yield _observation(key, last, success)
        self._ends.clear()


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
