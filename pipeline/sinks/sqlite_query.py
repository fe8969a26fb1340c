"""The embedded store, read. Any number of readers, also while a run writes."""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import ArgumentError, StoreError
from pipeline.query import Query, tokens
from pipeline.sinks.sqlite import connect

_PAGE = 1000
Row = dict[str, Any]


class SqliteReader:
    """Answers queries. Rows are dictionaries of the Avro schemas' columns.

    Raises:
        StoreError: the store is missing, not ours, of another version, or broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = connect(path, create=False, read_only=True)
        self._db.row_factory = sqlite3.Row
        self._db.create_function("within", 2, _within, deterministic=True)

    def close(self) -> None:
        """Close the store."""
        self._db.close()

    def events(self, query: Query) -> Iterator[Row]:
        """Events in order of (time, id)."""
        where, values = _event_filters(query)
        sql = f"SELECT * FROM events WHERE {where} ORDER BY time, id"
        return self._rows(sql, values)

    def findings(self, query: Query, history: bool = False) -> Iterator[Row]:
        """Findings in order of (first time, id): the settled view, or every version."""
        settled = (
            "version = (SELECT max(version) FROM findings AS o WHERE o.id = findings.id) "
            "AND status = 'open'"
        )
        where, values = ["1" if history else settled], []
        if query.since is not None:
            where.append("last_time >= ?")
            values.append(query.since)
        if query.until is not None:
            where.append("first_time < ?")
            values.append(query.until)
        sql = f"SELECT * FROM findings WHERE {' AND '.join(where)} ORDER BY first_time, id, version"
        for row in self._rows(sql, values):
            if self._concerns(row, query):
                yield row

    def _concerns(self, row: Row, query: Query) -> bool:
        """Whether the finding, or an event it rests on, is what is asked for."""
        if query.text is not None:
            said = set(tokens(row["ocsf"].decode()))
            if not said.issuperset(tokens(query.text)):
                return False
        rest = Query(
            actor=query.actor, resource=query.resource, address=query.address,
            source=query.source, class_uid=query.class_uid, outcome=query.outcome,
        )  # fmt: skip
        if rest == Query():
            return True
        where, values = _event_filters(rest)
        ids = row["evidence"]
        for start in range(0, len(ids), 16 * 400):
            part = [ids[i : i + 16] for i in range(start, min(len(ids), start + 16 * 400), 16)]
            marks = ",".join(["(?,?)"] * len(part))
            keys = [v for i in part for v in (int.from_bytes(i[:6], "big"), i)]
            sql = f"SELECT 1 FROM events WHERE (time, id) IN (VALUES {marks}) AND {where} LIMIT 1"
            if self._db.execute(sql, (*keys, *values)).fetchone():
                return True
        return False

    def dead_letters(self, query: Query) -> Iterator[Row]:
        """Dead letters in order of (carrier, position). Those without a time are in every period.

        Raises:
            ArgumentError: asked for a class or an outcome: what cannot be read has none.
        """
        if query.class_uid is not None or query.outcome is not None:
            raise ArgumentError("dead letters have no class and no outcome: they were not read")
        where, values = ["1"], []
        if query.since is not None:
            where.append("(time >= ? OR time = 0)")
            values.append(query.since)
        if query.until is not None:
            where.append("time < ?")
            values.append(query.until)
        if query.source is not None:
            where.append("source = ?")
            values.append(query.source)
        sql = f"SELECT * FROM dead_letters WHERE {' AND '.join(where)} ORDER BY carrier, position, id"
        wanted = [w for w in (query.actor, query.resource, query.address, query.text) if w]
        looked_for = {t for w in wanted for t in tokens(w)}
        for row in self._rows(sql, values):
            said = f"{row['head']} {row['detail']} {row['reason']}"
            if not looked_for or looked_for.issubset(tokens(said)):
                yield row

    def one(self, sql: str, *values: Any) -> Any:
        """First column of the first row of a question of our own."""
        row = self._db.execute(sql, values).fetchone()
        return row[0] if row else None

    def all(self, sql: str, *values: Any) -> list[Row]:
        """Rows of a question of our own."""
        return list(self._rows(sql, values))

    def _rows(self, sql: str, values: Any) -> Iterator[Row]:
        try:
            cursor = self._db.execute(sql, values)
            while rows := cursor.fetchmany(_PAGE):
                for row in rows:
                    yield dict(row)
        except sqlite3.Error as error:
            raise StoreError(f"the store {self._path} cannot be read: {error}") from error


def _within(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network)
    except ValueError:
        return False


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
        _name(need, "actor", query.actor, f"User:{query.actor}")
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
        match = " AND ".join(f'"{t}"' for t in tokens(query.text))
        need("seq IN (SELECT rowid FROM words WHERE words MATCH ?)", match)
    return " AND ".join(where) or "1", values


def _name(need: Any, column: str, *wanted: str) -> None:
    if "*" in wanted[0]:
        patterns = ["".join("[" + c + "]" if c in "[?" else c for c in w) for w in wanted]
        need("(" + " OR ".join([f"{column} GLOB ?"] * len(wanted)) + ")", *patterns)
    else:
        need(f"{column} IN ({','.join('?' * len(wanted))})", *wanted)
