"""The embedded store, read. Any number of readers, also while a run writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.query import Query, glob, tokens
from pipeline.sinks.reading import Row, actors, like, mentions, readable, says
from pipeline.sinks.sqlite_file import connect, failure
from pipeline.sinks.sqlite_schema import LEGS, keyed
from schemas.networks import within

_PAGE = 1000
_IDS = 400


class SqliteReader:
    """Answers queries, as :class:`pipeline.sinks.reading.Reader` promises.

    Raises:
        StoreError: the store is missing, not ours, of another version, or broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path, read_only=True)
        self._db.row_factory = sqlite3.Row
        self._db.create_function("within", 2, within, deterministic=True)
        self._db.create_function("named", 2, like, deterministic=True)

    def close(self) -> None:
        """Close the store."""
        self._db.close()

    def events(self, query: Query, limit: int | None = None) -> Iterator[Row]:
        """Events in order of (time, id)."""
        where, values = _event_filters(query)
        sql = f"SELECT * FROM events WHERE {where} ORDER BY time, id"
        return islice(self._rows(sql, values), limit)

    def legs(self) -> Iterator[tuple[str, bytes]]:
        """Cluster and OCSF document of what may be part of a change, by cluster and time."""
        return ((row["cluster"], row["ocsf"]) for row in self._rows(LEGS, ()))

    def by_id(self, ids: Sequence[str]) -> list[Row]:
        """Events of these ids (hexadecimal), in order of (time, id)."""
        # The id begins with the time, as far as one can have meant it.
        sql = "SELECT * FROM events WHERE time = ? AND id = ?"
        early = "SELECT * FROM events WHERE time < 0 AND id = ?"
        found = []
        for said in dict.fromkeys(ids):
            time, key = int(said[:12], 16), bytes.fromhex(said)
            found += self.all(sql, time, key) or ([] if time else self.all(early, key))
        return sorted(found, key=lambda row: (row["time"], row["id"]))

    def strangers(self) -> list[str]:
        """Principals of unknown kind, by name."""
        sql = (
            "SELECT DISTINCT actor FROM events WHERE actor_kind = 'unknown' AND actor <> '' "
            "ORDER BY 1"
        )
        return [row["actor"] for row in self.all(sql)]

    def findings(
        self, query: Query, history: bool = False, named: str = "", limit: int | None = None
    ) -> Iterator[Row]:
        """Findings in order of (first time, id, version): the settled view, or every version."""
        settled = (
            "version = (SELECT max(version) FROM findings AS o WHERE o.id = findings.id) "
            "AND status = 'open'"
        )
        where: list[str] = ["1" if history else settled]
        values: list[Any] = []
        if named:
            where.append("instr(lower(hex(id)), ?) = 1")
            values.append(named)
        if query.since is not None:
            where.append("last_time >= ?")
            values.append(query.since)
        if query.until is not None:
            where.append("first_time < ?")
            values.append(query.until)
        sql = f"SELECT * FROM findings WHERE {' AND '.join(where)} ORDER BY first_time, id, version"
        found = (row for row in self._rows(sql, values) if self._concerns(row, query))
        return islice(found, limit)

    def _concerns(self, row: Row, query: Query) -> bool:
        """Whether it says all the words, and an event it rests on is what is asked for."""
        if not says(row, query.text):
            return False
        rest = replace(query, since=None, until=None, text=None)
        if rest == Query():
            return True
        where, values = _event_filters(rest)
        ids = row["evidence"] or self._last_evidence(row["id"])
        for start in range(0, len(ids), 16 * _IDS):
            part = [ids[i : i + 16] for i in range(start, min(len(ids), start + 16 * _IDS), 16)]
            keys = [v for i in part for v in (int.from_bytes(i[:6], "big"), i)]
            if self.all(f"{keyed(len(part))} WHERE {where} LIMIT 1", *keys, *values):
                return True
            # An id cannot say a time before 1970.
            early = [i for i in part if not any(i[:6])]
            marks = ",".join("?" * len(early))
            sql = f"SELECT 1 FROM events WHERE time < 0 AND id IN ({marks}) AND {where} LIMIT 1"
            if early and self.all(sql, *early, *values):
                return True
        return False

    def _last_evidence(self, finding: bytes) -> bytes:
        """What a finding that was taken back rested on when it last rested on anything."""
        sql = "SELECT evidence FROM findings WHERE id = ? AND evidence != x'' ORDER BY version DESC"
        return bytes(self.one(f"{sql} LIMIT 1", finding) or b"")

    def dead_letters(self, query: Query, limit: int | None = None) -> Iterator[Row]:
        """Dead letters in order of (carrier, position, id).

        Raises:
            ArgumentError: asked for a class or an outcome: what cannot be read has none.
        """
        readable(query)
        where: list[str] = ["1"]
        values: list[Any] = []
        if query.since is not None:
            where.append("(time >= ? OR time = 0)")
            values.append(query.since)
        if query.until is not None:
            where.append("(time < ? OR time = 0)")
            values.append(query.until)
        if query.source is not None:
            where.append("source = ?")
            values.append(query.source)
        sql = (
            f"SELECT * FROM dead_letters WHERE {' AND '.join(where)} ORDER BY carrier, position, id"
        )
        found = (row for row in self._rows(sql, values) if mentions(row, query))
        return islice(found, limit)

    def one(self, sql: str, *values: Any) -> Any:
        """First column of the first row of a question of our own."""
        return next((next(iter(row.values())) for row in self._rows(sql, values)), None)

    def all(self, sql: str, *values: Any) -> list[Row]:
        """Rows of a question of our own."""
        return list(self._rows(sql, values))

    def _rows(self, sql: str, values: Sequence[Any]) -> Iterator[Row]:
        try:
            cursor = self._db.execute(sql, values)
            while rows := cursor.fetchmany(_PAGE):
                for row in rows:
                    yield dict(row)
        except sqlite3.Error as error:
            raise failure(self._path, "read", error) from error


