"""JSON with another value in one place: what property tests try on every field."""

from __future__ import annotations

from typing import Any

import orjson


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value, itself first: the keys and indices that lead to it."""
    inner = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [at, *(place for key, value in inner for place in places(value, (*at, key)))]


def changed(said: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of a record with another value in one place."""
    copy: dict[str, Any] = orjson.loads(orjson.dumps(said))
    node: Any = copy
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return copy
