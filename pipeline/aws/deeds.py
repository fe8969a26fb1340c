"""Deeds: what a changing call changed, for whom, and in which words. Each service has a table of
its own; what is in none is told by verb and kind of thing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pipeline.aws import calls, estate, iam, msk, storage
from pipeline.aws.told import Call, Tell, Told, entity, worded

_TABLES: Final[Mapping[str, Mapping[str, Tell]]] = {
    "iam": iam.IAM,
    "sts": dict.fromkeys(calls.SESSIONS, iam.session),
    "s3": storage.S3,
    "kms": storage.KMS,
    "secretsmanager": storage.SECRETS,
    "cloudtrail": estate.TRAILS,
    "ec2": estate.LINKS,
    "kafka": msk.MSK,
    "kafka-cluster": msk.TOPICS,
}
_ACTIONS: Final = {calls.CREATE: "create", calls.DELETE: "delete"}
_TARGETS: Final = {
    ("IAM", "ManagedPolicy"): "Policy", ("IAM", "VirtualMFADevice"): "MfaDevice",
    ("IAM", "SAMLProvider"): "SamlProvider", ("IAM", "OIDCProvider"): "OidcProvider",
    ("EC2", "VPCEndpoint"): "Endpoint", ("EC2", "VPCEndpointService"): "EndpointService",
    ("EC2", "VPCEndpointConnectionNotification"): "ConnectionNotification",
    ("MSK", "Cluster"): "MskCluster",
}  # fmt: skip
_ENTITY: Final = {
    "create": calls.CREATE, "delete": calls.DELETE, "schedule_deletion": calls.DELETE,
    "enable": 8, "disable": 9,
}  # fmt: skip
"""OCSF activities of 3004, by what was done to the entity itself."""
_OF_ITSELF: Final = ("entity", "state", "session", "endpoint")
_MOST: Final = 20
"""Sentences of what was opened, and closed, that an event keeps."""
_PAST: Final = {
    "create": "created", "delete": "deleted", "set": "changed", "enable": "enabled", "disable":
    "disabled", "add": "added to", "remove": "removed from", "schedule_deletion":
    "scheduled the deletion of", "cancel_deletion": "cancelled the deletion of",
}  # fmt: skip


def tell(service: str, call: Call) -> Told:
    """What a changing call changed."""
    special = _TABLES.get(service, {}).get(call.name)
    told = special(call) if special is not None else None
    if told is None and service == "s3":
        told = storage.bucket_setting(call)
    return told or _by_verb(call)


def _by_verb(call: Call) -> Told:
    verb, _ = calls.verb_of(call.name)
    number = calls.activity(verb)
    return entity(target_of(call), _ACTIONS.get(number, "set"))


def target_of(call: Call) -> str:
    """``Type:name`` of what a call is about."""
    kind = _target_kind(call.subject.kind)
    return f"{kind}:{call.subject.name}" if call.subject.name else f"Account:{call.account}"


@lru_cache(maxsize=4096)
def _target_kind(kind: str) -> str:
    parts = kind.split("::")
    if len(parts) < 3:
        return parts[-1] or "Resource"
    return _TARGETS.get((parts[1], parts[2])) or parts[2]


def activity_of(told: Told) -> int:
    """OCSF activity of 3004: what is done to a part of an entity updates it."""
    return _ENTITY.get(told.action, calls.UPDATE) if told.kind in _OF_ITSELF else calls.UPDATE


def deed(told: Told) -> dict[str, Any]:
    """The deed as an event's extension has it."""
    out: dict[str, Any] = {"kind": told.kind, "action": told.action, "target": told.target}
    if told.item:
        out["item"] = told.item
    if told.before is not None:
        out["before"] = told.before
    if told.after is not None:
        out["after"] = told.after
    return out


def sides(told: Told) -> dict[str, list[str]]:
    """What was opened and closed, as an event's extension has it."""
    return {
        name: list(said[:_MOST])
        for name, said in (("opened", told.opened), ("closed", told.closed))
        if said
    }


def did(told: Told) -> str:
    """What was done, in the past tense."""
    if told.did:
        return told.did
    said = f"{_PAST.get(told.action, told.action)} {worded(told.target)}"
    if told.kind == "settings" and isinstance(told.after, dict) and told.after:
        said += f": {', '.join(told.after)}"
    return said
