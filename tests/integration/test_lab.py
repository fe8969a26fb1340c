"""``auditstream lab`` as people run it: what it finds, how it is reached, and that nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.registry import detectors
from tests.commands import SCRIPT

pytestmark = pytest.mark.integration

PATIENCE_S = 280
"""What anybody's first time may take, the jars being there or not."""
LONGEST_DELAY_S = 300
"""On machines that do much else at the same time."""


class Lab:
    """One that runs, in an empty folder. Whatever it makes must be in `temporary`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.temporary, empty = folder / "temporary", folder / "empty"
        self.temporary.mkdir()
        empty.mkdir()
        self._said, self._printed = folder / "said", folder / "printed"
        with self._said.open("wb") as said, self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [SCRIPT, "lab", *arguments],
                cwd=empty,
                env={**os.environ, "TMPDIR": str(self.temporary)},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=said,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def printed(self) -> str:
        return self._printed.read_text()

    def awaits(self, phrase: str) -> None:
        """Wait until it says so."""
        eventually(lambda: phrase in self.said or self.process.poll() is not None, PATIENCE_S)
        assert phrase in self.said, self.said

    def ends(self, number: signal.Signals) -> int:
        """Send it a signal; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def shippers(self) -> set[int]:
        """The processes that ship the broker's logs."""
        listed = subprocess.check_output(["ps", "-Awwo", "pid,command"], text=True).splitlines()
        ours = [line for line in listed if str(self.temporary) in line and "--follow" in line]
        return {int(line.split()[0]) for line in ours}

    def left(self) -> list[str]:
        """What there still is of it: files, and processes that know them."""
        files = [str(path) for path in self.temporary.iterdir()]
        listed = subprocess.check_output(["ps", "-Awwo", "command"], text=True)
        return files + [line for line in listed.splitlines() if str(self.temporary) in line]


def eventually(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Lab]:
    lab = Lab(folder, *arguments)
    try:
        yield lab
    finally:
        lab.process.kill()
        lab.process.wait()


def test_every_detector_finds_its_part_and_anybody_can_look_around(tmp_path: Path) -> None:
    with started(tmp_path, "--keep", "--summary", "json") as lab:
        lab.awaits("Ctrl-C stops it")
        found = json.loads(lab.printed)
        _is_sane(found)
        _is_reached(lab, found)
        _survives_its_shipper(lab)
        assert lab.ends(signal.SIGINT) == 0, lab.said
        assert lab.left() == []
    assert "Traceback" not in lab.said


def _is_sane(found: dict[str, Any]) -> None:
    assert found["silent"] == []
    assert set(found["detectors"]) == set(detectors())
    findings = [finding for one in found["detectors"].values() for finding in one]
    assert found["totals"]["findings"] == len(findings) == len({f["id"] for f in findings})
    assert found["totals"]["events"] > 100
    for finding in findings:
        assert finding["title"], finding
        assert 0 < finding["delay_s"] < LONGEST_DELAY_S, finding
    severities = {name: {f["severity"] for f in one} for name, one in found["detectors"].items()}
    assert severities["audit_principal_misuse"] == {"High"}
    assert "Critical" in severities["unapproved_support_access"]
    assert "Critical" in severities["cloud_guardrail_change"]


def _is_reached(lab: Lab, found: dict[str, Any]) -> None:
    """Whatever is offered to be pasted works, and finds the same."""
    lines = lab.said.splitlines()
    login = next(line for line in lines if line.startswith("export "))
    offered = [line for line in lines if line.startswith("auditstream ")]
    assert len(offered) > 3
    path = f"{Path(SCRIPT).parent}{os.pathsep}{os.environ['PATH']}"
    for command in offered:
        done = subprocess.run(
            ["sh", "-c", f"{login}\n{command}"], capture_output=True, text=True, cwd=lab.temporary,
            env={**os.environ, "PATH": path}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        if " findings " in command:
            ids = {finding["id"] for one in found["detectors"].values() for finding in one}
            assert ids <= {line.split()[-1] for line in done.stdout.splitlines()[1:]}
    [watched] = [line.split()[2] for line in lines if line.startswith("The worker ")]
    address = watched.removesuffix("/metrics,")
    eventually(lambda: _asked(f"{address}/ready").startswith("ready"), 120)
    assert "auditstream_events_total" in _asked(f"{address}/metrics")
    for secret in lab.temporary.glob("*/passwords/*"):
        assert secret.stat().st_mode & 0o077 == 0


def _asked(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return str(answer.read().decode())
    except OSError as error:
        return str(error)


def _survives_its_shipper(lab: Lab) -> None:
    before = lab.shippers()
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    lab.awaits("auditstream collect has ended, and is started again")
    eventually(lambda: bool(lab.shippers() - before), 120)
    assert lab.shippers() - before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_one_that_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as lab:
        # Kafka runs by now, OpenSearch is on its way.
        lab.awaits("auditstream topics apply")
        assert lab.left()
        status = lab.ends(number)
        if number == signal.SIGINT:
            assert status == 130, lab.said
        else:
            # A server that records its classes has 90 s to stop.
            eventually(lambda: not lab.left(), 180)
        assert lab.left() == []
    assert lab.printed == ""
    assert "Traceback" not in lab.said
