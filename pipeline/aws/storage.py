"""Changes of buckets, keys and secrets (S3, KMS, Secrets Manager).
API: https://docs.aws.amazon.com/AmazonS3/latest/API/, …/kms/latest/APIReference/,
…/secretsmanager/latest/apireference/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pipeline.aws.policies import acl, grant, in_order, policy, reach, sentences
from pipeline.aws.record import inner, items, number, text, texts, yes
from pipeline.aws.resources import short
from pipeline.aws.told import (
    Call,
    Tell,
    Told,
    entity,
    policy_gone,
    policy_set,
    settings,
    worded,
)
from schemas.vocabulary import PUBLIC_ACCESS_BLOCKS

_SETTING: Final = re.compile(r"(Put|Delete)(?:Bucket)?(\w+?)(?:Configuration)?")
_NOT_SETTINGS: Final = re.compile("Object(?!Lock)|AccessPoint|Job|StorageLens|MultiRegion")
_KEY_DAYS: Final = 30
_SECRET_DAYS: Final = 30
"""What AWS waits where nobody says how long."""


def _bucket(call: Call) -> str:
    kind = "AccessPoint" if "AccessPoint" in call.name else "Bucket"
    return f"{kind}:{call.subject.name}"


def _bucket_policy(call: Call) -> Told:
    document = call.asked.get("bucketPolicy", call.asked.get("policy"))
    return policy_set(_bucket(call), policy(document, call.account))


def _acl(call: Call) -> Told:
    return policy_set(_bucket(call), acl(call.asked, call.account), "acl")


def _public_access(call: Call) -> Told:
    account = "Account" in call.name
    target = f"Account:{call.account}" if account else _bucket(call)
    words, item = worded(target), "public_access_block"
    stated = inner(call.asked, "PublicAccessBlockConfiguration", "publicAccessBlockConfiguration")
    blocks = [
        b for b in PUBLIC_ACCESS_BLOCKS if yes(stated.get(b, stated.get(b[:1].lower() + b[1:])))
    ]
    opened = [
        f"{words} to what {block} kept out" for block in PUBLIC_ACCESS_BLOCKS if block not in blocks
    ]
    if call.name.startswith("Delete"):
        return Told("policy", "delete", target, item, opened=opened,
                    did=f"removed the public access block of {words}")  # fmt: skip
    closed = [f"{words} to what {block} keeps out" for block in blocks]
    return Told("policy", "set", target, item, after={"blocks": blocks}, opened=opened,
                closed=closed, did=f"set the public access block of {words} to "
                + (", ".join(blocks) or "nothing"))  # fmt: skip


def _create_bucket(call: Call) -> Told:
    target, facts = _bucket(call), {}
    opened: list[str] = []
    if "x-amz-acl" in call.asked or "accessControlList" in call.asked:
        facts = {"acl": acl(call.asked, call.account)}
        opened = sentences(facts["acl"]["grants"], worded(target))
    return entity(target, "create", facts, opened=opened)


def bucket_setting(call: Call) -> Told | None:
    """Versioning, logging, encryption and all else that is put upon a bucket."""
    found = _SETTING.fullmatch(call.name)
    if found is None or _NOT_SETTINGS.match(found[2]) or not found[2]:
        return None
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found[2]).lower()
    value: Any = None
    if found[1] == "Put":
        stated = next((v for k, v in call.asked.items() if isinstance(v, dict)), {})
        value = text(stated, "Status", "status", "ObjectLockEnabled") or _detail(name, stated)
    return settings(_bucket(call), {name: value})


def _detail(name: str, stated: Mapping[str, Any]) -> Any:
    if name == "logging":
        return text(inner(stated, "LoggingEnabled"), "TargetBucket") or "Disabled"
    if name == "encryption":
        rules = [inner(r, "ApplyServerSideEncryptionByDefault") for r in items(stated.get("Rule"))]
        return next((found for rule in rules if (found := text(rule, "SSEAlgorithm"))), "set")
    return "set"


S3: Final[Mapping[str, Tell]] = {
    "PutBucketPolicy": _bucket_policy,
    "PutAccessPointPolicy": _bucket_policy,
    "DeleteBucketPolicy": lambda call: policy_gone(_bucket(call)),
    "DeleteAccessPointPolicy": lambda call: policy_gone(_bucket(call)),
    "PutBucketAcl": _acl,
    **dict.fromkeys(
        ("PutBucketPublicAccessBlock", "PutPublicAccessBlock", "PutAccountPublicAccessBlock",
         "DeleteBucketPublicAccessBlock", "DeletePublicAccessBlock",
         "DeleteAccountPublicAccessBlock"), _public_access,
    ),
    "CreateBucket": _create_bucket,
    "DeleteBucket": lambda call: entity(_bucket(call), "delete"),
}  # fmt: skip


def _key(call: Call) -> str:
    return f"Key:{call.subject.name}"


def _state(action: str, state: str, said: str) -> Tell:
    """A key's state; ``said``: what was done. Who enables opens, who disables closes; a key that
    is kept after all is disabled still."""

    def tell(call: Call) -> Told:
        words = [f"use of {worded(_key(call))}"]
        return Told("state", action, _key(call), after={"state": state},
                    opened=words if action == "enable" else (),
                    closed=words if action in ("disable", "delete") else (),
                    did=f"{said} {worded(_key(call))}")  # fmt: skip

    return tell


def _doom_key(call: Call) -> Told:
    days = number(call.asked.get("pendingWindowInDays")) or number(
        call.answer.get("pendingWindowInDays")
    )
    days = days or _KEY_DAYS
    return Told("state", "schedule_deletion", _key(call),
                after={"state": "pending deletion", "days": days},
                closed=[f"use of {worded(_key(call))}"],
                did=f"scheduled {worded(_key(call))} for deletion in {days} days")  # fmt: skip


def _key_policy(call: Call) -> Told:
    return policy_set(_key(call), policy(call.asked.get("policy"), call.account))


def _create_key(call: Call) -> Told:
    asked, facts = call.asked, {}
    if text(asked, "policy"):
        facts = {"policy": policy(asked["policy"], call.account)}
    opened = sentences(facts["policy"]["grants"], worded(_key(call))) if facts else []
    stated = {"description": text(asked, "description"), "origin": text(asked, "origin"),
              "multi_region": yes(asked.get("multiRegion"))}  # fmt: skip
    return entity(_key(call), "create", {**stated, **facts}, opened=opened)


def _grant(call: Call) -> Told:
    asked, to = call.asked, text(call.asked, "granteePrincipal")
    actions = [f"kms:{operation}" for operation in texts(asked.get("operations"))]
    row = grant(to, reach(to, call.account), actions, conditional=bool(asked.get("constraints")))
    return policy_set(_key(call), {"grants": in_order([row])}, "grants",
                      did=f"granted {to} the use of {worded(_key(call))}")  # fmt: skip


def _rotation(on: bool) -> Tell:
    return lambda call: settings(_key(call), {"rotation": on})


KMS: Final[Mapping[str, Tell]] = {
    "EnableKey": _state("enable", "enabled", "enabled"),
    "DisableKey": _state("disable", "disabled", "disabled"),
    "CancelKeyDeletion": _state("cancel_deletion", "disabled", "cancelled the deletion of"),
    "DeleteImportedKeyMaterial": _state("delete", "pending import", "deleted the material of"),
    "ImportKeyMaterial": _state("enable", "enabled", "imported the material of"),
    "ScheduleKeyDeletion": _doom_key,
    "PutKeyPolicy": _key_policy,
    "CreateKey": _create_key,
    "CreateGrant": _grant,
    "RevokeGrant": lambda call: policy_gone(_key(call), "grants"),
    "RetireGrant": lambda call: policy_gone(_key(call), "grants"),
    "EnableKeyRotation": _rotation(True),
    "DisableKeyRotation": _rotation(False),
}


def _secret(call: Call) -> str:
    return f"Secret:{call.subject.name}"


def _secret_policy(call: Call) -> Told:
    return policy_set(_secret(call), policy(call.asked.get("resourcePolicy"), call.account))


def _create_secret(call: Call) -> Told:
    key = short(text(call.asked, "kmsKeyId"))
    return entity(_secret(call), "create",
                  {"description": text(call.asked, "description"), "kms_key": key})  # fmt: skip


def _doom_secret(call: Call) -> Told:
    words = worded(_secret(call))
    if yes(call.asked.get("forceDeleteWithoutRecovery")):
        return Told("state", "delete", _secret(call), closed=[f"use of {words}"],
                    did=f"deleted {words} at once")  # fmt: skip
    days = number(call.asked.get("recoveryWindowInDays")) or _SECRET_DAYS
    return Told("state", "schedule_deletion", _secret(call),
                after={"state": "pending deletion", "days": days}, closed=[f"use of {words}"],
                did=f"scheduled {words} for deletion in {days} days")  # fmt: skip


def _restore_secret(call: Call) -> Told:
    words = worded(_secret(call))
    return Told("state", "cancel_deletion", _secret(call), after={"state": "enabled"},
                opened=[f"use of {words}"], did=f"cancelled the deletion of {words}")  # fmt: skip


def _replicas(call: Call) -> Told:
    regions = [text(r, "region") for r in items(call.asked.get("addReplicaRegions"))]
    return settings(_secret(call), {"replicas": sorted(filter(None, regions))})


SECRETS: Final[Mapping[str, Tell]] = {
    "PutResourcePolicy": _secret_policy,
    "DeleteResourcePolicy": lambda call: policy_gone(_secret(call)),
    "CreateSecret": _create_secret,
    "DeleteSecret": _doom_secret,
    "RestoreSecret": _restore_secret,
    "RotateSecret": lambda call: settings(_secret(call), {"rotation": True}),
    "CancelRotateSecret": lambda call: settings(_secret(call), {"rotation": False}),
    "ReplicateSecretToRegions": _replicas,
}
