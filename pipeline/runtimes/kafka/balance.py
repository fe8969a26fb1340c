"""What accounts count, held against what topics hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from pipeline.errors import Reason
from pipeline.runtimes.kafka.answers import ANSWERING
from pipeline.runtimes.kafka.chains import Bounds, Chain, Counted, Written, chained
from pipeline.runtimes.kafka.comparing import Difference
from pipeline.runtimes.kafka.sides import Offsets, scratch
from schemas.types import AccountOf, columns, row_of

_TABLE: Final = """
CREATE TABLE accounts (
    topic, partition, start, at, said, PRIMARY KEY (topic, partition, start)
) WITHOUT ROWID"""


_APART: Final = {
    **dict.fromkeys(ANSWERING, "about records in our own topics: in no account"),
    Reason.RESOLVED: "by replays: counted under what they were before",
}


class Sum(NamedTuple):
    """What accounts count of one kind of row, and what there is of it in its topic.

    Attributes:
        name: of what: ``events``, or ``dead letters`` and their reason.
        least, most: what accounts count: surely, and with batches that were under way; None: they
            do not count these.
        rows, ids: what the topic holds of them.
        remark: what is worth knowing, and not wrong.
        fault: what is wrong; or empty.
    """

    name: str
    least: int | None
    most: int | None
    rows: int
    ids: int
    remark: str = ""
    fault: str = ""

    @property
    def duplicates(self) -> int | None:
        """How many of those counted were there before; None: not to be told."""
        if self.most is None or self.most != self.least or self.fault:
            return None
        return max(0, self.most - self.ids)


class Books:
    """The accounts that there are, in a temporary file. Methods raise `sqlite3.Error`."""

    def __init__(self, path: Path) -> None:
        self._db = scratch(path, _TABLE)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def enter(self, several: Sequence[Written]) -> None:
        """Take accounts; of one start the one written last counts."""
        if not several:
            return
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET at = excluded.at, said = excluded.said WHERE excluded.at >= at",
            (
                (row.topic, row.partition, row.start, at, orjson.dumps(columns(row)))
                for row, at in several
            ),
        )
        self._db.execute("COMMIT")

    def strike(self, name: str) -> None:
        """An account was taken back: ``TOPIC:PARTITION:START``."""
        self._db.execute(
            "DELETE FROM accounts WHERE topic || ':' || partition || ':' || start = ?", (name,)
        )

    def chains(
        self,
        committed: Offsets,
        ends: Mapping[tuple[str, int], tuple[int, int]],
        bounds: Bounds,
    ) -> Iterator[Chain]:
        """The chain of each raw partition, those without an account too.

        Args:
            committed: how far raw partitions were read when the comparison began.
            ends: first position, and the one behind the last, of those there are.
        """
        found = self._db.execute("SELECT * FROM accounts ORDER BY topic, partition, start")
        seen = set()
        for place, rows in groupby(found, key=lambda row: (row[0], row[1])):
            seen.add(place)
            several = (Written(row_of(AccountOf, orjson.loads(said)), at) for *_, at, said in rows)
            yield chained(*place, several, committed.get(place), ends.get(place), bounds)
        for place in sorted(ends.keys() - seen):
            yield chained(*place, (), committed.get(place), ends[place], bounds)


def sums(
    counted: Counted,
    missing: int,
    events: tuple[int, int],
    letters: Mapping[str, tuple[int, int]],
    bounds: Bounds,
) -> Iterator[Sum]:
    """Hold what accounts count against rows and ids in the topics.

    Args:
        missing: positions that no account tells of: what they led to is not counted.
        events: rows and ids.
        letters: the same of dead letters, by reason.
        bounds: from when on the topics hold all there was.
    """
    yield _sum("events", counted.least_events, counted.most_events, events, missing, bounds.events)
    for reason in sorted({*letters, *counted.most_letters}):
        name, found = f"dead letters: {reason}", letters.get(reason, (0, 0))
        if reason in _APART:
            yield Sum(name, None, None, *found, _APART[reason])
        else:
            least, most = counted.least_letters[reason], counted.most_letters[reason]
            yield _sum(name, least, most, found, missing, bounds.letters)


def _sum(
    name: str, least: int, most: int, found: tuple[int, int], missing: int, since: float
) -> Sum:
    rows, ids = found
    fault = ""
    remarks = []
    if rows < least:
        fault = f"{least - rows:,} fewer rows than accounts count"
    elif ids > most and not missing:
        fault = f"{ids - most:,} more ids than accounts count"
    elif rows > most and not missing:
        remarks.append(
            f"{rows - most:,} more rows than accounts count: raw records were read again, or "
            "somebody else writes to the topic"
        )
    if missing:
        remarks.append("accounts are missing")
    if least < most:
        remarks.append(f"{most - least:,} of those counted were under way")
    if since != -math.inf:
        remarks.append("the topic has lost its beginning: compared from there on")
    return Sum(name, least, most, rows, ids, "; ".join(remarks), fault)


def faults(found: Iterable[Sum]) -> Iterator[Difference]:
    """The sums that are wrong, as differences."""
    for one in found:
        if one.fault:
            yield Difference("unbalanced", one.name, why=one.fault)


def total(chains: Iterable[Chain]) -> Counted:
    """What all chains count."""
    out = Counted()
    for chain in chains:
        out.add(chain.counted)
    return out
