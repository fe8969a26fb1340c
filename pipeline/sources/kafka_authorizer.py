"""Decisions of Kafka's authorizers: who was allowed or denied what, from where.

Event: 6003 API Activity, one a line.

=========  =========================================  ===========================================
dialect    written by                                 what tells it
=========  =========================================  ===========================================
standard   KRaft ``StandardAuthorizer`` (3.3+)        ``operation = READ … based on rule …``
acl        ``AclAuthorizer`` (2.4 to 3.9)             ``Operation = Read … for request = …``
simple     ``SimpleAclAuthorizer`` (to 2.3),          ``Operation = Read …`` and nothing behind
           Confluent's and Connect's RBAC logger      the resource
=========  =========================================  ===========================================

A principal may hold spaces, commas and ``=``; group, transactional id and denied topic names are a
client's own text and may imitate any of this. So: fixed words first, the end before the middle,
and where the middle can be read twice the first reading whose decision agrees with its rule.
Formats: ``StandardAuthorizerData#buildAuditMessage``, ``AclAuthorizer#logAuditMessage``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from pipeline.batch import Fact, Filtered, Line, Outcome, Reading, Source, each, moment
from pipeline.errors import Reason, Unreadable
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, BlindSpot, Forgery

_START = "Principal = "
_COMPANIONS = ("principal = ", "No acl found for resource ", "operation = ")
_PATTERN_TYPES = ("LITERAL:", "PREFIXED:", "MATCH:", "ANY:", "UNKNOWN:")
_RULES = ("SuperUser", "DefaultAllow", "DefaultDeny")
_WORD = re.compile(r"[A-Za-z_]+")
_MOST_READINGS = 16
_ACTIVITY = {
    "CREATE": 1, "CREATE_TOKENS": 1, "READ": 2, "DESCRIBE": 2, "DESCRIBE_CONFIGS": 2,
    "DESCRIBE_TOKENS": 2, "WRITE": 3, "ALTER": 3, "ALTER_CONFIGS": 3, "IDEMPOTENT_WRITE": 3,
    "DELETE": 4, "CLUSTER_ACTION": 99, "TWO_PHASE_COMMIT": 99, "ALL": 99,
}  # fmt: skip
_RESOURCE_TYPES = frozenset(
    ("Topic", "Group", "Cluster", "TransactionalId", "DelegationToken", "User")
    + ("Connector", "Subject", "KsqlCluster", "Environment")
)


class Decision(NamedTuple):
    """One reading of a message."""

    principal: str
    allowed: bool
    operation: str
    host: str
    resource_type: str
    pattern_type: str
    name: str
    request: str = ""
    rule: str = ""


def _end(message: str) -> tuple[int, str, str]:
    """Where the resource's name ends, the request and the rule; from the end backwards."""
    stop, rule, place = len(message), "", len(message)
    for _ in range(4):
        place = message.rfind(" based on rule ", 0, place)
        text = message[place + 15 :]
        if place < 0:
            break
        if text in _RULES or (text.startswith("MatchingAcl(") and text.endswith(")")):
            stop, rule = place, text
            break
    count = message.rfind(" with resourceRefCount = ", 0, stop)
    if count < 0 or not message[count + 25 : stop].isdecimal():
        return len(message), "", ""
    start = message.rfind(" for request = ", 0, count)
    request = message[start + 15 : count]
    if start < 0 or not _WORD.fullmatch(request):
        return len(message), "", ""
    return start, request, rule


def _readings(message: str, stop: int) -> list[Decision]:
    """Every way to read ``message[:stop]``, leftmost first. Linear: each look ahead is bounded."""
    found: list[Decision] = []
    place = message.find(" is ", len(_START), stop)
    while place >= 0 and len(found) < _MOST_READINGS:
        decision = _reading(message, place, stop)
        if decision is not None:
            found.append(decision)
        place = message.find(" is ", place + 4, stop)
    return found


def _reading(message: str, place: int, stop: int) -> Decision | None:
    if message.startswith("Allowed ", place + 4):
        allowed, start = True, place + 12
    elif message.startswith("Denied ", place + 4):
        allowed, start = False, place + 11
    else:
        return None
    if message[start : start + 1] not in ("o", "O") or not message.startswith(
        "peration = ", start + 1
    ):
        return None
    host = message.find(" from host = ", start + 12, min(stop, start + 80))
    resource = message.find(" on resource = ", host + 13, min(stop, host + 120))
    colon = message.find(":", resource + 15, min(stop, resource + 60))
    if host < 0 or resource < 0 or colon < 0:
        return None
    operation = message[start + 12 : host]
    kind = message[resource + 15 : colon]
    address = message[host + 13 : resource]
    if not _WORD.fullmatch(operation) or not _WORD.fullmatch(kind) or " " in address:
        return None
    name, pattern = colon + 1, ""
    for known in _PATTERN_TYPES:
        if message.startswith(known, name):
            name, pattern = name + len(known), known[:-1]
            break
    return Decision(
        message[len(_START) : place], allowed, message[start] + operation, address,
        kind, pattern, message[name:stop],
    )  # fmt: skip


