"""Requests about topics and their partitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.kafka.parts import (
    CLUSTER,
    NO_ID,
    Enums,
    Item,
    Node,
    maybe,
    named,
    nodes,
    number,
    numbers,
    partitioned,
    parts,
    text,
    texts,
    topic_of,
)
from pipeline.kafka.protocol import ELECTIONS


def create_topics(request: Node, response: Node) -> Iterator[Item]:
    """CreateTopics."""
    results = named(response, "topics", "name")
    for topic in nodes(request, "topics"):
        name = text(topic, "name")
        result = results.of((name,)) or {}
        placed = nodes(topic, "assignments", required=False)
        after: dict[str, Any] = {}
        for key, field, assigned in (
            ("partitions", "numPartitions", len(placed)),
            ("replication_factor", "replicationFactor",
             len(numbers(placed[0], "brokerIds")) if placed else 0),
        ):  # fmt: skip
            asked, given = number(topic, field, -1), number(result, field, -1)
            # -1 asks for the cluster's default; later versions answer what that is.
            count = assigned or (asked if asked > 0 else given)
            if count > 0:
                after[key] = count
        configs = nodes(topic, "configs", required=False)
        after["configs"] = {text(c, "name"): c.get("value") for c in configs}
        yield Item(
            "topic", "create", "Topic", name, after=after, words=f"Topic {name}",
            result=results.of((name,)), topic_id=topic_of(result or topic)[1],
        )  # fmt: skip


def delete_topics(request: Node, response: Node) -> Iterator[Item]:
    """DeleteTopics, by name or by id."""
    by_name = named(response, "responses", "name")
    by_id = named(response, "responses", "topicId")
    topics = nodes(request, "topics", required=False)
    topics += [{"name": name} for name in texts({"topicNames": [], **request}, "topicNames")]
    for topic in topics:
        name, topic_id = topic_of(topic)
        if topic_id and not maybe(topic, "name"):
            result = by_id.of((topic_id,))
            name = maybe(result or {}, "name") or name
        else:
            result = by_name.of((name,))
        said = topic_id or maybe(result or {}, "topicId").replace(NO_ID, "")
        yield Item("topic", "delete", "Topic", name, words=f"Topic {name}", result=result,
                   topic_id=said)  # fmt: skip


def create_partitions(request: Node, response: Node) -> Iterator[Item]:
    """CreatePartitions."""
    results = named(response, "results", "name")
    for topic in nodes(request, "topics"):
        name, count = text(topic, "name"), number(topic, "count")
        yield Item("partitions", "create", "Topic", name, after={"partitions": count},
                   words=f"partitions of Topic {name} up to {count}",
                   result=results.of((name,)))  # fmt: skip


def delete_records(request: Node, response: Node) -> Iterator[Item]:
    """DeleteRecords."""
    results = partitioned(response, "topics", "name")
    for name, _, part in parts(request, "name"):
        index, offset = number(part, "partitionIndex"), number(part, "offset")
        result = results.of((name, index))
        if offset < 0:
            # Up to the end; what that was, the answer says.
            offset = number(result or {}, "lowWatermark", -1)
        after = {"before_offset": offset if offset >= 0 else None}
        yield Item("records", "delete", "Topic", name, str(index), after, result=result,
                   words=f"records of partition {index} of Topic {name}")  # fmt: skip


def reassign(request: Node, response: Node) -> Iterator[Item]:
    """AlterPartitionReassignments; without replicas it is cancelled."""
    results = partitioned(response, "responses", "name")
    for name, _, part in parts(request, "name"):
        index = number(part, "partitionIndex")
        asked = part.get("replicas")
        after = None if asked is None else {"replicas": numbers(part, "replicas")}
        yield Item("reassignment", "alter", "Topic", name, str(index), after,
                   words=f"replicas of partition {index} of Topic {name}",
                   result=results.of((name, index)))  # fmt: skip


def elect(request: Node, response: Node) -> Iterator[Item]:
    """ElectLeaders."""
    enums = Enums()
    after = {"type": enums(ELECTIONS, request, "electionType")}
    results = partitioned(
        response, "replicaElectionResults", "topic", "partitionResult", "partitionId"
    )
    asked = request.get("topicPartitions")
    chosen = [
        (text(topic, "topic"), index)
        for topic in nodes(request, "topicPartitions", required=False)
        for index in numbers(topic, "partitions")
    ]
    if asked is None:
        # All there are: the answer names those it concerned.
        chosen = [(t, n) for t, n in results if isinstance(n, int)]
    for name, index in chosen:
        yield Item("election", "alter", "Topic", name, str(index), after,
                   words=f"leader of partition {index} of Topic {name}",
                   result=results.of((name, index)), unknown=tuple(enums.unknown))  # fmt: skip
    if asked is None and not chosen:
        yield Item("election", "alter", "Cluster", CLUSTER, after=after, nothing=True,
                   words="leaders of all partitions", result=results.whole)  # fmt: skip


def log_dirs(request: Node, response: Node) -> Iterator[Item]:
    """AlterReplicaLogDirs."""
    results = partitioned(response, "results", "topicName")
    for directory in nodes(request, "dirs"):
        path = text(directory, "path")
        for topic in nodes(directory, "topics"):
            name = text(topic, "name")
            for index in numbers(topic, "partitions"):
                yield Item("log_dir", "set", "Topic", name, str(index), {"path": path},
                           words=f"directory of partition {index} of Topic {name}",
                           result=results.of((name, index)))  # fmt: skip
