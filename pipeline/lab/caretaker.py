"""A folder for a while, which goes when all who use it have gone, however they end.

Who makes it removes it: a process of its own, this file, which waits at a pipe. The other end is
held by the process that asked, and by every server that it starts meanwhile (`leash.held`). When
the last of them has ended, in whatever order and be it by `kill -9`, there is nobody left who
writes into the folder.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from pipeline.lab.addresses import remove_left
from pipeline.lab.leash import held

_PREFIX = "auditstream-lab-"
_GRACE_S = 30.0
_MAIN = f"from {__name__} import main; main()"


class Caretaker:
    """`folder` is this user's alone. On leaving the context it is gone, if all servers are."""

    def __init__(self) -> None:
        # -P: whatever lies in the working directory is not ours.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # An interrupt from the keyboard is not for it.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stack = ExitStack()
        self._stack.enter_context(self._process.stdout)
        self.folder = Path(self._process.stdout.readline().decode().rstrip("\n"))
        self._stack.enter_context(held(self._process.stdin.fileno()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        # A server that does not end is waited for there, not here.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)


def main() -> None:
    """Make the folder, say where it is, and remove it at the end of standard input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    sys.stdout.write(f"{folder}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    shutil.rmtree(folder, ignore_errors=True)
    remove_left()
