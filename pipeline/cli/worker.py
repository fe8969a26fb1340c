"""``auditstream worker``: the engine as a Faust worker in a consumer group."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

from pipeline.config import load
from pipeline.errors import ArgumentError

ROLES: Final = ("ingest", "detect")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "worker",
        help="work on the stream: read raw topics, detect",
        description="Work on the stream until interrupted. Any number of workers share the work. "
        "`auditstream topics apply` makes the topics first.",
    )
    p.set_defaults(run=_run)
    p.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")
    p.add_argument(
        "--role",
        default=",".join(ROLES),
        metavar="ROLE[,ROLE]",
        help="ingest: raw topics to events; detect: events to findings and changes; default: both",
    )


def _run(arguments: argparse.Namespace) -> int:
    roles = tuple(dict.fromkeys(arguments.role.split(",")))
    for role in roles:
        if role not in ROLES:
            raise ArgumentError(f"--role {role}: there is {', '.join(ROLES)}")
    config = load(arguments.config)
    # Faust takes a second to import, which no other command should cost.
    from pipeline.runtimes.kafka.workers import work

    if config.kafka.folder:
        return work(config, roles, Path(config.kafka.folder))
    with tempfile.TemporaryDirectory(prefix="auditstream-") as folder:
        return work(config, roles, Path(folder))
