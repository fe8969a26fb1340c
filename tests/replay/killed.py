"""Replays killed at statements that write: `python -m tests.replay.killed STORE LOG`.

Prints how many statements there are, or fails where one that was killed left something behind. Forked here, where there are
no threads, and not in the tests' own process.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from pipeline.config import Config, Input
from pipeline.runtimes.replay.changing import Replaying
from pipeline.sinks.sqlite_replay import SqliteReplay
from tests.replay.replays import EVERYTHING, ME, NOW
from tests.runtimes.runs import contents

KILLS, NEVER = 10, -1
"""From the first statement to the commit."""


def replay(store: Path, log: Path, last: int) -> None:
    """One that is killed when the statement of this number begins, or the last one, which is then
    counted."""
    begun = 0

    def count(statement: str) -> None:
        nonlocal begun
        begun += 1
        if not last and statement == "COMMIT":
            (store.parent / "statements").write_text(str(begun))
        if begun == last or (not last and statement == "COMMIT"):
            os.kill(os.getpid(), signal.SIGKILL)

    with (
        closing(SqliteReplay(store, read_only=False)) as beside,
        tempfile.TemporaryDirectory(dir=store.parent) as folder,
    ):
        inputs = [Input(path=str(log))]
        replaying = Replaying(Config(), inputs, beside, EVERYTHING, Path(folder), lambda *_: None)
        outcome = replaying.found(lambda: NOW)
        beside.db.set_trace_callback(count)
        replaying.apply(outcome, ME, lambda: NOW)


def held(store: Path) -> str:
    return sha256(repr(contents(store)).encode()).hexdigest()


def killed(store: Path, log: Path, last: int) -> bool:
    """Whether that replay was killed, and left nothing behind."""
    before = held(store)
    child = os.fork()
    if not child:
        replay(store, log, last)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    by_signal = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return by_signal and held(store) == before


def main(store: Path, log: Path) -> int:
    if not killed(store, log, 0):
        return 1
    statements = int((store.parent / "statements").read_text())
    several = range(1, statements, max(1, statements // KILLS))
    if not all(killed(store, log, number) for number in several):
        return 1
    print(statements)
    replay(store, log, NEVER)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
