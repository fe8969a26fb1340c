"""The embedded store beside what its records are read as today: what differs, in a table.

The store is ``main``, the scratch store ``fresh``, and ``items`` has a row for whatever one of them
holds and the other does not, or not so:

    kind    event or letter
    op      new, changed or gone
    lane, position    the record it is of: its stream's number, and where it stands
    state   apply, or why not: `unread` (not taken in by the store yet, or here no more), `outside`
            (of what was asked for), `held`, `removed`, `kept` (topics take nothing back)

All of it is seen in one transaction: a run may be writing meanwhile, or waits if we are to write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import merge
from operator import itemgetter
from os import close as close_file
from pathlib import Path
from typing import Any, Final

import orjson

from pipeline.errors import StoreError
from pipeline.sinks.sqlite import SqliteStore, StreamRow, locked
from pipeline.sinks.sqlite_file import connect, failure
from pipeline.sinks.sqlite_schema import DEAD_LETTER_COLUMNS, EVENT_COLUMNS, OWN_EVENTS
from schemas.types import Event

Row = dict[str, Any]

ITEMS: Final = """
CREATE TEMP TABLE items (
    kind TEXT NOT NULL, id BLOB NOT NULL, op TEXT NOT NULL, time INTEGER NOT NULL,
    lane INTEGER NOT NULL, position INTEGER NOT NULL, retention TEXT NOT NULL, reason TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'apply', PRIMARY KEY (kind, id, op)) WITHOUT ROWID;
