"""A collector that did not run for a while, as on a machine that slept: all of a file arrives, and
its beginning before what follows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.lab.kafka import Kafka
from tests.integration.test_collect import Place
from tests.logs import authorizer_lines
from tests.runtimes.kafka.running import eventually

HASTY = """
import sys
from functools import partial
import pipeline.runtimes.kafka.collecting as collecting
from pipeline.cli.main import main

collecting.Sending = partial(collecting.Sending, delivery_ms=1000)
sys.exit(main(sys.argv[1:]))
"""
"""The command, with a second in the place of a minute."""
LINES = 120_000


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("suspended"), {"admin": "admin-password"}) as broker:
        yield broker


def test_what_waited_in_a_suspended_collector_is_sent_before_what_follows(
    kafka: Kafka, tmp_path: Path
) -> None:
    place = Place(kafka, tmp_path, "suspended")
    place.make()
    log = tmp_path / "kafka-authorizer.log"
    log.write_text("".join(f"{line}\n" for line in authorizer_lines(LINES)))
    process = subprocess.Popen(
        [sys.executable, "-c", HASTY, "collect", "--config", "c.toml", "--input", f"auto={log}"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        eventually(lambda: place.count() > 0, "records to come")
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3)
        assert place.count() < LINES
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, said
    behind = 0
    records = [one.found for one in place.sent() if not one.found.end]
    for found in records:
        assert found.record.position == behind
        behind = found.behind
    assert len(records) == LINES
