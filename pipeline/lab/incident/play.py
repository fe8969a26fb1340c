"""The play: what each client does to the broker, in order."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclBinding,
    AclBindingFilter,
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

from pipeline.lab.incident.cast import (
    ADMIN_HOST,
    ALICE_HOST,
    AUDIT_TOPIC,
    CLUSTER,
    COVETED,
    DEEDS,
    FAILED_LOGINS,
    GRANTS,
    GROUP,
    MALLORY_HOST,
    OUTSIDER_HOST,
    PAYMENTS_HOST,
    RECORDS,
    SALARIES,
    TOPICS,
    VENDOR_HOST,
    Deed,
)
from pipeline.lab.kafka import Kafka, Settings

_PATIENCE_S = 60
"""For each answer, however busy the machine is."""


def play(
    kafka: Kafka, pause_s: float = 2.0, audit_topic: str = AUDIT_TOPIC
) -> tuple[Deed, ...]:  # fmt: skip
    """Play the incident on a running broker that knows `USERS` and `HOSTS`; returns `DEEDS`.

    Takes about twenty-five times `pause_s`, the time between two attempts to log in. `audit_topic`
    is made, to be made to forget. Raises `RuntimeError` where the broker allows what it should
    deny, or the other way round.
    """
    _set_up(kafka, audit_topic)
    _do_business(kafka)
    _mistype(kafka)
    _describe(kafka, "vendor-support", VENDOR_HOST, "payments.orders")
    _read(kafka, "vendor-support", VENDOR_HOST, SALARIES, group="vendor-support")
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
    _cover_up(kafka, audit_topic)
    return DEEDS


def spy(kafka: Kafka, user: str, topic: str) -> None:
    """Mallory has found the password of `user`, who has no right to the topic, and asks for it.

    Raises `RuntimeError` where the broker lets her.
    """
    _denied(partial(_list_topic, kafka, user, MALLORY_HOST, topic))


def forged_group_id(seen_from: str, now: datetime) -> str:
    """A group id that makes of mallory's denial three lines, one of them about the admin.

    `now` is in the broker's time zone. Only the first line of the three, which breaks off,
    betrays it: the broker's own end of the message completes the last.
    """
    time_text = now.strftime("%Y-%m-%d %H:%M:%S,") + f"{now.microsecond // 1000:03d}"
    perfect = (
        f"[{time_text}] DEBUG Principal = User:admin is Allowed operation = ALTER from host = "
        f"{ADMIN_HOST} on resource = {CLUSTER} for request = CreateAcls with "
        "resourceRefCount = 1 based on rule SuperUser (kafka.authorizer.logger)"
    )
    last = (
        f"[{time_text}] INFO Principal = User:mallory is Denied operation = DESCRIBE from host = "
        f"{seen_from} on resource = Group:LITERAL:billing"
    )
    return f"billing\n{perfect}\n{last}"


def _set_up(kafka: Kafka, audit_topic: str) -> None:
    admin = _admin(kafka, "admin", ADMIN_HOST)
    topics = [NewTopic(topic, 1, 1) for topic in (*TOPICS, audit_topic)]
    for future in admin.create_topics(topics).values():
        future.result(_PATIENCE_S)
    granted = [_acl(*grant) for grant in GRANTS]
    for acl in granted:
        admin.create_acls([acl])[acl].result(_PATIENCE_S)
    _await_grants(admin, granted)
    _fill(kafka, "admin", ADMIN_HOST, SALARIES)


def _await_grants(admin: AdminClient, granted: list[AclBinding]) -> None:
    """The controller has them; the broker that decides hears of them a moment later."""
    any_name: Any = None
    every = AclBindingFilter(
        ResourceType.ANY, any_name, ResourcePatternType.ANY, any_name, any_name, AclOperation.ANY,
        AclPermissionType.ANY,
    )  # fmt: skip
    deadline = time.monotonic() + _PATIENCE_S
    while not set(granted) <= set(admin.describe_acls(every).result(_PATIENCE_S)):
        if time.monotonic() > deadline:
            raise RuntimeError("the broker does not hear of what was granted")
        time.sleep(0.5)


def _acl(user: str, name: str, kind: ResourceType, operation: AclOperation) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if name[-1] in ".-" else ResourcePatternType.LITERAL
    return AclBinding(
        kind, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW
    )  # fmt: skip


def _do_business(kafka: Kafka) -> None:
    """The application's ordinary life: some orders in, and settled by its consumer."""
    _fill(kafka, "payments-app", PAYMENTS_HOST, "payments.orders")
    with _consumer(kafka, "payments-app", PAYMENTS_HOST, GROUP) as consumer:
        consumer.subscribe(["payments.orders"])
        if not consumer.consume(RECORDS, _PATIENCE_S):
            raise RuntimeError("no orders came")


