"""The broker of docker-compose.yml with its rights, and what ships to it: the same events each way.

A real broker, started by deploy/kafka/start.sh from deploy/kafka/server.properties, to which only
certificates of deploy/setup/identities.sh are let in; rsyslog and Filebeat where they are installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.batch import Record, Stream
from pipeline.collectors.raw_records import received
from pipeline.config import Config, load
from pipeline.lab.kafka import Settings
from pipeline.runtimes.kafka.connection import client
from tests.commands import auditstream, start
from tests.deploy.broker import (
    DEPLOY,
    PARTITIONS,
    Broker,
    Shipper,
    filebeat,
    make_identities,
    rsyslog,
)
from tests.feed import Fed, feed, records, stream
from tests.logs import START, decision
from tests.runtimes.kafka.running import eventually
from tests.stages import carriers

TOPIC = "audit.raw.auto"
HOST = "broker-1"
MODULES = ("/usr/lib/*/rsyslog", "/usr/lib64/rsyslog", "/usr/lib/rsyslog")


def program(name: str) -> str:
    """Where a program is, or empty."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def has_module() -> bool:
    """Whether rsyslog's module for Kafka is here."""
    folders = (Path("/").glob(pattern[1:]) for pattern in MODULES)
    return any((folder / "omkafka.so").exists() for found in folders for folder in found)


