"""What the stream says of itself on a real broker: once, whoever is killed, and when it is over."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.cluster import Cluster
from pipeline.runtimes.kafka.lagging import Lags
from pipeline.runtimes.kafka.looking import Looking
from pipeline.runtimes.kafka.notices import LOG_NAMES, Notice
from pipeline.runtimes.kafka.watermarks import watermarks
from schemas.types import Finding
from schemas.wire import decoder
from tests.awaited import alter, look
from tests.logs import broker_lines
from tests.runtimes.kafka.running import eventually
from tests.streams import StreamOn

pytestmark = pytest.mark.integration

AFTER_S = 2
RAW = "self.raw.kafka_authorizer"
CONFIG = f"""
[[silence]]
topic = "{RAW}"
after_s = {AFTER_S}

[[silence]]
topic = "self.row.mistyped"
"""


@pytest.fixture(scope="module")
def stream(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> StreamOn:
    folder = tmp_path_factory.mktemp("stream")
    return StreamOn(kafka, folder, "self", CONFIG, partitions=2)


def send(stream: StreamOn, seed: int) -> None:
    """Some lines of a broker's authorizer."""
    producer = Producer(stream.settings | {"log_level": 0})
    for line in broker_lines(5, seed=seed):
        producer.produce(RAW, line.encode(), b"broker-1")
    assert producer.flush(60) == 0


def said(stream: StreamOn) -> list[dict[str, Any]]:
    """What the stream has said of itself, version by version."""
    rows = sorted(stream.rows("findings", "finding"), key=lambda row: row["last_time"])
    return [row for row in rows if orjson.loads(row["ocsf"])["metadata"]["log_name"] in LOG_NAMES]


def versions(stream: StreamOn, count: int) -> Callable[[], bool]:
    return lambda: len(said(stream)) >= count


def looked(stream: StreamOn, until_s: float) -> Callable[[], bool]:
    """Whether somebody has looked at that time or later, and kept it."""

    def seen() -> bool:
        rows = [row for row in stream.rows("state", "state") if row["name"] == b"looked"]
        return bool(rows) and json.loads(rows[-1]["state"])["until"] >= until_s * 1000

    return seen


def test_a_silence_is_told_of_once_whoever_is_killed_and_when_it_is_over(
    kafka: Kafka, stream: StreamOn
) -> None:
    send(stream, 1)
    with stream.worker("ingest", "detect") as first:
        stream.eventually(versions(stream, 1), "the silence to be told of", 120, 0.2)
        [silent] = said(stream)
        assert (silent["status"], silent["version"]) == ("open", 1)
        assert (silent["cluster"], silent["key"]) == ("default", f"topic={RAW}")
        assert silent["last_time"] - silent["first_time"] >= AFTER_S * 1000
        first.signal(signal.SIGKILL)
    killed = time.time()
    with stream.worker("ingest", "detect", transaction_ms=30_000, session_s=30) as second:
        stream.eventually(looked(stream, killed + AFTER_S), "another one to look", 120, 0.2)
        assert said(stream) == [silent]
        send(stream, 2)
        stream.eventually(versions(stream, 2), "it to be heard again", 120, 0.2)
        again = said(stream)[1]
        assert (again["id"], again["status"], again["version"]) == (silent["id"], "closed", 2)
        # That nobody could be heard is no silence.
        kafka.stop()
        gone = time.time()
        time.sleep(AFTER_S + 1)
        back = time.time()
        kafka.start()

        def told() -> bool:
            # Its transaction may have been the broker's last: then it ends, and is started again.
            second.keep_up("The worker ends")
            return versions(stream, 3)()

        stream.eventually(told, "the second silence", 120, 0.2)
        anew = said(stream)[2]
        assert (anew["status"], anew["version"]) == ("open", 1)
        assert anew["id"] != silent["id"]
        since_s, until_s = anew["first_time"] / 1000, anew["last_time"] / 1000
        away_s = max(0.0, min(until_s, back) - max(since_s, gone))
        assert until_s - since_s - away_s >= AFTER_S
        # One that ended soon may not have looked.
        assert 0 < second.said.count("self.row.mistyped") <= second.starts


def test_what_waits_until_it_is_deleted_is_seen(stream: StreamOn) -> None:
    """Of a group that has read nothing for longer than three quarters of what the topic keeps."""
    streaming, settings = stream.config.kafka, stream.settings | {"group.id": "self-ingest"}
    consumer = Consumer(settings | {"log_level": 0})
    ends = watermarks(settings, [(RAW, 0), (RAW, 1)])
    offsets = [TopicPartition(*place, end) for place, (_, end) in ends.items()]

    def committed() -> bool:
        # Who was killed is a member for the rest of its session.
        with suppress(KafkaException):
            consumer.commit(offsets=offsets, asynchronous=False)
            return True
        return False

    eventually(committed, "the members to be forgotten", 120, 0.5)
    consumer.close()
    send(stream, 4)
    sent = time.time()
    cluster = Cluster(streaming)
    told: dict[bytes, Finding] = {}

    def notices(keeps_ms: int) -> list[Notice]:
        alter(cluster, RAW, {"retention.ms": str(keeps_ms)})
        clock = decoder("clock")
        looking = Looking(
            streaming, settings, streaming.topic("counters"), clock, 0.25, listens=False
        )
        found = look(looking)
        looking.close()
        return Lags(0.25, told).look(found.heard.at, found.backlogs, found.there)

    assert notices(3_600_000) == []
    time.sleep(max(0.0, sent + 2 - time.time()))
    [near] = notices(2_000)
    assert (near.finding.key, near.finding.count) == (f"topic={RAW} group=self-ingest", 5)
    told = {near.name: near.finding}
    assert notices(2_000) == []
    [over] = notices(3_600_000)
    assert (over.finding.id, over.finding.status) == (near.finding.id, "closed")
