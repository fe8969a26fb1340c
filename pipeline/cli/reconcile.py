"""``auditstream reconcile``: whether all that the stream took in is where it should be."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.cli.present import Column, Row, clean, table, when
from pipeline.config import load
from pipeline.query import make
from schemas.indices import DAY_MS

if TYPE_CHECKING:
    from pipeline.runtimes.kafka.chains import Chain
    from pipeline.runtimes.kafka.comparing import Difference
    from pipeline.runtimes.kafka.reconciling import Report

_LISTED: Final = 20
"""Of each sort of difference, in a table."""
_EVERY_S: Final = 2.0
_DIFFERENT: Final = 1

_DESCRIPTION = (
    "Compare accounts, topics and OpenSearch, per source and day, and name what is missing or "
    "surplus. Nothing is written. What is not indexed yet, and what the topics hold no more, is "
    "said and is no difference."
)
_EPILOG = (
    "Exit status 0: nothing is missing and nothing surplus. 1: there are differences, or servers "
    "could not be asked, which standard error then says."
)


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "reconcile",
        help="hold accounts, topics and OpenSearch against each other",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    p.set_defaults(run=_run)
    p.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")
    p.add_argument(
        "--since", metavar="TIME",
        help="what is of this time on, UTC unless it has an offset; sums are compared whole",
    )  # fmt: skip
    p.add_argument("--until", metavar="TIME", help="and before this time")
    p.add_argument(
        "--format", choices=("table", "jsonl"), default="table",
        help=f"table lists {_LISTED} differences of a sort, jsonl all",
    )  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from pipeline.runtimes.kafka.comparing import Period
    from pipeline.runtimes.kafka.reconciling import reconcile

    asked = make(since=arguments.since, until=arguments.until)
    period = Period(
        -math.inf if asked.since is None else asked.since,
        math.inf if asked.until is None else asked.until,
    )
    shown: _Lines | _Tables = _Lines() if arguments.format == "jsonl" else _Tables()
    progress = _Progress()
    report = reconcile(load(arguments.config), period, shown.differ, progress)
    progress.end()
    shown.end(report)
    return _DIFFERENT if report.differences else 0


class _Progress:
    """How far the reading has come: a line that moves, or one now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()
        self._moving = sys.stderr.isatty()
        self._open = False

    def __call__(self, what: str, read: int, there: int) -> None:
        now = time.monotonic()
        if now - self._told < (_EVERY_S / 10 if self._moving else _EVERY_S):
            return
        self._told = now
        line = f"{clean(what)}: {read:,} of {there:,}"
        if self._moving:
            print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Leave the line."""
        if self._open:
            print(file=sys.stderr)


# For programs.


class _Lines:
    """One JSON document a line; differences as they are found, then all else."""

    def differ(self, difference: Difference) -> None:
        """Print a difference."""
        said = difference._asdict()
        said["index"] = said.pop("home")
        self._print("difference", **said)

    def end(self, report: Report) -> None:
        """Print what was compared."""
        for chain in report.chains:
            self._print("partition", **_partition(chain))
        for one in report.sums:
            self._print("sum", **one._asdict(), duplicates=one.duplicates)
        for held in report.topics:
            since = None if held.since == -math.inf else held.since
            self._print("topic", **{**held._asdict(), "since": since})
        for row in _days(report):
            self._print("day", **row)
        for remark in report.remarks:
            self._print("remark", text=remark)
        by = {f"{kind} {what}": n for (what, kind), n in sorted(report.differences.items())}
        self._print("result", clean=not by, differences=report.differences.total(), by=by)

    def _print(self, sort: str, /, **said: Any) -> None:
        print(orjson.dumps({"type": sort, **said}).decode())


def _partition(chain: Chain) -> Row:
    return {
        "topic": chain.topic, "partition": chain.partition, "start": chain.start,
        "end": chain.end, "accounts": chain.accounts, "superseded": chain.superseded,
        "records": chain.records, "redelivered": chain.redelivered, "lost": chain.lost,
        "items": chain.items, "events": chain.events, "filtered": chain.filtered,
        "dead_letters": chain.dead_letters, "missing": chain.missing, "again": chain.again,
        "unread": chain.unread,
    }  # fmt: skip


def _days(report: Report) -> Iterator[Row]:
    """Counts by kind, source and day."""
    from pipeline.runtimes.kafka.comparing import FIELDS

    for kind, days in report.days.items():
        for (source, day), counts in sorted(days.items(), key=_by_day):
            said = "undated" if day is None else when(day * DAY_MS)[:10]
            row = {"kind": kind, "source": source, "day": said or "1970-01-01"}
            yield row | {name: counts[name] for name in FIELDS}


def _by_day(item: tuple[tuple[str, int | None], Counter[str]]) -> tuple[str, float]:
    (source, day), _ = item
    return source, math.inf if day is None else day


# For people.


class _Tables:
    """Tables, in the end."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[Difference]] = defaultdict(list)

    def differ(self, difference: Difference) -> None:
        """Take a difference."""
        several = self._found[difference.what, difference.kind]
        if len(several) < _LISTED:
            several.append(difference)

    def end(self, report: Report) -> None:
        """Print what was compared."""
        self._table("Raw partitions", filter(_busy, map(_partition, report.chains)), _PARTITIONS)
        sums = ({**one._asdict(), "duplicates": one.duplicates} for one in report.sums)
        self._table("What accounts count, and what topics hold", sums, _SUMS)
        self._table("Topics", (held._asdict() for held in report.topics), _TOPICS)
        self._table("Topics and OpenSearch", _days(report), _DAYS)
        found = (one._asdict() for several in self._found.values() for one in several)
        self._table("Differences", found, _DIFFERENCES)
        for (what, kind), number in report.differences.items():
            if number > _LISTED:
                print(f"… {number - _LISTED:,} more of {kind} {what}: --format jsonl lists all")
        for remark in report.remarks:
            print(clean(remark))
        if report.differences:
            said = [f"{n:,} {kind} {what}" for (what, kind), n in report.differences.items()]
            print(f"{report.differences.total():,} differences: {', '.join(said)}.")
        else:
            print("Nothing is missing and nothing is surplus.")

    def _table(self, heading: str, rows: Iterator[Row], columns: list[Column]) -> None:
        several = list(rows)
        if several:
            print(heading)
            table(several, columns)
            print()


