"""Random administration of a real broker by several principals, and what they truly did.

`administer` plays it and returns every deed with what came of it, as the clients were told.
"""

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from random import Random
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from pipeline.lab.kafka import Kafka

USERS = {
    "admin": "admin-of-the-estate",
    "ops": "ops-of-the-estate",
    "iam": "iam-of-the-estate",
    "app": "app-of-the-estate",
    "eve": "eve-of-the-estate",
    "bob": "bob-of-the-estate",
}
HOSTS = {name: f"192.0.2.{n}" for n, name in enumerate(USERS, 40)}
CANARY = "canary-Kq7Zt3VbX9"
_WAIT_S = 30
_MAY_LOOK = ("admin", "ops")
"""Everybody else's client is refused when it looks for whom to ask, and asks nobody."""
_RETENTIONS = ("3600000", "7200000", "86400000")


@dataclass(frozen=True, slots=True)
class Deed:
    """What a change should say. ``after``: compared where it is not None."""

    actor: str
    address: str
    action: str
    target: str
    item: str
    outcome: str
    after: str | None = None


class Administration:
    """One broker's administrators, and what they have done so far."""

    def __init__(self, kafka: Kafka, seed: int) -> None:
        self.kafka, self.random, self.deeds = kafka, Random(seed), list[Deed]()
        self.clients = {
            u: AdminClient({**kafka.client(u, HOSTS[u]), "log_level": 0}) for u in USERS
        }
        self.topics, self.acls, self.users = list[str](), list[AclBinding](), list[str]()
        self.number = itertools.count()

    def tell(
        self, user: str, action: str, target: str, item: str, future: Any, after: str | None = None
    ) -> bool:
        """Note a deed when its result is there; whether it succeeded."""
        try:
            future.result(timeout=_WAIT_S)
            outcome = "success"
        except Exception:
            outcome = "failure"
        self.deeds.append(
            Deed(
                f"User:{user}", self.kafka.seen_from(HOSTS[user]), action, target, item, outcome,
                after,
            )
        )  # fmt: skip
        return outcome == "success"

    # What they do.

    def create(self, user: str) -> None:
        names = [f"{user}.t{next(self.number)}" for _ in range(self.random.choice((1, 1, 2)))]
        if self.topics and self.random.random() < 0.2:
            names.append(self.random.choice(self.topics))
        names = list(dict.fromkeys(names))
        futures = self.clients[user].create_topics(
            [NewTopic(n, num_partitions=1, replication_factor=1) for n in names]
        )
        for name in names:
            if self.tell(user, "topic.create", f"Topic:{name}", "", futures[name]):
                self.topics.append(name)

    def validate(self, user: str) -> None:
        """Does nothing: nothing may be told of it."""
        for future in (
            self.clients[user]
            .create_topics([NewTopic("only.asked", 1, 1)], validate_only=True)
            .values()
        ):
            future.exception(timeout=_WAIT_S)

    def delete(self, user: str) -> None:
        name = self.random.choice([*self.topics, "no.such.topic"])
        future = self.clients[user].delete_topics([name])[name]
        if self.tell(user, "topic.delete", f"Topic:{name}", "", future):
            self.topics.remove(name)

    def widen(self, user: str) -> None:
        if self.topics:
            name = self.random.choice(self.topics)
            count = self.random.choice((1, 2, 4, 8))
            future = self.clients[user].create_partitions([NewPartitions(name, count)])[name]
            self.tell(user, "partitions.create", f"Topic:{name}", "", future)

    def configure(self, user: str) -> None:
        if not self.topics:
            return
        name, value = self.random.choice(self.topics), self.random.choice(_RETENTIONS)
        entries = [ConfigEntry("retention.ms", value, incremental_operation=AlterConfigOpType.SET)]
        if self.random.random() < 0.3:
            entries.append(
                ConfigEntry("max.message.bytes", "1000000",
                            incremental_operation=AlterConfigOpType.SET)
            )  # fmt: skip
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        (future,) = self.clients[user].incremental_alter_configs([resource]).values()
        for entry in entries:
            self.tell(user, "config.set", f"Topic:{name}", entry.name, future, entry.value)

    def twice(self, user: str) -> None:
        """The same again, by the same: two deeds."""
        if self.topics:
            name = self.random.choice(self.topics)
            entry = ConfigEntry("retention.ms", "4242", incremental_operation=AlterConfigOpType.SET)
            for _ in range(2):
                resource = ConfigResource(
                    ConfigResource.Type.TOPIC, name, incremental_configs=[entry]
                )
                (future,) = self.clients[user].incremental_alter_configs([resource]).values()
                self.tell(user, "config.set", f"Topic:{name}", "retention.ms", future, "4242")

    def grant(self, user: str) -> None:
        bindings = [self._binding() for _ in range(self.random.choice((1, 1, 3)))]
        bindings = list({repr(b): b for b in bindings}.values())
        futures = self.clients[user].create_acls(bindings)
        for binding in bindings:
            target, item = _acl(binding)
            if self.tell(user, "acl.create", target, item, futures[binding]):
                self.acls = [*(a for a in self.acls if a != binding), binding]

    def _binding(self) -> AclBinding:
        return AclBinding(
            ResourceType.TOPIC, self.random.choice(("orders", "*", "pay")),
            self.random.choice((ResourcePatternType.LITERAL, ResourcePatternType.PREFIXED)),
            f"User:{self.random.choice(('zoe', 'yan'))}", "*",
            self.random.choice((AclOperation.READ, AclOperation.WRITE)), AclPermissionType.ALLOW,
        )  # fmt: skip

    def revoke(self, user: str) -> None:
        who = self.random.choice(("User:zoe", "User:yan"))
        any_: Any = None
        wanted = AclBindingFilter(
            ResourceType.ANY, any_, ResourcePatternType.ANY, who, any_, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        (future,) = self.clients[user].delete_acls([wanted]).values()
        try:
            gone = future.result(timeout=_WAIT_S)
        except Exception:
            self.tell(user, "acl.delete", "Any:<any>", f"ANY|{who}|<any>|ANY|ANY", future)
            return
        for binding in gone:
            target, item = _acl(binding)
            self.tell(user, "acl.delete", target, item, future)

    def credential(self, user: str) -> None:
        name = f"u{self.random.randrange(4)}"
        if name in self.users and self.random.random() < 0.4:
            change: Any = UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_256)
            action = "scram.delete"
        else:
            info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
            change = UserScramCredentialUpsertion(name, info, CANARY.encode())
            action = "scram.set"
        future = self.clients[user].alter_user_scram_credentials([change])[name]
        if self.tell(user, action, f"User:{name}", "SCRAM-SHA-256", future):
            self.users = [u for u in self.users if u != name] + [name] * (action == "scram.set")

    def reset(self, user: str) -> None:
        if self.topics:
            name = self.random.choice(self.topics)
            group = ConsumerGroupTopicPartitions("settlement", [TopicPartition(name, 0, 0)])
            (future,) = self.clients[user].alter_consumer_group_offsets([group]).values()
            try:
                (partition,) = future.result(timeout=_WAIT_S).topic_partitions
                failed = partition.error
            except Exception as error:
                failed = error
            done: Future[None] = Future()
            if failed is None:
                done.set_result(None)
            else:
                done.set_exception(RuntimeError(str(failed)))
            if user in _MAY_LOOK:
                self.tell(user, "offset.set", "Group:settlement", f"{name}-0", done)

    def prune(self, user: str) -> None:
        if self.topics:
            name = self.random.choice(self.topics)
            (future,) = self.clients[user].delete_records([TopicPartition(name, 0, 0)]).values()
            future.exception(timeout=_WAIT_S)
            if user in _MAY_LOOK:
                self.tell(user, "records.delete", f"Topic:{name}", "0", future)


