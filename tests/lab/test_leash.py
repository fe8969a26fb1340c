"""No process outlives whoever started it, also where that is interrupted while it starts it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from uuid import uuid4

import pytest

from pipeline.lab.leash import Leash
from tests.runtimes.kafka.running import eventually


class Interrupted(Exception):
    """What a signal leads to, as KeyboardInterrupt."""


def running(mark: str) -> bool:
    """Whether a process has such an argument."""
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


# Interrupted within Popen itself nobody is left to wait for it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_whoever_is_interrupted_while_it_starts_one_leaves_none(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted

    mark, interrupted = str(uuid4()), 0
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for hundredths in range(1, 16):
            signal.setitimer(signal.ITIMER_REAL, hundredths / 100)
            try:
                leash = Leash(["sleep", "600", mark], output=tmp_path / "output.log")
                signal.setitimer(signal.ITIMER_REAL, 0)
                leash.stop()
            except Interrupted:
                interrupted += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted
    eventually(lambda: not running(mark), "all of them to end")


def test_what_has_ended_can_be_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leash = Leash(["true"], output=tmp_path / "output.log")
    # As where it has ended, and its supervisor has not yet.
    monkeypatch.setattr(Leash, "running", True)
    assert leash._supervisor.wait(60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(leash.pid, 0)
    assert leash.kill() == 0
