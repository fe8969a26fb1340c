"""ACLs: what one of Kafka's access rules opens, as far as the deed about it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from schemas.changes import Change, Deed
from schemas.vocabulary import Severity

_EVERYBODY: Final = ("*", "ANONYMOUS")
"""Names of principals: ``User:*`` is anybody, ``User:ANONYMOUS`` anybody who does not log in."""
_OF_THE_CLUSTER: Final = frozenset(("ALL", "ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION", "CREATE"))
"""With each of them one can come by all the rest: grant oneself rights, give a broker a listener
or a login module of one's own, or read every partition as a replica."""


class Rule(NamedTuple):
    """One ACL. ``type`` and ``name``: of the resource pattern. Words are Kafka's."""

    type: str
    name: str
    pattern: str
    principal: str
    host: str
    operation: str
    permission: str

    def __str__(self) -> str:
        on = f"{self.type}:{self.name} ({self.pattern})"
        return f"{self.permission} {self.operation} on {on} for {self.principal} from {self.host}"


class Grade(NamedTuple):
    """How grave a change of an ACL is, and why, in words."""

    severity_id: int
    why: tuple[str, ...]


def rule(deed: Deed) -> Rule | None:
    """The ACL that a deed of kind ``acl`` is about; None where it does not say which."""
    kind, _, name = deed.target.partition(":")
    pattern, _, rest = deed.item.partition("|")
    # A principal may hold what parts the item, as names of certificates do.
    parts = rest.rsplit("|", 3)
    if len(parts) != 4:
        return None
    principal, host, operation, permission = parts
    return Rule(kind, name, pattern, principal, host, operation, permission)


def grade(change: Change, acl: Rule | None) -> Grade:
    """High for what opens wide, medium for what opens, low for what only closes.

    Any host is what Kafka takes where none is named, and says nothing by itself.
    """
    added = change.deed.action != "delete"
    if acl is None:
        return Grade(Severity.MEDIUM, ("nobody says which",))
    if not added and acl.permission == "DENY":
        return Grade(Severity.HIGH, ("what was denied is denied no more",))
    if not added and acl.permission != "ALLOW":
        return Grade(Severity.MEDIUM, ("a DENY may be among them",))
    if not added or acl.permission == "DENY":
        return Grade(Severity.LOW, ("it only closes",))
    wide = tuple(_wide(change.actor, acl))
    return Grade(Severity.HIGH, wide) if wide else Grade(Severity.MEDIUM, ())


def _wide(actor: str, acl: Rule) -> Iterator[str]:
    if acl.name == "*" or (acl.pattern == "PREFIXED" and not acl.name):
        yield f"opens every {acl.type}"
    if acl.principal.partition(":")[2] in _EVERYBODY:
        yield "opens to everybody"
    if acl.type == "Cluster" and acl.operation in _OF_THE_CLUSTER:
        yield f"gives {acl.operation} on the cluster"
    if actor and acl.principal == actor:
        yield "a grant to oneself"


def stated(value: Any) -> str:
    """An ACL before or after a change, in words."""
    if not isinstance(value, dict):
        return "none"
    names = ("permission", "operation", "principal", "host", "pattern_type")
    return ", ".join(str(value[name]) for name in names if value.get(name)) or "none"
