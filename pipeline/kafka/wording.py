"""What a request's record says of itself, and what is said of each of its parts in an event."""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

import orjson

from pipeline.batch import Fact
from pipeline.errors import Reason, Unreadable
from pipeline.kafka.parts import Item
from pipeline.kafka.protocol import error_name

_LONGEST_TEXT: Final = 256
_LONGEST_DETAIL: Final = 1000
_ACTIVITY: Final = {"create": 1, "delete": 4, "expire": 4}
_UPDATE: Final = 3
_TIMED_OUT: Final = "REQUEST_TIMED_OUT"
"""Whoever answered has stopped waiting. What was asked for may be done all the same."""
_VERBS: Final = {
    "append": ("add to", "added to"), "subtract": ("take from", "took from"),
    "set": ("set", "set"), "alter": ("alter", "altered"),
}  # fmt: skip


def call_of(document: Mapping[str, Any], api: str, body: Any) -> dict[str, Any]:
    """What the records of one request share, and what tells them apart.

    Args:
        body: the request without its secrets; its digest is the same in both records.
    """
    header, took = document["requestHeader"], document.get("totalTimeMs")
    number = header.get("correlationId")
    timed = isinstance(took, (int, float)) and math.isfinite(took) and 0 <= took < 2**53
    try:
        canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "nested deeper than Kafka's requests") from None
    return {
        "api": api,
        "client_id": short(header.get("clientId")),
        "correlation_id": number if isinstance(number, int) else -1,
        "connection": short(document.get("connection")),
        "listener": short(document.get("listener")),
        "forwarded": document.get("isForwarded") is True,
        "took_ms": took if timed else 0,
        "digest": blake2b(canonical, digest_size=8).hexdigest(),
    }


def short(value: Any) -> str:
    """The beginning of a text; empty where it is none."""
    return value[:_LONGEST_TEXT] if isinstance(value, str) else ""


def answer(fact: Fact, result: Mapping[str, Any]) -> str:
    """Outcome, code and message of a part of the response; returns the error's name."""
    code = result.get("errorCode")
    if not isinstance(code, int) or isinstance(code, bool):
        return ""
    name = error_name(code) if code else ""
    outcome = "failure" if code else "success"
    fact.event.outcome = "unknown" if name == _TIMED_OUT else outcome
    message = result.get("errorMessage")
    if isinstance(message, str) and message:
        fact.document["status_detail"] = message[:_LONGEST_DETAIL]
    if not code:
        return ""
    if not name:
        fact.extension["error_code"] = code
        fact.extension["unknown"] = ["status_code"]
    fact.document["status_code"] = name or "Unknown"
    return name


def describe(fact: Fact, item: Item, dry: bool) -> None:
    """Fill in what one part of a request states. ``dry``: it was only to be validated."""
    event, code = fact.event, answer(fact, item.result or {})
    event.resource_type, event.resource = item.resource_type, item.resource
    event.pattern_type = item.pattern_type
    idle = item.nothing and event.outcome == "success"
    if dry:
        fact.extension["validate_only"] = True
    elif not idle:
        deed: dict[str, Any] = {"kind": item.kind, "action": item.action, "target": item.target}
        deed |= {"item": item.item, "after": item.after}
        if item.before is not None:
            deed["before"] = item.before
        fact.extension["deed"] = deed
        event.activity_id = _ACTIVITY.get(item.action, _UPDATE)
    if item.topic_id:
        fact.extension["topic_id"] = item.topic_id
    if item.unknown:
        fact.extension["unknown"] = [*item.unknown, *fact.extension.get("unknown", ())]
    event.message = _sentence(
        item, event.actor or "Somebody", "unknown" if dry or idle else event.outcome, code
    )
    event.message += ", to validate it only" * dry + ", and there was nothing to do" * idle


def _sentence(item: Item, who: str, outcome: str, code: str) -> str:
    verb, did = _VERBS.get(item.action, (item.action, f"{item.action.removesuffix('e')}ed"))
    if outcome == "success":
        return f"{who} {did} {item.words}"
    if outcome == "failure":
        return f"{who} failed to {verb} {item.words}: {code or 'unknown error'}"
    late = ", and had no answer in time" if code == _TIMED_OUT else ""
    return f"{who} asked to {verb} {item.words}{late}"
