"""Workers of `worker.py` against a broker, and what they made of a topic."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from pipeline.lab.kafka import Kafka, Settings
from pipeline.lab.leash import Leash

SCRIPT = Path(__file__).with_name("worker.py")

Position = tuple[int, int]
"""Partition and offset."""


def eventually(
    condition: Callable[[], bool], what: str, timeout_s: float = 120, pause_s: float = 0.05
) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(pause_s)


class Worker:
    """One worker process; `journal` is what it says of its batches."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        folder.mkdir()
        self._folder = folder
        command = [sys.executable, str(SCRIPT), json.dumps(options | {"folder": str(folder)})]
        self.process = Leash(command, output=folder / "output.log", grace_s=120)

    @property
    def said(self) -> str:
        return (self._folder / "output.log").read_text()

    def journal(self, verb: str) -> list[list[str]]:
        path = self._folder / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.split()[1:] for line in lines if line.startswith(verb)]

    def busy(self) -> bool:
        """Whether half of a batch is sent and the other half is not."""
        return len(self.journal("half")) > len(self.journal("done"))

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


class Copying:
    """A topic and the topic that workers copy it to. Inputs are gzip: aiokafka reads it unaided."""

    def __init__(self, kafka: Kafka, folder: Path, name: str, partitions: int = 3, **more: str):
        self.kafka, self.folder, self.name = kafka, folder, name
        self.client: Settings = kafka.client("admin")
        self.admin = AdminClient(self.client)
        self._workers = 0
        self._partitions = range(partitions)
        for topic, configuration in ((f"{name}.in", more), (f"{name}.out", {})):
            new = NewTopic(topic, partitions, 1, config=configuration)
            self.admin.create_topics([new])[topic].result(60)

    @contextmanager
    def worker(self, **more: Any) -> Iterator[Worker]:
        """A worker, killed in the end if it still runs."""
        self._workers += 1
        options = {
            "brokers": self.kafka.bootstrap(),
            "client": self.client,
            "group": self.name,
            "topics": [f"{self.name}.in"],
            "out": f"{self.name}.out",
        }
        worker = Worker(self.folder / f"{self.name}{self._workers}", options | more)
        try:
            yield worker
        finally:
            worker.process.kill()

    def feed(self, values: Iterable[bytes], keys: int = 0, **more: Any) -> None:
        """Produce values, dealt out over the partitions or, if there are `keys`, by key."""
        producer = Producer(self.client | {"linger.ms": 50, "compression.type": "gzip"} | more)
        partitions = len(self._partitions)
        for number, value in enumerate(values):
            where: dict[str, Any] = {"partition": number % partitions}
            if keys:
                where = {"key": b"%d" % (number % keys), "partition": 0}
            producer.produce(f"{self.name}.in", value, **where)
            if number % 10_000 == 0:
                producer.flush()
        producer.flush()

    def meanwhile(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something while there is work, however slow the machine is."""

        def so() -> bool:
            if self.finished():
                self.feed(b"more %d" % number for number in range(2_000))
            return condition()

        eventually(so, what)

    def read(self, suffix: str) -> list[tuple[Position, bytes]]:
        """All there is in a topic now, as any consumer sees it (only what was committed)."""
        topic = f"{self.name}.{suffix}"
        settings = {"group.id": "reader", "enable.partition.eof": True, "log_level": 0}
        consumer = Consumer(self.client | settings | {"isolation.level": "read_committed"})
        left = set(self._partitions)
        consumer.assign([TopicPartition(topic, number, 0) for number in self._partitions])
        found: list[tuple[Position, bytes]] = []
        while left:
            for message in consumer.consume(10_000, 0.2):
                error = message.error()
                if error is None:
                    position = (message.partition() or 0, message.offset() or 0)
                    found.append((position, message.value() or b""))
                elif error.code() == KafkaError._PARTITION_EOF:
                    # One that grows meanwhile says so more than once.
                    left.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
        consumer.close()
        return found

    def copied(self) -> list[Position]:
        """Where the copies came from, in the order in which they lie in each partition."""
        words = (value.split(b" ", 2) for _, value in self.read("out"))
        return [(int(partition), int(offset)) for partition, offset, _ in words]

    def there(self) -> set[Position]:
        """Where the records of the input lie."""
        return {position for position, _ in self.read("in")}

    def ends(self) -> dict[int, int]:
        """By partition, the offset after the last record or marker."""
        consumer = Consumer(self.client | {"group.id": "reader", "log_level": 0})
        asked = [TopicPartition(f"{self.name}.in", number) for number in self._partitions]
        ends = {tp.partition: consumer.get_watermark_offsets(tp, 60)[1] for tp in asked}
        consumer.close()
        return ends

    def committed(self) -> dict[int, int]:
        """By partition, the group's offset; partitions without one left out."""
        # Not the admin client: its request for these ends the process with a segmentation fault
        # when the coordinator has just been restarted (librdkafka in confluent-kafka 2.16.1).
        consumer = Consumer(self.client | {"group.id": self.name, "log_level": 0})
        asked = [TopicPartition(f"{self.name}.in", number) for number in self._partitions]
        found = consumer.committed(asked, 60)
        consumer.close()
        return {tp.partition: tp.offset for tp in found if tp.offset >= 0}

    def finished(self) -> bool:
        """Whether the group has committed everything."""
        # The coordinator may just have been restarted.
        with suppress(KafkaException):
            return self.committed() == {p: end for p, end in self.ends().items() if end}
        return False

    def finish(self, timeout_s: float = 120) -> None:
        eventually(self.finished, f"{self.name} to be copied", timeout_s)

    def repeated(self) -> set[Position]:
        """What was copied more than once; fails if anything was left out or made up."""
        counts = Counter(self.copied())
        assert set(counts) == self.there()
        return {position for position, count in counts.items() if count > 1}


def in_order(positions: Iterable[Position]) -> bool:
    """Whether offsets rise within each partition."""
    by_partition: dict[int, list[int]] = defaultdict(list)
    for partition, offset in positions:
        by_partition[partition].append(offset)
    return all(offsets == sorted(offsets) for offsets in by_partition.values())
