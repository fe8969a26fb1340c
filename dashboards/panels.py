"""The words that dashboards are described in.

A saved object is JSON in strings of JSON: nobody can review that, and a diff of it says nothing. So
each panel is described in these few words (:mod:`dashboards.soc` and its neighbours), types are
checked, and :mod:`dashboards.saved_objects` derives what OpenSearch Dashboards imports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from dashboards.patterns import Pattern

ANY: Final = "*"
"""In the place of a value: the field is there, whatever it says."""

Value = str | int | bool | tuple[str | int, ...]
Where = Mapping[str, Value]
"""What each field has to be, all of them; of several values one."""

Measure = Literal["count", "sum", "min", "max", "cardinality", "percentiles"]
Shape = Literal["metric", "pie", "bars", "lines", "table"]

COLUMNS: Final = 48
"""Width of a dashboard: ``DASHBOARD_GRID_COLUMN_COUNT`` of OpenSearch Dashboards."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number per bucket, under a heading; ``count`` alone has no field."""

    kind: Measure
    label: str
    field: str = ""


TIMES: Final = Metric("sum", "Times", "auditstream.weight")
"""Some sources say of several deeds in one record."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A bucket for each of the values of a field that weigh most by the panel's first metric.

    ``missing`` names the bucket of documents without the field, which else are left out of the
    panel. OpenSearch Dashboards has it for keywords alone.
    """

    field: str
    label: str
    size: int = 10
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Times:
    """A bucket for each span of the pattern's time: as long as fits the width, or a day (UTC or the
    browser's zone, by the setting ``dateFormat:tz``)."""

    every: Literal["auto", "d"] = "auto"


@dataclass(frozen=True, slots=True)
class Chart:
    """What is counted of documents, drawn.

    Attributes:
        name: part of its id, which stays between releases: links and copies go by it.
        says: one sentence, which is shown where the pointer rests.
        buckets: outermost first; of bars and lines the first is the horizontal axis.
    """

    name: str
    title: str
    says: str
    pattern: Pattern
    shape: Shape
    metrics: tuple[Metric, ...]
    buckets: tuple[Terms | Times, ...] = ()
    where: Where = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """Documents themselves, newest first, each of which opens: a saved search.

    Columns are fields that stand in no array of objects: older releases show those empty.
    """

    name: str
    title: str
    says: str
    pattern: Pattern
    columns: tuple[str, ...]
    where: Where = field(default_factory=dict)


Panel = Chart | Listing


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, of one height (a unit is 20 pixels) and of equal width."""

    height: int
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Rows of panels, over a period that ends now.

    Attributes:
        since: where the period begins, as OpenSearch date mathematics: ``now-24h``.
        refresh_s: seconds after which it is drawn anew; 0: never by itself.
    """

    name: str
    title: str
    says: str
    since: str
    refresh_s: int
    rows: tuple[Row, ...]

    def panels(self) -> Iterator[Panel]:
        """Its panels, from the upper left."""
        for row in self.rows:
            yield from row.panels
