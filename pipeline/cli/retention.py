"""``auditstream retention plan | apply``: what has been kept for long enough, and goes."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.cli import stores
from pipeline.cli.present import Column, Row, clean, notice, table, when
from pipeline.config import Config, load
from pipeline.retention.holds import holds
from pipeline.retention.planning import Verdict, planned, reason
from pipeline.retention.records import Who, spelt
from pipeline.retention.stores import Keeper, Withheld
from pipeline.retention.terms import due_at
from schemas.patterns import matches
from schemas.vocabulary import ActorKind

if TYPE_CHECKING:
    from pipeline.retention.holds import Hold

_MANAGED: Final = (
    "OpenSearch's own Index Management knows no holds: `auditstream opensearch plan` says whether "
    "one of its policies deletes events"
)


def add(commands: Any) -> None:
    """Add the command's arguments."""
    said = "what retention removes by its policy, and what holds keep"
    p = commands.add_parser("retention", help=said, description=f"W{said[1:]}.")
    verbs = p.add_subparsers(dest="verb", metavar="VERB", required=True)
    said = "say what is due, what a hold keeps, and what is never removed; removes nothing"
    plan = verbs.add_parser("plan", help=said, description=f"S{said[1:]}.", epilog=stores.LOGIN)
    plan.set_defaults(run=_plan)
    said = "remove what `plan` calls due, and record each removal as an event"
    apply = verbs.add_parser("apply", help=said, description=f"R{said[1:]}.", epilog=stores.LOGIN)
    apply.set_defaults(run=_apply)
    for verb in (plan, apply):
        where(verb)
        verb.add_argument("--json", action="store_true", help="the same for programs")


def where(p: argparse.ArgumentParser) -> None:
    """Add the arguments that say which store is meant."""
    p.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")
    p.add_argument("--store", metavar="STORE", help=stores.HELP)


def keeper(store: str, config: Config, *, read_only: bool = False) -> Keeper:
    """The store, for retention and holds; to be closed.

    Raises:
        AuditstreamError: there is none, or it cannot be used.
    """
    if not stores.is_address(store):
        from pipeline.sinks.sqlite_retention import SqliteRetention

        return SqliteRetention(Path(store), read_only=read_only)
    from pipeline.sinks.opensearch_client import connect
    from pipeline.sinks.opensearch_dropping import OpenSearchRetention

    return OpenSearchRetention(connect(stores.login(store, config)))


def who(store: str, config: Config) -> Who:
    """As whom this command acts: the login of OpenSearch, else the system's user."""
    user = stores.system_user()
    login = stores.login(store, config).username if stores.is_address(store) else ""
    actor = f"OpenSearch:{login}" if login else f"OS:{user}"
    kinds = (rule.kind.value for rule in config.principals if matches(rule.pattern, actor))
    return Who(actor, next(kinds, ActorKind.UNKNOWN.value), user)


def now() -> int:
    """Epoch milliseconds."""
    return int(time.time() * 1000)


def _planned(store: Keeper, kept: Sequence[Hold], config: Config, at: int) -> list[Verdict]:
    return planned(store.units(at), kept, config.retention, at, config.opensearch.undated_days)


# Planning.


