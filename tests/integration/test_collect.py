"""Files to raw topics, and from there the same ids as from the files themselves."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from pipeline.batch import Stream
from pipeline.collectors.raw_records import Received, received
from pipeline.lab.kafka import Kafka
from pipeline.streaming import RawTopic
from tests.commands import auditstream, start
from tests.runtimes.kafka.running import eventually

INCIDENT = Path(__file__).parents[2] / "pipeline" / "incident"
BEGIN = datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("collect"), {"admin": "admin-password"}) as broker:
        yield broker


class Sent(NamedTuple):
    """A record of a raw topic as it lies there."""

    key: bytes
    headers: dict[str, bytes]
    found: Received


class Place:
    """A folder with a configuration, and topics of its own."""

    def __init__(self, kafka: Kafka, folder: Path, prefix: str, more: str = "") -> None:
        self.kafka, self.folder, self.prefix = kafka, folder, prefix
        self.admin = AdminClient(kafka.client("admin"))
        (folder / "password").write_text(kafka.users["admin"])
        (folder / "c.toml").write_text(
            f'{more}\n[kafka]\nbrokers = "{kafka.bootstrap()}"\nprefix = "{prefix}"\n'
            '[kafka.sasl]\nmechanism = "SCRAM-SHA-256"\nusername = "admin"\n'
            f'password_file = "{folder / "password"}"\n'
        )

    @property
    def topic(self) -> str:
        return f"{self.prefix}.raw.auto"

    def make(self, topic: str = "", partitions: int = 3) -> None:
        topic = topic or self.topic
        new = NewTopic(topic, partitions, 1, config={"max.message.bytes": str(4 * 1024 * 1024)})
        self.admin.create_topics([new])[topic].result(60)

    def collect(self, *arguments: str | Path) -> dict[str, Any]:
        done = auditstream(
            "collect", "--config", "c.toml", "--summary", "json", *arguments, cwd=self.folder
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def run(self, store: str, *arguments: str | Path) -> dict[str, Any]:
        done = auditstream(
            "run", "--config", "c.toml", "--store", store, "--summary", "json", *arguments,
            cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def held(self, store: str) -> dict[str, list[Any]]:
        """What the store holds."""
        out = {}
        for what in ("events", "findings", "dead-letters", "changes"):
            done = auditstream(what, "--store", store, "--format", "jsonl", cwd=self.folder)
            assert done.returncode == 0, done.stderr
            out[what] = sorted(done.stdout.splitlines())
        return out

    def count(self) -> int:
        """How many records the topic holds; 0 while no broker knows who leads it."""
        consumer = Consumer(self.kafka.client("admin") | {"group.id": "reader", "log_level": 0})
        asked = (TopicPartition(self.topic, number) for number in range(3))
        try:
            return sum(consumer.get_watermark_offsets(each, 20)[1] for each in asked)
        except KafkaException:
            return 0
        finally:
            consumer.close()

    def sent(self) -> list[Sent]:
        """All that lies in the topic, partition by partition."""
        settings = {"group.id": "reader", "enable.partition.eof": True, "log_level": 0}
        consumer = Consumer(self.kafka.client("admin") | settings)
        there = consumer.list_topics(self.topic, 60).topics[self.topic].partitions
        consumer.assign([TopicPartition(self.topic, number, 0) for number in there])
        raw, left, out = RawTopic(topic=self.topic), set(there), []
        deadline = time.monotonic() + 180
        while left:
            assert time.monotonic() < deadline, f"{left} did not come to their end"
            for message in consumer.consume(10_000, 0.2):
                if message.error() is not None:
                    # One that grows meanwhile says so more than once.
                    left.discard(message.partition() or 0)
                    continue
                headers: Any = message.headers() or []
                key, value = message.key(), message.value()
                assert isinstance(key, bytes)
                found = received(
                    raw, self.topic, message.partition() or 0, key, value, headers,
                    message.offset() or 0,
                )  # fmt: skip
                assert found.placed
                out.append(Sent(key, dict(headers), found))
        consumer.close()
        return out

    def lines(self) -> list[bytes]:
        """Lines without ends, each position once, file by file."""
        found: dict[tuple[bytes, int], bytes] = {}
        streams: dict[bytes, Stream] = {}
        for each in self.sent():
            stream, record = each.found.stream, each.found.record
            assert streams.setdefault(each.key, stream) == stream
            if not each.found.end:
                where = stream.origin, record.position
                assert found.setdefault(where, record.value) == record.value
        return list(found.values())


@pytest.fixture
def place(kafka: Kafka, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    name: str = request.node.name.removeprefix("test_")
    there = Place(kafka, tmp_path, name[:80])
    there.make()
    return there


def line(number: int) -> bytes:
    at = (BEGIN + timedelta(milliseconds=number)).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
    return (
        f"[{at}] DEBUG Principal = User:app{number % 50} is Allowed operation = WRITE from host = "
        f"192.0.2.10 on resource = Topic:LITERAL:payments for request = Produce with "
        f"resourceRefCount = 1 based on rule SuperUser (kafka.authorizer.logger)"
    ).encode()


def lines(first: int, count: int) -> list[bytes]:
    return [line(number) for number in range(first, first + count)]


def written(*those: bytes) -> bytes:
    return b"".join(each + b"\n" for each in those)


def test_files_arrive_line_by_line_and_once(place: Place) -> None:
    logs = place.folder / "logs"
    logs.mkdir()
    (logs / "a.log").write_bytes(written(*lines(0, 50)) + b"unfinished")
    (logs / "b.log.gz").write_bytes(gzip.compress(written(*lines(1_000, 40))))
    events = [{"eventTime": "2026-11-21T10:00:00Z", "eventSource": "s3.amazonaws.com",
               "eventVersion": "1.08", "eventName": f"Get{n}", "eventID": f"id-{n}"}
              for n in range(5)]  # fmt: skip
    (logs / "trail.json").write_text(json.dumps({"Records": events}))
    (logs / "picture").write_bytes(bytes(range(256)) * 10)
    found = place.collect("--input", "auto=logs")
    assert found["files"] == 3
    assert found["records"] == 50 + 1 + 40 + 5
    assert found["unrecognised_files"] == ["logs/picture"]
    assert list(found["topics"]) == [place.topic]
    expected = [*lines(0, 50), *lines(1_000, 40)]
    arrived = place.lines()
    assert sorted(each for each in arrived if each.startswith(b"[")) == expected
    documents = [json.loads(each) for each in arrived if each.startswith(b"{")]
    assert [each["eventName"] for each in documents] == [f"Get{n}" for n in range(5)]
    sent = place.sent()
    ends = {e.found.stream.carrier: e.found.record.value for e in sent if e.found.end}
    assert ends == {"logs/a.log": b"unfinished", "logs/b.log.gz": b"", "logs/trail.json": b""}
    assert {e.headers["audit-stream"] for e in sent if b"a.log" in e.headers["audit-stream"]}
    assert all(e.key == b"\0" + e.found.stream.origin.hex().encode() for e in sent)
    assert place.collect("--input", "auto=logs")["records"] == 0
    assert len(place.sent()) == len(sent)


def test_a_grown_file_goes_on_where_it_was(place: Place) -> None:
    log = place.folder / "a.log"
    log.write_bytes(written(*lines(0, 10)) + line(10)[:30])
    place.collect("--input", "auto=a.log")
    with log.open("ab") as file:
        file.write(line(10)[30:] + b"\n" + written(*lines(11, 5)))
    assert place.collect("--input", "auto=a.log")["records"] == 6
    assert place.lines() == lines(0, 16)
    # Renamed and compressed it is the same file.
    log.unlink()
    (place.folder / "a.log.1.gz").write_bytes(gzip.compress(written(*lines(0, 16))))
    assert place.collect("--input", "auto=a.log.1.gz")["records"] == 0
    log.write_bytes(written(*lines(0, 16)))
    place.run("files.db", "--input", "auto=a.log")
    place.run("topic.db", "--input", f"auto=kafka:{place.topic}")
    assert place.held("topic.db") == place.held("files.db")


def test_a_line_too_long_is_sent_as_its_head(place: Place) -> None:
    log = place.folder / "a.log"
    log.write_bytes(written(line(0), line(1) + b"x" * 3_000_000, line(2)))
    place.collect("--input", "auto=a.log")
    long = [e for e in place.sent() if "audit-length" in e.headers]
    assert [(e.found.record.position, e.found.record.length) for e in long] == [
        (len(line(0)) + 1, len(line(1)) + 3_000_000)
    ]
    place.run("files.db", "--input", "auto=a.log")
    found = place.run("topic.db", "--input", f"auto=kafka:{place.topic}")
    assert found["dead_letters_by_reason"] == {"too_long": 1}
    assert place.held("topic.db") == place.held("files.db")


def test_standard_input_is_sent(place: Place) -> None:
    done = auditstream(
        "collect", "--config", "c.toml", "--input", "auto=-", cwd=place.folder,
        stdin=written(*lines(0, 20)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert place.topic in done.stdout
    assert place.lines() == lines(0, 20)


def test_a_file_written_anew_under_its_first_line_is_sent_anew(place: Place) -> None:
    log = place.folder / "a.log"
    log.write_bytes(written(line(0), *lines(10, 20)))
    place.collect("--input", "auto=a.log")
    log.write_bytes(written(line(0), *lines(50, 30)))
    assert place.collect("--input", "auto=a.log")["records"] == 31
    assert [e.found.record.position for e in place.sent() if e.found.anew] == [0]
    # One that is shorter than what was sent is sent beside it, once.
    log.write_bytes(written(line(0), *lines(90, 5)))
    assert place.collect("--input", "auto=a.log")["records"] == 6
    assert place.collect("--input", "auto=a.log")["records"] == 0
    found = place.run("topic.db", "--input", f"auto=kafka:{place.topic}")
    assert found["events"] == 1 + 20 + 30 + 5


def test_growing_files_are_followed_through_rotation_and_truncation(place: Place) -> None:
    log = place.folder / "a.log"
    log.write_bytes(written(*lines(0, 100)))
    process = start(
        "collect", "--config", "c.toml", "--input", "auto=a.log", "--follow", cwd=place.folder
    )
    try:
        eventually(lambda: len(place.lines()) == 100, "what was there")
        with log.open("ab") as file:
            file.write(written(*lines(100, 50)))
        log.rename(place.folder / "a.log.1")
        log.write_bytes(written(*lines(1_000, 30)))
        eventually(lambda: len(place.lines()) == 180, "what came by rotation")
        os.truncate(log, 0)
        with log.open("ab") as file:
            file.write(written(*lines(2_000, 10)))
        eventually(lambda: len(place.lines()) == 190, "what came by truncation")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert "190" in out
    assert sorted(place.lines()) == sorted([*lines(0, 150), *lines(1_000, 30), *lines(2_000, 10)])
    sent = place.sent()
    assert len(sent) == 190
    assert not any(e.found.end for e in sent)


def test_a_second_collector_is_refused(place: Place) -> None:
    (place.folder / "a.log").write_bytes(written(*lines(0, 5)))
    command = ("collect", "--config", "c.toml", "--input", "auto=a.log")
    first = start(*command, "--follow", cwd=place.folder)
    try:
        eventually(lambda: len(place.sent()) == 5, "the first collector")
        second = auditstream(*command, cwd=place.folder)
        assert second.returncode == 1
        assert "another collector keeps its progress in auditstream-collect.db" in second.stderr
    finally:
        first.kill()
        first.communicate()
    # Its lock goes with it, and what it keeps is no input.
    assert place.collect("--input", "auto=.")["unrecognised_files"] == ["c.toml", "password"]


def test_errors_say_what_to_do(kafka: Kafka, tmp_path: Path) -> None:
    place = Place(kafka, tmp_path, "errors")
    (tmp_path / "a.log").write_bytes(written(*lines(0, 5)))
    command = ("collect", "--config", "c.toml", "--input", "auto=a.log")
    missing = auditstream(*command, cwd=tmp_path)
    assert missing.returncode == 1
    assert "no topic errors.raw.auto at " in missing.stderr
    assert "`auditstream topics apply`" in missing.stderr
    unread = auditstream(
        "run", "--config", "c.toml", "--input", "auto=kafka:errors.raw.auto", cwd=tmp_path
    )
    assert unread.returncode == 1
    assert "the topic errors.raw.auto does not exist" in unread.stderr
    configuration = tmp_path / "c.toml"
    said = configuration.read_text()
    configuration.write_text(said.replace(kafka.bootstrap(), "127.0.0.1:1"))
    away = auditstream(*command, cwd=tmp_path)
    assert away.returncode == 1
    assert "no broker of 127.0.0.1:1 can be used" in away.stderr
    assert place.folder.exists()


def test_the_incident_is_found_in_a_topic_as_in_its_files(kafka: Kafka, tmp_path: Path) -> None:
    its = (INCIDENT / "auditstream.toml").read_text()
    for name in ("*.log*", "cloudtrail.json", "support-sessions.jsonl"):
        its = its.replace(f'"{name}"', f'"{INCIDENT / name}"')
    place = Place(kafka, tmp_path, "incident", its)
    place.make()
    files = place.run("files.db")
    assert place.collect()["records"] > 300
    # The inputs of the configuration say what clusters there are; the headers say it, too.
    topic = place.run("topic.db", "--input", f"auto=kafka:{place.topic}")
    held = place.held("files.db")
    assert all(held.values()) or not held["dead-letters"]
    assert place.held("topic.db") == held
    assert topic["store"] == files["store"]
    again = place.run("topic.db", "--input", f"auto=kafka:{place.topic}")
    assert (again["records"], again["events"], again["findings"]) == (0, 0, 0)
    assert place.held("topic.db") == held
    # What was read from files is known in the topic.
    known = place.run("files.db", "--input", f"auto=kafka:{place.topic}")
    assert (known["records"], known["events"]) == (0, 0)


def test_records_without_headers_are_streams_by_key(place: Place) -> None:
    producer = Producer(place.kafka.client("admin"))
    for number in range(60):
        headers: Any = [("audit-stream", b"\xff{"), ("audit-offset", b"-1"), ("other", None)]
        producer.produce(
            place.topic, line(number) + b"\n" * (number % 2), b"%d" % (number % 4),
            headers=headers if number % 3 else None,
        )  # fmt: skip
    producer.flush(120)
    (place.folder / "c.toml").write_text(
        (place.folder / "c.toml").read_text()
        + f'[[kafka.raw]]\ntopic = "{place.topic}"\ncluster = "prod"\nhost = "broker-1"\n'
    )
    found = place.run("s.db", "--input", f"auto=kafka:{place.topic}")
    assert (found["events"], found["dead_letters"]) == (60, 0)
    events = [json.loads(each) for each in place.held("s.db")["events"]]
    assert {e["auditstream"]["cluster"] for e in events} == {"prod"}
    again = place.run("s.db", "--input", "auto=kafka:" + place.topic.replace("raw", "*"))
    assert (again["records"], again["events"]) == (0, 0)
