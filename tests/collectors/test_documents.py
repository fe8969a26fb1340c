"""JSON documents to lines: every element once and as it was, wherever the bytes were cut."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collectors.documents import CutShort, Documents
from pipeline.collectors.files import LineReader, open_stream
from tests.collectors.test_line_reader import Drip, everything
from tests.growth import grows_no_faster

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=12,
)
TRICKS = st.sampled_from(
    [
        {"id": 1, "x": [{"id": 2}, {"id": 3}]}, {"id": '"},{"id":4}'}, {"id": "}{[]}\\"}, {"id": "\\"},
        {"id": '{"Records":[{"id":5}]}'}, {"x": [{"id": 1}, {"id": 2}], "id": 3}, {"id": "]}\n"},
        {"Records": [{"id": 1}]}, {"Records": []}, {"Recor": {"Records": [1]}}, {},
    ]
)  # fmt: skip
plain = st.dictionaries(st.sampled_from(["id", "time", "ü", ""]), anything, max_size=3)
elements = st.lists(plain | TRICKS, min_size=1, max_size=8)
sizes = st.lists(st.integers(1, 90), min_size=1, max_size=5)


def dense(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def spread(value: Any) -> str:
    return json.dumps(value, indent=4)


def records(several: Sequence[Any]) -> str:
    return dense({"Records": several})


def spread_records(several: Sequence[Any]) -> str:
    return "\ufeff" + spread({"Records": several, "NextToken": "[{", "more": {"Records": [{}]}})


def array(several: Sequence[Any]) -> str:
    return " " + dense(several) + "\n"


def lines_of_an_array(several: Sequence[Any]) -> str:
    return "[\n" + ",\r\n".join(dense(each) for each in several) + "\n]\n"


def one_by_one(several: Sequence[Any]) -> str:
    return "".join(dense({"Events": [each]}) + "\n" for each in several)


def spread_objects(several: Sequence[Any]) -> str:
    return "\n".join(spread({"id": each}) for each in several)


def concatenated(several: Sequence[Any]) -> str:
    return "".join(dense({"id": each}) for each in [*several, 1])


ARRAYS = [records, spread_records, array, lines_of_an_array, one_by_one]
OBJECTS = [spread_objects, concatenated]


def given_out(data: bytes, pieces: list[int] | None = None, size: int = 1 << 20) -> bytes:
    """All a document gives out, up to its end or where it is cut."""
    file = Documents(Drip(data, pieces) if pieces else io.BytesIO(data))
    assert file.found()
    out = []
    try:
        while more := file.read(size):
            out.append(more)
            assert len(more) <= size
    except CutShort:
        pass
    return b"".join(out)


def lines(data: bytes, pieces: list[int] | None = None) -> list[bytes]:
    *whole, rest = given_out(data, pieces).split(b"\n")
    assert rest == b""
    return whole


def cut(data: bytes) -> bool:
    """Whether a document says that it ends in the middle."""
    reader = LineReader(Documents(io.BytesIO(data)), 1 << 20)
    everything(reader)
    return bool(reader.broken)


# Every form.


@settings(max_examples=150)
@given(elements, st.sampled_from(ARRAYS), sizes)
def test_elements_come_out_as_they_went_in(
    several: list[Any], form: Callable[[Sequence[Any]], str], pieces: list[int]
) -> None:
    data = form(several).encode()
    found = lines(data)
    assert [json.loads(line) for line in found] == several
    if form is not spread_records:
        assert found == [dense(each).encode() for each in several]
    assert lines(data, pieces) == found
    assert not cut(data)


@settings(max_examples=100)
@given(elements, st.sampled_from(OBJECTS), sizes)
def test_objects_come_out_as_they_went_in(
    several: list[Any], form: Callable[[Sequence[Any]], str], pieces: list[int]
) -> None:
    data = form(several).encode()
    found = [json.loads(line)["id"] for line in lines(data)]
    assert found == ([*several, 1] if form is concatenated else several)
    assert lines(data, pieces) == lines(data)
    assert not cut(data)


@settings(max_examples=100)
@given(st.lists(st.tuples(elements, st.sampled_from(ARRAYS)), min_size=1, max_size=4), sizes)
def test_documents_stand_one_behind_the_other(
    several: list[tuple[list[Any], Callable[[Sequence[Any]], str]]], pieces: list[int]
) -> None:
    data = "".join(form(each) for each, form in several).encode()
    found = lines(data, pieces)
    assert [json.loads(line) for line in found] == [each for some, _ in several for each in some]


@settings(max_examples=100)
@given(st.lists(plain, min_size=1, max_size=5), st.sampled_from(ARRAYS + OBJECTS))
def test_cut_anywhere_it_gives_what_stands_before_the_cut(
    several: list[Any], form: Callable[[Sequence[Any]], str]
) -> None:
    whole = form(several).encode()
    full = lines(whole)
    for place in range(len(whole)):
        file = Documents(io.BytesIO(whole[:place]))
        if not file.found():
            continue
        reader = LineReader(file, 1 << 20)
        before = [record.value for record in everything(reader)]
        assert before == full[: len(before)]
        rest = reader.rest()
        unfinished = rest.value if rest is not None else b""
        if len(before) < len(full):
            flat = whole[:place].replace(b"\r", b" ").replace(b"\n", b" ")
            assert flat.endswith(unfinished)
            assert reader.broken == ("the JSON document ends in the middle" if rest else "")
        else:
            assert unfinished == b""


def test_every_name_of_an_array_and_white_space_everywhere() -> None:
    for name in ("Records", "records", "Events", "events", "logEvents", "Messages"):
        for gap in ("", " ", "\n", "\r\n\t"):
            text = (
                f'{gap}{{{gap}"{name}"{gap}:{gap}[{gap}{{"a":1}}{gap},{gap}{{}}{gap}]{gap}}}{gap}'
            )
            assert lines(text.encode()) == [b'{"a":1}', b"{}"]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1}\n{"b":2}\n', '{"a":1}', '{"a":1}\n', '{"a":"}{"}\n{}{}\n', '{"Recordings":[{}]}\n',
        '{"Records":{"a":[{}]}}\n', '{"requestId":1,"records":[{"data":""}]}', "[1,2]\n[{}]",
        "[2026-11-20 23:52:44,297] INFO [{] {\n", "text\n{}{}", "", " ", "\n\n", "{", '{"a":1,\n{"b":2}\n',
        '{"a":"torn\n{"a":1}\n', '{"a":{"b":1}\n{"a":1}\n', '{"a":1}}{"b":2}', "{'a':1}{}", "[]", '{"Records"',
        "\ufeff{}\n", '{"a":oops}{}', "\x00{}{}", "{" * 70_000, '{"a":[' * 40_000,
    ],
)  # fmt: skip
def test_anything_else_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    data = text.encode()
    assert not Documents(io.BytesIO(data)).found()
    for pieces in ([1], [3, 7], [1 << 20]):
        file, out = Documents(Drip(data[:5000], pieces)), b""
        while more := file.read(1 << 20):
            out += more
        assert out == data[:5000]
    path = tmp_path / "file"
    path.write_bytes(data)
    with open_stream(path) as opened:
        assert isinstance(opened, io.BufferedReader)
        assert opened.read() == data
    path.write_bytes(gzip.compress(data))
    with open_stream(path) as opened:
        assert isinstance(opened, gzip.GzipFile)
        assert opened.read() == data


class Pipe(io.BytesIO):
    """Gives out no more than so many bytes at a time, nor more than is asked for."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(self._most, size if size and size > 0 else self._most))


