"""A change: one administrative deed, whatever number of records tell of it. And what brokers write
of their own life, which explains some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Deed(NamedTuple):
    """What was done to what. ``item``: what of the target, or empty: all of it.

    ``before`` and ``after`` are JSON values, None where there is nothing or nobody says.
    """

    kind: str
    action: str
    target: str
    item: str = ""
    before: Any = None
    after: Any = None

    @property
    def subject(self) -> tuple[str, str, str]:
        """What it is about."""
        return self.kind, self.target, self.item


class LegId(NamedTuple):
    """One of the events that tell of a change: its id (hexadecimal), and which leg it is."""

    id: str
    leg: str


@dataclass(slots=True)
class Change:
    """One deed, and the legs that say so. ``time`` is epoch milliseconds.

    Attributes:
        id: hexadecimal; of the strongest leg, so it is the same in whatever order legs arrive.
        actor: full principal, or empty: nobody says.
        deed: with what was there before, where earlier changes or the record itself show it.
        missing: legs that a change of this kind should have and this one has not.
        legs: in order of (time, id).
        timely: False where only a replay tells of it: it was at that time or before.
        began: when a request for it came in, epoch milliseconds; 0: nobody says.
    """

    id: str
    cluster: str
    time: int
    actor: str
    address: str
    deed: Deed
    outcome: str
    confidence: str
    missing: tuple[str, ...]
    legs: tuple[LegId, ...]
    timely: bool = True
    began: int = 0


class Lifecycle(NamedTuple):
    """What a broker wrote of its own life: a start, an end, settings it started with.

    Attributes:
        id: of the event, hexadecimal.
        time: epoch milliseconds.
        kind: what happened, in the source's words.
        settings: those that the record states, by name; of a log level ``logger`` and ``level``,
            without the latter where the logger takes its parent's.
        cluster: label of the cluster it is of.
    """

    id: str
    time: int
    host: str
    kind: str
    settings: Mapping[str, str]
    message: str
    cluster: str = ""
