"""``auditstream changes | timeline``: who changed what, and what happened around it."""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson

from detectors.grants import grants
from pipeline.changes.join import joined
from pipeline.cli import story
from pipeline.cli.present import Column, Row, lines, short, table, when, who
from pipeline.cli.show import filters, opened
from pipeline.query import Query
from pipeline.sinks.reading import Reader
from schemas.changes import Change
from schemas.networks import within
from schemas.patterns import matches

_WIDEST_CARRIER = 50
_VALUES = ("config", "quota", "feature", "offset")
"""Kinds whose before and after are one value: shown with its name."""


def add(commands: Any) -> None:
    """Add these commands' arguments."""
    for name, help_, run in (
        ("changes", "administrative changes: who, what, before and after", _changes),
        ("timeline", "what happened, as a story: changes, findings, other events", _timeline),
    ):
        p = commands.add_parser(name, help=help_, description=help_.capitalize() + ".")
        p.set_defaults(run=run)
        filters(p, ("table", "jsonl"), ("--source", "--class", "--text"))
        p.add_argument("--change", metavar="ID", help="this change and its legs")
        if name == "timeline":
            said = "every event on a line of its own, and no findings"
            p.add_argument("--each", action="store_true", help=said)


def all_changes(reader: Reader) -> list[Change]:
    """Every change the store's events tell of, in order of (time, id)."""
    return sorted((c for _, found in joined(reader.legs()) for c in found), key=_order)


def document(change: Change) -> Row:
    """A change as JSON says it."""
    deed = change.deed
    named = deed.kind in _VALUES and bool(deed.item)

    def value(said: Any) -> Any:
        return {deed.item: said} if named and said is not None else said

    return {
        "id": change.id,
        "time": change.time,
        "cluster": change.cluster,
        "actor": change.actor or "Unknown",
        "address": change.address,
        "action": f"{deed.kind}.{deed.action}",
        "target": deed.target,
        "item": deed.item,
        "before": value(deed.before),
        "after": value(deed.after),
        "outcome": change.outcome,
        "confidence": change.confidence,
        "missing": change.missing,
        "exact_time": change.timely,
        "legs": [leg.id for leg in change.legs],
    }


def _order(change: Change) -> tuple[int, str]:
    return change.time, change.id


def _changes(arguments: argparse.Namespace) -> int:
    with opened(arguments) as (reader, query, limit):
        found = list(islice(_wanted(all_changes(reader), query, arguments.change), limit))
        if arguments.format == "jsonl":
            lines(orjson.dumps(document(change)) for change in found)
        elif not table(map(document, found), _COLUMNS):
            print("nothing found")
        if arguments.change and arguments.format == "table":
            _print_legs(reader, found)
    return 0


def _print_legs(reader: Reader, found: Iterable[Change]) -> None:
    for change in found:
        print()
        names = {leg.id: leg.leg for leg in change.legs}
        rows = [row | {"leg": names[row["id"].hex()]} for row in reader.by_id(list(names))]
        table(rows, _LEG_COLUMNS)


def _timeline(arguments: argparse.Namespace) -> int:
    with opened(arguments) as (reader, query, limit):
        merged = _merged(arguments, reader, query)
        whole = not (arguments.each or arguments.change)
        if whole:
            found = ((row["first_time"], "", row) for row in reader.findings(query))
            merged = heapq.merge(found, merged, key=lambda e: e[:2])
        if arguments.format == "jsonl":
            entries = islice((row for _, _, row in merged), limit)
            lines(bytes(e["ocsf"]) if "ocsf" in e else orjson.dumps(e) for e in entries)
            return 0
        shown: Iterator[Row] = (_entry(row) for _, _, row in merged)
        columns = _ENTRY_COLUMNS
        if whole:
            shown, columns = story.told(merged, _entry), _STORY_COLUMNS
        if not table(islice(shown, limit), columns):
            print("nothing found")
    return 0


def _merged(arguments: argparse.Namespace, reader: Reader, query: Query) -> Iterator[story.Entry]:
    """Changes, and events that are told of by none, in order of (time, id)."""
    wanted = list(_wanted(all_changes(reader), query, arguments.change))
    changes: Iterator[story.Entry] = ((c.time, c.id, document(c)) for c in wanted)
    # A leg within what is asked for, of a change that is not, is told of by nothing else.
    told = dict.fromkeys(leg.id for change in wanted for leg in change.legs)
    if arguments.change:
        rows: Iterable[Row] = reader.by_id(list(told))
    else:
        rows = (row for row in reader.events(query) if row["id"].hex() not in told)
    events = ((row["time"], row["id"].hex(), row) for row in rows)
    return heapq.merge(changes, events, key=lambda e: e[:2])


