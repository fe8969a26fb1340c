"""One CloudTrail record as JSON, and what to take out of it whatever its shape.

Nothing in ``requestParameters`` and ``responseElements`` has a fixed type: a key holds a text in
one release and a list or an object in the next, booleans and numbers come as texts, newer EC2 calls
wrap all of it into ``{"XRequest": {…}}`` with lists as ``{"tag": 1, "content": …}``.
Format: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/ (event reference).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import orjson

from pipeline.errors import Reason, Unreadable

_FIRST_KEYS: Final = (
    '{"eventVersion":', '{"awsRegion":', '{"additionalEventData":', '{"userIdentity":',
    '{"eventID":', '{"eventTime":', '{"eventSource":', '{"eventName":', '{"errorCode":',
    '{"eventCategory":', '{"apiVersion":',
)  # fmt: skip
"""What a record begins with, and no envelope does."""
_ENVELOPES: Final = ('"Records"', '"detail', '"Message"', '"Events"', '"logEvents"', '"records"')
_DEEPEST: Final = 4
_MOST_NODES: Final = 2000
_MOST_ITEMS: Final = 20
_SUPPORT: Final = frozenset(("v", "kind", "estate"))
"""What a support session record has, which may carry fields of any name beside."""
_NO_NAMES: Final = frozenset(
    (
        "filterset", "filters", "filter", "tags", "tagset", "tagslist", "tagspecificationset",
        "tagspecification", "parameterfilters", "encryptioncontext", "clienttoken", "requestid",
    )
)  # fmt: skip
"""Keys under which names and ids are those of something else."""


def is_record(text: str) -> bool:
    """Whether a text is one CloudTrail record. Cheap, linear, never raises."""
    if text[:1] != "{" or '"eventSource"' not in text or '"eventName"' not in text:
        return False
    # A service as no API has it: of a notification, or within a policy. And a key of none.
    if '"aws:' not in text and '"estate"' not in text:
        if text.startswith(_FIRST_KEYS):
            return True
        for word in _ENVELOPES:
            if word in text:
                break
        else:
            return True
    try:
        found = _loads(text)
    except Unreadable:
        return False
    return isinstance(found, dict) and claims(found)


def claims(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object is one CloudTrail record."""
    if "eventName" not in document or "eventSource" not in document:
        about = document.get("insightDetails")
        return about.__class__ is dict and "eventName" in about and "eventSource" in about
    if "estate" in document and document.keys() >= _SUPPORT:
        return False
    source = document["eventSource"]
    return source.__class__ is not str or source[:4] != "aws:"


def parse(value: bytes | str) -> dict[str, Any]:
    """The record of a line.

    Raises:
        Unreadable: it is no JSON object, or names neither service nor call.
    """
    found = _loads(value)
    if not isinstance(found, dict):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "a JSON object was expected")
    return checked(found)


def checked(found: dict[str, Any]) -> dict[str, Any]:
    """A JSON object that is a record.

    Raises:
        Unreadable: it names neither service nor call.
    """
    source, call = found.get("eventSource"), found.get("eventName")
    if source.__class__ is not str or call.__class__ is not str or not source or not call:
        about = found.get("insightDetails")
        if isinstance(about, dict) and "eventName" not in found:
            # An insight names both within its details alone.
            named = {key: about.get(key) for key in ("eventSource", "eventName")}
            return checked({**found, **named})
        detail = "no CloudTrail record: eventSource and eventName were expected, as texts"
        if "digestStartTime" in found:
            detail = "a CloudTrail digest, which holds no events"
        elif isinstance(found.get("Records"), list):
            detail = "a CloudTrail file whose records were not taken out of it"
        raise Unreadable(Reason.UNKNOWN_LAYOUT, detail)
    if found["eventSource"].startswith("aws:"):
        detail = "a notification of a bucket, a queue or a stream, and no CloudTrail record"
        raise Unreadable(Reason.UNKNOWN_LAYOUT, detail)
    return found


