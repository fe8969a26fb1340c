"""The embedded store, written. One writer at a time; any number of readers beside it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from pipeline.errors import StoreError
from pipeline.sinks.sqlite_schema import (
    DEAD_LETTER_COLUMNS, EVENT_COLUMNS, FINDING_COLUMNS, PRAGMAS, SCHEMA, VERSION, ascii_words,
)  # fmt: skip
from pipeline.stages.detect import Key
from schemas.types import DeadLetter, Event, Finding

_LOOKUP = 500
_CACHED_STATES = 20_000
_SIMPLE = EVENT_COLUMNS[: EVENT_COLUMNS.index("blind_spots")]
_EVENT = attrgetter(*_SIMPLE)


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


def connect(path: Path, *, create: bool, read_only: bool = False) -> sqlite3.Connection:
    """Open the store at ``path``.

    Raises:
        StoreError: there is none (and ``create`` is false), it is no store of ours, it is of
            another version, or it cannot be read.
    """
    if not create and not path.exists():
        raise StoreError(f"no store at {path}; `auditstream run --store {path}` makes one")
    mode = "ro" if read_only else "rwc"
    try:
        name = path.absolute().as_uri()
        db = sqlite3.connect(f"{name}?mode={mode}", uri=True, timeout=10, isolation_level=None)
        if not read_only:
            for pragma in PRAGMAS:
                db.execute(pragma)
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if not tables and create:
            with _transaction(db):
                for statement in SCHEMA.strip().rstrip(";").split(";\n"):
                    db.execute(statement)
                db.execute("INSERT INTO meta VALUES ('version', ?)", (str(VERSION),))
        elif "meta" not in tables:
            raise StoreError(f"{path} is not an auditstream store; name another with --store")
        (version,) = db.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} cannot be opened: {error}") from error
    except OSError as error:
        raise StoreError(f"the store {path} cannot be opened: {error.strerror}") from error
    if version != str(VERSION):
        db.close()
        raise StoreError(
            f"the store {path} has schema version {version}, this release writes {VERSION}; "
            "use the release that made it, or a new store"
        )
    return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


class SqliteStore:
    """The store while a run writes it.

    Raises:
        StoreError: from every method, where the disk is full, or the file broken or in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise StoreError(f"the store {path} cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise StoreError(
                f"another run is writing the store {path}; wait for it, or name another with --store"
            ) from None
        self._db = connect(path, create=True)
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        self._next = last + 1
        self._states: dict[Key, dict[str, Any]] = {}
        self._dirty: set[Key] = set()

    def close(self) -> None:
        """Close the store; what was not committed is gone."""
        self._db.close()
        os.close(self._lock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is kept together, or not at all."""
        try:
            with _transaction(self._db):
                yield
                self._save_states()
        except sqlite3.Error as error:
            raise StoreError(f"the store {self.path} cannot be written: {error}") from error

    def known(self, events: Sequence[Event]) -> set[bytes]:
        """Ids of ``events`` that the store holds already."""
        found: set[bytes] = set()
        for start in range(0, len(events), _LOOKUP):
            part = events[start : start + _LOOKUP]
            rows = ",".join(["(?,?)"] * len(part))
            values = [v for e in part for v in (e.time, e.id)]
            found.update(
                i for (i,) in self._db.execute(
                    f"SELECT id FROM events WHERE (time, id) IN (VALUES {rows})", values
                )
            )  # fmt: skip
        return found

    def write_events(self, events: Sequence[Event]) -> None:
        """Insert events that are new."""
        rows, words = [], []
        number = self._next
        for event in events:
            carriage = event.carriage
            rows.append(
                (number, *_EVENT(event), ",".join(event.blind_spots), event.ocsf, event.raw,
                 carriage.carrier, carriage.position, carriage.late)
            )  # fmt: skip
            words.append((number, _words(event)))
            number += 1
        self._next = number
        marks = ",".join("?" * (len(EVENT_COLUMNS) + 1))
        self._db.executemany(f"INSERT INTO events VALUES ({marks})", rows)
        self._db.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", words)

    def write_findings(self, findings: Iterable[Finding]) -> None:
        """Insert versions of findings; a version that is there stays."""
        marks = ",".join("?" * len(FINDING_COLUMNS))
        rows = [
            tuple(
                b"".join(v) if isinstance(v, tuple) else v
                for v in (getattr(f, c) for c in FINDING_COLUMNS)
            )
            for f in findings
        ]
        self._db.executemany(f"INSERT OR IGNORE INTO findings VALUES ({marks})", rows)

    def write_dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Insert dead letters; one that is there stays."""
        marks = ",".join("?" * len(DEAD_LETTER_COLUMNS))
        rows = [tuple(getattr(d, c) for c in DEAD_LETTER_COLUMNS) for d in letters]
        self._db.executemany(f"INSERT OR IGNORE INTO dead_letters VALUES ({marks})", rows)

    def delete_dead_letters(self, ids: Iterable[bytes]) -> None:
        """Take back dead letters of an input's end that was not its end."""
        self._db.executemany("DELETE FROM dead_letters WHERE id = ?", [(i,) for i in ids])

    def delete_events(self, ids: Iterable[bytes]) -> None:
        """Take back events of an input's end that was not its end."""
        for event_id in ids:
            time = int.from_bytes(event_id[:6], "big")
            row = self._db.execute(
                "SELECT seq, actor, address, operation, resource_type, resource, rule, message "
                "FROM events WHERE time = ? AND id = ?",
                (time, event_id),
            ).fetchone()
            if row:
                words = ascii_words(" ".join(row[1:]))
                self._db.execute(
                    "INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)",
                    (row[0], words),
                )
                self._db.execute("DELETE FROM events WHERE seq = ?", (row[0],))

    def stream(self, key: bytes) -> StreamRow | None:
        """The row of a stream, or None."""
        row = self._db.execute("SELECT * FROM streams WHERE key = ?", (key,)).fetchone()
        return StreamRow(*row) if row else None

    def streams(self) -> list[StreamRow]:
        """All streams."""
        return [StreamRow(*row) for row in self._db.execute("SELECT * FROM streams ORDER BY key")]

    def write_stream(self, row: StreamRow) -> None:
        """Insert or replace a stream's row."""
        values = tuple(getattr(row, name) for name in StreamRow.__slots__)
        marks = ",".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO streams VALUES ({marks})", values)

    def state_of(self, key: Key) -> dict[str, Any]:
        """A detector's state of one key, to be changed in place; {} where there is none."""
        state = self._states.get(key)
        if state is None:
            row = self._db.execute(
                "SELECT state FROM detector_state WHERE detector = ? AND cluster = ? AND key = ?",
                key,
            ).fetchone()
            state = self._states[key] = orjson.loads(row[0]) if row else {}
        return state

    def touch(self, keys: Iterable[Key]) -> None:
        """These keys' states are written with the transaction."""
        self._dirty.update(keys)

    def _save_states(self) -> None:
        rows = [(*key, orjson.dumps(self._states[key], default=list)) for key in self._dirty]
        self._db.executemany("INSERT OR REPLACE INTO detector_state VALUES (?, ?, ?, ?)", rows)
        self._dirty.clear()
        if len(self._states) > _CACHED_STATES:
            self._states.clear()

    def settled(self) -> int:
        """Findings in the settled view."""
        (rows,) = self._db.execute(
            "SELECT count(*) FROM findings AS f WHERE status = 'open' AND version = "
            "(SELECT max(version) FROM findings AS o WHERE o.id = f.id)"
        ).fetchone()
        return int(rows)

    def count(self, table: str) -> int:
        """Rows in ``table``."""
        (rows,) = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(rows)


def _words(event: Event) -> str:
    parts = (
        event.actor, event.address, event.operation, event.resource_type, event.resource,
        event.rule, event.message,
    )  # fmt: skip
    return ascii_words(" ".join(parts))
