"""Standard input: looked at, then read, whatever the pace."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.collectors.files import LineReader
from pipeline.collectors.identity import identify
from pipeline.collectors.pipes import Pipe


@contextmanager
def fed(data: bytes, piece: int) -> Iterator[int]:
    """The reading end of a pipe that gets ``data`` in pieces."""
    read, write = os.pipe()

    def feed() -> None:
        with os.fdopen(write, "wb", buffering=0) as out:
            for start in range(0, len(data), piece):
                out.write(data[start : start + piece])

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield read
    finally:
        thread.join()
        os.close(read)


def test_what_was_looked_at_is_read_again() -> None:
    data = b"".join(b"2026 line %d\n" % n for n in range(5000)) + b"unfinished"
    for piece in (7000, 65_536, len(data)):
        with fed(data, piece) as descriptor:
            pipe = Pipe(descriptor, lambda: False)
            what = identify(pipe, lambda v: v.endswith(b"70"), lambda v: True, 1000)
            assert what.first == b"2026 line 70"
            assert not pipe.rewind()
            reader = LineReader(pipe, 1000)
            records = []
            while more := reader.read():
                records += more
        assert b"".join(r.value + b"\n" for r in records) == data[:-10]
        rest = reader.rest()
        assert rest is not None
        assert rest.value == b"unfinished"


def test_looking_ends_at_its_limit() -> None:
    data = b"x" * 99 + b"\n"
    with fed(data * 100_000, 65_536) as descriptor:
        pipe = Pipe(descriptor, lambda: False)
        assert not identify(pipe, lambda v: False, lambda v: False, 1000).recognised
        assert pipe.rewind()
        total = 0
        while more := pipe.read(2**20):
            total += len(more)
    assert total == 100 * 100_000


def test_waiting_for_a_slow_writer_can_be_stopped() -> None:
    read, write = os.pipe()
    stopped = threading.Event()
    os.write(write, b"first\n")
    pipe = Pipe(read, stopped.is_set)
    pipe.rewind()
    assert pipe.read(2**20) == b"first\n"
    threading.Timer(0.1, stopped.set).start()
    assert pipe.read(2**20) == b""
    os.close(read)
    os.close(write)
