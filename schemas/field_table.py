"""The field table: where the JSON states what, and how Avro and OpenSearch hold it. Derived."""

from __future__ import annotations

from typing import NamedTuple

from schemas.avro import schemas
from schemas.index_template import column_paths

HEADINGS = ("Path in the JSON", "Avro column", "Avro type", "OpenSearch type", "What it says")


class Row(NamedTuple):
    """One line of the table. Empty: not stated there.

    Attributes:
        schema: a name of :data:`schemas.avro.NAMES`.
        path: where the JSON (OCSF, for events and findings) states it, in dots.
        column, avro: name and type in Avro.
        opensearch: type there.
        doc: what it says, in Markdown.
    """

    schema: str
    path: str
    column: str
    avro: str
    opensearch: str
    doc: str


def rows() -> list[Row]:
    """Every column of every schema, then what only the JSON states, in the schemas' order."""
    return [
        Row(schema.name, path, column.name, column.avro, column.index, column.doc)
        for schema in schemas()
        for column in (*schema.columns, *schema.beside)
        for path in column_paths(column)
    ]


def field_table() -> str:
    """The table in Markdown, a section for each schema; ends with a line break."""
    out: list[str] = []
    for schema in schemas():
        out += [f"## {schema.name}", "", schema.doc, "", _line(HEADINGS)]
        out.append("|" + " --- |" * len(HEADINGS))
        out += [_line(row[1:]) for row in rows() if row.schema == schema.name]
        out.append("")
    return "\n".join(out)


def _line(cells: tuple[str, ...]) -> str:
    *terms, words = cells
    code = terms if cells == HEADINGS else [f"`{term}`" if term else "" for term in terms]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (*code, words)) + " |"
