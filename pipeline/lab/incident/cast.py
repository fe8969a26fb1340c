"""Who is in the incident, from where, with which rights, and what each of them does."""

from dataclasses import dataclass
from typing import Literal

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclOperation,
    ResourceType,
)

ADMIN_HOST = "192.0.2.10"
PAYMENTS_HOST = "192.0.2.20"
ALICE_HOST = "192.0.2.30"
MALLORY_HOST = "192.0.2.66"
OUTSIDER_HOST = "198.51.100.23"
VENDOR_HOST = "198.51.100.50"
HOSTS = (ADMIN_HOST, PAYMENTS_HOST, ALICE_HOST, MALLORY_HOST, OUTSIDER_HOST, VENDOR_HOST)

USERS = {
    "admin": "admin-of-the-incident",
    "payments-app": "correct-horse-14",
    "alice": "alice-of-the-incident",
    "mallory": "mallory-of-the-incident",
    "vendor-support": "vendor-of-the-incident",
}

TOPICS = (
    *("payments.orders", "payments.refunds", "payments.chargebacks", "payments.cards"),
    *("hr.salaries", "hr.reviews", "hr.holidays"),
    *("finance.ledger", "finance.forecast", "finance.payroll"),
    *("crm.contacts", "crm.notes", "security.keys", "security.incidents"),
)
AUDIT_TOPIC = "audit.events"
SALARIES = "hr.salaries"
COVETED = tuple(topic for topic in TOPICS if not topic.startswith("payments."))
FAILED_LOGINS = 14
RECORDS = 5
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


CLUSTER = "Cluster:LITERAL:kafka-cluster"
GRANTS = (
    ("payments-app", "payments.", ResourceType.TOPIC, AclOperation.READ),
    ("payments-app", "payments.", ResourceType.TOPIC, AclOperation.WRITE),
    ("payments-app", "payments-", ResourceType.GROUP, AclOperation.READ),
    ("alice", "hr.holidays", ResourceType.TOPIC, AclOperation.READ),
    ("*", "payments.", ResourceType.TOPIC, AclOperation.DESCRIBE),
    ("vendor-support", "payments.", ResourceType.TOPIC, AclOperation.DESCRIBE_CONFIGS),
    # Nobody meant this one: whoever looks after payments has no business with salaries.
    ("vendor-support", "hr.", ResourceType.TOPIC, AclOperation.READ),
)


def _deed(
    principal: str | None, address: str, operation: str, resource: str, outcome: Outcome,
    times: int | None = 1,
) -> Deed:  # fmt: skip
    name = f"User:{principal}" if principal else None
    return Deed(name, address, operation, resource, outcome, times)


DEEDS: tuple[Deed, ...] = (
    _deed("admin", ADMIN_HOST, "CREATE", CLUSTER, "allowed"),
    _deed("admin", ADMIN_HOST, "ALTER", CLUSTER, "allowed", None),
    _deed("admin", ADMIN_HOST, "WRITE", f"Topic:LITERAL:{SALARIES}", "allowed", None),
    _deed("payments-app", PAYMENTS_HOST, "WRITE", "Topic:LITERAL:payments.orders", "allowed", None),
    _deed("payments-app", PAYMENTS_HOST, "READ", "Topic:LITERAL:payments.orders", "allowed", None),
    _deed("payments-app", PAYMENTS_HOST, "READ", f"Group:LITERAL:{GROUP}", "allowed", None),
    _deed("alice", ALICE_HOST, "DESCRIBE_CONFIGS", "Topic:LITERAL:hr.holiday", "denied"),
    _deed(
        "vendor-support",
        VENDOR_HOST,
        "DESCRIBE_CONFIGS",
        "Topic:LITERAL:payments.orders",
        "allowed",
    ),
    _deed("vendor-support", VENDOR_HOST, "READ", f"Topic:LITERAL:{SALARIES}", "allowed", None),
    _deed(None, OUTSIDER_HOST, "LOGIN", "", "failed", FAILED_LOGINS),
    _deed("payments-app", OUTSIDER_HOST, "READ", "Topic:LITERAL:payments.orders", "allowed", None),
    *(
        _deed("mallory", MALLORY_HOST, "DESCRIBE", f"Topic:LITERAL:{topic}", "denied", None)
        for topic in COVETED
    ),
    _deed("mallory", MALLORY_HOST, "READ", "Topic:LITERAL:payments.cards", "denied", None),
    _deed("mallory", MALLORY_HOST, "DESCRIBE", f"Group:LITERAL:{GROUP}", "denied", None),
    _deed("mallory", MALLORY_HOST, "WRITE", "Topic:LITERAL:payments.refunds", "denied"),
    _deed("mallory", MALLORY_HOST, "ALTER", CLUSTER, "denied"),
    _deed("mallory", MALLORY_HOST, "ALTER_CONFIGS", "Topic:LITERAL:payments.orders", "denied"),
    _deed("mallory", MALLORY_HOST, "DESCRIBE", "Group:LITERAL:billing", "forged", None),
    _deed("admin", ADMIN_HOST, "ALTER_CONFIGS", f"Topic:LITERAL:{AUDIT_TOPIC}", "allowed"),
)
