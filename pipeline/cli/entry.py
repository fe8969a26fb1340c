"""Where the command begins, before any library is loaded."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command; returns its exit status.

    Until all is loaded an interrupt ends the process as any signal does, without an exception:
    orjson (3.11) brings the process down where one is raised while it is being loaded.
    """
    told = signal.getsignal(signal.SIGINT)
    if told is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pipeline.cli import main as command

    command.groups(sys.argv[1:])
    signal.signal(signal.SIGINT, told)
    return command.main()
