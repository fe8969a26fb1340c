"""The Kafka of the integration tests, and what each logging configuration makes it write."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AdminClient,
    ConfigResource,
    NewTopic,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from pipeline.lab import incident
from pipeline.lab.kafka import Kafka, Logging

pytestmark = pytest.mark.integration

USERS = {"admin": "admin-password", "mallory": "mallory-password"}
ADMIN_HOST = "192.0.2.10"
MALLORY_HOST = "198.51.100.66"
FORGED = (
    "[2026-11-21 10:00:00,000] DEBUG Principal = User:admin is Allowed operation = ALTER from "
    "host = 192.0.2.10 on resource = Cluster:LITERAL:kafka-cluster for request = CreateAcls with "
    "resourceRefCount = 1 based on rule SuperUser (kafka.authorizer.logger)"
)
ROOT = Path(__file__).parents[2]


def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    """Wait for something that another process does; fails with what did not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def writes(kafka: Kafka, name: str, phrase: str) -> None:
    eventually(lambda: phrase in kafka.log(name), f"{phrase!r} in {name}")


def start(folder: Path, logging: Logging) -> Kafka:
    return Kafka(folder, USERS, logging=logging, clients=[ADMIN_HOST, MALLORY_HOST])


@pytest.fixture(scope="module", params=get_args(Logging))
def kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kafka]:
    with start(tmp_path_factory.mktemp(request.param), request.param) as broker:
        yield broker


product_only = pytest.mark.parametrize("kafka", ["product"], indirect=True)


def admin_of(kafka: Kafka, user: str, host: str, **more: str | int) -> AdminClient:
    return AdminClient(kafka.client(user, host, **more) | {"log_level": 0})


def join(kafka: Kafka, group: str) -> None:
    """Let mallory, who has no rights, try to join a group."""
    settings = kafka.client("mallory", MALLORY_HOST, group_id=group) | {"log_level": 0}
    consumer = Consumer(settings)
    try:
        consumer.subscribe(["orders"])
        message = consumer.poll(60)
        assert message is not None
        assert message.error() is not None
    finally:
        consumer.close()


def test_scram_users_log_in(kafka: Kafka) -> None:
    for user, host in (("admin", ADMIN_HOST), ("mallory", MALLORY_HOST)):
        assert admin_of(kafka, user, host).list_topics(timeout=60).brokers


def test_a_denial_is_in_the_authorizers_log_with_the_clients_address(kafka: Kafka) -> None:
    admin = admin_of(kafka, "mallory", MALLORY_HOST)
    [created] = admin.create_topics([NewTopic("stolen", 1, 1)]).values()
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        created.result(60)
    host = kafka.seen_from(MALLORY_HOST)
    writes(
        kafka,
        "kafka-authorizer.log",
        f"INFO Principal = User:mallory is Denied operation = CREATE from host = {host} "
        "on resource = Topic:LITERAL:stolen for request = CreateTopics",
    )


def test_what_is_allowed_is_logged_where_the_authorizer_is_at_debug(kafka: Kafka) -> None:
    name = f"orders-{kafka.logging}"
    admin = admin_of(kafka, "admin", ADMIN_HOST)
    [created] = admin.create_topics([NewTopic(name, 1, 1)]).values()
    created.result(60)
    writes(kafka, "controller.log", f"Replayed TopicRecord for topic {name}")
    logged = "DEBUG Principal = User:admin is Allowed" in kafka.log("kafka-authorizer.log")
    assert logged == (kafka.logging != "default")


def test_a_failed_login_is_in_the_servers_log(kafka: Kafka) -> None:
    client = admin_of(kafka, "mallory", MALLORY_HOST, password="wrong")
    with pytest.raises(KafkaException):
        client.list_topics(timeout=2)
    host = kafka.seen_from(MALLORY_HOST)
    writes(
        kafka,
        "server.log",
        f"INFO [SocketServer listenerType=BROKER, nodeId=1] Failed authentication with /{host} (channelId=",
    )


def test_only_the_products_logging_tells_of_logins_and_of_nothing_else_there(kafka: Kafka) -> None:
    assert admin_of(kafka, "admin", ADMIN_HOST).list_topics(timeout=60).brokers
    if kafka.logging == "product":
        host = kafka.seen_from(ADMIN_HOST)
        writes(kafka, "server.log", f"Successfully authenticated with /{host} (")
    else:
        assert "Successfully authenticated with" not in kafka.log("server.log")
    assert ") disconnected (" not in kafka.log("server.log")


