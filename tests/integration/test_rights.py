"""The ACLs that `auditstream topics plan` prints: they suffice for each role, and for no more."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from pipeline.config import Config
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka import acls as rights
from pipeline.runtimes.kafka.adding import Adding
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.connection import client
from pipeline.runtimes.kafka.looking import Looking
from pipeline.runtimes.kafka.topics import check, wanted
from pipeline.streaming import Streaming
from schemas.wire import decoder
from tests.awaited import alter, give, look
from tests.runtimes.kafka.secured import as_user, done, secured, values
from tests.schemas.made import dead_letters, events

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with secured(tmp_path_factory.mktemp("rights")) as broker:
        yield broker


def of_role(kafka: Kafka, folder: Path, role: str) -> Streaming:
    """As the super user, with a prefix and a group of the role's own."""
    return as_user(kafka, folder, "admin", Streaming(prefix=f"p-{role}", group=f"g-{role}"))


def granted(kafka: Kafka, tmp_path: Path, streaming: Streaming, role: str) -> Streaming:
    """The stream as a role sees it that is allowed what the printed commands say."""
    admin = AdminClient(client(as_user(kafka, tmp_path, "admin", streaming)))
    who = rights.principals([])
    lines = [
        rights.command(streaming, acl) for acl in rights.acls(streaming, who) if acl.role == role
    ]
    give(admin, [b for line in lines for b in bindings(line)])
    return as_user(kafka, tmp_path, f"auditstream-{role}", streaming)


def bindings(line: str) -> Iterator[AclBinding]:
    """What a `kafka-acls` command would allow."""
    words = shlex.split(line)
    options = list(pairwise(words))
    said = dict(options)
    kinds = {
        "--topic": ResourceType.TOPIC,
        "--group": ResourceType.GROUP,
        "--transactional-id": ResourceType.TRANSACTIONAL_ID,
    }
    [(kind, name)] = [(kinds[word], value) for word, value in options if word in kinds]
    pattern = ResourcePatternType[said["--resource-pattern-type"].upper()]
    principal = said["--allow-principal"]
    for word, value in options:
        if word == "--operation":
            snake = "".join(f"_{c}" if c.isupper() else c.upper() for c in value).strip("_")
            yield AclBinding(
                kind, name, pattern, principal, "*", AclOperation[snake], AclPermissionType.ALLOW
            )


def transact(streaming: Streaming, role: str, topics: list[str], read: str) -> None:
    """One transaction as a worker makes them. Raises `KafkaException` where it is not let."""
    group = f"{streaming.group}-{role}"
    producer = Producer(client(streaming) | {"transactional.id": f"{group}-1", "log_level": 0})
    producer.init_transactions(60)
    producer.begin_transaction()
    for topic in topics:
        producer.produce(topic, b"x", b"k")
    consumer = Consumer(client(streaming) | {"group.id": group, "log_level": 0})
    consumer.subscribe([read])
    while not consumer.assignment():
        message = consumer.poll(0.2)
        if message is not None and message.error() is not None:
            raise KafkaException(message.error())
    offsets = [TopicPartition(read, 0, 1)]
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 60)
    producer.commit_transaction(60)
    consumer.close()


def looks(streaming: Streaming) -> None:
    """Look as whoever reports does: at what is silent, and at what every group has not read yet."""
    counters = streaming.topic("counters")
    settings, clock = client(streaming), decoder("clock")
    looking = Looking(streaming, settings, counters, clock, 0.25, listens=True)
    found = look(looking)
    looking.close()
    assert streaming.topic("raw.auto") in found.heard.ends
    # `transact` has committed as this group, in one topic.
    assert {(one.group, one.topic) for one in found.backlogs} == {
        (f"{streaming.group}-detect", counters)
    }
    assert all(one.kept_ms for one in found.backlogs)


def refused(streaming: Streaming, topic: str) -> str:
    """How the brokers refuse a record; empty: they do not."""
    told: list[str] = []
    producer = Producer(client(streaming) | {"log_level": 0, "enable.idempotence": True})
    said = lambda error, _: told.append(error.name() if error else "")  # noqa: E731
    producer.produce(topic, b"x", b"k", on_delivery=said)
    producer.flush(60)
    return told[0]


