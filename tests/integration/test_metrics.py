"""What a worker says of itself, on a real broker: figures that are the accounts', and its health."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pipeline.lab.addresses import free_ports
from pipeline.lab.kafka import Kafka
from pipeline.lab.leash import Leash
from tests.commands import SCRIPT
from tests.logs import broker_lines, write
from tests.runtimes.kafka.running import eventually
from tests.streams import StreamOn

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stream(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> StreamOn:
    """A stream whose OpenSearch is not there."""
    folder = tmp_path_factory.mktemp("inputs")
    path = folder / "broker.log"
    write(path, broker_lines(2_000, seed=3))
    path.write_bytes(path.read_bytes() + b"\xff not UTF-8\n[2026-11-21 10:00:00,000] INFO torn")
    (nowhere,) = free_ports(1)
    config = (
        f'[[inputs]]\npath = "{path}"\ncluster = "kafka-1"\nzone = "UTC"\n'
        f'[opensearch]\nurl = "http://127.0.0.1:{nowhere}"\n'
    )
    return StreamOn(kafka, folder / "s", "metrics", config, partitions=2, session_s=30)


class Watched:
    """The command, and what it answers."""

    def __init__(self, stream: StreamOn, *roles: str) -> None:
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        self.output = stream.folder / f"{'-'.join(roles)}.log"
        command = [
            sys.executable, str(SCRIPT), "worker", "--config", str(stream.path), "--role",
            ",".join(roles), "--log", "json", "--metrics", f"127.0.0.1:{port}",
        ]  # fmt: skip
        self.process = Leash(command, output=self.output, grace_s=120)

    def get(self, page: str) -> tuple[int, str]:
        """Status and body; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"{self._url}/{page}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def says(self, page: str, status: int, text: str = "") -> Callable[[], bool]:
        def said() -> bool:
            found, body = self.get(page)
            return found == status and text in body

        return said

    def samples(self, name: str) -> list[Sample]:
        _, body = self.get("metrics")
        families = text_string_to_metric_families(body)
        return [s for family in families for s in family.samples if s.name == f"auditstream_{name}"]

    def total(self, name: str, **labels: str) -> float:
        return sum(s.value for s in self.samples(name) if labels.items() <= s.labels.items())

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        found: Counter[tuple[str, ...]] = Counter()
        for sample in self.samples(name):
            found[tuple(sample.labels[label] for label in labels)] += int(sample.value)
        return {key: count for key, count in found.items() if count}

    def log(self) -> list[dict[str, str]]:
        """Each line of it, which is an object or fails."""
        return [json.loads(line) for line in self.output.read_text("utf-8").splitlines()]


@contextmanager
def worker(stream: StreamOn, *roles: str) -> Iterator[Watched]:
    watched = Watched(stream, *roles)
    try:
        yield watched
    finally:
        watched.process.kill()


@pytest.fixture(scope="module")
def workers(stream: StreamOn) -> Iterator[tuple[Watched, Watched]]:
    """One that detects, and one that indexes into an OpenSearch that is not there."""
    with worker(stream, "ingest", "detect") as first, worker(stream, "index") as second:
        yield first, second


def test_counters_are_what_the_accounts_say(
    stream: StreamOn, workers: tuple[Watched, Watched]
) -> None:
    watched, _ = workers
    eventually(watched.says("ready", 200, "ready"), "it to be ready")
    assert watched.get("live") == (200, "live\n")
    stream.collect()
    stream.finish()
    # A batch is counted behind its commit.
    accounts = stream.account()
    done = lambda: watched.total("items_total") == accounts["items"]  # noqa: E731
    eventually(done, "all to be counted")
    _is_what_the_accounts_say(watched, accounts)
    _is_what_the_topics_hold(watched, stream)
    eventually(lambda: watched.total("lag_records") == 0, "no lag")


def _is_what_the_accounts_say(watched: Watched, accounts: dict[str, object]) -> None:
    outcomes = watched.by("items_total", "outcome")
    filtered, letters = accounts["filtered"], accounts["dead_letters"]
    assert isinstance(filtered, dict)
    assert isinstance(letters, dict)
    assert letters
    assert outcomes == {
        ("event",): accounts["events"],
        ("filtered",): sum(filtered.values()),
        ("dead_letter",): sum(letters.values()),
    }
    assert watched.by("dead_letters_total", "work", "reason") == {
        ("ingest", reason): count for reason, count in letters.items()
    }
    assert watched.total("events_total") == accounts["events"]
    assert watched.total("event_delay_seconds_count", work="ingest") == accounts["events"]


def _is_what_the_topics_hold(watched: Watched, stream: StreamOn) -> None:
    findings = stream.rows("findings", "finding")
    assert findings
    by_detector = Counter((row["detector"], row["status"]) for row in findings)
    said = lambda: watched.by("finding_versions_total", "detector", "status") == by_detector  # noqa: E731
    eventually(said, "all findings to be counted")
    ids = Counter(detector for detector, _ in {(row["detector"], row["id"]) for row in findings})
    assert watched.by("findings_total", "detector") == {(d,): n for d, n in ids.items()}
    assert watched.total("records_total", work="estates") > 0
    assert {s.labels["work"] for s in watched.samples("state_bytes") if s.value > 0} == {
        "ingest", "count", "estates",
    }  # fmt: skip


def test_one_that_waits_for_opensearch_lives_and_says_how_far_it_is_behind(
    stream: StreamOn, workers: tuple[Watched, Watched]
) -> None:
    _, watched = workers
    eventually(watched.says("ready", 503, "index: OpenSearch does not"), "it to say so")
    assert watched.get("live") == (200, "live\n")
    events = stream.config.kafka.topic("events")
    held = stream.holds("events")
    behind = lambda: watched.total("lag_records", topic=events) == held  # noqa: E731
    eventually(behind, "the lag")
    assert held > 0
    # Each of these is looked at once a second.
    eventually(lambda: watched.total("lag_seconds", topic=events) > 0, "the lag in seconds")
    eventually(lambda: watched.total("ready", check="brokers") == 1, "the brokers' answer")
    assert watched.total("ready", check="opensearch") == 0
    assert any("waiting: OpenSearch" in line["message"] for line in watched.log())


def test_brokers_that_go_and_come_back(kafka: Kafka, workers: tuple[Watched, Watched]) -> None:
    watched, other = workers
    kafka.stop()
    try:
        eventually(watched.says("ready", 503, "the brokers do not answer"), "it to say so")
        assert watched.get("live") == (200, "live\n")
        assert watched.total("ready", check="brokers") == 0
    finally:
        kafka.start()
    eventually(watched.says("ready", 200), "it to be ready again")
    eventually(lambda: watched.total("ready") == 4, "all four to be ready")
    assert watched.process.stop() == 0, watched.output.read_text()
    assert other.process.stop() == 0, other.output.read_text()
    # Nothing was lost, and the level says so.
    said = watched.log() + other.log()
    assert {line["level"] for line in said} <= {"INFO", "WARNING"}, said
    assert "Working as metrics-ingest and metrics-detect" in " ".join(s["message"] for s in said)
