"""The embedded store: told from other files, one writer, and errors that say what to do."""

from __future__ import annotations

import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.query import Query
from pipeline.sinks.sqlite import SqliteStore
from pipeline.sinks.sqlite_query import SqliteReader
from tests.commands import SCRIPT, auditstream, start, summary
from tests.logs import authorizer_lines, broker_lines, write
from tests.runtimes.runs import contents, run


def refused(path: Path, said: str, *, written: bool = True, read: bool = True) -> None:
    """Neither writer nor reader takes this file, and both say why."""
    before = path.read_bytes() if path.is_file() else None
    if written:
        with pytest.raises(StoreError, match=said):
            SqliteStore(path)
    if read:
        with pytest.raises(StoreError, match=said):
            SqliteReader(path)
    if before is not None:
        assert path.read_bytes() == before


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("something else, and long enough to be looked at\n" * 100)
    refused(path, "is not an auditstream store; name another with --store")


@pytest.mark.parametrize(
    "sql",
    ["CREATE TABLE meta (name, value)", "PRAGMA application_id = 5", "PRAGMA user_version = 1"],
)
def test_somebody_elses_database_is_left_as_it_is(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()
    refused(path, "is not an auditstream store; name another with --store")


def test_a_store_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
        db.commit()
    refused(path, "schema version 99, this release has 1; use the release that made it")


def test_a_store_that_is_missing(tmp_path: Path) -> None:
    refused(tmp_path / "s.db", "`auditstream run --store .*` makes one", written=False)


def test_a_file_in_which_nothing_is_yet(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.touch()
    refused(path, "is not an auditstream store", written=False)
    SqliteStore(path).close()
    SqliteReader(path).close()


def test_a_folder_in_the_place_of_the_store(tmp_path: Path) -> None:
    refused(tmp_path, "is not an auditstream store; name another with --store")


def test_a_file_in_the_place_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "s.db", "name a file in a folder that can be written", read=False)


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "new" / "deep" / "s.db").close()
    SqliteReader(tmp_path / "new" / "deep" / "s.db").close()


def test_a_folder_that_cannot_be_written() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            refused(Path(name, "s.db"), "name a file in a folder that can be written", read=False)
        finally:
            os.seteuid(user)


def test_a_store_on_a_sealed_medium_can_be_read(tmp_path: Path) -> None:
    log = write(tmp_path / "a.log", authorizer_lines(10))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "s.db")
        run(path, log)
        path.chmod(0o444)
        Path(name).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            reader = SqliteReader(path)
            assert len(list(reader.events(Query()))) == 10
            reader.close()
        finally:
            os.seteuid(user)
            Path(name).chmod(0o755)


def test_two_writers_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    first = SqliteStore(path)
    with pytest.raises(StoreError, match=r"another run is writing .* wait for it, or name another"):
        SqliteStore(path)
    SqliteReader(path).close()
    first.close()
    SqliteStore(path).close()


def test_a_second_run_beside_one_that_writes(tmp_path: Path) -> None:
    log, store = write(tmp_path / "a.log", authorizer_lines(10)), tmp_path / "s.db"
    given = ("run", "--input", f"auto={log}", "--store", store)
    process = start(*given, "--follow", cwd=tmp_path)
    try:
        while not (tmp_path / "s.db-wal").exists():
            assert process.poll() is None
        done = auditstream(*given, cwd=tmp_path)
    finally:
        process.terminate()
        process.communicate()
    assert done.returncode == 1
    assert re.fullmatch(r"auditstream: another run is writing the store .*\n", done.stderr)


def test_a_damaged_store(tmp_path: Path) -> None:
    log, path = write(tmp_path / "a.log", broker_lines(3000)), tmp_path / "s.db"
    run(path, log)
    data = bytearray(path.read_bytes())
    for start_of_page in range(4096 * 2, len(data), 4096):
        data[start_of_page : start_of_page + 100] = os.urandom(100)
    path.write_bytes(data)
    for command in (("run", "--input", f"auto={log}"), ("events",), ("findings",), ("doctor",)):
        done = auditstream(*command, "--store", path, cwd=tmp_path)
        assert done.returncode == 1, command
        assert "restore it, or read the logs into a new one" in done.stderr + done.stdout
        assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 2 MB, or where none can be had a folder."""
    with tempfile.TemporaryDirectory() as name:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", name],
            capture_output=True,
            check=False,
        )
        yield Path(name)
        if mounted.returncode == 0:
            subprocess.run(["umount", name], check=True)


def test_a_full_disk_and_room_made(tmp_path: Path, small_disk: Path) -> None:
    log, whole = write(tmp_path / "a.log", broker_lines(6000)), tmp_path / "whole.db"
    run(whole, log)
    if not os.path.ismount(small_disk):
        pytest.skip("only root can make a small disk")
    store = small_disk / "s.db"
    given = ("run", "--input", f"auto={log}", "--store", store, "--summary", "json")
    done = auditstream(*given, cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(
        "auditstream: the store .* cannot be (written|used|opened): .*; make room and run again: "
        "it goes on where it was\n",
        done.stderr,
    )
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    again = auditstream(*given, cwd=tmp_path)
    assert summary(again.stdout)["store"]["records"] == 6000
    assert contents(store)["events"] == contents(whole)["events"]


def test_files_that_may_grow_no_further(tmp_path: Path) -> None:
    log, store = write(tmp_path / "a.log", broker_lines(6000)), tmp_path / "s.db"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))

    given = [SCRIPT, "run", "--input", f"auto={log}", "--store", str(store), "--summary", "json"]
    done = subprocess.run(given, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 1
    assert re.fullmatch("auditstream: the store .*: it goes on where it was\n", done.stderr)
    again = subprocess.run(given, capture_output=True, text=True, check=True)
    assert summary(again.stdout)["store"]["records"] == 6000


def test_another_program_may_hold_the_store_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sinks.sqlite_file._BUSY_S", 120.0)
    log, store = write(tmp_path / "a.log", broker_lines(100)), tmp_path / "s.db"
    SqliteStore(store).close()
    hold = (
        "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(store)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert run(store, log).account.records == 100
