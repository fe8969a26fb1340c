"""The field table holds every column once, and is Markdown."""

import re

from schemas.avro import schemas
from schemas.field_table import HEADINGS, field_table, rows
from tests.schemas.made import LEAVES


def test_every_column_is_in_it() -> None:
    said = [(row.schema, row.column, row.path) for row in rows()]
    assert len(said) == len(set(said))
    for one in schemas():
        for column in (*one.columns, *one.beside):
            assert (one.name, column.name, column.path) in said


def test_every_row_says_something() -> None:
    for row in rows():
        assert row.doc
        assert row.path or row.column in ("ocsf", "raw") or row.schema not in LEAVES
        assert bool(row.column) == bool(row.avro)
        assert bool(row.path) == bool(row.opensearch)


def test_it_is_a_table_for_each_schema() -> None:
    lines = field_table().split("\n")
    assert [line[3:] for line in lines if line.startswith("## ")] == [s.name for s in schemas()]
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == len(rows()) + 2 * len(schemas())
    for line in table:
        assert len(re.findall(r"(?<!\\)\|", line)) == len(HEADINGS) + 1
    assert field_table().endswith("|\n")
