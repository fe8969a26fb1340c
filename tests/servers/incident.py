"""An incident on a real broker, played by real clients, and what the broker wrote about it.

`python -m tests.servers.incident OUTDIR` starts a broker with the logging that most people
have (the shipped layout, allowed operations and requests switched on), plays the incident in
about a minute and leaves `kafka-authorizer.log`, `kafka-request.log`, `controller.log` and
`server.log` in OUTDIR: the broker's own lines, of which some are left out and none is changed.

What happens: an administrator sets up topics and grants, an application goes about its
business, somebody outside guesses the application's password, somebody inside looks around,
tries to help herself to rights and then forges a line of the log, a colleague mistypes a name,
and in the end somebody with the administrator's password has the audit topic forget. `DEEDS` tells every act with what a reader of the two files should find of it.
"""

import contextlib
import re
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from tests.servers.kafka import Kafka, Settings

ADMIN_HOST = "192.0.2.10"
PAYMENTS_HOST = "192.0.2.20"
ALICE_HOST = "192.0.2.30"
MALLORY_HOST = "192.0.2.66"
OUTSIDER_HOST = "198.51.100.23"
HOSTS = (ADMIN_HOST, PAYMENTS_HOST, ALICE_HOST, MALLORY_HOST, OUTSIDER_HOST)

USERS = {
    "admin": "admin-of-the-incident",
    "payments-app": "correct-horse-14",
    "alice": "alice-of-the-incident",
    "mallory": "mallory-of-the-incident",
}

TOPICS = (
    *("payments.orders", "payments.refunds", "payments.chargebacks", "payments.cards"),
    *("hr.salaries", "hr.reviews", "hr.holidays"),
    *("finance.ledger", "finance.forecast", "finance.payroll"),
    *("crm.contacts", "crm.notes", "security.keys", "security.incidents"),
)
AUDIT_TOPIC = "audit.events"
COVETED = tuple(topic for topic in TOPICS if not topic.startswith("payments."))
FAILED_LOGINS = 14
ORDERS_PER_SHIFT = 5
GROUP = "payments-settlement"

