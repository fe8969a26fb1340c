"""Saved objects as OpenSearch Dashboards reads them, and the searches it makes of them.

Written after its own code (opensearch-project/OpenSearch-Dashboards, ``src/plugins/data/common``):
``search/aggs`` for aggregations, ``opensearch_query`` for queries, ``IndexPattern`` for what is
asked beside them. It reads the NDJSON alone and knows nothing of how that was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import orjson

Object = dict[str, Any]

METRICS = frozenset(("count", "sum", "min", "max", "cardinality", "percentiles"))
_BARS = 50
_SHOWN = 500
"""``discover:sampleSize``."""
_CALENDAR = ("d", "w", "M", "y")


@dataclass(frozen=True)
class Panel:
    """A panel on a dashboard: what it shows, of what, under which of the dashboard's titles."""

    dashboard: str
    title: str
    kind: str
    object: Object
    pattern: Object
    columns: Sequence[str] = ()

    @property
    def searched(self) -> str:
        return str(self.pattern["attributes"]["title"])

    @property
    def time(self) -> str:
        return str(self.pattern["attributes"].get("timeFieldName", ""))

    @cached_property
    def fields(self) -> dict[str, Object]:
        """The pattern's fields, by name."""
        said = orjson.loads(self.pattern["attributes"]["fields"])
        return {field["name"]: field for field in said}

    @property
    def query(self) -> str:
        said = orjson.loads(self.object["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
        assert said["query"]["language"] == "lucene"
        assert said["filter"] == []
        return str(said["query"]["query"])

    @cached_property
    def state(self) -> Object:
        found: Object = orjson.loads(self.object["attributes"]["visState"])
        return found


def objects(ndjson: bytes) -> dict[tuple[str, str], Object]:
    """Every saved object, by type and id; each is there once, and its references before it."""
    out: dict[tuple[str, str], Object] = {}
    for line in ndjson.splitlines():
        said = orjson.loads(line)
        assert set(said) == {"type", "id", "attributes", "references", "migrationVersion"}
        for reference in said["references"]:
            assert (reference["type"], reference["id"]) in out, reference
        assert (said["type"], said["id"]) not in out, said["id"]
        out[said["type"], said["id"]] = said
    return out


def panels(ndjson: bytes) -> Iterator[Panel]:
    """Every panel of every dashboard."""
    there = objects(ndjson)
    for (kind, _), dashboard in there.items():
        if kind != "dashboard":
            continue
        referred = {one["name"]: one for one in dashboard["references"]}
        for placed in orjson.loads(dashboard["attributes"]["panelsJSON"]):
            reference = referred.pop(placed["panelRefName"])
            found = there[reference["type"], reference["id"]]
            (index,) = found["references"]
            source = orjson.loads(found["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
            assert source["indexRefName"] == index["name"]
            yield Panel(
                dashboard["attributes"]["title"],
                placed["title"],
                found["type"],
                found,
                there[index["type"], index["id"]],
                found["attributes"].get("columns", ()),
            )
        assert not referred, f"{dashboard['id']} refers to what it does not show"


def body(panel: Panel, since: int, until: int, asked: str = "") -> Object:
    """What is posted to ``_search``.

    Args:
        since, until: the dashboard's period, epoch milliseconds.
        asked: what somebody wrote above the dashboard, in Lucene's language.
    """
    attributes = panel.pattern["attributes"]
    fields = panel.fields.values()
    said: Object = {
        "version": True,
        "size": 0,
        "stored_fields": ["*"],
        "script_fields": {
            one["name"]: {"script": {"source": one["script"], "lang": one["lang"]}}
            for one in fields
            if one["scripted"]
        },
        "docvalue_fields": [
            {"field": one["name"], "format": "date_time"}
            for one in fields
            if one["type"] == "date" and not one["scripted"]
        ],
        "_source": {"excludes": []},
        "query": _query([panel.query, asked], attributes.get("timeFieldName"), since, until),
    }
    if panel.kind == "search":
        (sort,) = panel.object["attributes"]["sort"]
        order = {sort[0]: {"order": sort[1], "unmapped_type": "boolean"}}
        return {**said, "size": _SHOWN, "sort": [order]}
    return {**said, "aggs": aggregations(panel, until - since)}


def _query(said: Sequence[str], time: str | None, since: int, until: int) -> Object:
    must: list[Object] = [
        {"query_string": {"query": one, "analyze_wildcard": True, "time_zone": "UTC"}}
        if one
        else {"match_all": {}}
        for one in said
    ]
    within = {"gte": _iso(since), "lte": _iso(until), "format": "strict_date_optional_time"}
    filters = [{"range": {time: within}}] if time else []
    return {"bool": {"must": must, "filter": filters, "should": [], "must_not": []}}


def _iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def aggregations(panel: Panel, span_ms: int) -> Object:
    """``AggConfigs.toDsl``: buckets inside each other, metrics in the innermost."""
    said = panel.state["aggs"]
    metrics = {one["id"]: one for one in said if one["type"] in METRICS}
    out: Object = {}
    inside = out
    for one in said:
        if one["type"] not in METRICS:
            bucket = _bucket(one, metrics, panel, span_ms)
            inside[one["id"]] = bucket
            inside = bucket.setdefault("aggs", {})
    for one in metrics.values():
        if one["type"] != "count":
            inside[one["id"]] = {one["type"]: _measured(one, panel)}
    return _without_empty(out)


def _without_empty(aggs: Object) -> Object:
    for one in aggs.values():
        if "aggs" in one:
            one["aggs"] = _without_empty(one["aggs"])
            if not one["aggs"]:
                del one["aggs"]
    return aggs


def _on(name: str, panel: Panel) -> Object:
    field = panel.fields[name]
    if not field["scripted"]:
        return {"field": name}
    return {"script": {"source": field["script"], "lang": field["lang"]}}


def _measured(one: Object, panel: Panel) -> Object:
    params = one["params"]
    out = _on(params["field"], panel)
    if one["type"] == "percentiles":
        out |= {"percents": params["percents"], "keyed": False}
    return out


def _bucket(one: Object, metrics: dict[str, Object], panel: Panel, span_ms: int) -> Object:
    params = one["params"]
    if one["type"] == "date_histogram":
        assert params["field"] == panel.time
        said = {**_on(params["field"], panel), "time_zone": "UTC", "min_doc_count": 1}
        return {"date_histogram": said | _interval(params["interval"], span_ms)}
    assert one["type"] == "terms", one["type"]
    by = metrics[params["orderBy"]]
    order = "_count" if by["type"] == "count" else by["id"]
    out = {
        **_on(params["field"], panel), "order": {order: params["order"]}, "size": params["size"],
    }  # fmt: skip
    if params["missingBucket"] and panel.fields[params["field"]]["type"] == "string":
        out["missing"] = "__missing__"
    bucket: Object = {"terms": out}
    if order != "_count":
        bucket["aggs"] = {by["id"]: {by["type"]: _measured(by, panel)}}
    return bucket


def _interval(said: str, span_ms: int) -> Object:
    """`auto` is rounded to what people like to read there; how long it is does not matter here."""
    if said in _CALENDAR:
        return {"calendar_interval": f"1{said}"}
    assert said == "auto"
    return {"fixed_interval": f"{max(1, span_ms // _BARS)}ms"}


def shown(panel: Panel, answer: Object) -> int:
    """How much of an answer a panel shows: rows, or buckets that hold a number."""
    if panel.kind == "search":
        return len(answer["hits"]["hits"])
    said = panel.state["aggs"]
    buckets = [one["id"] for one in said if one["type"] not in METRICS]
    if not buckets:
        return int(answer["hits"]["total"]["value"])
    leaves = [answer.get("aggregations", {})]
    for id_ in buckets:
        leaves = [bucket for leaf in leaves for bucket in leaf[id_]["buckets"]]
    metrics = [one for one in said if one["type"] in METRICS]
    return sum(all(_valued(one, leaf) for one in metrics) for leaf in leaves)


def _valued(one: Object, leaf: Object) -> bool:
    if one["type"] == "count":
        return bool(leaf["doc_count"])
    if one["type"] == "percentiles":
        return all(value["value"] is not None for value in leaf[one["id"]]["values"])
    return leaf[one["id"]]["value"] is not None


def flat(panel: Panel, hit: Object) -> Object:
    """``flattenHit`` of older releases: an array of objects is one value, with no fields in it."""
    out: Object = {}

    def walk(said: Object, above: str) -> None:
        for name, value in said.items():
            path = above + name
            if isinstance(value, dict) and path not in panel.fields:
                walk(value, f"{path}.")
            else:
                out[path] = value

    walk(hit["_source"], "")
    return out | {name: values[0] for name, values in hit.get("fields", {}).items()}