def _event_filters(query: Query) -> tuple[str, list[Any]]:
    where: list[str] = []
    values: list[Any] = []

    def need(sql: str, *more: Any) -> None:
        where.append(sql)
        values.extend(more)

    if query.since is not None:
        need("time >= ?", query.since)
    if query.until is not None:
        need("time < ?", query.until)
    if query.actor is not None:
        _name(need, "actor", *actors(query.actor))
    if query.resource is not None:
        _name(need, "resource", query.resource)
    if query.address is not None and "/" in query.address:
        need("within(address, ?)", query.address)
    elif query.address is not None:
        need("address = ?", query.address)
    if query.source is not None:
        need("source = ?", query.source)
    if query.class_uid is not None:
        need("class_uid = ?", query.class_uid)
    if query.outcome is not None:
        need("outcome = ?", query.outcome)
    if query.text is not None:
        match = " ".join(f'"{t}"' for t in dict.fromkeys(tokens(query.text)))
        need("seq IN (SELECT rowid FROM words WHERE words MATCH ?)", match)
    return " AND ".join(where) or "1", values


def _name(need: Any, column: str, *wanted: str) -> None:
    if "*" not in wanted[0]:
        need(f"{column} IN ({','.join('?' * len(wanted))})", *wanted)
        return
    # GLOB reads a name up to its first NUL. How a pattern begins, it tells of such names too, and
    # by an index.
    one = (
        f"({column} GLOB ? AND CASE WHEN instr({column}, char(0)) "
        f"THEN named(?, {column}) ELSE {column} GLOB ? END)"
    )
    values = [v for w in wanted for v in (glob(w.partition("*")[0] + "*"), w, glob(w))]
    need("(" + " OR ".join([one] * len(wanted)) + ")", *values)
