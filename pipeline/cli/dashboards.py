"""``auditstream dashboards export | apply``: what people look at in OpenSearch Dashboards."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from pipeline.cli.present import clean, notice
from pipeline.cli.stores import of_environment
from pipeline.config import Config, load
from pipeline.errors import ArgumentError
from pipeline.storage import Dashboards, days_by_class

USERNAME: Final = "AUDITSTREAM_DASHBOARDS_USERNAME"
PASSWORD: Final = "AUDITSTREAM_DASHBOARDS_PASSWORD"
CA: Final = "AUDITSTREAM_DASHBOARDS_CA"

_LOGIN: Final = (
    "As whom, [dashboards] of the configuration says, or the environment: "
    f"{USERNAME}, {PASSWORD} and, where the system does not trust its certificate, {CA}: "
    "a file of the authorities to trust."
)
_SUFFIX: Final = ".ndjson"
_LONGEST_WAIT_S: Final = 3600


def add(commands: Any) -> None:
    """Add the command's arguments."""
    said = "pages for OpenSearch Dashboards: SOC, responder, auditor, and the evidence of one id"
    p = commands.add_parser("dashboards", help=said, description=f"P{said[1:]}.")
    verbs = p.add_subparsers(dest="verb", metavar="VERB", required=True)
    said = "write the saved objects as NDJSON, for Dashboards Management > Saved objects > Import"
    export = verbs.add_parser("export", help=said, description=f"W{said[1:]}.")
    export.set_defaults(run=_export)
    export.add_argument(
        "--out", type=Path, metavar="F", help=f"where to; its name ends in {_SUFFIX}; else printed"
    )
    said = "put the saved objects into OpenSearch Dashboards, over those of an earlier time"
    apply = verbs.add_parser("apply", help=said, description=f"P{said[1:]}.", epilog=_LOGIN)
    apply.set_defaults(run=_apply)
    apply.add_argument(
        "--url", help="where it is: https://HOST:5601, with its base path; default: dashboards.url"
    )
    apply.add_argument(
        "--tenant", help="the security plugin's tenant: a name, or global; default: the login's own"
    )
    apply.add_argument(
        "--wait",
        type=_seconds,
        default=0,
        metavar="SECONDS",
        help="how long to try again while it starts; default: not at all",
    )
    for verb in (export, apply):
        verb.add_argument("--config", type=Path, metavar="F", help="see `auditstream config`")


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LONGEST_WAIT_S):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to an hour")
    return int(text)


def _objects(config: Config) -> bytes:
    from dashboards.saved_objects import ndjson

    return ndjson(days=days_by_class(config.retention))


def _export(arguments: argparse.Namespace) -> int:
    out: Path | None = arguments.out
    if out is not None and out.suffix != _SUFFIX:
        raise ArgumentError(
            f"--out {out}: OpenSearch Dashboards imports files whose name ends in {_SUFFIX} alone"
        )
    said = _objects(load(arguments.config))
    if out is None:
        sys.stdout.buffer.write(said)
        return 0
    out.write_bytes(said)
    lines = said.count(b"\n")
    print(f"{lines} saved objects in {clean(str(out))}: Dashboards Management > Saved objects")
    return 0


def _apply(arguments: argparse.Namespace) -> int:
    from dashboards.importing import place, put

    config = load(arguments.config)
    where = place(_login(config.dashboards, arguments.url, arguments.tenant))
    count = put(where, _objects(config), arguments.wait, notice)
    print(clean(f"{count} saved objects in {where}: open Dashboards, and look for auditstream"))
    return 0


def _login(said: Dashboards, url: str | None, tenant: str | None) -> Dashboards:
    """How it is reached: as the arguments and the configuration say, else as the environment."""
    update = of_environment(said, USERNAME, PASSWORD, CA)
    if url is not None:
        update["url"] = url
    if tenant is not None:
        update["tenant"] = tenant
    return said.model_copy(update=update)