def _busy(row: Row) -> bool:
    return bool(row["accounts"] or row["unread"] or row["missing"])


def _number(name: str, heading: str, most: int = 16) -> Column:
    def cell(row: Row) -> str:
        said = row[name]
        total = sum(said.values()) if isinstance(said, Counter) else said
        return f"{total:,}" if total else "-"

    return heading, cell, most


def _since(row: Row) -> str:
    return "all" if row["since"] == -math.inf else when(row["since"])


_PARTITIONS: list[Column] = [
    ("PARTITION", lambda r: f"{r['topic']}[{r['partition']}]", 60),
    ("FROM", lambda r: f"{r['start']:,}", 14),
    ("UP TO", lambda r: f"{r['end']:,}", 14),
    _number("accounts", "ACCOUNTS"),
    _number("records", "RECORDS"),
    _number("redelivered", "AGAIN"),
    _number("items", "ITEMS"),
    _number("events", "EVENTS"),
    _number("filtered", "FILTERED"),
    _number("dead_letters", "DEAD LETTERS"),
    _number("lost", "LOST"),
    _number("missing", "NO ACCOUNT"),
    _number("unread", "NOT READ YET"),
]
_SUMS: list[Column] = [
    ("WHAT", lambda r: r["name"], 40),
    _number("most", "ACCOUNTS"),
    _number("rows", "TOPIC"),
    _number("ids", "DIFFERENT IDS"),
    _number("duplicates", "DUPLICATES"),
    ("REMARK", lambda r: "; ".join(filter(None, (r["fault"], r["remark"]))) or "-", 0),
]
_TOPICS: list[Column] = [
    ("TOPIC", lambda r: r["topic"], 60),
    _number("rows", "ROWS"),
    ("HOLDS WHOLE FROM", _since, 24),
    _number("behind", "NOT INDEXED YET"),
    _number("unreadable", "UNREADABLE"),
]
_DAYS: list[Column] = [
    ("KIND", lambda r: r["kind"], 24),
    ("SOURCE", lambda r: r["source"] or "-", 40),
    ("DAY (UTC)", lambda r: r["day"], 12),
    _number("topic", "TOPIC"),
    _number("index", "INDEX"),
    _number("missing", "MISSING"),
    _number("surplus", "SURPLUS"),
    _number("twice", "TWICE"),
    _number("elsewhere", "ELSEWHERE"),
    _number("differs", "DIFFERS"),
    _number("waiting", "NOT YET"),
    _number("refused", "REFUSED"),
    _number("older", "TOPIC HAS NOT"),
    _number("dropped", "EXPIRED"),
]
_DIFFERENCES: list[Column] = [
    ("WHAT", lambda r: r["what"], 12),
    ("KIND", lambda r: r["kind"], 24),
    ("ID", lambda r: r["id"] or "-", 80),
    ("TIME", lambda r: when(r["time"] or 0) or "-", 24),
    ("SOURCE", lambda r: r["source"] or "-", 40),
    ("INDEX", lambda r: r["home"] or "-", 80),
    ("PLACE, OR WHY", lambda r: " ".join(filter(None, (r["place"], r["why"]))) or "-", 0),
]
