"""Following: nothing lost and nothing twice, whatever rotation does to the files."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.errors import ArgumentError, InputError
from pipeline.runtimes import follow as following
from tests.logs import DAY, START, authorizer_lines, broker_lines, write
from tests.runtimes.following import Follow
from tests.runtimes.runs import balanced, nothing, run, settled, shape

LINES = list(authorizer_lines(900))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def add(path: Path, lines: list[str], end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


def test_files_that_grow_and_appear_are_read(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    add(folder / "a.log", LINES[:100])
    with Follow(store, folder) as follow:
        follow.has(100)
        add(folder / "a.log", LINES[100:200])
        follow.has(200)
        (folder / "deep").mkdir()
        add(folder / "deep" / "b.log", LINES[300:400])
        (folder / "empty.log").touch()
        follow.has(300)
        add(folder / "empty.log", LINES[400:500])
        follow.has(400)
    assert balanced(follow.summary)
    assert nothing(run(store, folder))


def test_an_unfinished_line_waits_for_its_end(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    with Follow(store, folder) as follow:
        add(folder / "a.log", [*LINES[:10], LINES[10][:80]], end="")
        follow.has(10)
        follow.polls(3)
        assert follow.count() == 10
        add(folder / "a.log", [LINES[10][80:]])
        follow.has(11)
        add(folder / "a.log", [LINES[11]], end="")
    assert follow.summary.account.dead_letters == {}
    # What follow left open a bounded run takes as it stands.
    assert run(store, folder).account.events == 1


def test_what_a_bounded_run_took_for_the_end_is_taken_back(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    add(folder / "a.log", [*LINES[:10], LINES[10][:80]], end="")
    assert run(store, folder).account.dead_letters == {"torn": 1}
    with Follow(store, folder) as follow:
        follow.polls()
        add(folder / "a.log", [LINES[10][80:]])
        follow.has(11)
    assert follow.summary.store["dead_letters"] == 0
    assert balanced(follow.summary)


@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
@pytest.mark.parametrize("polls", range(3))
def test_rotation_by_renaming(folder: Path, tmp_path: Path, single: bool, polls: int) -> None:
    log, store = folder / "a.log", tmp_path / "s.db"
    add(log, LINES[:100])
    with Follow(store, log if single else folder) as follow:
        follow.has(100)
        with log.open("a") as held:
            log.rename(folder / "a.log.1")
            follow.polls(polls)
            # The writer still holds the old file for a moment.
            held.write("\n".join(LINES[100:150]) + "\n")
        add(log, LINES[150:200])
        follow.has(200)
        (folder / "a.log.2.gz").write_bytes(gzip.compress((folder / "a.log.1").read_bytes()))
        (folder / "a.log.1").unlink()
        log.rename(folder / "a.log.1")
        add(log, LINES[200:300])
        follow.has(300)
    assert follow.summary.account.duplicates == 0
    assert balanced(follow.summary)
    assert nothing(run(store, folder))


@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
@pytest.mark.parametrize("seen", range(8))
def test_rotation_by_copying_and_truncating(
    folder: Path, tmp_path: Path, single: bool, seen: int
) -> None:
    """Whichever of the moments of the first rotation a poll falls into."""
    log, store = folder / "a.log", tmp_path / "s.db"
    add(log, LINES[:100])
    with Follow(store, log if single else folder) as follow:
        follow.has(100)
        add(log, LINES[100:120])
        follow.polls(seen & 1)
        shutil.copy(log, folder / "a.log.1")
        follow.polls(seen >> 1 & 1)
        os.truncate(log, 0)
        follow.polls(seen >> 2 & 1)
        add(log, LINES[120:130])
        follow.has(130)
        # Regrown past its old size between two polls.
        shutil.copy(log, folder / "a.log.2")
        os.truncate(log, 0)
        add(log, LINES[130:300])
        follow.has(300)
        shutil.copy(log, folder / "a.log.3")
        os.truncate(log, 0)
        follow.polls(2)
        add(log, LINES[300:310])
        follow.has(310)
    assert follow.summary.account.duplicates == 0
    assert balanced(follow.summary)
    assert nothing(run(store, folder))


def test_a_copy_in_the_making_is_waited_for(folder: Path, tmp_path: Path) -> None:
    log, store = folder / "a.log", tmp_path / "s.db"
    add(log, LINES[:300])
    with Follow(store, folder) as follow:
        follow.has(300)
        data = log.read_bytes()
        with (folder / "a.log.1").open("wb", buffering=0) as copy:
            for start in range(0, len(data), len(data) // 9):
                copy.write(data[start : start + len(data) // 9])
                follow.polls()
        follow.polls()
    assert follow.summary.account.records == 300


def test_compressing_takes_its_time(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    data = gzip.compress("\n".join([*LINES[:300], ""]).encode())
    with Follow(store, folder) as follow:
        follow.polls()
        with (folder / "a.log.gz").open("wb", buffering=0) as copy:
            for start in range(0, len(data), len(data) // 9):
                copy.write(data[start : start + len(data) // 9])
                follow.polls()
        follow.has(300)
    assert follow.summary.account.records == 300
    assert follow.summary.complaints == []


def test_truncated_gzip_is_named_at_the_end(folder: Path, tmp_path: Path) -> None:
    data = gzip.compress("\n".join([*LINES[:300], ""]).encode())
    (folder / "a.gz").write_bytes(data[: len(data) // 2])
    with Follow(tmp_path / "s.db", folder) as follow:
        follow.until(lambda: follow.count() > 50)
    assert len(follow.summary.complaints) == 1
    assert "ends in the middle" in follow.summary.complaints[0]


def test_a_single_file_may_come_later(folder: Path, tmp_path: Path) -> None:
    with Follow(tmp_path / "s.db", folder / "a.log") as follow:
        follow.polls()
        add(folder / "a.log", LINES[:50])
        follow.has(50)


def test_what_rotated_while_nobody_looked_is_read(folder: Path, tmp_path: Path) -> None:
    log, store = folder / "a.log", tmp_path / "s.db"
    add(log, LINES[:100])
    with Follow(store, log) as follow:
        follow.has(100)
    add(log, LINES[100:150])
    log.rename(folder / "a.log.2")
    add(folder / "a.log.1", LINES[150:200])
    add(log, LINES[200:250])
    with Follow(store, log) as follow:
        follow.has(250)
    assert follow.summary.account.duplicates == 0


def test_what_is_there_is_merged_by_time(folder: Path, tmp_path: Path) -> None:
    lines = list(broker_lines(1200, step=30 * DAY / 1200, forged=False))
    for part in range(12):
        name = f"a.log.{11 - part}" if part < 11 else "a.log"
        write(folder / name, lines[100 * part : 100 * part + 100])
    (folder / "b.log.gz").write_bytes(gzip.compress((folder / "a.log.5").read_bytes()))
    (folder / "a.log.5").unlink()
    together = run(tmp_path / "together.db", write(tmp_path / "all.log", lines))
    store = tmp_path / "s.db"
    with Follow(store, folder) as follow:
        follow.has(together.account.events)
    assert follow.summary.late == 0
    assert shape(store) == shape(tmp_path / "together.db")


def test_a_file_that_is_something_else_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "picture.png").write_bytes(os.urandom(5000))
    (folder / "other.log").write_text("started\n")
    with Follow(tmp_path / "s.db", folder) as follow:
        follow.polls()
        with (folder / "other.log").open("a") as file:
            file.write("still something else\n")
        follow.polls()
        add(folder / "other.log", LINES[:10])
        follow.has(10)
    assert follow.summary.unrecognised == [str(folder / "picture.png")]
    # The two lines before the first that is known are counted.
    assert follow.summary.account.records == 12


def test_lines_without_any_time_are_known_by_their_place(folder: Path, tmp_path: Path) -> None:
    bare = "Principal = User:a is Allowed Operation = Read from host = 192.0.2.7 on resource = Topic:LITERAL:t"
    store = tmp_path / "s.db"
    add(folder / "a.log", [bare] * 5)
    with Follow(store, folder) as follow:
        follow.has(5)
        add(folder / "a.log", [bare] * 5)
        follow.has(10)
        add(folder / "b.log", [bare] * 5)
        follow.has(15)
    with Follow(store, folder) as follow:
        follow.polls()
    assert nothing(follow.summary)


def held_open() -> list[str]:
    """Names of the files this process has open."""
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            names.append(str(descriptor.readlink()))
    return names


def test_many_files_are_not_held_open(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_MOST_OPEN", 5)
    monkeypatch.setattr(following, "_QUIET_POLLS", 2)
    for number in range(40):
        write(folder / f"a.{number}.log", LINES[number * 10 : number * 10 + 10])
    with Follow(tmp_path / "s.db", folder) as follow:
        follow.has(400)
        assert sum(name.startswith(str(folder)) for name in held_open()) <= 6
        follow.polls(6)
        add(folder / "a.7.log", LINES[400:450])
        add(folder / "a.8.log", LINES[450:500])
        follow.has(500)
    assert follow.summary.account.duplicates == 0


def test_arguments_that_cannot_be_followed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="standard input"), Follow(tmp_path / "s.db", Path("-")):
        pass
    with (
        pytest.raises(InputError, match="does not exist"),
        Follow(tmp_path / "s.db", folder / "missing" / "a.log"),
    ):
        pass


def test_findings_are_those_of_a_bounded_run(folder: Path, tmp_path: Path) -> None:
    lines = list(broker_lines(1500, step=timedelta(seconds=1), start=START))
    store = tmp_path / "s.db"
    with Follow(store, folder) as follow:
        for start in range(0, 1500, 100):
            add(folder / "a.log", lines[start : start + 100])
            if start % 300:
                follow.polls()
        follow.until(lambda: follow.count() > 1300)
    run(store, folder)
    run(tmp_path / "whole.db", folder)
    assert settled(store) == settled(tmp_path / "whole.db")
