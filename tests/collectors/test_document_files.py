"""JSON documents in files and pipes: resumed, compressed, cut, and as they come."""

from __future__ import annotations

import gzip
import io
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.batch import Record
from pipeline.collectors.documents import CutShort, Documents
from pipeline.collectors.files import LineReader, open_stream
from pipeline.collectors.identity import identify
from pipeline.collectors.pipes import Pipe
from tests.collectors.test_documents import (
    GOOD,
    concatenated,
    dense,
    lines_of_an_array,
    records,
    spread_records,
)
from tests.collectors.test_line_reader import everything


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_reading_goes_on_at_every_element(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "records"
    path.write_bytes(pack(spread_records(GOOD * 50).encode()))
    with open_stream(path) as file:
        reader = LineReader(file, 1 << 20)
        whole = everything(reader)
        digests = [reader.digest_at(record.position) for record in whole]
    assert len(whole) == 300
    for number in (0, 1, 17, 299):
        with open_stream(path) as file:
            reader = LineReader(file, 1 << 20)
            assert reader.resume(whole[number].position, digests[number]) is True
            assert everything(reader) == whole[number:]
    with open_stream(path) as file:
        reader = LineReader(file, 1 << 20)
        assert reader.resume(whole[9].position, bytes(32)) is False
        assert everything(reader) == whole
        assert reader.resume(10**9, bytes(32)) is None
        assert file.fileno() > 0


def test_a_document_is_the_same_in_any_form_that_keeps_its_elements(tmp_path: Path) -> None:
    origins = set()
    for name, data in (
        ("a", records(GOOD).encode()),
        ("b", gzip.compress(lines_of_an_array(GOOD).encode())),
        ("c", b"".join(dense(each).encode() + b"\n" for each in GOOD)),
    ):
        (tmp_path / name).write_bytes(data)
        with open_stream(tmp_path / name) as file:
            what = identify(file, lambda v: b'"id":2' in v, lambda v: True, 1 << 20)
        origins.add(what.origin)
        assert what.recognised
    assert len(origins) == 1


def test_damaged_gzip_gives_the_elements_before_the_damage(tmp_path: Path) -> None:
    path, packed = tmp_path / "cut.gz", gzip.compress(records(GOOD * 300).encode())
    for size in (3, 15, len(packed) // 2, len(packed) - 9):
        path.write_bytes(packed[:size])
        with open_stream(path) as file:
            reader = LineReader(file, 1 << 20)
            found = everything(reader)
        assert [record.value for record in found] == [dense(e).encode() for e in GOOD * 300][: len(found)]  # fmt: skip
        assert "gzip file ends in the middle" in reader.broken
        assert found or size < 20


@pytest.mark.parametrize("piece", [7, 4096, 1 << 20])
def test_documents_come_through_a_pipe(piece: int) -> None:
    for text, count in ((records(GOOD * 40), 240), (concatenated(GOOD), 7), (dense(1) + "\n", 1)):
        data = text.encode()
        read, write = os.pipe()

        def feed(data: bytes = data, write: int = write) -> None:
            with os.fdopen(write, "wb", buffering=0) as out:
                for start in range(0, len(data), piece):
                    out.write(data[start : start + piece])

        thread = threading.Thread(target=feed)
        thread.start()
        pipe = Pipe(read, lambda: False)
        assert identify(pipe, lambda v: False, lambda v: True, 1 << 20).recognised
        assert not pipe.rewind()
        reader = LineReader(pipe, 1 << 20)
        assert len(everything(reader)) == count
        assert (reader.rest(), reader.broken) == (None, "")
        thread.join()
        os.close(read)


def test_an_element_is_given_out_before_the_next_one_comes() -> None:
    read, write = os.pipe()
    pipe = Pipe(read, lambda: False)
    pipe.rewind()
    os.write(write, b'{"Records":[{"a":1}')
    assert pipe.read(1 << 20) == b'{"a":1}\n'
    os.write(write, b',{"a":2},{"a"')
    assert pipe.read(1 << 20) == b'{"a":2}\n'
    os.close(write)
    assert pipe.read(1 << 20) == b'{"a"'
    with pytest.raises(CutShort):
        pipe.read(1 << 20)
    os.close(read)


def test_a_document_that_is_interrupted_is_not_said_to_be_cut() -> None:
    read, write = os.pipe()
    stopped = threading.Event()
    pipe = Pipe(read, stopped.is_set)
    pipe.rewind()
    os.write(write, b'[{"a":1},')
    assert pipe.read(1 << 20) == b'{"a":1}\n'
    threading.Timer(0.1, stopped.set).start()
    assert pipe.read(1 << 20) == b""
    os.close(read)
    os.close(write)


def test_what_is_left_of_a_cut_document_is_one_record() -> None:
    reader = LineReader(Documents(io.BytesIO(b'[{"a":1},{"b":')), 1 << 20)
    assert everything(reader) == [Record(b'{"a":1}', 0)]
    assert reader.rest() == Record(b'{"b":', 8, broken="the JSON document ends in the middle")
