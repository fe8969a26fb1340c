"""How long what blocks goes on: to its end, or until whoever asked wants it no more."""

from __future__ import annotations

from collections.abc import Callable

GivenUp = Callable[[], bool]
"""Whether to leave off; asked again and again from the thread that does the work."""


class LeftOff(Exception):
    """It was not done to its end, as whoever asked wanted it."""


def never() -> bool:
    """Done to its end, however long that takes."""
    return False
