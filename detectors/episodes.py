"""Episodes: from one key's events, in any order and any number of times, to its findings.

A key's *episode* is a maximal run of its evidence with gaps of at most ``gap_s``. What is found is
a function of the set of events, never of their order: the state keeps the evidence within the
horizon sorted by (time, id), drops what it has seen by event id, and judges anew what changed. Late
evidence that changes an episode's beginning, or joins two, gives a finding of another id, which
names those it supersedes.

State of one key (JSON)::

    {"evidence": [[time, id, weight, suspect, tag, grave]…],   sorted
     "eras": [newest…],                                        sorted
     "outlines": [{"first", "first_id", "last", "count", "ids", "reasons", "trusted"}…],
     "successes": {bucket: [earliest, latest]},
     "boundary": time | null, "lower_bound": bool,
     "emitted": {finding id: {"version", "digest", "first", "last", "severity", "supersedes"}}}

A key forgets what is older than its newest event minus the horizon. One wrong clock must not blind
it: an event far ahead of all others begins an *era* with a newest of its own, and those of the
right time go on in theirs. Suspect events begin none. What is older than the horizon of every era
is *late*: not counted, and said so. An *outline* is what is left of an episode's forgotten part.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from detectors.contract import Detector, Evidence, Reasons, Settings, Sighting
from detectors.conclusions import conclude, finding_id
from schemas.types import Event, Finding

STATE_CAP = 10_000
"""Evidence kept per key; above it a count is a lower bound, and the finding says so."""
MOST_ERAS = 4
MOST_SUSPECT = 1_000
MOST_EVIDENCE = 1_000
BUCKET_MS = 600_000

KeyState = dict[str, Any]


class Run(NamedTuple):
    """One episode. ``trusted``: the reasons that stand without suspect events."""

    first_time: int
    first_id: str
    last_time: int
    count: int
    ids: list[str]
    reasons: Reasons
    trusted: Reasons


class Folded(NamedTuple):
    """What a fold gives: versions of findings, and ids of events that came too late."""

    findings: list[Finding]
    late: list[bytes]


class _Rules(NamedTuple):
    """A detector with its numbers, in milliseconds."""

    detector: Detector
    settings: Settings
    gap_ms: int
    horizon_ms: int
    follow_ms: int
    margin_ms: int


def fold(
    detector: Detector,
    settings: Settings,
    cluster: str,
    key: str,
    state: KeyState,
    seen: Iterable[tuple[Event, Sighting]],
) -> Folded:
    """Take one key's new sightings into its state, and say what follows.

    Args:
        state: the key's state, {} at first. It is changed.
        seen: events with the key's sighting of each, in any order.
    """
    _thaw(state)
    longest = max(settings.gap_s, settings.window_s, detector.follow_s)
    rules = _Rules(
        detector,
        settings,
        settings.gap_s * 1000,
        settings.horizon_s * 1000,
        detector.follow_s * 1000,
        longest * 1000,
    )
    late: list[bytes] = []
    ids = {e.id for e in state["evidence"]}
    changed = False
    for event, sighting in seen:
        if not _in_time(state["eras"], event, rules.horizon_ms):
            late.append(event.id)
        elif sighting.success:
            changed |= not event.suspect and _success(state["successes"], event.time)
        else:
            changed |= _take(state, event, sighting, ids)
    if not changed:
        return Folded([], late)
    findings: list[Finding] = []
    if state["evidence"] or state["outlines"]:
        runs = _runs(state, rules)
        followed = {r.first_id: _followed(state, r.last_time, rules.follow_ms) for r in runs}
        findings = conclude(detector, settings, cluster, key, state, runs, followed)
    if _forget(state, rules):
        ours = {
            finding_id(detector.name, cluster, key, r.first_time, r.first_id).hex()
            for r in _runs(state, rules)
        }
        state["emitted"] = {n: e for n, e in state["emitted"].items() if n in ours}
    return Folded(findings, late)


def _thaw(state: KeyState) -> None:
    if not state:
        state.update(evidence=[], eras=[], outlines=[], successes={}, boundary=None)
        state.update(lower_bound=False, emitted={})
    evidence = state["evidence"]
    if evidence and not isinstance(evidence[0], Evidence):
        evidence[:] = [Evidence(*e) for e in evidence]


def _in_time(eras: list[int], event: Event, horizon_ms: int) -> bool:
    """Whether the event is not late. A trusted one moves its era on, or begins one."""
    if event.suspect:
        return not eras or event.time >= eras[0] - horizon_ms
    for place in range(len(eras) - 1, -1, -1):
        if event.time >= eras[place] - horizon_ms:
            if event.time > eras[place] + horizon_ms:
                break
            eras[place] = max(eras[place], event.time)
            return True
    else:
        if eras:
            return False
    insort(eras, event.time)
    del eras[:-MOST_ERAS]
    return event.time >= eras[0] - horizon_ms


def _take(state: KeyState, event: Event, sighting: Sighting, ids: set[str]) -> bool:
    """Keep the sighting as evidence, once; whether it is new."""
    name = event.id.hex()
    if name in ids:
        return False
    evidence: list[Evidence] = state["evidence"]
    full = event.suspect and sum(e.suspect for e in evidence) >= MOST_SUSPECT
    if full or (state["boundary"] is not None and event.time <= state["boundary"]):
        state["lower_bound"] = True
        return False
    ids.add(name)
    insort(
        evidence,
        Evidence(event.time, name, event.weight, event.suspect, sighting.tag, sighting.grave),
    )
    return True


def _success(successes: dict[str, list[int]], time: int) -> bool:
    """Earliest and latest success of each bucket: enough to know exactly what follows what."""
    bucket = str(time // BUCKET_MS)
    ends = successes.setdefault(bucket, [time, time])
    if ends[0] <= time <= ends[1] and ends != [time, time]:
        return False
    successes[bucket] = [min(time, ends[0]), max(time, ends[1])]
    return True


def _followed(state: KeyState, last: int, follow_ms: int) -> bool:
    """Whether a success came after ``last`` and within ``follow_ms``."""
    if not follow_ms:
        return False
    buckets = range(last // BUCKET_MS, (last + follow_ms) // BUCKET_MS + 1)
    ends = (at for b in buckets for at in state["successes"].get(str(b), ()))
    return any(last < at <= last + follow_ms for at in ends)


def _runs(state: KeyState, rules: _Rules) -> list[Run]:
    """The key's episodes, as far as they are remembered."""
    evidence: list[Evidence] = state["evidence"]
    starts = _starts(evidence, rules.gap_ms)
    outlines = list(state["outlines"])
    runs = []
    for start, stop in zip(starts, [*starts[1:], len(evidence)], strict=False):
        before = [o for o in outlines if 0 <= evidence[start].time - o["last"] <= rules.gap_ms]
        for outline in before:
            outlines.remove(outline)
        runs.append(_run(evidence[start:stop], before, rules))
    runs += [_run((), [outline], rules) for outline in outlines]
    return runs


