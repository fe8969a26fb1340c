"""Runs of the embedded runtime in this process, and what their stores hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.config import Config, Input
from pipeline.runtimes.embedded import Embedded, Summary
from pipeline.sinks.sqlite import SqliteStore

_CARRIAGE = ("seq", "carrier", "position", "late", "ocsf")


def run(store: Path, *inputs: Input | Path, config: Config | None = None) -> Summary:
    """One bounded run; a path is an input of source ``auto``."""
    given = [i if isinstance(i, Input) else Input(path=str(i)) for i in inputs]
    opened = SqliteStore(store)
    try:
        return Embedded(config or Config(), given, opened, lambda *_: None).run()
    finally:
        opened.close()


def rows(store: Path, sql: str) -> list[dict[str, Any]]:
    """Rows of a question to a store."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql)]


def contents(store: Path) -> dict[str, list[dict[str, Any]]]:
    """All that a store holds, but for the words, which follow from the events."""
    tables = ("events", "findings", "dead_letters", "streams", "detector_state")
    return {name: rows(store, f"SELECT * FROM {name}") for name in tables}


def events(store: Path) -> dict[bytes, dict[str, Any]]:
    """Events by id, without how each was carried."""
    found = rows(store, "SELECT * FROM events")
    return {e["id"]: {k: v for k, v in e.items() if k not in _CARRIAGE} for e in found}


def settled(store: Path) -> set[tuple[Any, ...]]:
    """The settled view: everything that equality is about."""
    return _open(store, ("id", "evidence", *_SHAPE))


def shape(store: Path) -> set[tuple[Any, ...]]:
    """The settled view without ids: what is the same for other positions of the same events."""
    return _open(store, _SHAPE)


_SHAPE = (
    "detector", "cluster", "key", "severity_id", "first_time", "last_time", "count",
    "lower_bound", "suspect",
)  # fmt: skip


def _open(store: Path, columns: Sequence[str]) -> set[tuple[Any, ...]]:
    found = rows(
        store,
        f"SELECT {','.join(columns)} FROM findings AS f WHERE status = 'open' AND version = "
        "(SELECT max(version) FROM findings AS o WHERE o.id = f.id)",
    )
    return {tuple(row.values()) for row in found}


def words(store: Path, text: str) -> int:
    """How many events hold all these words."""
    sql = "SELECT count(*) AS n FROM words WHERE words MATCH '{}'"
    return int(rows(store, sql.format(text))[0]["n"])


def nothing(summary: Summary) -> bool:
    """Whether a run read and wrote nothing at all."""
    account = summary.account
    figures = (account.records, account.items, account.events, account.duplicates)
    counted = bool(account.filtered or account.dead_letters or summary.findings)
    return not any(figures) and not counted


def balanced(summary: Summary) -> bool:
    """Whether this run's account, and the store's, add up."""
    held = summary.store
    gone = held["duplicates"] + held["filtered"] + held["dead_letters"]
    return summary.account.balances() and held["items"] == held["events"] + gone
