"""Times as they are written: stamps of log lines to epoch milliseconds.

A stamp without an offset is in the input's configured zone. Where none is configured it is taken
as UTC and the event says so; where the zone's clock was set back the hour is ambiguous, the first
of the two is taken and the event says so. The stamp itself is always kept.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from pipeline.errors import Reason, Unreadable
from schemas.vocabulary import BlindSpot

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_CACHED_SECONDS = 65_536
_MILLIS = {f"{mark}{number:03d}": number for mark in ",." for number in range(1000)}
"""What log4j writes behind the seconds."""

Spots = tuple[str, ...]


def clock(zone: str) -> Callable[[str], tuple[int, Spots]]:
    """A reader of stamps for inputs in ``zone`` (an IANA name, or empty).

    The reader takes ``2026-11-20 23:52:44,297``, ``2026-11-20T23:52:44.297Z``, offsets as
    ``+01``, ``+0100`` or ``+01:00`` and up to nine fractional digits (cut to milliseconds). It
    returns epoch milliseconds and blind spots, and raises :class:`Unreadable` (``bad_time``).
    """
    where: tzinfo = ZoneInfo(zone) if zone else UTC
    assumed: Spots = () if zone else (BlindSpot.ZONE_ASSUMED.value,)
    seconds: dict[str, tuple[int, Spots]] = {}

    def read(stamp: str) -> tuple[int, Spots]:
        second = stamp[:19]
        millis = _MILLIS.get(stamp[19:])
        if millis is None:
            millis, offset = _tail(stamp[19:])
            if offset is not None:
                local = _second(second)
                at = (local.replace(tzinfo=timezone(offset)) - _EPOCH) // _MS
                return at + millis, ()
        known = seconds.get(second)
        if known is None:
            if len(seconds) >= _CACHED_SECONDS:
                seconds.clear()
            known = seconds[second] = _in_zone(_second(second), where, assumed)
        return known[0] + millis, known[1]

    return read


def _second(text: str) -> datetime:
    """The time on the clock's face; its zone is still to be said."""
    if len(text) != 19 or text[10] not in " T" or not text.isascii():
        raise Unreadable(Reason.BAD_TIME, "a time as 2026-11-20 23:52:44,297 was expected")
    digits = text[0:4] + text[5:7] + text[8:10] + text[11:13] + text[14:16] + text[17:19]
    if not digits.isdecimal() or text[4] + text[7] + text[13] + text[16] != "--::":
        raise Unreadable(Reason.BAD_TIME, "a time as 2026-11-20 23:52:44,297 was expected")
    try:
        return datetime(
            int(text[0:4]), int(text[5:7]), int(text[8:10]),
            int(text[11:13]), int(text[14:16]), int(text[17:19]), tzinfo=UTC,
        )  # fmt: skip
    except ValueError as error:
        raise Unreadable(Reason.BAD_TIME, f"no such time: {error}") from None


def _in_zone(local: datetime, where: tzinfo, assumed: Spots) -> tuple[int, Spots]:
    try:
        first = local.replace(tzinfo=where, fold=0)
        second = local.replace(tzinfo=where, fold=1)
        spots = assumed
        before, after = first.utcoffset(), second.utcoffset()
        if before != after and before is not None and after is not None:
            spot = BlindSpot.AMBIGUOUS_TIME if before > after else BlindSpot.NONEXISTENT_TIME
            spots = (*assumed, spot.value)
        return (first - _EPOCH) // _MS, spots
    except OverflowError:
        raise Unreadable(Reason.BAD_TIME, "a time outside the calendar") from None


def _tail(rest: str) -> tuple[int, timedelta | None]:
    """Fraction and offset of a stamp, from what follows its seconds."""
    if not rest.isascii():
        raise Unreadable(Reason.BAD_TIME, "digits outside ASCII in a time")
    millis, place = 0, 0
    if rest[:1] in (",", "."):
        place = 1
        while place < len(rest) and rest[place].isdecimal():
            place += 1
        if not 2 <= place <= 10:
            raise Unreadable(Reason.BAD_TIME, "a fraction of one to nine digits was expected")
        millis = int(rest[1:place].ljust(3, "0")[:3])
    zone = rest[place:].strip()
    return millis, _offset(zone) if zone else None


@lru_cache(maxsize=256)
def _offset(zone: str) -> timedelta:
    if zone in ("Z", "UTC", "GMT"):
        return timedelta(0)
    digits = zone[1:].replace(":", "", 1)
    if zone[0] in "+-" and digits.isdecimal() and len(digits) in (2, 4):
        hours, minutes = int(digits[:2]), int(digits[2:] or "0")
        if hours < 24 and minutes < 60:
            sign = -1 if zone[0] == "-" else 1
            return sign * timedelta(hours=hours, minutes=minutes)
    raise Unreadable(Reason.BAD_TIME, "an offset as Z, +0100 or +01:00 was expected")


_utc = clock("")


def instant(text: str) -> int | None:
    """Epoch milliseconds of an RFC 3339 time as shippers write it, or None where it is none."""
    try:
        return _utc(text)[0]
    except Unreadable:
        return None
