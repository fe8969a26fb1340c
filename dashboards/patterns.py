"""Index patterns: what a panel may search, with the fields that the schemas say are there.

The saved object ``index-pattern`` lists its fields by name, type and what can be done with them
(``IndexPattern`` in OpenSearch Dashboards, ``src/plugins/data/common/index_patterns``). All of it
is derived from :func:`schemas.index_template.mappings`, so that the objects are right before there
is an index, and whoever looks at a dashboard needs no right to ask for mappings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.storage import days_by_class
from schemas import indices
from schemas.avro import Schema, schema
from schemas.index_template import PREFIX, mappings
from schemas.vocabulary import TimePrecision

EVIDENCE: Final = f"{PREFIX}evidence"
"""The dashboard that ids lead to."""

_KINDS: Final = {
    "keyword": "string", "match_only_text": "string", "ip": "ip", "date": "date",
    "integer": "number", "long": "number", "boolean": "boolean",
}  # fmt: skip
"""Type in OpenSearch to that of OpenSearch Dashboards (``castOpenSearchToOsdFieldTypeName``)."""

_PROSE: Final = "match_only_text"
"""The type that is searched, and not counted by."""

_META: Final = ("_id", "_index", "_source", "_score")


@dataclass(frozen=True, slots=True)
class Computed:
    """A field that a script works out of others (``scripted`` in OpenSearch Dashboards).

    Attributes:
        fields: what it reads; a document that lacks one has no value.
        script: Painless, where all of `fields` are there.
        format: id and parameters of the field format it is shown in.
    """

    name: str
    fields: tuple[str, ...]
    script: str
    format: Mapping[str, Any]

    def source(self) -> str:
        """The whole script. It is run for every document that is listed, whatever it has."""
        lacking = " || ".join(f"doc['{name}'].size() == 0" for name in self.fields)
        return f"if ({lacking}) {{ return null; }} {self.script}"


_RECEIVED: Final = "auditstream.carriage.received"
DELAY: Final = Computed(
    "received_after_ms",
    (_RECEIVED, "time", "auditstream.time_precision"),
    f"if (doc['auditstream.time_precision'].value == '{TimePrecision.UNKNOWN}') {{ return null; }} "
    f"return doc['{_RECEIVED}'].value.toInstant().toEpochMilli() "
    "- doc['time'].value.toInstant().toEpochMilli();",
    {
        "id": "duration",
        "params": {
            "inputFormat": "milliseconds", "outputFormat": "asSeconds", "outputPrecision": 1,
        },
    },
)  # fmt: skip
"""Milliseconds from an event to when Kafka was given its record. None where either is not known."""

RETENTION_LEFT: Final = "retention_left_days"


def retention_left(days: Mapping[str, int]) -> Computed:
    """Days until an event's class is kept no longer; below 0: it is overdue. None for what is never
    removed.

    Args:
        days: how long each class is kept. A class that is configured no more goes by the longest.
    """
    kept = ", ".join(f"'{name}': {count}L" for name, count in sorted(days.items()))
    return Computed(
        RETENTION_LEFT,
        ("auditstream.retention", "time"),
        f"if (doc['auditstream.retention'].value == '{indices.OWN}') {{ return null; }} "
        f"long kept = [{kept}].getOrDefault(doc['auditstream.retention'].value, "
        f"{max(days.values())}L); "
        "long age = new Date().getTime() - doc['time'].value.toInstant().toEpochMilli(); "
        f"return kept - age / {indices.DAY_MS}L;",
        {"id": "number", "params": {"pattern": "0,0"}},
    )


@dataclass(frozen=True, slots=True)
class Pattern:
    """An index pattern.

    Attributes:
        name: its id, which stays between releases.
        title: what is searched: the names that roles grant, and no alias. Under the security plugin
            an alias that is not there yet is a forbidden one.
        schema: whose documents they are, of :data:`schemas.avro.NAMES`.
        time: the field that a dashboard's period is about; empty: it is shown whatever the period.
        ids: fields that hold ids of ours. Each is a link to :data:`EVIDENCE`. No other field is:
            names are attackers' text, and a link's address is no place for that.
    """

    name: str
    title: str
    schema: str
    time: str = ""
    ids: tuple[str, ...] = ()


EVENTS: Final = Pattern(
    f"{PREFIX}events", indices.searched(indices.EVENTS), "audit_event", "time", ("metadata.uid",)
)
FINDINGS: Final = Pattern(
    f"{PREFIX}findings",
    indices.searched(indices.FINDINGS),
    "finding",
    "time",
    ("metadata.uid", "auditstream.evidence", "auditstream.supersedes"),
)
CHANGES: Final = Pattern(
    f"{PREFIX}changes",
    indices.searched(indices.CHANGES),
    "change",
    "time",
    ("id", "legs", "supersedes"),
)
DEAD_LETTERS: Final = Pattern(
    f"{PREFIX}dead-letters", indices.searched(indices.DEAD_LETTERS), "dead_letter", "time"
)
ACCOUNTS: Final = Pattern(f"{PREFIX}accounts", indices.searched(indices.ACCOUNTS), "account")
UNDATED_EVENTS: Final = Pattern(
    f"{PREFIX}events-{indices.UNDATED}",
    f"{indices.EVENTS}-*-{indices.UNDATED}",
    "audit_event",
    ids=EVENTS.ids,
)
"""Events that no period shows: nobody can have meant their time."""
UNDATED_LETTERS: Final = Pattern(
    f"{PREFIX}dead-letters-{indices.UNDATED}",
    f"{indices.DEAD_LETTERS}-{indices.UNDATED}",
    "dead_letter",
)

PATTERNS: Final = (
    EVENTS, FINDINGS, CHANGES, DEAD_LETTERS, ACCOUNTS, UNDATED_EVENTS, UNDATED_LETTERS,
)  # fmt: skip

DAYS: Final[Mapping[str, int]] = days_by_class(())


def computed(pattern: Pattern, days: Mapping[str, int] = DAYS) -> tuple[Computed, ...]:
    """The fields of a pattern that scripts work out."""
    return (DELAY, retention_left(days)) if pattern is EVENTS else ()


def field_types(of: Schema) -> dict[str, str]:
    """What a schema's documents are indexed by: path to type in OpenSearch, fields beside a field
    (``src_endpoint.ip.keyword``) included."""
    return dict(_leaves(mappings(of), ""))


def _leaves(mapping: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, said in mapping["properties"].items():
        path = f"{above}{name}"
        if "properties" in said:
            yield from _leaves(said, f"{path}.")
            continue
        yield path, said["type"]
        for beside, more in said.get("fields", {}).items():
            yield f"{path}.{beside}", more["type"]


def fields(pattern: Pattern, days: Mapping[str, int] = DAYS) -> list[dict[str, Any]]:
    """The attribute ``fields``, before it becomes text."""
    types = field_types(schema(pattern.schema))
    out = [_meta(name) for name in _META]
    out += [_field(path, kind, types) for path, kind in sorted(types.items())]
    return out + [_scripted(one) for one in computed(pattern, days)]


def _field(path: str, kind: str, types: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": path,
        "type": _KINDS[kind],
        "esTypes": [kind],
        "count": 0,
        "scripted": False,
        "searchable": True,
        "aggregatable": kind != _PROSE,
        "readFromDocValues": kind != _PROSE,
    }
    parent = path.rpartition(".")[0]
    if parent in types:
        said["subType"] = {"multi": {"parent": parent}}
    return said


def _meta(name: str) -> dict[str, Any]:
    there = name in ("_id", "_index")
    return {
        "name": name,
        "type": {"_source": "_source", "_score": "number"}.get(name, "string"),
        "esTypes": [] if name == "_score" else [name],
        "count": 0,
        "scripted": False,
        "searchable": there,
        "aggregatable": there,
        "readFromDocValues": False,
    }


def _scripted(one: Computed) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": "number",
        "count": 0,
        "scripted": True,
        "script": one.source(),
        "lang": "painless",
        "searchable": True,
        "aggregatable": True,
        "readFromDocValues": False,
    }


def formats(pattern: Pattern, days: Mapping[str, int] = DAYS) -> dict[str, Any]:
    """The attribute ``fieldFormatMap``, before it becomes text."""
    link = {"id": "url", "params": {"urlTemplate": _link(), "labelTemplate": "{{value}}"}}
    return dict.fromkeys(pattern.ids, link) | {
        one.name: dict(one.format) for one in computed(pattern, days)
    }


def _link() -> str:
    """Where an id leads: the dashboard of evidence, asked for that id, over all times.

    ``..`` at the beginning is what holds under any base path (``UrlFormat.htmlConvert``,
    ``src/plugins/data/common/field_formats/converters/url.ts``). State in the address goes before
    what is saved (``createDashboardGlobalAndAppState``, ``src/plugins/dashboard``).
    """
    every = "_g=(time:(from:'now-100y',to:'now%2B1y'))"
    query = f"_a=(query:(language:lucene,query:'{about('{{value}}').replace(' ', '%20')}'))"
    return f"../app/dashboards#/view/{EVIDENCE}?{every}&{query}"


def about(name: str) -> str:
    """A Lucene query for all that names an id, in whichever kind of document it does."""
    where = dict.fromkeys(name for pattern in (EVENTS, FINDINGS, CHANGES) for name in pattern.ids)
    return " OR ".join(f"{path}:{name}" for path in where)
