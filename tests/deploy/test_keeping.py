"""What docs/deployment.md says of keeping it: backup and restore, and another key of redaction."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.commands import exit_status
from tests.test_house import ROOT

INCIDENT = ROOT / "pipeline" / "incident"
SECRETS = ROOT / "tests" / "examples" / "sources" / "aws_cloudtrail" / "secrets.json"


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a command wrote, which must not fail."""
    assert exit_status(*arguments) == 0
    return capsys.readouterr().out


def test_a_backup_of_the_embedded_store_is_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`.backup` of SQLite's shell and `Connection.backup` are the same call of the library."""
    store, copy = tmp_path / "store.db", tmp_path / "copy.db"
    given = ("--input", f"auto={INCIDENT}")
    said(capsys, "run", *given, "--store", store)
    with closing(sqlite3.connect(store)) as busy:
        # A run is in the middle of a batch: what it has not committed is not in the copy.
        busy.execute("BEGIN IMMEDIATE")
        busy.execute("DELETE FROM events")
        with closing(sqlite3.connect(store)) as here, closing(sqlite3.connect(copy)) as there:
            here.backup(there)
        busy.rollback()
    for what in ("events", "findings", "dead-letters"):
        shown = said(capsys, what, "--store", store, "--format", "jsonl")
        assert shown == said(capsys, what, "--store", copy, "--format", "jsonl")
        assert shown or what == "dead-letters"
    # It goes on where the store was: nothing is there twice.
    again = json.loads(said(capsys, "run", *given, "--store", copy, "--summary", "json"))
    assert again["events"] == 0


def test_with_another_key_ids_stay_and_events_say_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = json.loads(SECRETS.read_text())["lines"]
    log = tmp_path / "trail.json"
    found: dict[str, list[Any]] = {}
    for key_id in ("1", "2"):
        (tmp_path / f"key-{key_id}").write_text(f"a key of redaction, number {key_id}")
        config = tmp_path / f"{key_id}.toml"
        config.write_text(
            f'[redaction]\nkey_file = "{tmp_path}/key-{key_id}"\nkey_id = "{key_id}"\n'
        )
        log.write_text("\n".join(lines) + "\n")
        store = tmp_path / f"{key_id}.db"
        run = ("run", "--config", config, "--input", f"auto={log}", "--store", store)
        said(capsys, *run)
        shown = said(capsys, "events", "--store", store, "--format", "jsonl").splitlines()
        found[key_id] = [json.loads(line) for line in shown]
        assert set(re.findall(r"\[redacted:(\w+):", "".join(shown))) == {key_id}
    ids = {
        key_id: [event["metadata"]["uid"] for event in events] for key_id, events in found.items()
    }
    assert ids["1"] == ids["2"]
    # The one store goes on with the new key; what it has stays under the old.
    said(capsys, "run", "--config", tmp_path / "2.toml", "--input", f"auto={log}",
         "--store", tmp_path / "1.db")  # fmt: skip
    shown = said(capsys, "events", "--store", tmp_path / "1.db", "--format", "jsonl").splitlines()
    assert [json.loads(line)["metadata"]["uid"] for line in shown] == ids["1"]
