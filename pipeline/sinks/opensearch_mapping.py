"""How an index's mapping differs from what it is to be: what can be added or changed in place, and
what cannot.

OpenSearch lets fields be added to an index, and of a field that is there it lets some parameters be
changed. Type, analyser and date format stay for as long as the index does. Nothing is ever taken
away: fields that the wanted mapping does not have are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

CHANGEABLE: Final = frozenset({"ignore_above", "ignore_malformed", "copy_to", "search_analyzer"})
"""Parameters of a field that OpenSearch changes in an index that is there."""

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stuck:
    """A field that cannot be brought up to date in place, and why."""

    path: str
    why: str


@dataclass(slots=True)
class Difference:
    """What is to be done to a mapping.

    Attributes:
        body: what is put, as ``PUT INDEX/_mapping`` takes it; empty: nothing.
        added: paths of fields that are new.
        changed: paths of fields, and of objects, with a parameter that is another.
        stuck: what cannot be done in place.
        unknown: paths of fields that only the index has.
    """

    body: Properties = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    stuck: list[Stuck] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def difference(
    wanted: Mapping[str, Any], found: Mapping[str, Any], analysers: frozenset[str]
) -> Difference:
    """What separates two mappings, as JSON objects with ``properties``.

    Args:
        analysers: those that the index has as they are to be; fields that need another are stuck.
    """
    out = Difference()
    out.body = _object(wanted, found, "", analysers, out)
    return out


def flattened(said: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by their whole name, values as OpenSearch gives them back: texts, or lists."""
    out: dict[str, Any] = {}
    for name, value in said.items():
        if isinstance(value, Mapping):
            out |= flattened(value, f"{above}{name}.")
        else:
            out[above + name] = plain(value)
    return out


def plain(value: Any) -> Any:
    """A value, whichever way OpenSearch gives it back: ``False`` is ``"false"``, 1 is ``"1"``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value)


def _object(
    wanted: Mapping[str, Any],
    found: Mapping[str, Any],
    above: str,
    analysers: frozenset[str],
    out: Difference,
) -> Properties:
    body: Properties = {}
    if plain(found.get("dynamic", True)) != plain(wanted["dynamic"]):
        body["dynamic"] = wanted["dynamic"]
        out.changed.append(above.removesuffix(".") or "(all)")
    there, properties = found.get("properties", {}), {}
    for name, want in wanted["properties"].items():
        path = above + name
        if name not in there:
            said = _addition(want, path, analysers, out)
        elif _holds(want) != _holds(there[name]):
            forms = ("a field", "an object")
            is_, to_be = forms[_holds(there[name])], forms[_holds(want)]
            out.stuck.append(Stuck(path, f"is {is_} there, not {to_be}"))
            said = {}
        elif _holds(want):
            said = _object(want, there[name], f"{path}.", analysers, out)
        else:
            said = _change(want, there[name], path, out)
        if said:
            properties[name] = said
    out.unknown += [
        path for name in there if name not in wanted["properties"]
        for path in _leaves(there[name], above + name)
    ]  # fmt: skip
    if properties:
        body["properties"] = properties
    return body


def _holds(said: Mapping[str, Any]) -> bool:
    """Whether it is an object: one without a type, or of the type that says so."""
    return "properties" in said or said.get("type", "object") == "object"


def _addition(
    want: Mapping[str, Any], path: str, analysers: frozenset[str], out: Difference
) -> Properties:
    if _holds(want):
        new = {"dynamic": want["dynamic"]}
        inner = _object(want, new, f"{path}.", analysers, out)
        return new | inner if inner else {}
    needed = want.get("analyzer")
    if needed is not None and needed not in analysers:
        out.stuck.append(Stuck(path, f"needs the analyser {needed}, which is not as it is to be"))
        return {}
    out.added.append(path)
    return dict(want)


def _change(
    want: Mapping[str, Any], there: Mapping[str, Any], path: str, out: Difference
) -> Properties:
    """The field as it must be put where anything of it changes: whole, but for inner fields."""
    if want["type"] != there.get("type"):
        out.stuck.append(Stuck(path, f"is of type {there.get('type')} there, not {want['type']}"))
        return {}
    names = (want.keys() | there.keys()) - {"fields"}
    other = {name for name in names if _parameter(want, name) != _parameter(there, name)}
    if fixed := sorted(other - CHANGEABLE):
        said = [f"{n} is {there.get(n, 'not set')} there, not {want.get(n, 'set')}" for n in fixed]
        out.stuck.append(Stuck(path, ", ".join(said)))
        return {}
    if other:
        out.changed.append(path)
    inner = _inner(want.get("fields", {}), there.get("fields", {}), path, out)
    if not other and not inner:
        return {}
    body = {name: value for name, value in want.items() if name != "fields"}
    return body | ({"fields": inner} if inner else {})


def _inner(
    wanted: Mapping[str, Any], there: Mapping[str, Any], path: str, out: Difference
) -> Properties:
    """Of the fields in a field those that are to be put."""
    body: Properties = {}
    for name, want in wanted.items():
        if name not in there:
            out.added.append(f"{path}.{name}")
            body[name] = dict(want)
        elif said := _change(want, there[name], f"{path}.{name}", out):
            body[name] = said
    return body


def _parameter(said: Mapping[str, Any], name: str) -> Any:
    """A parameter as OpenSearch gives it back; what is not said is as where it is not wanted."""
    value = said.get(name)
    if name == "copy_to" and isinstance(value, str):
        return [value]
    return None if value is None or value is False else plain(value)


def _leaves(said: Mapping[str, Any], path: str) -> Iterator[str]:
    if not _holds(said):
        yield path
    for name, inner in said.get("properties", {}).items():
        yield from _leaves(inner, f"{path}.{name}")
