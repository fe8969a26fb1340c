"""What retention asks of a store, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pipeline.retention.holds import Hold
from pipeline.retention.planning import Unit, Verdict
from pipeline.retention.records import Who
from schemas.types import Event

Clock = Callable[[], int]
"""Epoch milliseconds."""


class Withheld(Exception):
    """A unit is not removed, or no more of it: holds were added that cover it."""

    def __init__(self, holds: Sequence[Hold]) -> None:
        super().__init__(holds)
        self.holds = tuple(holds)


class Removed(NamedTuple):
    """What was removed in one step: of the unit, events, and of how many that are to go in all."""

    name: str
    events: int
    of: int


class Keeper(Protocol):
    """A store, as retention works on it. Methods raise `StoreError`.

    Attributes:
        keeps: what the first form of retention leaves alone, and why, for people.
    """

    keeps: tuple[str, ...]

    def close(self) -> None:
        """Let go of the store."""

    def own(self) -> list[Mapping[str, Any]]:
        """Events of ours (records and holds), as rows, in order of (time, id)."""

    def units(self, now_ms: int) -> list[Unit]:
        """Every month of every class, and what has no date."""

    def write(self, event: Event) -> None:
        """Keep an event of ours; whoever asks for :meth:`own` from now on gets it."""

    def remove(self, verdict: Verdict, who: Who, clock: Clock) -> Iterator[Removed]:
        """Remove a unit that is due, and record it; from where it was broken off, if it was.

        Raises:
            Withheld: a hold covers it by now. What was removed before is recorded.
        """

    def settle(self, verdicts: Sequence[Verdict], who: Who, clock: Clock) -> list[str]:
        """Put in order what an earlier removal left that was broken off and is not due any more;
        what was done, for people."""
