"""The embedded store's file: opened, told from other files, and what to say when it fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.sinks.sqlite_schema import APPLICATION_ID, PRAGMAS, SCHEMA, VERSION

_BUSY_S = 10.0
_ADVICE = {
    "FULL": "make room and run again: it goes on where it was",
    "IOERR": "see to the disk and run again: it goes on where it was",
    "BUSY": "another program is writing to it; run again when it has ended",
    "LOCKED": "another program is writing to it; run again when it has ended",
    "CORRUPT": "restore it, or read the logs into a new one",
    "CANTOPEN": "name a file in a folder that can be written with --store",
    "READONLY": "name a file in a folder that can be written with --store",
    "PERM": "name a file in a folder that can be written with --store",
}


def failure(path: Path, verb: str, error: sqlite3.Error) -> StoreError:
    """What SQLite says went wrong, and what to do about it."""
    # "SQLITE_IOERR_WRITE": the second word is the kind.
    kind = (getattr(error, "sqlite_errorname", None) or "_").split("_")[1]
    if kind == "NOTADB":
        return not_ours(path)
    said = f"the store {path} cannot be {verb}: {error}"
    return StoreError(f"{said}; {_ADVICE[kind]}" if kind in _ADVICE else said)


def not_ours(path: Path) -> StoreError:
    """The error for a file that is something else."""
    return StoreError(f"{path} is not an auditstream store; name another with --store")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside is kept together, or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # Where the disk is full SQLite may have rolled back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the store at ``path``; a writer makes it where there is none.

    Raises:
        StoreError: there is none (and it is only to be read), it is no store of ours, it is of
            another version, or it cannot be used.
    """
    db = None
    try:
        if read_only and not path.exists():
            raise StoreError(f"no store at {path}; `auditstream run --store {path}` makes one")
        if path.is_dir():
            raise not_ours(path)
        db = _readable(path) if read_only else _open(path, "mode=rwc")
        _check(db, path, create=not read_only)
        if not read_only:
            for pragma in PRAGMAS:
                db.execute(pragma)
        return db
    except BaseException as error:
        if db is not None:
            db.close()
        if isinstance(error, sqlite3.Error):
            raise failure(path, "opened", error) from error
        if isinstance(error, OSError):
            raise StoreError(f"the store {path} cannot be opened: {error.strerror}") from error
        raise


def _open(path: Path, options: str) -> sqlite3.Connection:
    name = f"{path.absolute().as_uri()}?{options}"
    return sqlite3.connect(
        name, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )


def _readable(path: Path) -> sqlite3.Connection:
    """A store to read, also where its folder cannot be written: on a medium that is sealed."""
    db = _open(path, "mode=ro")
    try:
        db.execute("SELECT 1 FROM sqlite_master")
        return db
    except sqlite3.OperationalError as error:
        db.close()
        log = path.with_name(path.name + "-wal")
        # What only stands in the log would be missing.
        sealed = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        if not sealed or (log.exists() and log.stat().st_size):
            raise
        return _open(path, "mode=ro&immutable=1")


def _check(db: sqlite3.Connection, path: Path, create: bool) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if create and not (application or version or tables):
        with transaction(db):
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
            for statement in SCHEMA.strip().rstrip(";").split(";\n"):
                db.execute(statement)
    elif application != APPLICATION_ID:
        raise not_ours(path)
    elif version != VERSION:
        raise StoreError(
            f"the store {path} has schema version {version}, this release has {VERSION}; "
            "use the release that made it, or name a new store with --store"
        )
