"""The command ``auditstream``, mostly as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.cli.main import main

SCRIPT = str(Path(sys.executable).with_name("auditstream"))


def auditstream(
    *arguments: str | Path,
    cwd: Path,
    stdin: bytes = b"",
    timeout_s: float = 120,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; what it wrote is text."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        timeout=timeout_s,
        env=environment,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args,
        done.returncode,
        done.stdout.decode("utf-8", "surrogateescape"),
        done.stderr.decode("utf-8", "surrogateescape"),
    )


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start it, to be signalled or killed."""
    return subprocess.Popen(
        [SCRIPT, *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


_SIGNALLED = """
import os, sys
from itertools import count
from pkgutil import resolve_name
from pipeline.cli.main import main

number, call, owner, name = int(sys.argv[1]), int(sys.argv[2]), resolve_name(sys.argv[3]), sys.argv[4]
method, calls = getattr(owner, name), count(1)

def counted(*given):
    if next(calls) == call:
        os.kill(os.getpid(), number)
    return method(*given)

setattr(owner, name, counted)
sys.exit(main(sys.argv[5:]))
"""


def signalled(
    number: signal.Signals, owner: type, method: str, call: int, *arguments: str | Path, cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; it sends itself a signal before such a call of a method, counted from 1.

    Whoever looks and then signals it may find that it has ended by itself.
    """
    at = f"{owner.__module__}:{owner.__qualname__}"
    return subprocess.run(
        [sys.executable, "-c", _SIGNALLED, str(int(number)), str(call), at, method,
         *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def exit_status(*arguments: str | Path) -> int:
    """Of the command in this process: quicker. What it does to signals is undone."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def summary(stdout: str) -> dict[str, Any]:
    """The last line of ``--summary json``; it must balance."""
    found: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    gone = found["duplicates"] + found["filtered"] + found["dead_letters"]
    assert found["items"] == found["events"] + gone
    return found
