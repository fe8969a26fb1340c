"""The least that each role's principal must be allowed, where the brokers have ACLs.

Kafka 2.8 and later let whoever may write to a topic also write idempotently; what a transaction
needs is in KIP-98. Read and Write imply Describe, AlterConfigs implies DescribeConfigs.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.errors import ArgumentError
from pipeline.runtimes.kafka.topics import COUNTERS, READS, WRITES
from pipeline.streaming import RAW, Streaming

ROLES: Final = ("collect", "ingest", "detect", "topics")
"""`topics` is whoever runs `auditstream topics apply`."""


@dataclass(frozen=True, slots=True)
class Acl:
    """What a principal may do to what is called so, or begins so (``prefixed``)."""

    role: str
    principal: str
    resource: Literal["topic", "group", "transactional-id"]
    name: str
    pattern: Literal["literal", "prefixed"]
    operations: tuple[str, ...]


def principals(given: list[str]) -> dict[str, str]:
    """By role, as whom it logs in, from ``ROLE=User:NAME``.

    Raises:
        ArgumentError: no such role, or no principal.
    """
    found = {role: f"User:auditstream-{role}" for role in ROLES}
    for text in given:
        role, _, principal = text.partition("=")
        kind, _, name = principal.partition(":")
        if role not in ROLES or not kind or not name:
            raise ArgumentError(
                f"--principal {text}: write ROLE=User:NAME; a role is {', '.join(ROLES)}"
            )
        found[role] = principal
    return found


def acls(streaming: Streaming, who: Mapping[str, str]) -> Iterator[Acl]:
    """What each role's principal in `who` needs."""
    for role in ROLES:
        for resource, name, pattern, operations in _NEEDS[role](streaming):
            yield Acl(role, who[role], resource, name, pattern, operations)


def command(streaming: Streaming, acl: Acl) -> str:
    """The same for `kafka-acls`, as a line for a shell."""
    words = ["kafka-acls", "--bootstrap-server", streaming.brokers]
    words += ["--command-config", "admin.properties", "--add"]
    words += ["--allow-principal", acl.principal]
    for operation in acl.operations:
        words += ["--operation", operation]
    words += [f"--{acl.resource}", acl.name, "--resource-pattern-type", acl.pattern]
    return shlex.join(words)


_Need = tuple[
    Literal["topic", "group", "transactional-id"],
    str,
    Literal["literal", "prefixed"],
    tuple[str, ...],
]


def _collect(streaming: Streaming) -> Iterator[_Need]:
    yield "topic", streaming.topic(f"{RAW}."), "prefixed", ("Write",)


def _ingest(streaming: Streaming) -> Iterator[_Need]:
    yield "topic", streaming.topic(f"{RAW}."), "prefixed", ("Read",)
    for entry in streaming.raw:
        yield _matching(entry.topic)
    yield from _worker(streaming, "ingest")


def _detect(streaming: Streaming) -> Iterator[_Need]:
    yield from _worker(streaming, "detect")


def _worker(streaming: Streaming, role: str) -> Iterator[_Need]:
    for name in dict.fromkeys((*READS[role], *WRITES[role])):
        operations: tuple[str, ...] = ("Read",) if name in READS[role] else ()
        if name in WRITES[role]:
            operations += ("Write", "DescribeConfigs")
        yield "topic", streaming.topic(name), "literal", operations
        if name == COUNTERS:
            yield "topic", streaming.topic(f"{name}."), "prefixed", operations
    yield "group", f"{streaming.group}-{role}", "literal", ("Read",)
    yield "transactional-id", f"{streaming.group}-{role}-", "prefixed", ("Write", "Describe")


def _topics(streaming: Streaming) -> Iterator[_Need]:
    make = ("Create", "Alter", "AlterConfigs", "Describe")
    yield "topic", streaming.topic(""), "prefixed", make
    yield "topic", streaming.topic("events"), "literal", ("Read",)
    yield "topic", streaming.topic("state"), "literal", ("Read", "Write")
    yield "topic", streaming.topic(f"{COUNTERS}."), "prefixed", ("Write",)
    yield "group", f"{streaming.group}-", "prefixed", ("Describe",)


def _matching(pattern: str) -> _Need:
    """ACLs know beginnings alone: what stands behind the first star is not told apart."""
    beginning, star, _ = pattern.partition("*")
    if not star:
        return "topic", pattern, "literal", ("Read",)
    if not beginning:
        return "topic", "*", "literal", ("Read",)
    return "topic", beginning, "prefixed", ("Read",)


_NEEDS: Final = {"collect": _collect, "ingest": _ingest, "detect": _detect, "topics": _topics}
