"""Dead letters that answer for what is not in the index: rows that are none, documents refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.errors import Reason
from pipeline.runtimes.kafka.foreign import refused_id
from pipeline.runtimes.kafka.sides import Id, Told, scratch

ANSWERING: Final = (Reason.FOREIGN.value, Reason.REFUSED.value)
"""Reasons of dead letters that are about records of our own topics."""


class Unreadable(NamedTuple):
    """A record in a topic of ours that is no row of its schema."""

    place: str
    offset: int
    carried: int
    why: str


class Answers:
    """Those dead letters, and what is to be answered for, in a temporary file. Methods raise
    `sqlite3.Error`."""

    def __init__(self, path: Path) -> None:
        self._db = scratch(
            path,
            "CREATE TABLE answers (id BLOB PRIMARY KEY) WITHOUT ROWID",
            "CREATE TABLE places (place, position, PRIMARY KEY (place, position)) WITHOUT ROWID",
            "CREATE TABLE unreadable (topic, place, position, carried, why)",
        )

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def answer(self, id_: Id, carrier: str, position: int) -> None:
        """A dead letter that answers for the record of that place."""
        self._db.execute("INSERT OR IGNORE INTO answers VALUES (?)", (id_,))
        self._db.execute("INSERT OR IGNORE INTO places VALUES (?, ?)", (carrier, position))

    def ask(self, topic: str, found: Unreadable) -> None:
        """A record that has to be answered for."""
        self._db.execute("INSERT INTO unreadable VALUES (?, ?, ?, ?, ?)", (topic, *found))

    def refused(self, topic: str, row: Told) -> bool:
        """Whether a dead letter says that OpenSearch did not take the row's document."""
        place = f"{topic}[{row.partition}]"
        if self._has("places WHERE place = ? AND position = ?", place, row.offset):
            return True
        # One of an event says where the event's own record stood.
        known = isinstance(row.id, bytes) and refused_id(row.id)
        return bool(known) and self._has("answers WHERE id = ?", known)

    def unreadable(self, topic: str) -> int:
        """How many records of a topic are no rows."""
        sql = "SELECT count(*) FROM unreadable WHERE topic = ?"
        found: int = self._db.execute(sql, (topic,)).fetchone()[0]
        return found

    def unanswered(self, topics: Iterable[str], since: float) -> Iterator[tuple[str, Unreadable]]:
        """Topics and records without a dead letter, carried since then."""
        sql = (
            "SELECT place, position, carried, why FROM unreadable WHERE topic = ? AND carried >= ? "
            "AND NOT EXISTS (SELECT 1 FROM places WHERE places.place = unreadable.place "
            "AND places.position = unreadable.position) ORDER BY place, position"
        )
        for topic in topics:
            for row in self._db.execute(sql, (topic, since)):
                yield topic, Unreadable(*row)

    def _has(self, where: str, *values: object) -> bool:
        found = self._db.execute(f"SELECT 1 FROM {where}", values).fetchone()
        return found is not None
