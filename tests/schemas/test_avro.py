"""What is written as Avro is read back as it was."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import fastavro
import pytest

from schemas.avro import NAMES, schema, schemas
from schemas.index_template import TYPES
from schemas.types import DeadLetter, Event, Finding, columns
from tests.schemas import made


def carried(name: str, row: Event | Finding | DeadLetter) -> Any:
    """The row after a way through Avro."""
    avro, wire = schema(name).avro, BytesIO()
    fastavro.schemaless_writer(wire, avro, columns(row), strict=True)
    wire.seek(0)
    return fastavro.schemaless_reader(wire, avro, None)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("audit_event", made.events),
        ("finding", made.findings),
        ("dead_letter", made.dead_letters),
    ],
    ids=NAMES,
)
def test_rows_come_back_as_they_were(
    name: str, rows: Callable[[], Sequence[Event | Finding | DeadLetter]]
) -> None:
    for row in rows():
        said = {k: list(v) if isinstance(v, tuple) else v for k, v in columns(row).items()}
        assert carried(name, row) == said


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
            assert column.path or column.name in ("ocsf", "raw"), column


def test_types_are_written_in_short() -> None:
    types = {c.name: c.avro for one in schemas() for c in one.columns}
    assert types["id"] == "fixed(16)"
    assert types["supersedes"] == "array<FindingId>"
    assert types["evidence"] == "array<fixed(16)>"
    assert types["carriage.late"] == "boolean"
