"""Questions as OpenSearch takes them.

What they find holds every answer, and now and then a little more: a name may be of another of the
things that an event is about, an IPv4 address is also one of IPv6. The rows are held against the
question (:func:`pipeline.sinks.reading.fitting`) before anybody sees them.

Not indexed, and so asked for by what is indexed beside it, is a name of more than 8,191 characters.
Where several things have names, that tells of none: no source states a second name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.query import Query, tokens
from pipeline.sinks.reading import actors
from schemas.avro import schema
from schemas.index_template import ANALYSIS, TYPES
from schemas.ocsf import UNKNOWN

Filter = dict[str, Any]

_LONGEST: Final = int(TYPES["keyword"]["ignore_above"])
"""Of a name that is indexed, in UTF-16 units as Java counts."""
_LONGEST_WORD: Final = int(ANALYSIS["filter"]["one_term"]["length"])
_MOST_WORDS: Final = 256
"""Looked for in the index; a query has room for 1,024 conditions. All are held against the row."""
_LONGEST_PIECE: Final = 64
"""Of a pattern: what is sought between stars makes an automaton whose size is limited."""

_COLUMNS: Final = {column.name: column for column in schema("audit_event").columns}
_TIME: Final = _COLUMNS["time"].path


def period(path: str, since: int | None, until: int | None) -> list[Filter]:
    """Times from ``since`` on and before ``until``, epoch milliseconds."""
    bounds = {"gte": since, "lt": until}
    said = {name: time for name, time in bounds.items() if time is not None}
    return [{"range": {path: said | {"format": "epoch_millis"}}}] if said else []


def term(path: str, *values: Any) -> Filter:
    """One of these values."""
    return {"terms": {path: list(values)}}


def exists(path: str) -> Filter:
    """Documents in which there is something to be found at that path."""
    return {"exists": {"field": path}}


def any_of(filters: Iterable[Filter]) -> Filter:
    """What one of these finds."""
    found = list(filters)
    return found[0] if len(found) == 1 else {"bool": {"should": found, "minimum_should_match": 1}}


def without(*filters: Filter, but: Sequence[Filter] = ()) -> Filter:
    """What none of these finds, and all of ``but`` do."""
    return {"bool": {"must_not": list(filters), "filter": list(but)}}


def events(query: Query) -> list[Filter]:
    """What finds every event that is asked for."""
    found = period(_TIME, query.since, query.until)
    if query.actor is not None:
        found += _named(_actor_places(), *actors(query.actor))
    if query.resource is not None:
        found += _named(_resource_places(), query.resource)
    if query.address is not None:
        found.append(_address(_COLUMNS["address"].path, query.address))
    for name, value in (
        ("source", query.source), ("class_uid", query.class_uid), ("outcome", query.outcome),
    ):  # fmt: skip
        if value is not None:
            found.append(term(_COLUMNS[name].path, value))
    if query.text is not None:
        words = list(dict.fromkeys(tokens(query.text)))[:_MOST_WORDS]
        found += [term("words", word[:_LONGEST_WORD]) for word in words]
    return found


def _address(path: str, wanted: str) -> Filter:
    if "/" not in wanted:
        return term(f"{path}.keyword", wanted)
    # What OpenSearch takes for no address is known by its name alone.
    return any_of([term(path, wanted), term("_ignored", path)])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where documents state a name.

    Attributes:
        path: of the name.
        absent: what finds documents that should state it there and state none.
        long: what finds documents that state one too long to be indexed, and a few others.
    """

    path: str
    absent: Filter
    long: Filter


def _actor_places() -> list[_Place]:
    path = _COLUMNS["actor"].path
    nobody = term("actor.user.name", UNKNOWN["name"])
    return [_Place(path, without(exists(path)), without(exists(path), nobody))]


def _resource_places() -> list[_Place]:
    column, kind = _COLUMNS["resource"], _COLUMNS["resource_type"]
    of_class = _COLUMNS["class_uid"].path
    elsewhere = term(of_class, *map(int, column.instead))
    name = exists(column.path)
    found = [
        _Place(
            column.path,
            without(name, elsewhere),
            without(name, elsewhere, but=[exists(kind.path)]),
        )
    ]
    for number, path in column.instead.items():
        here, typed = term(of_class, int(number)), exists(kind.instead[number])
        absent = without(exists(path), but=[here])
        found.append(_Place(path, absent, without(exists(path), but=[here, typed])))
    return found


def _named(places: Sequence[_Place], *wanted: str) -> list[Filter]:
    """A name that is one of these, or fits one of these patterns."""
    patterns = "*" in wanted[0]
    if patterns and not wanted[0].strip("*"):
        return []
    found: list[Filter] = []
    for place in places:
        found += (_matching if patterns else _exactly)(place.path, wanted)
        if "" in wanted:
            found.append(place.absent)
        if patterns or max(map(_units, wanted)) > _LONGEST:
            found.append(place.long)
    return [any_of(found)]


def _exactly(path: str, wanted: Sequence[str]) -> list[Filter]:
    short = [name for name in wanted if _units(name) <= _LONGEST]
    return [term(path, *short)] if short else []


def _matching(path: str, patterns: Sequence[str]) -> list[Filter]:
    return [{"wildcard": {path: {"value": _wildcard(pattern)}}} for pattern in patterns]


def _wildcard(pattern: str) -> str:
    """A pattern that fits whatever this one does, and that no automaton is too small for: how a
    name begins and ends, and the longest of what it holds."""
    first, *within, last = pattern.split("*")
    held = max(within, key=len, default="")[:_LONGEST_PIECE]
    parts = (first[:_LONGEST_PIECE], held, last[-_LONGEST_PIECE:])
    kept = [parts[0], *([held] if held else []), parts[2]]
    return "*".join(_literal(part) for part in kept)


def _literal(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\?*" else c for c in text)


def _units(name: str) -> int:
    """How long Java says that a text is."""
    return len(name.encode("utf-16-le")) // 2
