"""`schemas/types.py` is `schemas/*.avsc`, typed."""

from dataclasses import MISSING, fields
from typing import Any

import pytest

from schemas.avro import NAMES, schema
from schemas.types import (
    AccountOf,
    Carriage,
    ChangeVersion,
    Clock,
    DeadLetter,
    Event,
    Finding,
    HeldState,
    Observation,
    columns,
)
from tests.schemas import made

MIRRORS: list[tuple[str, type]] = [
    ("audit_event", Event),
    ("finding", Finding),
    ("dead_letter", DeadLetter),
    ("change", ChangeVersion),
    ("account", AccountOf),
    ("observation", Observation),
    ("clock", Clock),
    ("state", HeldState),
]
PYTHON = {"string": "str", "long": "int", "int": "int", "boolean": "bool", "bytes": "bytes"}


def avro_fields(name: str) -> dict[str, str]:
    """Field names of a schema and the Python types that mirror them."""
    named: dict[str, str] = {}

    def python(kind: Any) -> str:
        if isinstance(kind, str):
            return PYTHON.get(kind) or named[kind]
        short = kind.get("name", "").rpartition(".")[2]
        if kind["type"] == "fixed":
            named[kind["name"]] = "bytes"
            return "bytes"
        if kind["type"] == "map":
            return f"dict[str, {python(kind['values'])}]"
        return short if kind["type"] == "record" else f"tuple[{python(kind['items'])}, ...]"

    return {field["name"]: python(field["type"]) for field in schema(name).avro["fields"]}


def mirrored(cls: type) -> dict[str, str]:
    """Field names of a dataclass and their types, in its order."""
    return {f.name: str(f.type) for f in fields(cls)}


def test_every_schema_has_a_mirror() -> None:
    assert tuple(name for name, _ in MIRRORS) == NAMES


@pytest.mark.parametrize(("name", "cls"), MIRRORS)
def test_names_and_types_are_avros(name: str, cls: type) -> None:
    assert mirrored(cls) == avro_fields(name)


@pytest.mark.parametrize(("name", "cls"), MIRRORS[1:])
def test_order_is_avros(name: str, cls: type) -> None:
    assert list(mirrored(cls)) == list(avro_fields(name))


def test_of_an_event_what_has_a_default_is_in_avros_order() -> None:
    """But for what comes first in a row, so that who needs no more may stop there."""
    first = ("id", "time", "retention", "ocsf", "raw")
    assert set(mirrored(Event)) == set(avro_fields("audit_event"))
    stated = [f.name for f in fields(Event) if f.default is MISSING is f.default_factory]
    order = [name for name in avro_fields("audit_event") if name not in (*stated, *first)]
    assert [name for name in mirrored(Event) if name not in first] == [
        *(name for name in stated if name not in first), *order,
    ]  # fmt: skip


def test_the_nested_record_is_mirrored() -> None:
    nested = next(f for f in schema("audit_event").avro["fields"] if f["name"] == "carriage")
    said = {field["name"]: PYTHON[field["type"]] for field in nested["type"]["fields"]}
    assert list(mirrored(Carriage).items()) == list(said.items())


@pytest.mark.parametrize(("name", "cls"), MIRRORS)
def test_rows_have_avros_fields(name: str, cls: type) -> None:
    for row in made.rows(name):
        assert type(row) is cls
        assert set(columns(row)) == set(avro_fields(name))


def test_rows_have_the_nested_records_fields() -> None:
    assert list(columns(made.events()[0])["carriage"]) == list(mirrored(Carriage))
