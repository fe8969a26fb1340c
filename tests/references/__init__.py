"""What each detector finds, in the plainest words: one module a detector, named after it.

A reference holds

``reference(events, settings)``
    the settled view of a set of events, by definition: no order of arrival, no state, no horizon;
``EVENTS``
    fields of the events that random sets are made of, those it must ignore among them;
``NUMBERS``
    its own numbers (beside gap, window, threshold and horizon) so small that such sets cross them.

What references share is here. Nothing of it comes from the code under test but a finding's id,
whose recipe has golden values (``tests/detectors/test_conclusions.py``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from detectors.conclusions import finding_id
from schemas.types import Event
from schemas.vocabulary import Severity

Settled = tuple[tuple[bytes, ...], int, int, int, str, int]
"""Evidence ids, severity, first and last time (epoch milliseconds), status, count."""

View = dict[bytes, Settled]

Key = tuple[str, str]
"""Cluster, and the key as ``name=value``."""

Fields = Mapping[str, Any]


def episodes(events: Iterable[Event], gap_s: int) -> list[list[Event]]:
    """Maximal runs with gaps of at most ``gap_s`` seconds."""
    runs: list[list[Event]] = []
    for event in sorted(events, key=lambda e: (e.time, e.id)):
        if runs and event.time - runs[-1][-1].time <= gap_s * 1000:
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs


def windows(episode: Sequence[Event], window_s: int) -> list[list[Event]]:
    """What each window of ``window_s`` seconds holds, both ends included."""
    return [
        [e for e in episode if start.time <= e.time <= start.time + window_s * 1000]
        for start in episode
    ]


def settled(
    name: str,
    failures: Mapping[Key, Sequence[Event]],
    gap_s: int,
    reasons: Callable[[Sequence[Event]], set[str]],
    severity: Callable[[Key, set[str], int], int],
) -> View:
    """One finding for each episode that gives a reason.

    Args:
        failures: what may be evidence, by key.
        reasons: why an episode raises a finding.
        severity: of a key's episode, by reasons and the last time. What the suspect events in it
            say counts for nothing, unless nothing else raises it: then it is at most low.
    """
    view: View = {}
    for key, events in failures.items():
        for episode in episodes(events, gap_s):
            trusted = [e for e in episode if not e.suspect]
            alone = set().union(*(reasons(part) for part in episodes(trusted, gap_s)))
            if alone:
                grade = severity(key, alone, trusted[-1].time)
            elif reasons(episode):
                grade = min(Severity.LOW, severity(key, reasons(episode), episode[-1].time))
            else:
                continue
            first, last = episode[0], episode[-1]
            ids = tuple(e.id for e in episode[:1000])
            count = sum(e.weight for e in episode)
            found = finding_id(name, *key, first.time, first.id.hex())
            view[found] = ids, grade, first.time, last.time, "open", count
    return view
