"""What one call changed, as its service's module tells it: the deed, what it opened or closed, and
the words for a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pipeline.aws.identities import Identity
from pipeline.aws.policies import few, sentences
from pipeline.aws.resources import Subject
from schemas.vocabulary import ANOTHER_ACCOUNT, EVERYONE


@dataclass(frozen=True, slots=True)
class Call:
    """One changing call.

    Attributes:
        name: of the call (``PutBucketPolicy``).
        asked, answer: parameters of request and response, out of what wraps them.
        account: number of the account it is about, or empty.
        subject: what it is about.
        who: who made it.
    """

    name: str
    asked: Mapping[str, Any]
    answer: Mapping[str, Any]
    account: str
    subject: Subject
    who: Identity


class Told(NamedTuple):
    """What a call changed. ``kind`` to ``after`` are the deed's (:class:`schemas.changes.Deed`).

    Attributes:
        opened, closed: what it opened and closed, in short sentences without a full stop.
        did: what was done, in the past tense and without its subject; empty: told by the deed.
    """

    kind: str
    action: str
    target: str
    item: str = ""
    before: Any = None
    after: Any = None
    opened: Sequence[str] = ()
    closed: Sequence[str] = ()
    did: str = ""


Tell = Callable[[Call], Told | None]
"""What a call changed; None: what this release has no words for."""

_WORDS: Final = {
    "AccessKey": "access key", "AccessPoint": "access point", "ConnectionNotification":
    "connection notification", "EndpointService": "endpoint service", "EventDataStore":
    "event data store", "InstanceProfile": "instance profile", "LoginProfile":
    "console password of", "MfaDevice": "MFA device", "MskCluster": "MSK cluster",
    "FederatedUser": "federated user", "OidcProvider": "OIDC provider", "SamlProvider":
    "SAML provider", "ServiceCredential": "service credential", "SigningCertificate":
    "signing certificate", "SshKey": "SSH key", "VpcConnection": "VPC connection",
}  # fmt: skip


def worded(target: str) -> str:
    """A target in words: ``bucket example-logs``."""
    kind, _, name = target.partition(":")
    return f"{_WORDS.get(kind) or kind.lower()} {name}".rstrip()


def entity(target: str, action: str, after: Mapping[str, Any] | None = None, **more: Any) -> Told:
    """Something was made, deleted, or set in a way that is not told in detail."""
    gone = action == "delete"
    return Told("entity", action, target, after=None if gone else _stated(after or {}), **more)


def settings(target: str, after: Mapping[str, Any], **more: Any) -> Told:
    """Settings, by name; None: back to what it is without."""
    return Told("settings", "set", target, after=dict(after), **more)


def policy_set(
    target: str, after: dict[str, Any], item: str = "policy", action: str = "set", **more: Any
) -> Told:
    """Who may do what was stated anew."""
    words, rows = worded(target), after["grants"]
    opened, closed = sentences(rows, words), sentences(rows, words, "Deny")
    did = (
        more.pop("did", "")
        or _opened(rows, words)
        or f"set the {_ITEMS.get(item, item)} of {words}"
    )
    return Told("policy", action, target, item, after=after, opened=opened, closed=closed,
                did=did, **more)  # fmt: skip


_ITEMS: Final = {"acl": "ACL", "trust": "trust policy", "permissions": "permissions"}


def policy_gone(target: str, item: str = "policy") -> Told:
    """What was allowed is allowed no more."""
    words, name = worded(target), _ITEMS.get(item, item)
    closed = [f"what the {name} of {words} allowed"]
    return Told("policy", "delete", target, item, closed=closed,
                did=f"deleted the {name} of {words}")  # fmt: skip


def _opened(rows: Sequence[Mapping[str, Any]], words: str) -> str:
    """The widest of what was opened, where it goes beyond the account."""
    for wide in (EVERYONE, ANOTHER_ACCOUNT):
        found = [row for row in rows if row["reach"] == wide and row["effect"] == "Allow"]
        if found:
            row = found[0]
            whom = EVERYONE if wide == EVERYONE else row["to"]
            more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
            condition = " under conditions" * row["conditional"]
            return f"opened {words} to {whom}{condition}: {few(row['actions'])}{more}"
    return ""


def _stated(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value not in (None, "", [], {})}
