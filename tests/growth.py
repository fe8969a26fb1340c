"""How the work of a function grows with what it is given."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable

_ROUNDS = 12
_NOISE = 3


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def grows_no_faster(
    prepared: Callable[[int], Callable[[], object]], small: int, large: int, floor_s: float = 1e-3
) -> None:
    """Asserts that the CPU time of `prepared(size)()` grows no faster than `size`, in bytes or items.

    Both sizes are timed by turns until the quickest of each say so: a machine that falters costs
    rounds and fails nothing, while what grows with the square never comes under it. What is
    quicker than `floor_s`, seconds, counts as that.
    """
    works = prepared(small), prepared(large)
    allowed = _NOISE * large / small
    assert allowed * 2 < (large / small) ** 2, "sizes too close to tell"
    quickest = [_cpu_s(works[0]), math.inf]
    gc.disable()
    try:
        for _ in range(_ROUNDS):
            quickest = [
                min(before, _cpu_s(work)) for before, work in zip(quickest, works, strict=True)
            ]
            ratio = quickest[1] / max(quickest[0], floor_s)
            if ratio < allowed:
                return
    finally:
        gc.enable()
    raise AssertionError(f"{large / small:g} times as much takes {ratio:.1f} times as long")
