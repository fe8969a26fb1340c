"""OpenSearch index templates, derived from the Avro schemas: no field is written here by hand.

============================  ==============================  ====================================
template, and what finds all  indices                         hold
============================  ==============================  ====================================
``auditstream-events``        ``audit-<class>-<yyyy.mm>``     events of a retention class and month
\\                            ``audit-<class>-undated``       those whose time nobody can have meant
``auditstream-findings``      ``auditstream-findings-…``      the last version of every finding
``auditstream-versions``      ``auditstream-versions-…``      every version of every finding
``auditstream-changes``       the same                        the last version of every change
``auditstream-dead-letters``  ``auditstream-dead-letters-…``  what could not be read
``auditstream-accounts``      the same                        where every item of a raw topic went
============================  ==============================  ====================================

Retention drops whole indices; the id's time prefix names the index, so a rerun finds the same one.
What is no event stays out of ``audit-*``: whoever searches that counts events only, and no
retention class can take such a name. Where a kind has several indices, the template's name is an
alias of them all; where it has one, that is the index's name.

Every object is closed (``dynamic: false``): what no schema names is kept in ``_source`` and not
indexed, or a vendor's or a client's text would make fields without end. No text and no number makes
a document fail: what is no address, number or time is skipped for that field alone (an address
stays findable as ``ip.keyword``), and a keyword over 8,191 characters, which could exceed the
32,766 bytes that Lucene takes as one term, is stored without being indexed. What does, no mapping
can help: an object in the place of a text, a text in that of an object, anything but a truth value
in that of one.

Full text is all tokens ``[a-z0-9]+`` of ``text.lower()``, as the embedded store has it; ``words``
holds the tokens of every column that says so. Two characters outside ASCII have ASCII in their
lower case, the Kelvin sign (k) and the dotted capital I (i, then a combining dot, which ends the
token): a mapping replaces both first, then a pattern splits and ``lowercase`` has only A to Z left
to do, so that no difference between Java's and Python's case tables matters. Tokens over 32,766
bytes are cut, in what is searched and in what is searched for. Which documents hold a word is
indexed, and not where or how often: nothing is ranked, and a phrase is looked up in the documents
themselves.

The form is that of ``PUT _index_template/NAME`` of OpenSearch 2.12 and later.
"""

from __future__ import annotations

from typing import Any, Final

from schemas import indices
from schemas.avro import Column, Schema, schema

_KEYWORD: Final = {"type": "keyword", "ignore_above": 8191}
_WORDS: Final = {"type": "match_only_text", "analyzer": "words"}

TYPES: Final[dict[str, dict[str, Any]]] = {
    "keyword": _KEYWORD,
    "text": _WORDS,
    "ip": {"type": "ip", "ignore_malformed": True, "fields": {"keyword": _KEYWORD}},
    # Epoch first: the other format takes four digits, and so the first seconds of 1970, for a year.
    "date": {
        "type": "date",
        "format": "epoch_millis||strict_date_optional_time",
        "ignore_malformed": True,
    },
    "integer": {"type": "integer", "ignore_malformed": True},
    "long": {"type": "long", "ignore_malformed": True},
    "boolean": {"type": "boolean"},
}
"""What ``index`` in a schema may say, and the mapping it stands for."""

ANALYSIS: Final[dict[str, Any]] = {
    "char_filter": {
        "ascii_lower_case": {
            "type": "mapping",
            "mappings": ["\\u212A => k", "\\u0130 => i\\u0307"],
        }
    },
    "tokenizer": {"words": {"type": "simple_pattern", "pattern": "[A-Za-z0-9]+"}},
    "filter": {"one_term": {"type": "truncate", "length": 32766}},
    "analyzer": {
        "words": {
            "type": "custom",
            "char_filter": ["ascii_lower_case"],
            "tokenizer": "words",
            "filter": ["lowercase", "one_term"],
        }
    },
}
"""``settings.analysis``: the analyser ``words``."""

_KINDS: Final = {
    "events": ("audit_event", indices.EVENTS),
    "findings": ("finding", indices.FINDINGS),
    "versions": ("finding", indices.VERSIONS),
    "changes": ("change", indices.CHANGES),
    "dead-letters": ("dead_letter", indices.DEAD_LETTERS),
    "accounts": ("account", indices.ACCOUNTS),
}
PREFIX: Final = "auditstream-"
PRIORITY: Final = 100


def templates(shards: int = 1, replicas: int | None = None) -> dict[str, dict[str, Any]]:
    """Every index template by name: the body that OpenSearch takes, as JSON types.

    Args:
        shards: primary shards of each index of events; the others are small, and have one.
        replicas: copies of each shard beside the first; None: what the cluster's default is.
    """
    return {
        f"{PREFIX}{kind}": _template(
            f"{PREFIX}{kind}", schema(avro), indices.searched(name),
            shards if name == indices.EVENTS else 1, replicas,
        )
        for kind, (avro, name) in _KINDS.items()
    }  # fmt: skip


def _template(
    name: str, of: Schema, pattern: str, shards: int, replicas: int | None
) -> dict[str, Any]:
    settings: dict[str, Any] = {"analysis": ANALYSIS, "number_of_shards": shards}
    if replicas is not None:
        settings["number_of_replicas"] = replicas
    return {
        "index_patterns": [pattern],
        "priority": PRIORITY,
        "template": {
            "settings": {"index": settings},
            "mappings": mappings(of),
            "aliases": {} if pattern == name else {name: {}},
        },
        "_meta": {"schema": of.name, "description": of.doc},
    }


def mappings(of: Schema) -> dict[str, Any]:
    """The mappings of a schema's JSON, closed at every level.

    Raises:
        ValueError: a path is stated twice, or is both a field and an object.
        KeyError: ``index`` is none of :data:`TYPES`.
    """
    root = _closed()
    columns = [column for column in (*of.columns, *of.beside) if column.index]
    for column in columns:
        for path in column_paths(column):
            _place(root, column, path)
    if any(column.words for column in columns):
        root["properties"]["words"] = _WORDS
    return root


def column_paths(column: Column) -> tuple[str, ...]:
    """Where the JSON states a column: its path, then where classes without that one do."""
    return (column.path, *column.instead.values())


def _closed() -> dict[str, Any]:
    return {"dynamic": False, "properties": {}}


def _place(root: dict[str, Any], column: Column, path: str) -> None:
    *objects, leaf = path.split(".")
    for name in objects:
        root = root["properties"].setdefault(name, _closed())
        if "properties" not in root:
            raise ValueError(f"{path}: {name} is a field and cannot hold others")
    if leaf in root["properties"]:
        raise ValueError(f"{path} is stated twice")
    root["properties"][leaf] = dict(TYPES[column.index])
    if column.words:
        root["properties"][leaf]["copy_to"] = "words"
