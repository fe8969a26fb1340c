"""``auditstream hold add | list | release``: what retention must not remove."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import orjson

from pipeline.cli import stores
from pipeline.cli.present import Column, Row, clean, table, tell, when
from pipeline.cli.retention import covered, keeper, now, where, who
from pipeline.config import Config, load
from pipeline.errors import ArgumentError
from pipeline.query import make
from pipeline.retention.holds import Hold, holds, named
from pipeline.retention.planning import planned
from pipeline.retention.records import added, described, released
from pipeline.retention.terms import Period
from pipeline.storage import days_by_class


def add(commands: Any) -> None:
    """Add the command's arguments."""
    said = "what retention must not remove: a legal hold, an investigation"
    p = commands.add_parser("hold", help=said, description=f"W{said[1:]}.")
    verbs = p.add_subparsers(dest="verb", metavar="VERB", required=True)
    said = "keep every event of a period, or of a class in it, until the hold is released"
    verb = verbs.add_parser("add", help=said, description=f"K{said[1:]}.", epilog=stores.LOGIN)
    verb.set_defaults(run=_add)
    verb.add_argument("--reason", required=True, help="a ticket, or a text")
    verb.add_argument("--owner", required=True, help="who answers for it")
    verb.add_argument("--since", metavar="TIME", help="events from this time on; default: all")
    verb.add_argument("--until", metavar="TIME", help="and before this time; default: no end")
    verb.add_argument("--class", dest="class_", metavar="CLASS", help="retention class; or every")
    where(verb)
    said = "holds that stand"
    verb = verbs.add_parser("list", help=said, description=f"{said.capitalize()}.")
    verb.set_defaults(run=_list)
    verb.epilog = stores.LOGIN
    verb.add_argument("--all", action="store_true", help="those too that were released")
    verb.add_argument("--json", action="store_true", help="the same for programs")
    where(verb)
    said = "have retention remove again what is due"
    verb = verbs.add_parser("release", help=said, description=f"{said.capitalize()}.")
    verb.set_defaults(run=_release)
    verb.epilog = stores.LOGIN
    verb.add_argument("id", metavar="ID", help="of the hold, or how it begins")
    verb.add_argument("--reason", required=True, help="a ticket, or a text")
    where(verb)


def _add(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    name, at = stores.named(arguments.store, config), now()
    asked = make(since=arguments.since, until=arguments.until)
    by = who(name, config)
    hold = Hold(
        "", Period(asked.since, asked.until), arguments.class_ or "",
        _text("--reason", arguments.reason), _text("--owner", arguments.owner),
    )  # fmt: skip
    with closing(keeper(name, config)) as store:
        units = store.units(at)
        _must_be_a_class(hold.retention, config, [unit.retention for unit in units])
        event = added(hold, by, at)
        store.write(event)
        (made,) = (one for one in holds(store.own()) if one.id == event.resource)
    rule = config.opensearch.undated_days
    covers = covered(made, planned(units, [made], config.retention, at, rule))
    tell(f"hold {made.id} was added", clean(f"Hold {made.id}: {described(made)}."), covers)
    return 0


def _text(option: str, said: str) -> str:
    try:
        said.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{option} {said!r} is not UTF-8") from None
    if not said.strip():
        raise ArgumentError(f"{option} is empty; whoever finds the hold must know")
    return said.strip()


def _must_be_a_class(name: str, config: Config, there: Sequence[str]) -> None:
    known = sorted({*days_by_class(config.retention), *there})
    if name and name not in known:
        raise ArgumentError(f"--class {name}: no such retention class; there is {', '.join(known)}")


def _list(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    with closing(keeper(stores.named(arguments.store, config), config, read_only=True)) as store:
        found = [hold for hold in holds(store.own()) if arguments.all or hold.released is None]
    if arguments.json:
        print(orjson.dumps([_document(hold) for hold in found]).decode())
    elif not table(map(_document, found), _COLUMNS):
        print("no holds")
    return 0


def _document(hold: Hold) -> Row:
    return {
        "id": hold.id, "since": hold.period.since, "until": hold.period.until,
        "class": hold.retention, "reason": hold.reason, "owner": hold.owner, "added": hold.added,
        "by": hold.by, "released": hold.released,
    }  # fmt: skip


def _date(at: int | None) -> str:
    return "-" if at is None else when(at).removesuffix(" 00:00:00.000Z") or "1970-01-01"


_COLUMNS: list[Column] = [
    ("ID", lambda r: r["id"], 12),
    ("FROM", lambda r: _date(r["since"]), 24),
    ("BEFORE", lambda r: _date(r["until"]), 24),
    ("CLASS", lambda r: r["class"] or "(every)", 42),
    ("OWNER", lambda r: r["owner"], 40),
    ("ADDED", lambda r: when(r["added"])[:10], 10),
    ("BY", lambda r: r["by"], 40),
    ("RELEASED", lambda r: _date(r["released"])[:10], 10),
    ("REASON", lambda r: r["reason"], 0),
]


def _release(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    name, at = stores.named(arguments.store, config), now()
    by, reason = who(name, config), _text("--reason", arguments.reason)
    with closing(keeper(name, config)) as store:
        hold = named(holds(store.own()), arguments.id)
        store.write(released(hold, by, at, reason))
    said = f"Hold {hold.id} is released. {described(hold)} were held: {hold.reason}"
    tell(f"hold {hold.id} was released", clean(said))
    return 0