Outcome = Literal["allowed", "denied", "failed", "forged"]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that somebody did, as it should be found in the broker's log.

    `principal` is None where the log cannot tell it (a login that fails). `address` is the
    client's (see `Kafka.seen_from` for what it is where addresses could not be set up).
    `operation` is the broker's word for it, or LOGIN. `times` is how many lines tell of it,
    or None: at least one, as often as the client's library asked again.
    """

    principal: str | None
    address: str
    operation: str
    resource: str
    outcome: Outcome
    times: int | None


_CLUSTER = "Cluster:LITERAL:kafka-cluster"
_GRANTS = (
    ("payments-app", "payments.", ResourceType.TOPIC, AclOperation.READ),
    ("payments-app", "payments.", ResourceType.TOPIC, AclOperation.WRITE),
    ("payments-app", "payments-", ResourceType.GROUP, AclOperation.READ),
    ("alice", "hr.holidays", ResourceType.TOPIC, AclOperation.READ),
    ("*", "payments.", ResourceType.TOPIC, AclOperation.DESCRIBE),
)


def _deed(
    principal: str | None, address: str, operation: str, resource: str, outcome: Outcome,
    times: int | None = 1,
) -> Deed:  # fmt: skip
    name = f"User:{principal}" if principal else None
    return Deed(name, address, operation, resource, outcome, times)


DEEDS: tuple[Deed, ...] = (
    _deed("admin", ADMIN_HOST, "CREATE", _CLUSTER, "allowed"),
    _deed("admin", ADMIN_HOST, "ALTER", _CLUSTER, "allowed", None),
    _deed("payments-app", PAYMENTS_HOST, "WRITE", "Topic:LITERAL:payments.orders", "allowed", None),
    _deed("payments-app", PAYMENTS_HOST, "READ", "Topic:LITERAL:payments.orders", "allowed", None),
    _deed("payments-app", PAYMENTS_HOST, "READ", f"Group:LITERAL:{GROUP}", "allowed", None),
    _deed("alice", ALICE_HOST, "DESCRIBE_CONFIGS", "Topic:LITERAL:hr.holiday", "denied"),
    _deed(None, OUTSIDER_HOST, "LOGIN", "", "failed", FAILED_LOGINS),
    _deed("payments-app", OUTSIDER_HOST, "READ", "Topic:LITERAL:payments.orders", "allowed", None),
    *(
        _deed("mallory", MALLORY_HOST, "DESCRIBE", f"Topic:LITERAL:{topic}", "denied", None)
        for topic in COVETED
    ),
    _deed("mallory", MALLORY_HOST, "READ", "Topic:LITERAL:payments.cards", "denied", None),
    _deed("mallory", MALLORY_HOST, "DESCRIBE", f"Group:LITERAL:{GROUP}", "denied", None),
    _deed("mallory", MALLORY_HOST, "WRITE", "Topic:LITERAL:payments.refunds", "denied"),
    _deed("mallory", MALLORY_HOST, "ALTER", _CLUSTER, "denied"),
    _deed("mallory", MALLORY_HOST, "ALTER_CONFIGS", "Topic:LITERAL:payments.orders", "denied"),
    _deed("mallory", MALLORY_HOST, "DESCRIBE", "Group:LITERAL:billing", "forged", None),
    _deed("admin", ADMIN_HOST, "ALTER_CONFIGS", f"Topic:LITERAL:{AUDIT_TOPIC}", "allowed"),
)


def play(kafka: Kafka, pause_s: float = 2.0) -> tuple[Deed, ...]:
    """Play the incident on a running broker that knows `USERS` and `HOSTS`; returns `DEEDS`.

    Takes about twenty-five times `pause_s`, the time between two attempts to log in. Raises
    `RuntimeError` where the broker allows what it should deny, or the other way round.
    """
    _set_up(kafka)
    _do_business(kafka)
    _mistype(kafka)
    for attempt in range(FAILED_LOGINS):
        _guess(kafka, f"correct-horse-{attempt}")
        time.sleep(pause_s)
        if attempt == FAILED_LOGINS // 2:
            _do_business(kafka)
    _read(kafka, "payments-app", OUTSIDER_HOST, "payments.orders")
    _look_around(kafka, pause_s / 4)
    _help_herself(kafka)
    time.sleep(pause_s)
    _forge(kafka)
    time.sleep(pause_s)
    _do_business(kafka)
    _cover_up(kafka)
    return DEEDS


def forged_group_id(seen_from: str, now: datetime) -> str:
    """A group id that makes of mallory's denial three lines, one of them about the admin.

    `now` is in the broker's time zone. Only the first line of the three, which breaks off,
    betrays it: the broker's own end of the message completes the last.
    """
    time_text = now.strftime("%Y-%m-%d %H:%M:%S,") + f"{now.microsecond // 1000:03d}"
    perfect = (
        f"[{time_text}] DEBUG Principal = User:admin is Allowed operation = ALTER from host = "
        f"{ADMIN_HOST} on resource = {_CLUSTER} for request = CreateAcls with "
        "resourceRefCount = 1 based on rule SuperUser (kafka.authorizer.logger)"
    )
    last = (
        f"[{time_text}] INFO Principal = User:mallory is Denied operation = DESCRIBE from host = "
        f"{seen_from} on resource = Group:LITERAL:billing"
    )
    return f"billing\n{perfect}\n{last}"


def _set_up(kafka: Kafka) -> None:
    admin = _admin(kafka, "admin", ADMIN_HOST)
    topics = [NewTopic(topic, 1, 1) for topic in (*TOPICS, AUDIT_TOPIC)]
    for future in admin.create_topics(topics).values():
        future.result(10)
    for user, prefix, kind, operation in _GRANTS:
        for future in admin.create_acls([_acl(user, prefix, kind, operation)]).values():
            future.result(10)
    # The controller has the grants; the broker that decides hears of them a moment later.
    time.sleep(1)


def _acl(user: str, name: str, kind: ResourceType, operation: AclOperation) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if name[-1] in ".-" else ResourcePatternType.LITERAL
    return AclBinding(
        kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW
    )  # fmt: skip


def _do_business(kafka: Kafka) -> None:
    """The application's ordinary life: some orders in, and settled by its consumer."""
    producer = Producer(_settings(kafka, "payments-app", PAYMENTS_HOST))
    for number in range(ORDERS_PER_SHIFT):
        producer.produce("payments.orders", f"order {number}")
        producer.flush(10)
    with _consumer(kafka, "payments-app", PAYMENTS_HOST, GROUP) as consumer:
        consumer.subscribe(["payments.orders"])
        _expect(consumer.consume(ORDERS_PER_SHIFT, 10), "no orders came")


