"""What a controller's message comes to, and what its readers share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pipeline.errors import Reason, Unreadable

CLUSTER: Final = "kafka-cluster"
MOST_DETAIL: Final = 500
TOPIC: Final = r"([\w.-]{1,249})"
ID: Final = r"([\w-]{1,40})"
RESOURCE_TYPES: Final = {
    "TOPIC": "Topic", "GROUP": "Group", "CLUSTER": "Cluster", "USER": "User",
    "TRANSACTIONAL_ID": "TransactionalId", "DELEGATION_TOKEN": "DelegationToken",
    "BROKER": "Broker", "BROKER_LOGGER": "BrokerLogger", "CLIENT_METRICS": "ClientMetrics",
}  # fmt: skip
_LONGEST_PREFIX = 60
_NODE = re.compile(r"\[(?:Quorum)?Controller (?:id=)?(\d{1,10})\] ", re.ASCII)


class Stated(NamedTuple):
    """What one message states, or one item of it.

    Attributes:
        operation: the record's name, or the request's whose result it is.
        action: create, set, alter, delete, expire; empty: nothing that anybody does.
        resource_type, resource: what it is about.
        sentence: for people.
        kind, target, item, after, before: as in ``deed``; ``kind`` is empty for bookkeeping.
        pattern_type: of an ACL.
        success: False for a result that says an error.
        code, detail: the error.
        extra: further words of the record.
        ambiguous: somebody's text imitates the fixed words.
        secrets: texts that must not be kept.
    """

    operation: str
    action: str
    resource_type: str
    resource: str
    sentence: str
    kind: str = ""
    target: str = ""
    item: str = ""
    after: Any = None
    before: Any = None
    pattern_type: str = ""
    success: bool = True
    code: str = ""
    detail: str = ""
    extra: tuple[tuple[str, Any], ...] = ()
    ambiguous: bool = False
    secrets: tuple[str, ...] = ()


Read = Callable[[str], tuple[Stated, ...]]
"""What stands between a phrase and its end, to what it states."""

Phrases = tuple[tuple[str, str, Read], ...]
"""Phrase, how such a message ends, and what reads what stands between."""


class Message(NamedTuple):
    """A message without its prefix. ``node``: the controller's id, or empty."""

    node: str
    text: str


def body(message: str) -> Message:
    """A message without ``[QuorumController id=1] ``, and who that names."""
    found = _NODE.match(message[:_LONGEST_PREFIX])
    return Message(found[1], message[found.end() :]) if found else Message("", message)


def fit(pattern: str, text: str) -> re.Match[str]:
    """The whole text's match.

    Raises:
        Unreadable: ``unknown_layout`` where there is none.
    """
    found = re.fullmatch(pattern, text, re.ASCII)
    if found is None:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "no record's wording that is known")
    return found
