"""Policies: what a policy document or an ACL grants, to whom, normalised so that two that say the
same are equal. Grammar of the documents: IAM User Guide, "Grammar of the IAM JSON policy language".

A grant is ``{"effect", "to", "reach", "actions", "resources"?, "conditional"}``. ``reach`` says
whose the principal is, seen from the account that the policy is of: ``everyone``, ``another
account``, ``this account``, ``service``, ``holder`` (a policy without principals: whoever has it)
or ``unknown``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from pipeline.aws.record import account_of, decoded, inner, items, text, texts
from schemas.vocabulary import ANOTHER_ACCOUNT, EVERYONE

Grant = dict[str, Any]
_HERE: Final = "this account"
_SERVICE: Final = "service"
_UNKNOWN: Final = "unknown"
UNREAD: Final[dict[str, Any]] = {"grants": [], "unread": True}
"""What is said of a document that nobody can read."""

_GROUPS: Final = "http://acs.amazonaws.com/groups/"
_ALL: Final = _GROUPS + "global/AllUsers"
_ANY_ACCOUNT: Final = _GROUPS + "global/AuthenticatedUsers"
_CANNED: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "private": (),
    "bucket-owner-read": (),
    "bucket-owner-full-control": (),
    "public-read": ((_ALL, "READ"),),
    "public-read-write": ((_ALL, "READ"), (_ALL, "WRITE")),
    "authenticated-read": ((_ANY_ACCOUNT, "READ"),),
    "log-delivery-write": ((_GROUPS + "s3/LogDelivery", "WRITE"),),
    "aws-exec-read": (("ec2.amazonaws.com", "READ"),),
}
_HEADERS: Final = {
    "x-amz-grant-read": "READ", "x-amz-grant-write": "WRITE", "x-amz-grant-read-acp": "READ_ACP",
    "x-amz-grant-write-acp": "WRITE_ACP", "x-amz-grant-full-control": "FULL_CONTROL",
}  # fmt: skip


def policy(document: Any, account: str) -> dict[str, Any]:
    """What a policy document grants, as ``{"grants": […]}``; :data:`UNREAD` where it is none.

    Args:
        document: an object, or JSON as a text, also as it stands in URLs.
        account: number of the account it is of, or empty: nobody says.
    """
    if isinstance(document, str):
        try:
            document = orjson.loads(decoded(document) if document[:1] == "%" else document)
        except orjson.JSONDecodeError:
            return UNREAD
    if not isinstance(document, dict) or "Statement" not in document:
        return UNREAD
    out: list[Grant] = []
    for statement in items(document["Statement"]):
        found = _statement(statement, account)
        if found is None:
            return UNREAD
        out += found
    return {"grants": in_order(out)}


def in_order(grants: Iterable[Grant]) -> list[Grant]:
    """Grants sorted, each once."""
    known = {orjson.dumps(g, option=orjson.OPT_SORT_KEYS): g for g in grants}
    return sorted(known.values(), key=lambda g: (g["effect"], g["to"], g["actions"], str(g)))


def grant(
    to: str,
    reach: str,
    actions: Sequence[str],
    resources: Sequence[str] = (),
    *,
    effect: str = "Allow",
    conditional: bool = False,
) -> Grant:
    """One grant. Actions and resources are sorted here."""
    out: Grant = {"effect": effect, "to": to, "reach": reach, "actions": sorted(set(actions))}
    if resources:
        out["resources"] = sorted(set(resources))
    out["conditional"] = conditional
    return out


def _statement(statement: Any, account: str) -> list[Grant] | None:
    """The grants of one statement; None where its shape is none."""
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        return None
    actions = _but(statement, "Action")
    if not actions:
        return None
    resources = _but(statement, "Resource")
    conditional = bool(statement.get("Condition"))
    made = {"effect": statement["Effect"], "conditional": conditional}
    if "Principal" in statement:
        named = list(_principals(statement["Principal"], account))
    elif "NotPrincipal" in statement:
        but = ", ".join(sorted(to for to, _ in _principals(statement["NotPrincipal"], account)))
        named = [(f"* but {but}", EVERYONE)]
    else:
        named = [("", "holder")]
    if not named:
        return None
    return [grant(to, reach, actions, resources, **made) for to, reach in named]


def _but(statement: Mapping[str, Any], key: str) -> list[str]:
    """Actions or resources, also those that a statement leaves out."""
    if key in statement:
        return texts(statement[key])
    left_out = sorted(texts(statement.get(f"Not{key}")))
    return [f"* but {', '.join(left_out)}"] if left_out else []


def _principals(said: Any, account: str) -> Iterator[tuple[str, str]]:
    if not isinstance(said, dict):
        yield from ((to, reach(to, account)) for to in texts(said))
        return
    for kind, named in said.items():
        for to in texts(named):
            if kind == "Service":
                yield to, _SERVICE
            elif kind in ("CanonicalUser", "Federated") and account_of(to) != account:
                yield to, _UNKNOWN
            else:
                yield to, reach(to, account)


def reach(to: str, account: str) -> str:
    """Whose a principal is, seen from an account."""
    if to in ("*", _ALL, _ANY_ACCOUNT):
        return EVERYONE
    if to.startswith(_GROUPS) or to.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return _SERVICE
    whose = account_of(to)
    if whose == "*":
        return EVERYONE
    if not whose or not account:
        return _UNKNOWN
    return _HERE if whose == account else ANOTHER_ACCOUNT


def acl(asked: Mapping[str, Any], account: str) -> dict[str, Any]:
    """What an ACL grants: canned, in headers, or as a document."""
    found: list[tuple[str, str]] = []
    read = False
    for canned in texts(asked.get("x-amz-acl")):
        read = read or canned in _CANNED
        found += _CANNED.get(canned, ())
    for where in (asked, inner(asked, "accessControlList", "AccessControlList")):
        for header, right in _HEADERS.items():
            for said in texts(where.get(header)):
                read = True
                found += [(to, right) for to in _grantees(said)]
    document = inner(asked, "AccessControlPolicy")
    if document:
        read = True
        owner = text(inner(document, "Owner"), "ID")
        for each in items(inner(document, "AccessControlList").get("Grant")):
            to = text(inner(each, "Grantee"), "URI", "ID", "EmailAddress")
            if to and to != owner:
                found.append((to, text(each, "Permission")))
    if not read:
        return UNREAD
    rows = [grant(to, reach(to, account), [right]) for to, right in found]
    return {"grants": in_order(rows)}


def _grantees(header: str) -> Iterator[str]:
    """``uri="…", id="…"``"""
    for part in header.split(","):
        _, _, value = part.partition("=")
        if named := value.strip().strip('"'):
            yield named


def sentences(rows: Iterable[Grant], target: str, effect: str = "Allow") -> list[str]:
    """What grants of one effect open (or close) in short sentences, the widest first."""
    out = [
        (_WIDTH.index(row["reach"]), f"{few(row['actions'])} on {target} to {_whom(row)}")
        for row in rows
        if row["effect"] == effect
    ]
    return [sentence for _, sentence in sorted(out)]


_WIDTH: Final = (EVERYONE, ANOTHER_ACCOUNT, _UNKNOWN, _SERVICE, _HERE, "holder")


def _whom(row: Grant) -> str:
    if row["reach"] == EVERYONE:
        whom = "everyone" if row["to"][:6] != "* but " else f"everyone{row['to'][1:]}"
    elif row["reach"] == "holder":
        whom = "whoever has it"
    else:
        whom = str(row["to"])
    return f"{whom} under conditions" if row["conditional"] else whom


def few(names: Sequence[str]) -> str:
    """Up to three names in words."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
