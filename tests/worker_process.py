"""A worker of a test in a process of its own, started again where a stall put it out."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.lab.leash import Leash

WORKER = Path(__file__).parent / "runtimes" / "kafka" / "dying.py"
_PUT_OUT = (
    "UNKNOWN_MEMBER_ID", "UnknownMemberIdError", "ILLEGAL_GENERATION", "IllegalGenerationError",
    "offsets were not committed", "FENCED", "INVALID_PRODUCER_EPOCH", "_TIMED_OUT", "nobody answers",
)  # fmt: skip
"""What a worker says that was away, or alone, for longer than its group, its transaction or it
itself waits."""


class Running:
    """A worker process.

    Attributes:
        starts: how often it was started.
    """

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        folder.mkdir()
        self._output = folder / "output.log"
        self._command = [sys.executable, str(WORKER), json.dumps(options)]
        # Who was told to die or was disturbed may end for that.
        self._left = 0 if "die" in options else 2
        self.starts = 0
        self._start()

    def _start(self) -> None:
        self.starts += 1
        self.process = Leash(self._command, output=self._output, grace_s=120)

    def keep_up(self, *more: str) -> None:
        """Start it again where it was put out of its group though nobody disturbed it, or ended
        saying any of `more`, as what runs it would."""
        if self._left and self.ended() and any(why in self.said for why in (*_PUT_OUT, *more)):
            self._left -= 1
            self.process.kill()
            self._start()

    @property
    def said(self) -> str:
        return self._output.read_text("utf-8", "replace")

    def ended(self) -> bool:
        """Whether it runs no more."""
        return not self.process.running

    def signal(self, number: signal.Signals) -> None:
        self._left = 0
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        self._left = 0
        return self.process.stop()
