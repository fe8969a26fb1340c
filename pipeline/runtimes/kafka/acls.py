"""The least that each role's principal must be allowed, where the brokers have ACLs.

Kafka 2.8 and later let whoever may write to a topic also write idempotently; what a transaction
needs is in KIP-98. Read and Write imply Describe, AlterConfigs implies DescribeConfigs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from pipeline import rights
from pipeline.errors import ArgumentError
from pipeline.streaming import Streaming

ROLES: Final = rights.ROLES


@dataclass(frozen=True, slots=True)
class Acl:
    """What a principal may do to what is called so, or begins so (``prefixed``)."""

    role: str
    principal: str
    resource: rights.Resource
    name: str
    pattern: Literal["literal", "prefixed"]
    operations: tuple[str, ...]


def principals(given: list[str]) -> dict[str, str]:
    """By role, as whom it logs in, from ``ROLE=User:NAME``.

    Raises:
        ArgumentError: no such role, or no principal.
    """
    found: dict[str, str] = {role: f"User:auditstream-{role}" for role in ROLES}
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
        for resource, pattern, operations in rights.needs(streaming, role):
            yield Acl(role, who[role], resource, *_named(pattern), operations)


def bindings(needed: Iterable[Acl]) -> list[AclBinding]:
    """The same as an admin client takes it, each once: several roles of one principal need some of
    the same."""
    each = dict.fromkeys(
        (acl.resource, acl.name, acl.pattern, acl.principal, operation)
        for acl in needed
        for operation in acl.operations
    )
    return [
        AclBinding(
            ResourceType[resource.upper().replace("-", "_")],
            name,
            ResourcePatternType[pattern.upper()],
            principal,
            "*",
            AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()],
            AclPermissionType.ALLOW,
        )
        for resource, name, pattern, principal, operation in each
    ]


def command(streaming: Streaming, acl: Acl) -> str:
    """The same for `kafka-acls`, as a line for a shell."""
    words = ["kafka-acls", "--bootstrap-server", streaming.brokers]
    words += ["--command-config", "admin.properties", "--add"]
    words += ["--allow-principal", acl.principal]
    for operation in acl.operations:
        words += ["--operation", operation]
    words += [f"--{acl.resource}", acl.name, "--resource-pattern-type", acl.pattern]
    return shlex.join(words)


def _named(pattern: str) -> tuple[str, Literal["literal", "prefixed"]]:
    """ACLs know beginnings alone: what stands behind the first star is not told apart."""
    beginning, star, _ = pattern.partition("*")
    if not star:
        return pattern, "literal"
    return (beginning, "prefixed") if beginning else ("*", "literal")
