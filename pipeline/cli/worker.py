"""``auditstream worker``: the engine as a Faust worker in a consumer group."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pipeline.config import load
from pipeline.errors import ArgumentError
from pipeline.streaming import Metrics

ROLES: Final = ("ingest", "detect", "index")
DEFAULT: Final = ("ingest", "detect")


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "worker",
        help="work on the stream: read raw topics, detect, index",
        description="Work on the stream until interrupted. Any number of workers share the work. "
        "`auditstream topics apply` makes the topics first.",
    )
    p.set_defaults(run=_run)
    p.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")
    p.add_argument(
        "--metrics",
        metavar="ADDRESS",
        help="serve /metrics, /live and /ready at HOST:PORT; default: metrics.listen",
    )
    p.add_argument("--log", choices=("text", "json"), default="text", help="default: text")
    p.add_argument(
        "--role",
        default=",".join(DEFAULT),
        metavar="ROLE[,ROLE]",
        help="ingest: raw topics to events; detect: events to findings and changes; index: all of "
        "these to OpenSearch; default: the first two",
    )


def _run(arguments: argparse.Namespace) -> int:
    roles = tuple(dict.fromkeys(arguments.role.split(",")))
    for role in roles:
        if role not in ROLES:
            raise ArgumentError(f"--role {role}: there is {', '.join(ROLES)}")
    config = load(arguments.config)
    if arguments.metrics is not None:
        try:
            said = Metrics(listen=arguments.metrics)
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ArgumentError(f"--metrics {why}") from None
        config = config.model_copy(update={"metrics": said})
    # Faust takes a second to import, which no other command should cost.
    from pipeline.runtimes.kafka.workers import work

    if config.kafka.folder:
        return work(config, roles, Path(config.kafka.folder), arguments.log)
    with tempfile.TemporaryDirectory(prefix="auditstream-") as folder:
        return work(config, roles, Path(folder), arguments.log)
