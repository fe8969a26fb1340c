"""``auditstream sources | detectors | schema | config | broker-logging``: what exists, and why."""

from __future__ import annotations

import argparse
import inspect
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from pipeline.config import example, load, toml
from pipeline.errors import ArgumentError
from pipeline.registry import detectors, sources
from schemas.vocabulary import ATTACK_VERSION


def add(commands: Any) -> None:
    """Add these commands' arguments."""
    for name, help_, run, metavar in (
        ("sources", "what can be read, with its documentation and blind spots", _sources, "NAME"),
        ("detectors", "what is looked for, with triage guides", _detectors, "NAME"),
        ("schema", "Avro schemas, OpenSearch templates, OCSF field table", _schema, "NAME"),
        ("config", "print a complete, commented configuration, or check one", _config, "FILE"),
    ):
        p = commands.add_parser(name, help=help_, description=help_.capitalize() + ".")
        p.set_defaults(run=run)
        p.add_argument("name", nargs="?", metavar=metavar)
    p = commands.add_parser(
        "broker-logging",
        help="print the log4j2 configuration that serves this product, and why",
        description="Print the log4j2 configuration that serves this product, and why.",
    )
    p.set_defaults(run=_broker_logging)


def _bullets(title: str, lines: tuple[str, ...]) -> None:
    if lines:
        print(f"\n{title}:")
        for line in lines:
            print(f"  - {line}")


def _sources(arguments: argparse.Namespace) -> int:
    known = sources()
    if arguments.name is None:
        for name, source in known.items():
            print(f"{name:<28}{source.title}")
        return 0
    if arguments.name not in known:
        raise ArgumentError(f"no source {arguments.name!r}; there is {', '.join(known)}")
    source = known[arguments.name]
    print(f"{source.name}: {source.title}\n\n{inspect.cleandoc(source.documentation)}")
    _bullets("Loggers", source.loggers)
    _bullets("Shapes", source.shapes)
    _bullets("Blind spots", source.blind_spots)
    return 0


def _detectors(arguments: argparse.Namespace) -> int:
    known = detectors()
    if arguments.name is None:
        for name, detector in known.items():
            print(f"{name:<28}{detector.title}")
        return 0
    if arguments.name not in known:
        raise ArgumentError(f"no detector {arguments.name!r}; there is {', '.join(known)}")
    detector = known[arguments.name]
    print(f"{detector.name}: {detector.title}\n\n{inspect.cleandoc(detector.documentation)}")
    _bullets(
        f"ATT&CK {ATTACK_VERSION}",
        tuple(f"{a.technique} {a.name} ({a.tactic} {a.tactic_name})" for a in detector.attacks),
    )
    numbers = tuple(
        f"{name} = {toml(field.get_default())}: {field.description}"
        for name, field in detector.settings.model_fields.items()
        if not isinstance(field.get_default(), dict)
    )
    _bullets(f"Numbers ([detectors.{detector.name}])", numbers)
    _bullets("Triage", detector.triage)
    _bullets("Known false positives", detector.false_positives)
    _bullets("Blind spots", detector.blind_spots)
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    from schemas.avro import NAMES
    from schemas.field_table import field_table
    from schemas.index_template import PREFIX, templates

    avro = {name: files("schemas") / f"{name}.avsc" for name in NAMES}
    indexes = {f"opensearch-{name.removeprefix(PREFIX)}": t for name, t in templates().items()}
    names = [*avro, *indexes, "fields"]
    wanted = arguments.name
    if wanted is None:
        for name in names:
            print(name)
    elif wanted in avro:
        print(avro[wanted].read_text("utf-8"), end="")
    elif wanted in indexes:
        print(orjson.dumps(indexes[wanted], option=orjson.OPT_INDENT_2).decode())
    elif wanted == "fields":
        print(field_table(), end="")
    else:
        raise ArgumentError(f"no schema {wanted!r}; there is {', '.join(names)}")
    return 0


def _config(arguments: argparse.Namespace) -> int:
    if arguments.name is None:
        print(example(), end="")
    else:
        config = load(Path(arguments.name))
        config.plan()
        counts = (
            f"{len(config.inputs)} inputs, {len(config.principals)} principals, "
            f"{len(config.active()) + len(config.active_estates())} detectors"
        )
        print(f"{arguments.name}: {counts}; nothing wrong")
    return 0


def _broker_logging(_: argparse.Namespace) -> int:
    for file in sorted((files("pipeline") / "broker_logging").iterdir(), key=str):
        print(file.read_text("utf-8"), end="")
    return 0