def _acl(binding: Any) -> tuple[str, str]:
    """Target and item of a binding."""
    pattern, who, host = binding.resource_pattern_type.name, binding.principal, binding.host
    item = f"{pattern}|{who}|{host}|{binding.operation.name}|{binding.permission_type.name}"
    return f"{binding.restype.name.capitalize()}:{binding.name}", item


def administer(kafka: Kafka, count: int, seed: int) -> Administration:
    """Play `count` random actions, after the rights of `ops` and `iam` are set up."""
    play = Administration(kafka, seed)
    rights = [
        AclBinding(ResourceType.TOPIC, "*", ResourcePatternType.LITERAL, "User:ops", "*",
                   AclOperation.ALL, AclPermissionType.ALLOW),
        AclBinding(ResourceType.GROUP, "*", ResourcePatternType.LITERAL, "User:ops", "*",
                   AclOperation.ALL, AclPermissionType.ALLOW),
        AclBinding(ResourceType.BROKER, "kafka-cluster", ResourcePatternType.LITERAL, "User:iam",
                   "*", AclOperation.ALTER, AclPermissionType.ALLOW),
    ]  # fmt: skip
    futures = play.clients["admin"].create_acls(rights)
    for binding in rights:
        target, item = _acl(binding)
        target = target.replace("Broker:", "Cluster:")
        play.tell("admin", "acl.create", target, item, futures[binding])
    time.sleep(0.5)
    for action, user in _plan(play, count):
        action(user)
    return play


def _plan(play: Administration, count: int) -> Iterator[tuple[Callable[[str], None], str]]:
    actions = (
        play.create, play.create, play.delete, play.widen, play.configure, play.configure,
        play.twice, play.grant, play.revoke, play.credential, play.reset, play.prune,
        play.validate,
    )  # fmt: skip
    for _ in range(count):
        user = play.random.choice(("admin", "admin", "ops", "ops", "iam", "app", "eve", "bob"))
        yield play.random.choice(actions), user
