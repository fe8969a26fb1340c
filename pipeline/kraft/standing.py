"""What a controller's lines tell of those that follow. State is JSON, kept by the source.

``standing``: active, standby, or missing: nobody has said yet. ``transaction``: within one.
``bootstrap``: how many records of a first start are still to come, and until when at most.
``expired``: tokens that ran out and are about to be removed.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pipeline.kraft.stated import Stated

State = dict[str, Any]

_STANDING = (
    ("Creating new QuorumController ", "standby", ""),
    ("Becoming the active controller at epoch ", "active", "BecomeActive"),
    ("We were the leader in epoch ", "active", ""),
    ("Performing controller activation. ", "active", ""),
    ("Renouncing the leadership ", "standby", "Renounce"),
    ("In the new epoch ", "standby", ""),
    ("Starting to load snapshot ", "standby", ""),
)
"""What tells whether a controller is the active one, and what of it is a fact of its own."""
_RENOUNCES = re.compile(r"[^:\n]{1,200}: [^\n]{0,400}?Renouncing leadership and reverting")
_BOOTSTRAP = re.compile(r" Appending (\d{1,3}) bootstrap record\(s\) at ")
_BOOTSTRAP_MS = 5_000
"""Before 3.6 only their number tells the first start's records, and some are not logged."""
_MOST_EXPIRED = 1_000


class Standing(NamedTuple):
    """``standing``: active or standby. ``operation``: what it is called as a fact of its own, or
    empty. ``bootstrap``: records of a first start that follow outside any transaction."""

    standing: str
    operation: str
    bootstrap: int


def standing(text: str) -> Standing | None:
    """What a message says of the controller's own standing, or None."""
    for phrase, now, operation in _STANDING:
        if text.startswith(phrase):
            begun = _BOOTSTRAP.search(text[:400]) if phrase.startswith("Performing") else None
            return Standing(now, operation, int(begun[1]) if begun else 0)
    return Standing("standby", "Renounce", 0) if _RENOUNCES.match(text) else None


def take(state: State, now: Standing, at: int) -> None:
    """Keep a standing in mind. ``at``: epoch milliseconds."""
    state["standing"] = now.standing
    state.pop("transaction", None)
    if now.bootstrap:
        state["bootstrap"] = [now.bootstrap, at + _BOOTSTRAP_MS]


def nobodys(item: Stated, state: State, at: int, learn: bool) -> bool:
    """Whether a record at this time is bookkeeping, by itself or by what stood before it.
    ``learn``: the line is beyond suspicion and may be kept in mind."""
    left, until = state.get("bootstrap", (0, 0))
    first = left > 0 and at <= until
    if learn:
        if item.operation in ("BeginTransactionRecord", "EndTransactionRecord"):
            state["transaction"] = item.operation.startswith("Begin")
        elif item.operation == "AbortTransactionRecord":
            state["transaction"] = False
        elif item.operation == "ExpiredToken":
            state["expired"] = [*state.get("expired", ()), item.resource][-_MOST_EXPIRED:]
        if left:
            state["bootstrap"] = [left - 1 if first else 0, until]
    expired = item.kind == "token" and item.action == "expire"
    if expired and item.resource in state.get("expired", ()):
        if learn:
            state["expired"] = [token for token in state["expired"] if token != item.resource]
        return True
    return not item.kind or state.get("transaction", False) or first
