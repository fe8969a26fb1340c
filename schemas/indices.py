"""Names of OpenSearch indices: what is in which, and what is searched for it.

An index is chosen by what never changes of a row, so that a row written twice is there once. Events
are by retention class and month, for retention drops whole indices; an event's time is in its id.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

EVENTS: Final = "audit"
FINDINGS: Final = "auditstream-findings"
"""The last version of each."""
VERSIONS: Final = "auditstream-versions"
"""Every version of each finding."""
CHANGES: Final = "auditstream-changes"
"""The last version of each; one index, for a change's time may be amended."""
DEAD_LETTERS: Final = "auditstream-dead-letters"
ACCOUNTS: Final = "auditstream-accounts"
UNDATED: Final = "undated"
OWN: Final = "auditstream"
"""The retention class of what auditstream says of itself: removals and holds. It is never removed,
and no configuration may take its name."""
REMOVALS: Final = "auditstream-removals"
"""Removals of indices under way, by the index's own id; empty when none is."""

DAY_MS: Final = 86_400_000
_AHEAD_MS: Final = DAY_MS


def searched(name: str) -> str:
    """The pattern that finds all indices of one of the names above."""
    return name if name in (CHANGES, ACCOUNTS, REMOVALS) else f"{name}-*"


def of_event(retention: str, time: int, carried: int, longest_days: int) -> str:
    """The index of an event.

    Args:
        retention: its retention class.
        time: of the event, epoch milliseconds.
        carried: when it was carried, epoch milliseconds.
        longest_days: that any retention class keeps what is in it.
    """
    return f"{EVENTS}-{retention}-{_when(time, carried, longest_days)}"


def of_letter(time: int, carried: int, longest_days: int) -> str:
    """The index of a dead letter; its time is 0 where nobody could read one."""
    return f"{DEAD_LETTERS}-{_when(time, carried, longest_days) if time else UNDATED}"


def of_finding(name: str, finding: bytes) -> str:
    """The index of a finding, by its id: :data:`FINDINGS` or :data:`VERSIONS`."""
    return f"{name}-{month(int.from_bytes(finding[:6], 'big'))}"


def month(time: int) -> str:
    """The month of a time in epoch milliseconds, UTC: ``2026.11``."""
    return _months(time // DAY_MS)


@lru_cache(maxsize=4096)
def _months(day: int) -> str:
    try:
        return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y.%m")
    except (ValueError, OverflowError, OSError):
        return UNDATED


def _when(time: int, carried: int, longest_days: int) -> str:
    """A month; or no date, where nobody can have meant that time: a hostile clock would make
    thousands of indices."""
    if carried - longest_days * DAY_MS <= time <= carried + _AHEAD_MS:
        return month(time)
    return UNDATED
