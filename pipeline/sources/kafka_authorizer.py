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
client's own text and may imitate any of this: :mod:`pipeline.grammar` says how they are told
apart, and an event whose words can be read twice is suspect. Formats:
``StandardAuthorizerData#buildAuditMessage``, ``AclAuthorizer#logAuditMessage``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.administration import ACTIVITIES, is_administrative
from pipeline.batch import Fact, Filtered, Line, Outcome, Reading, Source, each, moment
from pipeline.errors import Reason, Unreadable
from pipeline.grammar import START, accompanies, decide, ends
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, BlindSpot, Forgery, Leg

_RESOURCE_TYPES = frozenset(
    (
        "Topic", "Group", "Cluster", "TransactionalId", "DelegationToken", "User",
        "Connector", "Subject", "KsqlCluster", "Environment",
    )
)  # fmt: skip
_CACHED_MESSAGES = 8192
"""Brokers say the same over and over; and a message is looked at twice, once for its end."""
_LONGEST_CACHED = 1024


class _Said(NamedTuple):
    """What a message states, the same for every line that holds it. ``unknown``: columns whose
    value is none that this release knows."""

    outcome: str
    activity: int
    principal: str
    host: str
    operation: str
    resource_type: str
    pattern_type: str
    resource: str
    request: str
    rule: str
    sentence: str
    spots: tuple[str, ...]
    unknown: tuple[str, ...]
    ambiguous: bool


def _say(message: str, complete: bool = True) -> _Said:
    decision, readings = decide(message, complete)
    principal, allowed, _, word, host, kind, pattern, name, request, rule = decision
    if not complete and kind == "Cluster":
        raise Unreadable(Reason.TORN, "cut within a name that no client chooses")
    operation, ambiguous = _enum(word), readings > 1
    decided = "allowed" if allowed else "denied"
    sentence = f"{principal} was {decided} {operation} on {kind} {name}"
    unknown: tuple[str, ...] = ()
    if operation not in ACTIVITIES:
        operation, unknown = "UNKNOWN", ("operation",)
    if kind not in _RESOURCE_TYPES:
        kind, unknown = "Unknown", (*unknown, "resource_type")
    spots: tuple[str, ...] = ()
    if not complete:
        spots = (BlindSpot.PARTIAL_NAME.value,)
    if ambiguous:
        spots = (*spots, BlindSpot.AMBIGUOUS_PRINCIPAL.value)
    if not request:
        spots = (*spots, BlindSpot.NO_REQUEST.value)
    return _Said(
        "success" if allowed else "failure", ACTIVITIES.get(operation, 0), principal, host,
        operation, kind, pattern, name, request, rule, sentence, spots, unknown, ambiguous,
    )  # fmt: skip


def _stated(outcome: str, rule: str) -> dict[str, Any]:
    """The decision and what it rests on, shared by many events: nobody changes it."""
    stated: dict[str, Any] = {"decision": "Allowed" if outcome == "success" else "Denied"}
    if rule:
        stated["policy"] = {"name": rule}
    return {"actor": {"authorizations": [stated]}}


def _try(message: str) -> _Said | Unreadable:
    """What a complete message states, or why it cannot be read."""
    try:
        return _say(message)
    except Unreadable as error:
        return error


_cached = lru_cache(maxsize=_CACHED_MESSAGES)(_try)
_cached_stated = lru_cache(maxsize=1024)(_stated)


@lru_cache(maxsize=1024)
def _enum(word: str) -> str:
    """Kafka's enum name: ``READ`` and ``AlterConfigs`` to ``READ`` and ``ALTER_CONFIGS``."""
    return word if word.isupper() else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper()


def _whole(message: str) -> bool:
    if not message.startswith(START):
        return ends(message) or not accompanies(message)
    said = _cached(message) if len(message) <= _LONGEST_CACHED else _try(message)
    unknown = isinstance(said, Unreadable) and said.reason == Reason.UNKNOWN_LAYOUT
    return unknown or (isinstance(said, _Said) and not said.ambiguous)


def _forged(message: str) -> bool:
    said = _try(message) if message.startswith(START) else None
    return isinstance(said, _Said) or (said is not None and said.reason == Reason.AMBIGUOUS)


def _read(line: Line, reading: Reading) -> Outcome:
    message = line.message
    if not message.startswith(START):
        if accompanies(message) and line.complete:
            return Filtered("kafka_authorizer:companion")
        reason = Reason.TORN if accompanies(message) else Reason.UNKNOWN_LAYOUT
        raise Unreadable(reason, "`Principal = …` was expected")
    if line.complete and len(message) <= _LONGEST_CACHED:
        said = _cached(message)
        if isinstance(said, Unreadable):
            raise Unreadable(said.reason, said.detail)
    else:
        said = _say(message, line.complete)
    at, precision, spots = moment(line, reading)
    event = Event(at, API_ACTIVITY, said.activity, said.outcome, SOURCE.name)
    event.time_precision = precision
    event.actor, event.address = said.principal, reading.address(said.host)
    event.resource_type, event.resource = said.resource_type, said.resource
    event.pattern_type, event.rule = said.pattern_type, said.rule
    event.operation, event.message = said.operation, said.sentence
    event.blind_spots = spots + said.spots
    event.suspect, event.forgery = line.suspect or said.ambiguous, line.forgery
    if not event.forgery:
        if said.ambiguous:
            event.forgery = Forgery.IMITATION.value
        elif "\n" in message:
            event.forgery = Forgery.LINE_BREAK.value
    state = _cached_stated if len(said.rule) <= _LONGEST_CACHED else _stated
    document = state(said.outcome, said.rule)
    if not event.address:
        document = {**document, "src_endpoint": {"name": said.host}}
    extension: dict[str, Any] = {"request": said.request} if said.request else {}
    if is_administrative(said.request, said.operation):
        event.leg = Leg.AUTHORIZER.value
    if said.unknown:
        extension["unknown"] = said.unknown
    return Fact(event, line.stamp, "", (), document, extension)


SOURCE = Source(
    name="kafka_authorizer",
    title="Kafka authorizer log: every decision, allowed or denied",
    documentation=__doc__,
    product={"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"},
    read=each(_read),
    loggers=("kafka.authorizer.logger",),
    recognise=lambda text: text.startswith(START) or accompanies(text),
    whole=_whole,
    forged=_forged,
    repeats=True,
    shapes=("standard", "acl", "simple", "confluent", "strimzi", "threads", "json_layouts", "bare",
            "companion", "principals", "names", "addresses", "unknown", "broken", "unreadable"),
    blind_spots=(
        "At Kafka's default level (INFO) only denials are written; allowed decisions need DEBUG.",
        "A decision is not its outcome: an allowed request may still have failed.",
        (
            "A client can break a line in the default layout and may even complete the head it "
            "breaks; then nothing in the text gives it away. The layout of `auditstream "
            "broker-logging` cannot be broken."
        ),
        (
            "Simple and Confluent dialects name no request; there a cut line may look whole, and "
            "in Confluent's layout, where nothing stands behind a client's text, a line that a "
            "client forged as well."
        ),
    ),
)  # fmt: skip
