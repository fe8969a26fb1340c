"""Accounts chain, position to position; what is missing, counted twice or unbalanced is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtimes.kafka.balance import Books, sums, total
from pipeline.runtimes.kafka.chains import ALL, Bounds, Chain, Written, chained
from schemas.types import AccountOf

TOPIC = "audit.raw.auto"


def account(start: int, end: int, at: int = 0, **more: Any) -> Written:
    events = end - start
    row = AccountOf(TOPIC, 0, start, end, 0, events, 0, events, events, {}, {})
    for name, value in more.items():
        setattr(row, name, value)
    return Written(row, at or 1_000 + end)


def cut(places: Sequence[int]) -> list[Written]:
    return [account(start, end) for start, end in pairwise(places)]


def said(chain: Chain) -> list[tuple[str, str]]:
    return [(one.what, one.why) for one in chain.differences]


places = st.sets(st.integers(0, 500), min_size=3, max_size=30).map(sorted)


@given(places, st.data())
def test_a_chain_is_followed_and_a_missing_account_is_named(
    cuts: list[int], data: st.DataObject
) -> None:
    accounts = cut(cuts)
    first, last = cuts[0], cuts[-1]
    chain = chained(TOPIC, 0, accounts, last, (0, last + 9) if first == 0 else (first, last + 9))
    assert said(chain) == []
    assert (chain.start, chain.end, chain.unread, chain.remarks) == (first, last, 9, [])
    assert chain.events == chain.counted.least_events == chain.counted.most_events == last - first
    gone = data.draw(st.integers(0, len(accounts) - 1))
    start, end = cuts[gone], cuts[gone + 1]
    left = [*accounts[:gone], *accounts[gone + 1 :]]
    chain = chained(TOPIC, 0, left, last, (first, last))
    if gone == len(accounts) - 1:
        # It may be that there was no record there.
        assert said(chain) == []
        assert f"positions {start} up to {end} were passed" in chain.remarks[0]
    else:
        [(what, why)] = said(chain)
        assert what == "missing"
        assert why.startswith(f"positions {start} up to {end} are in no account")
        assert chain.missing == end - start


@given(places, places)
def test_what_was_read_once_more_counts_once(cuts: list[int], others: list[int]) -> None:
    """The raw topic read again from its beginning by a worker that knew nothing: it may come to
    other batches. Of one start the newer account is kept."""
    start, end = cuts[0], cuts[-1]
    again = [start, *(n for n in others if start < n < end), end]
    newer = [account(a, b, at=10_000 + b) for a, b in pairwise(again)]
    by_start = {one.row.start: one for one in (*cut(cuts), *newer)}
    accounts = [by_start[n] for n in sorted(by_start)]
    chain = chained(TOPIC, 0, accounts, end, (start, end))
    assert said(chain) == []
    assert chain.events == end - start
    assert chain.superseded == len(accounts) - len(newer)
    # Half way through.
    for done in range(1, len(newer)):
        by_start = {one.row.start: one for one in (*cut(cuts), *newer[:done])}
        accounts = [by_start[n] for n in sorted(by_start)]
        at = newer[done - 1].row.end
        chain = chained(TOPIC, 0, accounts, at, (start, end))
        assert said(chain) == []
        assert chain.events == at - start
        assert chain.unread == end - at
        assert chain.counted.most_events >= chain.counted.least_events == at - start


def test_positions_in_two_accounts_are_named() -> None:
    chain = chained(TOPIC, 0, [account(0, 100), account(60, 150), account(150, 200)])
    assert said(chain) == [("surplus", "positions 60 up to 100 are in two accounts")]
    assert chain.differences[0].place == f"{TOPIC}[0]"


def test_lost_positions_and_unbalanced_accounts_are_named() -> None:
    accounts = [
        account(0, 10),
        account(10, 40, lost=20),
        account(40, 50, filtered={"a": 1, "b": 2}, dead_letters={"torn": 3}),
        account(50, 60, events=4, filtered={"a": 1, "b": 2}, dead_letters={"torn": 3}),
    ]
    chain = chained(TOPIC, 0, accounts)
    assert said(chain) == [
        ("lost", "20 positions from 10 on were deleted from the topic unread"),
        (
            "unbalanced",
            "positions 40 up to 50: 10 items are not 10 events, 3 filtered and 3 dead letters",
        ),
    ]
    assert chain.lost == 20
    assert chain.dead_letters == Counter({"torn": 6})


def test_the_partition_itself_is_looked_at() -> None:
    assert chained(TOPIC, 0, [], None, (0, 30)).unread == 30
    assert chained(TOPIC, 0, [], None, (20, 30)).unread == 10
    assert chained(TOPIC, 0, [account(0, 9)]).unread is None
    [(what, why)] = said(chained(TOPIC, 0, [account(0, 90)], 90, (0, 30)))
    assert (what, why) == (
        "surplus",
        "positions 30 up to 90 are in accounts, and not in the topic: was it made anew?",
    )
    [(what, why)] = said(chained(TOPIC, 0, [account(50, 90)], 90, (20, 90)))
    assert what == "missing"
    assert why.startswith("positions 20 up to 50 are in no account")
    # What went before anybody read it first is nobody's fault.
    assert said(chained(TOPIC, 0, [account(50, 90)], 90, (60, 90))) == []


def test_what_was_under_way_is_counted_as_perhaps() -> None:
    accounts = [account(0, 10, at=10), account(10, 30, at=20), account(30, 60, at=30)]
    counted = chained(TOPIC, 0, accounts, committed=30).counted
    assert (counted.least_events, counted.most_events) == (30, 60)
    # What came of the second may have been written before 15.
    counted = chained(TOPIC, 0, accounts, 60, bounds=Bounds(15, 25)).counted
    assert (counted.least_events, counted.most_events) == (30, 50)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    made = Books(tmp_path / "accounts.db")
    yield made
    made.close()


def test_books_keep_the_last_account_of_a_start(books: Books) -> None:
    books.enter([account(0, 10, at=5), account(10, 20, at=6)])
    books.enter([account(0, 10, at=7, events=3), account(10, 20, at=5, events=9)])
    books.strike("nonsense")
    [chain, idle] = books.chains({}, {(TOPIC, 0): (0, 20), (TOPIC, 1): (0, 5)}, ALL)
    assert (chain.accounts, chain.events) == (2, 13)
    assert (idle.partition, idle.unread) == (1, 5)
    books.strike(f"{TOPIC}:0:0")
    [chain] = books.chains({}, {}, ALL)
    assert (chain.start, chain.accounts) == (10, 1)


@pytest.mark.parametrize(
    ("rows", "ids", "missing", "fault", "remark", "duplicates"),
    [
        (60, 60, 0, "", "", 0),
        (60, 50, 0, "", "", 10),
        (59, 50, 0, "1 fewer rows", "", None),
        (61, 61, 0, "1 more ids", "", None),
        # The same again, for raw records were read again.
        (120, 50, 0, "", "60 more rows", 10),
        (61, 61, 9, "", "accounts are missing", 0),
    ],
)
def test_sums(
    rows: int, ids: int, missing: int, fault: str, remark: str, duplicates: int | None
) -> None:
    chain = chained(TOPIC, 0, cut([0, 10, 60]))
    [found] = sums(total([chain]), missing, (rows, ids), {}, ALL)
    assert found.fault.startswith(fault)
    assert bool(found.fault) == bool(fault)
    assert found.remark.startswith(remark)
    assert bool(found.remark) == bool(remark)
    assert found.duplicates == duplicates


def test_dead_letters_are_summed_by_reason() -> None:
    chain = chained(TOPIC, 0, [account(0, 10, dead_letters={"torn": 4, "orphan": 1})])
    letters = {"torn": (4, 3), "foreign": (7, 7), "not_utf8": (1, 1)}
    found = {one.name: one for one in sums(total([chain]), 0, (10, 10), letters, ALL)}
    assert found["dead letters: torn"].duplicates == 1
    assert found["dead letters: orphan"].fault == "1 fewer rows than accounts count"
    assert found["dead letters: not_utf8"].fault == "1 more ids than accounts count"
    assert found["dead letters: foreign"].most is None
    assert not found["dead letters: foreign"].fault
