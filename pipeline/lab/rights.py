"""The rights of auditstream's own principals on the lab's broker: what `topics plan` prints."""

from __future__ import annotations

from typing import Final

from confluent_kafka.admin import AdminClient

from pipeline.lab.configured import OWN, STREAM
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.acls import acls, bindings, principals

_PATIENCE_S: Final = 60.0


def grant(kafka: Kafka) -> None:
    """Give each role what it needs, and no more. Raises `KafkaException`: the broker refuses."""
    who = principals([f"{role}=User:{user}" for role, user in OWN.items()])
    needed = bindings(acl for acl in acls(STREAM, who) if acl.role in OWN)
    admin = AdminClient(kafka.client("admin") | {"log_level": 0})
    for granted in admin.create_acls(needed).values():
        granted.result(_PATIENCE_S)
