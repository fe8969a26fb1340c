"""Detectors' states: kept with the transaction, and in bounded memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from pipeline.sinks import sqlite
from pipeline.sinks.sqlite import SqliteStore
from tests.logs import broker_lines, write
from tests.runtimes.runs import run, settled

KEY = ("detector", "cluster", "key")


def test_a_state_is_what_was_written_with_the_last_transaction(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    with store.transaction():
        store.state_of(KEY)["evidence"] = [(1, "a"), (2, "b")]
        store.touch([KEY])
    with contextlib.suppress(KeyError), store.transaction():
        store.state_of(KEY)["evidence"] = []
        store.touch([KEY])
        raise KeyError
    store.close()
    store = SqliteStore(tmp_path / "s.db")
    assert store.state_of(KEY) == {"evidence": [[1, "a"], [2, "b"]]}
    assert store.state_of(("detector", "cluster", "other")) == {}
    store.close()


def test_states_that_are_not_held_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write(tmp_path / "a.log", broker_lines(6000))
    run(tmp_path / "held.db", log)
    monkeypatch.setattr(sqlite, "_CACHED_STATE_BYTES", 1000)
    run(tmp_path / "read.db", log)
    assert settled(tmp_path / "read.db") == settled(tmp_path / "held.db")