def test_a_line_break_in_a_group_id_forges_a_line_in_all_but_the_products_layout(
    kafka: Kafka,
) -> None:
    join(kafka, f"group\n{FORGED}")
    writes(kafka, "kafka-authorizer.log", FORGED)
    lines = kafka.log("kafka-authorizer.log").splitlines()
    forged = [line for line in lines if line.startswith(FORGED)]
    if kafka.logging == "product":
        assert not forged
        [line, *_] = [line for line in lines if FORGED in line]
        assert (
            f"User:mallory is Denied operation = DESCRIBE from host = {kafka.seen_from(MALLORY_HOST)} on resource = Group:LITERAL:group\\n["
            in line
        )
        assert line.endswith("based on rule DefaultDeny (kafka.authorizer.logger)")
    else:
        assert forged


@product_only
def test_the_products_logging_keeps_stack_traces_but_no_line_of_them_looks_like_a_message(
    kafka: Kafka,
) -> None:
    """An exception tells the name that a client gave, line breaks and all."""
    admin = admin_of(kafka, "admin", ADMIN_HOST)
    [found] = admin.describe_configs(
        [ConfigResource(ConfigResource.Type.TOPIC, f"no\n{FORGED}")]
    ).values()
    with pytest.raises(KafkaException, match="TOPIC_EXCEPTION"):
        found.result(60)
    # That exception comes without a trace. This one, for a request before the login, has one.
    host, _, port = kafka.bootstrap(ADMIN_HOST).rpartition(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(struct.pack(">ihhih", 10, 3, 12, 1, -1))
    writes(kafka, "server.log", "\n\tat org.apache.kafka.common.network.KafkaChannel.")
    text = kafka.log("server.log")
    assert "InvalidTopicException: Topic name is invalid: the length of 'no\\n[" in text
    assert f"\n{FORGED}" not in text


@product_only
def test_the_products_logging_blots_secrets_and_logs_changes_only(kafka: Kafka) -> None:
    scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
    for user, host in (("admin", ADMIN_HOST), ("mallory", MALLORY_HOST)):
        upsertion = UserScramCredentialUpsertion("eve", scram, b"secret", b"salted-with-care")
        admin = admin_of(kafka, user, host)
        [changed] = admin.alter_user_scram_credentials([upsertion]).values()
        if user == "admin":
            changed.result(60)
        else:
            with pytest.raises(KafkaException, match="CLUSTER_AUTHORIZATION_FAILED"):
                changed.result(60)
    blotted = '"salt":"redacted","saltedPassword":"redacted"'
    # Twice for either: as it came, and as it was forwarded to the controller.
    eventually(lambda: kafka.log("kafka-request.log").count(blotted) == 4, "the requests")
    # What a denied request holds is in the server's log as well, as Java prints it.
    writes(kafka, "server.log", "salt=[redacted], saltedPassword=[redacted]")
    kinds = set(re.findall(r'"requestApiKeyName":"(\w+)"', kafka.log("kafka-request.log")))
    assert kinds <= {"CREATE_TOPICS", "ALTER_USER_SCRAM_CREDENTIALS"}


def test_the_products_times_have_an_offset(tmp_path: Path) -> None:
    with Kafka(tmp_path, USERS, logging="product", time_zone="Asia/Kolkata") as kafka:
        first = kafka.log("kafka-authorizer.log")
    assert re.match(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}\+05:30\] DEBUG Principal = ", first)


def test_stop_leaves_no_process_and_the_broker_starts_again(tmp_path: Path) -> None:
    kafka = start(tmp_path, "default")
    for end in (kafka.kill, kafka.stop):
        kafka.start()
        pid = kafka.pid
        assert exists(pid)
        end()
        assert not exists(pid)


def test_the_broker_dies_with_the_test_run_that_started_it(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from pipeline.lab.kafka import Kafka\n"
        f"kafka = Kafka(pathlib.Path(sys.argv[1]), {USERS!r})\n"
        "kafka.start()\n"
        "print(kafka.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert exists(pid)
        run.send_signal(signal.SIGKILL)
    eventually(lambda: not exists(pid), "the broker's end")


def test_the_incident_leaves_every_deed_in_the_logs(tmp_path: Path) -> None:
    with Kafka(tmp_path, incident.USERS, logging="debug", clients=incident.HOSTS) as kafka:
        deeds = incident.play(kafka, pause_s=0.05)
        missing = [deed for deed in deeds if not found(deed, kafka)]
    assert not missing


def found(deed: incident.Deed, kafka: Kafka) -> bool:
    """Whether the logs tell of a deed as often as they should."""
    host = kafka.seen_from(deed.address)
    if deed.operation == "LOGIN":
        told = kafka.log("server.log").count(f"Failed authentication with /{host} (")
    else:
        outcome = "Allowed" if deed.outcome == "allowed" else "Denied"
        # A forged name goes on where the line breaks.
        end = "\n" if deed.outcome == "forged" else " for request = "
        told = kafka.log("kafka-authorizer.log").count(
            f"Principal = {deed.principal} is {outcome} operation = {deed.operation} "
            f"from host = {host} on resource = {deed.resource}{end}"
        )
    return told == deed.times if deed.times is not None else told > 0
