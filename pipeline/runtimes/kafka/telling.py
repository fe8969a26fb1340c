"""A topic of rows read whole into one side of a comparison, and what it holds of all there was."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pipeline.runtimes.kafka.answers import ANSWERING, Answers, Unreadable
from pipeline.runtimes.kafka.balance import Books
from pipeline.runtimes.kafka.chains import Written
from pipeline.runtimes.kafka.kinds import Kind, id_taken_back, reader
from pipeline.runtimes.kafka.sides import Offsets, Sides, Told
from schemas.indices import DAY_MS
from schemas.types import AccountOf, row_of
from schemas.wire import Decode, Undecodable

_AT_ONCE: Final = 5_000


class Held(NamedTuple):
    """What a topic holds.

    Attributes:
        topic: its full name.
        rows: those that can be read.
        unreadable: records that are no rows.
        behind: rows that the index is not committed behind.
        since: it holds all that was written to it from then on, epoch milliseconds.
    """

    topic: str
    rows: int
    unreadable: int
    behind: int
    since: float


class Telling:
    """Takes a topic's records, for one kind of row or several.

    Args:
        several: kinds, all of the same topic and columns, each with its side.
        compacted: a record without a value takes back what has its key.
        committed: how far the index is.
        answers: is told of records that are no rows, and of dead letters about such.
        books: is given accounts.
    """

    def __init__(
        self,
        topic: str,
        several: Sequence[tuple[Kind, Sides]],
        decode: Decode,
        compacted: bool,
        committed: Offsets,
        answers: Answers,
        books: Books,
    ) -> None:
        self._topic, self._several, self._compacted = topic, several, compacted
        self._committed, self._answers, self._books = committed, answers, books
        kind = several[0][0]
        self._read = reader(kind, decode)
        self._columns = kind.columns
        self._accounts = not kind.columns
        self._told: list[list[Told]] = [[] for _ in several]
        self._written: list[Written] = []
        self._first: dict[int, int] = {}
        self.rows = self.unreadable = self.behind = 0

    def take(self, message: Any) -> None:
        """The next record. Raises `RegistryAway`, and `sqlite3.Error`."""
        partition, offset, value = message.partition(), message.offset(), message.value()
        carried = message.timestamp()[1]
        self._first.setdefault(partition, carried)
        waiting = offset >= self._committed.get((self._topic, partition), 0)
        self.behind += waiting
        if value is None and self._compacted:
            self._take_back(message.key(), partition, offset, carried)
        try:
            row = self._read(value or b"")
        except Undecodable as error:
            self.unreadable += 1
            if not waiting:
                found = Unreadable(f"{self._topic}[{partition}]", offset, carried, str(error))
                self._answers.ask(self._topic, found)
            return
        self.rows += 1
        where = partition, offset, carried, waiting
        for told, (kind, _) in zip(self._told, self._several, strict=True):
            told.append(Told(*kind.told(row, carried), *where))
        if self._accounts:
            self._written.append(Written(row_of(AccountOf, row[0]), carried))
        elif "reason" in self._columns and row[2] in ANSWERING:
            self._answers.answer(row[0], row[4], row[5])
        if len(self._told[0]) >= _AT_ONCE:
            self.flush()

    def _take_back(self, key: bytes | None, partition: int, offset: int, carried: int) -> None:
        id_ = id_taken_back(self._several[0][0], key)
        for told in self._told:
            told.append(Told(id_, None, None, "", "", partition, offset, carried, False))
        if self._accounts:
            self._enter()
            self._books.strike(str(id_))

    def flush(self) -> None:
        """Write down what was taken. Raises `sqlite3.Error`."""
        for told, (_, side) in zip(self._told, self._several, strict=True):
            side.tell(told)
            told.clear()
        self._enter()

    def _enter(self) -> None:
        self._books.enter(self._written)
        self._written.clear()

    def held(self, lows: Mapping[int, int], retention_days: int) -> Held:
        """What the topic holds, after all of it was taken.

        Args:
            lows: by partition, the first position there is by now.
            retention_days: what was written in the last so many days was not deleted.
        """
        since = -math.inf
        for partition, low in lows.items():
            if low > 0:
                # Records are deleted from the beginning, in the order in which they were written.
                emptied = int(time.time() * 1000) - retention_days * DAY_MS
                since = max(since, self._first.get(partition, emptied))
        return Held(self._topic, self.rows, self.unreadable, self.behind, since)
