"""What is written as Avro is read back as it was."""

from io import BytesIO
from typing import Any

import fastavro
import pytest

from schemas.avro import NAMES, schema, schemas
from schemas.index_template import TYPES
from schemas.types import Row, columns
from tests.schemas import made


def carried(name: str, row: Row) -> Any:
    """The row after a way through Avro."""
    avro, wire = schema(name).avro, BytesIO()
    fastavro.schemaless_writer(wire, avro, columns(row), strict=True)
    wire.seek(0)
    return fastavro.schemaless_reader(wire, avro, None)


@pytest.mark.parametrize("name", NAMES)
def test_rows_come_back_as_they_were(name: str) -> None:
    for row in made.rows(name):
        assert carried(name, row) == made.as_read(row)


def test_an_unknown_schema_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        schema("no_such")


def test_columns_say_what_they_are() -> None:
    for one in schemas():
        assert one.doc.endswith(".")
        for column in (*one.columns, *one.beside):
            assert column.doc.endswith("."), column
            assert bool(column.path) == bool(column.index), column
            assert not column.index or column.index in TYPES, column
            if one.name in made.LEAVES:
                assert column.path or column.name in ("ocsf", "raw"), column


def test_types_are_written_in_short() -> None:
    types = {c.name: c.avro for name in reversed(NAMES) for c in schema(name).columns}
    assert types["id"] == "fixed(16)"
    assert types["supersedes"] == "array<FindingId>"
    assert types["dead_letters"] == "map<long>"
    assert types["evidence"] == "array<fixed(16)>"
    assert types["carriage.late"] == "boolean"