@pytest.mark.parametrize(
    ("role", "reads", "writes"),
    [
        ("collect", "", ["raw.auto", "raw.kafka_authorizer", "raw.aws_cloudtrail"]),
        (
            "ingest",
            "raw.auto",
            [
                "events",
                "control",
                "clocks",
                "counters",
                "counters.2",
                "dead-letters",
                "accounts",
                "state",
            ],
        ),
        ("detect", "counters", ["findings", "changes", "dead-letters", "state"]),
    ],
)
def test_a_role_may_do_its_work_and_nothing_more(
    kafka: Kafka, tmp_path: Path, role: str, reads: str, writes: list[str]
) -> None:
    streaming = of_role(kafka, tmp_path, role)
    done(streaming)
    done(streaming.model_copy(update={"partitions": 3}))
    ours = granted(kafka, tmp_path, streaming, role)
    topics = [ours.topic(name) for name in writes]
    assert all(refused(ours, topic) == "" for topic in topics)
    if role != "collect":
        transact(ours, role, topics, ours.topic(reads))
        assert check(ours, role).counters_topic == ours.topic("counters.2")
    if role == "detect":
        for name in ("counters.2", "control", "clocks", "state"):
            values(ours, ours.topic(name), f"{ours.group}-detect")
        looks(ours)
    for want in wanted(ours):
        if want.name not in (*writes, "counters") and not (
            role == "collect" and want.name.startswith("raw.")
        ):
            assert refused(ours, want.topic) == "TOPIC_AUTHORIZATION_FAILED"
    if "events" in writes:
        with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
            values(ours, ours.topic("events"), f"{ours.group}-{role}")
    with pytest.raises(KafkaException, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        transact(ours, "other", topics, ours.topic(reads))


def test_a_replay_may_add_and_nothing_more(kafka: Kafka, tmp_path: Path) -> None:
    streaming = of_role(kafka, tmp_path, "replay")
    done(streaming)
    done(streaming.model_copy(update={"partitions": 3}))
    told: list[int] = []
    with pytest.raises(ClusterError, match=r"not ours to see"):
        Adding(Config(kafka=as_user(kafka, tmp_path, "auditstream-replay", streaming)))
    ours = granted(kafka, tmp_path, streaming, "replay")
    kinds, letters = events(), dead_letters()
    several = [replace(kinds[n % len(kinds)], id=b"%016d" % n) for n in range(5_001)]
    own, *added = several
    Adding(Config(kafka=ours)).send(own, added, letters, lambda _, count: told.append(count))
    assert sum(told) == len(several) + len(letters)
    admin = as_user(kafka, tmp_path, "admin", streaming)
    decode = decoder("account")
    found = [decode(row) for rows in values(admin, ours.topic("accounts")) for row in rows]
    assert {row["topic"] for row in found} == {f"auditstream.replay/{own.id.hex()}"}
    # Several transactions, one chain.
    chain = sorted((row["start"], row["end"]) for row in found)
    assert chain == [(0, 1), (1, 2_001), (2_001, 4_001), (4_001, 5_001)]
    assert all(row["items"] == row["events"] == row["end"] - row["start"] for row in found)
    for name, sent in (("events", several), ("dead-letters", letters)):
        assert sum(map(len, values(admin, ours.topic(name)))) == len(sent)
    written = ("events", "control", "counters", "dead-letters", "accounts")
    for want in wanted(ours):
        if want.name not in written:
            assert refused(ours, want.topic) == "TOPIC_AUTHORIZATION_FAILED"
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        values(ours, ours.topic("events"), f"{ours.group}-replay")


def test_the_rights_of_topics_suffice_for_plan_and_apply(kafka: Kafka, tmp_path: Path) -> None:
    streaming = of_role(kafka, tmp_path, "topics")
    with pytest.raises(ClusterError, match=r"uthoriz"):
        done(as_user(kafka, tmp_path, "auditstream-topics", streaming))
    ours = granted(kafka, tmp_path, streaming, "topics")
    done(ours)
    alter(Cluster(streaming), ours.topic("events"), {"retention.ms": "1000"})
    done(ours.model_copy(update={"partitions": 3}))
    assert check(ours).counters_topic == ours.topic("counters.2")
