"""Whether every field that saved objects name is one that the schema has, of a type that will do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tests.dashboards.read import Panel, panels

_NUMBERS = frozenset(("integer", "long"))
_ORDERED = _NUMBERS | {"date"}
_WHOLE = frozenset(("keyword", "ip", "boolean")) | _ORDERED
TAKES: Mapping[str, frozenset[str]] = {
    "sum": _NUMBERS,
    "percentiles": _NUMBERS,
    "min": _ORDERED,
    "max": _ORDERED,
    "cardinality": _WHOLE,
    "terms": _WHOLE,
    "date_histogram": frozenset(("date",)),
}
"""Which types each aggregation takes: ``filterFieldTypes`` in ``search/aggs`` of OpenSearch
Dashboards, and what OpenSearch itself takes."""

_READ = re.compile(r"doc\['([^']+)'\]")

Types = Mapping[str, Mapping[str, str]]
"""Of each searched title, its fields and their types in OpenSearch."""


def unsuited(ndjson: bytes, types: Types) -> list[str]:
    """Every field that a panel cannot show, by the panel's dashboard and title."""
    return [
        f"{panel.dashboard}, {panel.title!r}: {problem}"
        for panel in panels(ndjson)
        for problem in problems(panel, types[panel.searched])
    ]


def problems(panel: Panel, types: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a panel, where these are the fields that there are."""
    scripted = {name: one for name, one in panel.fields.items() if one["scripted"]}
    for use, name in uses(panel):
        if name in scripted:
            for read in _READ.findall(scripted[name]["script"]):
                if read not in types:
                    yield f"{read}, which {name} is worked out of, is not in the schema"
        elif name not in types:
            yield f"{name} is not in the schema"
        elif name not in panel.fields:
            yield f"{name} is not in the index pattern"
        elif types[name] not in TAKES.get(use, {types[name]}):
            yield f"{name} is of type {types[name]}, which {use} does not take"


def uses(panel: Panel) -> Iterator[tuple[str, str]]:
    """What a panel names each field for, and the field."""
    if panel.time:
        yield "date_histogram", panel.time
    for name in queried(panel.query):
        yield "query", name
    if panel.kind == "search":
        for name in panel.columns:
            yield "column", name
        for name, _ in panel.object["attributes"]["sort"]:
            yield "max", name
        return
    for one in panel.state["aggs"]:
        if one["type"] != "count":
            yield one["type"], one["params"]["field"]


def queried(query: str) -> list[str]:
    """The fields that a Lucene query asks for."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", query)
    return re.findall(r"([A-Za-z][\w.]*):", re.sub(r"_exists_:([\w.]+)", r"\1:", bare))
