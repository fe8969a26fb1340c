"""Some columns out of rows in Avro's binary encoding (Avro 1.12 specification, "Binary Encoding").

Whoever needs five of thirty columns pays for five: those before the last of them are stepped over,
and those behind it are not looked at. What fastavro reads of the same bytes, in a fifteenth of the
time where they come first; it has no such way, and resolving to a smaller schema costs it more than
reading all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

Take = Callable[[bytes, int], tuple[Any, ...]]
"""The wanted columns of the row that stands at an offset, in the order of the schema. Raises
`ValueError` or `IndexError` where there are none."""

_SIZED, _NUMBER, _BYTES, _ARRAY, _WANTED = 1, 2, 3, 4, 5
_STEPS: Final = {
    "string": _SIZED, "bytes": _SIZED, "long": _NUMBER, "int": _NUMBER, "boolean": _BYTES,
}  # fmt: skip


def taker(avro: Any, wanted: Sequence[str]) -> Take:
    """How some columns are taken out of rows of a schema.

    Args:
        avro: a record as fastavro parses it, of the types that our schemas use.
        wanted: names of columns; of fixed size, numbers, texts or bytes.

    Raises:
        KeyError: a column that is not there, or of another type.
    """
    steps = _steps(avro, set(wanted))
    while steps and steps[-1][0] != _WANTED:
        steps.pop()
    program = _joined(steps)

    def take(value: bytes, at: int) -> tuple[Any, ...]:
        out: list[Any] = []
        for step, count in program:
            if step == _SIZED:
                for _ in range(count):
                    size = value[at]
                    if size < 0x80 and not size & 1:
                        at += 1 + (size >> 1)
                    else:
                        size, at = _size(value, at)
                        at += size
            elif step == _BYTES:
                at += count
            elif step == _WANTED:
                found, at = count(value, at)
                out.append(found)
            elif step == _NUMBER:
                for _ in range(count):
                    while value[at] & 0x80:
                        at += 1
                    at += 1
            else:
                at = _after_array(value, at, count)
        if at > len(value):
            raise ValueError("longer than the row")
        return tuple(out)

    return take


def _steps(avro: Any, wanted: set[str]) -> list[tuple[int, Any]]:
    out: list[tuple[int, Any]] = []
    sizes: dict[str, int] = {}
    for said in avro["fields"]:
        kind, name = said["type"], said["name"]
        if isinstance(kind, dict) and kind["type"] == "record":
            out += _steps(kind, set())
            continue
        step = _step(kind, sizes)
        if name in wanted:
            wanted.discard(name)
            step = _WANTED, _reader(kind)
        out.append(step)
    if wanted:
        raise KeyError(*wanted)
    return out


def _step(kind: Any, sizes: dict[str, int]) -> tuple[int, Any]:
    if isinstance(kind, str):
        if kind in sizes:
            return _BYTES, sizes[kind]
        return _STEPS[kind], 1
    if kind["type"] == "fixed":
        sizes[kind["name"]] = kind["size"]
        return _BYTES, kind["size"]
    if kind["type"] == "array":
        return _ARRAY, _step(kind["items"], sizes)
    raise KeyError(kind["type"])


def _joined(steps: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """Steps of one kind that follow each other as one."""
    out: list[tuple[int, Any]] = []
    for step, count in steps:
        if out and out[-1][0] == step and step in (_SIZED, _NUMBER, _BYTES):
            out[-1] = step, out[-1][1] + count
        else:
            out.append((step, count))
    return out


def _number(value: bytes, at: int) -> tuple[int, int]:
    found = value[at]
    # Of one byte or two, which nearly all are.
    if found < 0x80:
        return (found >> 1) ^ -(found & 1), at + 1
    if value[at + 1] < 0x80:
        found = found & 0x7F | value[at + 1] << 7
        return (found >> 1) ^ -(found & 1), at + 2
    shift = found = 0
    while True:
        byte = value[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (found >> 1) ^ -(found & 1), at
        shift += 7
        if shift > 63:
            raise ValueError("more than 64 bits")


def _size(value: bytes, at: int) -> tuple[int, int]:
    size, at = _number(value, at)
    if size < 0 or size > len(value) - at:
        raise ValueError("longer than the row")
    return size, at


def _sized(value: bytes, at: int) -> tuple[bytes, int]:
    size, at = _size(value, at)
    return value[at : at + size], at + size


def _text(value: bytes, at: int) -> tuple[str, int]:
    found, at = _sized(value, at)
    return found.decode(), at


def _reader(kind: Any) -> Callable[[bytes, int], tuple[Any, int]]:
    if isinstance(kind, str):
        return {"long": _number, "int": _number, "string": _text, "bytes": _sized}[kind]
    if kind["type"] != "fixed":
        raise KeyError(kind["type"])
    size = kind["size"]

    def fixed(value: bytes, at: int) -> tuple[bytes, int]:
        if at + size > len(value):
            raise ValueError("longer than the row")
        return value[at : at + size], at + size

    return fixed


def _after_array(value: bytes, at: int, item: tuple[int, Any]) -> int:
    """Behind an array: blocks of a count and so many items, until a count of none. A negative one
    is followed by the size of its block."""
    step, length = item
    while True:
        count, at = _number(value, at)
        if count == 0:
            return at
        if count < 0:
            size, at = _size(value, at)
            at += size
            continue
        if count > len(value) - at:
            raise ValueError("longer than the row")
        for _ in range(count):
            if step == _BYTES:
                at += length
            elif step == _SIZED:
                size, at = _size(value, at)
                at += size
            else:
                _, at = _number(value, at)
