"""Terms: months, their days, and when they are over."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from pipeline.retention.terms import ALWAYS, Period, days_of, due_at, expired, parts, period
from pipeline.sinks.opensearch_retention import policies
from pipeline.storage import Retention
from schemas import indices

RETENTION = (Retention(name="short", days=30), Retention(days=90))


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("home", "now", "over"),
    [
        ("audit-short-2026.10", "2026-11-30T23:59:59.999", False),
        ("audit-short-2026.10", "2026-12-01", True),
        ("audit-short-2025.12", "2026-01-30", False),
        ("audit-short-2025.12", "2026-01-31", True),
        ("audit-standard-2026.10", "2026-12-01", False),
        ("audit-standard-2026.10", "2027-01-30", True),
        # No class of today's: as the longest.
        ("audit-other-2026.10", "2026-12-01", False),
        ("audit-other-2026.10", "2027-01-30", True),
        ("audit-short-undated", "2036-01-01", False),
        ("audit-auditstream-2026.10", "2036-01-01", False),
        ("auditstream-findings-2026.10", "2036-01-01", False),
        ("audit-short-2026.13", "2036-01-01", False),
        ("audit-short-99999.13", "2036-01-01", False),
        ("audit-short-9999.12", "2036-01-01", False),
        ("audit-2026.10", "2036-01-01", False),
    ],
)
def test_an_index_is_over_when_its_class_keeps_its_month_no_more(
    home: str, now: str, over: bool
) -> None:
    assert expired(home, RETENTION, ms(now) / 1000) == over


def test_a_month_may_go_when_its_last_event_may() -> None:
    assert due_at("short", "2026.10", RETENTION) == ms("2026-11-01") + 30 * indices.DAY_MS
    assert due_at(indices.OWN, "2026.10", RETENTION) is None
    assert due_at("short", "undated", RETENTION) is None


def test_a_class_is_kept_as_configured_else_as_long_as_any() -> None:
    assert [days_of(name, RETENTION) for name in ("short", "standard", "gone", indices.OWN)] == [
        30, 90, 90, None,
    ]  # fmt: skip
    assert days_of("standard", ()) == 400


def test_names_say_class_and_month() -> None:
    assert parts("audit-short-lived-2026.10") == ("short-lived", "2026.10")
    assert parts("audit-short-undated") == ("short", "undated")
    assert parts(indices.of_event("short", 0, 10**13, 400)) == ("short", "undated")
    for foreign in (
        "audit-2026.10",
        "audit-billing",
        "auditstream-findings-2026.10",
        "xaudit-a-2026.10",
    ):
        assert parts(foreign) is None


def test_a_month_is_one_of_utc() -> None:
    assert period("2026.12") == Period(ms("2026-12-01"), ms("2027-01-01"))
    for wrong in ("2026.13", "0000.01", "9999.12", "undated", ""):
        assert period(wrong) is None


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Period(10, 20), Period(19, 30), True),
        (Period(10, 20), Period(20, 30), False),
        (Period(10, None), Period(5, 11), True),
        (Period(10, None), Period(5, 10), False),
        (Period(None, 10), Period(9, None), True),
        (Period(None, 10), Period(10, None), False),
        (ALWAYS, Period(5, 6), True),
    ],
)
def test_periods_overlap_where_a_time_is_in_both(one: Period, other: Period, both: bool) -> None:
    assert one.overlaps(other) == other.overlaps(one) == both


def test_nobody_takes_the_class_of_our_own_records() -> None:
    with pytest.raises(ValidationError, match="auditstream's own records"):
        Retention(name=indices.OWN, days=1)
    assert not any(name.removeprefix("auditstream-") == indices.OWN for name in policies(RETENTION))
