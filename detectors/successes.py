"""Successes of a key: enough of them to know exactly whether one followed a failure.

Kept are the earliest and the latest of each bucket. A bucket is as long as the span in which a
success counts: such a span touches two, and holds the end of one and the beginning of the other.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from detectors.eras import Zone

Successes = dict[str, list[int]]
"""Number of the bucket (a string, as in JSON): its earliest and latest time, epoch milliseconds."""


def note(successes: Successes, span_ms: int, times: Sequence[int]) -> bool:
    """Take in times, the earliest first; whether that changed anything. ``span_ms`` 0: nothing."""
    changed, place = False, 0
    while span_ms and place < len(times):
        bucket = times[place] // span_ms
        end = bisect_left(times, (bucket + 1) * span_ms, place)
        first, last = times[place], times[end - 1]
        known = successes.get(str(bucket))
        ends = [min(known[0], first), max(known[1], last)] if known else [first, last]
        changed |= known != ends
        successes[str(bucket)] = ends
        place = end
    return changed


def merge(successes: Successes, others: Successes) -> None:
    """Take in what was kept elsewhere, in buckets of the same length."""
    for bucket, ends in others.items():
        both = [*ends, *successes.get(bucket, ())]
        successes[bucket] = [min(both), max(both)]


def followed(successes: Successes, span_ms: int, time: int) -> bool:
    """Whether a success came after ``time``, and within ``span_ms``."""
    if not span_ms:
        return False
    bucket = time // span_ms
    ends = (*successes.get(str(bucket), ()), *successes.get(str(bucket + 1), ()))
    return any(time < end <= time + span_ms for end in ends)


def forget(successes: Successes, span_ms: int, zones: Iterable[Zone]) -> None:
    """Drop buckets that touch none of the zones."""
    for bucket in list(successes):
        begin = int(bucket) * span_ms
        if not any(since <= begin + span_ms and begin <= until for since, until in zones):
            del successes[bucket]
