"""The Avro schemas, parsed, and what they say of a column besides its type.

Avro lets a schema carry attributes of its own (Avro 1.12 specification, "Schema Declaration").
Ours are, on a column: ``path``, where the JSON that leaves states it, in dots, and ``instead``,
where those OCSF classes do that have no such path, by their number; ``index``, how OpenSearch
indexes it; ``words``, whether full text looks there. On a record: ``beside``, what people filter on
and only the JSON states, described by the same attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

import fastavro

NAMES: Final = (
    "audit_event", "finding", "dead_letter", "change", "account", "observation", "clock", "state",
)  # fmt: skip
"""The schemas there are; each is a file ``NAME.avsc`` in this package."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column, or one thing that only the JSON states.

    Attributes:
        name: in Avro, in dots inside a nested record; empty for what no column holds.
        avro: its type in short (``string``, ``fixed(16)``, ``array<string>``), or empty.
        path: where the JSON states it, arrays passed through silently; empty: nowhere.
        instead: where classes that have no such path state it, by number.
        index: how OpenSearch indexes it, a key of ``schemas.index_template.TYPES``; empty: not.
        words: full text looks there.
        doc: what it says, in Markdown.
    """

    name: str
    avro: str
    path: str
    index: str
    words: bool
    doc: str
    instead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """One Avro schema.

    Attributes:
        name: of its file, without ``.avsc``.
        avro: as fastavro takes it, to write and to read.
        doc: what a row is, in Markdown.
        columns: in the order of Avro, nested records in their place.
        beside: what only the JSON states.
    """

    name: str
    avro: Any
    doc: str
    columns: tuple[Column, ...]
    beside: tuple[Column, ...]


@cache
def schema(name: str) -> Schema:
    """The schema of that name.

    Raises:
        FileNotFoundError: there is none; :data:`NAMES` lists what there is.
    """
    said = json.loads((files(__package__) / f"{name}.avsc").read_text("utf-8"))
    return Schema(
        name,
        fastavro.parse_schema(said),
        said["doc"],
        tuple(_columns(said, "")),
        tuple(_column(entry, "", "") for entry in said.get("beside", ())),
    )


def schemas() -> tuple[Schema, ...]:
    """All of them, in the order of :data:`NAMES`."""
    return tuple(schema(name) for name in NAMES)


def _columns(record: Mapping[str, Any], above: str) -> Iterator[Column]:
    for said in record["fields"]:
        kind, name = said["type"], above + said["name"]
        if isinstance(kind, dict) and kind["type"] == "record":
            yield from _columns(kind, f"{name}.")
        else:
            yield _column(said, name, _short(kind))


def _column(said: Mapping[str, Any], name: str, avro: str) -> Column:
    path, index = said.get("path", ""), said.get("index", "")
    words, instead = said.get("words", False), said.get("instead", {})
    return Column(name, avro, path, index, words, said["doc"], instead)


def _short(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    if kind["type"] == "array":
        return f"array<{_short(kind['items'])}>"
    if kind["type"] == "map":
        return f"map<{_short(kind['values'])}>"
    return f"fixed({kind['size']})"
