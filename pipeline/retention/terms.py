"""Terms: how long a month of a retention class is kept, and when it may go.

A month is known by its name, that of its index: ``audit-CLASS-YYYY.MM``. The embedded store calls
its months the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from pipeline.storage import Retention, days_by_class, longest_days
from schemas import indices

_NAME: Final = re.compile(rf"{indices.EVENTS}-(.+)-(\d{{4}}\.\d{{2}}|{indices.UNDATED})")


class Period(NamedTuple):
    """Epoch milliseconds, ``since`` ≤ time < ``until``; None: without an end on that side."""

    since: int | None
    until: int | None

    def overlaps(self, other: Period) -> bool:
        """Whether some time is in both."""
        return _before(self.since, other.until) and _before(other.since, self.until)


ALWAYS: Final = Period(None, None)


def _before(since: int | None, until: int | None) -> bool:
    return since is None or until is None or since < until


def parts(name: str) -> tuple[str, str] | None:
    """Class and month (or ``undated``) of the name of an index of events; None: it is none."""
    found = _NAME.fullmatch(name)
    return (found[1], found[2]) if found else None


def period(month: str) -> Period | None:
    """The time of a month ``YYYY.MM``, UTC; None: it is on no calendar."""
    try:
        first = datetime.strptime(month, "%Y.%m").replace(tzinfo=UTC)
        end = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    except ValueError:
        return None
    return Period(int(first.timestamp()) * 1000, int(end.timestamp()) * 1000)


def days_of(name: str, retention: Sequence[Retention]) -> int | None:
    """How many days a class is kept; None: for ever.

    What is of a class that is configured no more is kept as long as anything is.
    """
    if name == indices.OWN:
        return None
    return days_by_class(retention).get(name, longest_days(retention))


def due_at(name: str, month: str, retention: Sequence[Retention]) -> int | None:
    """When a month of a class may go, its last event included, epoch milliseconds; None: never."""
    days, time = days_of(name, retention), period(month)
    if days is None or time is None or time.until is None:
        return None
    return time.until + days * indices.DAY_MS


def due(name: str, month: str, retention: Sequence[Retention], now_ms: int) -> bool:
    """Whether a month of a class may go."""
    at = due_at(name, month, retention)
    return at is not None and at <= now_ms


def expired(index: str, retention: Sequence[Retention], now_s: float) -> bool:
    """Whether an index of events is of a month that its class keeps no more."""
    found = parts(index)
    return found is not None and due(*found, retention, int(now_s * 1000))
