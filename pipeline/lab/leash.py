"""A server process that cannot outlive the test run that started it.

The server is the child of a small supervisor, which is this same file run as a script. The
supervisor holds a pipe from the test run: when the pipe closes, for whatever reason, even a
`kill -9` of the test run, it stops the server. It is asked to in the ordinary case too, so
there is one way in which a server ends.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_ERRORS = (" CRITICAL ", " ERROR ", "Exception")
_held: set[int] = set()


class Leash:
    """A running server. `pid` is the server's own process id."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: Path,
        grace_s: int = 15,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command`, with its output and errors appended to the file `output`.

        `grace_s` is how long it may take to stop when asked to, before it is killed. Raises
        `OSError` where the command cannot be run.
        """
        self._grace_s = grace_s
        with output.open("ab") as sink:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", __file__, str(grace_s), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=environment,
                pass_fds=sorted(_held),
                # An interrupt from the keyboard reaches the test run alone, which then stops
                # its servers in its own order.
                start_new_session=True,
            )
        assert self._supervisor.stdout is not None
        try:
            pid = self._supervisor.stdout.readline()
        except BaseException:
            # Whoever is interrupted here has nothing to stop it by: let it hear of that.
            self._close()
            self._reap()
            raise
        if not pid:
            self._reap()
            raise OSError(f"could not start {command[0]}: see {output}")
        self.pid = int(pid)

    @property
    def running(self) -> bool:
        """Whether the server has not ended yet."""
        return self._supervisor.poll() is None

    def wait(self, timeout_s: float) -> int:
        """The exit status of a command that ends by itself; stopped after the time given."""
        try:
            self._supervisor.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return self.stop()
        return self._reap()

    def stop(self) -> int:
        """Stop the server, kill it if it does not; its exit status, or minus the signal."""
        if self.running:
            self._supervisor.terminate()
        return self._reap()

    def kill(self) -> int:
        """Kill the server as the kernel or an operator would, with no chance to tidy up."""
        # It may have ended, and its supervisor not yet.
        with suppress(ProcessLookupError):
            if self.running:
                os.kill(self.pid, signal.SIGKILL)
        return self._reap()

    def _reap(self) -> int:
        # It may be slow to kill it, where the machine stands still.
        status = self._supervisor.wait(self._grace_s + 60)
        self._close()
        return status if status < 128 else 128 - status

    def _close(self) -> None:
        for pipe in (self._supervisor.stdin, self._supervisor.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def held(descriptor: int) -> Iterator[None]:
    """Have every server that is started meanwhile hold this open for as long as it runs.

    Whoever reads the other end of a pipe hears so when the last of them has ended.
    """
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)


def errors(path: Path, start: int = 0) -> list[str]:
    """The lines about what failed that a process wrote from byte `start` of a file on."""
    lines = path.read_bytes()[start:].decode(errors="replace").splitlines()
    # Of what Python says when it is torn down nothing is a reason.
    told = [line for line in lines if not line.startswith("Exception ignored")]
    return [line for line in told if any(word in line for word in _ERRORS)]


def complaints(path: Path) -> str:
    """What a process that failed wrote about it: its errors, else its last lines."""
    return "\n".join(errors(path)[:5] or path.read_text(errors="replace").splitlines()[-10:])


def _supervise(grace_s: int, command: Sequence[str]) -> int:
    """Run the command until it ends, until SIGTERM, or until standard input closes."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)

    def let_go(_signal: int, _frame: object) -> None:
        signal.alarm(grace_s)
        child.terminate()

    signal.signal(signal.SIGALRM, lambda _signal, _frame: child.kill())
    signal.signal(signal.SIGTERM, let_go)

    def watch() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    # Only now may anybody send a signal: before, it would have left the child alone.
    # Whoever started it may have gone by then: the end of its pipe is heard of, and ends the child.
    with suppress(BrokenPipeError):
        sys.stdout.write(f"{child.pid}\n")
        sys.stdout.flush()
    status = child.wait()
    # Where the watching thread still reads, the interpreter would wait for its buffer's lock.
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    _supervise(int(sys.argv[1]), sys.argv[2:])
