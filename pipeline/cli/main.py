"""Arguments, errors and exit statuses of the command ``auditstream``.

Exit status 0: everything read is accounted for, dead letters and unrecognised files included.
1: an input or the store cannot be used. 2: wrong arguments or filter values.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import NoReturn

from pipeline.cli import (
    about,
    changes,
    collect,
    dashboards,
    doctor,
    hold,
    lab,
    opensearch,
    reconcile,
    registry,
    replay,
    retention,
    run,
    show,
    topics,
    worker,
)
from pipeline.cli.present import clean, drop_output
from pipeline.errors import AuditstreamError

_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """argparse whose errors end with where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry `{self.prog} --help`.\n")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = _Parser(
        prog="auditstream",
        description="Turns the audit exhaust of a Kafka estate into detections and evidence.",
        epilog="`auditstream run` alone plays a bundled incident and shows what is found.",
    )
    top.add_argument("--version", action="version", version=f"auditstream {version('auditstream')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in (
        run,
        collect,
        worker,
        topics,
        registry,
        opensearch,
        dashboards,
        reconcile,
        retention,
        hold,
        replay,
        show,
        changes,
        about,
        doctor,
        lab,
    ):
        group.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    for name in ("stdout", "stderr"):
        # Whoever started us may have closed it.
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    if isinstance(sys.stdout, TextIOWrapper):
        # Names are anything, and not every terminal's encoding can say them.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = parser().parse_args(argv)
        status = int(arguments.run(arguments))
        sys.stdout.flush()
        return status
    except AuditstreamError as error:
        _complain(str(error))
        return error.exit_status
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does: nobody is left to tell.
        drop_output()
        return 0
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _complain(f"cannot read or write{where}: {error.strerror or error}")
        drop_output()
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _complain(text: str) -> None:
    for number, line in enumerate(text.split("\n")):
        print(f"{'' if number else 'auditstream: '}{clean(line)}", file=sys.stderr)
