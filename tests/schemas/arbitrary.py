"""Any row that a schema allows, made from the schema."""

from typing import Any

from hypothesis import strategies as st

from schemas.avro import schema
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
    Row,
)

_CLASSES: dict[str, type] = {
    "AuditEvent": Event,
    "Carriage": Carriage,
    "Finding": Finding,
    "DeadLetter": DeadLetter,
    "Change": ChangeVersion,
    "Account": AccountOf,
    "Observation": Observation,
    "Clock": Clock,
    "State": HeldState,
}

# Texts on both sides of what the writer keeps, and numbers of every length.
_TEXTS = st.one_of(
    st.sampled_from(
        ("", "prod", "User:alice", "x" * 128, "é" * 128, "x" * 129, "\0", "\U0001f511")
    ),
    st.text(),
)
_PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXTS,
    "bytes": st.binary(),
    "boolean": st.booleans(),
    "int": st.one_of(st.integers(-70, 70), st.integers(-(1 << 31), (1 << 31) - 1)),
    "long": st.one_of(
        st.integers(-70, 70),
        st.integers(0, 62).map(lambda bits: (1 << bits) - 1),
        st.integers(0, 62).map(lambda bits: 1 << bits),
        st.integers(-(1 << 63), (1 << 63) - 1),
    ),
}


def values(kind: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Values of a type. `named` holds the types that were given a name before."""
    if isinstance(kind, str):
        return named[kind] if kind in named else _PRIMITIVES[kind]
    if kind["type"] == "fixed":
        return named.setdefault(
            kind["name"], st.binary(min_size=kind["size"], max_size=kind["size"])
        )
    if kind["type"] == "array":
        return st.lists(values(kind["items"], named), max_size=5).map(tuple)
    if kind["type"] == "map":
        return st.dictionaries(_TEXTS, values(kind["values"], named), max_size=5)
    cls = _CLASSES[kind["name"].rpartition(".")[2]]
    columns = {field["name"]: values(field["type"], named) for field in kind["fields"]}
    return st.builds(cls, **columns)


def rows(name: str) -> st.SearchStrategy[Row]:
    """Rows of the schema of that name."""
    return values(schema(name).avro, {})