@pytest.mark.parametrize(
    "data",
    [
        # One line, of nearly as many bytes as are looked at, and then a log.
        b'{"x": "%b"}\r\nline\r\n\r\nline \r\n%b' % (b"a" * 1_030_400, b"pad (a.b)\n" * 9_000),
        b"{%b\n  1, 2\n}\n%b" % (b" " * 70, b"x\n" * 5_000),
    ],
    ids=["a long first line", "many spaces"],
)
def test_what_it_is_hangs_on_no_piece(data: bytes) -> None:
    whole = Documents(io.BytesIO(data)).found()
    for most in (1, 7, 4_096, 50_000, 65_536):
        if most > 100 or len(data) < 20_000:
            assert Documents(Pipe(data, most)).found() is whole, most


def test_an_object_longer_than_is_looked_at_is_a_document() -> None:
    long = dense({"a": "x" * 3_000_000}).encode()
    assert lines(long + b'{"b":2}') == [long, b'{"b":2}']


# Damage.

GOOD = [{"id": n, "x": {"list": [{"a": n}, {"b": "}"}], "text": "a, b"}} for n in range(6)]
DAMAGE = [
    lambda text: text.replace('"list":[', '"list":', 1),
    lambda text: text.replace("}]", "}", 1),
    lambda text: text.replace("}]", "]", 1),
    lambda text: text.replace('"text":"', '"text":', 1),
    lambda text: text.replace('a, b"', "a, b", 1),
    lambda text: text.replace('a, b"}}', "", 1),
    lambda text: text.replace('"x":{', '"x":', 1),
    lambda text: text.replace('"x"', "\0\0\0", 1),
    lambda text: text[: len(text) // 2],
    lambda text: text[:-1],
    lambda text: text + "}",
    lambda text: text + "garbage",
    lambda text: text[:20] + "\n" + text[40:],
]


@pytest.mark.parametrize("number", range(len(DAMAGE)))
@pytest.mark.parametrize("form", [*ARRAYS[:1], *ARRAYS[2:], concatenated])
@pytest.mark.parametrize("place", [0, 3, 5])
def test_damage_costs_one_element(
    form: Callable[[Sequence[Any]], str], number: int, place: int
) -> None:
    text = form(GOOD)
    hurt = dense(GOOD[place])
    data = text.replace(hurt, DAMAGE[number](hurt)).encode()
    if not Documents(io.BytesIO(data)).found():
        return
    good = [line.encode() for each in GOOD if each != GOOD[place] for line in [dense(each)]]
    if form is concatenated:
        good = [b'{"id":' + line + b"}" for line in good]
    found = given_out(data).split(b"\n")
    lost = [line for line in good if line not in found]
    # The last element has no next one that could show where its damage ends.
    assert lost == [], found
    assert len(found) <= len(good) + 4
    for pieces in ([1], [7, 2], [600, 1]):
        assert given_out(data, pieces).split(b"\n") == found


def test_text_between_documents_is_lines_of_its_own() -> None:
    data = b'{"Records":[{"a":1}]}\nsome text\n[2026-11-20] INFO {"Records":[\n{"a":2}\nend'
    *whole, rest = given_out(data).split(b"\n")
    assert whole == [b'{"a":1}', b"some text", b'[2026-11-20] INFO {"Records":[', b'{"a":2}']
    assert rest == b"end"


def test_elements_that_are_no_objects_are_lines_too() -> None:
    found = lines(b'{"Records":[null,{"a":1},[{"a":2}],"x",{"a":3},7,{"a":4}]}')
    assert [line for line in found if b"a" in line] == [b'{"a":1}', b'[{"a":2}]', b'{"a":3}', b'{"a":4}']  # fmt: skip


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(['{"Records":[', "{", "}", "[", "]", ",", ":", '"', "\\", "\n", '"id"', "1", " ", "é", '{"id":', "x"]),
        max_size=60,
    ).map("".join),
    sizes,
)  # fmt: skip
def test_any_text_gives_the_same_however_it_comes(text: str, pieces: list[int]) -> None:
    data = b'{"Records":[{"id":0},' + text.encode()
    assert given_out(data, pieces, 11) == given_out(data)


