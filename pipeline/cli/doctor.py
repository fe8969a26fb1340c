"""``auditstream doctor``: what is wrong here, what each input cannot show, and what to do."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.batch import Stream
from pipeline.cli.present import clean
from pipeline.cli.run import inputs_of
from pipeline.cli.stores import HELP, is_address, named, reading
from pipeline.collectors.files import LineReader, discover, open_stream
from pipeline.config import Config, Input, load
from pipeline.engine import Plan, ingest
from pipeline.errors import AuditstreamError
from pipeline.query import Query
from pipeline.sinks.sqlite_query import SqliteReader

_LOOKED_AT_BYTES = 4 * 1024 * 1024
_MOST_NAMES = 10
_PACKAGES = ("pipeline", "schemas", "detectors", "dashboards")


class Check(NamedTuple):
    """One look. ``level``: ok, note (something cannot be seen) or bad."""

    level: str
    what: str
    advice: str = ""


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "doctor",
        help="what is wrong here, what each input's levels cannot show, and what to do",
        description="What is wrong here, what each input's levels cannot show, and what to do.",
    )
    p.set_defaults(run=_run)
    p.add_argument("--config", type=Path, metavar="F")
    p.add_argument("--input", action="append", default=[], metavar="SOURCE=PATH")
    p.add_argument("--store", metavar="STORE", help=HELP)


def _run(arguments: argparse.Namespace) -> int:
    checks = [*_installation()]
    config = Config()
    try:
        config = load(arguments.config)
        config.plan()
        checks.append(Check("ok", f"configuration {arguments.config or '(defaults)'}"))
    except AuditstreamError as error:
        checks.append(Check("bad", "configuration", str(error)))
    store = named(arguments.store, config)
    checks += _index(store, config) if is_address(store) else _store(Path(store), arguments.store)
    if config.principals and checks[-1].level == "ok":
        checks += _strangers(store, config)
    inputs = inputs_of(arguments.input, config)
    if not inputs:
        checks.append(Check("note", "no inputs", "name them with --input or in the configuration"))
    for given in inputs:
        if given.topic:
            checks.append(Check("note", f"input {given.path}", "topics are not looked into here"))
            continue
        checks += _input(config.plan(), given)
    for check in checks:
        print(f"{check.level:<5}{clean(check.what)}")
        if check.advice:
            print("     " + "\n     ".join(map(clean, check.advice.split("\n"))))
    return 1 if any(c.level == "bad" for c in checks) else 0


def _installation() -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    checks = [Check("ok", f"Python {version}")]
    foreign = sorted(
        {
            f"{d.metadata['Name']} {d.version}"
            for d in distributions()
            if d.metadata["Name"] != "auditstream"
            and any(f.parts and f.parts[0] in _PACKAGES for f in (d.files or ()))
        }
    )
    if foreign:
        advice = "install auditstream alone: its own venv, pipx or container"
        checks.append(Check("bad", f"{', '.join(foreign)} install packages of our names", advice))
    return checks


def _index(store: str, config: Config) -> list[Check]:
    """Whether OpenSearch can be read."""
    try:
        with reading(store, config) as reader:
            some = any(reader.events(Query(), limit=1))
    except AuditstreamError as error:
        return [Check("bad", f"store {store}", str(error))]
    return [Check("ok", f"store {store}: {'it holds events' if some else 'no events yet'}")]


def _store(path: Path, required: object) -> list[Check]:
    if not path.exists() and not required:
        return [Check("ok", f"store {path}: not there yet; `auditstream run` makes it")]
    try:
        reader = SqliteReader(path)
        sound = reader.one("PRAGMA quick_check(1)") == "ok"
        events = reader.one("SELECT count(*) FROM events")
        reader.close()
    except AuditstreamError as error:
        return [Check("bad", f"store {path}", str(error))]
    if not sound:
        advice = "restore it, or read the logs into a new one"
        return [Check("bad", f"store {path} is damaged", advice)]
    return [Check("ok", f"store {path}: {events:,} events")]


def _strangers(store: str, config: Config) -> list[Check]:
    """Principals that no entry of the configuration covers."""
    try:
        with reading(store, config) as reader:
            names = reader.strangers()
    except AuditstreamError:
        return []
    if not names:
        return [Check("ok", "every principal is covered by the configuration")]
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    advice = f"{shown}\nadd [[principals]] entries for them"
    return [Check("note", f"{len(names):,} principals are of unknown kind", advice)]


def _input(plan: Plan, given: Input) -> list[Check]:
    if given.path == "-":
        return [Check("ok", "standard input")]
    try:
        paths = discover(given.path)
    except AuditstreamError as error:
        return [Check("bad", f"input {given.path}", str(error))]
    if not given.zone:
        advice = "stamps without an offset are taken as UTC; if they are not, set its zone"
        zone = [Check("note", f"input {given.path}: no time zone configured", advice)]
    else:
        zone = []
    return zone + [check for path in paths for check in _file(plan, given, path)]


def _file(plan: Plan, given: Input, path: Path) -> list[Check]:
    try:
        with open_stream(path) as file:
            reader = LineReader(file, plan.max_record_bytes)
            records = []
            while reader.position < _LOOKED_AT_BYTES and (more := reader.read()):
                records += more
    except AuditstreamError as error:
        return [Check("bad", f"{path}", str(error))]
    result = ingest(plan, Stream(given.source, zone=given.zone, carrier=str(path)), records, {})
    account = result.account
    unread = sorted(r.removeprefix("unread:") for r in account.filtered if r.startswith("unread:"))
    if not result.events and not account.filtered:
        return [Check("note", f"{path}: nothing recognised", "it will be named and not read")]
    looked_at = f"{account.events:,} events in the first {reader.position:,} bytes"
    checks = [Check("ok", f"{path}: {looked_at}")]
    if unread:
        checks.append(Check("note", f"{path}: {unread[0]} cannot be read by this release yet"))
    if account.dead_letters:
        said = ", ".join(f"{n} {reason}" for reason, n in sorted(account.dead_letters.items()))
        advice = "see `auditstream dead-letters` after a run"
        checks.append(Check("note", f"{path}: {said}", advice))
    return checks + _levels(path, result.events)


def _levels(path: Path, events: list[Any]) -> list[Check]:
    """What the levels the broker logs at leave out."""
    checks = []
    decisions = [e for e in events if e.source == "kafka_authorizer"]
    logins = [e for e in events if e.source == "kafka_authentication"]
    advice = "`auditstream broker-logging` prints what to set, and why"
    if decisions and not any(e.outcome == "success" for e in decisions):
        what = "only denials: allowed decisions are not logged (level INFO)"
        checks.append(Check("note", f"{path}: {what}", advice))
    if logins and not any(e.outcome == "success" for e in logins):
        what = "only failed logins: successful ones are not logged (level INFO)"
        checks.append(Check("note", f"{path}: {what}", advice))
    if any("no_request" in e.blind_spots for e in decisions):
        checks.append(Check("note", f"{path}: this dialect does not say which request was decided"))
    return checks
