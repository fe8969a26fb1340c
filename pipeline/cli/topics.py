"""``auditstream topics plan | apply``: the topics and rights that the stream needs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.cli.present import Column, Row, clean, table
from pipeline.config import Config, load

if TYPE_CHECKING:
    from pipeline.runtimes.kafka.acls import Acl
    from pipeline.runtimes.kafka.planning import Step

_EVERY_S = 2.0


def add(commands: Any) -> None:
    """Add the command's arguments."""
    said = "what the stream needs of a Kafka cluster: topics, settings, rights"
    p = commands.add_parser("topics", help=said, description=said.capitalize() + ".")
    verbs = p.add_subparsers(dest="verb", metavar="VERB", required=True)
    said = "say what is there, what would be made or changed, and the least ACLs of each role"
    plan = verbs.add_parser("plan", help=said, description=said.capitalize() + ".")
    plan.set_defaults(run=_plan)
    plan.add_argument(
        "--principal",
        action="append",
        default=[],
        metavar="ROLE=User:NAME",
        help="as whom a role logs in; may be repeated; default: User:auditstream-ROLE",
    )
    plan.add_argument(
        "--acls",
        choices=("table", "commands"),
        help="the ACLs alone, as a table or as kafka-acls commands; asks no broker",
    )
    plan.add_argument("--json", action="store_true", help="the same for programs")
    said = "make and change topics; what is as it should be is left alone, nothing is deleted"
    apply = verbs.add_parser("apply", help=said, description=said.capitalize() + ".")
    apply.set_defaults(run=_apply)
    for verb in (plan, apply):
        verb.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")


def _plan(arguments: argparse.Namespace) -> int:
    from pipeline.runtimes.kafka import acls as rights
    from pipeline.runtimes.kafka.cluster import Cluster
    from pipeline.runtimes.kafka.planning import NOTHING, plan

    streaming = load(arguments.config).kafka
    acls = list(rights.acls(streaming, rights.principals(arguments.principal)))
    steps = [] if arguments.acls else plan(Cluster(streaming), streaming)
    if arguments.json:
        found: Row = {"acls": [asdict(acl) for acl in acls]}
        if not arguments.acls:
            found["topics"] = [_document(step) for step in steps]
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    elif arguments.acls == "commands":
        for acl in acls:
            print(rights.command(streaming, acl))
    else:
        if not arguments.acls:
            table(map(_row, steps), _TOPICS)
            _print_remarks(steps)
            todo = sum(step.action != NOTHING or step.unmarked for step in steps)
            print(
                f"\n{todo} to be done: auditstream topics apply\n" if todo else "\nAll is well.\n"
            )
        table(map(_acl_row, acls), _ACLS)
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from pipeline.runtimes.kafka.planning import apply

    config: Config = load(arguments.config)
    progress = _Progress()
    deeds = apply(config.kafka, config.active(), progress.say, progress)
    print(f"{deeds} done." if deeds else "All was as it should be; nothing done.")
    return 0


class _Progress:
    """How far the reading of a topic has come: a line that moves, or one now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, read: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told >= _EVERY_S or (read == total and sys.stderr.isatty()):
            self._told = now
            end = "" if sys.stderr.isatty() and read < total else "\n"
            begin = "\r" if sys.stderr.isatty() else ""
            line = f"{begin}{read:,} of {total:,} records read"
            print(line, end=end, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """A deed, as it is done."""
        print(clean(text), flush=True)


def _document(step: Step) -> Row:
    return {
        "topic": step.want.topic,
        "action": step.action,
        "partitions": step.now.partitions if step.now else 0,
        "partitions_wanted": _partitions(step),
        "replicas": step.now.replicas if step.now else 0,
        "replicas_wanted": step.want.replication,
        "settings": dict(step.want.settings),
        "differing": {name: {"is": was, "to": to} for name, (was, to) in step.differing.items()},
        "said": step.said,
    }


def _partitions(step: Step) -> int:
    if step.now is None or step.action == "re-key":
        return step.want.partitions
    return step.grow or step.now.partitions


def _row(step: Step) -> Row:
    now, partitions = step.now, _partitions(step)
    if step.now is None:
        changes = " ".join(f"{name}={value}" for name, value in sorted(step.want.settings.items()))
    else:
        changes = " ".join(f"{n}={was}→{to}" for n, (was, to) in sorted(step.differing.items()))
    action = "write down" if step.action == "nothing" and step.unmarked else step.action
    return {
        "topic": step.want.topic,
        "action": "-" if action == "nothing" else action,
        "partitions": str(partitions)
        if now is None or now.partitions == partitions
        else f"{now.partitions}→{partitions}",
        "copies": str(now.replicas if now else step.want.replication),
        "settings": changes or "-",
    }


def _print_remarks(steps: Iterable[Step]) -> None:
    for step in steps:
        if step.said:
            print(f"\n{clean(step.want.topic)}: {clean(step.said)}")


def _acl_row(acl: Acl) -> Row:
    name = acl.name + ("*" if acl.pattern == "prefixed" else "")
    return {
        "role": acl.role,
        "principal": acl.principal,
        "resource": acl.resource,
        "name": name,
        "operations": ", ".join(acl.operations),
    }


_TOPICS: list[Column] = [
    ("TOPIC", lambda r: r["topic"], 60),
    ("TO DO", lambda r: r["action"], 10),
    ("PARTITIONS", lambda r: r["partitions"], 12),
    ("COPIES", lambda r: r["copies"], 6),
    ("SETTINGS", lambda r: r["settings"], 0),
]
_ACLS: list[Column] = [
    ("ROLE", lambda r: r["role"], 8),
    ("PRINCIPAL", lambda r: r["principal"], 40),
    ("RESOURCE", lambda r: r["resource"], 16),
    ("NAME (*: ALL THAT BEGIN SO)", lambda r: r["name"], 60),
    ("OPERATIONS", lambda r: r["operations"], 0),
]
