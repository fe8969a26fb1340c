"""Rows as bytes on the wire, and back: Avro, with a word before it that says which schema.

Two ways of saying so. Avro's single-object encoding (Avro 1.12 specification, "Single-object
encoding"): ``C3 01`` and the schema's CRC-64-AVRO fingerprint, little-endian; the schemas are in
this package, those of each release too. And Confluent's wire format, where a registry holds the
schemas: ``00`` and the schema's number there, big-endian. A row written by another release is
resolved to today's schema (Avro 1.12, "Schema Resolution").
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.avro import schema
from schemas.reading import taker
from schemas.types import Row
from schemas.writing import sharing, writer

SINGLE_OBJECT: Final = b"\xc3\x01"
CONFLUENT: Final = b"\x00"
_SINGLE_HEAD, _CONFLUENT_HEAD = 10, 5
_OWN: Final = ("id", "time", "host", "ocsf", "raw", "carriage.carrier", "carriage.position")
"""Columns in which events differ that say the same."""

Encode = Callable[[Row], bytes]
"""A row to bytes. Raises TypeError, ValueError (UnicodeEncodeError is one: a lone surrogate),
OverflowError or AttributeError where it is not of its schema."""
Decode = Callable[[bytes], dict[str, Any]]
"""Bytes to a row: its columns, nested records as dictionaries. Raises `Undecodable`."""


class Undecodable(ValueError):
    """Bytes that are no row of the schema asked for; says why, without a word of what they hold."""


def parsed(text: str) -> Any:
    """A schema as fastavro takes it, from its JSON."""
    return fastavro.parse_schema(json.loads(text))


def mark(avro: Any) -> bytes:
    """What stands before a row in the single-object encoding."""
    canonical = to_parsing_canonical_form(avro)
    # Fastavro gives this fingerprint as the bytes on the wire, in hexadecimal: little-endian.
    return SINGLE_OBJECT + bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


@cache
def released(name: str) -> Mapping[bytes, Any]:
    """Schemas of that name of all releases and of today, by their mark."""
    paths = [folder / f"{name}.avsc" for folder in (files(__package__) / "releases").iterdir()]
    found = [parsed(path.read_text("utf-8")) for path in paths if path.is_file()]
    # Today's last: a release that has it too must not take its place, or rows would be resolved
    # from a schema to itself.
    return {mark(avro): avro for avro in (*found, schema(name).avro)}


def encoder(name: str, head: bytes = b"") -> Encode:
    """Writes rows of a schema.

    Args:
        name: one of :data:`schemas.avro.NAMES`.
        head: what stands before each; default: the single-object encoding's.
    """
    avro = schema(name).avro
    head = head or mark(avro)
    return sharing(avro, head, _OWN) if name == "audit_event" else writer(avro, head)


def decoder(name: str, registered: Callable[[int], Any] | None = None) -> Decode:
    """Reads rows of a schema, written by any release.

    Args:
        registered: the parsed schema of a number in the registry, where there is one; raises
            `Undecodable` if it has none.
    """
    return resolver(name, schema(name).avro, released(name), registered)


Columns = Callable[[bytes], Sequence[Any]]
"""Bytes to some columns of a row. Raises `Undecodable`, and whatever else its decoder does."""


def columns_of(
    name: str, wanted: Sequence[str], decode: Decode, heads: Iterable[bytes] = ()
) -> Columns:
    """Reads some columns out of rows of a schema: out of today's alone, of others by `decode`.

    Args:
        wanted: as of :func:`schemas.reading.taker`, in the order of the schema.
        heads: what stands before rows of today's schema in Confluent's format.

    Raises:
        ValueError: they are not in the order of the schema.
    """
    avro = schema(name).avro
    ordered = [column["name"] for column in avro["fields"] if column["name"] in wanted]
    if ordered != list(wanted):
        raise ValueError(f"columns of {name} come in the order {', '.join(ordered)}")
    ours, take = {mark(avro), *heads}, taker(avro, wanted)

    def columns(value: bytes) -> Sequence[Any]:
        size = _size_of_head(value)
        if value[:size] in ours:
            try:
                return take(value, size)
            except (ValueError, IndexError) as error:
                raise _undecodable(name, error) from None
        row = decode(value)
        return tuple(row[column] for column in wanted)

    return columns


def resolver(
    name: str,
    ours: Any,
    known: Mapping[bytes, Any],
    registered: Callable[[int], Any] | None = None,
) -> Decode:
    """Reads rows as one schema says that others wrote.

    Args:
        name: what to call the rows in errors.
        ours: the schema to read them as.
        known: schemas they may be of, by their mark.
        registered: as of :func:`decoder`.
    """
    read = fastavro.schemaless_reader
    resolved = {head: (avro, None if avro is ours else ours) for head, avro in known.items()}

    def decode(value: bytes) -> dict[str, Any]:
        size = _size_of_head(value)
        head = value[:size]
        pair = resolved.get(head)
        if pair is None:
            avro = _written(name, head, registered)
            # Resolving costs more than reading, and from a schema to itself nothing is gained.
            pair = (ours, None) if mark(avro) == mark(ours) else (avro, ours)
            resolved[head] = pair
        body = io.BytesIO(value)
        body.seek(size)
        try:
            row: Any = read(body, *pair)
        except Exception as error:
            raise _undecodable(name, error) from None
        if body.tell() != len(value):
            raise Undecodable(f"not a row of {name}: there is more than one")
        found: dict[str, Any] = row
        return found

    return decode


def _size_of_head(value: bytes) -> int:
    return _SINGLE_HEAD if value[:2] == SINGLE_OBJECT else _CONFLUENT_HEAD


def _undecodable(name: str, error: Exception) -> Undecodable:
    return Undecodable(f"not a row of {name}: {type(error).__name__}")


def _written(name: str, head: bytes, registered: Callable[[int], Any] | None) -> Any:
    """The schema that ``head`` names."""
    if head[:2] == SINGLE_OBJECT:
        said = head[:1:-1].hex()
        raise Undecodable(f"{name}: no release has a schema of fingerprint {said}; upgrade first")
    if head[:1] != CONFLUENT or len(head) < _CONFLUENT_HEAD:
        raise Undecodable(f"{name}: neither Avro's single-object encoding nor Confluent's format")
    if registered is None:
        raise Undecodable(f"{name}: in Confluent's wire format, and no registry is configured")
    return registered(int.from_bytes(head[1:], "big"))
