"""Lags near retention: both sides of each number, told of once, and over when there is room again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtimes.kafka.lagging import Backlog, Lags, ages, clear
from schemas.types import Finding

NOW = 1_763_700_000_000
DAY_MS = 86_400_000
LEFT = 0.25


def backlog(read: int, near: int = 0, clear_at: int = 0, **more: object) -> Backlog:
    """Of 1,000 records, of which those from `near` (`clear_at`) on are young enough."""
    known = {
        "group": "auditstream-ingest", "topic": "audit.raw.auto", "partition": 3, "low": 0,
        "high": 1_000, "kept_ms": 7 * DAY_MS, "sized": False,
    }  # fmt: skip
    return Backlog(read=read, near=near, clear=clear_at, **{**known, **more})  # type: ignore[arg-type]


class Told:
    """What was said, as it is kept."""

    def __init__(self, left: float = LEFT) -> None:
        self.said: dict[bytes, Finding] = {}
        self.versions: list[Finding] = []
        self.left = left

    def look(
        self, *backlogs: Backlog, at: int = NOW, there: tuple[str, ...] = ("audit.raw.auto",)
    ) -> list[str]:
        """A look by whoever goes on; the statuses said."""
        notices = Lags(self.left, self.said).look(at, backlogs, there)
        for name, finding, kept in notices:
            self.said.pop(name, None)
            if kept:
                self.said[name] = finding
            self.versions.append(finding)
        return [one.finding.status for one in notices]


@pytest.mark.parametrize(
    ("read", "near", "fires"),
    [
        (499, 500, True),
        (500, 500, False),
        (1_000, 1_000, False),  # all is read, though all of it is old
        (999, 1_000, True),
    ],
)
def test_both_sides_of_the_age(read: int, near: int, fires: bool) -> None:
    assert bool(Told().look(backlog(read, near, near))) == fires


@pytest.mark.parametrize(
    ("low", "read", "fires"),
    [
        (200, 399, True),  # under a quarter of the 800 that are there
        (200, 400, False),
        (0, 1, False),  # nothing was deleted yet: how full it is, nobody knows
        (200, 100, True),  # some of it is deleted already
        (200, 1_000, False),
    ],
)
def test_both_sides_of_the_size(low: int, read: int, fires: bool) -> None:
    assert bool(Told().look(backlog(read, low=low, sized=True))) == fires
    # Not bounded by size, only its age counts.
    assert Told().look(backlog(read, low=low)) == []


def test_of_a_topic_that_is_gone_nothing_stays_open() -> None:
    told = Told()
    assert told.look(backlog(1, 500, 500)) == ["open"]
    assert told.look() == []  # nobody said how far it is read
    assert told.look(there=("audit.events",)) == ["withdrawn"]
    assert told.look(there=("audit.events",)) == []
    assert "audit.raw.auto is not there" in told.versions[-1].ocsf.decode()


def test_when_records_are_near() -> None:
    near, over = ages(NOW, 8 * DAY_MS, LEFT)
    assert (NOW - near, NOW - over) == (6 * DAY_MS, 4 * DAY_MS)


@given(st.floats(0.01, 0.9))
def test_more_must_be_left_for_it_to_be_over(left: float) -> None:
    assert left < clear(left) < 1


def test_it_is_told_of_once_and_over_when_there_is_room() -> None:
    told = Told()
    old = backlog(100, near=500, clear_at=700)
    assert told.look(old, backlog(999, partition=4)) == ["open"]
    assert told.look(old, backlog(999, near=1_000, clear_at=1_000, partition=4)) == []
    assert told.look() == []  # a look that did not find the topic
    assert told.look(backlog(600, near=500, clear_at=700)) == []
    assert told.look(backlog(700, near=500, clear_at=700), at=NOW + DAY_MS) == ["closed"]
    assert told.look(old, at=NOW + 2 * DAY_MS) == ["open"]
    first, over, second = told.versions
    assert (first.version, over.version, second.version) == (1, 2, 1)
    assert first.id == over.id != second.id
    assert (first.count, over.count) == (900, 900)
    assert (over.first_time, over.last_time) == (NOW, NOW + DAY_MS)
    assert told.said.keys() == {b"lag\0auditstream-ingest\0audit.raw.auto"}


def test_what_is_lost_is_said() -> None:
    told = Told()
    told.look(backlog(100, near=600, clear_at=600, low=300))
    assert b"200 before them were deleted unread" in told.versions[0].ocsf
    assert told.versions[0].count == 700


def test_nobody_asks_for_lags() -> None:
    told = Told()
    old = backlog(100, near=500, clear_at=700)
    told.look(old)
    told.left = 0
    assert told.look(old) == ["withdrawn"]
    assert told.look(old) == []
