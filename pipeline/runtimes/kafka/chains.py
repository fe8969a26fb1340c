"""The accounts of raw partitions: whether they chain, and what they come to.

Each batch of a raw partition left an account of the positions from its start to its end. Held in
order they lead from one to the next; where they do not, an account is missing or one is surplus.
A partition that was read once more from an earlier position has older accounts beside newer ones:
the newer ones count, and those that begin inside them, or beyond them, are of the earlier reading.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.runtimes.kafka.comparing import Difference
from schemas.types import AccountOf

Letters = Mapping[str, int]

KIND = "accounts"


class Written(NamedTuple):
    """An account, and when it was written to its topic, epoch milliseconds."""

    row: AccountOf
    at: int


class Bounds(NamedTuple):
    """From when on what accounts count is compared, epoch milliseconds."""

    events: float = -math.inf
    letters: float = -math.inf


ALL = Bounds()


@dataclass(slots=True)
class Counted:
    """What accounts count of the rows that are compared: surely, and at the most.

    Rows of a batch that was under way when it began, or while it is compared, may be there or not.
    """

    least_events: int = 0
    most_events: int = 0
    least_letters: Counter[str] = field(default_factory=Counter)
    most_letters: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counted) -> None:
        """Count the other's, too."""
        self.least_events += other.least_events
        self.most_events += other.most_events
        self.least_letters.update(other.least_letters)
        self.most_letters.update(other.most_letters)


@dataclass(slots=True)
class Chain:
    """What the accounts of one raw partition come to.

    Attributes:
        start, end: the positions that they reach from and to.
        accounts: how many count.
        superseded: how many are of an earlier reading.
        unread: positions behind the last account; None: the topic is not there.
        again: positions that are being read once more.
        missing: positions that no account tells of.
        differences: what is wrong.
        remarks: what is worth knowing, and not wrong.
    """

    topic: str
    partition: int
    start: int = 0
    end: int = 0
    accounts: int = 0
    superseded: int = 0
    records: int = 0
    redelivered: int = 0
    lost: int = 0
    items: int = 0
    events: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    unread: int | None = None
    again: int = 0
    missing: int = 0
    counted: Counted = field(default_factory=Counted)
    differences: list[Difference] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        """The partition, as it is written."""
        return f"{self.topic}[{self.partition}]"

    def say(self, what: str, at: int | None, why: str) -> None:
        """Something is wrong; ``at`` is when the account was written that shows it."""
        self.differences.append(Difference(what, KIND, "", at, self.topic, "", self.place, why))


def chained(
    topic: str,
    partition: int,
    accounts: Iterable[Written],
    committed: int | None = None,
    ends: tuple[int, int] | None = None,
    bounds: Bounds = ALL,
) -> Chain:
    """Follow the accounts of one raw partition.

    Args:
        accounts: in order of their start, of each start the last one written.
        committed: up to where the partition was read when the comparison began; None: not known.
        ends: first position of the partition, and the one behind its last; None: it is not there.
    """
    found = _Following(Chain(topic, partition), committed, bounds)
    for account in accounts:
        found.take(account)
    chain = found.chain
    if ends is not None:
        _hold_against(chain, committed, *ends)
    return chain


class _Following:
    """How far a chain has been followed."""

    def __init__(self, chain: Chain, committed: int | None, bounds: Bounds) -> None:
        self.chain, self._committed, self._bounds = chain, committed, bounds
        self._before: Written | None = None

    def take(self, account: Written) -> None:
        """The next account."""
        chain, before, row = self.chain, self._before, account.row
        if before is None:
            chain.start = chain.end = row.start
        elif account.at < before.at and (row.start < chain.end or self._read_again(chain.end)):
            chain.superseded += 1
            if self._read_again(chain.end):
                chain.again = max(chain.again, row.end - chain.end)
            self._count(account, sure=False)
            return
        elif row.start < chain.end:
            positions = _positions(row.start, min(row.end, chain.end))
            chain.say("surplus", account.at, f"{positions} are in two accounts")
        elif row.start > chain.end:
            chain.missing += row.start - chain.end
            positions = _positions(chain.end, row.start)
            chain.say("missing", account.at, f"{positions} are in no account")
        sure = self._committed is None or row.end <= self._committed
        self._count(account, sure)
        self._sum(account)
        self._before = account
        chain.end = max(chain.end, row.end)

    def _read_again(self, position: int) -> bool:
        """Whether the partition is being read once more and has come to here."""
        return self._committed is not None and position >= self._committed

    def _sum(self, account: Written) -> None:
        chain, row = self.chain, account.row
        chain.accounts += 1
        chain.records += row.records
        chain.redelivered += row.redelivered
        chain.items += row.items
        chain.events += row.events
        chain.filtered.update(row.filtered)
        chain.dead_letters.update(row.dead_letters)
        if row.lost:
            chain.lost += row.lost
            why = f"{row.lost:,} positions from {row.start:,} on were deleted from the topic unread"
            chain.say("lost", account.at, why)
        filtered, letters = sum(row.filtered.values()), sum(row.dead_letters.values())
        if row.items != row.events + filtered + letters:
            why = (
                f"{_positions(row.start, row.end)}: {row.items:,} items are not {row.events:,} "
                f"events, {filtered:,} filtered and {letters:,} dead letters"
            )
            chain.say("unbalanced", account.at, why)

    def _count(self, account: Written, sure: bool) -> None:
        """What the account says of rows that are compared."""
        counted, before, row = self.chain.counted, self._before, account.row

        def whole(bound: float) -> bool:
            # What came of a batch was written after what came of the one before.
            return bound == -math.inf or (before is not None and before.at >= bound)

        if account.at >= self._bounds.events:
            counted.most_events += row.events
            if sure and whole(self._bounds.events):
                counted.least_events += row.events
        if account.at >= self._bounds.letters:
            counted.most_letters.update(row.dead_letters)
            if sure and whole(self._bounds.letters):
                counted.least_letters.update(row.dead_letters)


def _hold_against(chain: Chain, committed: int | None, low: int, high: int) -> None:
    """What the partition itself says."""
    if not chain.accounts:
        chain.start = chain.end = low
    elif chain.end > high:
        positions = _positions(high, chain.end)
        why = f"{positions} are in accounts, and not in the topic: was it made anew?"
        chain.say("surplus", None, why)
    elif chain.start > low:
        chain.missing += chain.start - low
        why = f"{_positions(low, chain.start)} are in no account: the first is behind them"
        chain.say("missing", None, why)
    if committed is not None and chain.end < committed:
        chain.remarks.append(
            f"{chain.place}: {_positions(chain.end, committed)} were passed without an account: "
            "they hold no records (but markers of transactions), or an account is missing"
        )
    chain.unread = max(0, high - max(chain.end, committed or 0))


def _positions(start: int, end: int) -> str:
    return f"positions {start:,} up to {end:,}"
