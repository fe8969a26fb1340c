"""What an administrator does and asks, with the patience that takes.

KRaft answers once a change is written down; the broker goes by it a moment later, or, where it
stands still, much later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclBinding,
    AclBindingFilter,
    AdminClient,
)

from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.looking import Look, Looking
from tests.runtimes.kafka.running import eventually


def give(admin: AdminClient, rights: Sequence[AclBinding]) -> None:
    """Give rights, until the broker lets whoever has them."""
    for future in admin.create_acls(list(rights)).values():
        future.result(60)
    _are(admin, rights, there=True)


def take(admin: AdminClient, rights: Sequence[AclBinding]) -> None:
    """Take rights away, until the broker refuses whoever had them."""
    for future in admin.delete_acls([_only(one) for one in rights]).values():
        assert future.result(60)
    _are(admin, rights, there=False)


def _are(admin: AdminClient, rights: Sequence[AclBinding], there: bool) -> None:
    # A broker answers this from what it decides by.
    def so() -> bool:
        asked = (admin.describe_acls(_only(one)) for one in rights)
        return all(bool(future.result(60)) == there for future in asked)

    eventually(so, f"the rights to be {'given' if there else 'taken away'}")


def _only(binding: Any) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def alter(cluster: Cluster, topic: str, settings: Mapping[str, str]) -> None:
    """Change settings of a topic, until the broker goes by them."""
    cluster.alter(topic, settings)

    def so() -> bool:
        with suppress(ClusterError):
            return settings.items() <= cluster.configurations([topic])[topic].items()
        return False

    eventually(so, f"{topic} to have {settings}")


def grow(cluster: Cluster, topic: str, partitions: int) -> None:
    """Give a topic more partitions, until the broker knows them."""
    cluster.grow(topic, partitions)
    eventually(
        lambda: cluster.topics()[topic].partitions == partitions,
        f"{topic} to have {partitions} partitions",
    )


def delete(admin: AdminClient, cluster: Cluster, topic: str) -> None:
    """Delete a topic, until the broker knows it no more."""
    admin.delete_topics([topic])[topic].result(60)
    eventually(lambda: topic not in cluster.topics(), f"{topic} to be gone")


def look(looking: Looking) -> Look:
    """What is found at one look; it waits a few seconds for an answer, which may be too short."""
    found: list[Look] = []

    def answered() -> bool:
        with suppress(KafkaException, TimeoutError):
            found.append(looking.look())
        return bool(found)

    eventually(answered, "the brokers to answer a look")
    return found[0]
