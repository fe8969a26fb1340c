"""Who may do what and how much: records of ACLs, SCRAM credentials, quotas and tokens."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from pipeline.errors import Reason, Unreadable
from pipeline.kraft.stated import ID, RESOURCE_TYPES, Phrases, Stated, fit

_ENTITIES = {"user": "User", "client-id": "ClientId", "ip": "Ip"}
"""Quota entities, in the order in which a target names them."""


class Acl(NamedTuple):
    """A ``StandardAcl(…)`` as printed. ``ambiguous``: a name imitates the words between names."""

    resource_type: str
    resource: str
    pattern_type: str
    principal: str
    host: str
    operation: str
    permission: str
    ambiguous: bool


def acl(text: str) -> Acl:
    """Read ``resourceType=…, …, permissionType=…``, what ``StandardAcl`` prints in brackets.

    Resource name, principal and host may be anything.
    """
    start = re.match(r"resourceType=(\w{1,40}), resourceName=", text, re.ASCII)
    place = text.rfind(", operation=")
    ends = re.fullmatch(r"(\w{1,40}), permissionType=(\w{1,20})", text[place + 12 :], re.ASCII)
    if start is None or ends is None:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "`StandardAcl(…)` was expected")
    names = text[start.end() : place]
    middles = list(re.finditer(r", patternType=(\w{1,20}), principal=", names, re.ASCII))
    if not middles or ", host=" not in names[middles[0].end() :]:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "`principal=` and `host=` were expected")
    whom, _, host = names[middles[0].end() :].rpartition(", host=")
    ambiguous = len(middles) > 1 or names.count(", host=") > 1 or text.count(", operation=") > 1
    return Acl(
        start[1], names[: middles[0].start()], middles[0][1], whom, host, ends[1], ends[2],
        ambiguous,
    )  # fmt: skip


def _acl_stated(text: str, between: str, gone: bool) -> tuple[Stated, ...]:
    acl_id, found, inner = text.partition(between)
    if not found or len(acl_id) > 40:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "`StandardAcl(…)` was expected")
    it = acl(inner)
    kind = RESOURCE_TYPES.get(it.resource_type, "Unknown")
    entry = {
        "principal": it.principal, "host": it.host, "operation": it.operation,
        "permission": it.permission, "pattern_type": it.pattern_type,
    }  # fmt: skip
    on = f"{it.operation} on {kind} {it.resource}"
    sentence = f"{it.permission} {on} for {it.principal} from {it.host} was "
    extra: tuple[tuple[str, Any], ...] = (("acl_id", acl_id),)
    if kind == "Unknown":
        extra = (*extra, ("unknown", ("resource_type",)))
    return (
        Stated(
            "RemoveAccessControlEntryRecord" if gone else "AccessControlEntryRecord",
            "delete" if gone else "create", kind, it.resource,
            sentence + ("removed" if gone else "added"), "acl", f"{kind}:{it.resource}",
            f"{it.pattern_type}|{it.principal}|{it.host}|{it.operation}|{it.permission}",
            None if gone else entry, entry if gone else None, it.pattern_type,
            extra=extra, ambiguous=it.ambiguous,
        ),
    )  # fmt: skip


def _acl(text: str) -> tuple[Stated, ...]:
    return _acl_stated(text, ", setting StandardAcl(", gone=False)


def _acl_gone(text: str) -> tuple[Stated, ...]:
    return _acl_stated(text, ", removing StandardAcl(", gone=True)


def _credential(text: str, action: str, operation: str, done: str) -> tuple[Stated, ...]:
    user, _, mechanism = text.rpartition(" with mechanism ")
    fit(r"\w{1,40}", mechanism)
    mechanism = mechanism.replace("_", "-")
    after = None if action == "delete" else {"mechanism": mechanism}
    return (
        Stated(
            operation, action, "User", user, f"{mechanism} credential of User {user} was {done}",
            "scram", f"User:{user}", mechanism, after,
        ),
    )  # fmt: skip


def _scram_new(text: str) -> tuple[Stated, ...]:
    return _credential(text, "create", "UserScramCredentialRecord", "created")


def _scram_changed(text: str) -> tuple[Stated, ...]:
    return _credential(text, "alter", "UserScramCredentialRecord", "changed")


def _scram_gone(text: str) -> tuple[Stated, ...]:
    return _credential(text, "delete", "RemoveUserScramCredentialRecord", "removed")


def _quota(text: str) -> tuple[Stated, ...]:
    entity, _, deed = text.removeprefix("ClientQuotaEntity(entries={").rpartition("}) ")
    found = fit(r"(?:setting (\w{1,80}) to ([\w.+-]{1,40})|removing (\w{1,80}))", deed)
    starts = list(re.finditer(r"(?:^|, )(user|client-id|ip)=", entity))
    names: dict[str, str] = {}
    for number, start in enumerate(starts):
        stop = starts[number + 1].start() if number + 1 < len(starts) else len(entity)
        names.setdefault(start[1], entity[start.end() : stop])
    if not starts or starts[0].start():
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "`ClientQuotaEntity(entries={…})` was expected")
    shown = {k: "<default>" if names[k] == "null" else names[k] for k in _ENTITIES if k in names}
    target = ",".join(f"{_ENTITIES[kind]}:{name}" for kind, name in shown.items())
    gone = found[3] is not None
    key, value = found[3] or found[1], None if gone else _number(found[2])
    sentence = f"Quota {key} of {target} was " + ("removed" if gone else f"set to {found[2]}")
    return (
        Stated(
            "ClientQuotaRecord", "delete" if gone else "set", "Quota", target, sentence,
            "quota", target, key, value,
            ambiguous=len(starts) > len(names) or "}) " in entity,
        ),
    )  # fmt: skip


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _token(text: str) -> tuple[Stated, ...]:
    token = fit(ID, text)[1]
    return (
        Stated(
            "DelegationTokenRecord", "set", "DelegationToken", token,
            f"Delegation token {token} was issued, renewed or given another end",
            "token", f"DelegationToken:{token}", after={"token_id": token},
        ),
    )  # fmt: skip


def _token_gone(text: str) -> tuple[Stated, ...]:
    token = fit(ID, text)[1]
    return (
        Stated(
            "RemoveDelegationTokenRecord", "expire", "DelegationToken", token,
            f"Delegation token {token} was removed", "token", f"DelegationToken:{token}",
        ),
    )  # fmt: skip


def _token_expired(text: str) -> tuple[Stated, ...]:
    token, _, owner = text.partition(" for owner: ")
    sentence = f"Delegation token {fit(ID, token)[1]} of {owner} ran out"
    extra = (("owner", owner),)
    return (Stated("ExpiredToken", "", "DelegationToken", token, sentence, extra=extra),)


ACCESS: Final[Phrases] = (
    ("Replayed AccessControlEntryRecord for ", ")", _acl),
    ("Replayed RemoveAccessControlEntryRecord for ", ")", _acl_gone),
    ("Replayed UserScramCredentialRecord creating new entry for ", ".", _scram_new),
    ("Replayed UserScramCredentialRecord modifying existing entry for ", ".", _scram_changed),
    ("Replayed RemoveUserScramCredentialRecord for ", ".", _scram_gone),
    # Before 3.6.
    ("Created new SCRAM credential for ", ".", _scram_new),
    ("Modified SCRAM credential for ", ".", _scram_changed),
    ("Removed SCRAM credential for ", ".", _scram_gone),
    ("Replayed ClientQuotaRecord for ", ".", _quota),
    ("Replayed DelegationTokenRecord for ", ".", _token),
    ("Replayed RemoveDelegationTokenRecord for ", ".", _token_gone),
    ("Delegation token expired for token: ", "", _token_expired),
)