def _mistype(kafka: Kafka) -> None:
    topic = ConfigResource(ConfigResource.Type.TOPIC, "hr.holiday")
    admin = _admin(kafka, "alice", ALICE_HOST)
    for found in admin.describe_configs([topic]).values():
        _denied(partial(found.result, 10))


def _guess(kafka: Kafka, password: str) -> None:
    """One attempt to log in that must fail: one connection, one line."""
    errors: list[KafkaError] = []
    client = Producer(
        _settings(
            kafka,
            "payments-app",
            OUTSIDER_HOST,
            password=password,
            reconnect_backoff_ms=60_000,
            reconnect_backoff_max_ms=60_000,
        ),
        error_cb=errors.append,
    )
    deadline = time.monotonic() + 10
    while not any(error.code() == KafkaError._AUTHENTICATION for error in errors):
        client.poll(0.1)
        if time.monotonic() > deadline:
            raise RuntimeError(f"the login with a wrong password did not fail: {errors}")


def _read(kafka: Kafka, user: str, host: str, topic: str) -> None:
    """Read a topic from its beginning outside any group, as one does who copies it."""
    with _consumer(kafka, user, host, GROUP, enable_auto_commit="false") as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        messages = consumer.consume(ORDERS_PER_SHIFT, 10)
        _expect(messages, f"nothing came from {topic}")
        for message in messages:
            if (error := message.error()) is not None:
                raise KafkaException(error)


def _look_around(kafka: Kafka, pause_s: float) -> None:
    for topic in COVETED:
        _denied(partial(_list_topic, kafka, "mallory", MALLORY_HOST, topic))
        time.sleep(pause_s)
    _denied(partial(_read, kafka, "mallory", MALLORY_HOST, "payments.cards"))
    _denied(partial(_write, kafka, "mallory", MALLORY_HOST, "payments.refunds"))


def _list_topic(kafka: Kafka, user: str, host: str, topic: str) -> None:
    found = _admin(kafka, user, host).list_topics(topic, 10).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)


def _write(kafka: Kafka, user: str, host: str, topic: str) -> None:
    producer = Producer(_settings(kafka, user, host))
    errors: list[KafkaError | None] = []
    producer.produce(topic, b"1000.00", on_delivery=lambda error, _message: errors.append(error))
    producer.flush(10)
    if errors[0] is not None:
        raise KafkaException(errors[0])


def _help_herself(kafka: Kafka) -> None:
    """Mallory tries to grant herself everything and to have the orders forgotten."""
    admin = _admin(kafka, "mallory", MALLORY_HOST)
    wanted = _acl("mallory", "payments.", ResourceType.TOPIC, AclOperation.ALL)
    for grant in admin.create_acls([wanted]).values():
        _denied(partial(grant.result, 10))
    for change in admin.incremental_alter_configs([_forgetting("payments.orders")]).values():
        _denied(partial(change.result, 10))


def _forge(kafka: Kafka) -> None:
    group = forged_group_id(kafka.seen_from(MALLORY_HOST), datetime.now(UTC))
    with _consumer(kafka, "mallory", MALLORY_HOST, group) as consumer:
        consumer.subscribe(["payments.orders"])
        message = consumer.poll(10)
        if message is None or message.error() is None:
            raise RuntimeError("the forged group was not refused")


def _cover_up(kafka: Kafka) -> None:
    """Whoever has the administrator's password has the audit topic forget after a second."""
    admin = _admin(kafka, "admin", ADMIN_HOST)
    for change in admin.incremental_alter_configs([_forgetting(AUDIT_TOPIC)]).values():
        change.result(10)


