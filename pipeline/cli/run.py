"""``auditstream run``: inputs to events and findings in the embedded store."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType
from typing import Any

import orjson

from pipeline.cli.present import clean, notice, table
from pipeline.cli.show import finding_columns
from pipeline.cli.stores import file_of, named
from pipeline.config import Config, Input, load
from pipeline.errors import ArgumentError
from pipeline.query import Query
from pipeline.registry import sources
from pipeline.runtimes.embedded import Embedded, Summary
from pipeline.runtimes.follow import follow
from pipeline.sinks.sqlite import SqliteStore
from pipeline.sinks.sqlite_query import SqliteReader

INTERRUPTED = 130
"""Exit status, as a shell has it for SIGINT."""
_QUIET_S = 2.0
_MOST_FINDINGS = 20


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "run",
        help="read inputs, detect, and keep what was found",
        description="Read inputs, detect, and keep what was found. Without inputs: play a bundled "
        "incident, captured from a real broker, into a throw-away store.",
    )
    p.set_defaults(run=_run)
    p.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")
    add_input(p, "a file, folder, glob, .gz, - or kafka:TOPIC")
    p.add_argument("--store", metavar="PATH", help="default: the configuration's")
    p.add_argument("--follow", action="store_true", help="go on as files grow, until interrupted")
    p.add_argument("--summary", choices=("text", "json"), default="text")


def add_input(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the argument that :func:`inputs_of` reads; `what` it may name, in words."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="SOURCE=PATH",
        help=f"source (or auto) and {what}; takes the place of the configuration's inputs; may be "
        "repeated",
    )


def inputs_of(given: list[str], config: Config) -> list[Input]:
    """The inputs that arguments name, else the configuration's.

    Raises:
        ArgumentError: an argument names no source or no path.
    """
    if not given:
        return list(config.inputs)
    out = []
    for text in given:
        name, found, path = text.partition("=")
        if not found or not path:
            raise ArgumentError(f"--input {text}: write SOURCE=PATH, for instance auto={text}")
        if name != "auto" and name not in sources():
            known = ", ".join(["auto", *sources()])
            raise ArgumentError(f"--input {text}: no source {name!r}; there is {known}")
        out.append(Input(source=name, path=path))
    if sum(given.path == "-" for given in out) > 1:
        raise ArgumentError("--input …=-: standard input can be read only once")
    return out


def _run(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    inputs = inputs_of(arguments.input, config)
    if inputs:
        path = file_of(named(arguments.store, config))
        return _into(path, config, inputs, arguments)
    if arguments.follow:
        raise ArgumentError("--follow needs an --input, or a configuration with inputs")
    with (
        tempfile.TemporaryDirectory(prefix="auditstream-") as folder,
        as_file(files("pipeline") / "incident") as incident,
    ):
        path = file_of(arguments.store or f"{folder}/incident.db")
        print("Playing the bundled incident, captured from a real broker.\n", flush=True)
        config = _as_bundled(config, incident)
        status = _into(path, config, list(config.inputs), arguments)
        if arguments.summary == "text":
            print(_NEXT)
    return status


def _as_bundled(config: Config, incident: Path) -> Config:
    """The configuration with the incident's inputs, and with who is who and where in it."""
    its = load(incident / "auditstream.toml")
    inputs = tuple(
        given.model_copy(update={"path": str(incident / given.path)}) for given in its.inputs
    )
    its_own = {"inputs": inputs, "principals": its.principals, "estates": its.estates}
    return config.model_copy(update=its_own)


_NEXT = """
Next:
  auditstream run --store i.db                       keeps what was played, and then
  auditstream timeline --store i.db                  tells it in order, across all logs
  auditstream run --input auto=/var/log/kafka        your own broker's log folder
  auditstream findings                               what was found there
  auditstream changes                                who changed what, from what to what
  auditstream events --outcome failure --actor …     who was denied what
  auditstream broker-logging                         what the broker should log, and why
  auditstream doctor --input auto=/var/log/kafka     what your logs cannot show"""


