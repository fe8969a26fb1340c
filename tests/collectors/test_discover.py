"""Which files an input means."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pipeline.collectors.files import discover, open_stream, shown
from pipeline.errors import InputError
from pipeline.sinks.sqlite import SqliteStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.log", "b.log.gz", "deep/er/c.log", ".hidden", ".git/d.log"):
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\n")
    return tmp_path / "logs"


def names(found: list[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in found]


def test_a_file_is_itself(folder: Path) -> None:
    assert discover(str(folder / "a.log")) == [folder / "a.log"]
    assert discover(str(folder / ".hidden")) == [folder / ".hidden"]


def test_a_folder_is_all_below_it_but_what_is_hidden(folder: Path) -> None:
    assert names(discover(str(folder)), folder) == ["a.log", "b.log.gz", "deep/er/c.log"]


def test_a_glob_is_what_it_matches_and_what_is_below_that(folder: Path) -> None:
    assert names(discover(f"{folder}/*.log"), folder) == ["a.log"]
    assert names(discover(f"{folder}/**/*.log"), folder) == ["a.log", "deep/er/c.log"]
    assert names(discover(f"{folder}/de*"), folder) == ["deep/er/c.log"]
    assert names(discover(f"{folder}/[ab].*"), folder) == ["a.log", "b.log.gz"]


def test_a_relative_glob(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert discover("*.log") == [Path("a.log")]


def test_a_name_that_looks_like_a_glob_is_a_name_first(folder: Path) -> None:
    (folder / "[x].log").write_text("text\n")
    assert discover(f"{folder}/[x].log") == [folder / "[x].log"]


def test_an_empty_folder_means_nothing(tmp_path: Path) -> None:
    assert discover(str(tmp_path)) == []


@pytest.mark.parametrize("name", ["missing", "missing/*.log", "a.log/below"])
def test_what_is_not_there_is_said(folder: Path, name: str) -> None:
    with pytest.raises(InputError, match="name a file, a folder or a glob"):
        discover(str(folder / name))


def test_a_store_of_ours_is_no_input(folder: Path) -> None:
    store = SqliteStore(folder / "auditstream.db")
    found = names(discover(str(folder)), folder)
    store.close()
    assert found == names(discover(str(folder)), folder) == ["a.log", "b.log.gz", "deep/er/c.log"]


def test_other_files_with_such_names_are(folder: Path) -> None:
    (folder / "some.lock").write_text("text\n")
    (folder / "some-wal").write_text("text\n")
    assert {"some.lock", "some-wal"} <= set(names(discover(str(folder)), folder))


def test_pipes_and_sockets_in_a_folder_are_left_alone(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("socket")
        assert names(discover(str(folder)), folder) == ["a.log", "b.log.gz", "deep/er/c.log"]


def test_a_pipe_that_is_named_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match="write -"):
        discover(str(folder / "pipe"))


def test_links_are_followed_to_files_and_never_round(folder: Path) -> None:
    (folder / "link.log").symlink_to(folder / "a.log")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "dangling").symlink_to(folder / "nowhere")
    expected = ["a.log", "b.log.gz", "deep/er/c.log", "link.log"]
    assert names(discover(str(folder)), folder) == expected
    with pytest.raises(InputError):
        discover(str(folder / "dangling"))


def test_a_folder_that_cannot_be_listed_is_reported(nobody: Path) -> None:
    (nobody / "closed").mkdir(0)
    (nobody / "a.log").write_text("text\n")
    refused: list[OSError] = []
    assert discover(str(nobody), refused.append) == [nobody / "a.log"]
    assert [error.filename for error in refused] == [str(nobody / "closed")]
    with pytest.raises(InputError, match="closed cannot be read: Permission denied"):
        discover(str(nobody))
    with pytest.raises(InputError, match="Permission denied"):
        discover(str(nobody / "closed" / "b.log"))


def test_a_file_that_cannot_be_read_is_said(nobody: Path) -> None:
    (nobody / "a.log").touch(0)
    assert discover(str(nobody)) == [nobody / "a.log"]
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        open_stream(nobody / "a.log")


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        open_stream(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        open_stream(tmp_path / "missing")


def test_a_name_that_is_not_utf8_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff.log")
    path.write_text("text\n")
    assert discover(str(tmp_path)) == [path]
    assert shown(path).endswith("bad\\xff.log")
