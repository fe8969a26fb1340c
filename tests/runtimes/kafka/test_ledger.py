"""The committed offset is exactly the first not acknowledged, whatever is fetched and finished."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtimes.kafka.ledger import Ledger

GAPS = st.lists(st.integers(0, 5), max_size=60)
"""How many positions without a record lie before each record."""
SIZES = st.lists(st.integers(1, 7), min_size=60, max_size=60)
"""How many positions each fetch covers: a fetch may hold no record, or end within a gap."""


def offsets_of(gaps: list[int], start: int = 0) -> list[int]:
    found, at = [], start
    for gap in gaps:
        at += gap
        found.append(at)
        at += 1
    return found


@given(GAPS, SIZES, st.integers(0, 1_000), st.data())
def test_committable_is_the_first_position_not_acknowledged(
    gaps: list[int], sizes: list[int], start: int, data: st.DataObject
) -> None:
    """In any order of fetching and finishing, also of more batches at a time than Faust has."""
    records = offsets_of(gaps, start)
    ledger, at = Ledger(), start
    ledger.begin(start)
    open_batches: dict[int, tuple[int, int]] = {}
    unsettled: set[int] = set()
    for size in sizes:
        end = at + size
        held = [offset for offset in records if at <= offset < end]
        if held:
            open_batches[ledger.deliver(at, end)] = (at, end)
            unsettled.update(held)
        else:
            ledger.advance(at, end)
        at = end
        for _ in range(data.draw(st.integers(0, len(open_batches)))):
            ticket = data.draw(st.sampled_from(sorted(open_batches)))
            first, last = open_batches.pop(ticket)
            assert ledger.acknowledge(ticket)
            unsettled -= set(range(first, last))
        offset = ledger.committable
        assert offset is not None
        # Never past a batch in flight; and as far as that, with every gap before it.
        assert offset == min((first for first, _ in open_batches.values()), default=at)
        assert all(offset <= waiting for waiting in unsettled)
        settled = {record for record in records if record < at} - unsettled
        assert {record for record in records if record < offset} <= settled
        assert ledger.in_flight == len(open_batches)


@given(st.lists(st.tuples(st.sampled_from(["fetch", "finish", "seek"]), st.integers(0, 50))))
def test_no_seek_makes_it_pass_what_is_in_flight(steps: list[tuple[str, int]]) -> None:
    ledger, at = Ledger(), 0
    ledger.begin(at)
    open_batches: dict[int, int] = {}
    for step, number in steps:
        if step == "fetch":
            open_batches[ledger.deliver(at, at + number)] = at
            at += number
        elif step == "seek":
            at = number
            ledger.seek(at)
        elif open_batches:
            ticket = sorted(open_batches)[number % len(open_batches)]
            del open_batches[ticket]
            ledger.acknowledge(ticket)
        assert ledger.committable == min(open_batches.values(), default=at)


def test_nothing_is_committable_before_a_position_is_known() -> None:
    ledger = Ledger()
    assert ledger.committable is None
    ledger.begin(7)
    ledger.begin(9)
    assert ledger.committable == 7


def test_what_was_skipped_is_not_passed_by_mistake() -> None:
    ledger = Ledger()
    ledger.begin(0)
    ledger.deliver(0, 10)
    with pytest.raises(ValueError, match="positions 12 to 20 do not follow on 10"):
        ledger.deliver(12, 20)
    with pytest.raises(ValueError, match="positions 10 to 9 do not follow on 10"):
        ledger.advance(10, 9)
    assert ledger.committable == 0


def test_a_ticket_counts_once_and_in_its_own_ledger() -> None:
    before, after = Ledger(), Ledger()
    ticket = before.deliver(0, 10)
    assert before.acknowledge(ticket)
    assert not before.acknowledge(ticket)
    # A batch finished after its partition was revoked says nothing about the next assignment.
    assert not after.acknowledge(ticket)
