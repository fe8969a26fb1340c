"""Workers on a real broker come to what one embedded run comes to, whatever happens to them."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logs import broker_lines, write
from tests.runtimes.kafka.dying import POINTS
from tests.runtimes.kafka.running import eventually
from tests.servers.kafka import Kafka
from tests.streams import QUICK, StreamOn, View, embedded

pytestmark = pytest.mark.integration

INCIDENT = Path(__file__).parents[2] / "pipeline" / "incident"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    folder = tmp_path_factory.mktemp("stream")
    with Kafka(folder, {"admin": "admin-password"}, properties=QUICK) as broker:
        yield broker


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The incident, and beside it two brokers' logs that somebody else's trouble is in."""
    folder = tmp_path_factory.mktemp("inputs")
    said = (INCIDENT / "auditstream.toml").read_text("utf-8")
    said = said.replace('path = "', f'path = "{INCIDENT}/')
    for number in (1, 2):
        path = folder / f"broker-{number}.log"
        write(path, broker_lines(2_000, seed=number))
        path.write_bytes(path.read_bytes() + b"\xff not UTF-8\n[2026-11-21 10:00:00,000] INFO torn")
        said += f'\n[[inputs]]\npath = "{path}"\ncluster = "kafka-{number}"\nzone = "UTC"\n'
    return said


@pytest.fixture(scope="module")
def expected(inputs: str, tmp_path_factory: pytest.TempPathFactory) -> View:
    folder = tmp_path_factory.mktemp("expected")
    config = folder / "auditstream.toml"
    config.write_text(inputs, "utf-8")
    view = embedded(config, folder)
    assert len(view.events) > 3_000
    assert len(view.findings) > 17
    assert len(view.changes) > 30
    assert view.dead_letters
    return view


def test_one_worker_comes_to_the_same(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path
) -> None:
    stream = StreamOn(kafka, tmp_path / "s", "plain", inputs)
    stream.collect()
    with stream.worker("ingest", "detect") as worker:
        stream.finish()
        assert stream.view().differences(expected) == []
        # Each event is there once: what a worker commits, it commits once.
        assert len(stream.rows("events", "audit_event")) == len(expected.events)
        assert worker.stop() == 0, worker.said
    # Sent again, everything is known.
    stream.collect("--progress", str(tmp_path / "forgotten.db"))
    with stream.worker("ingest", "detect"):
        stream.finish()
    assert stream.view().differences(expected) == []
    assert len(stream.rows("events", "audit_event")) == len(expected.events)
    assert sum(row["redelivered"] for row in stream.rows("accounts", "account")) > 3_000


def test_batches_of_any_size_and_workers_of_any_number(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path
) -> None:
    stream = StreamOn(kafka, tmp_path / "s", "small", inputs, partitions=5, batch_records=37)
    with (
        stream.worker("ingest"),
        stream.worker("detect"),
        stream.worker("ingest", "detect") as last,
    ):
        stream.collect()
        stream.finish()
        assert last.stop() == 0, last.said
        assert stream.view().differences(expected) == []


@pytest.mark.parametrize("role", ["ingest", "detect"])
def test_killed_at_every_point_of_a_batch(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path, role: str
) -> None:
    name = f"killed-{role}"
    stream = StreamOn(kafka, tmp_path / "s", name, inputs, batch_records=60)
    stream.collect()
    other = "detect" if role == "ingest" else "ingest"
    with stream.worker(other):
        for turn, point in enumerate(POINTS):
            with stream.worker(role, die=point, turn=1 + turn % 2) as worker:
                eventually(worker.ended, f"death at {point}")
                assert worker.process.kill() == -signal.SIGKILL, worker.said
        with stream.worker(role):
            stream.finish()
    assert stream.view().differences(expected) == []
    if role == "ingest":
        assert len(stream.rows("events", "audit_event")) == len(expected.events)


@pytest.mark.parametrize("role", ["ingest", "detect"])
def test_a_zombie_says_nothing_more(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path, role: str
) -> None:
    stream = StreamOn(kafka, tmp_path / "s", f"zombie-{role}", inputs, batch_records=40)
    stream.collect()
    with stream.worker("ingest", "detect", transaction_ms=60_000) as zombie:
        topic = {"ingest": "events", "detect": "findings"}[role]
        schema = {"ingest": "audit_event", "detect": "finding"}[role]
        eventually(lambda: bool(stream.rows(topic, schema)), "its first batch")
        zombie.signal(signal.SIGSTOP)
        with stream.worker("ingest", "detect"):
            time.sleep(4)
            zombie.signal(signal.SIGCONT)
            stream.finish(150)
            assert stream.view().differences(expected) == []
