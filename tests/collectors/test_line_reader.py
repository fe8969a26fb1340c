"""Files to records: wherever chunks end, whatever is broken, from every position on."""

from __future__ import annotations

import gzip
import io
import itertools
import tracemalloc
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch import Record
from pipeline.collectors.files import CHECKED_BYTES, LineReader, open_stream

LIMIT = 64
# Left to themselves, few are longer than the limit.
line = st.binary(max_size=90) | st.integers(LIMIT - 1, 90).map(lambda size: b"x" * size)
lines = st.lists(line.map(lambda v: v.replace(b"\n", b"")), max_size=30)


class Drip(io.BytesIO):
    """Bytes that come in pieces of given sizes, again and again."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(data)
        self._sizes = sizes
        self._turn = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._turn += 1
        return super().read(self._sizes[self._turn % len(self._sizes)])


class Endless(io.RawIOBase):
    """A line of ``size`` bytes, then another, without ever holding them."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        if self._left > 0:
            given = min(size, self._left)
            self._left -= given
            return b"x" * given
        if self._left == 0:
            self._left = -1
            return b"\nnext\n"
        return b""


def everything(reader: LineReader) -> list[Record]:
    records: list[Record] = []
    while more := reader.read():
        records += more
    return records


def expected(data: bytes, limit: int = LIMIT) -> list[Record]:
    """What ``bytes.split`` says the complete lines are."""
    found, position = [], 0
    for line in data.split(b"\n")[:-1]:
        if len(line) > limit:
            found.append(Record(line[:4096], position, len(line), sha256(line).hexdigest()))
        else:
            found.append(Record(line, position))
        position += len(line) + 1
    return found


