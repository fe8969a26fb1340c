"""Rows as OpenSearch keeps them, and back.

An event's document is its ``ocsf``, byte for byte, with the record beside it: OCSF's ``raw_data``
spliced in at the end, and where that is no UTF-8, ``auditstream.raw_base64``. A finding's is its
``ocsf``. All others are JSON of their columns, ids in hexadecimal. Nothing is parsed on the way in;
on the way out every column is read where the schema says that the document states it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

import orjson

from schemas.avro import Column, schema
from schemas.types import AccountOf, ChangeVersion, DeadLetter, columns

Row = dict[str, Any]
"""Columns by name, as the embedded store gives them: ids are bytes, truth is 0 or 1, lists of ids
stand end to end, lists of words with a comma between them."""

_DEFAULTS: Final[Mapping[str, Any]] = {"string": "", "long": 0, "int": 0, "boolean": 0}
RAW: Final = ("raw_data", "auditstream.raw_base64")
"""Where an event's document has the record; without it the other columns can be read all the same.
"""


def event(ocsf: bytes, raw: bytes) -> bytes:
    """The document of an event."""
    if not raw:
        return ocsf
    try:
        said = orjson.dumps(raw.decode())
    except UnicodeDecodeError:
        said = orjson.dumps(raw.decode("utf-8", "backslashreplace"))
        # The extension object stands last in a document.
        ocsf = b'%b,"raw_base64":"%b"}}' % (ocsf[:-2], b64encode(raw))
    return b'%b,"raw_data":%b}' % (ocsf[:-1], said)


def event_row(document: dict[str, Any]) -> Row:
    """The row of an event's document, which is changed."""
    said = document.pop("raw_data", "")
    encoded = document["auditstream"].pop("raw_base64", None)
    row = _row("audit_event", document, str(document["class_uid"]))
    row["raw"] = said.encode() if encoded is None else b64decode(encoded)
    row["ocsf"] = orjson.dumps(document)
    return row


def finding_row(document: dict[str, Any]) -> Row:
    """The row of a finding's document."""
    return _row("finding", document) | {"ocsf": orjson.dumps(document)}


def dead_letter(row: DeadLetter) -> bytes:
    """The document of a dead letter."""
    said = columns(row)
    return orjson.dumps({**said, "id": row.id.hex(), "raw": b64encode(row.raw).decode()})


def dead_letter_row(document: Mapping[str, Any]) -> Row:
    """The row of a dead letter's document."""
    return {**document, "id": bytes.fromhex(document["id"]), "raw": b64decode(document["raw"])}


def change(row: ChangeVersion) -> bytes:
    """The document of a version of a change."""
    return orjson.dumps(
        columns(row)
        | {
            "id": row.id.hex(),
            "before": row.before.decode(),
            "after": row.after.decode(),
            "legs": [leg.hex() for leg in row.legs],
            "supersedes": [one.hex() for one in row.supersedes],
        }
    )


def account(row: AccountOf) -> bytes:
    """The document of an account."""
    return orjson.dumps(columns(row))


def account_id(row: AccountOf) -> str:
    """What an account is kept under."""
    return f"{row.topic}:{row.partition}:{row.start}"


Get = Callable[[Mapping[str, Any]], Any]


def _row(name: str, document: Mapping[str, Any], of_class: str = "") -> Row:
    return {column: get(document) for column, get in _getters(name, of_class)}


@cache
def _getters(name: str, of_class: str) -> tuple[tuple[str, Get], ...]:
    """By column, what takes it out of a document."""
    return tuple(
        (column.name.rpartition(".")[2], _getter(column, column.instead.get(of_class, column.path)))
        for column in schema(name).columns
        if column.path
    )


def _getter(column: Column, path: str) -> Get:
    *above, last = path.split(".")
    typed, default = _typed(column.avro), _default(column)

    def get(document: Mapping[str, Any]) -> Any:
        node: Any = document
        for part in above:
            node = node.get(part)
            if node.__class__ is not dict:
                node = node[0] if node.__class__ is list and node else None
                if node.__class__ is not dict:
                    return default
        said = node.get(last)
        if said is None:
            return default
        return said if typed is None else typed(said)

    return get


def _default(column: Column) -> Any:
    if column.avro.startswith("fixed"):
        return b""
    if column.avro.startswith("array"):
        return "" if column.avro == "array<string>" else b""
    return _DEFAULTS[column.avro]


def _typed(kind: str) -> Callable[[Any], Any] | None:
    """What makes a column of what a document says; None: it is that already."""
    if kind.startswith("fixed"):
        return bytes.fromhex
    if kind == "array<string>":
        return ",".join
    if kind.startswith("array"):
        return _end_to_end
    return int if kind == "boolean" else None


def _end_to_end(ids: Iterable[str]) -> bytes:
    return bytes.fromhex("".join(ids))


def action(verb: str, index: str, more: Iterable[str] = ()) -> Callable[[str], bytes]:
    """The line before a document in a bulk request, of an id.

    Args:
        verb: ``create`` or ``index``.
        more: what else it says, as JSON: ``"version":3``.
    """
    rest = "".join(f",{one}" for one in more).encode()
    head = b'{"%b":{"_index":"%b"%b,"_id":"' % (verb.encode(), index.encode(), rest)

    def line(name: str) -> bytes:
        return b'%b%b"}}\n' % (head, name.encode())

    return line