CREATE INDEX temp.items_by_place ON items (lane, position)
"""
SIMPLE: Final = EVENT_COLUMNS[: EVENT_COLUMNS.index("blind_spots")]
COMPARED: Final = tuple(
    c for c in EVENT_COLUMNS if c not in ("time", "id", "ocsf", "carrier", "position", "late")
)
"""Columns that a record and the configuration alone decide."""
LETTER: Final = tuple(c for c in DEAD_LETTER_COLUMNS if c not in ("id", "carrier", "position"))
_PAGE: Final = 500
_SEEN: Final = "i.state IN ('apply', 'held', 'kept')"
_SINGLE: Final = (
    f"SELECT lane, position FROM temp.items i WHERE kind = 'event' AND op <> 'changed' AND {_SEEN} "
    "GROUP BY lane, position HAVING sum(op = 'new') = 1 AND sum(op = 'gone') = 1"
)
"""Records of which one event takes the place of one other."""
_OF_PLACE: Final = "{0}.lane = s.lane AND {0}.position = s.position AND {0}.kind = 'event'"
_SAME_EVENT: Final = "h.time = f.time AND h.id = f.id"


def columns(table: str, names: Iterable[str]) -> str:
    """Names of columns of a table, for a question."""
    return ", ".join(f"{table}.{name}" for name in names)


def differs(names: Iterable[str]) -> str:
    """The condition that ``h`` and ``f`` differ in one of these columns."""
    return " OR ".join(f"h.{name} IS NOT f.{name}" for name in names)


class SqliteReplay:
    """A store, beside which a scratch store is laid.

    Args:
        read_only: nothing is to be written; else no run may begin until it is closed.

    Raises:
        StoreError: from every method: there is no such store, it is not ours or cannot be used.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        if not path.exists():
            raise StoreError(f"no store at {path}; `auditstream run --store {path}` makes one")
        self.path, self.read_only = path, read_only
        # Before the lock file is made: beside what is no store of ours there is to be none.
        self.db = connect(path, read_only=read_only)
        # What differs may be more than memory holds.
        self.db.execute("PRAGMA temp_store = FILE")
        try:
            self._lock = None if read_only else locked(path)
        except BaseException:
            self.db.close()
            raise

    def close(self) -> None:
        """Let go of the store; what was not committed is gone."""
        self.db.close()
        if self._lock is not None:
            close_file(self._lock)

    @contextmanager
    def failing(self, verb: str) -> Iterator[None]:
        """Errors of SQLite, said as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise failure(self.path, verb, error) from error

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows of a question, by name of column."""
        with self.failing("read"):
            cursor = self.db.execute(sql, values)
            names = [column[0] for column in cursor.description]
            while rows := cursor.fetchmany(_PAGE):
                for row in rows:
                    yield dict(zip(names, row, strict=True))

    def do(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Carry out a statement."""
        with self.failing("used"):
            self.db.execute(sql, values)

    def function(self, name: str, arguments: int, function: Callable[..., Any]) -> None:
        """Let questions use a pure function of ours."""
        self.db.create_function(name, arguments, function, deterministic=True)

    # The store alone.

    def own(self) -> list[Row]:
        """Events of ours, in order of (time, id)."""
        return list(self.each(OWN_EVENTS.replace("events", "main.events")))

    def stream(self, key: bytes) -> StreamRow | None:
        """The row of a stream, or None."""
        for row in self.each("SELECT * FROM main.streams WHERE key = ?", (key,)):
            return StreamRow(**row)
        return None

    def knows_streams(self) -> bool:
        """Whether it says how far streams were read; a copy of another store does not."""
        return any(self.each("SELECT 1 AS one FROM main.streams WHERE position > 0 LIMIT 1"))

    # Beside the scratch store.

    def lay_beside(self, scratch: Path) -> None:
        """Open the scratch store, which nobody writes any more, and begin the one transaction."""
        self.function("says_the_same", 2, says_the_same)
        with self.failing("used"):
            uri = f"{scratch.absolute().as_uri()}?mode=ro&immutable=1"
            self.db.execute("ATTACH DATABASE ? AS fresh", (uri,))
            for statement in ITEMS.strip().split(";\n"):
                self.db.execute(statement)
            self.db.execute("BEGIN" if self.read_only else "BEGIN IMMEDIATE")

    def find_changed(self) -> None:
        """Note what both hold, and not alike."""
        self.do(
            "INSERT INTO temp.items (kind, id, op, time, lane, position, retention, reason) "
            "SELECT 'event', h.id, 'changed', h.time, p.lane, f.position, h.retention, '' "
            f"FROM fresh.events f CROSS JOIN main.events h ON {_SAME_EVENT} "
            "CROSS JOIN fresh.places p ON p.id = f.id "
            f"WHERE {differs(COMPARED)} OR NOT says_the_same(h.ocsf, f.ocsf)"
        )
        self.do(
            "INSERT INTO temp.items (kind, id, op, time, lane, position, retention, reason) "
            "SELECT 'letter', h.id, 'changed', h.time, p.lane, f.position, '', h.reason "
            "FROM fresh.dead_letters f CROSS JOIN main.dead_letters h ON h.id = f.id "
            f"CROSS JOIN fresh.places p ON p.id = f.id WHERE {differs(LETTER)}"
        )

    def find_new(self) -> None:
        """Note what only today's reading has."""
        self.do(
            "INSERT INTO temp.items (kind, id, op, time, lane, position, retention, reason) "
            "SELECT 'event', f.id, 'new', f.time, p.lane, f.position, f.retention, '' "
            "FROM fresh.events f CROSS JOIN fresh.places p ON p.id = f.id "
            f"WHERE NOT EXISTS (SELECT 1 FROM main.events h WHERE {_SAME_EVENT})"
        )
        self.do(
            "INSERT INTO temp.items (kind, id, op, time, lane, position, retention, reason) "
            "SELECT 'letter', f.id, 'new', f.time, p.lane, f.position, '', f.reason "
            "FROM fresh.dead_letters f CROSS JOIN fresh.places p ON p.id = f.id "
            "WHERE NOT EXISTS (SELECT 1 FROM main.dead_letters h WHERE h.id = f.id)"
        )

    def only_stored(self) -> Iterator[Row]:
        """Events that only the store has, as they came; ours are none of them."""
        names = "time", "id", "source", "cluster", "host", "carrier", "position", "retention", "raw"
        return self.each(
            f"SELECT {columns('h', names)} FROM main.events h WHERE seq >= 0 "
            f"AND NOT EXISTS (SELECT 1 FROM fresh.events f WHERE {_SAME_EVENT})"
        )

    def letters_only_stored(self) -> Iterator[Row]:
        """Dead letters that only the store has."""
        return self.each(
            "SELECT * FROM main.dead_letters h "
            "WHERE NOT EXISTS (SELECT 1 FROM fresh.dead_letters f WHERE f.id = h.id)"
        )

    def note_gone(self, kind: str, row: Row, lane: int) -> None:
        """Note what today's reading of its record has no more."""
        self.do(
            "INSERT INTO temp.items (kind, id, op, time, lane, position, retention, reason) "
            "VALUES (?, ?, 'gone', ?, ?, ?, ?, ?)",
            (kind, row["id"], row["time"], lane, row["position"], row.get("retention", ""),
             row.get("reason", "")),
        )  # fmt: skip

    def events_at(self, position: int) -> Sequence[tuple[int, bytes]]:
        """As :class:`pipeline.runtimes.replay.proving.Fresh` has it."""
        sql = (
            "SELECT p.lane, f.raw FROM fresh.events f CROSS JOIN fresh.places p ON p.id = f.id "
            "WHERE f.position = ?"
        )
        return [(row["lane"], row["raw"]) for row in self.each(sql, (position,))]

    def letters_at(self, position: int) -> Sequence[tuple[int, str]]:
        """As :class:`pipeline.runtimes.replay.proving.Fresh` has it."""
        sql = (
            "SELECT p.lane, f.digest FROM fresh.dead_letters f "
            "CROSS JOIN fresh.places p ON p.id = f.id WHERE f.position = ?"
        )
        return [(row["lane"], row["digest"]) for row in self.each(sql, (position,))]

    def held_lanes(self) -> set[int]:
        """Streams of which the store holds anything that today's reading has too, or had."""
        sql = (
            f"SELECT DISTINCT p.lane FROM fresh.events f CROSS JOIN main.events h ON {_SAME_EVENT} "
            "CROSS JOIN fresh.places p ON p.id = f.id UNION "
            "SELECT DISTINCT p.lane FROM main.dead_letters h CROSS JOIN fresh.places p "
            "ON p.id = h.id UNION SELECT lane FROM temp.items WHERE op = 'gone'"
        )
        return {row["lane"] for row in self.each(sql)}

    def positions_of(
        self, events: Iterable[tuple[int, bytes]], letters: Iterable[bytes]
    ) -> set[int]:
        """Where these stand that the store holds, by (time, id), and by id."""
        found: set[int] = set()
        for key in events:
            sql = "SELECT position FROM main.events WHERE time = ? AND id = ?"
            found.update(row["position"] for row in self.each(sql, key))
        for name in letters:
            sql = "SELECT position FROM main.dead_letters WHERE id = ?"
            found.update(row["position"] for row in self.each(sql, (name,)))
        return found

    def compared(self) -> tuple[int, int]:
        """How many events, and how many dead letters, both hold."""
        sql = f"SELECT count(*) AS n FROM fresh.events f CROSS JOIN main.events h ON {_SAME_EVENT}"
        of_letters = (
            "SELECT count(*) AS n FROM fresh.dead_letters f "
            "CROSS JOIN main.dead_letters h ON h.id = f.id"
        )
        return next(self.each(sql))["n"], next(self.each(of_letters))["n"]

    def both(self) -> Iterator[Row]:
        """What changes of events, or would but for a hold: `old.NAME` and `new.NAME` of what is
        compared, and of the time. One event in the place of another is a change too."""
        names = ("time", *COMPARED, "ocsf")
        old = ", ".join(f'h.{name} AS "old.{name}"' for name in names)
        new = ", ".join(f'f.{name} AS "new.{name}"' for name in names)
        yield from self.each(
            f"SELECT i.state, i.op, {old}, {new} FROM temp.items i "
            "CROSS JOIN main.events h ON h.time = i.time AND h.id = i.id "
            f"CROSS JOIN fresh.events f ON {_SAME_EVENT} WHERE i.kind = 'event' "
            f"AND i.op = 'changed' AND {_SEEN}"
        )
        yield from self.each(
            f"SELECT g.state, g.op, {old}, {new} FROM ({_SINGLE}) s "
            f"CROSS JOIN temp.items g ON {_OF_PLACE.format('g')} AND g.op = 'gone' "
            f"CROSS JOIN temp.items n ON {_OF_PLACE.format('n')} AND n.op = 'new' "
            "CROSS JOIN main.events h ON h.time = g.time AND h.id = g.id "
            "CROSS JOIN fresh.events f ON f.time = n.time AND f.id = n.id"
        )

    def examples(self, op: str, limit: int) -> list[Row]:
        """Some of the events that are to change so, in order of (time, id)."""
        names = "time", "id", "actor", "operation", "resource", "outcome", "carrier", "position"
        table = "fresh" if op == "new" else "main"
        return list(self.each(
            f"SELECT {columns('e', names)} FROM temp.items i CROSS JOIN {table}.events e "
            "ON e.time = i.time AND e.id = i.id WHERE i.kind = 'event' AND i.op = ? "
            "AND i.state = 'apply' ORDER BY i.time, i.id LIMIT ?", (op, limit),
        ))  # fmt: skip

    # As it will be.

    def versions(self) -> Iterator[tuple[Event | None, Event | None]]:
        """Each event that is to change: as it is, and as it will be, without documents."""
        stored = "main.events h ON h.time = i.time AND h.id = i.id"
        read = "fresh.events f ON f.time = i.time AND f.id = i.id"
        with self.failing("read"):
            for row in self.db.execute(
                f"SELECT i.op, {columns('h', SIMPLE)}, {columns('f', SIMPLE)} FROM temp.items i "
                f"LEFT JOIN {stored} LEFT JOIN {read} "
                "WHERE i.kind = 'event' AND i.state = 'apply'"
            ):
                op, old, new = row[0], row[1 : 1 + len(SIMPLE)], row[1 + len(SIMPLE) :]
                yield (
                    event_of(old) if op != "new" else None,
                    event_of(new) if op != "gone" else None,
                )

    @contextmanager
    def as_it_will_be(self) -> Iterator[AsItWillBe]:
        """The store with what is to be applied, to be read."""
        changing = "i.kind = 'event' AND i.state = 'apply'"
        plain = [name for name in EVENT_COLUMNS if name != "late"]
        late = "SELECT h.late FROM main.events h WHERE h.time = f.time AND h.id = f.id"
        self.do(
            f"CREATE TEMP VIEW events AS SELECT h.seq, {columns('h', EVENT_COLUMNS)} "
            "FROM main.events h WHERE NOT EXISTS (SELECT 1 FROM temp.items i "
            f"WHERE {changing} AND i.id = h.id AND i.op <> 'new') "
            f"UNION ALL SELECT f.seq, {columns('f', plain)}, coalesce(({late}), 0) "
            f"FROM temp.items i CROSS JOIN fresh.events f ON f.time = i.time AND f.id = i.id "
            f"WHERE {changing}"
        )
        try:
            yield AsItWillBe(self)
        finally:
            self.do("DROP VIEW temp.events")


class AsItWillBe(SqliteStore):
    """The store with what is to be applied, for those who read: nothing else may be called."""

    def __init__(self, store: SqliteReplay) -> None:
        self.path, self._db = store.path, store.db

    def wait(self) -> None:
        """Nothing is written behind anybody's back."""

    def in_time(self) -> Iterator[tuple[Any, ...]]:
        """:data:`SIMPLE` columns of what counters are to see, in order of (time, id).

        What came too late for them is not counted now either.
        """
        applied = "SELECT 1 FROM temp.items i WHERE i.kind = 'event' AND i.state = 'apply'"
        late = f"SELECT 1 FROM main.events h WHERE {_SAME_EVENT} AND h.late"
        # In the order of an index each: nobody could sort them all.
        stays = self._each(
            f"SELECT {columns('h', SIMPLE)} FROM main.events h WHERE +seq >= 0 AND NOT late "
            f"AND NOT EXISTS ({applied} AND i.id = h.id AND i.op <> 'new') ORDER BY time, id"
        )
        comes = self._each(
            f"SELECT {columns('f', SIMPLE)} FROM fresh.events f "
            f"WHERE EXISTS ({applied} AND i.id = f.id) AND NOT EXISTS ({late}) ORDER BY time, id"
        )
        return merge(stays, comes, key=itemgetter(SIMPLE.index("time"), SIMPLE.index("id")))

    def clusters(self) -> list[str]:
        """Labels of all that was read, and of what is to come."""
        comes = self._all(
            "SELECT DISTINCT f.cluster FROM temp.items i CROSS JOIN fresh.events f "
            "ON f.time = i.time AND f.id = i.id WHERE i.op = 'new' AND i.state = 'apply'"
        )
        return sorted({*super().clusters(), *(label for (label,) in comes)})

    def held(self, ids: Iterable[bytes]) -> set[bytes]:
        """Those of ``ids`` that the store holds as it is: what is missing, retention removed."""
        wanted = set(ids)
        found: set[bytes] = set()
        for one in wanted:
            sql = "SELECT id FROM main.events WHERE time = ? AND id = ?"
            found.update(i for (i,) in self._all(sql, (int.from_bytes(one[:6], "big"), one)))
        return found


def stated(document: bytes) -> dict[str, Any]:
    """An event's OCSF document, without how its record was carried."""
    said: dict[str, Any] = orjson.loads(document)
    said["auditstream"].pop("carriage", None)
    return said


def says_the_same(one: bytes, other: bytes) -> bool:
    """Whether two OCSF documents state the same, however their records were carried."""
    return one == other or stated(one) == stated(other)


def event_of(values: Sequence[Any]) -> Event:
    """An event from :data:`SIMPLE` columns."""
    named: Mapping[str, Any] = dict(zip(SIMPLE, values, strict=True))
    return Event(**{**named, "suspect": bool(named["suspect"])})
