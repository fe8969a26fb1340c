"""What is wrong with a record, for the person who writes the export: which field, what was found,
what is expected, and an example.

Nothing of the record's own text is told: a field is named by the name it should have, and of a
value only its type is said. It may be a secret that slipped into the wrong field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Final, get_args

import orjson
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pipeline.support.kept import INSIDE, names
from pipeline.support.statement import DEMANDS, Statement

MOST_TOLD: Final = 20
"""Problems of one record that are told; of the others, their number."""
_MOST_COMPARED: Final = 200
_LONGEST_NAME: Final = 40
_ALIKE: Final = 0.8
_FOUND: Final[Mapping[type, str]] = {
    str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list",
    dict: "an object", type(None): "null",
}  # fmt: skip
_EXPECTED: Final[Mapping[str, str]] = {
    "string_type": "text", "bool_type": "true or false", "list_type": "a list",
    "model_type": "an object",
}  # fmt: skip
_ORDER: Final = list(Statement.model_fields)
_NAMES: Final = names(Statement).union(*map(names, INSIDE.values()))

Place = tuple[int | str, ...]


def read(document: Mapping[str, Any]) -> Statement | str:
    """The record, or all that is wrong with it, in words."""
    try:
        return Statement.model_validate(document)
    except ValidationError as error:
        version = document.get("v")
        if isinstance(version, int | float) and not isinstance(version, bool) and version != 1:
            return "`v` is that of another version of the format, and this release reads version 1"
        told = [(e["loc"], e) for e in error.errors(include_url=False) if e["type"] != "lacking"]
        found = [(place, _problem(document, place, e)) for place, e in told]
        found += [((name,), words) for name, words in _lacking(document)]
    found.sort(key=lambda one: _ORDER.index(str(one[0][0])))
    words = [text for _, text in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        words.append(f"and {len(found) - MOST_TOLD} more")
    return "; ".join(words)


def _lacking(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields that a record of its kind needs and this one has not."""
    kind = document.get("kind")
    for name in DEMANDS.get(kind, ()) if isinstance(kind, str) else ():
        if name not in document:
            needs = f"`{name}` is missing, which a record of kind {kind} needs"
            yield name, f"{needs}: {_meant(_field(name))}{_misspelt(document, name)}"


def _problem(document: Mapping[str, Any], place: Place, error: Mapping[str, Any]) -> str:
    """One problem of a field, in words."""
    name, kind, value = _path(place), error["type"], error["input"]
    field = _field(*place)
    if kind == "missing":
        return f"`{name}` is missing: {_meant(field)}{_misspelt(_around(document, place), name)}"
    found = _FOUND.get(type(value), "a number")
    if kind == "time":
        said = error["ctx"]["why"]
    elif kind == "order":
        return f"`{name}` ends before it begins: are `from` and `to` the wrong way round?"
    elif kind == "string_too_short":
        said = "is empty"
    elif kind == "literal_error" and place != ("v",):
        choices = get_args(field.annotation)
        said = f"is {found}, but none of {', '.join(choices)}{_meant_word(value, choices)}"
    else:
        said = f"is {found}, not {_EXPECTED.get(kind, 'the number 1')}"
    return f"`{name}` {said}: {_meant(field)}"


def _path(place: Place) -> str:
    """A field as people write it: ``scope[2].resource``."""
    out = ""
    for part in place:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def _field(name: int | str, *inside: int | str) -> FieldInfo:
    """What the model says of a field, or of the one around it that it knows by name."""
    within = [part for part in inside if isinstance(part, str)]
    if not within:
        return Statement.model_fields[str(name)]
    fields = INSIDE[str(name)].model_fields
    return next(field for key, field in fields.items() if within[0] in (field.alias, key))


def _meant(field: FieldInfo) -> str:
    (example,) = field.examples or ("",)
    return f"{field.description}, as `{orjson.dumps(example).decode()}`"


def _around(document: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    """The object that a field is missing in."""
    value: Any = document
    for part in place[:-1]:
        value = value[part]
    found: Mapping[str, Any] = value
    return found


def _misspelt(said: Mapping[str, Any], path: str) -> str:
    """A hint where something of nearly that name is there."""
    wanted = path.rpartition(".")[2]
    plain = _plain(wanted)
    for name in list(said)[:_MOST_COMPARED]:
        if name in _NAMES or len(name) > _LONGEST_NAME:
            continue
        if SequenceMatcher(None, plain, _plain(name)).ratio() >= _ALIKE:
            return f" (a field of nearly that name is there: call it `{wanted}`)"
    return ""


def _meant_word(value: Any, choices: tuple[str, ...]) -> str:
    plain = _plain(value) if isinstance(value, str) and len(value) <= _LONGEST_NAME else ""
    found = [choice for choice in choices if plain and _plain(choice) == plain]
    return f" (write it {found[0]})" if found else ""


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
