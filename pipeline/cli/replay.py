"""``auditstream replay``: records read again by today's code; what changes is shown first."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.cli import stores
from pipeline.cli.present import Column, Row, clean, drop_output, notice, table, tell, when
from pipeline.cli.retention import now, who
from pipeline.cli.run import ProgressLine, add_input, inputs_of
from pipeline.config import Config, load
from pipeline.errors import ArgumentError, Reason, UnusableError
from pipeline.query import make
from pipeline.retention.planning import reason
from pipeline.retention.terms import Period
from pipeline.runtimes.replay.changing import Outcome, Replaying
from pipeline.runtimes.replay.comparing import Asked
from pipeline.runtimes.replay.detecting import Version
from pipeline.sinks.sqlite_adding import KEPT
from pipeline.sinks.sqlite_copy import Copy
from pipeline.sinks.sqlite_replay import SqliteReplay
from schemas.vocabulary import SEVERITY_NAMES

if TYPE_CHECKING:
    from pipeline.runtimes.kafka.adding import Adding

_MOST: Final = 20
_EXAMPLES: Final = 5
_PAIRS: Final = 3
_MOVED: Final = "by another label or source: `auditstream run` goes on where they were read to"
_UNREAD: Final = "not taken in yet: `auditstream run` does"
_REMOVED: Final = "of what retention removed, which does not come back"
_KEPT: Final = "that would change or go: topics take nothing back"
_HELD: Final = "that would change, left as they are:"


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "replay",
        help="read records again by today's code and configuration, and show what changes",
        description="Read records again by today's code and configuration, and show what changes "
        "of events, dead letters and findings. Nothing is written without --apply.",
    )
    p.set_defaults(run=_run)
    p.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")
    add_input(p, "a file, folder, glob, .gz, - or kafka:TOPIC, where the records lie now")
    p.epilog = stores.LOGIN
    p.add_argument("--store", metavar="STORE", help=stores.HELP)
    p.add_argument("--since", metavar="TIME", help="what is of this time or later")
    p.add_argument("--until", metavar="TIME", help="and before this time")
    p.add_argument(
        "--reason",
        action="append",
        default=[],
        metavar="REASON",
        help="what was a dead letter for this reason; may be repeated",
    )
    p.add_argument(
        "--apply",
        action="store_true",
        help="write what is shown; of a store on OpenSearch, send into its stream what adds to it",
    )
    p.add_argument("--json", action="store_true", help="the same for programs")


def _run(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    inputs = inputs_of(arguments.input, config)
    if not inputs:
        raise ArgumentError("nothing to read: name an --input, or a configuration with inputs")
    asked = _asked(arguments)
    name = stores.named(arguments.store, config)
    # Before all is read: whether anything can be sent.
    adding = _adding(config) if stores.is_address(name) and arguments.apply else None
    # Whoever ends us by it wants the scratch files gone too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _opened(name, config, apply=arguments.apply) as (store, folder):
        progress = ProgressLine()
        replaying = Replaying(
            config,
            inputs,
            store,
            asked,
            folder,
            progress,
            only_adding=adding is not None,
        )
        outcome = replaying.found(now)
        progress.done()
        shown = _document(outcome, store)
        to_do = outcome.changes if adding is None else bool(outcome.comparison.applies())
        applied = arguments.apply and to_do
        _notices(outcome)
        if not arguments.json:
            with _seen(applied):
                _show(shown, outcome)
        if applied and adding is not None:
            replaying.add(outcome, adding.send, who(name, config), now)
            progress.done()
        elif applied:
            replaying.apply(outcome, who(name, config), now)
        if arguments.json:
            said = orjson.dumps({**shown, "applied": applied}, option=orjson.OPT_INDENT_2)
            if applied:
                tell("the replay was applied", said.decode())
            else:
                print(said.decode())
        else:
            print(_last(to_do, arguments.apply, streaming=adding is not None))
    return 1 if outcome.read.unusable else 0


def _adding(config: Config) -> Adding:
    if "kafka" not in config.model_fields_set:
        raise ArgumentError(
            "--apply sends into the topics of the stream that OpenSearch is filled from: the "
            "configuration has to name its brokers ([kafka])"
        )
    from pipeline.runtimes.kafka.adding import Adding

    return Adding(config)


@contextmanager
def _opened(name: str, config: Config, *, apply: bool) -> Iterator[tuple[SqliteReplay, Path]]:
    """The store, and a folder for scratch files."""
    if stores.is_address(name):
        with tempfile.TemporaryDirectory(prefix="auditstream-") as folder:
            path, progress = Path(folder) / "copy.db", ProgressLine()
            # Only all that it holds says what findings become.
            with closing(Copy(path)) as copy, stores.reading(name, config) as reader:
                copy.take(reader, progress)
            progress.done()
            with closing(SqliteReplay(path, read_only=True)) as store:
                yield store, Path(folder)
        return
    with (
        closing(SqliteReplay(Path(name), read_only=not apply)) as store,
        tempfile.TemporaryDirectory(prefix="auditstream-", dir=_beside(name)) as folder,
    ):
        yield store, Path(folder)


def _asked(arguments: argparse.Namespace) -> Asked:
    times = make(since=arguments.since, until=arguments.until)
    for said in arguments.reason:
        if said not in set(Reason):
            raise ArgumentError(f"--reason {said}: no such reason; there is {', '.join(Reason)}")
    return Asked(Period(times.since, times.until), tuple(dict.fromkeys(arguments.reason)))


def _beside(store: str) -> str | None:
    """Where scratch files go: beside the store, where there is room, else where the system says."""
    folder = Path(store).absolute().parent
    return str(folder) if os.access(folder, os.W_OK) else None


# What there is to say.


def _document(outcome: Outcome, store: SqliteReplay) -> dict[str, Any]:
    found = outcome.comparison
    attributes = sorted(found.attributes.items(), key=lambda one: (-one[1].events, one[0]))
    left = sorted(found.left.items(), key=lambda one: (-sum(one[1].values()), one[0]))
    same_events, same_letters = found.same
    counts = outcome.counts()
    return {
        "records": outcome.read.account.records,
        "streams": len(outcome.streams),
        "events": {**counts["events"], "replaced": found.replaced, "same": same_events},
        "dead_letters": {**counts["dead_letters"], "same": same_letters},
        "findings": counts["findings"],
        "attributes": [
            {
                "name": name, "events": one.events,
                "values": [
                    {"from": old, "to": new, "events": events}
                    for (old, new), events in one.pairs.most_common(_PAIRS)
                ],
            }
            for name, one in attributes
        ],
        "resolved": dict(found.reasons),
        "new": [_example(row) for row in store.examples("new", _EXAMPLES)],
        "gone": [_example(row) for row in store.examples("gone", _EXAMPLES)],
        "finding_versions": [_version(one) for one in outcome.detection.versions],
        "not_applied": {
            state: {
                kind: sum(found.count(kind, op, state) for op in ("new", "changed", "gone"))
                for kind in ("event", "letter")
            }
            for state in ("unread", "outside", "held", "removed", KEPT)
        },
        "holds": [hold.id for hold in found.holds],
        "not_read_again": [
            {"carrier": name, "events": counted["event"], "dead_letters": counted["letter"]}
            for name, counted in left
        ],
        "unusable_inputs": outcome.read.unusable,
        "unrecognised_files": outcome.read.unrecognised,
    }  # fmt: skip


def _example(row: Row) -> Row:
    return {**row, "id": row["id"].hex()}


def _version(version: Version) -> Row:
    new, old = version.new, version.old
    document = orjson.loads(new.ocsf)
    return {
        "what": version.what, "id": new.id.hex(), "version": new.version, "status": new.status,
        "detector": new.detector, "key": new.key, "cluster": new.cluster,
        "severity": SEVERITY_NAMES[new.severity_id], "first_time": new.first_time,
        "last_time": new.last_time, "count": new.count,
        "was": None if old is None else {
            "severity": SEVERITY_NAMES[old.severity_id], "count": old.count,
            "last_time": old.last_time, "status": old.status,
        },
        "title": document["finding_info"]["title"], "message": document["message"],
    }  # fmt: skip


def _notices(outcome: Outcome) -> None:
    for said in outcome.read.unusable:
        notice(said)
    for name in outcome.read.unrecognised:
        notice(f"{name}: not recognised; nothing in it is of a kind this release reads")
    for complaint in outcome.read.complaints:
        notice(complaint)


@contextmanager
def _seen(applied: bool) -> Iterator[None]:
    """All that is shown reaches whoever reads it. What nobody saw is not applied."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        if not applied:
            raise
        drop_output()
        raise UnusableError(
            "nobody reads what is shown any more, so nothing was applied; run it again without "
            "a reader that stops, or with --json"
        ) from None


