"""`auditstream replay` as a person uses it: what it shows, what it refuses, and its exit statuses."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tests.commands import SCRIPT, auditstream, exit_status
from tests.replay.replays import log
from tests.runtimes.runs import contents

ME = f"OS:{pwd.getpwuid(os.getuid()).pw_name}"
GIVEN = ("--config", "then.toml", "--input", "auto=server.log", "--store", "s.db")
TODAY = ("--config", "today.toml", *GIVEN[2:])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log, a store that refused some of it, and two configurations."""
    monkeypatch.chdir(tmp_path)
    log(tmp_path / "server.log")
    (tmp_path / "then.toml").write_text("max_record_bytes = 1024\n")
    (tmp_path / "today.toml").write_text(
        '[[principals]]\npattern = "User:app-1*"\nkind = "human"\n'
    )
    assert exit_status("run", *GIVEN) == 0
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    capsys.readouterr()
    return capsys


def test_shown_then_applied_then_nothing(said: pytest.CaptureFixture[str]) -> None:
    before = contents(Path("s.db"))
    assert exit_status("replay", *TODAY) == 0
    shown = said.readouterr().out
    assert "Nothing was written; --apply does." in shown
    assert "36 new, " in shown
    assert "too_long               36" in shown
    assert "findings      4 new, 0 changed, 0 taken back" in shown
    (attribute,) = (line for line in shown.splitlines() if line.startswith("actor_kind"))
    assert attribute.split()[2:] == ["unknown", "human"]
    assert contents(Path("s.db")) == before
    assert exit_status("replay", *TODAY, "--apply") == 0
    applied = said.readouterr().out
    assert applied.splitlines()[:-1] == shown.splitlines()[:-1]
    said_last = "Applied, and recorded: auditstream events --source auditstream.replay"
    assert applied.splitlines()[-1] == said_last
    assert exit_status("replay", *TODAY, "--apply") == 0
    assert said.readouterr().out.endswith("\nNothing changes.\n")
    assert exit_status("events", "--store", "s.db", "--source", "auditstream.replay") == 0
    assert ME in said.readouterr().out
    assert exit_status("dead-letters", "--store", "s.db") == 0
    assert "too_long" not in said.readouterr().out
    assert there() == ["s.db", "s.db.lock", "server.log", "then.toml", "today.toml"]


def there() -> list[str]:
    """What is in the folder, but for what SQLite leaves of who only reads."""
    names = (path.name for path in Path.cwd().iterdir())
    return sorted(name for name in names if not name.endswith(("-shm", "-wal")))


def test_for_programs(said: pytest.CaptureFixture[str]) -> None:
    assert exit_status("replay", *TODAY, "--reason", "too_long", "--json") == 0
    shown = json.loads(said.readouterr().out)
    events = shown["events"]
    assert (events["new"], events["changed"], events["gone"]) == (36, 0, 0)
    assert shown["resolved"] == {"too_long": 36}
    assert shown["not_applied"]["outside"]["event"] > 10
    assert len(shown["new"]) == 5
    assert shown["applied"] is False
    assert exit_status("replay", *TODAY, "--reason", "too_long", "--json", "--apply") == 0
    assert json.loads(said.readouterr().out) == {**shown, "applied": True}


@pytest.mark.parametrize(
    ("more", "status", "what"),
    [
        (("--since", "2026-11-02", "--until", "2026-11-02"), 2, "is not before --until"),
        (("--since", "soon"), 2, "'soon' is no time"),
        (("--reason", "unreadable"), 2, "no such reason; there is unknown_layout, torn,"),
        (("--input", "kafka_authoriser=server.log"), 2, "no source 'kafka_authoriser'"),
        (("--input", "server.log"), 2, "write SOURCE=PATH"),
        (("--input", "auto=missing.log"), 1, "missing.log"),
        (("--apply", "--store", "https://search.example.com:9200"), 2, "name its brokers"),
        (("--store", "none.db"), 1, "no store at none.db"),
        (("--store", "server.log"), 1, "server.log is not an auditstream store"),
        (("--apply", "--store", "server.log"), 1, "server.log is not an auditstream store"),
        (("--apply", "--store", "none.db"), 1, "no store at none.db"),
    ],
)
def test_what_cannot_be_meant_is_said(
    said: pytest.CaptureFixture[str], more: tuple[str, ...], status: int, what: str
) -> None:
    before = there()
    assert exit_status("replay", *TODAY, *more) == status
    written = said.readouterr()
    assert what in written.err
    assert written.out == ""
    assert there() == before


def test_something_to_read_must_be_named(said: pytest.CaptureFixture[str]) -> None:
    assert exit_status("replay", "--store", "s.db") == 2
    assert "nothing to read: name an --input" in said.readouterr().err


def test_records_that_are_gone_are_said(said: pytest.CaptureFixture[str]) -> None:
    log(Path("other.log"), seed=99)
    Path("server.log").unlink()
    assert exit_status("replay", "--input", "auto=other.log", "--store", "s.db", "--apply") == 0
    shown = said.readouterr().out
    assert "in the store cannot be shown to be of records that were read again:" in shown
    assert "server.log: " in shown
    assert "events not taken in yet: `auditstream run` does" in shown
    assert shown.endswith("\nNothing changes.\n")


def test_as_a_process_from_a_folder_that_cannot_be_written(folder: Path) -> None:
    """Showing needs no right to write where the store is."""
    store = folder / "kept"
    store.mkdir()
    (folder / "s.db").rename(store / "s.db")
    store.chmod(0o500)
    try:
        done = auditstream("replay", *TODAY[:4], "--store", "kept/s.db", cwd=folder)
    finally:
        store.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
    assert "36 new, " in done.stdout


def test_what_nobody_reads_is_not_applied(folder: Path) -> None:
    """Nobody can tell how much `head` saw; but then it must not be taken for done."""
    before = contents(folder / "s.db")
    closed, pipe = os.pipe()
    os.close(closed)
    with os.fdopen(pipe, "wb") as nobody:
        done = subprocess.run(
            [SCRIPT, "replay", *TODAY, "--apply"], cwd=folder, stdout=nobody,
            stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "so nothing was applied" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(folder / "s.db") == before
