"""Episodes: from one key's events, in any order and any number of times, to its findings.

A key's *episode* is a maximal run of its evidence with gaps of at most ``gap_s``, or the detector's
window where that is longer: what one window holds is one episode. What is found is a function of
the set of events, never of their order: the state keeps the evidence within the horizon sorted by
(time, id), drops what it has seen by event id, and judges anew what changed. Late evidence that
changes an episode's beginning, or joins two, gives a finding of another id, which names those it
supersedes.

State of one key (JSON)::

    {"evidence": [[time, id, weight, suspect, tag, grave]…],       sorted
     "outlines": [Run…],                                           of forgotten parts
     "eras": [[[begin, newest, floor]…], [[begin, newest, floor]…]],
     "successes": {bucket: [earliest, latest]},                    see detectors.successes
     "turned_away": time,                                          no count of a later run lacks any
     "emitted": {finding id: what was said}}

``eras`` (:mod:`detectors.eras`) has those of trusted events, then those of suspect ones, so that
what a client forges never makes real events late. Where only a part of an episode is forgotten, an
*outline* of it stays.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import compress, pairwise
from typing import Any, NamedTuple

from detectors.conclusions import Watch, conclude
from detectors.contract import STATE_CAP, Detector, EpisodeSettings, Evidence, Pieces, Sighting
from detectors.eras import NEVER, Era, Span, Zone, advance, clear, late, merged, shed, zones
from detectors.runs import Reasons, Run, join, split
from detectors.successes import followed, forget, note
from detectors.successes import merge as merge_successes
from schemas.types import Event, Finding, Observation

MOST_SUSPECT = 1_000
"""Kept per key beside :data:`STATE_CAP` trusted ones: forged lines push out no real ones."""
_LONGEST_TAG = 64

KeyState = dict[str, Any]


Counted = Event | Observation
"""What is looked at of an event: id, time, weight, and whether it is suspect."""


@dataclass(slots=True)
class Seen:
    """What a batch holds for one key: evidence, and trusted events that are successes."""

    evidence: list[tuple[Counted, Sighting]] = field(default_factory=list)
    successes: list[Counted] = field(default_factory=list)


class Folded(NamedTuple):
    """What a fold gives: versions of findings, and ids of events that came too late."""

    findings: list[Finding]
    late: list[bytes]


def fold(
    detector: Detector,
    settings: EpisodeSettings,
    cluster: str,
    key: str,
    state: KeyState,
    seen: Seen,
) -> Folded:
    """Take what a batch holds for one key into its state, and say what follows.

    Args:
        state: the key's state, {} at first. It is changed.
    """
    _thaw(state)
    span = _span(detector, settings)
    gap_ms, follow_ms = settings.span_s * 1000, detector.follow_s * 1000
    trusted, suspect = state["eras"]
    successes = state["successes"]
    too_late: list[bytes] = []
    # The whole batch is measured by what was forgotten before it: its own order says nothing.
    fresh, refused = _fresh(state, seen.evidence, span, too_late)
    times = _in_time(trusted, seen.successes, span, too_late)
    advance(trusted, sorted([*times, *(e.time for e in fresh if not e.suspect)]), span)
    advance(suspect, [e.time for e in fresh if e.suspect], span)
    succeeded = note(successes, follow_ms, times)
    if refused:
        state["turned_away"] = max(state["turned_away"], max(refused) + gap_ms)
    if not (fresh or succeeded or refused):
        return Folded([], too_late)
    remembered = zones([*trusted, *suspect], span)
    findings: list[Finding] = []
    if fresh or state["evidence"]:
        watch = Watch(detector, settings, cluster, key)
        state["evidence"] += fresh
        state["evidence"].sort()
        runs = _runs(watch, state, gap_ms)
        findings = conclude(
            watch,
            state["emitted"],
            runs,
            lambda last: followed(successes, follow_ms, last),
            state["turned_away"],
        )
        _forget(watch, state, runs, remembered)
    forget(successes, follow_ms, remembered)
    return Folded(findings, too_late)


def merge(detector: Detector, settings: EpisodeSettings, state: KeyState, other: KeyState) -> None:
    """Take into a key's state what was kept elsewhere of the same key, upon other events.

    What follows from both is said with the next evidence (:func:`hold_back`).

    Args:
        state: is changed; {} where nothing was kept.
    """
    _thaw(state)
    _thaw(other)
    span = _span(detector, settings)
    pairs = zip(state["eras"], other["eras"], strict=True)
    state["eras"] = [merged(mine, theirs, span) for mine, theirs in pairs]
    merge_successes(state["successes"], other["successes"])
    state["turned_away"] = max(state["turned_away"], other["turned_away"])
    state["outlines"] += other["outlines"]
    state["emitted"] = other["emitted"] | state["emitted"]
    state["evidence"] = sorted({*state["evidence"], *other["evidence"]})


def hold_back(state: KeyState) -> Evidence | None:
    """Take the newest evidence out of a state; None where there is none.

    When it is folded again, all is judged anew.
    """
    return state["evidence"].pop() if state["evidence"] else None


def _span(detector: Detector, settings: EpisodeSettings) -> Span:
    margin_s = max(settings.span_s, detector.follow_s)
    return Span(settings.horizon_s * 1000, margin_s * 1000)


def _thaw(state: KeyState) -> None:
    """The state as code has it, from {} or from JSON."""
    if not state:
        state.update(evidence=[], outlines=[], eras=[[], []], successes={}, emitted={})
        state["turned_away"] = NEVER
    evidence, outlines = state["evidence"], state["outlines"]
    if evidence and not isinstance(evidence[0], Evidence):
        evidence[:] = [Evidence(*e) for e in evidence]
    outlines[:] = [o if isinstance(o, Run) else Run.thawed(o) for o in outlines]


def _fresh(
    state: KeyState,
    seen: Sequence[tuple[Counted, Sighting]],
    span: Span,
    too_late: list[bytes],
) -> tuple[list[Evidence], list[int]]:
    """New evidence, sorted, and times of what has no room. What comes too late is listed."""
    earliest = min((event.time for event, _ in seen), default=0)
    known = {e.id for e in state["evidence"][bisect_left(state["evidence"], (earliest,)) :]}
    since = [clear(eras, span) for eras in state["eras"]]
    fresh, refused = [], []
    for event, (_, _, tag, grave) in seen:
        name, time, suspect = event.id.hex(), event.time, event.suspect
        if name in known:
            continue
        if time < since[suspect]:
            eras = state["eras"][suspect]
            if late(eras, time, span):
                too_late.append(event.id)
                continue
            if shed(eras, time):
                refused.append(time)
                continue
        known.add(name)
        if len(tag) > _LONGEST_TAG:
            tag = blake2b(tag.encode(), digest_size=_LONGEST_TAG // 2).hexdigest()
        fresh.append(Evidence(time, name, event.weight, suspect, tag, grave))
    fresh.sort()
    return fresh, refused


def _in_time(
    eras: Sequence[Era], seen: Iterable[Counted], span: Span, too_late: list[bytes]
) -> list[int]:
    """Times of successes, sorted. What comes too late is listed."""
    since = clear(eras, span)
    times = []
    for event in seen:
        if event.time < since and late(eras, event.time, span):
            too_late.append(event.id)
        else:
            times.append(event.time)
    times.sort()
    return times


def _runs(watch: Watch, state: KeyState, gap_ms: int) -> list[Run]:
    """The key's episodes, as far as they are remembered."""

    def why(evidence: Pieces) -> Reasons:
        return Reasons(r.name for r in watch.detector.reasons if r.holds(evidence, watch.settings))

    parts = split(state["evidence"], gap_ms)
    return join([*(Run.of(p, gap_ms, why) for p in parts), *state["outlines"]], gap_ms)


