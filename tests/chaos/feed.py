"""What chaos is fed with: logs of several brokers, the incident, and some trail twice."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from tests.benchmarks.trails import trail_lines
from tests.commands import start
from tests.logs import broker_lines, write
from tests.streams import StreamOn

INCIDENT = Path(__file__).parents[2] / "pipeline" / "incident"
_SHARES = (("a", 1, 0.4), ("a", 2, 0.25), ("b", 3, 0.2), ("b", 4, 0.13))
"""Cluster, seed and share of each broker. What is left over is trail."""
_TORN = b"\xff not UTF-8\n[2026-11-21 10:00:00,000] INFO torn"


def inputs(folder: Path, records: int) -> str:
    """Write them; the configuration that names them.

    Two brokers each are of one cluster, so that what concerns one key is in several partitions.
    """
    folder.mkdir()
    said = (INCIDENT / "auditstream.toml").read_text("utf-8")
    said = said.replace('path = "', f'path = "{INCIDENT}/')
    for cluster, seed, share in _SHARES:
        path = folder / f"broker-{seed}.log"
        write(path, broker_lines(int(records * share), seed=seed))
        path.write_bytes(path.read_bytes() + _TORN)
        said += _input(path, f"kafka-{cluster}")
    # Delivered twice in part, as trails are: the second time a record is a duplicate.
    trail = [*trail_lines(max(9, int(records * 0.012)))]
    third = len(trail) // 3
    for number, lines in ((1, trail[: 2 * third]), (2, trail[third:])):
        said += _input(write(folder / f"trail-{number}.json", lines), "aws")
    return said


def _input(path: Path, cluster: str) -> str:
    return f'\n[[inputs]]\npath = "{path}"\ncluster = "{cluster}"\nzone = "UTC"\n'


class Collector:
    """`auditstream collect`, killed now and then; it sends the inputs to the raw topics."""

    def __init__(self, stream: StreamOn) -> None:
        self._stream = stream
        self._process: subprocess.Popen[str] | None = None
        self.done = False
        self.complaints: list[str] = []
        self._not_before = 0.0
        self._waiting = False

    def start(self) -> None:
        """Start it, where it was."""
        arguments = ("collect", "--config", str(self._stream.path))
        self._process = start(*arguments, cwd=self._stream.folder)
        self._waiting = False

    def pace(self, *, go: bool) -> None:
        """Have it wait, or go on."""
        if self._process is not None and go is self._waiting:
            self._waiting = not go
            self._process.send_signal(signal.SIGCONT if go else signal.SIGSTOP)

    def kill(self) -> bool:
        """Kill it; whether it was at work."""
        self.tend()
        if self._process is None:
            return False
        self._process.kill()
        self._process.communicate()
        self._process = None
        return True

    def tend(self) -> None:
        """See whether it has ended; start it again where it failed."""
        if self._process is not None and self._process.poll() is not None:
            _, said = self._process.communicate()
            self.done = self._process.returncode == 0
            self._process = None
            if not self.done:
                self.complaints.append(said.strip()[-300:])
                self._not_before = time.monotonic() + 1
        if self._process is None and self._not_before and time.monotonic() > self._not_before:
            self._not_before = 0.0
            self.start()
