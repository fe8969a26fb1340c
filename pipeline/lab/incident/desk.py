"""The support desk's records of the day: who asked, who approved, when sessions began and ended.

Their shape is `schemas/support_session.schema.json`.
"""

from datetime import datetime, timedelta
from typing import Any

from pipeline.lab.incident.cast import VENDOR_HOST

Document = dict[str, Any]

VENDOR = "Example Vendor"
PRINCIPAL = "User:vendor-support"
_JANE, _LEE = "jane@vendor.example.com", "lee@vendor.example.com"
_OSCAR = "oscar@example.com"


def records(ended: datetime) -> list[Document]:
    """The desk's records, in order of time; the play on the broker ended at `ended` (UTC)."""
    told = (*_break_glass(ended), *_in_order(ended), *_over_stayed(ended))
    return sorted(told, key=lambda record: str(record["time"]))


def _break_glass(ended: datetime) -> list[Document]:
    """A night's emergency that was looked at in the morning: nothing to find."""
    case = {"session": "S-4690", "principal": PRINCIPAL, "person": _LEE, "ticket": "CASE-4690"}
    why = {"reason": "emergency", "reason_text": "Broker 2 out of disk, nobody on call"}
    return [
        _record("break_glass", "CASE-4690/1", ended, -780, addresses=[VENDOR_HOST], **why, **case),
        _record("session_closed", "CASE-4690/2", ended, -755, **case),
        _record("review", "CASE-4690/3", ended, -190, approves="S-4690", approved_by=_OSCAR),
    ]


def _in_order(ended: datetime) -> list[Document]:
    """A session that did what it was let in for: nothing to find."""
    case = {"session": "S-4698", "principal": PRINCIPAL, "person": _LEE, "ticket": "CASE-4698"}
    done = {"operation": "DESCRIBE_CONFIGS", "resource_type": "topic",
            "resource": "payments.refunds", "outcome": "success"}  # fmt: skip
    return [
        _record("request", "CASE-4698/1", ended, -170, reason="customer_case", **case),
        _approval("CASE-4698", ended, -165, _LEE, (-150, -120)),
        _record("session_opened", "CASE-4698/3", ended, -145, addresses=[VENDOR_HOST], **case),
        _record("action", "CASE-4698/4", ended, -140, action=done, **case),
        _record("session_closed", "CASE-4698/5", ended, -125, **case),
    ]


def _over_stayed(ended: datetime) -> list[Document]:
    """The session of the play: what it did is in the broker's log."""
    case = {"session": "S-4711", "principal": PRINCIPAL, "person": _JANE, "ticket": "CASE-4711"}
    why = {"reason": "customer_case", "reason_text": "Consumers of payments.orders lag behind"}
    film = {"addresses": [VENDOR_HOST], "recording": "https://bastion.example.com/sessions/4711"}
    return [
        _record("request", "CASE-4711/1", ended, -35, **why, **case),
        _approval("CASE-4711", ended, -15, _JANE, (-10, 20)),
        _record("session_opened", "CASE-4711/3", ended, -5, **film, **case),
        _record("session_closed", "CASE-4711/4", ended, 32, **case),
    ]


def _approval(
    ticket: str, ended: datetime, minutes: int, person: str, window: tuple[int, int]
) -> Document:
    """Leave to look at how payments are set up, and at no record of theirs."""
    start, end = (_at(ended, edge) for edge in window)
    looking = ["DESCRIBE", "DESCRIBE_CONFIGS"]
    return _record(
        "approval", f"{ticket}/2", ended, minutes,
        approves=f"{ticket}/1", approved_by=_OSCAR, approved_for=person, ticket=ticket,
        window={"from": start, "to": end},
        scope=[{"resource_type": "topic", "resource": "payments.*", "operations": looking}],
        payload_access=False,
    )  # fmt: skip


def _record(kind: str, unique: str, ended: datetime, minutes: int, **more: Any) -> Document:
    """A record of so many `minutes` after the play."""
    said = {"v": 1, "kind": kind, "id": unique, "time": _at(ended, minutes), "estate": "prod"}
    accesses = {"provider": VENDOR} if "principal" in more else {}
    return {**said, **accesses, **more}


def _at(ended: datetime, minutes: int) -> str:
    return (ended + timedelta(minutes=minutes)).isoformat()
