"""How far a collector has sent each file: one small SQLite file, of one collector at a time.

It says only what brokers have acknowledged: what is lost with it is sent again, with the same key,
origin and offset.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.errors import StoreError
from pipeline.sinks.sqlite import StreamRow

PROGRESS_ID: Final = int.from_bytes(b"audc")
"""In the file's header (``PRAGMA application_id``)."""
_VERSION = 1
_SCHEMA = f"""
PRAGMA application_id = {PROGRESS_ID};
PRAGMA user_version = {_VERSION};
CREATE TABLE streams (
    key BLOB PRIMARY KEY, source TEXT, cluster TEXT, host TEXT, carrier TEXT,
    position INTEGER, digest BLOB, readers TEXT, ending BLOB
) WITHOUT ROWID;
CREATE TABLE asides (key BLOB, digest BLOB, PRIMARY KEY (key, digest)) WITHOUT ROWID"""


class Progress:
    """The file, locked for as long as it is open; a collector that is killed lets go of it.

    Raises:
        StoreError: from every method: it is another's at the moment, something else, or cannot be
            read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._failure("opened", error) from None
        try:
            self._open()
        except BaseException as error:
            self._db.close()
            if isinstance(error, sqlite3.Error):
                raise self._failure("opened", error) from None
            raise

    def _open(self) -> None:
        # The lock is kept from the first write on.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("BEGIN EXCLUSIVE")
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not (application or version or tables):
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
        elif (application, version) != (PROGRESS_ID, _VERSION):
            raise StoreError(
                f"{self._path} is not where this release's `auditstream collect` keeps its "
                "progress; name another with --progress"
            )
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Let go of it."""
        with suppress(sqlite3.Error):
            self._db.close()

    def stream(self, key: bytes) -> StreamRow | None:
        """How far a stream was sent, if it was."""
        columns = "source, cluster, host, carrier, position, digest, readers, ending"
        sql = f"SELECT {columns} FROM streams WHERE key = ?"
        try:
            row = self._db.execute(sql, (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._failure("read", error) from None
        if row is None:
            return None
        source, cluster, host, carrier, position, digest, readers, ending = row
        return StreamRow(
            key, source, cluster, host, carrier, position, digest, readers, b"{}", b"", ending
        )

    def is_aside(self, key: bytes, digest: bytes) -> bool:
        """Whether a shorter state of a stream's file, with this content, was sent already."""
        sql = "SELECT 1 FROM asides WHERE key = ? AND digest = ?"
        try:
            return self._db.execute(sql, (key, digest)).fetchone() is not None
        except sqlite3.Error as error:
            raise self._failure("read", error) from None

    def save(self, rows: Iterable[StreamRow], asides: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep how far streams were sent, and what was sent beside them, all or nothing."""
        values = [
            (r.key, r.source, r.cluster, r.host, r.carrier, r.position, r.digest, r.readers,
             r.ending)
            for r in rows
        ]  # fmt: skip
        try:
            self._db.execute("BEGIN")
            marks = ",".join("?" * 9)
            self._db.executemany(f"INSERT OR REPLACE INTO streams VALUES ({marks})", values)
            self._db.executemany("INSERT OR IGNORE INTO asides VALUES (?, ?)", list(asides))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise self._failure("written", error) from None

    def _failure(self, verb: str, error: OSError | sqlite3.Error) -> StoreError:
        kind = getattr(error, "sqlite_errorname", None) or ""
        if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            said = f"another collector keeps its progress in {self._path}"
            return StoreError(f"{said}; wait for it, or name another with --progress")
        if kind.startswith("SQLITE_NOTADB"):
            said = f"{self._path} is something else"
        else:
            said = f"the progress {self._path} cannot be {verb}: {error}"
        return StoreError(f"{said}; name a file in a folder that can be written with --progress")
