"""A CloudTrail record in OCSF's words, and in this project's where OCSF has none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pipeline.aws.calls import Kind
from pipeline.aws.identities import Identity
from pipeline.aws.record import Stated, inner, number, said, text, yes
from pipeline.aws.resources import Subject, listing
from pipeline.batch import Fact
from schemas.vocabulary import (
    ACCOUNT_CHANGE,
    AUTHENTICATION,
    ENTITY_MANAGEMENT,
    GROUP_MANAGEMENT,
)

_PROFILES: Final = {"profiles": ("cloud", "host")}
"""``cloud`` brings ``cloud`` and ``api``, ``host`` brings ``actor`` to the classes of 3."""
_LONGEST: Final = 2048
_LONGEST_DETAIL: Final = 1000
_EVENT_TYPES: Final = frozenset(
    ("AwsApiCall", "AwsServiceEvent", "AwsConsoleAction", "AwsConsoleSignIn",
     "AwsCloudTrailInsight", "AwsVpceEvent", "")
)  # fmt: skip
_CATEGORIES: Final = frozenset(("Management", "Data", "NetworkActivity", "Insight", ""))
_TLS: Final = ("tlsVersion", "cipherSuite", "clientProvidedHostHeader")
_RARE: Final = (
    "addendum",
    "insightDetails",
    "vpcEndpointAccountId",
    "sessionCredentialFromConsole",
)


def describe(
    fact: Fact,
    record: Mapping[str, Any],
    own: Stated,
    kind: Kind,
    who: Identity,
    subject: Subject,
) -> None:
    """Fill in what a record states beside its columns. Changes ``fact``."""
    document, class_uid = fact.document, kind.class_uid
    region, recipient = own.region, own.recipient or who.account
    document["metadata"] = _metadata(own.version, own.shared)
    arn = who.actor if who.actor[:4] == "arn:" else subject.uid
    document["cloud"] = _cloud(region, recipient, arn[4 : arn.find(":", 4)] if arn else "")
    document["actor"] = who.ocsf
    document["api"] = _api(fact, record["eventSource"], own)
    if own.agent:
        document["http_request"] = {"user_agent": own.agent[:_LONGEST]}
    endpoint = _endpoint(own.address, fact.event.address)
    if own.vpc_endpoint:
        endpoint["uid"] = own.vpc_endpoint
    if endpoint:
        document["src_endpoint"] = endpoint
    if class_uid == AUTHENTICATION:
        _sign_in(document, record, who)
    elif class_uid in (ENTITY_MANAGEMENT, ACCOUNT_CHANGE, GROUP_MANAGEMENT):
        if subject.uid:
            document[_OBJECTS[class_uid]] = {"uid": subject.uid}
        if class_uid == GROUP_MANAGEMENT:
            _members(document, inner(record, "requestParameters"))
    elif resources := listing(subject, region):
        document["resources"] = resources
    _extend(fact.extension, record, own, who, recipient)


_OBJECTS: Final = {ENTITY_MANAGEMENT: "entity", ACCOUNT_CHANGE: "user", GROUP_MANAGEMENT: "group"}


@lru_cache(maxsize=4096)
def _metadata(version: str, shared: str) -> dict[str, Any]:
    out: dict[str, Any] = dict(_PROFILES)
    if version:
        out["log_version"] = version
    if shared:
        out["correlation_uid"] = shared
    return out


@lru_cache(maxsize=4096)
def _cloud(region: str, account: str, partition: str) -> dict[str, Any]:
    out: dict[str, Any] = {"provider": "AWS"}
    if region:
        out["region"] = region
    if account:
        out["account"] = {"uid": account, "type": "AWS Account", "type_id": 10}
    if partition:
        out["cloud_partition"] = partition
    return out


@lru_cache(maxsize=4096)
def _tls(version: str, cipher: str, host: str) -> dict[str, str]:
    stated = {"version": version, "cipher": cipher, "host": host}
    return {name: value for name, value in stated.items() if value}


def _api(fact: Fact, service: str, own: Stated) -> dict[str, Any]:
    out: dict[str, Any] = {"operation": fact.event.operation, "service": {"name": service}}
    if own.request:
        out["request"] = {"uid": own.request}
    if own.api_version:
        out["version"] = own.api_version
    if own.error or own.error_message:
        response = {}
        if own.error:
            response["error"] = fact.document["status_code"] = own.error
        if own.error_message:
            response["error_message"] = own.error_message[:_LONGEST]
            fact.document["status_detail"] = own.error_message[:_LONGEST_DETAIL]
        out["response"] = response
    return out


def _endpoint(written: str, address: str) -> dict[str, Any]:
    if not address:
        return {"name": written} if written else {}
    return {"ip": address} if address == written else {"ip": address, "name": written}


def _sign_in(document: dict[str, Any], record: Mapping[str, Any], who: Identity) -> None:
    document["user"] = who.ocsf["user"]
    document["service"] = {"name": record["eventSource"]}
    stated = inner(record, "additionalEventData")
    used = {"yes": True, "no": False}.get(text(stated, "MFAUsed").lower())
    if used is not None:
        document["is_mfa"] = used


def _members(document: dict[str, Any], asked: Mapping[str, Any]) -> None:
    if member := text(asked, "userName"):
        document["user"] = {"name": member, "type_id": 1}
    if right := text(asked, "policyArn", "policyName"):
        document["privileges"] = [right]


def _extend(
    out: dict[str, Any], record: Mapping[str, Any], own: Stated, who: Identity, recipient: str
) -> None:
    made, category = own.made, own.category
    if made:
        out["event_type"] = made
    if category:
        out["event_category"] = category
    if who.further:
        out |= who.further
    if who.account and recipient != who.account:
        out["cross_account"] = {"caller": who.account, "recipient": recipient}
    if who.invoked_by and who.invoked_by != who.actor:
        out["delegate"] = who.invoked_by
    tls = record.get("tlsDetails")
    if tls.__class__ is dict:
        out["tls"] = _tls(*[said(tls, key) for key in _TLS])
    if not record.keys().isdisjoint(_RARE):
        _extend_rarely(out, record)
    if not who.known or made not in _EVENT_TYPES or category not in _CATEGORIES:
        known = {"identity_type": who.known, "event_type": made in _EVENT_TYPES,
                 "event_category": category in _CATEGORIES}  # fmt: skip
        out["unknown"] = [name for name, is_known in known.items() if not is_known]


def _extend_rarely(out: dict[str, Any], record: Mapping[str, Any]) -> None:
    if account := text(record, "vpcEndpointAccountId"):
        out["vpc_endpoint_account"] = account
    if yes(record.get("sessionCredentialFromConsole")):
        out["console"] = True
    for name in ("addendum", "insightDetails"):
        if stated := inner(record, name):
            out[name.removesuffix("Details")] = _facts(stated)


def _facts(stated: Mapping[str, Any]) -> dict[str, Any]:
    """An object's texts and numbers, and those one level below."""
    out: dict[str, Any] = {}
    for key, value in list(stated.items())[:40]:
        if isinstance(value, dict):
            value = {k: v for k, v in list(value.items())[:40] if _plain(v)}
        if value and (isinstance(value, dict) or _plain(value)):
            out[key] = value
    return out


def _plain(value: Any) -> bool:
    return number(value) is not None or isinstance(value, (str, bool, float))