class ProgressLine:
    """A line on standard error every second of a long run."""

    def __init__(self) -> None:
        self.began = self.shown = time.monotonic()
        self.records = 0
        self.terminal = sys.stderr.isatty()

    def __call__(self, carrier: str, records: int) -> None:
        self.records += records
        now = time.monotonic()
        if now - self.shown < (1.0 if self.terminal else 10.0) or now - self.began < _QUIET_S:
            return
        self.shown = now
        rate = self.records / (now - self.began)
        text = f"{self.records:,} records, {rate:,.0f}/s, now {clean(carrier)}"
        print(f"\r{text:<100}" if self.terminal else text, end="" if self.terminal else "\n",
              file=sys.stderr, flush=True)  # fmt: skip

    def done(self) -> float:
        """Clear the line; seconds since the beginning."""
        if self.terminal and self.shown != self.began:
            print("\r" + " " * 100 + "\r", end="", file=sys.stderr, flush=True)
        return time.monotonic() - self.began


def _into(path: Path, config: Config, inputs: list[Input], arguments: argparse.Namespace) -> int:
    store = SqliteStore(path)
    progress = ProgressLine()
    try:
        runtime = Embedded(config, inputs, store, progress)

        def stop(_: int, __: FrameType | None) -> None:
            runtime.stop = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        summary = follow(runtime) if arguments.follow else runtime.run()
    finally:
        store.close()
    seconds = progress.done()
    _notices(summary, path)
    if arguments.summary == "json":
        print(orjson.dumps(_as_json(summary)).decode())
    else:
        _as_text(summary, path, seconds)
    if summary.stopped and not arguments.follow:
        return INTERRUPTED
    return 1 if summary.unusable else 0


def _as_json(summary: Summary) -> dict[str, Any]:
    account = summary.account
    return {
        "records": account.records,
        "items": account.items,
        "events": account.events,
        "duplicates": account.duplicates,
        "filtered": sum(account.filtered.values()),
        "dead_letters": sum(account.dead_letters.values()),
        "findings": len(summary.findings),
        "late": summary.late,
        "filtered_by_rule": account.filtered,
        "dead_letters_by_reason": account.dead_letters,
        "unrecognised_files": summary.unrecognised,
        "unusable_inputs": summary.unusable,
        "unread": summary.unread,
        "store": summary.store,
    }


def _notices(summary: Summary, path: Path) -> None:
    for said in summary.unusable:
        notice(said)
    for name in summary.unrecognised:
        notice(f"{name}: not recognised; nothing in it is of a kind this release reads")
    for name, loggers in summary.unread.items():
        lines = sum(loggers.values())
        several = len(loggers) > 1
        notice(
            f"{name}: {lines} lines of {min(loggers)}{' and others' if several else ''} state "
            "audit facts that this release cannot read yet; a later one will, from the beginning"
        )
    for complaint in summary.complaints:
        notice(complaint)
    for reason, count in sorted(summary.account.dead_letters.items()):
        notice(f"{count} dead letters ({reason}); see `auditstream dead-letters --store {path}`")
    if summary.late:
        notice(f"{summary.late} events came later than a detector's horizon: kept, not detected on")


def _as_text(summary: Summary, path: Path, seconds: float) -> None:
    account = summary.account
    print(f"records   {account.records:,} in {seconds:.1f} s")
    filtered, dead = sum(account.filtered.values()), sum(account.dead_letters.values())
    print(
        f"items     {account.items:,} = {account.events:,} events + {account.duplicates:,} "
        f"duplicates + {filtered:,} filtered + {dead:,} dead letters"
    )
    held = summary.store
    print(
        f"store     {clean(str(path))}: {held['events']:,} events, {held['findings']:,} findings, "
        f"{held['dead_letters']:,} dead letters"
    )
    if not held["findings"]:
        print("findings  none")
        return
    print(f"findings  {len(summary.findings):,} raised or amended by this run\n")
    reader = SqliteReader(path)
    rows = list(reader.findings(Query()))
    reader.close()
    table(rows[-_MOST_FINDINGS:], finding_columns())
    if len(rows) > _MOST_FINDINGS:
        print(f"… the last {_MOST_FINDINGS} of {len(rows):,}; `auditstream findings` shows all")
