"""``auditstream opensearch plan | apply``: what the stream's store needs in OpenSearch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.cli.present import Column, Row, clean, table
from pipeline.config import Config, load

if TYPE_CHECKING:
    from pipeline.sinks.opensearch_plan import Step


def add(commands: Any) -> None:
    """Add the command's arguments."""
    said = "what the store needs in OpenSearch: index templates, aliases, retention, roles"
    p = commands.add_parser("opensearch", help=said, description=f"W{said[1:]}.")
    verbs = p.add_subparsers(dest="verb", metavar="VERB", required=True)
    said = "say what is there, what would be made or changed, and the least rights of each role"
    plan = verbs.add_parser("plan", help=said, description=said.capitalize() + ".")
    plan.set_defaults(run=_plan)
    plan.add_argument(
        "--roles",
        choices=("table", "bodies"),
        help="the roles alone, as a table or as what PUT _plugins/_security/api/roles/NAME takes; "
        "asks no OpenSearch",
    )
    plan.add_argument("--json", action="store_true", help="the same for programs")
    said = "make and change what is to be; no document is touched, nothing is deleted"
    apply = verbs.add_parser("apply", help=said, description=said.capitalize() + ".")
    apply.set_defaults(run=_apply)
    for verb in (plan, apply):
        verb.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")


def _plan(arguments: argparse.Namespace) -> int:
    from pipeline.sinks.opensearch_roles import roles

    steps = [] if arguments.roles else _steps(load(arguments.config))
    if arguments.json or arguments.roles == "bodies":
        found: Row = dict(roles())
        if arguments.json:
            found = {"roles": found} if arguments.roles else {
                "steps": [_document(step) for step in steps], "roles": found,
            }  # fmt: skip
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return 0
    if not arguments.roles:
        table(map(_row, steps), _STEPS)
        for step in steps:
            for remark in step.remarks:
                print(f"\n{clean(f'{step.what} {step.name}: {remark}')}")
        todo = sum(len(step.deeds) for step in steps)
        nothing = "Nothing else is to be done." if _remarked(steps) else "All is well."
        print(f"\n{todo} to be done: auditstream opensearch apply\n" if todo else f"\n{nothing}\n")
    table(_permissions(roles()), _ROLES)
    return 0


def _steps(config: Config) -> list[Step]:
    from pipeline.sinks.opensearch_client import connect
    from pipeline.sinks.opensearch_plan import plan

    with closing(connect(config.opensearch)) as client:
        return plan(client, config.opensearch, config.retention)


def _apply(arguments: argparse.Namespace) -> int:
    from pipeline.sinks.opensearch_client import connect
    from pipeline.sinks.opensearch_plan import apply

    config, told = load(arguments.config), list[str]()

    def say(said: str) -> None:
        told.append(said)
        print(clean(said), flush=True)

    with closing(connect(config.opensearch)) as client:
        deeds = apply(client, config.opensearch, config.retention, say)
    nothing = "Nothing else was to be done." if told else "All was as it should be; nothing done."
    print(f"{deeds} done." if deeds else nothing)
    return 0


def _remarked(steps: Iterable[Step]) -> bool:
    return any(step.remarks for step in steps)


def _document(step: Step) -> Row:
    return {
        "what": step.what,
        "name": step.name,
        "deeds": [
            {"todo": d.todo, "method": d.method, "path": d.path, "body": d.body}
            for d in step.deeds
        ],
        "remarks": list(step.remarks),
    }  # fmt: skip


def _row(step: Step) -> Row:
    return {
        "what": step.what,
        "name": step.name,
        "todo": "; ".join(deed.todo for deed in step.deeds),
    }


def _permissions(roles: dict[str, Row]) -> Iterator[Row]:
    for name, body in roles.items():
        if body["cluster_permissions"]:
            permitted = ", ".join(body["cluster_permissions"])
            yield {"role": name, "where": "(cluster)", "permitted": permitted}
        for granted in body["index_permissions"]:
            for pattern in granted["index_patterns"]:
                permitted = ", ".join(granted["allowed_actions"])
                yield {"role": name, "where": pattern, "permitted": permitted}


_STEPS: list[Column] = [
    ("WHAT", lambda r: r["what"], 10),
    ("NAME", lambda r: r["name"], 60),
    ("TO BE DONE", lambda r: r["todo"] or "-", 0),
]
_ROLES: list[Column] = [
    ("ROLE", lambda r: r["role"], 24),
    ("INDICES", lambda r: r["where"], 40),
    ("PERMISSIONS", lambda r: r["permitted"], 0),
]
