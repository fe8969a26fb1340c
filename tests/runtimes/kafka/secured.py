"""A broker that wants TLS, certificates and logins, and the stream as its users see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.config import Config, toml
from pipeline.lab.certificates import PASSWORD, Certificates
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka import acls
from pipeline.runtimes.kafka.cluster import Cluster
from pipeline.runtimes.kafka.connection import client
from pipeline.runtimes.kafka.planning import apply, plan
from pipeline.streaming import Sasl, Streaming, Tls

HOSTS = ("127.0.0.1", "203.0.113.10")
"""Where the broker may be (see `pipeline.lab.addresses`)."""
USERS = {"admin": "admin-password"} | {f"auditstream-{r}": f"{r}-password" for r in acls.ROLES}


@contextmanager
def secured(folder: Path, properties: Mapping[str, str] | None = None) -> Iterator[Kafka]:
    """Such a broker. Its certificates lie in `folder`/tls."""
    tls = Certificates(folder / "tls", HOSTS)
    with Kafka(folder / "kafka", USERS, tls=tls, properties=properties or {}) as broker:
        yield broker


def as_user(kafka: Kafka, folder: Path, user: str, streaming: Streaming) -> Streaming:
    """The settings with which a user reaches the broker; one copy, and two partitions if not said."""
    password, tls = folder / f"{user}.password", kafka.folder.parent / "tls"
    password.write_text(kafka.users[user] + "\n")
    key = folder / "key.password"
    key.write_text(PASSWORD)
    return streaming.model_copy(
        update={
            "brokers": kafka.bootstrap(),
            "partitions": 2 if streaming.partitions == 8 else streaming.partitions,
            "replication": 1,
            "tls": Tls(
                enabled=True,
                ca_file=str(tls / "ca.pem"),
                certificate_file=str(tls / "client.pem"),
                key_file=str(tls / "client.key"),
                key_password_file=str(key),
            ),
            "sasl": Sasl(mechanism="SCRAM-SHA-256", username=user, password_file=str(password)),
        }
    )


def written(path: Path, streaming: Streaming, inputs: str = "") -> Path:
    """The stream's settings, with `inputs` before them, as a configuration file."""
    lines = [inputs]
    said = streaming.model_dump(exclude_defaults=True)
    sections = {"kafka": said, "kafka.tls": said.pop("tls"), "kafka.sasl": said.pop("sasl")}
    for name, settings in sections.items():
        lines += [f"[{name}]", *(f"{key} = {toml(value)}" for key, value in settings.items())]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def done(streaming: Streaming) -> list[str]:
    """What `apply` says it does."""
    said: list[str] = []
    apply(streaming, Config().active(), said.append, lambda *_: None)
    return said


def actions(streaming: Streaming) -> dict[str, str]:
    """By the topic's name behind the prefix, what is to be done."""
    steps = plan(Cluster(streaming), streaming)
    return {step.want.name: step.action for step in steps if step.action != "nothing"}


def values(streaming: Streaming, topic: str, group: str = "reader") -> list[list[bytes]]:
    """All there is in a topic, by partition. Raises `KafkaException` where it is not let."""
    settings = {
        "group.id": group,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
    }
    consumer = Consumer(client(streaming) | settings)
    count = Cluster(streaming).topics()[topic].partitions
    found: list[list[bytes]] = [[] for _ in range(count)]
    consumer.assign([TopicPartition(topic, number, 0) for number in range(count)])
    left = set(range(count))
    while left:
        for message in consumer.consume(1_000, 0.2):
            error = message.error()
            if error is None:
                found[message.partition() or 0].append(message.value() or b"")
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition() or 0)
            else:
                raise KafkaException(error)
    consumer.close()
    return found