def _entry(row: Row) -> Row:
    """A change, a finding or an event as a line of the timeline."""
    if "detector" in row:
        return story.finding(row)
    if "ocsf" not in row:
        return {
            "when": _when(row),
            "what": row["action"],
            "actor": row["actor"],
            "address": row["address"],
            "outcome": row["outcome"],
            "said": f"{row['target']} {row['item']}".strip() + f": {_difference(row)}",
        }
    exact = row["time_precision"] == "exact"
    return {
        "when": ("" if exact else "~") + when(row["time"]),
        "what": row["leg"] or row["source"],
        "actor": row["actor"],
        "address": row["address"],
        "outcome": row["outcome"] + ("?" if row["suspect"] else ""),
        "said": row["message"],
    }


def _wanted(changes: Iterable[Change], query: Query, id_: str | None) -> Iterator[Change]:
    for change in changes:
        if id_ is not None:
            if change.id.startswith(id_.lower()):
                yield change
        elif _fits(change, query):
            yield change


def _fits(change: Change, query: Query) -> bool:
    actor, target = change.actor or "Unknown", change.deed.target
    return (
        (query.since is None or change.time >= query.since)
        and (query.until is None or change.time < query.until)
        and (query.actor is None or _like(query.actor, actor, actor.partition(":")[2]))
        and (query.resource is None or _like(query.resource, target, target.partition(":")[2]))
        and (query.address is None or within(change.address, query.address))
        and (query.outcome is None or change.outcome == query.outcome)
    )


def _like(wanted: str, *names: str) -> bool:
    if "*" not in wanted:
        return wanted in names
    return any(matches(wanted, name) for name in names)


def _when(row: Row) -> str:
    return ("" if row["exact_time"] else "≤ ") + when(row["time"])


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict) and isinstance(value.get("grants"), list):
        return "; ".join(map(str, grants(value) or ())) or "no grants"
    if isinstance(value, dict):
        return " ".join(f"{k}={_short(v)}" for k, v in value.items() if v not in ({}, None)) or "–"
    return str(value) if isinstance(value, str) else orjson.dumps(value).decode()


def _end(text: str) -> str:
    """A path's end tells more than its beginning."""
    return text if len(text) <= _WIDEST_CARRIER else "…" + text[1 - _WIDEST_CARRIER :]


def _difference(row: Row) -> str:
    return f"{_short(row['before'])} → {_short(row['after'])}"


def _sure(row: Row) -> str:
    missing = ", ".join(row["missing"])
    return f"{row['confidence']} (no {missing})" if missing else str(row["confidence"])


_COLUMNS: list[Column] = [
    ("TIME", _when, 26),
    ("ACTOR", lambda r: who(r["actor"]), 40),
    ("ADDRESS", lambda r: r["address"] or "-", 39),
    ("ACTION", lambda r: r["action"], 26),
    ("TARGET", lambda r: r["target"], 40),
    ("BEFORE → AFTER", _difference, 60),
    ("OUTCOME", lambda r: r["outcome"], 8),
    ("CONFIDENCE", _sure, 44),
    ("ID", lambda r: r["id"][:12], 12),
]
_LEG_COLUMNS: list[Column] = [
    ("TIME", lambda r: when(r["time"]), 24),
    ("LEG", lambda r: r["leg"], 10),
    ("CARRIER", lambda r: _end(r["carrier"]), _WIDEST_CARRIER),
    ("POSITION", lambda r: str(r["position"]), 12),
    ("SAYS", lambda r: r["message"], 0),
]
_ENTRY_COLUMNS: list[Column] = [
    ("TIME", lambda r: r["when"], 26),
    ("WHAT", lambda r: r["what"], 22),
    ("ACTOR", lambda r: who(r["actor"]), 40),
    ("ADDRESS", lambda r: r["address"] or "-", 39),
    ("OUTCOME", lambda r: r["outcome"], 8),
    ("SAYS", lambda r: r["said"], 0),
]
_STORY_COLUMNS: list[Column] = [
    ("TIME", lambda r: r["when"].partition(".")[0], 21),
    ("WHAT", lambda r: r["what"], 16),
    ("WHO", lambda r: f"{short(r['actor'])} {r['address']}".strip() or "-", 38),
    ("OUTCOME", lambda r: r["outcome"], 8),
    ("N", lambda r: str(r["count"]) if r.get("count", 1) > 1 else "", 4),
    ("SAYS", lambda r: r["said"], 0),
]
