"""What a file is: the same under any name and compression, another by another first line."""

from __future__ import annotations

import gzip
import io
from hashlib import sha256
from pathlib import Path

from pipeline.collectors.files import open_stream
from pipeline.collectors.identity import Identity, Looking, identify

LONGEST = 100


def dated(line: bytes) -> bool:
    return line.startswith(b"2026")


def ours(line: bytes) -> bool:
    return line.startswith((b"2026", b"bare"))


def of(data: bytes) -> Identity:
    return identify(io.BytesIO(data), dated, ours, LONGEST)


def test_a_file_is_its_first_line_that_holds_a_time() -> None:
    found = of(b"# heading\n2026 one\n2026 two\n")
    assert found.origin == sha256(b"2026 one").digest()
    assert (found.first, found.head, found.recognised) == (b"2026 one", b"# heading", True)
    assert of(b"2026 one\n2026 other\n").origin == found.origin
    assert of(b"2026 other\n2026 one\n").origin != found.origin


def test_the_line_may_come_late() -> None:
    found = of(b"heading of some sort\n" * 200_000 + b"2026 one\n")
    assert found.origin == sha256(b"2026 one").digest()


def test_a_line_that_may_go_on_names_nothing() -> None:
    found = of(b"2026 o")
    assert (found.first, found.head) == (b"", b"")
    assert found.recognised


def test_a_line_over_the_limit_names_nothing() -> None:
    found = of(b"2026 " + b"x" * LONGEST + b"\n2026 one\n")
    assert found.origin == sha256(b"2026 one").digest()


def test_without_any_time_a_file_is_all_it_holds() -> None:
    data = b"bare one\nbare two"
    found = of(data)
    assert found.origin == sha256(data).digest()
    assert (found.recognised, found.first, found.empty) == (True, b"", False)
    assert of(data + b"!").origin != found.origin


def test_nothing_is_recognised_in_something_else() -> None:
    assert not of(bytes(range(256)) * 100).recognised
    assert not of(b"").recognised
    assert of(b"").empty


def test_copy_renamed_and_compressed_are_the_same(tmp_path: Path) -> None:
    data = b"# heading\n" + b"2026 one\n" * 1000
    origins = set()
    for name, content in (
        ("server.log", data),
        ("server.log.1", data),
        ("server.log.1.gz", gzip.compress(data)),
        ("other", gzip.compress(data[:5]) + gzip.compress(data[5:])),
    ):
        (tmp_path / name).write_bytes(content)
        with open_stream(tmp_path / name) as file:
            origins.add(identify(file, dated, ours, LONGEST).origin)
    assert len(origins) == 1


def test_truncated_gzip_says_why_nothing_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"2026 one\n")[:12])
    with open_stream(path) as file:
        found = identify(file, dated, ours, LONGEST)
    assert (found.recognised, found.empty) == (False, False)
    assert "ends in the middle" in found.broken


def test_looking_goes_on_where_a_file_has_grown(tmp_path: Path) -> None:
    path = tmp_path / "growing.log"
    path.write_bytes(b"heading\n20")
    with open_stream(path) as file:
        looking = Looking(file, dated, ours, LONGEST)
        assert looking.look().first == b""
        with path.open("ab") as more:
            more.write(b"26 one\n")
        found = looking.look()
    assert found.origin == sha256(b"2026 one").digest()
    assert found.head == b"heading"
