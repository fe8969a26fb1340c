"""What a record says beside what the format names: kept, without what people write as a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from pipeline.support.free_text import clean
from pipeline.support.statement import Done, Permission, Statement, Window

FREE: Final = ("reason_text", "recording")
"""Fields of the format that hold anybody's text."""
INSIDE: Final[Mapping[str, type[BaseModel]]] = {
    "window": Window, "scope": Permission, "action": Done,
}  # fmt: skip
"""Fields whose values have fields of their own."""
_TEXT: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"\s*+(:)?', re.DOTALL)


@cache
def names(model: type[BaseModel]) -> frozenset[str]:
    """The fields of a model as records call them."""
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def states_twice(text: str, document: Mapping[str, Any]) -> bool:
    """Whether some object of a JSON text has a name twice, of which a parser keeps one alone.

    Two readers may keep different ones: who was approved then hangs on who reads. Linear time.
    """
    kept, waiting = 0, list[Any]([document])
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            kept += len(value)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return kept != sum(found[1] is not None for found in _TEXT.finditer(text))


def cleaned(node: Mapping[str, Any], model: type[BaseModel] = Statement) -> dict[str, Any]:
    """A record that fits the format, or an object in it; free text and unknown fields are clean."""
    known, out = names(model), dict(node)
    for name, value in node.items():
        if name not in known or name in FREE:
            out[name] = clean(value, name)
        elif model is Statement and name in INSIDE:
            out[name] = _each(cleaned, value, name)
    return out


def unmapped(node: Mapping[str, Any], model: type[BaseModel] = Statement) -> dict[str, Any]:
    """What the format does not name, where it stands."""
    known = names(model)
    out = {name: value for name, value in node.items() if name not in known}
    for name in INSIDE if model is Statement else ():
        found = _each(unmapped, node.get(name, {}), name)
        if any(found):
            out[name] = found
    return out


def _each(do: Any, value: Any, name: str) -> Any:
    """``do`` for an object, or for each of a list."""
    if isinstance(value, list):
        return [do(entry, INSIDE[name]) for entry in value]
    return do(value, INSIDE[name])