def _fill(kafka: Kafka, user: str, host: str, topic: str) -> None:
    producer = Producer(_settings(kafka, user, host))
    for number in range(RECORDS):
        producer.produce(topic, f"{topic} {number}")
        producer.flush(_PATIENCE_S)


def _mistype(kafka: Kafka) -> None:
    _denied(partial(_describe, kafka, "alice", ALICE_HOST, "hr.holiday"))


def _describe(kafka: Kafka, user: str, host: str, topic: str) -> None:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = _admin(kafka, user, host)
    for found in admin.describe_configs([resource]).values():
        found.result(_PATIENCE_S)


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
    deadline = time.monotonic() + _PATIENCE_S
    while not any(error.code() == KafkaError._AUTHENTICATION for error in errors):
        client.poll(0.1)
        if time.monotonic() > deadline:
            raise RuntimeError(f"the login with a wrong password did not fail: {errors}")


def _read(kafka: Kafka, user: str, host: str, topic: str, group: str = GROUP) -> None:
    """Read a topic from its beginning outside any group, as one does who copies it.

    The library asks for the group's coordinator all the same, which may be denied.
    """
    with _consumer(kafka, user, host, group, enable_auto_commit="false") as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        count, deadline = 0, time.monotonic() + _PATIENCE_S
        while count < RECORDS and time.monotonic() < deadline:
            for message in consumer.consume(RECORDS, 0.5):
                error = message.error()
                if error is None:
                    count += 1
                elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                    raise KafkaException(error)
    if not count:
        raise RuntimeError(f"nothing came from {topic}")


def _look_around(kafka: Kafka, pause_s: float) -> None:
    for topic in COVETED:
        _denied(partial(_list_topic, kafka, "mallory", MALLORY_HOST, topic))
        time.sleep(pause_s)
    _denied(partial(_read, kafka, "mallory", MALLORY_HOST, "payments.cards"))
    _denied(partial(_write, kafka, "mallory", MALLORY_HOST, "payments.refunds"))


def _list_topic(kafka: Kafka, user: str, host: str, topic: str) -> None:
    found = _admin(kafka, user, host).list_topics(topic, _PATIENCE_S).topics[topic]
    if found.error is not None:
        raise KafkaException(found.error)


def _write(kafka: Kafka, user: str, host: str, topic: str) -> None:
    producer = Producer(_settings(kafka, user, host))
    errors: list[KafkaError | None] = []
    producer.produce(topic, b"1000.00", on_delivery=lambda error, _message: errors.append(error))
    producer.flush(_PATIENCE_S)
    if errors[0] is not None:
        raise KafkaException(errors[0])


def _help_herself(kafka: Kafka) -> None:
    """Mallory tries to grant herself everything and to have the orders forgotten."""
    admin = _admin(kafka, "mallory", MALLORY_HOST)
    wanted = _acl("mallory", "payments.", ResourceType.TOPIC, AclOperation.ALL)
    for grant in admin.create_acls([wanted]).values():
        _denied(partial(grant.result, _PATIENCE_S))
    for change in admin.incremental_alter_configs([_forgetting("payments.orders")]).values():
        _denied(partial(change.result, _PATIENCE_S))


def _forge(kafka: Kafka) -> None:
    group = forged_group_id(kafka.seen_from(MALLORY_HOST), datetime.now(UTC))
    with _consumer(kafka, "mallory", MALLORY_HOST, group) as consumer:
        consumer.subscribe(["payments.orders"])
        message = consumer.poll(_PATIENCE_S)
        if message is None or message.error() is None:
            raise RuntimeError("the forged group was not refused")


def _cover_up(kafka: Kafka, audit_topic: str) -> None:
    """Whoever has the administrator's password has the audit topic forget after a second."""
    admin = _admin(kafka, "admin", ADMIN_HOST)
    for change in admin.incremental_alter_configs([_forgetting(audit_topic)]).values():
        change.result(_PATIENCE_S)


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