SHIPPERS = [
    pytest.param(
        "rsyslogd",
        rsyslog,
        marks=pytest.mark.skipif(
            not (program("rsyslogd") and has_module()),
            reason="no rsyslog with its Kafka module here (Debian: rsyslog, rsyslog-kafka)",
        ),
        id="rsyslog",
    ),
    pytest.param(
        "filebeat",
        filebeat,
        marks=pytest.mark.skipif(not program("filebeat"), reason="no Filebeat here"),
        id="filebeat",
    ),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker, with the rights and topics that docker-compose.yml makes."""
    folder = tmp_path_factory.mktemp("deployed")
    make_identities(folder / "identities")
    with Broker(folder / "broker", folder / "identities") as broker:
        assert " rights given, 0 were there." in give_rights(broker)
        config = broker.configuration("auditstream.toml", "topics")
        done = auditstream("topics", "apply", "--config", config, cwd=folder)
        assert done.returncode == 0, done.stderr
        yield broker


def give_rights(broker: Broker) -> str:
    """Run what docker-compose.yml runs for it; what it said."""
    config = broker.configuration("auditstream.toml", "admin")
    command = [sys.executable, str(DEPLOY / "setup" / "acls.py"), str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def configured(broker: Broker, identity: str) -> Config:
    return load(broker.configuration("auditstream.toml", identity))


def lines(first: int, count: int) -> list[str]:
    """Decisions, and what a careless carrier would lose: tabs, quotes, blanks, other scripts."""
    odd = ('a\ttab "quoted" back\\slash', "ünïcödé ✓", "  blanks  ", "/slashes/ <&>")
    return [
        decision(
            START + timedelta(seconds=number),
            f"User:app{number}",
            allowed=bool(number % 3),
            resource=f"Topic:LITERAL:t-{number}-{odd[number % len(odd)]}",
        )
        for number in range(first, first + count)
    ]


# Whom it lets in.


def test_nobody_gets_in_without_a_certificate(broker: Broker) -> None:
    settings: Settings = {
        "bootstrap.servers": broker.address,
        "security.protocol": "SSL",
        "ssl.ca.location": str(broker.identities / "index" / "ca.pem"),
        "log_level": 0,
    }
    with pytest.raises(KafkaException):
        AdminClient(settings).list_topics(timeout=3)


def test_rights_are_those_that_plan_prints_and_given_once(broker: Broker) -> None:
    assert give_rights(broker).startswith("0 rights given, ")
    denied: list[KafkaError | None] = []
    producer = Producer(client(configured(broker, "index").kafka))
    producer.produce(TOPIC, b"x", on_delivery=lambda error, _: denied.append(error))
    producer.flush(60)
    (error,) = denied
    assert error is not None
    assert error.name() == "TOPIC_AUTHORIZATION_FAILED"


# What is shipped.


def shipped(broker: Broker, file: Path) -> list[Message]:
    """The raw records of a file, as they lie in their partition."""
    settings = {"group.id": "auditstream-ingest", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer(client(configured(broker, "ingest").kafka) | settings)
    there = consumer.list_topics(TOPIC, 60).topics[TOPIC].partitions
    consumer.assign([TopicPartition(TOPIC, number, 0) for number in there])
    found: list[Message] = []
    left, deadline = set(there), time.monotonic() + 120
    while left:
        assert time.monotonic() < deadline, f"{left} did not come to their end"
        for message in consumer.consume(1_000, 0.5):
            if message.error() is not None:
                left.discard(message.partition() or 0)
            elif message.key() == f"{HOST}{file}".encode():
                found.append(message)
    consumer.close()
    return found


def told(broker: Broker, messages: Sequence[Message]) -> Fed:
    """What the engine makes of raw records."""
    raw = configured(broker, "ingest").kafka.raw_topic(TOPIC)
    assert raw is not None
    found: dict[Stream, list[Record]] = {}
    for message in messages:
        headers: Any = message.headers()
        one = received(
            raw, TOPIC, message.partition() or 0, message.key(), message.value(),
            headers, message.offset() or 0,
        )  # fmt: skip
        found.setdefault(one.stream, []).append(one.record)
    ((where, those),) = found.items()
    return feed([those[:7], those[7:]], where)


@pytest.mark.parametrize(("name", "command"), SHIPPERS)
def test_a_shipper_keeps_order_host_file_and_offset(
    broker: Broker, tmp_path: Path, name: str, command: object
) -> None:
    """Whichever shipper brings a line, and however often, it is the same event."""
    log = tmp_path / "logs" / "kafka-authorizer.log"
    log.parent.mkdir()
    those = lines(0, 60)
    log.write_text("\n".join(those[:40]) + "\n" + those[40][:50])
    folder = tmp_path / "shipper"
    assert callable(command)
    files = str(log.parent / "*.log")
    with Shipper(folder, command(folder, program(name)), broker, HOST, files) as shipper:
        eventually(lambda: len(shipped(broker, log)) == 40, f"forty lines: {shipper.said}", 120)
        with log.open("a") as file:
            file.write(those[40][50:] + "\n" + "\n".join(those[41:]) + "\n")
        eventually(lambda: len(shipped(broker, log)) == 60, f"sixty lines: {shipper.said}", 120)
    messages = shipped(broker, log)
    assert len({message.partition() for message in messages}) == 1
    events = told(broker, messages).events
    from_file = feed([records(those)], stream(cluster="compose", host=HOST)).events
    assert [event.raw for event in events] == [event.raw for event in from_file]
    assert [event.host for event in events] == [HOST] * 60
    carried = [
        carriers.vector(line, record.position, host=HOST, file=str(log))
        for line, record in zip(those, records(those), strict=True)
    ]
    again = feed([records(carried)], stream(cluster="compose")).events
    assert [event.id for event in events] == [event.id for event in again]


def test_a_line_as_long_as_any_is_shipped_whole(broker: Broker, tmp_path: Path) -> None:
    if not (program("rsyslogd") and has_module()):
        pytest.skip("no rsyslog with its Kafka module here (Debian: rsyslog, rsyslog-kafka)")
    log = tmp_path / "logs" / "server.log"
    log.parent.mkdir()
    long = decision(START, "User:" + "a" * 450_000)
    log.write_text(f"{long}\n{lines(1, 1)[0]}\n")
    folder = tmp_path / "shipper"
    command = rsyslog(folder, program("rsyslogd"))
    with Shipper(folder, command, broker, HOST, str(log)) as shipper:
        eventually(lambda: len(shipped(broker, log)) == 2, f"two lines: {shipper.said}")
    first, _ = told(broker, shipped(broker, log)).events
    assert first.raw == long.encode()


# What `collect` ships, and a worker reads.


def test_a_worker_with_its_certificate_reads_what_collect_sent(
    broker: Broker, tmp_path: Path
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "kafka-authorizer.log").write_text("\n".join(lines(0, 30)) + "\n")
    config = broker.configuration("collect.toml", "collect")
    text = config.read_text().replace("/var/log/kafka", str(tmp_path / "logs"))
    config.write_text(text)
    sent = auditstream("collect", "--config", config, cwd=tmp_path)
    assert sent.returncode == 0, sent.stderr

    def is_read() -> bool:
        """Whether the group of role `ingest` has committed all there is of the raw topic."""
        settings = client(configured(broker, "ingest").kafka) | {"group.id": "auditstream-ingest"}
        asked = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        with closing(Consumer(settings)) as consumer, suppress(KafkaException):
            ends = [consumer.get_watermark_offsets(each, 20)[1] for each in asked]
            committed = [max(each.offset, 0) for each in consumer.committed(asked, 20)]
            return any(ends) and committed == ends
        return False

    worker = start(
        "worker", "--role", "ingest", "--config",
        broker.configuration("auditstream.toml", "ingest"), cwd=tmp_path,
    )  # fmt: skip
    try:
        eventually(is_read, "the worker to commit all of it", 120, 0.3)
    finally:
        worker.terminate()
        _, errors = worker.communicate(timeout=120)
    assert worker.returncode == 0, errors