def _show(shown: Row, outcome: Outcome) -> None:
    events, letters, findings = shown["events"], shown["dead_letters"], shown["findings"]
    print(f"read again    {shown['records']:,} records of {shown['streams']:,} streams")
    print(
        f"events        {events['new']:,} new, {events['changed']:,} changed, {events['gone']:,} "
        f"made no more; {events['same']:,} the same"
    )
    if events["replaced"]:
        print(
            f"              {events['replaced']:,} of them are of the same records, by another id"
        )
    print(
        f"dead letters  {letters['gone']:,} resolved, {letters['new']:,} new, "
        f"{letters['changed']:,} changed; {letters['same']:,} the same"
    )
    print(
        f"findings      {findings['appears']:,} new, {findings['changes']:,} changed, "
        f"{findings['vanishes']:,} taken back"
    )
    for said in _left(shown, outcome):
        print(clean(said))
    _section("", _pairs(shown), _ATTRIBUTES)
    _section("", ({"reason": n, "count": c} for n, c in shown["resolved"].items()), _REASONS)
    changing = chain(
        ({**row, "what": "new"} for row in shown["new"]),
        ({**row, "what": "no more"} for row in shown["gone"]),
    )
    _section("Some of the events:", changing, _EVENTS)
    versions = shown["finding_versions"]
    _section("", versions[:_MOST], _FINDINGS)
    if len(versions) > _MOST:
        print(f"… and {len(versions) - _MOST:,} more; --json has all")


