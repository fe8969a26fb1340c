"""Kafka's administrative APIs: what each changes, and what the authorizer decides it by.

Names and operations as ``KafkaApis`` and ``ControllerApis`` of Kafka 4.1 ask the authorizer for
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

ACTIVITIES: Final[Mapping[str, int]] = {
    "CREATE": 1, "CREATE_TOKENS": 1, "READ": 2, "DESCRIBE": 2, "DESCRIBE_CONFIGS": 2,
    "DESCRIBE_TOKENS": 2, "WRITE": 3, "ALTER": 3, "ALTER_CONFIGS": 3, "IDEMPOTENT_WRITE": 3,
    "DELETE": 4, "CLUSTER_ACTION": 99, "TWO_PHASE_COMMIT": 99, "ALL": 99,
    # Confluent's
    "READ_STATUS": 2, "READ_CONFIG": 2, "DESCRIBE_ACCESS": 2, "READ_COMPATIBILITY": 2,
    "CONFIGURE": 3, "ALTER_ACCESS": 3, "WRITE_COMPATIBILITY": 3, "PAUSE": 99, "RESUME": 99,
    "SCALE": 99, "TERMINATE": 99, "CONTRIBUTE": 99, "VALIDATE": 99,
}  # fmt: skip
"""OCSF ``activity_id`` of an operation, by Kafka's name for it."""


class Api(NamedTuple):
    """An administrative API: the kind of thing it changes, and the operations that decide it."""

    kind: str
    action: str
    decisive: frozenset[str] = frozenset()
    by_controller: bool = True


def _api(kind: str, action: str, *decisive: str, by_controller: bool = True) -> Api:
    return Api(kind, action, frozenset(decisive), by_controller)


APIS: Final[Mapping[str, Api]] = {
    "CreateTopics": _api("topic", "create", "CREATE"),
    "DeleteTopics": _api("topic", "delete", "DELETE"),
    "CreatePartitions": _api("partitions", "create", "ALTER"),
    "AlterConfigs": _api("config", "set", "ALTER_CONFIGS"),
    "IncrementalAlterConfigs": _api("config", "set", "ALTER_CONFIGS"),
    "CreateAcls": _api("acl", "create", "ALTER"),
    "DeleteAcls": _api("acl", "delete", "ALTER"),
    "AlterUserScramCredentials": _api("scram", "set", "ALTER"),
    "AlterClientQuotas": _api("quota", "set", "ALTER_CONFIGS"),
    "AlterPartitionReassignments": _api("reassignment", "alter", "ALTER"),
    "ElectLeaders": _api("election", "alter", "ALTER"),
    "CreateDelegationToken": _api("token", "create", "CREATE_TOKENS"),
    "RenewDelegationToken": _api("token", "renew"),
    "ExpireDelegationToken": _api("token", "expire"),
    "UpdateFeatures": _api("feature", "set", "ALTER"),
    "UnregisterBroker": _api("broker", "delete", "ALTER"),
    "AddRaftVoter": _api("voter", "create", "ALTER"),
    "RemoveRaftVoter": _api("voter", "delete", "ALTER"),
    # What the broker does by itself.
    "DeleteRecords": _api("records", "delete", "DELETE", by_controller=False),
    "DeleteGroups": _api("group", "delete", "DELETE", by_controller=False),
    "OffsetDelete": _api("offset", "delete", "DELETE", by_controller=False),
    "OffsetCommit": _api("offset", "set", by_controller=False),
    "TxnOffsetCommit": _api("offset", "set", by_controller=False),
    "AlterReplicaLogDirs": _api("log_dir", "set", "ALTER", by_controller=False),
    "AlterShareGroupOffsets": _api("offset", "set", by_controller=False),
    "DeleteShareGroupOffsets": _api("offset", "delete", by_controller=False),
    "DeleteShareGroupState": _api("offset", "delete", by_controller=False),
}
"""By the name the authorizer gives a request."""

INTERNAL_TOPICS: Final = frozenset(
    ("__consumer_offsets", "__transaction_state", "__share_group_state")
)
"""Topics that brokers create by themselves when the first client needs them."""

CREATES_BY_USE: Final = "Metadata"
"""Who asks for a topic that is not there may have it created: the decision names this request."""


def is_administrative(request: str, operation: str) -> bool:
    """Whether a decision is about an administrative request.

    Who commits offsets is decided on all the time and changes nothing that people administer.
    """
    api = APIS.get(request)
    return bool(api and api.decisive) or (request == CREATES_BY_USE and operation == "CREATE")
