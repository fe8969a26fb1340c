"""Files made to do harm: accounted for, and never a traceback."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.commands import exit_status, summary
from tests.logs import authorizer_lines


def random_bytes(path: Path) -> None:
    path.write_bytes(Random(1).randbytes(2_000_000))


def random_lines_between_good_ones(path: Path) -> None:
    random = Random(2)
    lines = [line.encode() for line in authorizer_lines(200)]
    path.write_bytes(b"\n".join(v for line in lines for v in (line, random.randbytes(300))))


def nuls(path: Path) -> None:
    path.write_bytes(b"\0" * 1_500_000 + b"\n" + b"\0\n" * 50_000)


def one_line_of_100_mb(path: Path) -> None:
    path.touch()
    os.truncate(path, 100 * 2**20)


def a_good_line_behind_100_mb(path: Path) -> None:
    one_line_of_100_mb(path)
    with path.open("a") as file:
        file.write("\n" + next(authorizer_lines(1)) + "\n")


def empty(path: Path) -> None:
    path.touch()


def deep_json(path: Path) -> None:
    path.write_text(
        "[" * 900_000 + "\n" + '{"a":' * 150_000 + "\n" + '{"message":"x","log":' * 40_000
    )


def surrogates(path: Path) -> None:
    path.write_text('{"@timestamp":"2026-11-01T00:00:00Z","message":"\\ud800 x"}\n' * 1000)


def gzip_bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(b"\0" * (100 * 2**20), 1))


def truncated_gzip(path: Path) -> None:
    packed = gzip.compress("\n".join(authorizer_lines(2000)).encode())
    path.write_bytes(packed[: len(packed) * 2 // 3])


def words_that_backtrack(path: Path) -> None:
    head = next(authorizer_lines(1))[:60]
    hard = (" is Denied operation = ", " from host = ", " based on rule ", "(", " is ", "=")
    path.write_text("\n".join(head + word * (65_536 // len(word)) for word in hard) + "\n")


FILES = (
    random_bytes, random_lines_between_good_ones, nuls, one_line_of_100_mb,
    a_good_line_behind_100_mb, empty, deep_json, surrogates, gzip_bomb, truncated_gzip,
    words_that_backtrack,
)  # fmt: skip
RECOGNISED = (random_lines_between_good_ones, a_good_line_behind_100_mb, truncated_gzip)


@pytest.mark.parametrize("source", ["auto", "kafka_authorizer"])
@pytest.mark.parametrize("make", FILES, ids=lambda f: f.__name__)
def test_hostile_files_are_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None], source: str
) -> None:
    path = tmp_path / "hostile.log"
    make(path)
    given = (
        "run",
        "--input",
        f"{source}={path}",
        "--store",
        tmp_path / "s.db",
        "--summary",
        "json",
    )
    assert exit_status(*given) == 0
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    found = summary(told.out)
    if make is empty:
        assert (found["records"], told.err) == (0, "")
    elif make in RECOGNISED:
        assert found["events"]
    elif source == "auto" and not found["records"]:
        assert found["unrecognised_files"] == [str(path)]
        assert f"{path}: not recognised" in told.err
    else:
        assert found["dead_letters"]
    if make is truncated_gzip:
        assert found["dead_letters_by_reason"] == {"cut_short": 1}
        assert "the gzip file ends in the middle" in told.err
