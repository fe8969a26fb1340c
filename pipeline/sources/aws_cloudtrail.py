"""AWS CloudTrail: who called which API of AWS, from where, upon what, and what came of it.

Single events, one JSON object a line, of every ``eventVersion`` (1.0 to 1.11): management, data,
network activity and insight events, sign-ins, service events. What they come in (files with
``Records``, SQS, SNS, EventBridge, Firehose, CloudWatch Logs) is taken off before.

Sign-in is 3002 Authentication; changes of IAM users and of what they sign in with 3001 Account
Change; of IAM groups 3006 Group Management; other changes of IAM, STS, KMS, S3 buckets, Secrets
Manager, PrivateLink, CloudTrail and MSK 3004 Entity Management, with the deed and what it opened or
closed; all else is 6003 API Activity. Format: AWS CloudTrail User Guide, "CloudTrail record
contents". CloudTrail hides most secrets, and not all: :mod:`pipeline.aws.secrets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from pipeline.aws.batches import is_undone
from pipeline.aws.calls import Kind, kind_of
from pipeline.aws.deeds import activity_of, deed, did, sides, tell
from pipeline.aws.denials import deny
from pipeline.aws.documents import describe
from pipeline.aws.identities import Identity, identity, provider_kind
from pipeline.aws.record import (
    Stated,
    account_of,
    checked,
    claims,
    inner,
    is_record,
    parameters,
    parse,
    stated,
)
from pipeline.aws.resources import Subject, subject
from pipeline.aws.secrets import clean
from pipeline.aws.told import Call
from pipeline.aws.wording import refused, sentence
from pipeline.batch import Fact, Line, Reading, Source, each
from pipeline.errors import Reason, Unreadable
from schemas.types import Event
from schemas.vocabulary import (
    ACCOUNT_CHANGE,
    AUTHENTICATION,
    ENTITY_MANAGEMENT,
    GROUP_MANAGEMENT,
    AccessPath,
    BlindSpot,
    Leg,
    Outcome,
)

_SUCCESS, _FAILURE, _UNKNOWN = (
    o.value for o in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.UNKNOWN)
)
_CONTROL = AccessPath.CONTROL.value
_CHANGES = (ENTITY_MANAGEMENT, ACCOUNT_CHANGE, GROUP_MANAGEMENT)
_OWN_USER = frozenset(
    ("GetUser", "ListAccessKeys", "ListMFADevices", "GetLoginProfile", "ListSSHPublicKeys",
     "ListSigningCertificates", "ListServiceSpecificCredentials")
)  # fmt: skip
"""Calls that are about the caller where they name nobody."""


def _read(line: Line, reading: Reading) -> Fact:
    record = parse(line.message) if line.document is None else checked(line.document)
    secrets, cleaned = clean(record, line.message)
    if cleaned is not None:
        line.raw = cleaned
    own, call = stated(record), str(record["eventName"])
    service = record["eventSource"].partition(".")[0]
    asked = parameters(record.get("requestParameters"))
    answer = parameters(record.get("responseElements"))
    who = identity(record.get("userIdentity"))
    kind = kind_of(service, call, record, own, asked)
    about = _about(service, call, asked, answer, record, own, kind, who)
    at, spots = _time(own.time, reading)
    outcome = _FAILURE if is_undone(call, asked, answer) else _outcome(record, call, own, answer)
    event = Event(at, kind.class_uid, kind.activity_id, outcome, SOURCE.name)
    event.operation, event.actor = call, who.actor
    event.blind_spots = spots if who.actor else (*spots, BlindSpot.NO_PRINCIPAL.value)
    event.address = reading.address(own.address)
    event.resource_type, event.resource = about.kind, about.name
    event.suspect, event.forgery = line.suspect, line.forgery
    if kind.change:
        event.access_path = _CONTROL
    fact = Fact(event, own.time, own.uid, (own.uid,) if own.uid else (), secrets=secrets)
    describe(fact, record, own, kind, who, about)
    deny(fact, service, own.error)
    if who.is_support:
        fact.extension["provider"] = "AWS"
        event.actor_kind = provider_kind(who, own.agent)
    if kind.class_uid in _CHANGES:
        account = about.owner or account_of(about.uid) or own.recipient or who.account
        _change(fact, service, Call(call, asked, answer, account, about, who), own.error)
    else:
        event.message = sentence(event, service, who, own.error)
    return fact


def _about(
    service: str,
    call: str,
    asked: Mapping[str, Any],
    answer: Mapping[str, Any],
    record: Mapping[str, Any],
    own: Stated,
    kind: Kind,
    who: Identity,
) -> Subject:
    """What a call is about. A sign-in is about nothing but who signs in."""
    if kind.class_uid == AUTHENTICATION:
        return Subject()
    about = subject(service, call, asked, answer, record)
    himself = kind.class_uid == ACCOUNT_CHANGE or (service == "iam" and call in _OWN_USER)
    if (himself or call == "GetSessionToken") and about.kind != "AWS::IAM::User":
        # Without a user's name IAM takes the caller for the one that is meant.
        own_arn = who.actor if who.kind == "IAMUser" and who.actor[:4] == "arn:" else ""
        return Subject("AWS::IAM::User", who.name, own_arn, owner=who.account)
    if kind.class_uid == ENTITY_MANAGEMENT and not about.name:
        account = own.recipient or who.account
        return Subject("AWS::Account", account, others=about.others)
    return about


def _time(stamp: str, reading: Reading) -> tuple[int, tuple[str, ...]]:
    """Epoch milliseconds and blind spots."""
    if not stamp:
        raise Unreadable(Reason.BAD_TIME, "eventTime is missing, or is no text")
    if len(stamp) == 20 and stamp[10] == "T" and stamp[19] == "Z" and stamp.isascii():
        return _second(stamp), ()
    return reading.time(stamp.upper())


@lru_cache(maxsize=65_536)
def _second(stamp: str) -> int:
    """Of a time as CloudTrail writes it."""
    try:
        return int(datetime.fromisoformat(stamp).timestamp()) * 1000
    except ValueError as error:
        raise Unreadable(Reason.BAD_TIME, f"no such time: {error}") from None


def _outcome(record: Mapping[str, Any], call: str, own: Stated, answer: Mapping[str, Any]) -> str:
    if own.error or own.error_message or record.get("errorCode") or record.get("errorMessage"):
        return _FAILURE
    if answer and answer.get(call) == "Failure":
        return _FAILURE
    if (
        "serviceEventDetails" in record
        and inner(record, "serviceEventDetails").get(call) == "Failure"
    ):
        return _FAILURE
    return _UNKNOWN if "insightDetails" in record else _SUCCESS


def _change(fact: Fact, service: str, call: Call, error: str) -> None:
    event = fact.event
    told = tell(service, call)
    fact.extension["deed"] = deed(told)
    if event.class_uid == ENTITY_MANAGEMENT:
        event.activity_id = activity_of(told)
    # AWS's own services open sessions all the time: true, and no change that anyone made.
    if not (told.kind == "session" and call.who.is_service):
        event.leg = Leg.RECORD.value
    who = event.actor or "Somebody"
    if event.outcome == _FAILURE:
        event.message = refused(event, service, who, error)
    else:
        fact.extension |= sides(told)
        event.message = f"{who} {did(told)}"


SOURCE = Source(
    name="aws_cloudtrail",
    title="AWS CloudTrail: calls of AWS's APIs, sign-ins and changes of what guards an account",
    documentation=__doc__,
    product={"name": "CloudTrail", "vendor_name": "AWS"},
    read=each(_read),
    recognise=is_record,
    claims=claims,
    dated=lambda text: '"eventTime"' in text,
    bears_secrets=True,
    secrets_from='"requestParameters"',
    shapes=("identities", "sign_in", "accounts", "groups", "policies", "roles", "keys", "buckets",
            "sessions", "secrets_manager", "endpoints", "trails", "msk", "data",
            "network_activity", "insights", "service_events", "cross_account", "support",
            "secrets", "addresses", "unknown", "unreadable"),
    blind_spots=(
        "Comes five minutes late on average, and up to thirty days where a bucket was unreachable.",
        "Data events (S3 objects, Decrypt aside) only where a trail's selectors ask for them.",
        "MSK: seven calls upon topics and settings, with IAM access control only; no records.",
        "A failed sign-in names no user that does not exist, and a hidden one where it does.",
        "The support role is used by AWS's people and by its agent; only its session's name tells.",
    ),
)  # fmt: skip
