"""Kafka's request log: what was asked of a broker or controller, by whom, and what came of it.

Event: 3004 Entity Management, one for each thing that an administrative request changes; 6003 for
an API that this release does not know. Logger ``kafka.request.logger`` at DEBUG, Kafka 2.8+::

    Completed request:{"isForwarded":false,"requestHeader":{"requestApiKey":19,…},"request":{…},
        "response":{…},"connection":"LOCAL:9092-REMOTE:51234-7","totalTimeMs":12.3,…}

The line is written when the answer is sent, and JSON escapes every name, so no client can break it
or imitate its structure. In KRaft a change is logged twice: by the broker, and before that by the
controller the broker forwarded it to (``leg``). Requests for data, reading requests, logins and
what brokers ask of controllers are filtered; so are commits of offsets by members of a group.
Kafka hides some secrets and writes others: :mod:`pipeline.kafka.secrets`. The older text form
(``Completed request:RequestHeader(…)``) is not read. Format: ``RequestConvertToJson``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.batch import Fact, Filtered, Line, Outcome, Reading, Source, each, moment
from pipeline.errors import Reason, Unreadable
from pipeline.kafka.groups import is_by_hand
from pipeline.kafka.protocol import APIS, CLASSES, api_name
from pipeline.kafka.requests import DECODERS
from pipeline.kafka.secrets import clean, skeleton, without_bodies
from pipeline.kafka.wording import answer, call_of, describe, short
from schemas.types import Event
from schemas.vocabulary import (
    API_ACTIVITY,
    ENTITY_MANAGEMENT,
    OTHER_ACTIVITY,
    AccessPath,
    BlindSpot,
    Leg,
)

_START = "Completed request:"
_HEAD = re.compile(
    _START + r'\{(?:"isForwarded":(?:true|false),)?"requestHeader":\{"requestApiKey":([0-9]{1,5}),'
)
"""Kafka's fixed order of keys: no client's text stands before the number."""
_NO_MEMBER = '"memberId":""'
"""As a key of its own: within a client's text the quotes would be escaped."""
_RULES = {name: Filtered(f"kafka_request:{rule}") for name, rule in CLASSES.items()}
_FILTERED = {number: _RULES[name] for number, name in enumerate(APIS) if name in _RULES}
_COMMIT = APIS.index("OffsetCommit")
_NOTHING = Filtered("kafka_request:nothing_asked")
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


def _read(line: Line, reading: Reading) -> Outcome | list[Outcome]:
    message = line.message
    if not line.complete:
        raise Unreadable(Reason.TORN, "the beginning of a request whose end is missing")
    found = _HEAD.match(message)
    if found is not None:
        number = int(found[1])
        rule = _FILTERED.get(number)
        if rule is not None and (number != _COMMIT or _NO_MEMBER not in message):
            return rule
    document = _parse(message)
    header = _object(document, "requestHeader")
    api = api_name(header.get("requestApiKey"), header.get("requestApiKeyName"))
    if api in _RULES and not (api == "OffsetCommit" and is_by_hand(_object(document, "request"))):
        return _RULES[api]
    if not api:
        line.raw = without_bodies(line.text).encode()
        return _unknown(line, reading, document)
    return _changes(line, reading, document, api)


def _parse(message: str) -> dict[str, Any]:
    if not message.startswith(_START + "{"):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "a request as JSON, of Kafka 2.8 or later")
    try:
        document = orjson.loads(message[len(_START) :])
    except orjson.JSONDecodeError:
        raise Unreadable(Reason.TORN, "a request's JSON does not end, or is none") from None
    if not isinstance(document, dict):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "a JSON object was expected")
    return document


def _object(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = node.get(key)
    if not isinstance(value, dict):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, f"{key} is no JSON object")
    return value