def _loads(value: bytes | str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        pass
    try:
        # Half of a surrogate pair, which JSON can write and UTF-8 cannot.
        lenient = json.dumps(json.loads(value), ensure_ascii=False)
        return orjson.loads(lenient.encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        detail = "its JSON does not end, is none, or is nested too deep"
        raise Unreadable(Reason.UNKNOWN_LAYOUT, detail) from None


class Stated(NamedTuple):
    """What CloudTrail itself states in a record, as texts; empty where it does not.

    In the order of :data:`_STATED`, which has CloudTrail's names.
    """

    version: str
    time: str
    region: str
    address: str
    agent: str
    request: str
    uid: str
    made: str
    category: str
    recipient: str
    shared: str
    vpc_endpoint: str
    api_version: str
    error: str
    error_message: str


_STATED: Final = (
    "eventVersion", "eventTime", "awsRegion", "sourceIPAddress", "userAgent", "requestID",
    "eventID", "eventType", "eventCategory", "recipientAccountId", "sharedEventID",
    "vpcEndpointId", "apiVersion", "errorCode", "errorMessage",
)  # fmt: skip
_TEXT: Final = frozenset((str,))


def stated(record: Mapping[str, Any]) -> Stated:
    """What CloudTrail itself states in a record. Each field looked up once: it runs for all."""
    get = record.get
    values = [get(key, "") for key in _STATED]
    if not _TEXT.issuperset(map(type, values)):
        values = [said(record, key) for key in _STATED]
    return Stated._make(values)


def said(node: Mapping[str, Any], key: str) -> str:
    """The text under a key; a number as a text; else empty. Of what every record has."""
    value = node.get(key)
    if value.__class__ is str:
        return value
    return str(value) if value.__class__ is int else ""


def text(node: Any, *keys: str) -> str:
    """The first text, not empty, under one of these keys; numbers as texts; else empty."""
    if isinstance(node, dict):
        for key in keys:
            value = node.get(key)
            if value.__class__ is str:
                if value:
                    return str(value)
            elif value.__class__ is int:
                return str(value)
    return ""


def inner(node: Any, *keys: str) -> dict[str, Any]:
    """The first object under one of these keys, or an empty one."""
    if isinstance(node, dict):
        for key in keys:
            value = node.get(key)
            if isinstance(value, dict):
                return value
    return {}


def items(value: Any) -> list[Any]:
    """What a list holds, however it is written: bare, as ``items``, as ``tag`` and ``content``."""
    if isinstance(value, dict):
        for key in ("items", "item", "member"):
            if isinstance(value.get(key), (list, dict)):
                value = value[key]
                break
        if isinstance(value, dict):
            value = [value] if value else []
    if not isinstance(value, list):
        return [] if value is None else [value]
    return [v["content"] if isinstance(v, dict) and "content" in v else v for v in value]


def texts(value: Any) -> list[str]:
    """The texts of a list, however it is written; a single text is a list of one."""
    return [found for found in items(value) if isinstance(found, str) and found]


def yes(value: Any) -> bool | None:
    """A truth, as JSON or as text; None where it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return None


def number(value: Any) -> int | None:
    """A whole number, as JSON or as text; None where it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def parameters(value: Any) -> dict[str, Any]:
    """``requestParameters`` or ``responseElements`` as an object, out of what wraps it."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    if not isinstance(value, dict):
        return {}
    if len(value) == 1:
        ((key, only),) = value.items()
        if isinstance(only, dict) and key.endswith(("Request", "Response")):
            return {name[:1].lower() + name[1:]: part for name, part in only.items()}
    return value


def names(value: Mapping[str, Any]) -> dict[str, str]:
    """The texts in a document by key in lower case, the first of each, as deep as names stand.

    In breadth: what stands higher comes first.
    """
    out: dict[str, str] = {}
    level: list[tuple[str, Any]] = [("", value)]
    left = _MOST_NODES
    for _ in range(_DEEPEST):
        below: list[tuple[str, Any]] = []
        for above, node in level:
            left -= len(node)
            if left < 0:
                return out
            bare = node.__class__ is list
            # What stands in a list is named by the list.
            for key in node[:_MOST_ITEMS] if bare else node:
                part = key if bare else node[key]
                kind = part.__class__
                if part and (kind is str or kind is dict or kind is list):
                    name = above if bare or key == "content" else key.lower()
                    if kind is not str:
                        if name not in _NO_NAMES:
                            below.append((name, part))
                    elif name not in out:
                        out[name] = part
        if not below:
            break
        level = below
    return out


def last_part(arn: str) -> str:
    """The short name in an ARN: what people call the thing."""
    if arn[:4] != "arn:":
        return arn
    parts = arn.split(":", 5)
    return parts[5] if len(parts) == 6 else arn


def account_of(principal: str) -> str:
    """The account's number in an ARN, or of what is such a number; empty where there is none."""
    if principal[:4] == "arn:":
        parts = principal.split(":", 5)
        return parts[4] if len(parts) == 6 else ""
    return principal if len(principal) == 12 and principal.isdecimal() else ""


def decoded(value: str) -> str:
    """A text as it was before it was written into a URL, where it was."""
    return unquote(value) if "%" in value else value
