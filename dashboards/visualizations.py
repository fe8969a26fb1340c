"""A chart as OpenSearch Dashboards keeps it: ``visState`` of a saved object ``visualization``.

``aggs`` are as ``src/plugins/data/common/search/aggs`` takes them, what a bucket is to a shape
(``schema``) and the parameters as each type's definition has them by default:
``src/plugins/vis_type_vislib/public/{histogram,line,pie}.ts``, ``src/plugins/vis_type_table`` and
``src/plugins/vis_type_metric`` of opensearch-project/OpenSearch-Dashboards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dashboards.panels import Chart, Metric, Shape, Terms, Times
from dashboards.patterns import Pattern
from schemas.vocabulary import SEVERITY_NAMES, Severity

Object = dict[str, Any]

_PERCENTS: Final = (50, 95)


def state(panel: Chart, title: str) -> Object:
    """What a chart counts, and how it is drawn, before it becomes text."""
    return {
        "title": title,
        "type": _TYPES[panel.shape],
        "aggs": [
            *(_metric(number, one) for number, one in enumerate(panel.metrics, start=1)),
            *(
                _bucket(number, one, role, panel.pattern)
                for number, (one, role) in enumerate(
                    zip(panel.buckets, _roles(panel), strict=True), start=len(panel.metrics) + 1
                )
            ),
        ],
        "params": _params(panel),
    }


def colours(panel: Chart) -> Object:
    """``uiState`` of a chart: what is grave is red wherever it is drawn."""
    drawn = panel.shape != "table" and any(
        isinstance(one, Terms) and one.field == "severity" for one in panel.buckets
    )
    return {"vis": {"colors": _SEVERITIES}} if drawn else {}


_SEVERITIES: Final = {
    SEVERITY_NAMES[Severity.INFORMATIONAL]: "#6092C0",
    SEVERITY_NAMES[Severity.LOW]: "#54B399",
    SEVERITY_NAMES[Severity.MEDIUM]: "#D6BF57",
    SEVERITY_NAMES[Severity.HIGH]: "#E7664C",
    SEVERITY_NAMES[Severity.CRITICAL]: "#BD271E",
}


def _metric(number: int, metric: Metric) -> Object:
    params: Object = {"customLabel": metric.label}
    if metric.field:
        params["field"] = metric.field
    if metric.kind == "percentiles":
        params["percents"] = list(_PERCENTS)
    return _aggregation(number, metric.kind, "metric", params)


def _bucket(number: int, bucket: Terms | Times, role: str, pattern: Pattern) -> Object:
    if isinstance(bucket, Times):
        params = {
            "field": pattern.time,
            "interval": bucket.every,
            "useNormalizedOpenSearchInterval": True,
            "scaleMetricValues": False,
            "drop_partials": False,
            "min_doc_count": 1,
            "extended_bounds": {},
        }
        return _aggregation(number, "date_histogram", role, params)
    params = {
        "field": bucket.field,
        "customLabel": bucket.label,
        "size": bucket.size,
        "orderBy": "1",
        "order": "desc",
        "otherBucket": False,
        "otherBucketLabel": "Other",
        "missingBucket": bool(bucket.missing),
        "missingBucketLabel": bucket.missing or "Missing",
    }
    return _aggregation(number, "terms", role, params)


def _aggregation(number: int, kind: str, role: str, params: Object) -> Object:
    return {"id": str(number), "enabled": True, "type": kind, "schema": role, "params": params}


def _roles(panel: Chart) -> list[str]:
    """What each bucket is to the shape: ``schema`` in its visualization's ``editorConfig``."""
    first, others = _ROLES[panel.shape]
    return [first, *[others] * (len(panel.buckets) - 1)][: len(panel.buckets)]


_TYPES: Final[Mapping[Shape, str]] = {
    "metric": "metric", "pie": "pie", "bars": "histogram", "lines": "line", "table": "table",
}  # fmt: skip
_ROLES: Final[Mapping[Shape, tuple[str, str]]] = {
    "metric": ("group", "group"),
    "pie": ("segment", "segment"),
    "bars": ("segment", "group"),
    "lines": ("segment", "group"),
    "table": ("bucket", "bucket"),
}


_MODES: Final = {"histogram": "stacked", "line": "normal"}


def _params(panel: Chart) -> Object:
    if panel.shape == "table":
        return {
            "perPage": 10, "showPartialRows": False, "showMetricsAtAllLevels": False,
            "showTotal": False, "totalFunc": "sum", "percentageCol": "",
        }  # fmt: skip
    if panel.shape == "metric":
        return _METRIC
    drawn: Object = {"addTooltip": True, "addLegend": True, "legendPosition": "right"}
    if panel.shape == "pie":
        labels = {"show": False, "values": True, "last_level": True, "truncate": 100}
        return {"type": "pie", **drawn, "isDonut": True, "labels": labels}
    return {**drawn, **_axes(panel)}


_METRIC: Final[Object] = {
    "addTooltip": True,
    "addLegend": False,
    "type": "metric",
    "metric": {
        "percentageMode": False,
        "useRanges": False,
        "colorSchema": "Green to Red",
        "metricColorMode": "None",
        "colorsRange": [{"from": 0, "to": 10_000}],
        "labels": {"show": True},
        "invertColors": False,
        "style": {
            "bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 60,
        },
    },
}  # fmt: skip


def _axes(panel: Chart) -> Object:
    drawn = _TYPES[panel.shape]
    across = {
        "id": "CategoryAxis-1", "type": "category", "position": "bottom", "show": True,
        "style": {}, "scale": {"type": "linear"}, "title": {},
        "labels": {"show": True, "filter": True, "truncate": 100},
    }  # fmt: skip
    up = {
        "id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": "left",
        "show": True, "style": {}, "scale": {"type": "linear", "mode": "normal"},
        "labels": {"show": True, "rotate": 0, "filter": False, "truncate": 100},
        "title": {"text": panel.metrics[0].label},
    }  # fmt: skip
    return {
        "type": drawn,
        "grid": {"categoryLines": False},
        "categoryAxes": [across],
        "valueAxes": [up],
        "seriesParams": [
            {
                "show": True, "type": drawn, "mode": _MODES[drawn],
                "data": {"label": metric.label, "id": str(number)}, "valueAxis": "ValueAxis-1",
                "drawLinesBetweenPoints": True, "lineWidth": 2, "showCircles": True,
                "interpolate": "linear",
            }
            for number, metric in enumerate(panel.metrics, start=1)
        ],
        "times": [],
        "addTimeMarker": False,
        "labels": {"show": False},
        "thresholdLine": {
            "show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C",
        },
    }  # fmt: skip
