"""Arguments, errors and exit statuses of the command ``auditstream``.

Exit status 0: everything read is accounted for, dead letters and unrecognised files included.
1: an input or the store cannot be used. 2: wrong arguments or filter values.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from types import ModuleType
from typing import Final, NoReturn

from pipeline.cli.present import clean, drop_output
from pipeline.errors import AuditstreamError

_INTERRUPTED = 130

_GROUPS: Final = {
    "run": ("run",),
    "collect": ("collect",),
    "worker": ("worker",),
    "topics": ("topics",),
    "registry": ("registry",),
    "opensearch": ("opensearch",),
    "dashboards": ("dashboards",),
    "reconcile": ("reconcile",),
    "retention": ("retention",),
    "hold": ("hold",),
    "replay": ("replay",),
    "show": ("events", "findings", "dead-letters"),
    "changes": ("changes", "timeline"),
    "about": ("sources", "detectors", "schema", "config", "broker-logging"),
    "doctor": ("doctor",),
    "lab": ("lab",),
}
"""By module beside this one, the commands it adds. To load all takes twice as long as one."""


class _Parser(argparse.ArgumentParser):
    """argparse whose errors end with where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry `{self.prog} --help`.\n")


def groups(argv: Sequence[str]) -> list[ModuleType]:
    """The modules that know these arguments, loaded: one, or all where that cannot be told."""
    asked = argv[0] if argv else ""
    names = [name for name, commands in _GROUPS.items() if asked in commands] or list(_GROUPS)
    return [import_module(f"pipeline.cli.{name}") for name in names]


def parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """What parses these arguments; without any, all there may be."""
    top = _Parser(
        prog="auditstream",
        description="Turns the audit exhaust of a Kafka estate into detections and evidence.",
        epilog="`auditstream run` alone plays a bundled incident and shows what is found.",
    )
    top.add_argument("--version", action="version", version=f"auditstream {version('auditstream')}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in groups(argv):
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
        given = sys.argv[1:] if argv is None else argv
        arguments = parser(given).parse_args(given)
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
