"""Amending: what a replay found is written, in one transaction, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from pipeline.sinks.sqlite import StreamRow, event_values, words_of
from pipeline.sinks.sqlite_replay import SqliteReplay, columns
from pipeline.sinks.sqlite_schema import (
    DEAD_LETTER_COLUMNS,
    EVENT_COLUMNS,
    FINDING_COLUMNS,
    WORDS,
    ascii_words,
)
from pipeline.stages.detect import Key
from schemas.types import Event, Finding

_APPLIED: Final = "i.state = 'apply'"
_READ: Final = "fresh.events f ON f.time = w.time AND f.id = w.id"
_WRITING: Final = (
    "CREATE TEMP TABLE writing (n INTEGER PRIMARY KEY, op TEXT, seq INTEGER, time INTEGER, id BLOB)"
)
_AT_ONCE: Final = 5_000
_CARRIED: Final = ("carrier", "position", "late")
_PLAIN: Final = tuple(c for c in EVENT_COLUMNS if c not in ("ocsf", *_CARRIED))


class Item(NamedTuple):
    """One event or dead letter of a stream, and what becomes of it: ``new``, ``changed``, ``gone``.

    ``reason`` and ``read_as``: of a dead letter, before and after.
    """

    lane: int
    kind: str
    op: str
    id: bytes
    time: int
    reason: str
    read_as: str


class Amending:
    """The write half of a :class:`SqliteReplay`, inside its transaction."""

    def __init__(self, store: SqliteReplay) -> None:
        self._store, self._do = store, store.do
        store.function("spelt", len(WORDS), _spelt)
        store.function("carried_as", 2, _carried_as)

    def commit(self) -> None:
        """Keep all of it."""
        self._do("COMMIT")

    def write_events(self) -> None:
        """Replace, add and take out events, and the words that they are found by."""
        do, all_of_it = self._do, f"main.events (seq, {', '.join((*_PLAIN, 'ocsf', *_CARRIED))})"
        do(_WRITING)
        do(
            "INSERT INTO temp.writing (op, seq, time, id) SELECT i.op, h.seq, i.time, i.id "
            "FROM temp.items i LEFT JOIN main.events h ON h.time = i.time AND h.id = i.id "
            "WHERE i.kind = 'event' AND i.state = 'apply' ORDER BY i.time, i.id"
        )
        next_number = "SELECT max(coalesce(max(seq), 0), 0) FROM main.events"
        do(f"UPDATE temp.writing SET seq = ({next_number}) + n WHERE op = 'new'")
        # A contentless index has to be told what it holds.
        do(
            "INSERT INTO main.words (words, rowid, text) "
            f"SELECT 'delete', w.seq, spelt({columns('h', WORDS)}) FROM temp.writing w "
            "CROSS JOIN main.events h ON h.seq = w.seq WHERE w.op <> 'new'"
        )
        do("DELETE FROM main.events WHERE seq IN (SELECT seq FROM temp.writing WHERE op = 'gone')")
        how = columns("h", _CARRIED)
        for part in self._parts():
            # SQLite keeps what it reads of the table that it writes: of a part of it.
            do(
                f"INSERT OR REPLACE INTO {all_of_it} SELECT w.seq, {columns('f', _PLAIN)}, "
                f"carried_as(f.ocsf, h.ocsf), {how} FROM temp.writing w "
                "CROSS JOIN main.events h ON h.seq = w.seq "
                f"CROSS JOIN {_READ} WHERE w.op = 'changed' AND w.n BETWEEN ? AND ?", part,
            )  # fmt: skip
        names = columns("f", (*_PLAIN, "ocsf", *_CARRIED))
        do(
            f"INSERT INTO {all_of_it} SELECT w.seq, {names} "
            f"FROM temp.writing w CROSS JOIN {_READ} WHERE w.op = 'new'"
        )
        do(
            "INSERT INTO main.words (rowid, text) "
            f"SELECT w.seq, spelt({columns('h', WORDS)}) FROM temp.writing w "
            "CROSS JOIN main.events h ON h.seq = w.seq WHERE w.op <> 'gone'"
        )

    def _parts(self) -> Iterator[tuple[int, int]]:
        (last,) = self._store.each("SELECT coalesce(max(n), 0) AS n FROM temp.writing")
        return ((n, n + _AT_ONCE - 1) for n in range(1, last["n"] + 1, _AT_ONCE))

    def write_dead_letters(self) -> None:
        """Take out dead letters that are none any more, and write those that are other ones."""
        of_letters = f"i.kind = 'letter' AND {_APPLIED}"
        self._do(
            "DELETE FROM main.dead_letters WHERE id IN "
            f"(SELECT i.id FROM temp.items i WHERE {of_letters} AND i.op <> 'new')"
        )
        self._do(
            f"INSERT INTO main.dead_letters SELECT {columns('f', DEAD_LETTER_COLUMNS)} "
            "FROM temp.items i CROSS JOIN fresh.dead_letters f ON f.id = i.id "
            f"WHERE {of_letters} AND i.op <> 'gone'"
        )

    def write_findings(self, findings: Iterable[Finding]) -> None:
        """Add versions of findings."""
        marks = ",".join("?" * len(FINDING_COLUMNS))
        for found in findings:
            values = [getattr(found, name) for name in FINDING_COLUMNS]
            joined = [b"".join(v) if isinstance(v, tuple) else v for v in values]
            self._do(f"INSERT OR IGNORE INTO main.findings VALUES ({marks})", joined)

    def write_states(self, states: Mapping[Key, bytes]) -> None:
        """Replace states of counters' keys."""
        for key, state in states.items():
            self._do("INSERT OR REPLACE INTO main.detector_state VALUES (?,?,?,?)", (*key, state))

    def write_stream(self, row: StreamRow) -> None:
        """Replace a stream's row."""
        values = [getattr(row, name) for name in StreamRow.__slots__]
        marks = ",".join("?" * len(values))
        self._do(f"INSERT OR REPLACE INTO main.streams VALUES ({marks})", values)

    def write_own(self, event: Event) -> None:
        """Keep an event of ours."""
        lowest = next(self._store.each("SELECT coalesce(min(seq), 0) AS n FROM main.events"))["n"]
        values = event_values(min(lowest, 0) - 1, event)
        self._do(f"INSERT INTO main.events VALUES ({','.join('?' * len(values))})", values)
        words = (values[0], words_of(event))
        self._do("INSERT INTO main.words (rowid, text) VALUES (?, ?)", words)

    def applied(self) -> Iterator[Item]:
        """All that is written of events and dead letters."""
        sql = (
            "SELECT i.lane, i.kind, i.op, i.id, i.time, i.reason, "
            "coalesce(f.reason, '') AS read_as FROM temp.items i "
            "LEFT JOIN fresh.dead_letters f ON i.kind = 'letter' AND f.id = i.id "
            f"WHERE {_APPLIED}"
        )
        return (Item(**row) for row in self._store.each(sql))


def _spelt(*words: str) -> str:
    return ascii_words(" ".join(words))


def _carried_as(new: bytes, old: bytes) -> bytes:
    """A document that says, as the one before, how its record was carried."""
    document: dict[str, Any] = orjson.loads(new)
    carriage = orjson.loads(old)["auditstream"]["carriage"]
    if document["auditstream"]["carriage"] == carriage:
        return new
    document["auditstream"]["carriage"] = carriage
    return orjson.dumps(document)
