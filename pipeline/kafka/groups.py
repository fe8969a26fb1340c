"""Requests about groups and their offsets, and about the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.kafka.parts import (
    CLUSTER,
    Item,
    Node,
    Results,
    maybe,
    named,
    nodes,
    number,
    partitioned,
    parts,
    text,
    texts,
)


def is_by_hand(request: Node) -> bool:
    """Whether a commit of offsets is nobody's of the group: without member and generation."""
    generation = request.get("generationIdOrMemberEpoch", request.get("generationId", -1))
    return bool(request.get("memberId", "") == "" and generation == -1)


def commit_offsets(request: Node, response: Node) -> Iterator[Item]:
    """OffsetCommit, where it is by hand."""
    yield from _set_offsets(request, partitioned(response, "topics", "name"), "name", "committed")


def alter_share_offsets(request: Node, response: Node) -> Iterator[Item]:
    """AlterShareGroupOffsets."""
    results = partitioned(response, "responses", "topicName")
    yield from _set_offsets(request, results, "topicName", "start")


def _set_offsets(request: Node, results: Results, name: str, which: str) -> Iterator[Item]:
    group = text(request, "groupId")
    for topic, topic_id, part in parts(request, name):
        index = number(part, "partitionIndex")
        yield Item("offset", "set", "Group", group, f"{topic}-{index}",
                   number(part, f"{which}Offset"), topic_id=topic_id,
                   words=f"offset of {topic}-{index} in Group {group}",
                   result=results.of((topic, index)))  # fmt: skip


def delete_offsets(request: Node, response: Node) -> Iterator[Item]:
    """OffsetDelete."""
    group = text(request, "groupId")
    results = partitioned(response, "topics", "name")
    for topic, _, part in parts(request, "name"):
        index = number(part, "partitionIndex")
        yield Item("offset", "delete", "Group", group, f"{topic}-{index}",
                   words=f"offset of {topic}-{index} in Group {group}",
                   result=results.of((topic, index)))  # fmt: skip


def delete_share_offsets(request: Node, response: Node) -> Iterator[Item]:
    """DeleteShareGroupOffsets: of all partitions of a topic at once."""
    group = text(request, "groupId")
    results = named(response, "responses", "topicName")
    for topic in nodes(request, "topics"):
        name = text(topic, "topicName")
        yield Item("offset", "delete", "Group", group, name,
                   words=f"offsets of Topic {name} in Group {group}",
                   result=results.of((name,)))  # fmt: skip


def delete_groups(request: Node, response: Node) -> Iterator[Item]:
    """DeleteGroups."""
    results = named(response, "results", "groupId")
    for group in texts(request, "groupsNames"):
        yield Item("group", "delete", "Group", group, words=f"Group {group}",
                   result=results.of((group,)))  # fmt: skip


def unregister_broker(request: Node, response: Node) -> Iterator[Item]:
    """UnregisterBroker."""
    broker = str(number(request, "brokerId"))
    yield Item("broker", "delete", "Broker", broker, words=f"the registration of Broker {broker}",
               result=Results(response).whole)  # fmt: skip


def add_voter(request: Node, response: Node) -> Iterator[Item]:
    """AddRaftVoter."""
    after = {
        "directory_id": maybe(request, "voterDirectoryId"),
        "listeners": [
            f"{text(n, 'name')}://{text(n, 'host')}:{number(n, 'port')}"
            for n in nodes(request, "listeners", required=False)
        ],
    }
    yield _voter("create", request, response, after)


def remove_voter(request: Node, response: Node) -> Iterator[Item]:
    """RemoveRaftVoter."""
    yield _voter("delete", request, response, None)


def _voter(action: str, request: Node, response: Node, after: Any) -> Item:
    voter = str(number(request, "voterId"))
    return Item("voter", action, "Cluster", CLUSTER, voter, after, words=f"voter {voter}",
                result=Results(response).whole)  # fmt: skip
