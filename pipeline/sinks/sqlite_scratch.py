"""Scratch: a throw-away store of what records are read as today, and of which stream each is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.sinks.sqlite import SqliteStore


class Scratch(SqliteStore):
    """A new store, whose every event and dead letter has the number of its stream beside it.

    Raises:
        StoreError: as :class:`SqliteStore`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._give("CREATE TABLE places (id BLOB PRIMARY KEY, lane INTEGER NOT NULL) WITHOUT ROWID")
        # What is lost with the power is made again.
        self._give("PRAGMA synchronous = OFF")

    def place(self, ids: Iterable[bytes], lane: int) -> None:
        """Say of which stream these are; what is of several is of the first."""
        values = [value for i in ids for value in (i, lane)]
        self._insert("OR IGNORE INTO places", values, 2)

    def complete(self) -> None:
        """All is there: what was read at a position is soon asked for."""
        self._give("CREATE INDEX events_by_position ON events (position)")
        self._give("CREATE INDEX letters_by_position ON dead_letters (position)")
        self.wait()