def _starts(evidence: Sequence[Evidence], gap_ms: int) -> list[int]:
    return [i for i, e in enumerate(evidence) if not i or e.time - evidence[i - 1].time > gap_ms]


def _run(evidence: Sequence[Evidence], outlines: list[dict[str, Any]], rules: _Rules) -> Run:
    reasons = _reasons(evidence, rules)
    trusted = reasons
    if any(e.suspect for e in evidence):
        trusted = _reasons([e for e in evidence if not e.suspect], rules)
    count = sum(e.weight for e in evidence)
    ids = [e.id for e in evidence[:MOST_EVIDENCE]]
    if not outlines:
        first = evidence[0]
        return Run(first.time, first.id, evidence[-1].time, count, ids, reasons, trusted)
    first_outline = min(outlines, key=lambda o: o["first"])
    earlier = [i for o in outlines for i in o["ids"]]
    return Run(
        first_outline["first"],
        first_outline["first_id"],
        evidence[-1].time if evidence else max(o["last"] for o in outlines),
        count + sum(o["count"] for o in outlines),
        (earlier + ids)[:MOST_EVIDENCE],
        reasons.union(*(o["reasons"] for o in outlines)),
        trusted.union(*(o["trusted"] for o in outlines)),
    )


def _reasons(evidence: Sequence[Evidence], rules: _Rules) -> Reasons:
    return rules.detector.reasons(evidence, rules.settings) if evidence else frozenset()


def _forget(state: KeyState, rules: _Rules) -> bool:
    """Drop what no era remembers and what is over the cap; whether anything was dropped."""
    evidence: list[Evidence] = state["evidence"]
    eras: list[int] = state["eras"]
    back = rules.horizon_ms + rules.margin_ms

    def remembered(time: int) -> bool:
        if not eras or time > eras[-1]:
            return True
        return any(newest - back <= time <= newest + rules.horizon_ms for newest in eras)

    successes = state["successes"]
    for bucket in [b for b in successes if not remembered((int(b) + 1) * BUCKET_MS)]:
        del successes[bucket]
    keep = [remembered(e.time) for e in evidence] if eras else [True] * len(evidence)
    over = sum(keep) - STATE_CAP
    for place, kept in enumerate(keep):
        if over <= 0:
            break
        if kept:
            keep[place] = False
            over -= 1
            state["boundary"] = evidence[place].time
    stale = [o for o in state["outlines"] if not remembered(o["last"])]
    if all(keep) and not stale:
        return False
    outlines = _outlines(state, keep, rules, remembered)
    state["evidence"] = [e for e, kept in zip(evidence, keep, strict=True) if kept]
    state["outlines"] = outlines
    return True


def _outlines(
    state: KeyState, keep: list[bool], rules: _Rules, remembered: Any
) -> list[dict[str, Any]]:
    """Outlines of the parts about to be forgotten of episodes that go on in what is kept."""
    evidence: list[Evidence] = state["evidence"]
    held: list[dict[str, Any]] = list(state["outlines"])
    out: list[dict[str, Any]] = []
    starts = _starts(evidence, rules.gap_ms)
    for start, stop in zip(starts, [*starts[1:], len(evidence)], strict=False):
        before = [o for o in held if 0 <= evidence[start].time - o["last"] <= rules.gap_ms]
        held = [o for o in held if o not in before]
        gone = [e for e, k in zip(evidence[start:stop], keep[start:stop], strict=True) if not k]
        if not gone:
            out += before
        elif len(gone) < stop - start:
            whole = _run(evidence[start:stop], before, rules)
            part = _run(gone, before, rules)
            out.append(
                {
                    "first": part.first_time,
                    "first_id": part.first_id,
                    "last": part.last_time,
                    "count": part.count,
                    "ids": part.ids,
                    "reasons": sorted(whole.reasons),
                    "trusted": sorted(whole.trusted),
                }
            )
    return out + [o for o in held if remembered(o["last"])]
