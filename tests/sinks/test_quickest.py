"""What counts as slow is told by how quick it can be."""

from __future__ import annotations

from pipeline.sinks.opensearch import _Quickest


def slow(quickest: _Quickest, *took_s: float) -> list[bool]:
    return [quickest.is_far_from(one) for one in took_s]


def test_what_takes_long_by_itself_is_not_slow() -> None:
    near = _Quickest()
    assert slow(near, 0.02, 0.2, 0.25, 0.26) == [False, False, False, True]
    far = _Quickest()
    assert slow(far, 0.5, 0.3, 1.0, 1.2, 1.3) == [False, False, False, False, True]


def test_what_takes_longer_for_good_is_what_it_takes() -> None:
    found = _Quickest()
    told = slow(found, 0.02, *[0.5] * 3_000)
    assert told[1]
    assert not told[-1]
    # As soon as it is quick again, that is known again.
    assert slow(found, 0.02, 0.5) == [False, True]
