"""Batches: the account balances and is the same for any split."""

from __future__ import annotations

from pipeline.batch import Account
from tests.feed import feed, records

LINES = [
    f"[2026-11-20 23:52:44,297] INFO x (org.example.Made{number})"
    for number in [*range(Account.MOST_RULES + 100), 0, 1, 599]
]


def test_too_many_rules_are_counted_as_one_in_any_split() -> None:
    found = records(LINES)
    whole = feed([found]).account
    assert len(whole.filtered) == Account.MOST_RULES + 1
    assert whole.filtered["logger:org.example.Made0"] == 2
    assert whole.filtered[Account.OTHER_RULES] == 101
    for size in (1, 100, 501):
        parts = [found[at : at + size] for at in range(0, len(found), size)]
        assert feed(parts).account == whole


def test_what_was_added_can_be_taken_out_again() -> None:
    total, part = Account(), feed([records(LINES[-5:])]).account
    total.add(feed([records(LINES)]).account)
    before = Account(
        **{name: getattr(total, name) for name in ("records", "items", "events", "duplicates")}
    )
    before.filtered, before.dead_letters = dict(total.filtered), dict(total.dead_letters)
    total.add(part)
    assert total.balances()
    total.subtract(part)
    assert total == before
    assert min(total.filtered.values()) > 0