@given(lines, line, st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_records_are_what_split_says_wherever_chunks_end(
    before: list[bytes], last: bytes, sizes: list[int]
) -> None:
    last = last.replace(b"\n", b"")
    data = b"".join(line + b"\n" for line in before) + last
    reader = LineReader(Drip(data, sizes), LIMIT)
    assert everything(reader) == expected(data)
    assert reader.position == len(data) - len(last)
    assert reader.digest == sha256(data[: reader.position][-CHECKED_BYTES:]).digest()
    rest = reader.rest()
    if not last:
        assert rest is None
    elif len(last) <= LIMIT:
        assert rest == Record(last, reader.position)
    else:
        assert rest == Record(last, reader.position, len(last), sha256(last).hexdigest())


@given(lines, st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_reading_goes_on_at_every_position(before: list[bytes], sizes: list[int]) -> None:
    data = b"".join(line + b"\n" for line in before)
    whole = expected(data)
    for number, record in enumerate(whole):
        digest = sha256(data[: record.position][-CHECKED_BYTES:]).digest()
        reader = LineReader(Drip(data, sizes), LIMIT)
        reader._file = io.BytesIO(data)
        assert reader.resume(record.position, digest) is True
        reader._file = Drip(data, sizes)
        reader._file.seek(record.position)
        assert everything(reader) == whole[number:]
        assert reader.digest == sha256(data[-CHECKED_BYTES:]).digest()


@given(lines, st.integers(1, 300))
def test_the_digest_before_any_record_just_read_is_known(before: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in before)
    reader = LineReader(Drip(data, [size]), LIMIT)
    while records := reader.read():
        for place in [record.position for record in records] + [reader.position]:
            assert reader.digest_at(place) == sha256(data[:place][-CHECKED_BYTES:]).digest()


def test_digests_look_back_no_further_than_is_checked() -> None:
    data = b"".join(b"%d" % n * 100 + b"\n" for n in range(500))
    reader = LineReader(io.BytesIO(data), LIMIT * 100)
    everything(reader)
    assert reader.digest == sha256(data[-CHECKED_BYTES:]).digest()


def test_what_was_changed_before_the_position_is_not_gone_on_with() -> None:
    data = b"a" * 5000 + b"\nb\n"
    digest = sha256(data[-CHECKED_BYTES:]).digest()
    changed = data[:-10] + b"X" + data[-9:]
    reader = LineReader(io.BytesIO(changed), 2**20)
    assert reader.resume(len(data), digest) is False
    assert everything(reader) == expected(changed, 2**20)


def test_a_file_that_is_shorter_is_read_from_its_beginning() -> None:
    data = b"one\ntwo\nthree\n"
    reader = LineReader(io.BytesIO(data[:8]), LIMIT)
    assert reader.resume(len(data), sha256(data).digest()) is None
    assert everything(reader) == expected(data[:8])


def test_a_line_of_100_mb_takes_no_memory() -> None:
    size = 100 * 2**20
    reader = LineReader(Endless(size), 2**20)
    tracemalloc.start()
    records = everything(reader)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(r.length, r.position, len(r.value)) for r in records] == [
        (size, 0, 4096),
        (-1, size + 1, 4),
    ]
    assert peak < 12 * 2**20


def test_carriage_returns_are_kept_so_that_positions_hold() -> None:
    reader = LineReader(io.BytesIO(b"one\r\ntwo\r\n"), LIMIT)
    assert everything(reader) == [Record(b"one\r", 0), Record(b"two\r", 5)]


def test_an_empty_file_has_nothing() -> None:
    reader = LineReader(io.BytesIO(b""), LIMIT)
    assert (reader.read(), reader.rest(), reader.position) == ([], None, 0)


DATA = b"".join(b"line %d of some text\n" % n for n in range(2000)) + b"unfinished"


def compressed_once(path: Path) -> None:
    path.write_bytes(gzip.compress(DATA))


def compressed_in_pieces(path: Path) -> None:
    cuts = (0, 11, 5000, 5001, len(DATA))
    parts = itertools.pairwise(cuts)
    path.write_bytes(b"".join(gzip.compress(DATA[a:b]) for a, b in parts))


def plain_by_another_name(path: Path) -> None:
    path.write_bytes(DATA)


@pytest.mark.parametrize(
    "write",
    [compressed_once, compressed_in_pieces, plain_by_another_name],
    ids=lambda f: f.__name__,
)
def test_gz_is_what_it_holds_not_what_it_is_called(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "some.log.gz"
    write(path)
    with open_stream(path) as file:
        reader = LineReader(file, LIMIT)
        assert everything(reader) == expected(DATA)
        assert reader.rest() == Record(b"unfinished", reader.position)
        assert not reader.broken


def test_gzip_without_the_name_is_gzip(tmp_path: Path) -> None:
    path = tmp_path / "some.log"
    path.write_bytes(gzip.compress(DATA))
    with open_stream(path) as file:
        assert everything(LineReader(file, LIMIT)) == expected(DATA)


def whole_part(packed: bytes) -> bytes:
    """All that zlib can get out of a gzip's beginning."""
    try:
        return zlib.decompressobj(wbits=31).decompress(packed)
    except zlib.error:
        return b""


def test_truncated_gzip_gives_what_can_be_read_and_says_so(tmp_path: Path) -> None:
    path, packed = tmp_path / "cut.gz", gzip.compress(DATA)
    for size in (*range(2, 30), *range(30, len(packed), 97), len(packed) - 8, len(packed) - 1):
        path.write_bytes(packed[:size])
        with open_stream(path) as file:
            reader = LineReader(file, LIMIT)
            found = everything(reader)
            rest = reader.rest()
        assert found == expected(whole_part(packed[:size]))
        assert "ends in the middle" in reader.broken
        assert rest is not None
        assert rest.broken == reader.broken


def test_damaged_gzip_gives_what_can_be_read_and_says_so(tmp_path: Path) -> None:
    path, packed = tmp_path / "damaged.gz", gzip.compress(DATA)
    for place in range(10, len(packed), 101):
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :])
        with open_stream(path) as file:
            reader = LineReader(file, LIMIT)
            everything(reader)
        assert reader.broken
        assert reader.read() == []


def test_gzip_is_gone_on_with_in_its_decompressed_bytes(tmp_path: Path) -> None:
    path = tmp_path / "some.gz"
    compressed_in_pieces(path)
    whole = expected(DATA)
    for number in (1, 500, 1999):
        position = whole[number].position
        with open_stream(path) as file:
            reader = LineReader(file, LIMIT)
            digest = sha256(DATA[:position][-CHECKED_BYTES:]).digest()
            assert reader.resume(position, digest) is True
            assert everything(reader) == whole[number:]


def test_damaged_gzip_before_the_position_is_read_from_its_beginning(tmp_path: Path) -> None:
    path, packed = tmp_path / "cut.gz", gzip.compress(DATA)
    path.write_bytes(packed[: len(packed) // 2])
    with open_stream(path) as file:
        reader = LineReader(file, LIMIT)
        assert reader.resume(len(DATA), sha256(DATA[-CHECKED_BYTES:]).digest()) is None
        assert everything(reader)
