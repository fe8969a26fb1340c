"""The embedded store, written. One writer at a time; any number of readers beside it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from pipeline.errors import StoreError
from pipeline.retention.records import removals
from pipeline.sinks.behind import Behind
from pipeline.sinks.sqlite_file import connect, failure
from pipeline.sinks.sqlite_schema import (
    DEAD_LETTER_COLUMNS,
    EVENT_COLUMNS,
    FINDING_COLUMNS,
    LEGS,
    OWN_EVENTS,
    WORDS,
    ascii_words,
    keyed,
)
from pipeline.stages.detect import Key
from schemas.types import DeadLetter, Event, Finding

_ROWS = 300
_CACHED_STATE_BYTES = 16 * 1024 * 1024
"""Of detector states as JSON; as objects they take some four times as much."""
_BEFORE_ALL = -(2**63)
_SIMPLE = EVENT_COLUMNS[: EVENT_COLUMNS.index("blind_spots")]
_EVENT = attrgetter(*_SIMPLE)
_WORDS = attrgetter(*WORDS)


@dataclass(slots=True)
class StreamRow:
    """How far one stream has been read, and what is known at that point.

    Attributes:
        key: digest of source, cluster, host and origin.
        position: offset behind the last record taken.
        digest: of the bytes before ``position``; reading resumes only where it still matches.
        readers: names of the sources that were active.
        state: the stream's state, JSON.
        account: all that was counted in this stream, JSON.
        ending: what the end of a bounded input led to, JSON: undone when the file has grown.
    """

    key: bytes
    source: str
    cluster: str
    host: str
    carrier: str
    position: int
    digest: bytes
    readers: str
    state: bytes
    account: bytes
    ending: bytes


@lru_cache(maxsize=64)
def _insertion(into: str, columns: int, rows: int) -> str:
    row = f"({','.join('?' * columns)})"
    return f"INSERT {into} VALUES {','.join([row] * rows)}"


def event_values(number: int, event: Event) -> tuple[Any, ...]:
    """An event as a row of ``events``, under a number."""
    carriage = event.carriage
    return (
        number, *_EVENT(event), ",".join(event.blind_spots), event.ocsf, event.raw,
        carriage.carrier, carriage.position, carriage.late,
    )  # fmt: skip


def words_of(event: Event) -> str:
    """What full text finds an event by."""
    return ascii_words(" ".join(_WORDS(event)))


class SqliteStore:
    """The store while a run writes it.

    What is written is carried out behind the caller's back, in order; what is read waits for it.

    Raises:
        StoreError: from every method, where the disk is full, or the file broken or in use: the
            one at hand may be about something that was written before.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = locked(path)
        try:
            self._db = connect(path, read_only=False)
        except BaseException:
            os.close(self._lock)
            raise
        self._behind = Behind(self._db)
        self._next = self._one("SELECT coalesce(max(seq), 0) + 1 FROM events")
        # Our own events are newer than what is read, and are read by nobody twice.
        latest = "SELECT time FROM events WHERE +seq >= 0 ORDER BY time DESC LIMIT 1"
        self._latest = self._one(f"SELECT coalesce(({latest}), {_BEFORE_ALL})")
        self._states: dict[Key, dict[str, Any]] = {}
        self._sizes: dict[Key, int] = {}
        self._dirty: set[Key] = set()

    def close(self) -> None:
        """Close the store; what was not committed is gone."""
        self._behind.close()
        self._db.close()
        os.close(self._lock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept together, or not at all; soon after the end."""
        try:
            self._give("BEGIN IMMEDIATE")
            yield
            self._save_states()
            self._give("COMMIT")
        except BaseException:
            self._behind.roll_back()
            raise

    def wait(self) -> None:
        """Return when all that was written is carried out."""
        try:
            self._behind.wait()
        except sqlite3.Error as error:
            raise failure(self.path, "written", error) from error

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        self.wait()
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise failure(self.path, "used", error) from error

    def _each(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Rows, some at a time. Nothing is to be written before the last of them."""
        self.wait()
        try:
            cursor = self._db.execute(sql)
            while rows := cursor.fetchmany(_ROWS):
                yield from rows
        except sqlite3.Error as error:
            raise failure(self.path, "used", error) from error

    def _one(self, sql: str) -> int:
        ((value,),) = self._all(sql)
        return int(value)

    def _give(self, sql: str, values: Sequence[Any] = ()) -> None:
        try:
            self._behind.give(sql, values)
        except sqlite3.Error as error:
            raise failure(self.path, "written", error) from error

    def _known(self, events: Sequence[Event]) -> set[bytes]:
        """Ids of ``events`` that the store holds already."""
        found: set[bytes] = set()
        # Nothing later than all that is there can be there: most of a log read forward.
        asked = [e for e in events if e.time <= self._latest]
        for start in range(0, len(asked), _ROWS):
            part = asked[start : start + _ROWS]
            values = [v for e in part for v in (e.time, e.id)]
            found.update(i for (i,) in self._all(keyed(len(part)), values))
        return found

    def fresh(self, events: Iterable[Event]) -> list[Event]:
        """Events that the store does not hold, each once: of one id, as in the store, the first."""
        first: dict[bytes, Event] = {}
        for event in events:
            first.setdefault(event.id, event)
        known = self._known(list(first.values()))
        return [event for name, event in first.items() if name not in known]

    def held(self, ids: Iterable[bytes]) -> set[bytes]:
        """Those of ``ids`` of events that the store holds. An id begins with its event's time."""
        found: set[bytes] = set()
        asked = sorted(set(ids))
        for start in range(0, len(asked), _ROWS):
            part = asked[start : start + _ROWS]
            values = [v for i in part for v in (int.from_bytes(i[:6], "big"), i)]
            found.update(i for (i,) in self._all(keyed(len(part)), values))
        return found

    def known_dead_letters(self, letters: Sequence[DeadLetter]) -> set[bytes]:
        """Ids of ``letters`` that the store holds already."""
        found: set[bytes] = set()
        for start in range(0, len(letters), _ROWS):
            ids = [d.id for d in letters[start : start + _ROWS]]
            marks = ",".join("?" * len(ids))
            rows = self._all(f"SELECT id FROM dead_letters WHERE id IN ({marks})", ids)
            found.update(i for (i,) in rows)
        return found

    def write_events(self, events: Sequence[Event]) -> None:
        """Insert events that are new."""
        rows: list[Any] = []
        words: list[Any] = []
        number = self._next
        for event in events:
            rows += event_values(number, event)
            words += number, words_of(event)
            number += 1
        self._next = number
        self._latest = max(self._latest, max((e.time for e in events), default=self._latest))
        self._insert("INTO events", rows, len(EVENT_COLUMNS) + 1)
        self._insert("INTO words (rowid, text)", words, 2)

    def _insert(self, into: str, values: list[Any], columns: int) -> None:
        """Insert rows, many a statement: SQLite then works long without the interpreter's lock."""
        size = _ROWS * columns
        for start in range(0, len(values), size):
            part = values[start : start + size]
            self._give(_insertion(into, columns, len(part) // columns), part)

    def write_findings(self, findings: Iterable[Finding]) -> None:
        """Insert versions of findings; a version that is there stays."""
        values = [getattr(f, c) for f in findings for c in FINDING_COLUMNS]
        joined = [b"".join(v) if isinstance(v, tuple) else v for v in values]
        self._insert("OR IGNORE INTO findings", joined, len(FINDING_COLUMNS))

    def write_dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Insert dead letters; one that is there stays."""
        values = [getattr(d, c) for d in letters for c in DEAD_LETTER_COLUMNS]
        self._insert("OR IGNORE INTO dead_letters", values, len(DEAD_LETTER_COLUMNS))

    def delete_dead_letters(self, ids: Iterable[bytes]) -> None:
        """Take back dead letters of an input's end that was not its end."""
        for i in ids:
            self._give("DELETE FROM dead_letters WHERE id = ?", (i,))

    def delete_events(self, keys: Iterable[tuple[int, bytes]]) -> list[Event]:
        """Take back events, by (time, id), of an input's end that was not its end.

        Returns them, without documents and carriage.
        """
        gone = []
        sql = f"SELECT seq, {','.join(_SIMPLE)} FROM events WHERE time = ? AND id = ?"
        for key in keys:
            for seq, *columns in self._all(sql, key):
                event = Event(**dict(zip(_SIMPLE, columns, strict=True)))
                # A contentless index has to be told what it holds.
                words = (seq, words_of(event))
                self._give("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", words)
                self._give("DELETE FROM events WHERE seq = ?", (seq,))
                gone.append(event)
        return gone

    def stream(self, key: bytes) -> StreamRow | None:
        """The row of a stream, or None."""
        rows = self._all("SELECT * FROM streams WHERE key = ?", (key,))
        return StreamRow(*rows[0]) if rows else None

    def accounts(self) -> list[bytes]:
        """What was counted in each stream, JSON."""
        return [account for (account,) in self._all("SELECT account FROM streams")]

    def legs(self) -> Iterator[tuple[str, bytes]]:
        """Cluster and OCSF document of what may be part of a change, by cluster and time.

        Nothing is to be written before the last is taken.
        """
        return self._each(LEGS)

    def lifecycle(self) -> Iterator[tuple[str, bytes]]:
        """Cluster and OCSF document of what brokers say of their own life, as :meth:`legs`."""
        return self._each(
            "SELECT cluster, ocsf FROM events WHERE class_uid = 6002 ORDER BY cluster, time, id"
        )

    def support(self) -> Iterator[tuple[str, str, str, bytes]]:
        """Cluster, resource type, resource and OCSF document of what is on the support path, in
        order of cluster and time, as :meth:`legs`."""
        return self._each(
            "SELECT cluster, resource_type, resource, ocsf FROM events "
            "WHERE access_path = 'support' ORDER BY cluster, time, id"
        )

    def clusters(self) -> list[str]:
        """Labels of all that was read."""
        return [label for (label,) in self._all("SELECT DISTINCT cluster FROM streams")]

    def newest(self) -> dict[str, int]:
        """By cluster, the time of the newest event that no client can have forged, epoch
        milliseconds."""
        newest: dict[str, int] = {}
        for cluster in self.clusters():
            # From the newest of all backwards: a table of millions is not read for a few labels.
            sql = "SELECT time FROM events WHERE cluster = ? AND NOT suspect"
            rows = self._all(f"{sql} ORDER BY time DESC, id DESC LIMIT 1", (cluster,))
            newest.update((cluster, time) for (time,) in rows)
        return newest

    def said(self, detector: str) -> list[Finding]:
        """The last version of each finding of a detector."""
        rows = self._all(
            f"SELECT {','.join(FINDING_COLUMNS)} FROM findings AS f WHERE detector = ? "
            "AND version = (SELECT max(version) FROM findings AS o WHERE o.id = f.id)",
            (detector,),
        )
        return [_finding(dict(zip(FINDING_COLUMNS, row, strict=True))) for row in rows]

    def write_stream(self, row: StreamRow) -> None:
        """Insert or replace a stream's row."""
        values = [getattr(row, name) for name in StreamRow.__slots__]
        self._insert("OR REPLACE INTO streams", values, len(values))

    def state_of(self, key: Key) -> dict[str, Any]:
        """A detector's state of one key, to be changed in place; {} where there is none."""
        state = self._states.get(key)
        if state is None:
            sql = "SELECT state FROM detector_state WHERE detector = ? AND cluster = ? AND key = ?"
            rows = self._all(sql, key)
            state = self._states[key] = orjson.loads(rows[0][0]) if rows else {}
        return state

    def touch(self, keys: Iterable[Key]) -> None:
        """These keys' states are written with the transaction."""
        self._dirty.update(keys)

    def _save_states(self) -> None:
        rows = [(*key, orjson.dumps(self._states[key], default=list)) for key in self._dirty]
        self._insert("OR REPLACE INTO detector_state", [v for row in rows for v in row], 4)
        self._dirty.clear()
        self._sizes.update({row[:3]: len(row[3]) for row in rows})
        if sum(self._sizes.values()) > _CACHED_STATE_BYTES:
            self._states.clear()
            self._sizes.clear()

    def settled(self) -> int:
        """Findings in the settled view."""
        return self._one(
            "SELECT count(*) FROM findings AS f WHERE status = 'open' AND version = "
            "(SELECT max(version) FROM findings AS o WHERE o.id = f.id)"
        )

    def count(self, table: str) -> int:
        """Rows in ``table``."""
        return self._one(f"SELECT count(*) FROM {table}")

    def taken(self) -> int:
        """Events that were taken in and are there; ours are none of them."""
        # So the whole is counted in an index, and not in the table.
        own = "SELECT count(*) FROM events WHERE seq < 0"
        return self._one(f"SELECT count(*) - ({own}) FROM events")

    def removals(self) -> list[dict[str, Any]]:
        """What retention removed, as :func:`pipeline.retention.records.removals` has it."""
        names = "seq", *EVENT_COLUMNS
        return removals(dict(zip(names, row, strict=True)) for row in self._all(OWN_EVENTS))


def _finding(row: dict[str, Any]) -> Finding:
    """A finding from its row: lists of ids stand end to end there, and truth is a number."""
    for name in ("evidence", "supersedes"):
        ids = row[name]
        row[name] = tuple(ids[i : i + 16] for i in range(0, len(ids), 16))
    for name in ("lower_bound", "suspect"):
        row[name] = bool(row[name])
    return Finding(**row)


def locked(path: Path) -> int:
    """The descriptor of the lock file beside the store, held as long as it is open.

    Raises:
        StoreError: somebody else has it, or it cannot be made.
    """
    lock = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    except OSError as error:
        if lock is not None:
            os.close(lock)
        if isinstance(error, BlockingIOError):
            said = f"another run is writing the store {path}"
            raise StoreError(f"{said}; wait for it, or name another with --store") from None
        said = f"the store {path} cannot be made: {error.strerror}"
        raise StoreError(
            f"{said}; name a file in a folder that can be written with --store"
        ) from error
