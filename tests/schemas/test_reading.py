"""Some columns of a row: the same as fastavro reads, and no bytes are taken for a row."""

from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import schema
from schemas.reading import taker
from schemas.types import columns
from schemas.wire import encoder
from tests.schemas import arbitrary, made

WANTED = {
    "audit_event": ("id", "time", "retention", "ocsf", "raw"),
    "finding": ("version", "detector", "ocsf"),
    "dead_letter": ("id", "position", "raw"),
    "change": ("id", "version", "before", "target"),
    "observation": ("key", "weight"),
    "clock": (),
}
HEAD = 10


def as_far_as_wanted(name: str) -> Any:
    """The schema up to the last column that is taken."""
    avro = schema(name).avro
    last = max((n for n, f in enumerate(avro["fields"]) if f["name"] in WANTED[name]), default=-1)
    return {**avro, "fields": avro["fields"][: last + 1]}


@pytest.mark.parametrize("name", WANTED)
@given(data=st.data())
def test_what_is_taken_is_what_was_written(name: str, data: st.DataObject) -> None:
    row = data.draw(arbitrary.rows(name))
    said = columns(row)
    take = taker(schema(name).avro, WANTED[name])
    order = [column.name for column in schema(name).columns if column.name in WANTED[name]]
    assert take(encoder(name)(row), HEAD) == tuple(said[column] for column in order)


@pytest.mark.parametrize("name", WANTED)
@given(data=st.data())
def test_what_is_damaged_is_refused_wherever_fastavro_refuses_it(
    name: str, data: st.DataObject
) -> None:
    """But for text that is no UTF-8 in a column that nobody asks for."""
    value = bytearray(encoder(name)(data.draw(st.sampled_from(list(made.rows(name))))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(HEAD, len(value) - 1))
        value[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(HEAD, len(value)))
    damaged = bytes(value[:cut]) + data.draw(st.sampled_from([b"", b"\0", b"\xff" * 12]))
    take = taker(schema(name).avro, WANTED[name])
    found: Any = {}
    with suppress(Exception):  # of which fastavro has many
        found = schemaless_reader(BytesIO(damaged[HEAD:]), as_far_as_wanted(name), None)
    try:
        taken = take(damaged, HEAD)
    except (ValueError, IndexError):
        assert not found
        return
    if found:
        assert set(map(repr, taken)) <= {repr(found[column]) for column in WANTED[name]}


def test_what_an_index_holds_of_an_event_comes_first() -> None:
    names = [column["name"] for column in schema("audit_event").avro["fields"]]
    assert tuple(names[:5]) == WANTED["audit_event"]


def test_a_column_that_is_not_there_is_said() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        taker(schema("clock").avro, ("nowhere",))
