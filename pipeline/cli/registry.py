"""``auditstream registry plan | apply``: the stream's schemas in a schema registry."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.cli.present import Column, Row, clean, table
from pipeline.config import load
from pipeline.errors import ConfigError
from pipeline.streaming import Streaming

if TYPE_CHECKING:
    from pipeline.runtimes.kafka.registering import Step


def add(commands: Any) -> None:
    """Add the command's arguments."""
    said = "the stream's Avro schemas in a schema registry, where one is configured"
    p = commands.add_parser("registry", help=said, description=said.capitalize() + ".")
    verbs = p.add_subparsers(dest="verb", metavar="VERB", required=True)
    said = "say what is registered under each subject, and what would be"
    plan = verbs.add_parser("plan", help=said, description=said.capitalize() + ".")
    plan.set_defaults(run=_plan)
    plan.add_argument("--json", action="store_true", help="the same for programs")
    said = "set each subject's compatibility level and register this release's schemas"
    apply = verbs.add_parser("apply", help=said, description=said.capitalize() + ".")
    apply.set_defaults(run=_apply)
    for verb in (plan, apply):
        verb.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")


def _plan(arguments: argparse.Namespace) -> int:
    from pipeline.runtimes.kafka.registering import plan
    from pipeline.runtimes.kafka.registry import Registry

    streaming = _streaming(arguments)
    steps = plan(Registry(streaming.registry), streaming)
    if arguments.json:
        found = [_document(step) for step in steps]
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return 0
    table(map(_row, steps), _COLUMNS)
    for step in steps:
        if not step.compatible:
            print(f"\n{clean(step.subject)}: {_INCOMPATIBLE}")
    todo = sum(step.to_do for step in steps)
    print(f"\n{todo} to be done: auditstream registry apply" if todo else "\nAll is well.")
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from pipeline.runtimes.kafka.registering import apply
    from pipeline.runtimes.kafka.registry import Registry

    streaming = _streaming(arguments)
    deeds = apply(Registry(streaming.registry), streaming, lambda said: print(clean(said)))
    print(f"{deeds} done." if deeds else "All was as it should be; nothing done.")
    return 0


def _streaming(arguments: argparse.Namespace) -> Streaming:
    streaming = load(arguments.config).kafka
    if not streaming.registry.url:
        raise ConfigError(
            "no schema registry is configured, so rows carry Avro's fingerprints and nothing is to "
            "be registered; to use one set kafka.registry.url"
        )
    return streaming


def _document(step: Step) -> Row:
    return {
        "subject": step.subject,
        "schema": step.schema,
        "id": step.number,
        "level": step.level,
        "compatible": step.compatible,
        "register": step.number is None,
        "set_level": step.other_level,
    }


def _row(step: Step) -> Row:
    deeds = ["set level"] * step.other_level + ["register"] * (step.number is None)
    return {
        "subject": step.subject,
        "schema": step.schema,
        "todo": ", ".join(deeds) if step.compatible else "REFUSED",
        "id": "-" if step.number is None else str(step.number),
        "level": step.level,
    }


_INCOMPATIBLE = (
    "what is registered there and this release's schema do not read each other; "
    "is the prefix (kafka.prefix) another's, or the subject's history from before this product?"
)
_COLUMNS: list[Column] = [
    ("SUBJECT", lambda r: r["subject"], 60),
    ("SCHEMA", lambda r: r["schema"], 20),
    ("TO DO", lambda r: r["todo"] or "-", 20),
    ("ID", lambda r: r["id"], 10),
    ("LEVEL", lambda r: r["level"] or "-", 0),
]
