"""The embedded store's schema: SQLite, versioned, derived from the Avro schemas' columns.

One file. ``events`` has a column for each column of ``audit_event.avsc``; ``words`` is the full
text over :data:`WORDS`; state and positions stand beside what they led to, so that one transaction
holds both.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Final

from schemas.types import Carriage, DeadLetter, Event, Finding

APPLICATION_ID: Final = int.from_bytes(b"audt")
"""In the file's header (``PRAGMA application_id``): what tells our store from any other."""
VERSION: Final = 1
"""``PRAGMA user_version``."""

EVENT_COLUMNS: Final = tuple(f.name for f in fields(Event) if f.name != "carriage") + tuple(
    f.name for f in fields(Carriage)
)
FINDING_COLUMNS: Final = tuple(f.name for f in fields(Finding))
DEAD_LETTER_COLUMNS: Final = tuple(f.name for f in fields(DeadLetter))

OWN_EVENTS: Final = "SELECT * FROM events WHERE seq < 0 ORDER BY time, id"
"""What auditstream says of itself. Its numbers count downwards from -1: a run under way counts its
own upwards, and so both may write at the same time; and they are found without an index."""

WORDS: Final = ("actor", "address", "operation", "resource_type", "resource", "rule", "message")
"""What ``--text`` searches. ``message`` is the OCSF document's."""

_TYPES: Final = {
    "int": "INTEGER",
    "bool": "INTEGER",
    "bytes": "BLOB",
    "str": "TEXT",
    "tuple[str, ...]": "TEXT",
    "tuple[bytes, ...]": "BLOB",
}


def _columns(*classes: type) -> str:
    return ", ".join(
        f"{f.name} {_TYPES[str(f.type)]} NOT NULL"
        for cls in classes
        for f in fields(cls)
        if str(f.type) in _TYPES
    )


SCHEMA: Final = f"""
CREATE TABLE events (seq INTEGER PRIMARY KEY, {_columns(Event, Carriage)});
CREATE UNIQUE INDEX events_by_time ON events (time, id);
CREATE INDEX events_by_actor ON events (actor, time);
CREATE INDEX events_by_resource ON events (resource, time);
CREATE INDEX events_by_address ON events (address, time);
CREATE INDEX events_by_outcome ON events (outcome, time);
CREATE INDEX events_by_leg ON events (cluster, time) WHERE leg <> '';
CREATE INDEX events_by_support ON events (cluster, time) WHERE access_path = 'support';
CREATE INDEX events_by_lifecycle ON events (cluster, time) WHERE class_uid = 6002;
CREATE VIRTUAL TABLE words USING fts5
    (text, content='', tokenize='ascii', detail='none', columnsize=0);
CREATE TABLE findings ({_columns(Finding)}, PRIMARY KEY (id, version));
CREATE TABLE dead_letters ({_columns(DeadLetter)}, PRIMARY KEY (id)) WITHOUT ROWID;
CREATE TABLE streams (
    key BLOB PRIMARY KEY, source TEXT NOT NULL, cluster TEXT NOT NULL, host TEXT NOT NULL,
    carrier TEXT NOT NULL, position INTEGER NOT NULL, digest BLOB NOT NULL, readers TEXT NOT NULL,
    state TEXT NOT NULL, account TEXT NOT NULL, ending TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE detector_state (
    detector TEXT NOT NULL, cluster TEXT NOT NULL, key TEXT NOT NULL, state BLOB NOT NULL,
    PRIMARY KEY (detector, cluster, key)) WITHOUT ROWID;
"""

PRAGMAS: Final = (
    "PRAGMA journal_mode = WAL",
    # With WAL a killed process loses nothing, and a power cut only whole transactions.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA temp_store = MEMORY",
)


LEGS: Final = "SELECT cluster, ocsf FROM events WHERE leg <> '' ORDER BY cluster, time, id"
"""What may be part of a change; the index ``events_by_leg`` is for this."""


@cache
def keyed(count: int) -> str:
    """A question for the ids of events at ``count`` pairs of (time, id)."""
    rows = ",".join(["(?,?)"] * count)
    # `(time, id) IN (VALUES …)` would read the whole index.
    return (
        f"WITH wanted(t, i) AS (VALUES {rows}) "
        "SELECT id FROM wanted CROSS JOIN events ON time = t AND id = i"
    )


def ascii_words(text: str) -> str:
    """Text whose ASCII words are all tokens ``[a-z0-9]+`` of the lowercased text."""
    if text.isascii():
        return text
    return text.lower().encode("ascii", "replace").decode()