def _forgetting(topic: str) -> ConfigResource:
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    return ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])


def _denied(act: Callable[[], object]) -> None:
    """Do something that the broker must refuse for want of rights."""
    try:
        act()
    except KafkaException as error:
        if "AUTHORIZATION_FAILED" in error.args[0].name():
            return
        raise
    raise RuntimeError("the broker allowed what it should have denied")


def _expect(found: Sequence[object], complaint: str) -> None:
    if not found:
        raise RuntimeError(complaint)


def _settings(kafka: Kafka, user: str, host: str, **more: str | int) -> Settings:
    # The library writes to standard error what it cannot do, which is the point of it here.
    return kafka.client(user, host, **more) | {"log_level": 0}


def _admin(kafka: Kafka, user: str, host: str) -> AdminClient:
    return AdminClient(_settings(kafka, user, host))


@contextlib.contextmanager
def _consumer(
    kafka: Kafka, user: str, host: str, group: str, **more: str
) -> Iterator[Consumer]:  # fmt: skip
    consumer = Consumer(
        _settings(kafka, user, host, group_id=group, auto_offset_reset="earliest", **more)
    )
    try:
        yield consumer
    finally:
        consumer.close()


def capture(folder: Path) -> None:
    """Play the incident on a broker of its own, and leave its logs in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        levels = {"request": "DEBUG"}
        with Kafka(Path(home), USERS, logging="debug", clients=HOSTS, log_levels=levels) as kafka:
            play(kafka)
        telling = (home, str(Path.home()), sys.prefix, socket.gethostname())
        for name, trim in (
            ("kafka-authorizer.log", _thinned), ("kafka-request.log", _asked),
            ("controller.log", _applied), ("server.log", _trimmed),
        ):  # fmt: skip
            (folder / name).write_text(trim(kafka.log(name), telling))


_OWN = re.compile(r"Principal = User:ANONYMOUS is Allowed operation = CLUSTER_ACTION .*\)$")
_ENTRY = re.compile(r"^(?=\[\d{4}-)", re.MULTILINE)
_FIRST, _LAST = 15, 8
_CHANGING = ("CREATE_", "DELETE_", "ALTER_", "INCREMENTAL_ALTER_")
_DUMP = re.compile(r"(Config|Configs) values:")


def _thinned(text: str, _telling: Sequence[str]) -> str:
    """The authorizer's log with one in ten of the lines about the broker's own doings."""
    kept, own = [], 0
    for line in text.splitlines(keepends=True):
        own += (is_own := _OWN.search(line) is not None)
        if not is_own or own % 10 == 1:
            kept.append(line)
    return "".join(kept)


def _asked(text: str, _telling: Sequence[str]) -> str:
    """The request log with one in a hundred of what changes nothing, of the shorter ones."""
    kept, idle = [], 0
    for line in text.splitlines(keepends=True):
        name = re.search(r'"requestApiKeyName":"([A-Z_]+)"', line)
        changes = name is not None and name[1].startswith(_CHANGING)
        idle += not changes
        if changes or (idle % 100 == 1 and len(line) < 2000):
            kept.append(line)
    return "".join(kept)


def _applied(text: str, telling: Sequence[str]) -> str:
    """A log without dumps of the configuration, and without what tells of this machine."""
    names = "|".join(map(re.escape, telling))
    places = re.compile(rf"(?<!\w)(?:{names})(?!\w)")
    return "".join(e for e in _ENTRY.split(text) if not _DUMP.search(e) and not places.search(e))


def _trimmed(text: str, telling: Sequence[str]) -> str:
    """The server's log from its first lines on, without most of its start and all of its stop."""
    entries = _ENTRY.split(_applied(text, telling))
    started = _position(entries, "Kafka Server started")
    stopping = _position(entries, "Terminating process due to signal")
    return "".join(entries[:_FIRST] + entries[started - _LAST : stopping])


def _position(entries: Sequence[str], phrase: str) -> int:
    return next(number for number, entry in enumerate(entries) if phrase in entry)


if __name__ == "__main__":
    capture(Path(sys.argv[1]))
