"""``auditstream events | findings | dead-letters``: what the store holds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from pipeline.cli import stores
from pipeline.cli.present import Column, Row, as_csv, clean, lines, table, when, who
from pipeline.config import load
from pipeline.errors import ArgumentError
from pipeline.query import Query, make
from pipeline.sinks.reading import Reader
from pipeline.sinks.sqlite_schema import DEAD_LETTER_COLUMNS, EVENT_COLUMNS, FINDING_COLUMNS
from schemas.vocabulary import SEVERITY_NAMES

_FORMATS = ("table", "jsonl", "csv")
_NOT_CSV = ("ocsf", "raw", "evidence", "supersedes")


def add(commands: Any) -> None:
    """Add these commands' arguments."""
    for name, help_, run in (
        ("events", "audit events, in order of time", _events),
        ("findings", "what the detectors concluded: the settled view", _findings),
        ("dead-letters", "what could not be read, and why", _dead_letters),
    ):
        p = commands.add_parser(name, help=help_, description=help_.capitalize() + ".")
        p.set_defaults(run=run)
        filters(p)
        if name == "findings":
            p.add_argument("--history", action="store_true", help="every version, not the last")
            p.add_argument("--id", metavar="ID", help="this finding, with what it rests on")
        if name == "events":
            p.add_argument("--raw", action="store_true", help="the records as they were said")


def filters(
    p: argparse.ArgumentParser, formats: Sequence[str] = _FORMATS, without: Sequence[str] = ()
) -> None:
    """Add what every command that answers questions takes, but for options that mean nothing."""
    p.epilog = stores.LOGIN
    p.add_argument("--config", type=Path, metavar="F", help="configuration that names the store")
    p.add_argument("--store", metavar="STORE", help=stores.HELP)
    p.add_argument("--since", metavar="TIME", help="from this time on, UTC unless it has an offset")
    p.add_argument("--until", metavar="TIME", help="before this time")
    p.add_argument("--actor", help="principal (User:alice) or its name; * for anything")
    p.add_argument("--resource", help="name of the resource; * for anything")
    p.add_argument("--ip", help="source address or network (CIDR)")
    if "--source" not in without:
        p.add_argument("--source", help="source that read it")
    if "--class" not in without:
        p.add_argument("--class", dest="class_", metavar="CLASS", help="authentication, 3002, …")
    p.add_argument("--outcome", help="success, failure or unknown")
    if "--text" not in without:
        p.add_argument("--text", help="all these words, in any order")
    p.add_argument("--limit", type=int, metavar="N", help="at most N")
    p.add_argument("--format", choices=formats, default="table")


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[tuple[Reader, Query, int | None]]:
    """The store, the question, and how many answers at most."""
    query = make(
        since=arguments.since, until=arguments.until, actor=arguments.actor,
        resource=arguments.resource, ip=arguments.ip, outcome_=arguments.outcome,
        source=getattr(arguments, "source", None), class_=getattr(arguments, "class_", None),
        text=getattr(arguments, "text", None),
    )  # fmt: skip
    limit = arguments.limit
    if limit is not None and limit < 1:
        raise ArgumentError(f"--limit {limit}: a number from 1 on")
    config = load(arguments.config)
    with stores.reading(stores.named(arguments.store, config), config) as reader:
        yield reader, query, limit if limit is None else min(limit, sys.maxsize - 1)


def _show(
    arguments: argparse.Namespace, rows: Any, columns: list[Column], names: tuple[str, ...]
) -> int:
    if arguments.format == "jsonl":
        lines(_document(row) for row in rows)
    elif arguments.format == "csv":
        as_csv(rows, [n for n in names if n not in _NOT_CSV])
    elif not table(rows, columns):
        print("nothing found")
    return 0


def _document(row: Row) -> bytes:
    if "ocsf" in row:
        return bytes(row["ocsf"])
    raw = row["raw"].decode("utf-8", "backslashreplace")
    return orjson.dumps({**row, "id": row["id"].hex(), "raw": raw})


def _raw(row: Row) -> bytes:
    raw = bytes(row["raw"])
    # A terminal would obey what a client wrote into its name.
    return clean(raw.decode("utf-8", "backslashreplace")).encode() if sys.stdout.isatty() else raw


