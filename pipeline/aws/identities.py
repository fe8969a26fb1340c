"""Who made a call: ``userIdentity`` as OCSF says it, for every type of identity and for none.

The principal is the ARN where there is one, else the fullest name that the record has. Format:
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from pipeline.aws.record import inner, last_part, said, text, yes
from pipeline.clocks import instant
from schemas.ocsf import UNKNOWN
from schemas.vocabulary import ActorKind

_TYPES: Final = {
    "IAMUser": 1, "Root": 2, "AWSService": 4, "AWSAccount": 99, "AssumedRole": 99, "Role": 99,
    "FederatedUser": 1, "Directory": 1, "SAMLUser": 1, "WebIdentityUser": 1,
    "IdentityCenterUser": 1, "Unknown": 0, "": 0,
}  # fmt: skip
"""OCSF ``user.type_id``; 99 is OCSF's word for what is no user."""
_HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
SERVICE_SUFFIXES: Final = (".amazonaws.com", ".amazonaws.com.cn")
_SUPPORT_ROLE: Final = "AWSServiceRoleForSupport"
_SUPPORT_PATH: Final = ":role/aws-service-role/support.amazonaws.com/" + _SUPPORT_ROLE
_SUPPORT_SERVICE: Final = "support.amazonaws.com"
_AGENT: Final = re.compile(
    r"security-?ir\b|security-?incident-?response|investigat|\bai-?agent", re.IGNORECASE
)


class Identity(NamedTuple):
    """Who made a call.

    Attributes:
        actor: full principal, or empty: the record names none.
        kind: type of identity as written, or empty.
        name: short name: of the user, of role and session, of the service.
        account: number of the caller's account, or empty.
        invoked_by: service that made the call for the principal, or empty.
        issuer: ARN of the role behind an assumed-role session, or empty.
        ocsf: OCSF ``actor``.
        further: additions to an event's extension: who stands behind the principal.
        is_support: AWS's support role acts.
    """

    actor: str
    kind: str
    name: str
    account: str
    invoked_by: str
    issuer: str
    ocsf: Mapping[str, Any]
    further: Mapping[str, Any]
    is_support: bool = False

    @property
    def known(self) -> bool:
        """Whether the type of identity is one that this release knows."""
        return self.kind in _TYPES

    @property
    def is_service(self) -> bool:
        """Whether AWS itself made the call, for itself or for somebody."""
        return self.kind == "AWSService" or self.invoked_by.endswith(SERVICE_SUFFIXES)


_NOBODY: Final = Identity("", "", "", "", "", "", {"user": UNKNOWN}, {})
_LONGEST_CACHED: Final = 4096


def identity(stated: Any) -> Identity:
    """The identity in a record's ``userIdentity``, whatever that is.

    The same session makes many calls: what was made of it is kept, and not to be changed.
    """
    if not isinstance(stated, dict):
        return _NOBODY
    try:
        written = orjson.dumps(stated)
    except orjson.JSONEncodeError:
        return _identity(stated)
    return _again(written) if len(written) <= _LONGEST_CACHED else _identity(stated)


@lru_cache(maxsize=8192)
def _again(written: bytes) -> Identity:
    return _identity(orjson.loads(written))


