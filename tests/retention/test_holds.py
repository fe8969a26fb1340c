"""Holds: worked out from the events that add and release them."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from pipeline.errors import ArgumentError
from pipeline.retention.holds import HOLD, Hold, covering, holds, named
from pipeline.retention.records import Who, added, released
from pipeline.retention.terms import ALWAYS, Period, period
from schemas.types import Event
from tests.retention.year import NOW, event

ME = Who("OS:alice", "human", "alice")


def row(said: Event) -> dict[str, Any]:
    names = ("source", "operation", "resource", "time", "actor", "ocsf", "id")
    return {name: getattr(said, name) for name in names}


def hold(
    reason: str = "CASE-1", time: Period = ALWAYS, retention: str = "", at: int = NOW
) -> Event:
    return added(Hold("", time, retention, reason, "legal@example.com"), ME, at)


def test_a_hold_says_what_was_said_when_it_was_added() -> None:
    time = Period(NOW - 5, NOW)
    said = hold(time=time, retention="short")
    (found,) = holds([row(said)])
    assert found == Hold(
        said.resource, time, "short", "CASE-1", "legal@example.com", NOW, "OS:alice", None
    )
    assert len(found.id) == 12


def test_two_that_differ_in_anything_both_stand() -> None:
    several = [
        hold(), hold("CASE-2"), hold(time=Period(1, None)), hold(time=Period(None, 1)),
        hold(retention="short"), hold(at=NOW + 1),
        added(Hold("", ALWAYS, "", "CASE-1", "soc@example.com"), ME, NOW),
        added(Hold("", ALWAYS, "", "CASE-1", "legal@example.com"), Who("OS:bob"), NOW),
    ]  # fmt: skip
    assert len(holds(map(row, several))) == len({e.id for e in several}) == len(several)
    assert hold().id == hold().id


def test_release_ends_one_hold_in_whatever_order_events_come() -> None:
    first, second = hold(), hold("CASE-2", at=NOW + 1)
    (one, _) = holds([row(first), row(second)])
    gone, again = released(one, ME, NOW + 9, "closed"), released(one, ME, NOW + 11, "closed twice")
    rows = [row(first), row(second), row(gone), row(again), row(event(NOW, 1))]
    for order in permutations(rows):
        found = holds(order)
        assert [(h.reason, h.released) for h in found] == [("CASE-1", NOW + 9), ("CASE-2", None)]


def test_only_events_of_ours_are_holds() -> None:
    forged = row(hold()) | {"source": "support_session"}
    assert holds([forged]) == []
    assert holds([row(hold()) | {"operation": "HOLD_ADDED"}]) == []
    assert row(hold())["source"] == HOLD


@pytest.mark.parametrize(
    ("time", "retention", "kept"),
    [
        (ALWAYS, "", True),
        (ALWAYS, "short", True),
        (ALWAYS, "standard", False),
        (Period(None, 0), "", True),
        (Period(None, -1), "", False),
        (Period(1, None), "", True),
        (Period(2, None), "", False),
    ],
)
def test_a_hold_keeps_a_whole_month_that_it_touches(
    time: Period, retention: str, kept: bool
) -> None:
    """`time` is in milliseconds around the month: from its last on, and before its first."""
    month = period("2026.10")
    assert month is not None
    assert month.since is not None
    assert month.until is not None
    since = None if time.since is None else month.until - 2 + time.since
    until = None if time.until is None else month.since + 1 + time.until
    found = Hold("1", Period(since, until), retention, "CASE-1", "legal")
    assert found.covers("short", "2026.10") == kept
    assert bool(covering([found], "short", "2026.10")) == kept
    assert not Hold("1", ALWAYS, "", "CASE-1", "legal", released=1).covers("short", "2026.10")


def test_what_has_no_date_may_be_of_any_time() -> None:
    assert Hold("1", Period(5, 6), "", "CASE-1", "legal").covers("short", "undated")


def test_a_hold_is_named_by_how_its_id_begins() -> None:
    several = [
        Hold("aaaa1111", ALWAYS, "", "x", "y"), Hold("aaaa2222", ALWAYS, "", "x", "y", released=5),
        Hold("aaaa3333", ALWAYS, "", "x", "y"), Hold("bbbb1111", ALWAYS, "", "x", "y", released=5),
    ]  # fmt: skip
    assert named(several, "AAAA1").id == "aaaa1111"
    for said, why in (
        ("aaaa", "begins the ids of 2 holds"), ("bbbb", "was released already"),
        ("cccc", "no hold's id begins"), ("aaa", "at least 4 digits"), ("", "at least 4 digits"),
    ):  # fmt: skip
        with pytest.raises(ArgumentError, match=why):
            named(several, said)
