"""Retention in the embedded store: months of a class are removed by and by.

Some thousand events go in one transaction, and in the same one stands the event that records them:
whenever it is killed, what is recorded is what is gone, and whoever comes next goes on. A run may
be writing meanwhile.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pipeline.errors import StoreError
from pipeline.retention.holds import covering, holds
from pipeline.retention.planning import Unit, Verdict
from pipeline.retention.records import Removal, Who, removed
from pipeline.retention.stores import Clock, Removed, Withheld
from pipeline.retention.terms import Period, period
from pipeline.sinks.sqlite import event_values, words_of
from pipeline.sinks.sqlite_file import connect, failure, transaction
from pipeline.sinks.sqlite_schema import EVENT_COLUMNS, OWN_EVENTS, WORDS, ascii_words
from schemas import indices
from schemas.types import Event

AT_ONCE: Final = 20_000
"""Events of one transaction: a second or two, in which nobody else can write."""
_PAUSE_S: Final = 0.12
"""Between two transactions. SQLite asks every 0.1 s whether it may write: a run that waits is next,
or it would give up after ten seconds."""

_ESTATES: Final = "leg <> '' OR access_path = 'support' OR class_uid = 6002"
"""What estate detectors look at; the partial indices of the schema are for the same."""
_DOOMED: Final = "seq IN (SELECT seq FROM doomed)"


class SqliteRetention:
    """The embedded store, as :class:`pipeline.retention.stores.Keeper` promises.

    Args:
        read_only: it is only to be planned.
        at_once: events of one transaction.

    Raises:
        StoreError: there is no such store, it is not ours, or cannot be used.
    """

    keeps: tuple[str, ...] = (
        "findings, dead letters and what was counted are kept for ever",
        "changes are worked out from events: of what is removed there are none any more",
    )

    def __init__(self, path: Path, *, read_only: bool, at_once: int = AT_ONCE) -> None:
        if not path.exists():
            raise StoreError(f"no store at {path}; `auditstream run --store {path}` makes one")
        self._path, self._at_once = path, at_once
        self._db = connect(path, read_only=read_only)
        self._db.row_factory = sqlite3.Row
        self._db.create_function("spelt", len(WORDS), _spelt, deterministic=True)
        if not read_only:
            with self._failing("written"):
                self._db.execute("CREATE TEMP TABLE doomed (seq INTEGER PRIMARY KEY)")

    def close(self) -> None:
        """Let go of the store."""
        self._db.close()

    @contextmanager
    def _failing(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise failure(self._path, verb, error) from error

    def own(self) -> list[Mapping[str, Any]]:
        """Events of ours, in order of (time, id)."""
        with self._failing("read"):
            return [dict(row) for row in self._db.execute(OWN_EVENTS)]

    # What there is.

    def units(self, now_ms: int) -> list[Unit]:
        """Every month of every class, and what is of a time before 1970 or after tomorrow."""
        with self._failing("read"):
            # One state of the store, while a run may be writing.
            self._db.execute("BEGIN")
            try:
                return [*self._months(now_ms), *self._undated(now_ms)]
            finally:
                self._db.execute("ROLLBACK")

    def _months(self, now_ms: int) -> Iterator[Unit]:
        at = self._next(1)
        while at is not None and at <= now_ms + indices.DAY_MS:
            month = indices.month(at)
            time = period(month)
            assert time is not None
            assert time.until is not None
            since, until = _within(time)
            until = min(until, now_ms + indices.DAY_MS + 1)
            yield from self._of(month, "time >= ? AND time < ?", since, until)
            at = self._next(time.until)

    def _next(self, since: int) -> int | None:
        sql = "SELECT min(time) FROM events WHERE time >= ?"
        found: int | None = self._db.execute(sql, (since,)).fetchone()[0]
        return found

    def _undated(self, now_ms: int) -> list[Unit]:
        found: dict[str, Unit] = {}
        for where, bound in (("time < ?", 1), ("time > ?", now_ms + indices.DAY_MS)):
            for unit in self._of(indices.UNDATED, where, bound):
                other = found.get(unit.retention)
                found[unit.retention] = _joined(other, unit) if other else unit
        return list(found.values())

    def _of(self, month: str, where: str, *bounds: int) -> Iterator[Unit]:
        sql = (
            "SELECT retention, count(*), min(time), max(time) FROM events "
            f"WHERE {where} GROUP BY retention"
        )
        for name, events, first, last in self._db.execute(sql, bounds).fetchall():
            yield Unit(f"{indices.EVENTS}-{name}-{month}", name, month, events, first, last)

    # What is done.

    def write(self, event: Event) -> None:
        """Keep an event of ours."""
        with self._failing("written"), transaction(self._db):
            self._insert(event)

    def _insert(self, event: Event) -> None:
        (lowest,) = self._db.execute("SELECT coalesce(min(seq), 0) FROM events").fetchone()
        number = min(lowest, 0) - 1
        marks = ",".join("?" * (len(EVENT_COLUMNS) + 1))
        kept = f"INSERT OR IGNORE INTO events VALUES ({marks})"
        if self._db.execute(kept, event_values(number, event)).rowcount:
            self._db.execute(
                "INSERT INTO words (rowid, text) VALUES (?, ?)", (number, words_of(event))
            )

    def remove(self, verdict: Verdict, who: Who, clock: Clock) -> Iterator[Removed]:
        """Remove a month of a class that is due, and record each part of it that goes at once."""
        unit, gone = verdict.unit, 0
        while True:
            with self._failing("written"), transaction(self._db):
                # In the transaction: whoever added a hold before it is heard.
                if found := covering(holds(self.own()), unit.retention, unit.month):
                    raise Withheld(found)
                part = self._part(verdict)
                if part is None:
                    return
                self._delete()
                self._insert(removed(part, who, clock()))
            gone += part.events
            yield Removed(unit.name, gone, max(gone, unit.events))
            time.sleep(_PAUSE_S)

    def _part(self, verdict: Verdict) -> Removal | None:
        """Choose what goes next; None: nothing is left."""
        unit, db = verdict.unit, self._db
        month = period(unit.month)
        assert month is not None
        db.execute("DELETE FROM doomed")
        db.execute(
            "INSERT INTO doomed SELECT seq FROM events WHERE time >= ? AND time < ? "
            "AND retention = ? AND seq >= 0 ORDER BY time, id LIMIT ?",
            (*_within(month), unit.retention, self._at_once),
        )
        sql = (
            "SELECT count(*), min(time), max(time), min(id), max(id), "
            f"max(CASE WHEN {_ESTATES} THEN time END) FROM events WHERE {_DOOMED}"
        )
        events, first, last, lowest, highest, estates = db.execute(sql).fetchone()
        if not events:
            return None
        identity = (lowest, highest, str(events).encode())
        days = verdict.days or 0
        of = unit.name, unit.retention, unit.month
        return Removal(*of, events, first, last, days, identity, estates)

    def _delete(self) -> None:
        # A contentless index has to be told what it holds.
        self._db.execute(
            "INSERT INTO words (words, rowid, text) "
            f"SELECT 'delete', seq, spelt({','.join(WORDS)}) FROM events WHERE {_DOOMED}"
        )
        self._db.execute(f"DELETE FROM events WHERE {_DOOMED}")

    def settle(self, verdicts: Sequence[Verdict], who: Who, clock: Clock) -> list[str]:  # noqa: ARG002  # as of every store
        """Nothing is ever left behind."""
        return []


def _spelt(*words: str) -> str:
    return ascii_words(" ".join(words))


def _within(month: Period) -> tuple[int, int]:
    """A month's bounds, without the time 0: of that is what has no date."""
    assert month.since is not None
    assert month.until is not None
    return max(month.since, 1), month.until


def _joined(one: Unit, other: Unit) -> Unit:
    first, last = min(one.first, other.first), max(one.last, other.last)
    events = one.events + other.events
    return Unit(one.name, one.retention, one.month, events, first, last)