# Long and hostile.


def test_a_long_document_takes_no_memory_and_only_long_elements_are_too_long() -> None:
    long = b'{"id":"' + b"x" * 3_000_000 + b'"}'
    part = b",".join([b'{"id":"' + b"y" * 1000 + b'"}'] * 30_000)

    data = b'{"Records":[' + b",".join([part, long, part]) + b"]}"
    reader = LineReader(Documents(io.BytesIO(data)), 1 << 20)
    tracemalloc.start()
    count, over = 0, []
    while more := reader.read():
        count += len(more)
        over += [record for record in more if record.length >= 0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, [record.length for record in over]) == (60_001, [len(long)])
    assert peak < 12 * 2**20


HOSTILE = [
    '"', "\\", '\\"', '"\\', "{", "[", '{"a":', '{"a":[', "},{", '},{"id":', "}", "]", "\n", "\n{", " ",
    '{"id":1}', '{"id":1},', '{"id":[{"id":1},{"id":1}]},', '{"id":1}, ', '{"id":1},{"id":1,', "x", ",", ":", "1",
    '{"Records":[', '{"Records":[]}', "\ufeff", '{"Records"', '{"id":"},',
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    def prepared(size: int) -> Callable[[], object]:
        data = b'{"Records":[{"id":0},' + (unit * (size // len(unit))).encode()
        return lambda: given_out(data, size=65_536)

    grows_no_faster(prepared, 1 << 16, 1 << 19)
