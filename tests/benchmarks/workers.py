"""`auditstream worker` on a stream of its own, as it is measured: from outside."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.config import Config, load
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.connection import client
from tests.benchmarks.load import PARTITIONS
from tests.commands import SCRIPT, auditstream

_LOOK_S = 0.05
_PATIENCE_S = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Sample(NamedTuple):
    """How far a worker was at a time: records committed, and seconds of CPU spent."""

    time: float
    records: int
    cpu_s: float


class Stream:
    """Topics of its own, on a broker.

    Args:
        folder: one of its own; its name is the stream's.
        raw: topics to read beside its own, with their source.
        more: TOML of further sections.
        prefix: of its topics, if another stream's are read.
    """

    def __init__(
        self,
        kafka: Kafka,
        folder: Path,
        raw: Mapping[str, str] | None = None,
        more: str = "",
        prefix: str = "",
    ) -> None:
        folder.mkdir()
        self.name, self._folder = folder.name, folder
        (folder / "password").write_text(kafka.users["admin"])
        settings = {
            "brokers": kafka.bootstrap(), "prefix": prefix or self.name, "group": self.name,
            "partitions": PARTITIONS, "replication": 1, "session_s": 6, "folder": str(folder),
        }  # fmt: skip
        lines = ["[kafka]", *(f"{name} = {json.dumps(said)}" for name, said in settings.items())]
        for topic, source in (raw or {}).items():
            lines += ["[[kafka.raw]]", f'topic = "{topic}"', f'source = "{source}"']
        lines += [
            "[kafka.sasl]", 'mechanism = "SCRAM-SHA-256"', 'username = "admin"',
            f'password_file = "{folder / "password"}"', more,
        ]  # fmt: skip
        self.path = folder / "auditstream.toml"
        self.path.write_text("\n".join(lines), "utf-8")
        self.config: Config = load(self.path)
        self.client: dict[str, Any] = client(self.config.kafka)
        done = auditstream("topics", "apply", "--config", self.path, cwd=folder)
        assert done.returncode == 0, done.stderr

    def topic(self, name: str) -> str:
        """The full name of one of its topics."""
        return self.config.kafka.topic(name)

    @contextmanager
    def worker(self, roles: str) -> Iterator[subprocess.Popen[bytes]]:
        """The command, as it is run anywhere."""
        with (self._folder / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [SCRIPT, "worker", "--config", str(self.path), "--role", roles],
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def committed(self, role: str, topic: str) -> Iterator[Callable[[], int]]:
        """Asks how many records of a topic a role has committed."""
        consumer = Consumer({**self.client, "group.id": f"{self.name}-{role}", "log_level": 0})
        places = [TopicPartition(topic, p) for p in range(PARTITIONS)]

        def ask() -> int:
            try:
                return sum(max(p.offset, 0) for p in consumer.committed(places, 10))
            except KafkaException:
                return 0

        yield ask
        consumer.close()

    def end(self, topic: str) -> int:
        """How many records have been sent to a topic."""
        consumer = Consumer({**self.client, "group.id": f"{self.name}-ends", "log_level": 0})
        places = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        sent = sum(consumer.get_watermark_offsets(place, 60)[1] for place in places)
        consumer.close()
        return sent

    def measured(self, roles: str, role: str, topic: str, expected: int) -> dict[str, float]:
        """Work off a topic; from the first commit to the last, so without what starting costs."""
        with self.worker(roles) as process, self.committed(role, topic) as ask:
            first = last = Sample(0, 0, 0)
            deadline = time.monotonic() + _PATIENCE_S
            while last.records < expected:
                time.sleep(_LOOK_S)
                last = Sample(time.monotonic(), ask(), cpu_s(process.pid))
                if last.records and not first.records:
                    first = last
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (self._folder / "worker.log").read_text("utf-8", "replace")
                    raise RuntimeError(
                        f"{last.records:,} of {expected:,} committed: {said[-2000:]}"
                    )
            records = last.records - first.records
            return {
                "rate": records / (last.time - first.time),
                "cpu_us": (last.cpu_s - first.cpu_s) / records * 1e6,
                "memory": memory(process.pid, "VmHWM"),
            }


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has spent, in all its threads (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int, name: str = "VmRSS") -> int:
    """Bytes: resident now (`VmRSS`), or at most so far (`VmHWM`)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
