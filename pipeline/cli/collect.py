"""``auditstream collect``: files to the raw topics, for workers that read them there."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.cli.present import Row, notice, table
from pipeline.cli.run import INTERRUPTED, ProgressLine, add_input, inputs_of
from pipeline.collectors.progress import Progress
from pipeline.config import load
from pipeline.errors import ArgumentError
from pipeline.runtimes.follow import follow

if TYPE_CHECKING:
    from pipeline.runtimes.kafka.collecting import Collected

_FILE = "auditstream-collect.db"


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "collect",
        help="send files to the raw topics, where workers read them",
        description="Send files to the raw topics (PREFIX.raw.SOURCE), where workers read them. "
        "What was sent is not sent again.",
    )
    p.set_defaults(run=_run)
    p.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`, [kafka]")
    add_input(p, "a file, folder, glob, .gz or -")
    p.add_argument("--follow", action="store_true", help="go on as files grow, until interrupted")
    p.add_argument(
        "--progress",
        type=Path,
        metavar="PATH",
        help=f"where it is kept how far files were sent; default: {_FILE} in kafka.folder, "
        "or else here",
    )
    p.add_argument("--summary", choices=("text", "json"), default="text")


def _run(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    inputs = inputs_of(arguments.input, config)
    if not inputs:
        raise ArgumentError("nothing to collect: name an --input, or a configuration with inputs")
    for given in inputs:
        if given.topic:
            raise ArgumentError(f"{given.path} is a topic already: name files, folders or globs")
    # Kafka's client takes a while to load, and no other command needs it.
    from pipeline.runtimes.kafka.collecting import Collecting

    progress = Progress(arguments.progress or Path(config.kafka.folder or "") / _FILE)
    line = ProgressLine()
    try:
        collecting = Collecting(config, inputs, progress, line)

        def stop(_: int, __: FrameType | None) -> None:
            collecting.stop = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        collected: Collected = follow(collecting) if arguments.follow else collecting.run()
    finally:
        line.done()
        progress.close()
    _tell(collected, arguments.summary)
    if collected.stopped and not arguments.follow:
        return INTERRUPTED
    return 1 if collected.unusable else 0


def _tell(collected: Collected, form: str) -> None:
    for said in collected.unusable:
        notice(said)
    for name in collected.unrecognised:
        notice(f"{name}: not recognised; nothing in it is of a kind this release reads")
    for complaint in collected.complaints:
        notice(complaint)
    rows: list[Row] = [
        {"topic": name, "files": len(sent.files), "records": sent.records, "bytes": sent.bytes}
        for name, sent in sorted(collected.topics.items())
    ]
    total = {name: sum(row[name] for row in rows) for name in ("files", "records", "bytes")}
    if form == "json":
        found = {
            **total,
            "topics": {row.pop("topic"): row for row in rows},
            "unrecognised_files": collected.unrecognised,
            "unusable_inputs": collected.unusable,
        }
        print(orjson.dumps(found).decode())
        return
    if len(rows) != 1:
        rows.append({"topic": "in all", **total})
    table(rows, [
        ("TOPIC", lambda r: r["topic"], 60),
        ("FILES", lambda r: f"{r['files']:,}", 12),
        ("RECORDS", lambda r: f"{r['records']:,}", 18),
        ("BYTES", lambda r: f"{r['bytes']:,}", 24),
    ])  # fmt: skip