def _agrees(decision: Decision, rule: str) -> bool:
    """Whether a decision and the rule it rests on can both be true."""
    if rule.startswith("MatchingAcl("):
        return ("permissionType=DENY" in rule[-25:]) is not decision.allowed
    return not rule or (rule != "DefaultDeny") is decision.allowed


def decide(message: str, complete: bool = True) -> tuple[Decision, int]:
    """Read one message: the decision, and how many readings were possible.

    Args:
        message: the line without layout.
        complete: its end is there; without it the resource's name is what there is of it.

    Raises:
        Unreadable: ``torn`` where the end is missing, ``ambiguous`` where decision and rule
            exclude each other, ``unknown_layout`` otherwise.
    """
    stop, request, rule = _end(message) if complete else (len(message), "", "")
    readings = _readings(message, stop)
    if not readings:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "no authorizer's wording that is known")
    if complete and not rule and readings[0].operation[0] == "o":
        raise Unreadable(Reason.TORN, "`based on rule` is missing at its end")
    agreeing = [d for d in readings if _agrees(d, rule)] if rule else readings
    if not agreeing:
        raise Unreadable(Reason.AMBIGUOUS, "decision and rule exclude each other: it is forged")
    return agreeing[0]._replace(request=request, rule=rule), len(readings)


@lru_cache(maxsize=4096)
def _operation(said: str) -> str:
    """Kafka's enum name: ``oREAD`` and ``OAlterConfigs`` to ``READ`` and ``ALTER_CONFIGS``."""
    word = said[1:]
    return word if word.isupper() else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper()


def _whole(message: str) -> bool:
    """Whether a message ends as an authorizer's does. Only ``standard`` has an end to look for."""
    if not message.startswith(_START) or " operation = " not in message:
        return True
    return bool(_end(message)[2]) or " Operation = " in message[: message.find(" operation = ")]


def _read(line: Line, reading: Reading) -> Outcome:
    message = line.message
    if not message.startswith(_START):
        if message.startswith(_COMPANIONS):
            return Filtered("kafka_authorizer:companion")
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "`Principal = …` was expected")
    said, readings = decide(message, line.complete)
    at, precision, spots = moment(line, reading)
    operation = _operation(said.operation)
    event = Event(
        at, API_ACTIVITY, _ACTIVITY.get(operation, 0),
        "success" if said.allowed else "failure", SOURCE.name,
    )  # fmt: skip
    event.time_precision = precision
    event.actor = said.principal
    event.address = reading.address(said.host)
    event.resource_type, event.pattern_type = said.resource_type, said.pattern_type
    event.resource, event.operation, event.rule = said.name, operation, said.rule
    event.forgery, event.suspect = line.forgery, line.suspect
    if not line.complete:
        spots = (*spots, BlindSpot.PARTIAL_NAME.value)
    elif readings > 1:
        event.forgery, event.suspect = Forgery.IMITATION.value, True
        spots = (*spots, BlindSpot.AMBIGUOUS_PRINCIPAL.value)
    elif "\n" in message:
        event.forgery = Forgery.LINE_BREAK.value
    if not said.request:
        spots = (*spots, BlindSpot.NO_REQUEST.value)
    event.blind_spots = spots
    decided = "allowed" if said.allowed else "denied"
    event.message = (
        f"{said.principal} was {decided} {operation} on {said.resource_type} {said.name}"
    )
    return Fact(
        event,
        stamp=line.stamp,
        document=_document(said, event),
        extension=_extension(said, operation),
    )


def _document(said: Decision, event: Event) -> dict[str, object]:
    decision: dict[str, object] = {"decision": "Allowed" if said.allowed else "Denied"}
    if said.rule:
        decision["policy"] = {"name": said.rule}
    document: dict[str, object] = {"actor": {"authorizations": [decision]}}
    if not event.address:
        document["src_endpoint"] = {"name": said.host}
    return document


def _extension(said: Decision, operation: str) -> dict[str, object]:
    extension: dict[str, object] = {}
    if said.request:
        extension["request"] = said.request
    unknown = [n for n, k in (("operation", operation in _ACTIVITY),
                              ("resource_type", said.resource_type in _RESOURCE_TYPES)) if not k]  # fmt: skip
    if unknown:
        extension["unknown"] = unknown
    return extension


def _recognise(text: str) -> bool:
    return text.startswith(_START)


SOURCE = Source(
    name="kafka_authorizer",
    title="Kafka authorizer log: every decision, allowed or denied",
    documentation=__doc__,
    product={"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"},
    read=each(_read),
    loggers=("kafka.authorizer.logger",),
    recognise=_recognise,
    whole=_whole,
    shapes=("standard", "acl", "simple", "confluent", "strimzi", "bare", "companion"),
    blind_spots=(
        "At Kafka's default level (INFO) only denials are written; allowed decisions need DEBUG.",
        "A decision is not its outcome: an allowed request may still have failed.",
        "A client can break a line in the default layout and may even complete the head it breaks; "
        "then nothing in the text gives it away. The layout of `auditstream broker-logging` "
        "cannot be broken.",
        "Simple and Confluent dialects name no request; there a cut line may look whole.",
    ),
)
