"""Support session records at random, and a plain reading of their JSON schema to hold others to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "schemas" / "support_session.schema.json").read_text("utf-8")
)
KINDS: list[str] = SCHEMA["properties"]["kind"]["enum"]
WINDOW = {"from": "2026-11-20T09:00:00Z", "to": "2026-11-20T10:00:00Z"}
PLAIN: dict[str, Any] = {
    "v": 1, "kind": "request", "id": "INC-1/request", "time": "2026-11-20T09:00:00Z", "estate": "prod-eu",
}  # fmt: skip
"""What every record has, and nothing else."""
_ABOUT = {"$schema", "title", "description", "default", "examples"}
_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?"
    r"(Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a JSON value fits a schema of the words that ours has; another word is an error."""
    checks = {word: _CHECKS[word] for word in schema if word not in _ABOUT}
    return all(check(value, schema[word], schema) for word, check in checks.items())


def _same(value: Any, const: Any) -> bool:
    return bool(value == const) and isinstance(value, bool) == isinstance(const, bool)


def _required(value: Any, names: list[str], _: Any) -> bool:
    return not isinstance(value, dict) or all(name in value for name in names)


def _properties(value: Any, named: Mapping[str, Any], _: Any) -> bool:
    return not isinstance(value, dict) or all(
        fits(value[name], inside) for name, inside in named.items() if name in value
    )


def _if(value: Any, condition: Any, schema: Mapping[str, Any]) -> bool:
    return not fits(value, condition) or fits(value, schema["then"])


_CHECKS: dict[str, Any] = {
    "type": lambda value, name, _: isinstance(value, _TYPES[name]),
    "const": lambda value, const, _: _same(value, const),
    "enum": lambda value, choices, _: any(_same(value, choice) for choice in choices),
    "minLength": lambda value, least, _: not isinstance(value, str) or len(value) >= least,
    "format": lambda value, _name, _: not isinstance(value, str) or is_time(value),
    "items": lambda value, item, _: not isinstance(value, list)
    or all(fits(one, item) for one in value),
    "required": _required,
    "properties": _properties,
    "allOf": lambda value, parts, _: all(fits(value, part) for part in parts),
    "if": _if,
    "then": lambda _value, _then, _schema: True,
}  # fmt: skip


def is_time(text: str) -> bool:
    """Whether a text is an RFC 3339 time on the calendar of our years (1 to 9999)."""
    found = _TIME.fullmatch(text.upper()) if text.isascii() else None
    if found is None:
        return False
    day, minute, second, _, zone = found.groups()
    try:
        face = datetime.fromisoformat(f"{day}T{minute}:{'59' if second == '60' else second}+00:00")
    except ValueError:
        return False
    if second != "60":
        return True
    hours, minutes = (0, 0) if zone == "Z" else map(int, zone[1:].split(":"))
    away = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    return (face - datetime.min.replace(tzinfo=face.tzinfo) - away) % timedelta(1) == timedelta(
        hours=23, minutes=59, seconds=59
    )


def in_order(document: Mapping[str, Any], instant: Any) -> bool:
    """What the schema has no words for: a window that does not end before it begins."""
    window = document.get("window")
    return window is None or bool(instant(window["from"]) <= instant(window["to"]))


# At random.

TEXTS = st.one_of(
    st.sampled_from(["S-1", "INC-1", "User:vendor-rt", "192.0.2.7", "198.51.100.0/24", "a:b", ""]),
    st.text(max_size=8),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)  # fmt: skip
TIMES = st.builds(
    lambda at, fraction, zone: f"{at.replace(microsecond=0).isoformat()}{fraction}{zone}",
    st.datetimes(),
    st.sampled_from(["", ".5", ".123456789012345"]),
    st.sampled_from(["Z", "z", "+01:00", "-23:59", "-00:00"]),
)
ODD_TIMES = st.sampled_from(
    [
        "2016-12-31T23:59:60Z", "2017-01-01T00:59:60+01:00", "2016-12-31T22:59:60z", "2026-11-20",
        "2026-11-20t09:00:00.000z", "2026-11-20 09:00:00Z", "2026-11-20T09:00:00", "2026-02-29T00:00:00Z",
        "2026-11-20T24:00:00Z", "2026-11-20T09:00:00+24:00", "2026-11-20T09:00:00+01", "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:60+00:01", "2026-11-20T09:00:00.Z", "2026-11-20T09:00:00+01:60", "٢026-11-20T09:00:00Z",
        "2026-11-20T09:00:00Z\n", "1", "",
    ]
)  # fmt: skip


def of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that fit a schema."""
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format"):
        return TIMES
    if schema["type"] == "array":
        return st.lists(of(schema["items"]), max_size=3)
    if schema["type"] == "object":
        return objects(schema["properties"], schema.get("required", []))
    if schema["type"] == "boolean":
        return st.booleans()
    return TEXTS.filter(lambda text: len(text) >= schema.get("minLength", 0))


def objects(properties: Mapping[str, Any], required: list[str]) -> st.SearchStrategy[Any]:
    """Objects with some of these properties, those required among them, and some others."""
    some = {name: of(inside) for name, inside in properties.items()}
    return st.builds(
        lambda more, said: more | said,
        st.dictionaries(st.text(max_size=5).filter(lambda n: n not in some), JSON, max_size=2),
        st.fixed_dictionaries(
            {name: some[name] for name in required},
            optional={name: inside for name, inside in some.items() if name not in required},
        ),
    )


def demanded(kind: str, schema: Mapping[str, Any] = SCHEMA) -> set[str]:
    """What a schema requires of records of a kind."""
    return set(schema["required"]).union(
        *(part["then"]["required"] for part in schema["allOf"] if fits({"kind": kind}, part["if"]))
    )


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    """Records that fit the schema."""
    kind = draw(st.sampled_from(KINDS))
    said: dict[str, Any] = draw(objects(SCHEMA["properties"], sorted(demanded(kind))))
    return {**said, "kind": kind} if fits({**said, "kind": kind}, SCHEMA) else said


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """Records with a few mistakes, or none."""
    said = draw(statements())
    for _ in range(draw(st.integers(0, 3))):
        node: Any = said
        while isinstance(node, dict | list) and node:
            key = draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
            inside = node[key]
            if isinstance(inside, dict | list) and inside and draw(st.booleans()):
                node = inside
                continue
            if isinstance(node, dict) and draw(st.booleans()):
                del node[key]
            else:
                node[key] = draw(JSON | ODD_TIMES | st.sampled_from([1, 1.0, True, 2, *KINDS]))
            break
    return said
