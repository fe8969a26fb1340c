"""Saved objects of OpenSearch Dashboards, derived from the descriptions beside this module.

The form is that of ``POST /api/saved_objects/_export`` and ``_import``: NDJSON, an object a line,
with ``references`` in the place of ids (OpenSearch documentation, "Saved Objects APIs"). What each
type's attributes are, the code says that reads them (opensearch-project/OpenSearch-Dashboards):

=================  =============================================================================
``index-pattern``  ``src/plugins/data/common/index_patterns/index_patterns/index_pattern.ts``
``visualization``  ``src/plugins/visualizations/server/saved_objects``
``search``         ``src/plugins/discover/server/saved_objects/search.ts``
``dashboard``      ``src/plugins/dashboard/server/saved_objects``
=================  =============================================================================

``migrationVersion`` is the last migration that each type has there, in 1.0 as in 3.x: an older one
would be migrated again, a newer one refused. Panels bear a version of 7.3 or more, or they are
taken for those of a time before that (``migrate_app_state.ts``).

Queries are Lucene's: what is sent is what is written (``query_string``), in every release.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from dashboards.auditor import AUDITOR
from dashboards.evidence import EVIDENCE
from dashboards.panels import (
    ANY,
    COLUMNS,
    Chart,
    Dashboard,
    Listing,
    Panel,
    Value,
    Where,
)
from dashboards.patterns import DAYS, PATTERNS, Pattern, fields, formats
from dashboards.responder import RESPONDER
from dashboards.soc import SOC
from dashboards.visualizations import colours, state
from schemas.index_template import PREFIX

DASHBOARDS: Final = (SOC, RESPONDER, AUDITOR, EVIDENCE)

Object = dict[str, Any]
"""One saved object."""

_MIGRATED: Final = {
    "index-pattern": "7.6.0",
    "visualization": "7.10.0",
    "search": "7.9.3",
    "dashboard": "7.9.3",
}
_PANEL: Final = "7.9.3"
_SOURCE_INDEX: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"
_MARGIN: Final = {"useMargins": True, "hidePanelTitles": False}


def ndjson(dashboards: Sequence[Dashboard] = DASHBOARDS, days: Mapping[str, int] = DAYS) -> bytes:
    """What is imported: index patterns, panels, dashboards, each after what it refers to.

    Args:
        days: how long each retention class is kept.
    """
    lines = (orjson.dumps(one) for one in saved_objects(dashboards, days))
    return b"\n".join(lines) + b"\n"


def saved_objects(
    dashboards: Sequence[Dashboard] = DASHBOARDS, days: Mapping[str, int] = DAYS
) -> Iterator[Object]:
    """The objects, in that order."""
    yield from (_index_pattern(pattern, days) for pattern in PATTERNS)
    panels = {panel.name: panel for dashboard in dashboards for panel in dashboard.panels()}
    yield from map(_panel, panels.values())
    yield from map(_dashboard, dashboards)


def lucene(where: Where) -> str:
    """The query for what each field has to be; empty for nothing."""
    return " AND ".join(_condition(field, value) for field, value in where.items())


def _condition(field: str, value: Value) -> str:
    if value == ANY:
        return f"_exists_:{field}"
    if isinstance(value, tuple):
        return f"{field}:({' OR '.join(map(_literal, value))})"
    return f"{field}:{_literal(value)}"


def _literal(value: str | int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _object(kind: str, name: str, attributes: Object, references: Sequence[Object] = ()) -> Object:
    return {
        "type": kind,
        "id": name,
        "attributes": attributes,
        "references": list(references),
        "migrationVersion": {kind: _MIGRATED[kind]},
    }


def _text(said: Any) -> str:
    return orjson.dumps(said).decode()


def _index_pattern(pattern: Pattern, days: Mapping[str, int]) -> Object:
    attributes = {"title": pattern.title, "fields": _text(fields(pattern, days))}
    if pattern.time:
        attributes["timeFieldName"] = pattern.time
    if shown := formats(pattern, days):
        attributes["fieldFormatMap"] = _text(shown)
    return _object("index-pattern", pattern.name, attributes)


def panel_id(panel: Panel) -> str:
    """The id of a panel's saved object."""
    return f"{PREFIX}{panel.name}"


def _kind(panel: Panel) -> str:
    return "visualization" if isinstance(panel, Chart) else "search"


def _panel(panel: Panel) -> Object:
    title = f"auditstream · {panel.title}"
    described = _chart(panel, title) if isinstance(panel, Chart) else _search(panel)
    source: Object = {
        "query": {"query": lucene(panel.where), "language": "lucene"},
        "filter": [],
        "indexRefName": _SOURCE_INDEX,
    }
    if isinstance(panel, Listing):
        source |= {"highlightAll": True, "version": True}
    attributes = {
        "title": title,
        "description": panel.says,
        **described,
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }
    reference = {"name": _SOURCE_INDEX, "type": "index-pattern", "id": panel.pattern.name}
    return _object(_kind(panel), panel_id(panel), attributes, [reference])


def _chart(panel: Chart, title: str) -> Object:
    return {"visState": _text(state(panel, title)), "uiStateJSON": _text(colours(panel))}


def _search(panel: Listing) -> Object:
    return {"columns": list(panel.columns), "sort": [[panel.pattern.time, "desc"]], "hits": 0}


def _dashboard(dashboard: Dashboard) -> Object:
    panels = list(dashboard.panels())
    places = _places(dashboard)
    attributes = {
        "title": dashboard.title,
        "description": dashboard.says,
        "hits": 0,
        "version": 1,
        "timeRestore": True,
        "timeFrom": dashboard.since,
        "timeTo": "now",
        "refreshInterval": {
            "pause": not dashboard.refresh_s, "value": dashboard.refresh_s * 1000,
        },
        "optionsJSON": _text(_MARGIN),
        "panelsJSON": _text(
            [
                {
                    "version": _PANEL,
                    "gridData": {**place, "i": str(number)},
                    "panelIndex": str(number),
                    "embeddableConfig": {"title": panel.title},
                    "title": panel.title,
                    "panelRefName": f"panel_{number}",
                }
                for number, (panel, place) in enumerate(zip(panels, places, strict=True))
            ]
        ),
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": _text({"query": {"query": "", "language": "lucene"}, "filter": []})
        },
    }  # fmt: skip
    references = [
        {"name": f"panel_{number}", "type": _kind(panel), "id": panel_id(panel)}
        for number, panel in enumerate(panels)
    ]
    return _object("dashboard", f"{PREFIX}{dashboard.name}", attributes, references)


def _places(dashboard: Dashboard) -> Iterator[Object]:
    top = 0
    for row in dashboard.rows:
        width = COLUMNS // len(row.panels)
        for number in range(len(row.panels)):
            yield {"x": number * width, "y": top, "w": width, "h": row.height}
        top += row.height