def _events(arguments: argparse.Namespace) -> int:
    with opened(arguments) as (reader, query, limit):
        rows = reader.events(query, limit)
        if not arguments.raw:
            return _show(arguments, rows, _EVENT_COLUMNS, EVENT_COLUMNS)
        lines(_raw(row) for row in rows)
        return 0


_EVENT_COLUMNS: list[Column] = [
    ("TIME", lambda r: when(r["time"]), 24),
    ("OUTCOME", lambda r: r["outcome"] + ("?" if r["suspect"] else ""), 8),
    ("ACTOR", lambda r: who(r["actor"]), 40),
    ("ADDRESS", lambda r: r["address"] or "-", 39),
    ("OPERATION", lambda r: r["operation"], 24),
    ("RESOURCE", lambda r: f"{r['resource_type']} {r['resource']}".strip() or r["message"], 0),
]


def _findings(arguments: argparse.Namespace) -> int:
    with opened(arguments) as (reader, query, limit):
        if arguments.id is not None:
            if not arguments.id:
                raise ArgumentError("--id is empty; write how an id begins, or leave it out")
            return _named(arguments, reader, query, limit)
        rows = reader.findings(query, arguments.history, limit=limit)
        return _show(arguments, rows, finding_columns(arguments.history), FINDING_COLUMNS)


def _named(arguments: argparse.Namespace, reader: Reader, query: Query, limit: int | None) -> int:
    """Findings by their id, those too that were taken back."""
    named = list(reader.findings(query, history=True, named=arguments.id.lower()))
    found = named if arguments.history else list({row["id"]: row for row in named}.values())
    if arguments.format != "table" or arguments.history:
        columns = finding_columns(arguments.history)
        return _show(arguments, islice(found, limit), columns, FINDING_COLUMNS)
    for row in islice(found, limit):
        _whole(reader, row)
    if not found:
        print("nothing found")
    return 0


def _whole(reader: Reader, row: Row) -> None:
    """Print a finding with what it rests on and what to do."""
    document = orjson.loads(row["ocsf"])
    said = document["auditstream"]
    print(clean(f"{SEVERITY_NAMES[row['severity_id']]}: {document['finding_info']['title']}"))
    print(clean(document["message"]))
    print(f"{row['detector']}, version {row['version']}, {row['status']}, {row['id'].hex()}\n")
    reasons: dict[str, list[str]] = {}
    for violation in said.get("violations", ()):
        for event in violation["evidence"]:
            reasons.setdefault(event, []).append(violation["name"])
    why: Column = ("VIOLATION", lambda r: ", ".join(reasons.get(r["id"].hex(), ())), 48)
    columns = [_EVENT_COLUMNS[0], *([why] if reasons else ()), *_EVENT_COLUMNS[1:]]
    table(reader.by_id(said["evidence"]), columns)
    print(f"\n{document.get('remediation', {}).get('desc', '')}\n")


def finding_columns(history: bool = False) -> list[Column]:
    """Columns of a table of findings."""
    columns: list[Column] = [
        ("FIRST", lambda r: when(r["first_time"]), 24),
        ("LAST", lambda r: when(r["last_time"]), 24),
        ("SEVERITY", lambda r: SEVERITY_NAMES[r["severity_id"]], 13),
        ("DETECTOR", lambda r: r["detector"], 30),
        ("CLUSTER", lambda r: r["cluster"], 20),
        ("KEY", lambda r: r["key"], 60),
        ("COUNT", lambda r: ("≥" if r["lower_bound"] else "") + str(r["count"]), 12),
        ("ID", lambda r: r["id"].hex(), 32),
    ]
    if history:
        columns.append(("VERSION", lambda r: f"{r['version']} {r['status']}", 20))
    return columns


def _dead_letters(arguments: argparse.Namespace) -> int:
    columns: list[Column] = [
        ("CARRIER", lambda r: r["carrier"], 60),
        ("POSITION", lambda r: str(r["position"]), 14),
        ("REASON", lambda r: r["reason"], 16),
        ("SOURCE", lambda r: r["source"], 24),
        ("BYTES", lambda r: str(r["length"]), 12),
        ("WHAT", lambda r: f"{r['detail']}: {r['head']}", 0),
    ]
    with opened(arguments) as (reader, query, limit):
        rows = reader.dead_letters(query, limit)
        return _show(arguments, rows, columns, DEAD_LETTER_COLUMNS)
