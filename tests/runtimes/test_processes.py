"""Real processes: signals, a writer that rotates, readers beside a run."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.runtimes.embedded import Embedded
from tests.commands import SCRIPT, auditstream, signalled, start, summary
from tests.logs import authorizer_lines, broker_lines, write

LINES = 3000


def until(holds: Callable[[], bool], patience_s: float = 120) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def count(store: Path, what: str = "count(*) FROM events") -> int:
    if not store.exists():
        return 0
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute(f"SELECT {what}").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


@contextmanager
def following(folder: Path, path: Path, store: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(
        "run", "--follow", "--input", f"auto={path}", "--store", store, "--summary", "json",
        cwd=folder,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def renamed(log: Path, number: int) -> None:
    log.rename(log.with_name(f"server.log.{number}"))


def copied_and_truncated(log: Path, number: int) -> None:
    shutil.copy(log, log.with_name(f"server.log.{number}"))
    os.truncate(log, 0)


def compressed(log: Path, number: int) -> None:
    renamed(log, number)
    if number > 1:
        before = log.with_name(f"server.log.{number - 1}")
        with gzip.open(before.with_name(before.name + ".gz"), "wb") as packed:
            packed.write(before.read_bytes())
        before.unlink()


@pytest.mark.parametrize(
    "rotate", [renamed, copied_and_truncated, compressed], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
def test_nothing_is_lost_under_a_writer_that_rotates(
    tmp_path: Path, rotate: Callable[[Path, int], None], single: bool
) -> None:
    folder, store = tmp_path / "logs", tmp_path / "s.db"
    folder.mkdir()
    log = folder / "server.log"
    log.touch()
    with following(tmp_path, log if single else folder, store) as process:
        file, number = log.open("a", buffering=1), 0
        for place, line in enumerate(authorizer_lines(LINES)):
            if place % 350 == 349:
                file.close()
                number += 1
                rotate(log, number)
                file = log.open("a", buffering=1)
            file.write(line + "\n")
            if place % 40 == 0:
                time.sleep(0.01)
        file.close()
        until(lambda: count(store) >= LINES)
        process.send_signal(signal.SIGTERM)
        out, complaints = process.communicate(timeout=120)
    assert process.returncode == 0
    assert complaints == ""
    said = summary(out)
    assert (said["events"], said["duplicates"], said["dead_letters"]) == (LINES, 0, 0)
    again = auditstream(
        "run", "--input", f"auto={folder}", "--store", store, "--summary", "json", cwd=tmp_path
    )
    assert summary(again.stdout)["records"] == 0
    assert count(store) == LINES


def test_an_interrupted_run_says_so_and_goes_on_later(tmp_path: Path) -> None:
    log, store = write(tmp_path / "a.log", broker_lines(40_000)), tmp_path / "s.db"
    given = ("run", "--input", f"auto={log}", "--store", store, "--summary", "json")
    # In its second transaction.
    interrupted = signalled(signal.SIGINT, Embedded, "apply", 6, *given, cwd=tmp_path)
    first = summary(interrupted.stdout)
    assert interrupted.returncode == 130
    assert 0 < first["records"] < 40_000
    second = summary(auditstream(*given, cwd=tmp_path).stdout)
    assert first["records"] + second["records"] == 40_000
    assert second["duplicates"] == 0


def test_readers_beside_a_run_see_whole_transactions_only(tmp_path: Path) -> None:
    store, lines = tmp_path / "s.db", [line + "\n" for line in broker_lines(24_000)]
    given = ("run", "--input", "auto=-", "--store", str(store), "--summary", "json")
    seen: set[int] = set()
    with subprocess.Popen(
        [SCRIPT, *given], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        for part in (lines[:8000], lines[8000:16_000], lines[16_000:]):
            process.stdin.writelines(part)
            process.stdin.flush()
            before = max(seen, default=0)
            until(lambda before=before: count(store) > before)  # type: ignore[misc]
            seen |= views(store)
            assert process.poll() is None
            shown = auditstream("events", "--store", store, "--format", "jsonl", cwd=tmp_path)
            assert shown.returncode == 0
            assert len(shown.stdout.splitlines()) >= max(seen)
            found = auditstream("findings", "--store", store, "--format", "jsonl", cwd=tmp_path)
            assert all(json.loads(line) for line in found.stdout.splitlines())
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(seen) >= 3
    assert summary(out)["records"] == 24_000


def views(store: Path) -> set[int]:
    """Numbers of events in a hundred looks at the store; every look must be whole."""
    seen = set()
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, isolation_level=None)) as db:
        for _ in range(100):
            db.execute("BEGIN")
            (events,) = db.execute("SELECT count(*) FROM events").fetchone()
            (counted,) = db.execute("SELECT sum(account ->> 'events') FROM streams").fetchone()
            (said,) = db.execute("SELECT count(*) FROM words WHERE words MATCH 'was'").fetchone()
            (auth,) = db.execute("SELECT count(*) FROM events WHERE class_uid = 6003").fetchone()
            db.execute("COMMIT")
            assert (events, auth) == (counted, said)
            seen.add(events)
    return seen


def test_standard_input_that_trickles_is_seen_at_once(tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    given = ("run", "--input", "auto=-", "--store", str(store), "--summary", "json")
    process = subprocess.Popen(
        [SCRIPT, *given], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    for number, line in enumerate(authorizer_lines(3)):
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        until(lambda wanted=number + 1: count(store) == wanted)  # type: ignore[misc]
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert summary(out.decode())["events"] == 3