def _plan(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    name, at = stores.named(arguments.store, config), now()
    with closing(keeper(name, config, read_only=True)) as store:
        kept = holds(store.own())
        verdicts, standing = _planned(store, kept, config, at), _standing(kept)
    if arguments.json:
        months = [_document(verdict, config) for verdict in verdicts]
        found = {"at": at, "months": months, "keeps": store.keeps}
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return 0
    table(_rows(verdicts, config), _COLUMNS)
    print()
    for said in store.keeps:
        print(f"{said[0].upper()}{said[1:]}.")
    if standing and stores.is_address(name):
        print(f"{_MANAGED}.")
    due = [verdict.unit for verdict in verdicts if verdict.state == "due"]
    events = f"{sum(unit.events for unit in due):,} events of {len(due)} months"
    print(f"\n{events}: auditstream retention apply" if due else "\nNothing is due.")
    return 0


def _standing(several: Sequence[Hold]) -> list[Hold]:
    return [hold for hold in several if hold.released is None]


def _document(verdict: Verdict, config: Config) -> Row:
    unit = verdict.unit
    return {
        "name": unit.name, "class": unit.retention, "month": unit.month, "events": unit.events,
        "first_time": unit.first, "last_time": unit.last, "state": verdict.state,
        "days": verdict.days, "due": due_at(unit.retention, unit.month, config.retention),
        "why": verdict.why, "holds": [hold.id for hold in verdict.holds],
    }  # fmt: skip


def _rows(verdicts: Sequence[Verdict], config: Config) -> Iterator[Row]:
    """A line for each month; of a class those together whose time has not come."""

    def alike(verdict: Verdict) -> tuple[str, object]:
        # None: one of them all.
        apart = verdict.unit.name if verdict.state != "later" or verdict.holds else None
        return verdict.unit.retention, apart

    for _, several in groupby(verdicts, alike):
        group = list(several)
        first, last = group[0].unit, group[-1].unit
        months = first.month if first == last else f"{first.month} – {last.month}"
        events = sum(max(verdict.unit.events, 0) for verdict in group)
        unknown = any(verdict.unit.events < 0 for verdict in group)
        yield {
            "class": first.retention, "months": months, "events": "?" if unknown else f"{events:,}",
            "days": str(group[0].days or "-"), "state": group[0].state,
            "why": _why(group[0], config),
        }  # fmt: skip


def _why(verdict: Verdict, config: Config) -> str:
    parts = [verdict.why] if verdict.why else []
    if verdict.state == "later":
        at = due_at(verdict.unit.retention, verdict.unit.month, config.retention)
        parts += [f"due from {when(at)[:10]} on"] if at is not None else []
        parts += map(reason, verdict.holds)
    return "; ".join(parts) or "-"


_COLUMNS: list[Column] = [
    ("CLASS", lambda r: r["class"], 42),
    ("MONTH", lambda r: r["months"], 17),
    ("EVENTS", lambda r: r["events"], 16),
    ("DAYS", lambda r: r["days"], 6),
    ("STATE", lambda r: r["state"], 6),
    ("WHY", lambda r: r["why"], 0),
]


# Doing.


def _apply(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    name, at = stores.named(arguments.store, config), now()
    by = who(name, config)
    with closing(keeper(name, config)) as store:
        verdicts = _planned(store, holds(store.own()), config, at)
        for said in store.settle(verdicts, by, now):
            notice(said)
        due = [verdict for verdict in verdicts if verdict.state == "due"]
        done = [_remove(store, verdict, by) for verdict in due]
    if arguments.json:
        print(orjson.dumps({"at": at, "by": by.actor, "months": done}).decode())
        return 0
    for row in done:
        print(clean(_told(row)))
    print(f"{sum(row['events'] for row in done):,} events removed." if done else "Nothing is due.")
    return 0


def _remove(store: Keeper, verdict: Verdict, by: Who) -> Row:
    """What was removed of one month."""
    row: Row = {"name": verdict.unit.name, "events": 0, "held": []}
    try:
        for step in store.remove(verdict, by, now):
            row["events"] = step.events
            if step.events < step.of:
                said = f"{step.name}: {step.events:,} of {step.of:,} events removed"
                print(clean(said), file=sys.stderr, flush=True)
    except Withheld as withheld:
        row["held"] = [reason(hold) for hold in withheld.holds]
    return row


def _told(row: Row) -> str:
    if row["held"]:
        said = f", and no more: {'; '.join(row['held'])}" if row["events"] else ""
        return f"{row['name']}: {row['events']:,} events removed{said or ': ' + row['held'][0]}"
    return f"{row['name']}: {row['events']:,} events removed"


def covered(hold: Hold, verdicts: Sequence[Verdict]) -> str:
    """What a hold keeps today, in words."""
    found = [verdict for verdict in verdicts if hold in verdict.holds]
    events = sum(max(verdict.unit.events, 0) for verdict in found)
    if not found:
        return f"Today nothing is there that it keeps ({spelt(hold.period)})."
    due = sum(verdict.state == "held" for verdict in found)
    return f"It keeps {events:,} events. Months: {len(found)}, of which past their days: {due}."
