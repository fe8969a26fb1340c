"""Which index a row is in: a month that it can be meant to be of, or none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import indices

DAY = indices.DAY_MS
NOW = 1_795_218_764_297
ANY = st.integers(-(1 << 63), (1 << 63) - 1)


def at(when: str) -> int:
    return int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() * 1000)


def test_an_event_is_in_the_month_of_its_time() -> None:
    carried = at("2026-11-21")
    months = {at("2026-10-31T23:59"): "2026.10", at("2026-11-01"): "2026.11"}
    for time, month in months.items():
        assert indices.of_event("standard", time, carried, 400) == f"audit-standard-{month}"


@pytest.mark.parametrize(("days", "dated"), [(-400, True), (0, True), (1, True)])
def test_times_that_can_be_meant(days: int, dated: bool) -> None:
    edge, step = NOW + days * DAY, -1 if days < 0 else 1
    assert not indices.of_event("x", edge, NOW, 400).endswith("undated")
    if days:
        assert indices.of_event("x", edge + step, NOW, 400) == "audit-x-undated"


@given(ANY, ANY)
def test_no_clock_makes_more_indices_than_there_are_months(time: int, carried: int) -> None:
    name = indices.of_event("standard", time, carried, 400)
    month = name.removeprefix("audit-standard-")
    assert month == "undated" or abs(carried - time) <= 401 * DAY


def test_a_letter_without_a_time_is_undated() -> None:
    assert indices.of_letter(0, NOW, 400) == "auditstream-dead-letters-undated"
    assert indices.of_letter(NOW, NOW, 400) == "auditstream-dead-letters-2026.11"


def test_a_finding_is_where_its_id_says() -> None:
    finding = NOW.to_bytes(6, "big") + bytes(10)
    assert indices.of_finding(indices.FINDINGS, finding) == "auditstream-findings-2026.11"
    assert indices.of_finding(indices.VERSIONS, b"\xff" * 16) == "auditstream-versions-undated"


def test_no_pattern_finds_another_kind() -> None:
    names = (
        indices.EVENTS, indices.FINDINGS, indices.VERSIONS, indices.CHANGES, indices.DEAD_LETTERS,
        indices.ACCOUNTS,
    )  # fmt: skip
    for name in names:
        start = indices.searched(name).rstrip("*")
        others = [n for n in names if n != name and f"{n}-2026.11".startswith(start)]
        assert not others
