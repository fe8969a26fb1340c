"""A support session record, version 1, as ``schemas/support_session.schema.json`` has it.

Strict where the schema is strict: no text for a number, no null for what is left out. What the
schema does not name is no error, and not here either: the source keeps it. Beyond the schema, a
window must not end before it begins, and times must be on the calendar (RFC 3339, 5.6 and 5.7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from schemas.support import Kind

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_DAY_S: Final = 86_400
_LOCAL: Final = (
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
)
_TIME: Final = re.compile(_LOCAL.replace(" ", "") + "(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))")
_NO_OFFSET: Final = re.compile(_LOCAL)


def instant(value: Any) -> int:
    """Epoch milliseconds of an RFC 3339 time; digits beyond them are cut off.

    A leap second is the last millisecond before it: the order of times stays, and so does the day.

    Raises:
        PydanticCustomError: ``time``, with ``why`` in its context.
    """
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "no text")
    found = _TIME.fullmatch(value)
    if found is None:
        bare = _NO_OFFSET.fullmatch(value)
        raise _no_time("has no offset from UTC" if bare else "is no RFC 3339 time")
    *face, fraction, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, face)
    away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    leap = second == 60
    try:
        local = datetime(year, month, day, hour, minute, second - leap, tzinfo=UTC)
    except ValueError:
        raise _no_time("is on no calendar") from None
    if int(hours or 0) > 23 or int(minutes or 0) > 59:
        raise _no_time("has an offset that no zone has")
    at = (local - _EPOCH - (-away if sign == "-" else away)) // _MS
    if not leap:
        return at + int((fraction or "")[:3].ljust(3, "0"))
    if at // 1000 % _DAY_S != _DAY_S - 1:
        raise _no_time("has a leap second that is not 23:59:60 in UTC")
    return at + 999


def _no_time(why: str) -> PydanticCustomError:
    return PydanticCustomError("time", "{why}", {"why": why})


def _one(value: Any) -> Any:
    """JSON Schema has one number 1, however it is written."""
    if isinstance(value, bool):
        raise PydanticCustomError("literal_error", "no number")
    return 1 if value == 1 else value


Time = Annotated[
    int, BeforeValidator(instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
_BY_SESSION: Final = ("session", "principal")
DEMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "approval": ("approved_by", "approves", "window", "scope"),
    "session_opened": _BY_SESSION,
    "session_closed": _BY_SESSION,
    "action": (*_BY_SESSION, "action"),
    "break_glass": _BY_SESSION,
    "revocation": ("approves",),
    "denial": ("approves",),
    "review": ("approves",),
    "maintenance_window": ("window",),
}
"""Fields that records of a kind need beside those that all need."""


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class Window(_Model):
    """A span of time, both ends included; epoch milliseconds."""

    start: Time = Field(
        alias="from", description="when it begins", examples=["2026-11-20T09:00:00+01:00"]
    )
    end: Time = Field(
        alias="to", description="when it ends", examples=["2026-11-20T17:00:00+01:00"]
    )


def _in_order(window: Window) -> Window:
    if window.end < window.start:
        raise PydanticCustomError("order", "ends before it begins")
    return window


def _unbounded() -> Window:
    return Window.model_construct(start=-(2**63), end=2**63 - 1)


class Permission(_Model):
    """One entry of a scope."""

    resource_type: str = Field(
        description="topic, group, cluster, bucket, key, ... or * for all", examples=["topic"]
    )
    resource: str = Field(
        description="name, or a pattern with * as wildcard", examples=["payments.*"]
    )
    operations: list[str] = Field(
        [], description="what may be done; left out: anything", examples=[["READ", "DESCRIBE"]]
    )


class Done(_Model):
    """What an action did."""

    operation: str = Field("", description="what was done", examples=["READ"])
    resource_type: str = Field("", description="what kind of thing it was", examples=["topic"])
    resource: str = Field("", description="its name", examples=["payments.eu"])
    payload: bool = Field(False, description="were record payloads read", examples=[False])
    outcome: Literal["success", "failure", "unknown"] = Field(
        "unknown", description="what came of it", examples=["success"]
    )


def _demands(schema: dict[str, Any]) -> None:
    """Say :data:`DEMANDS` in the words of JSON Schema."""
    schema["allOf"] = [
        {"if": {"properties": {"kind": {"const": kind}}}, "then": {"required": list(names)}}
        for kind, names in DEMANDS.items()
    ]


class Statement(_Model):
    """One record about support access. What it does not state is not in ``model_fields_set``."""

    model_config = ConfigDict(json_schema_extra=_demands)

    v: Annotated[Literal[1], BeforeValidator(_one)] = Field(
        description="version of the format", examples=[1]
    )
    kind: Kind = Field(description="what the record states", examples=["approval"])
    id: str = Field(
        min_length=1, description="the record's own, in its estate", examples=["INC-1042/approval"]
    )
    time: Time = Field(description="when it happened", examples=["2026-11-20T09:00:00+01:00"])
    estate: str = Field(
        min_length=1,
        description="an estate's name or an input's cluster label, by the configuration",
        examples=["prod-eu"],
    )
    session: str = Field("", description="ties records together", examples=["S-117"])
    provider: str = Field("", description="whose access it is", examples=["Example Streams"])
    principal: str = Field(
        "", description="who accesses, as the estate names it", examples=["User:vendor-rt"]
    )
    person: str = Field("", description="the individual", examples=["jane@vendor.example.com"])
    actor_kind: Literal["provider_human", "provider_automation"] = Field(
        "provider_human", description="person or machine", examples=["provider_human"]
    )
    addresses: list[str] = Field(
        [], description="IP addresses or networks", examples=[["192.0.2.7", "198.51.100.0/24"]]
    )
    approved_by: str = Field("", description="who decided", examples=["ops@example.com"])
    approved_for: str = Field(
        "", description="person or principal", examples=["jane@vendor.example.com"]
    )
    approves: str = Field(
        "",
        description="id of the session, the request or the one approval it is about",
        examples=["S-117"],
    )
    window: Annotated[Window, AfterValidator(_in_order)] = Field(
        default_factory=_unbounded,
        description="from when to when",
        examples=[{"from": "2026-11-20T09:00:00+01:00", "to": "2026-11-20T17:00:00+01:00"}],
    )
    scope: list[Permission] = Field(
        [],
        description="what it is for",
        examples=[[{"resource_type": "topic", "resource": "payments.*", "operations": ["READ"]}]],
    )
    ticket: str = Field("", description="the ticket", examples=["INC-1042"])
    reason: Literal[
        "customer_case", "provider_service", "review", "legal_demand", "production_alert",
        "emergency", "unknown",
    ] = Field("unknown", description="why", examples=["customer_case"])  # fmt: skip
    reason_text: str = Field("", description="why, in words", examples=["Consumers lag behind"])
    payload_access: bool = Field(False, description="may record payloads be read", examples=[False])
    action: Done = Field(
        default_factory=Done,
        description="what was done",
        examples=[{"operation": "READ", "resource_type": "topic", "resource": "payments.eu"}],
    )
    recording: str = Field(
        "", description="where the recording lies", examples=["https://bastion.example.com/r/117"]
    )

    @model_validator(mode="after")
    def _complete(self) -> Statement:
        lacking = [n for n in DEMANDS.get(self.kind, ()) if n not in self.model_fields_set]
        if lacking:
            raise PydanticCustomError("lacking", "lacks what its kind needs")
        return self
