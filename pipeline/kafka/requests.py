"""Administrative requests of Kafka: what each asks for, and what came of every part of it.

Fields are those of Kafka's message schemas (``clients/src/main/resources/common/message``), of all
versions, as its generated converters write them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pipeline.kafka import access, groups, settings, topics
from pipeline.kafka.parts import Item, Node

Decoder = Callable[[Node, Node], Iterator[Item]]
"""Request and response (empty where there is none) to the parts. Raises Unreadable."""

DECODERS: Final[Mapping[str, Decoder]] = {
    "CreateTopics": topics.create_topics,
    "DeleteTopics": topics.delete_topics,
    "CreatePartitions": topics.create_partitions,
    "DeleteRecords": topics.delete_records,
    "AlterPartitionReassignments": topics.reassign,
    "ElectLeaders": topics.elect,
    "AlterReplicaLogDirs": topics.log_dirs,
    "AlterConfigs": settings.alter_configs,
    "IncrementalAlterConfigs": settings.incremental_alter_configs,
    "AlterClientQuotas": settings.quotas,
    "UpdateFeatures": settings.features,
    "CreateAcls": access.create_acls,
    "DeleteAcls": access.delete_acls,
    "AlterUserScramCredentials": access.scram,
    "CreateDelegationToken": access.create_token,
    "RenewDelegationToken": access.renew_token,
    "ExpireDelegationToken": access.expire_token,
    "OffsetCommit": groups.commit_offsets,
    "OffsetDelete": groups.delete_offsets,
    "DeleteGroups": groups.delete_groups,
    "AlterShareGroupOffsets": groups.alter_share_offsets,
    "DeleteShareGroupOffsets": groups.delete_share_offsets,
    "UnregisterBroker": groups.unregister_broker,
    "AddRaftVoter": groups.add_voter,
    "RemoveRaftVoter": groups.remove_voter,
}
"""By the API's name."""
