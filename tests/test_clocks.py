"""Clocks: stamps as they are written, in every zone, and what cannot be known about them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clocks import clock, instant
from pipeline.errors import Reason, Unreadable

Read = Callable[[str], tuple[int, tuple[str, ...]]]
ASSUMED = ("zone_assumed",)


def ms(*when: int) -> int:
    """Epoch milliseconds of a time in UTC."""
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 1000  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("zone", "stamp", "at", "spots"),
    [
        ("", "2026-11-20 23:52:44,297", ms(2026, 11, 20, 23, 52, 44) + 297, ASSUMED),
        ("UTC", "2026-11-20 23:52:44,297", ms(2026, 11, 20, 23, 52, 44) + 297, ()),
        ("Europe/Berlin", "2026-11-20 23:52:44,297", ms(2026, 11, 20, 22, 52, 44) + 297, ()),
        ("Europe/Berlin", "2026-07-20 23:52:44,297", ms(2026, 7, 20, 21, 52, 44) + 297, ()),
        ("Asia/Kathmandu", "2026-11-20 23:52:44,297", ms(2026, 11, 20, 18, 7, 44) + 297, ()),
        ("America/St_Johns", "2026-11-20 23:52:44", ms(2026, 11, 21, 3, 22, 44), ()),
        # An offset goes before any zone, and nothing is assumed.
        ("Europe/Berlin", "2026-11-20T23:52:44.297Z", ms(2026, 11, 20, 23, 52, 44) + 297, ()),
        ("", "2026-11-20 23:52:44,297 +0100", ms(2026, 11, 20, 22, 52, 44) + 297, ()),
        ("", "2026-11-20 23:52:44,297+01:00", ms(2026, 11, 20, 22, 52, 44) + 297, ()),
        ("", "2026-11-20 23:52:44.297-05", ms(2026, 11, 21, 4, 52, 44) + 297, ()),
        ("", "2026-11-20 23:52:44 UTC", ms(2026, 11, 20, 23, 52, 44), ()),
        ("", "2026-11-20 23:52:44 GMT", ms(2026, 11, 20, 23, 52, 44), ()),
        # Fractions of one to nine digits, cut to milliseconds.
        ("UTC", "2026-11-20 23:52:44.2", ms(2026, 11, 20, 23, 52, 44) + 200, ()),
        ("UTC", "2026-11-20 23:52:44.2979999", ms(2026, 11, 20, 23, 52, 44) + 297, ()),
        ("", "2026-11-20T23:52:44.297999999Z", ms(2026, 11, 20, 23, 52, 44) + 297, ()),
        # Clocks that are wrong are still clocks.
        ("UTC", "1970-01-01 00:00:00,000", 0, ()),
        ("UTC", "1969-12-31 23:59:59,999", -1, ()),
        ("UTC", "0001-01-01 00:00:00,000", ms(1, 1, 1), ()),
        ("UTC", "2100-02-28 23:59:59,999", ms(2100, 2, 28, 23, 59, 59) + 999, ()),
        ("UTC", "9999-12-31 23:59:59,999", ms(9999, 12, 31, 23, 59, 59) + 999, ()),
        ("", "0001-01-01T00:00:00+14:00", ms(1, 1, 1) - 14 * 3_600_000, ()),
        ("", "9999-12-31T23:59:59-14:00", ms(9999, 12, 31, 23, 59, 59) + 14 * 3_600_000, ()),
    ],
)  # fmt: skip
def test_stamps_are_understood(zone: str, stamp: str, at: int, spots: tuple[str, ...]) -> None:
    assert clock(zone)(stamp) == (at, spots)


def test_the_hour_that_comes_twice_is_taken_for_the_first_and_says_so() -> None:
    read = clock("Europe/Berlin")
    assert read("2026-10-25 02:30:00,000") == (ms(2026, 10, 25, 0, 30), ("ambiguous_time",))
    assert read("2026-10-25 01:59:59,999") == (ms(2026, 10, 24, 23, 59, 59) + 999, ())
    assert read("2026-10-25 03:00:00,000") == (ms(2026, 10, 25, 2), ())
    assert read("2026-10-25T02:30:00+01:00") == (ms(2026, 10, 25, 1, 30), ())


def test_the_hour_that_never_comes_says_so() -> None:
    read = clock("Europe/Berlin")
    assert read("2026-03-29 02:30:00,000") == (ms(2026, 3, 29, 1, 30), ("nonexistent_time",))
    assert read("2026-03-29 03:00:00,000") == (ms(2026, 3, 29, 1), ())


def test_half_hours_of_summer_time_too() -> None:
    read = clock("Australia/Lord_Howe")
    assert read("2026-04-05 01:45:00,000")[1] == ("ambiguous_time",)
    assert read("2026-04-05 02:15:00,000")[1] == ()


BAD = [
    "",
    "2026",
    "2026-11-20",
    "2026-11-20 23:52",
    "2026-02-30 23:52:44,297",
    "2026-13-20 23:52:44,297",
    "2026-00-20 23:52:44,297",
    "2026-11-20 24:00:00,000",
    "2026-11-20 23:60:44,297",
    "2026-11-20 23:59:60,000",
    "0000-01-01 00:00:00,000",
    "2026/11/20 23:52:44,297",
    "2026-11-20_23:52:44,297",
    "2026-11-20 23.52.44,297",
    "2026-11-20 23:52:44,",
    "2026-11-20 23:52:44.1234567890",
    "2026-11-20 23:52:44,297 +1",
    "2026-11-20 23:52:44,297 +2500",
    "2026-11-20 23:52:44,297 +0160",
    "2026-11-20 23:52:44,297 CET",
    "2026-11-20 23:52:44,297 ++100",
    "2026-11-20 23:52:44,29x",
    "-026-11-20 23:52:44,297",
    "+026-11-20 23:52:44,297",
    # Digits that are none of ASCII's.
    "\u0662\u0660\u0662\u0666-11-20 23:52:44,297",
    "2026-11-20 23:52:44,\u0662\u0669\u0667",
    "2026-11-20 23:52:44,2\u00b27",
    "2026-11-20 23:52:44,297 +\u06601\u06600",
]


@pytest.mark.parametrize("stamp", BAD)
@pytest.mark.parametrize("zone", ["", "Europe/Berlin"])
def test_what_is_no_time_says_so(stamp: str, zone: str) -> None:
    with pytest.raises(Unreadable) as raised:
        clock(zone)(stamp)
    assert raised.value.reason == Reason.BAD_TIME
    assert instant(stamp) is None


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Europe/Berlin"])
@pytest.mark.parametrize("stamp", ["0001-01-01 00:00:00,000", "9999-12-31 23:59:59,999"])
def test_the_edges_of_the_calendar_are_read_or_refused(zone: str, stamp: str) -> None:
    with suppress(Unreadable):
        assert abs(clock(zone)(stamp)[0] - clock("UTC")(stamp)[0]) < 86_400_000


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_none(text: str) -> None:
    for read in (clock(""), clock("Europe/Berlin")):
        try:
            at, _ = read(text)
        except Unreadable:
            continue
        assert isinstance(at, int)


@given(
    st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_clocks_agree_with_pythons_own(at: datetime, zone: str) -> None:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    stamp = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d}"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = (at.replace(tzinfo=ZoneInfo(zone)) - epoch).total_seconds()
    assert clock(zone)(stamp)[0] == round(expected * 1000)


def test_a_clock_remembers_only_so_many_seconds() -> None:
    read = clock("Europe/Berlin")
    for day in range(1, 28):
        for second in range(0, 86_400, 20):
            stamp = f"2026-02-{day:02d} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d},000"
            read(stamp)
    assert read("2026-02-01 00:00:00,000")[0] == ms(2026, 1, 31, 23)
