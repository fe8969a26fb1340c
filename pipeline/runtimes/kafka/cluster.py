"""The cluster as an administrator sees it: topics, their settings, who is in a group.

Calls block, for `_CALL_S` at most, and raise `ClusterError`, with what the brokers said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import (
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from pipeline.errors import UnusableError
from pipeline.runtimes.kafka.connection import client
from pipeline.runtimes.kafka.producing import Sending
from pipeline.streaming import Streaming

_CALL_S = 30.0
_ATTEMPT_S = 2.0
_QUIET = 0
_NOT_ALLOWED = "; `auditstream topics plan --acls table` says what is needed"
_ADVICE = {
    KafkaError.INVALID_REPLICATION_FACTOR: "; are there fewer brokers than kafka.replication?",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _NOT_ALLOWED,
    KafkaError.GROUP_AUTHORIZATION_FAILED: _NOT_ALLOWED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _NOT_ALLOWED,
}


class ClusterError(UnusableError):
    """The cluster cannot be reached, does not let us, or its topics are not as they must be."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is: ``replicas`` is the least that any of its partitions has."""

    name: str
    partitions: int
    replicas: int


class Cluster:
    """One cluster. Raises `ConfigError` where the settings mean nothing."""

    def __init__(self, streaming: Streaming) -> None:
        self.settings = client(streaming) | {"log_level": _QUIET}
        self._brokers = streaming.brokers
        self._said: list[str] = []
        self._hopeless = False
        settings: dict[str, Any] = {**self.settings, "error_cb": self._on_error}
        self._admin = AdminClient(settings)

    def topics(self) -> dict[str, Found]:
        """All topics that we may see, by name."""
        deadline = time.monotonic() + _CALL_S
        while (seen := self._seen()) is None:
            if self._hopeless or time.monotonic() > deadline:
                why = "; ".join(dict.fromkeys(self._said)) or "nobody answers"
                raise ClusterError(f"no broker of {self._brokers} can be used: {why}")
        return {
            name: Found(
                name,
                len(topic.partitions),
                min(len(partition.replicas) for partition in topic.partitions.values()),
            )
            for name, topic in seen.items()
            if topic.error is None and topic.partitions
        }

    def _seen(self) -> dict[str, Any] | None:
        try:
            return self._admin.list_topics(timeout=_ATTEMPT_S).topics
        except KafkaException:
            self._admin.poll(0)
            return None

    def ids(self, names: Iterable[str]) -> dict[str, str]:
        """Ids of topics (KIP-516): one that was deleted and made anew has another."""
        asked = self._admin.describe_topics(TopicCollection(list(names)), **_timeout())
        return {
            name: str(_result(future, f"topic {name} cannot be looked at").topic_id)
            for name, future in asked.items()
        }

    def configurations(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """What each topic is set to, defaults of the brokers included."""
        asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not asked:
            return {}
        found: dict[str, dict[str, str]] = {}
        for resource, future in self._admin.describe_configs(asked, **_timeout()).items():
            entries = _result(future, f"the settings of topic {resource.name} cannot be read")
            found[resource.name] = {name: entry.value or "" for name, entry in entries.items()}
        return found

    def make(
        self, name: str, partitions: int, replication: int, settings: Mapping[str, str]
    ) -> None:
        """Make a topic, and wait until the brokers know it."""
        new = NewTopic(name, partitions, replication, config=dict(settings))
        [future] = self._admin.create_topics([new], **_timeout()).values()
        _result(future, f"topic {name} cannot be made")
        deadline = time.monotonic() + _CALL_S
        while name not in self.topics():
            if time.monotonic() > deadline:
                raise ClusterError(f"topic {name} was made, but the brokers do not know it")
            time.sleep(0.05)

    def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions, up to `partitions` in all."""
        more = [NewPartitions(name, partitions)]
        [future] = self._admin.create_partitions(more, **_timeout()).values()
        _result(future, f"topic {name} cannot be given {partitions} partitions")

    def alter(self, name: str, settings: Mapping[str, str]) -> None:
        """Change these settings of a topic and no others (KIP-339)."""
        change = AlterConfigOpType.SET
        entries = [
            ConfigEntry(setting, value, incremental_operation=change)
            for setting, value in settings.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        [future] = self._admin.incremental_alter_configs([resource], **_timeout()).values()
        _result(future, f"the settings of topic {name} cannot be changed")

    def members(self, group: str) -> int:
        """How many are in a consumer group; 0 where there is none."""
        [future] = self._admin.describe_consumer_groups([group], **_timeout()).values()
        try:
            return len(future.result(_CALL_S * 2).members)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise _refused(f"group {group} cannot be looked at", error) from None

    def producer(self) -> Producer:
        """A producer for few records, or many at a time: acknowledged by all in-sync replicas."""
        return Producer(self.settings | Sending().settings())

    def _on_error(self, error: KafkaError) -> None:
        # Which of several causes it was, librdkafka says here alone.
        self._hopeless |= error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._said.append(error.str())


class Delivery:
    """Whether records sent with one producer were acknowledged. Raises `ClusterError` if not."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._first: KafkaError | None = None

    def send(self, topic: str, value: bytes | None, key: bytes | None, **more: Any) -> None:
        """Hand over a record, waiting while the queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._told, **more)
                break
            except BufferError:
                self._producer.poll(0.1)
                self._check()
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all is acknowledged."""
        while len(self._producer):
            self._producer.flush(1)
            self._check()
        self._check()

    def _told(self, error: KafkaError | None, _: Any) -> None:
        self._first = self._first or error

    def _check(self) -> None:
        if self._first is not None:
            raise ClusterError(f"the brokers did not take what was sent: {self._first.str()}")


def _timeout() -> dict[str, float]:
    return {"request_timeout": _CALL_S}


def _result(future: Any, what: str) -> Any:
    call: Callable[[float], Any] = future.result
    try:
        return call(_CALL_S * 2)
    except KafkaException as error:
        raise _refused(what, error) from None


def _refused(what: str, error: KafkaException) -> ClusterError:
    why: KafkaError = error.args[0]
    return ClusterError(f"{what}: {why.str() or why.name()}{_ADVICE.get(why.code(), '')}")