def _changes(
    line: Line, reading: Reading, document: dict[str, Any], api: str
) -> Outcome | list[Outcome]:
    answered = document.get("response") is not None
    bodies = {
        "request": _object(document, "request"),
        "response": _object(document, "response") if answered else {},
    }
    cleaned = clean(api, bodies, line.text)
    if cleaned.secrets:
        # Not by Fact.secrets: whoever sends the name of a cluster as a salt would take that out.
        line.raw = cleaned.text.encode()
    items = list(DECODERS[api](bodies["request"], bodies["response"]))
    if not items:
        return _NOTHING
    call = call_of(document, api, bodies["request"])
    dry = bodies["request"].get("validateOnly") is True
    outcomes: list[Outcome] = []
    for place, item in enumerate(items):
        event = _event(line, reading, document, ENTITY_MANAGEMENT, api)
        extension = {"call": {**call, "item": place, "items": len(items)}}
        fact = Fact(event, line.stamp, extension=extension)
        describe(fact, item, dry)
        outcomes.append(fact)
    return outcomes


def _unknown(line: Line, reading: Reading, document: dict[str, Any]) -> Fact:
    header, response = document["requestHeader"], document.get("response")
    said = header.get("requestApiKeyName")
    name = said if isinstance(said, str) and _NAME.fullmatch(said) else "Unknown"
    event = _event(line, reading, document, API_ACTIVITY, name)
    event.message = (
        f"{event.actor or 'Somebody'} asked for {name}, which this release does not know"
    )
    call = {**call_of(document, name, skeleton(document.get("request"))), "item": 0, "items": 1}
    number = header.get("requestApiKey")
    extension: dict[str, Any] = {"call": call}
    if isinstance(number, int):
        extension["api_key"] = number
    fact = Fact(event, line.stamp, extension=extension)
    if isinstance(response, dict):
        answer(fact, {"errorCode": response.get("errorCode")})
    fact.extension["unknown"] = ["operation", *fact.extension.get("unknown", ())]
    return fact


def _event(
    line: Line, reading: Reading, document: Mapping[str, Any], class_uid: int, operation: str
) -> Event:
    at, precision, spots = moment(line, reading)
    event = Event(at, class_uid, OTHER_ACTIVITY, "unknown", SOURCE.name, operation=operation)
    event.time_precision, event.blind_spots = precision, spots
    event.suspect, event.forgery = line.suspect, line.forgery
    event.access_path = AccessPath.CONTROL.value
    principal = document.get("principal")
    if isinstance(principal, str) and principal:
        event.actor = principal
    else:
        event.blind_spots = (*spots, BlindSpot.NO_PRINCIPAL.value)
    forwarded = document.get("isForwarded") is True
    event.leg = (Leg.FORWARDED if forwarded else Leg.REQUEST).value
    if not forwarded:
        event.address = _remote(short(document.get("connection")), reading)
    return event


def _remote(connection: str, reading: Reading) -> str:
    """The client's end of ``local:port-remote:port-index``, or empty."""
    ends = connection.split("-")
    host, _, port = ends[1].rpartition(":") if len(ends) in (3, 4) else ("", "", "")
    return reading.address(host.removeprefix("[").removesuffix("]")) if port.isdecimal() else ""


def _whole(message: str) -> bool:
    return not message.startswith(_START + "{") or message.endswith("}")


SOURCE = Source(
    name="kafka_request",
    title="Kafka request log: administrative changes, who asked for them and what came of it",
    documentation=__doc__,
    product={"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"},
    read=each(_read),
    loggers=("kafka.request.logger",),
    recognise=lambda text: text.startswith(_START + "{"),
    whole=_whole,
    bears_secrets=True,
    secrets_from='"request":',
    shapes=("topics", "partitions", "configs", "acls", "credentials", "quotas", "groups",
            "cluster", "partly_failed", "validate_only", "addresses", "filtered", "unknown",
            "secrets", "bare", "broken", "unreadable"),
    blind_spots=(
        "Written only with kafka.request.logger at DEBUG or TRACE; Kafka's default is WARN.",
        "A forwarded record names the broker's address, which is left out, not the client's.",
        "Renewed and expired delegation tokens are named by a secret alone, which is removed.",
        "An answer is not its effect: a request that timed out may still have been carried out.",
    ),
)  # fmt: skip