def _forget(watch: Watch, state: KeyState, runs: Iterable[Run], remembered: Sequence[Zone]) -> None:
    """Drop evidence that no era remembers and what is over the cap."""
    evidence: list[Evidence] = state["evidence"]
    keep = _kept(evidence, state["eras"], remembered)
    if all(keep):
        return
    outlines: list[Run] = []
    alive = set()
    for run in runs:
        inside = slice(bisect_left(evidence, run.first), bisect_left(evidence, (run.last + 1,)))
        marks = keep[inside]
        if not any(marks):
            if any(begin <= run.last <= end for begin, end in remembered):
                # What joins it from now on is a run of its own, and cannot be whole.
                end_ms = run.last + watch.settings.span_s * 1000
                state["turned_away"] = max(state["turned_away"], end_ms)
            continue
        alive.add(watch.name(run))
        mine = [o for o in state["outlines"] if run.first <= o.first and o.last <= run.last]
        if not all(marks):
            gone = [e for e, kept in zip(evidence[inside], marks, strict=True) if not kept]
            mine = [run.outline(gone, mine)]
        outlines += mine
    state["outlines"] = outlines
    state["evidence"] = list(compress(evidence, keep))
    state["emitted"] = {n: e for n, e in state["emitted"].items() if n in alive}


def _kept(evidence: Pieces, eras: Sequence[list[Era]], remembered: Sequence[Zone]) -> bytearray:
    """For each piece of evidence whether it stays. What is shed is noted in its era."""
    keep = bytearray(len(evidence))
    for begin, end in remembered:
        first, last = bisect_left(evidence, (begin,)), bisect_left(evidence, (end + 1,))
        keep[first:last] = b"\1" * (last - first)
    for suspect, cap in ((False, STATE_CAP), (True, MOST_SUSPECT)):
        if len(evidence) <= cap or not eras[suspect]:
            continue
        places = [p for p, e in enumerate(evidence) if keep[p] and e.suspect is suspect]
        while len(places) > cap:
            gone = _oldest(evidence, places, eras[suspect], len(places) - cap)
            for place in gone:
                keep[place] = False
            places = [p for p in places if keep[p]]
    return keep


def _oldest(
    evidence: Pieces, places: Sequence[int], eras: Sequence[Era], most: int
) -> Sequence[int]:
    """Of the fullest era the oldest, noted in it: a broken clock's past goes before the present."""
    cuts = [bisect_left(places, bisect_left(evidence, (era[1] + 1,))) for era in eras]
    parts = [places[i:j] for i, j in pairwise([0, *cuts])]
    fullest = max(range(len(eras)), key=lambda n: len(parts[n]))
    gone = parts[fullest][:most]
    eras[fullest][2] = max(eras[fullest][2], evidence[gone[-1]].time)
    return gone