def _identity(stated: dict[str, Any]) -> Identity:
    kind, arn = said(stated, "type"), said(stated, "arn")
    account, principal_id = said(stated, "accountId"), said(stated, "principalId")
    name = said(stated, "userName")
    invoked_by = said(stated, "invokedBy") if "invokedBy" in stated else ""
    hidden = name == _HIDDEN
    if hidden:
        name = ""
    actor = arn or _without_arn(stated, kind, account, name, principal_id, invoked_by)
    if hidden and actor == account:
        # Whoever it was is not known: the account is where he tried.
        actor = ""
    name = name or (_name_in(arn) if arn else actor)
    user: dict[str, Any] = {"type_id": _TYPES.get(kind, 99), "name": name or UNKNOWN["name"]}
    if actor:
        user["uid"] = actor
    if kind:
        user["type"] = kind
    if account:
        user["account"] = {"uid": account, "type": "AWS Account", "type_id": 10}
    if key := said(stated, "accessKeyId"):
        user["credential_uid"] = key
    if principal_id:
        user["uid_alt"] = principal_id
    ocsf: dict[str, Any] = {"user": user}
    if invoked_by:
        ocsf["invoked_by"] = invoked_by
    issuer = provider = ""
    context = stated.get("sessionContext")
    if context.__class__ is dict:
        issuer = text(context.get("sessionIssuer"), "arn")
        if session := _session(context, issuer):
            ocsf["session"] = session
        if web := context.get("webIdFederationData"):
            provider = text(web, "federatedProvider")
    if "identityProvider" in stated:
        provider = said(stated, "identityProvider")
    if provider:
        ocsf["idp"] = {"name": provider}
    further = _further(stated, issuer)
    support = _is_support(actor, issuer)
    return Identity(actor, kind, name, account, invoked_by, issuer, ocsf, further, support)


def _is_support(actor: str, issuer: str) -> bool:
    session_of_it = f":assumed-role/{_SUPPORT_ROLE}/" in actor
    of_role = _SUPPORT_PATH in actor or issuer.endswith(_SUPPORT_PATH)
    return session_of_it or of_role or actor == _SUPPORT_SERVICE


def _further(stated: dict[str, Any], issuer: str) -> dict[str, Any]:
    """A role, a service or a person whom a session acts for."""
    out: dict[str, Any] = {}
    if issuer:
        out["issuer"] = issuer
    if source := text(stated.get("sessionContext"), "sourceIdentity"):
        out["source_identity"] = source
    behalf = inner(stated, "onBehalfOf")
    if behalf:
        out["on_behalf_of"] = {k: v for k, v in behalf.items() if isinstance(v, str)}
    return out


def _session(context: dict[str, Any], issuer: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    attributes = context.get("attributes")
    if attributes.__class__ is dict:
        created = attributes.get("creationDate")
        if created.__class__ is str and (at := _created(created)) is not None:
            out["created_time"] = at
        if (mfa := yes(attributes.get("mfaAuthenticated"))) is not None:
            out["is_mfa"] = mfa
    if issuer:
        out["issuer"] = issuer
    return out


@lru_cache(maxsize=4096)
def _created(stamp: str) -> int | None:
    """A session is named in each of its calls."""
    return instant(stamp)


def _without_arn(
    stated: dict[str, Any], kind: str, account: str, name: str, principal_id: str, invoked_by: str
) -> str:
    provider = text(stated, "identityProvider")
    if provider and (name or principal_id):
        return f"{provider}:{name or principal_id}"
    if kind == "AWSService" and invoked_by:
        return invoked_by
    behalf = inner(stated, "onBehalfOf")
    if user := text(behalf, "userId"):
        return "/".join(filter(None, (text(behalf, "identityStoreArn"), user)))
    if own := name or principal_id:
        return f"{account}:{own}" if account and not own.startswith(account) else own
    return invoked_by or account


@lru_cache(maxsize=65536)
def _name_in(arn: str) -> str:
    """``alice`` of a user, ``Deploy/run-7`` of a session, ``root`` of the account itself."""
    local = last_part(arn)
    kind, slash, name = local.partition("/")
    if kind in ("user", "role"):
        return name.rpartition("/")[2]
    return name if slash else local


def provider_kind(who: Identity, user_agent: str) -> str:
    """Which kind of AWS's own people or programs acts through its support role.

    The agent that investigates incidents uses the same role; what tells it from a person is its
    session's, its service's or its program's name.
    """
    agent = any(_AGENT.search(name) for name in (who.name, who.invoked_by, user_agent))
    other_service = who.invoked_by.endswith(SERVICE_SUFFIXES) and who.invoked_by != _SUPPORT_SERVICE
    if agent or other_service:
        return ActorKind.PROVIDER_AUTOMATION.value
    return ActorKind.PROVIDER_HUMAN.value
