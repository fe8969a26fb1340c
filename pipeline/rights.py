"""What each role of the stream does, on which topics, groups and transactional ids: one table.

From it `auditstream topics plan` prints the least ACLs, and by it the records of auditstream's own
principals are told apart: what is here is expected of them, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, get_args

from detectors.own import Right
from pipeline.administration import APIS
from pipeline.streaming import RAW, Streaming

Role = Literal["collect", "ingest", "detect", "index", "topics", "reconcile", "replay"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""`topics` is whoever runs `auditstream topics apply`; `reconcile` and `replay` likewise."""

COUNTERS: Final = "counters"
READS: Final = {
    "ingest": ("state",),
    "detect": (COUNTERS, "control", "clocks", "state"),
    "index": ("events", "findings", "changes", "dead-letters", "accounts"),
    "replay": ("state",),
}
WRITES: Final = {
    "ingest": ("events", "control", "clocks", COUNTERS, "dead-letters", "accounts", "state"),
    "detect": ("findings", "changes", "dead-letters", "state"),
    "index": ("dead-letters",),
    "replay": ("events", "control", COUNTERS, "dead-letters", "accounts"),
}
"""By role that works on our topics, what of them it reads (beside raw ones) and writes."""
STATEFUL: Final = tuple(role for role, names in WRITES.items() if "state" in names)
"""Roles of workers that keep what they know in the topic of states."""

Resource = Literal["topic", "group", "transactional-id"]
_TYPES: Final = {"topic": "Topic", "group": "Group", "transactional-id": "TransactionalId"}
_IMPLIED: Final = {
    "Read": "Describe",
    "Write": "Describe",
    "Alter": "Describe",
    "AlterConfigs": "DescribeConfigs",
}
_ABOUT_TOPICS: Final = ("topic", "partitions", "config")


class Need(NamedTuple):
    """What a role must be allowed. ``pattern``: the name, ``*`` for any run of characters;
    ``operations``: as `kafka-acls` has them, without those that they imply."""

    resource: Resource
    pattern: str
    operations: tuple[str, ...]


def needs(streaming: Streaming, role: Role) -> Iterator[Need]:
    """What a role must be allowed."""
    yield from _NEEDS[role](streaming)


def rights(streaming: Streaming, role: Role) -> tuple[Right, ...]:
    """The same as events say it: with what is implied, and the requests that it decides."""
    return tuple(
        Right(_TYPES[resource], pattern, frozenset(_said(resource, operations)))
        for resource, pattern, operations in needs(streaming, role)
    )


def _said(resource: Resource, operations: tuple[str, ...]) -> Iterator[str]:
    for operation in operations:
        decided = _enum(operation)
        yield decided
        if operation in _IMPLIED:
            yield _enum(_IMPLIED[operation])
        if resource == "topic":
            for name, api in APIS.items():
                if api.kind in _ABOUT_TOPICS and decided in api.decisive:
                    yield name


def _enum(operation: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()


def _collect(streaming: Streaming) -> Iterator[Need]:
    yield Need("topic", streaming.topic(f"{RAW}.*"), ("Write",))


def _ingest(streaming: Streaming) -> Iterator[Need]:
    yield Need("topic", streaming.topic(f"{RAW}.*"), ("Read",))
    for entry in streaming.raw:
        yield Need("topic", entry.topic, ("Read",))
    yield from _worker(streaming, "ingest")


def _detect(streaming: Streaming) -> Iterator[Need]:
    yield from _worker(streaming, "detect")
    # Who is silent, and who is behind: asked of offsets alone.
    others = (streaming.topic(f"{RAW}.*"), *(entry.topic for entry in streaming.raw))
    for pattern in (*others, streaming.topic("events")):
        yield Need("topic", pattern, ("Describe", "DescribeConfigs"))
    for name in ("control", COUNTERS, f"{COUNTERS}.*"):
        yield Need("topic", streaming.topic(name), ("DescribeConfigs",))
    for role in ("ingest", "index"):
        yield Need("group", f"{streaming.group}-{role}", ("Describe",))


def _index(streaming: Streaming) -> Iterator[Need]:
    yield from _worker(streaming, "index")


def _worker(streaming: Streaming, role: str) -> Iterator[Need]:
    yield from _work(streaming, role)
    yield Need("group", f"{streaming.group}-{role}", ("Read",))


def _work(streaming: Streaming, role: str) -> Iterator[Need]:
    for name in dict.fromkeys((*READS[role], *WRITES[role])):
        operations: tuple[str, ...] = ("Read",) if name in READS[role] else ()
        if name in WRITES[role]:
            operations += ("Write", "DescribeConfigs")
        yield Need("topic", streaming.topic(name), operations)
        if name == COUNTERS:
            yield Need("topic", streaming.topic(f"{name}.*"), operations)
    yield Need("transactional-id", f"{streaming.group}-{role}-*", ("Write",))


def _topics(streaming: Streaming) -> Iterator[Need]:
    make = ("Create", "Alter", "AlterConfigs", "Describe")
    yield Need("topic", streaming.topic("*"), make)
    yield Need("topic", streaming.topic("events"), ("Read",))
    yield Need("topic", streaming.topic("state"), ("Read", "Write"))
    yield Need("topic", streaming.topic(COUNTERS), ("Read",))
    yield Need("topic", streaming.topic(f"{COUNTERS}.*"), ("Read", "Write"))
    yield Need("group", f"{streaming.group}-*", ("Describe",))


def _reconcile(streaming: Streaming) -> Iterator[Need]:
    yield Need("topic", streaming.topic(f"{RAW}.*"), ("Describe",))
    for entry in streaming.raw:
        yield Need("topic", entry.topic, ("Describe",))
    for name in READS["index"]:
        yield Need("topic", streaming.topic(name), ("Read",))
    yield Need("group", f"{streaming.group}-*", ("Describe",))


def _replay(streaming: Streaming) -> Iterator[Need]:
    yield Need("topic", streaming.topic(f"{RAW}.*"), ("Read",))
    for entry in streaming.raw:
        yield Need("topic", entry.topic, ("Read",))
    yield from _work(streaming, "replay")
    # None is joined. The first is of whoever reads a raw topic again.
    for group in (streaming.group, f"{streaming.group}-replay"):
        yield Need("group", group, ("Describe",))


_NEEDS: Final = {
    "collect": _collect,
    "ingest": _ingest,
    "detect": _detect,
    "index": _index,
    "topics": _topics,
    "reconcile": _reconcile,
    "replay": _replay,
}
