"""Each panel: of fields that there are, laid out without holes, and derived alike every time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import orjson
import pytest

from dashboards.panels import COLUMNS
from dashboards.patterns import (
    EVENTS,
    PATTERNS,
    about,
    field_types,
)
from dashboards.saved_objects import DASHBOARDS, lucene, ndjson
from schemas.avro import Column, Schema, schema
from schemas.vocabulary import SEVERITY_NAMES
from tests.dashboards.read import METRICS, objects, panels
from tests.dashboards.suited import TAKES, problems, queried, unsuited, uses

NDJSON = ndjson()
PANELS = list(panels(NDJSON))


def types(schemas: Mapping[str, Schema] | None = None) -> dict[str, Mapping[str, str]]:
    """The fields of each pattern; `schemas` stand in the place of those of their name."""
    said = schemas or {}
    return {p.title: field_types(said.get(p.schema) or schema(p.schema)) for p in PATTERNS}


def renamed(name: str, path: str, to: str) -> dict[str, Schema]:
    """A copy of a schema in which a field has another name."""
    there = schema(name)

    def named(column: Column) -> Column:
        return replace(column, path=to) if column.path == path else column

    columns, beside = (tuple(map(named, part)) for part in (there.columns, there.beside))
    copy = replace(there, columns=columns, beside=beside)
    assert (copy.columns, copy.beside) != (there.columns, there.beside), path
    return {name: copy}


def test_every_field_is_in_the_schema_and_of_a_type_that_will_do() -> None:
    assert unsuited(NDJSON, types()) == []
    assert set(TAKES) == (METRICS - {"count"}) | {"terms", "date_histogram"}


@pytest.mark.parametrize(
    ("name", "field", "told"),
    [
        ("audit_event", "auditstream.weight", "'Authentication failures over time'"),
        ("audit_event", "metadata.log_name", "'Holds, and what retention removed'"),
        ("audit_event", "auditstream.carriage.received", "'Delay from event to Kafka'"),
        ("audit_event", "auditstream.retention", "'Retention classes, and days left'"),
        ("audit_event", "time", "'Timeline'"),
        ("finding", "severity", "'Findings by severity'"),
        ("change", "kind", "'Changes over time'"),
        ("dead_letter", "reason", "'Dead letters by reason'"),
        ("account", "lost", "'Completeness, by raw topic and partition'"),
    ],
)
def test_a_field_renamed_in_the_schema_is_told_by_the_panel(
    name: str, field: str, told: str
) -> None:
    found = unsuited(NDJSON, types(renamed(name, field, f"{field}_renamed")))
    assert any(told in one and field in one and "not in the schema" in one for one in found)


def test_whichever_field_of_a_panel_is_gone_is_told() -> None:
    there = types()
    for panel in PANELS:
        for _, name in uses(panel):
            if not panel.fields[name]["scripted"]:
                fewer = {path: kind for path, kind in there[panel.searched].items() if path != name}
                assert f"{name} is not in the schema" in problems(panel, fewer), panel.title


def test_a_type_that_an_aggregation_cannot_take_is_told() -> None:
    there = types()
    events = {**there[EVENTS.title], "auditstream.weight": "keyword", "time": "keyword"}
    found = unsuited(NDJSON, {**there, EVENTS.title: events})
    assert any("'Actors': auditstream.weight is of type keyword, which sum" in one for one in found)
    assert any("'Timeline': time is of type keyword" in one for one in found)


def test_panels_fill_each_row_and_none_lies_on_another() -> None:
    for (kind, name), said in objects(NDJSON).items():
        if kind != "dashboard":
            continue
        places = [one["gridData"] for one in orjson.loads(said["attributes"]["panelsJSON"])]
        cells = [
            {(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])}
            for p in places
        ]
        assert all(not one & other for one, other in combinations(cells, 2)), name
        height = max(p["y"] + p["h"] for p in places)
        assert sum(map(len, cells)) == COLUMNS * height, name


def test_ids_are_ours_and_titles_tell_panels_apart() -> None:
    there = objects(NDJSON)
    assert all(re.fullmatch(r"auditstream-[a-z-]+", name) for _, name in there)
    titles = [(kind, said["attributes"]["title"]) for (kind, _), said in there.items()]
    assert len(titles) == len(set(titles))
    assert all(said["attributes"].get("description", "x") for said in there.values())
    assert {said.name for said in DASHBOARDS} == {"soc", "responder", "auditor", "evidence"}


def test_every_severity_has_its_colour() -> None:
    coloured = {
        panel.title: orjson.loads(panel.object["attributes"].get("uiStateJSON", "{}"))
        for panel in PANELS
    }
    for title in ("Findings by severity", "Findings over time"):
        assert set(coloured[title]["vis"]["colors"]) == set(SEVERITY_NAMES.values())
    assert coloured["Changes over time"] == {}


def test_panels_of_one_name_are_one_panel() -> None:
    by_name = {panel.name: panel for board in DASHBOARDS for panel in board.panels()}
    assert all(by_name[p.name] is p for board in DASHBOARDS for p in board.panels())


def test_the_same_is_derived_every_time_and_fits_an_import() -> None:
    assert ndjson() == NDJSON
    assert len(NDJSON) < 1_000_000
    for said in objects(NDJSON).values():
        for text in ("fields", "fieldFormatMap", "visState", "uiStateJSON", "panelsJSON"):
            assert text not in said["attributes"] or orjson.loads(said["attributes"][text]) != []


def test_ids_of_ours_alone_are_links() -> None:
    """Names are attackers' text, and have no business in the address of a link."""
    for (kind, name), said in objects(NDJSON).items():
        if kind != "index-pattern" or "fieldFormatMap" not in said["attributes"]:
            continue
        shown = orjson.loads(said["attributes"]["fieldFormatMap"])
        links = {field: one for field, one in shown.items() if one["id"] == "url"}
        allowed = {
            "metadata.uid", "auditstream.evidence", "auditstream.supersedes", "id", "legs",
            "supersedes",
        }  # fmt: skip
        assert links, name
        assert set(links) <= allowed
        for one in links.values():
            address = one["params"]["urlTemplate"]
            assert address.startswith("../app/dashboards#/view/auditstream-evidence?_g=")
            assert about("{{value}}").replace(" ", "%20") in address
            assert address.count("(") == address.count(")")


def test_every_listing_of_events_findings_and_changes_has_a_link() -> None:
    for panel in PANELS:
        if panel.kind == "search":
            shown = orjson.loads(panel.pattern["attributes"]["fieldFormatMap"])
            assert set(shown) & set(panel.columns), panel.title


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({}, ""),
        ({"a.b": "x y"}, 'a.b:"x y"'),
        ({"a": 'q"\\'}, 'a:"q\\"\\\\"'),
        ({"a": True, "n": -3}, "a:true AND n:-3"),
        ({"a": ("x", 4)}, 'a:("x" OR 4)'),
        ({"a": "*"}, "_exists_:a"),
    ],
)
def test_a_query_is_lucene(where: dict[str, str], said: str) -> None:
    assert lucene(where) == said
    assert queried(said) == list(where)
