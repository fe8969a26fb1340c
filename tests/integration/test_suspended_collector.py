"""A collector that did not run for a while, as on a machine that slept, or was killed: all of a file
arrives, and its beginning before what follows."""

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
from tests.integration.test_collect import Place, lines, written
from tests.logs import authorizer_lines

SIGNALLED = """
import os, sys
from itertools import count
from pipeline.cli.main import main
from pipeline.runtimes.kafka.collecting import _Outbox

number, last = int(sys.argv.pop(1)), int(sys.argv.pop(1))
put, puts = _Outbox.put, count(1)

def put_and_signal(outbox, *record):
    put(outbox, *record)
    at = next(puts)
    if at == (last + 1) // 2:
        outbox.flush()
    if at == last:
        os.kill(os.getpid(), number)

_Outbox.put = put_and_signal
sys.exit(main(sys.argv[1:]))
"""
"""The command, which sends itself a signal at a record, when half of those before it have arrived."""
HASTY = """
from functools import partial
import pipeline.runtimes.kafka.collecting as collecting

collecting.Sending = partial(collecting.Sending, delivery_ms=1000)
collecting._GRACE_S = 120
"""
"""A second in the place of a minute, and then patience with brokers that stand still."""
LINES, STOPS_AT = 120_000, 40_000


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
        [sys.executable, "-c", HASTY + SIGNALLED, str(int(signal.SIGSTOP)), str(STOPS_AT),
         "collect", "--config", "c.toml", "--input", f"auto={log}"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        time.sleep(3)
        assert place.count() <= STOPS_AT
        os.kill(process.pid, signal.SIGCONT)
        said, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, said
    behind = 0
    records = [one.found for one in place.sent() if not one.found.end]
    for found in records:
        assert found.record.position == behind
        behind = found.behind
    assert len(records) == LINES


def test_a_killed_collector_leaves_nothing_out(kafka: Kafka, tmp_path: Path) -> None:
    place = Place(kafka, tmp_path, "killed")
    place.make()
    count = 25_000
    (place.folder / "a.log").write_bytes(written(*lines(0, count)))
    (place.folder / "b.log").write_bytes(written(*lines(500_000, count)))
    command = ("collect", "--config", "c.toml", "--input", "auto=*.log")
    # The first one sends a line that is sent again for certain.
    for last in ("1", "2500", "5000", "7500"):
        killed = [sys.executable, "-c", SIGNALLED, str(int(signal.SIGKILL)), last, *command]
        done = subprocess.run(killed, cwd=place.folder, timeout=300, check=False)
        assert done.returncode == -signal.SIGKILL
    place.collect("--input", "auto=*.log")
    arrived = place.lines()
    assert sorted(arrived) == sorted([*lines(0, count), *lines(500_000, count)])
    sent = place.sent()
    places = {(e.key, e.headers["audit-stream"], e.headers["audit-offset"]) for e in sent}
    assert len(places) == 2 * count + 2
    assert len(sent) > len(places)
    found = place.run("topic.db", "--input", f"auto=kafka:{place.topic}")
    assert found["events"] == 2 * count
    assert found["duplicates"] == 0
