"""Rows on the wire: what we write is Avro to everybody, and bytes of whatever kind stop nothing."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import NAMES, schema
from schemas.types import AccountOf, Clock, HeldState, Observation, Row, columns
from schemas.wire import (
    CONFLUENT,
    SINGLE_OBJECT,
    Undecodable,
    columns_of,
    decoder,
    encoder,
    mark,
    parsed,
    released,
    resolver,
)
from tests.schemas import arbitrary, made

NUMBER = CONFLUENT + (7).to_bytes(4, "big")
ENCODERS = {name: encoder(name) for name in NAMES}
DECODERS = {name: decoder(name) for name in NAMES}
CLOCK = Clock("audit.raw.auto", 3, "prod", 1_795_218_764_297)
SEEN = Observation("brute_force", "prod", "x=1", b"i" * 16, 1, 1, False, False, False, "")
RELEASES = sorted(path.name for path in (files("schemas") / "releases").iterdir() if path.is_dir())


def plainly(name: str, row: Row) -> bytes:
    """The row as fastavro writes it, without a mark."""
    wire = BytesIO()
    fastavro.schemaless_writer(wire, schema(name).avro, columns(row))
    return wire.getvalue()


def newer(schema_name: str, **column: Any) -> Any:
    """The schema as a later release might have it, with one more column."""
    said = json.loads((files("schemas") / f"{schema_name}.avsc").read_text("utf-8"))
    said["fields"].insert(1, column)
    return parsed(json.dumps(said))


# What is written.


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_what_is_written_is_what_fastavro_writes(name: str, data: st.DataObject) -> None:
    row = data.draw(arbitrary.rows(name))
    head, said = mark(schema(name).avro), plainly(name, row)
    for _ in range(2):
        # The second time from memory.
        assert ENCODERS[name](row) == head + said
    assert DECODERS[name](head + said) == made.as_read(row)


@pytest.mark.parametrize("head", [b"", NUMBER], ids=["single-object", "confluent"])
@pytest.mark.parametrize("name", NAMES)
def test_rows_come_back_in_both_formats(name: str, head: bytes) -> None:
    encode = encoder(name, head)
    decode = decoder(name, {7: schema(name).avro}.__getitem__)
    for row in made.rows(name):
        value = encode(row)
        assert value == (head or mark(schema(name).avro)) + plainly(name, row)
        assert decode(value) == made.as_read(row)


def test_memories_that_overflow_forget_and_go_on() -> None:
    encode, head = ENCODERS["clock"], mark(schema("clock").avro)
    for number in range(40_000):
        row = Clock(f"topic {number % 17_000}", number * 50_000, "x" * (number % 300), -number)
        assert encode(row) == head + plainly("clock", row)


@pytest.mark.parametrize(
    ("column", "value", "error"),
    [
        ("topic", "\ud800", UnicodeEncodeError),
        ("topic", "x" * 200 + "\udfff", UnicodeEncodeError),
        ("topic", b"bytes", TypeError),
        ("topic", None, TypeError),
        ("topic", 7, TypeError),
        ("partition", "7", TypeError),
        ("partition", 1 << 31, OverflowError),
        ("partition", -(1 << 31) - 1, OverflowError),
        ("time", 1 << 63, OverflowError),
        ("time", -(1 << 63) - 1, OverflowError),
        ("time", None, TypeError),
    ],
    ids=repr,
)
def test_what_is_no_value_of_a_column_is_an_error(
    column: str, value: Any, error: type[Exception]
) -> None:
    row = replace(CLOCK, **{column: value})
    for _ in range(2):
        with pytest.raises(error):
            ENCODERS["clock"](row)


def test_a_row_of_another_schema_is_an_error() -> None:
    with pytest.raises(AttributeError):
        ENCODERS["clock"](SEEN)


@pytest.mark.parametrize("id_", [b"", b"i" * 15, b"i" * 17, "i" * 16, None])
def test_ids_have_their_length(id_: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        ENCODERS["observation"](replace(SEEN, id=id_))


@pytest.mark.parametrize("state", ["text", None, 5])
def test_bytes_are_bytes(state: Any) -> None:
    with pytest.raises(TypeError):
        ENCODERS["state"](HeldState("t", 0, b"", state))


def test_a_lone_surrogate_is_an_error_wherever_it_stands() -> None:
    account = AccountOf("t", 0, 0, 0, 0, 0, 0, 0, 0, {"\ud800": 1}, {})
    with pytest.raises(UnicodeEncodeError):
        ENCODERS["account"](account)
    event = made.events()[0]
    for name, said in (("message", "\ud800"), ("blind_spots", ("\ud800",))):
        with pytest.raises(UnicodeEncodeError):
            ENCODERS["audit_event"](replace(event, **{name: said}))  # type: ignore[arg-type]


# The mark.


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ('"int"', "7275d51a3f395c8f"),
        ('"string"', "8f014872634503c7"),
        ('"null"', "63dd24e7cc258f8a"),
        ('"boolean"', "9f42fc78a4d4f764"),
        ('"bytes"', "4fc016dac3201965"),
    ],
)
def test_fingerprints_are_those_of_avros_own_tests(said: str, known: str) -> None:
    # share/test/data/schema-tests.txt of Apache Avro has them, in decimal and signed.
    assert fingerprint_of(said.encode()) == int(known, 16)
    assert mark(parsed(said)) == SINGLE_OBJECT + bytes.fromhex(known)[::-1]


def fingerprint_of(said: bytes) -> int:
    """CRC-64-AVRO as the specification defines it ("Schema Fingerprints"), bit by bit."""
    empty = 0xC15D213AA4D7A795
    out = empty
    for byte in said:
        out ^= byte
        for _ in range(8):
            out = (out >> 1) ^ (empty & -(out & 1))
    return out


def test_marks_are_the_specifications() -> None:
    marks = {name: mark(schema(name).avro) for name in NAMES}
    assert len(set(marks.values())) == len(NAMES)
    for name, head in marks.items():
        canonical = fastavro.schema.to_parsing_canonical_form(schema(name).avro)
        assert head == SINGLE_OBJECT + fingerprint_of(canonical.encode()).to_bytes(8, "little")


def test_todays_schema_is_read_without_resolving() -> None:
    for name in NAMES:
        today = schema(name).avro
        assert released(name)[mark(today)] is today


def test_columns_come_out_of_every_format() -> None:
    wanted = ("id", "time", "source")
    ours, number = b"\0\0\0\0\7", {7: schema("audit_event").avro, 8: schema("audit_event").avro}
    take = columns_of("audit_event", wanted, decoder("audit_event", number.__getitem__), [ours])
    asked = columns_of("audit_event", wanted, decoder("audit_event"), [ours])
    for row in made.events():
        said = row.id, row.time, row.source
        for head in (b"", ours, b"\0\0\0\0\x08"):
            assert tuple(take(encoder("audit_event", head)(row))) == said
        # Of its own number no registry is asked.
        assert tuple(asked(encoder("audit_event", ours)(row))) == said
        with pytest.raises(Undecodable):
            take(encoder("audit_event", ours)(row)[:12])
    with pytest.raises(ValueError, match="in the order id, time"):
        columns_of("audit_event", ("time", "id"), decoder("audit_event"))


# Other releases, and others.


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", NAMES)
def test_releases_read_each_other(name: str, release: str) -> None:
    path = files("schemas") / "releases" / release / f"{name}.avsc"
    if not path.is_file():
        pytest.skip(f"{release} has no {name}")
    frozen, today = parsed(path.read_text("utf-8")), schema(name).avro
    theirs = resolver(name, frozen, {mark(avro): avro for avro in (frozen, today)})
    for row in made.rows(name):
        said = columns(row)
        wire = BytesIO()
        fastavro.schemaless_writer(wire, frozen, said)
        old = DECODERS[name](mark(frozen) + wire.getvalue())
        new = theirs(ENCODERS[name](row))
        shared = {f["name"] for f in frozen["fields"]} & {f["name"] for f in today["fields"]}
        for column in shared:
            assert old[column] == new[column] == made.as_read(row)[column]


def both(name: str, later: Any) -> Mapping[bytes, Any]:
    """The schemas that two releases know between them, by their mark."""
    return {mark(avro): avro for avro in (schema(name).avro, later)}


@pytest.mark.parametrize("name", NAMES)
def test_a_release_with_one_more_column_reads_and_is_read(name: str) -> None:
    today = schema(name).avro
    later = newer(name, name="extra", type="string", default="none", doc="More.")
    old, new = resolver(name, today, both(name, later)), resolver(name, later, both(name, later))
    by_number = decoder(name, {7: later}.__getitem__)
    for row in made.rows(name):
        said = made.as_read(row)
        assert new(ENCODERS[name](row)) == {**said, "extra": "none"}
        wire = BytesIO()
        fastavro.schemaless_writer(wire, later, {**columns(row), "extra": "ours"})
        assert old(mark(later) + wire.getvalue()) == said
        assert by_number(NUMBER + wire.getvalue()) == said
        with pytest.raises(Undecodable, match="upgrade first"):
            DECODERS[name](mark(later) + wire.getvalue())


def test_a_column_without_a_default_does_not_read_what_lacks_it() -> None:
    later = newer("clock", name="extra", type="string", doc="More.")
    with pytest.raises(Undecodable, match="not a row of clock: SchemaResolutionError"):
        resolver("clock", later, both("clock", later))(ENCODERS["clock"](CLOCK))


@pytest.mark.parametrize("name", NAMES)
def test_anybody_with_the_schema_can_read_it(name: str) -> None:
    path = files("schemas") / f"{name}.avsc"
    avro = fastavro.parse_schema(json.loads(path.read_text("utf-8")))
    for row in made.rows(name):
        value = ENCODERS[name](row)
        assert value[:2] == b"\xc3\x01"
        body = BytesIO(value[10:])
        assert fastavro.schemaless_reader(body, avro, None) == made.as_read(row)
        assert not body.read()


# Hostile bytes.


def long(number: int) -> bytes:
    """A number as Avro writes it, of up to ten bytes."""
    wire = BytesIO()
    fastavro.schemaless_writer(wire, "long", number)
    return wire.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cut_short_or_goes_on_is_no_row(name: str) -> None:
    value = min((ENCODERS[name](row) for row in made.rows(name)), key=len)
    for end in range(len(value)):
        with pytest.raises(Undecodable):
            DECODERS[name](value[:end])
    with pytest.raises(Undecodable):
        DECODERS[name](value + b"\0")


@pytest.mark.parametrize("head", [b"", NUMBER, *(mark(schema(name).avro) for name in NAMES)])
@pytest.mark.parametrize("name", NAMES)
@given(body=st.binary(max_size=300))
def test_random_bytes_are_a_row_or_undecodable(name: str, head: bytes, body: bytes) -> None:
    with suppress(Undecodable):
        DECODERS[name](head + body)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_damaged_rows_are_rows_or_undecodable(name: str, data: st.DataObject) -> None:
    rows = made.rows(name)
    value = bytearray(ENCODERS[name](rows[data.draw(st.integers(0, len(rows) - 1))])[:2000])
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Undecodable):
        DECODERS[name](bytes(value))


@pytest.mark.parametrize("size", [1 << 31, 1 << 40, (1 << 63) - 1, -1, -(1 << 40), -(1 << 63)])
@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_not_believed(name: str, size: int, limited_memory: None) -> None:
    fixed = 16 if schema(name).columns[0].avro == "fixed(16)" else 0
    for before in (b"i" * fixed, b"i" * fixed + b"\0"):
        for after in (b"", b"x" * 100, b"\0" * 100):
            with pytest.raises(Undecodable):
                DECODERS[name](mark(schema(name).avro) + before + long(size) + after)


@pytest.mark.parametrize("size", [1 << 31, 1 << 40, (1 << 63) - 1, -1, -(1 << 40)])
def test_counts_of_items_are_not_believed(size: int, limited_memory: None) -> None:
    value = ENCODERS["account"](AccountOf("t", 0, 0, 0, 0, 0, 0, 0, 0, {}, {}))
    for end in (b"", b"\0" * 50):
        with pytest.raises(Undecodable):
            DECODERS["account"](value[:-2] + long(size) + end)


def test_what_is_no_row_of_ours_is_told_why() -> None:
    finding = ENCODERS["finding"](made.findings()[0])
    for value, why in (
        (b"", "neither Avro's single-object encoding nor Confluent's format"),
        (b"\0\0\0", "neither"),
        (b"\xc3\x01\0", "no release has a schema of fingerprint"),
        (b'{"json": true}', "neither"),
        (b"\0\0\0\0\7abc", "no registry is configured"),
        (finding, mark(schema("finding").avro)[:1:-1].hex()),
    ):
        with pytest.raises(Undecodable, match=why):
            DECODERS["audit_event"](value)


def test_a_number_that_the_registry_has_for_another_schema_is_no_row() -> None:
    decode = decoder("clock", {7: schema("finding").avro}.__getitem__)
    with pytest.raises(Undecodable, match="not a row of clock"):
        decode(NUMBER + plainly("finding", made.findings()[0]))


def test_what_the_registry_says_is_asked_once() -> None:
    asked: list[int] = []

    def registered(number: int) -> Any:
        asked.append(number)
        return schema("clock").avro

    decode = decoder("clock", registered)
    for _ in range(3):
        assert decode(NUMBER + plainly("clock", CLOCK)) == columns(CLOCK)
    assert asked == [7]
