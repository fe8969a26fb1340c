"""Writing behind the caller's back: order, failures, and what is given up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.sinks.behind import Behind
from pipeline.sinks.sqlite import SqliteStore, StreamRow


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    opened.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    yield opened
    opened.close()


@pytest.fixture
def behind(db: sqlite3.Connection) -> Iterator[Behind]:
    made = Behind(db)
    yield made
    made.close()


def numbers(db: sqlite3.Connection) -> list[int]:
    return [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")]


def test_statements_are_carried_out_in_order(db: sqlite3.Connection, behind: Behind) -> None:
    for n in range(500):
        behind.give("INSERT INTO t VALUES (?)", [n])
        behind.give("UPDATE t SET n = n + 1000 WHERE n = ?", [n])
    behind.wait()
    assert numbers(db) == list(range(1000, 1500))


def test_after_a_failure_nothing_is_carried_out(db: sqlite3.Connection, behind: Behind) -> None:
    behind.give("BEGIN")
    behind.give("INSERT INTO t VALUES (?)", [1])
    behind.give("INSERT INTO t VALUES (?)", [1])
    with pytest.raises(sqlite3.IntegrityError):
        behind.wait()
    with pytest.raises(sqlite3.IntegrityError):
        behind.give("COMMIT")
    behind.roll_back()
    assert numbers(db) == []
    behind.give("INSERT INTO t VALUES (?)", [2])
    behind.wait()
    assert numbers(db) == [2]


def test_giving_up_leaves_what_was_committed_before(db: sqlite3.Connection, behind: Behind) -> None:
    for statement in ("BEGIN", "INSERT INTO t VALUES (1)", "COMMIT", "BEGIN"):
        behind.give(statement)
    behind.give("INSERT INTO t VALUES (2)")
    behind.roll_back()
    assert numbers(db) == [1]


def test_what_failed_behind_is_an_error_of_the_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    with sqlite3.connect(tmp_path / "s.db") as other:
        other.execute("DROP TABLE streams")
    other.close()
    with store.transaction():
        store.write_stream(StreamRow(b"k", "auto", "", "", "", 0, b"", "", b"{}", b"{}", b""))
    with pytest.raises(StoreError, match=r"s\.db cannot be written: no such table: streams"):
        store.wait()
    store.close()
