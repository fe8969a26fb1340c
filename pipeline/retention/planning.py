"""Planning: which months are removed, which are kept, and why. Pure: what a store holds goes in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.retention.holds import Hold, covering
from pipeline.retention.records import spelt
from pipeline.retention.terms import Period, days_of, due
from pipeline.storage import Retention, days_by_class
from schemas import indices

State = Literal["due", "held", "kept", "later"]
"""``due``: to be removed; ``held``: would be, but for a hold; ``kept``: nothing of ours ever
removes it; ``later``: its time has not come."""

_OWN_RECORDS: Final = "what auditstream says of itself, holds among it, is never removed"
_NO_DATE: Final = "undated: nobody knows when its days are over"
_NOT_CONFIGURED: Final = "the class is configured no more: the longest of all classes counts"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is removed whole, or not at all: a month of a class, or what of it has no date.

    Attributes:
        name: ``audit-CLASS-YYYY.MM`` or ``audit-CLASS-undated``.
        retention, month: the parts of that name.
        events: how many; -1: nobody can say.
        first, last: times of the first and last, epoch milliseconds; 0 where there is none.
        stuck: why the store cannot have it removed, or empty.
        made: when its index was made, epoch milliseconds; 0: the store does not know.
    """

    name: str
    retention: str
    month: str
    events: int
    first: int = 0
    last: int = 0
    stuck: str = ""
    made: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a unit.

    Attributes:
        days: that its class is kept; None: for ever.
        why: for a person; empty where the state says it all.
        holds: that keep it, whether it is due or not.
    """

    unit: Unit
    state: State
    days: int | None
    why: str = ""
    holds: tuple[Hold, ...] = ()


def planned(
    units: Iterable[Unit],
    holds: Sequence[Hold],
    retention: Sequence[Retention],
    now_ms: int,
    undated_days: int = 0,
) -> list[Verdict]:
    """What is to become of each, in order of class and month.

    Args:
        undated_days: after which an index without a date may go, from when it was made; 0: never.
    """
    ordered = sorted(units, key=lambda unit: (unit.retention, unit.month))
    return [_verdict(unit, holds, retention, now_ms, undated_days) for unit in ordered]


def _verdict(
    unit: Unit, holds: Sequence[Hold], retention: Sequence[Retention], now_ms: int, undated: int
) -> Verdict:
    days = days_of(unit.retention, retention)
    if days is None:
        return Verdict(unit, "kept", None, _OWN_RECORDS)
    if unit.month == indices.UNDATED:
        days, past, why = undated or None, _old(unit, undated, now_ms), _undated(unit, undated)
    else:
        past = due(unit.retention, unit.month, retention, now_ms)
        why = "" if unit.retention in days_by_class(retention) else _NOT_CONFIGURED
    keeping = covering(holds, unit.retention, unit.month)
    if not past:
        never = unit.month == indices.UNDATED and not (undated and unit.made)
        return Verdict(unit, "kept" if never else "later", days, why, keeping)
    if unit.stuck:
        return Verdict(unit, "kept", days, unit.stuck, keeping)
    if keeping:
        return Verdict(unit, "held", days, "; ".join(map(reason, keeping)), keeping)
    return Verdict(unit, "due", days, why)


def _old(unit: Unit, days: int, now_ms: int) -> bool:
    return bool(days and unit.made and unit.made + days * indices.DAY_MS <= now_ms)


def _undated(unit: Unit, days: int) -> str:
    if not days:
        return f"{_NO_DATE}; opensearch.undated_days gives it a rule"
    if not unit.made:
        return f"{_NO_DATE}, and this store does not know since when it is here"
    made = spelt(Period(unit.made, None)).removeprefix("from ")
    return f"undated: kept for {days} days from when its index was made, {made}"


def reason(hold: Hold) -> str:
    """A hold in words, for where something is kept by it."""
    return f"hold {hold.id} of {hold.owner}: {hold.reason}"