def _left(shown: Row, outcome: Outcome) -> list[str]:
    said = []
    for state, why in (
        ("held", _HELD), ("removed", _REMOVED), (KEPT, _KEPT), ("unread", _UNREAD),
    ):  # fmt: skip
        kinds = shown["not_applied"][state]
        if any(kinds.values()):
            said.append(f"{_counted(kinds['event'], kinds['letter'])} {why}")
        if state == "held":
            said += [f"  {reason(hold)}" for hold in outcome.comparison.holds]
    if outcome.moved:
        said.append(f"{len(outcome.moved):,} streams {_MOVED}")
    left = shown["not_read_again"]
    if left:
        events, letters = (sum(one[name] for one in left) for name in ("events", "dead_letters"))
        what = _counted(events, letters)
        said.append(f"{what} in the store cannot be shown to be of records that were read again:")
        for one in left[:_EXAMPLES]:
            said.append(f"  {one['carrier']}: {_counted(one['events'], one['dead_letters'])}")
        if len(left) > _EXAMPLES:
            said.append(f"  and {len(left) - _EXAMPLES:,} other files or topics; --json has all")
    return [f"left alone    {line}" if line[0] != " " else f"              {line}" for line in said]


def _counted(events: int, letters: int) -> str:
    parts = [f"{events:,} events"] if events else []
    parts += [f"{letters:,} dead letters"] if letters else []
    return " and ".join(parts)


def _section(heading: str, rows: Any, columns: list[Column]) -> None:
    listed = list(rows)
    if listed:
        print(f"\n{heading}" if heading else "")
        table(listed, columns)


def _pairs(shown: Row) -> list[Row]:
    return [
        {"name": one["name"] if not place else "", "events": value["events"], **value}
        for one in shown["attributes"]
        for place, value in enumerate(one["values"])
    ]


_ATTRIBUTES: list[Column] = [
    ("ATTRIBUTE", lambda r: r["name"], 40),
    ("EVENTS", lambda r: f"{r['events']:,}", 12),
    ("FROM", lambda r: r["from"] or "-", 48),
    ("TO", lambda r: r["to"] or "-", 48),
]
_REASONS: list[Column] = [
    ("RESOLVED DEAD LETTERS", lambda r: r["reason"], 24),
    ("COUNT", lambda r: f"{r['count']:,}", 12),
]
_EVENTS: list[Column] = [
    ("WHAT", lambda r: r["what"], 8),
    ("TIME", lambda r: when(r["time"]) or "-", 24),
    ("ACTOR", lambda r: r["actor"] or "-", 32),
    ("OPERATION", lambda r: r["operation"] or "-", 24),
    ("RESOURCE", lambda r: r["resource"] or "-", 32),
    ("RECORD", lambda r: f"{r['carrier']} at {r['position']}", 0),
]
_FINDINGS: list[Column] = [
    ("FINDING", lambda r: r["what"], 8),
    ("ID", lambda r: r["id"][-12:], 12),
    ("SEVERITY", lambda r: r["severity"], 13),
    ("FROM", lambda r: when(r["first_time"]) or "-", 24),
    ("DETECTOR", lambda r: r["detector"], 28),
    ("TITLE", lambda r: f"{r['title']}: {r['message']}", 0),
]


def _last(to_do: bool, apply: bool, *, streaming: bool) -> str:
    if not to_do:
        return "\nNothing is added." if streaming else "\nNothing changes."
    if streaming:
        return "\nSent into the topics and recorded; workers take it from there."
    if apply:
        return "\nApplied, and recorded: auditstream events --source auditstream.replay"
    return "\nNothing was written; --apply does."
