"""The grammar of Kafka's authorizers: one message to one decision, in linear time.

::

    Principal = P is Allowed|Denied operation = OP from host = H on resource = KIND:PATTERN:NAME
        for request = R with resourceRefCount = N based on rule RULE      StandardAuthorizer
    Principal = P is … Operation = Op from … for request = R with resourceRefCount = N
                                                                          AclAuthorizer
    Principal = P is … Operation = Op from host = H on resource = KIND:[PATTERN:]NAME
                                                                          SimpleAclAuthorizer, RBAC

P and NAME may be anything. What stands between them is short and made of fixed words, and so is
the end: fixed words first, the end before the middle, every look ahead bounded. A text that
imitates the words gives a second reading; all are found, for whoever reads them must know.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pipeline.errors import Reason, Unreadable

START = "Principal = "
_COMPANIONS: dict[str, str | tuple[str, ...]] = {
    "principal = ": " is a super user, allowing operation without checking acls.",
    "No acl found for resource ": ("authorized = false", "authorized = true"),
    "operation = ": "",
}
"""What AclAuthorizer says beside its decisions, and how that ends. It names no deed."""
_RULES = ("DefaultDeny", "SuperUser", "DefaultAllow")
_PATTERN_TYPES = ("LITERAL:", "PREFIXED:", "MATCH:", "ANY:", "UNKNOWN:")
_WORDS = frozenset(
    (
        "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION", "ALTER_CONFIGS",
        "DESCRIBE_CONFIGS", "IDEMPOTENT_WRITE", "Read", "Write", "Create", "Delete", "Alter",
        "Describe", "ClusterAction", "AlterConfigs", "DescribeConfigs", "IdempotentWrite",
        "Topic", "Group", "Cluster", "TransactionalId",
    )
)  # fmt: skip
"""The commonest, which need no look at each letter."""
_MOST_READINGS = 16
_MOST_RULES = 4
"""An administrator's own access rule may hold the words ` based on rule `: so many are tried."""
_OPERATION, _HOST, _KIND = 80, 120, 60
_REQUEST, _COUNT = 120, 60
"""How far the next fixed words may be, in characters."""


_PLAIN = re.compile(
    r"Principal = ([^ ]{1,250}) is (Allowed|Denied) operation = ([A-Z_]{1,60})"
    r" from host = ([0-9A-Fa-f.:]{1,60})"
    r" on resource = ([A-Za-z]{1,40}):(LITERAL|PREFIXED|MATCH|ANY|UNKNOWN):([^ ]{0,300})"
    r" for request = ([A-Za-z]{1,80}) with resourceRefCount = ([0-9]{1,20})"
    r" based on rule (DefaultDeny|SuperUser|DefaultAllow|MatchingAcl\(.{0,900}\))"
)
"""A message in which no name holds a space: nothing in it can imitate the words. Nearly all are so,
and are read at once; the bounds lie within those below."""


class Decision(NamedTuple):
    """One reading of a message. ``standard``: in StandardAuthorizer's words.

    ``operation`` is as written; ``request`` and ``rule`` are empty where the dialect has none.
    """

    principal: str
    allowed: bool
    standard: bool
    operation: str
    host: str
    resource_type: str
    pattern_type: str
    name: str
    request: str = ""
    rule: str = ""


_Middle = tuple[int, int, bool, bool, str, str, str, str]
"""The fixed words in the middle: where the principal ends and the resource's name begins, allowed,
standard, operation, host, resource type, pattern type."""

_End = tuple[int, str, str]
"""The fixed words at the end: where the resource's name ends, request, rule."""


def decide(message: str, complete: bool = True) -> tuple[Decision, int]:
    """Read one message: the decision, and in how many ways its words can be read.

    Where more than one, the first that is consistent is given: right where the resource's name
    imitates the words, wrong where the principal's does. Nobody can tell which: suspect it.

    Args:
        message: the line without layout.
        complete: its end is there; without it the resource's name is what there is of it.

    Raises:
        Unreadable: ``torn`` where the end is missing, ``ambiguous`` where decision and rule
            exclude each other, ``unknown_layout`` otherwise.
    """
    plain = _PLAIN.fullmatch(message) if complete else None
    if plain is not None and " is " not in plain[10] and " based on rule " not in plain[10]:
        principal, said, operation, host, kind, pattern, name, request, _, rule = plain.groups()
        if _agrees(said == "Allowed", rule):
            decision = Decision(
                principal, said == "Allowed", True, operation, host, kind, pattern, name, request,
                rule,
            )  # fmt: skip
            return decision, 1
    return _weigh(message, complete)


def _weigh(message: str, complete: bool) -> tuple[Decision, int]:
    """As :func:`decide`, of a message in which names may imitate the words."""
    middles = _middles(message)
    if not middles and " is " in message:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "no authorizer's wording that is known")
    end = _ruled(message) if complete else (len(message), "", "")
    # A principal without anything behind it, or StandardAuthorizer's words without their end.
    if not middles or (complete and middles[0][3] and not end[2]):
        raise Unreadable(Reason.TORN, "`based on rule` is missing at its end")
    for middle in middles:
        if not complete or (middle[3] and middle[1] <= end[0] and _agrees(middle[2], end[2])):
            break
        if not middle[3]:
            end = _counted(message, len(message)) or (len(message), "", "")
            break
    else:
        raise Unreadable(Reason.AMBIGUOUS, "decision and rule exclude each other: it is forged")
    place, name, allowed, standard, operation, host, kind, pattern = middle
    stop, request, rule = end
    decision = Decision(
        message[12:place], allowed, standard, operation, host, kind, pattern,
        message[name:stop], request, rule,
    )  # fmt: skip
    return decision, len(middles)


def accompanies(message: str) -> bool:
    """Whether this begins as a line that stands beside decisions and names no deed."""
    if message.startswith("operation = "):
        return " on resource = " in message[:_OPERATION]
    return message.startswith(tuple(_COMPANIONS))


def ends(message: str) -> bool:
    """Whether one that stands beside decisions ends as it should."""
    return any(message.startswith(s) and message.endswith(e) for s, e in _COMPANIONS.items())


def _ruled(message: str) -> _End:
    """StandardAuthorizer's end, or one without a rule: from the message's end backwards."""
    place = len(message)
    for _ in range(_MOST_RULES):
        place = message.rfind(" based on rule ", 0, place)
        if place < 0:
            break
        rule = message[place + 15 :]
        if rule in _RULES or (rule.startswith("MatchingAcl(") and rule.endswith(")")):
            counted = _counted(message, place)
            if counted is not None:
                return counted[0], counted[1], rule
    return len(message), "", ""


def _counted(message: str, stop: int) -> _End | None:
    """`` for request = R with resourceRefCount = N`` before ``stop``, or None."""
    count = message.rfind(" with resourceRefCount = ", max(0, stop - _COUNT), stop)
    if count < 0 or not message[count + 25 : stop].isdecimal():
        return None
    start = message.rfind(" for request = ", max(0, count - _REQUEST), count)
    request = message[start + 15 : count]
    if start < 0 or not (request.isalpha() and request.isascii()):
        return None
    return start, request, ""


def _middles(message: str) -> list[_Middle]:
    """Every place where the fixed words of the middle stand, leftmost first."""
    found: list[_Middle] = []
    place = message.find(" is ", 12)
    while place >= 0:
        middle = _middle(message, place)
        if middle is not None:
            found.append(middle)
            if len(found) == _MOST_READINGS:
                break
        place = message.find(" is ", place + 3)
    return found


def _middle(message: str, place: int) -> _Middle | None:
    if message.startswith("Allowed ", place + 4):
        allowed, start = True, place + 12
    elif message.startswith("Denied ", place + 4):
        allowed, start = False, place + 11
    else:
        return None
    standard = message.startswith("operation = ", start)
    if not standard and not message.startswith("Operation = ", start):
        return None
    start += 12
    host = message.find(" from host = ", start, start + _OPERATION)
    resource = message.find(" on resource = ", host + 13, host + _HOST)
    colon = message.find(":", resource + 15, resource + _KIND)
    if host < 0 or resource < 0 or colon < 0:
        return None
    operation, address = message[start:host], message[host + 13 : resource]
    kind = message[resource + 15 : colon]
    if " " in address or not (
        (operation in _WORDS and kind in _WORDS) or _are_words(operation, kind)
    ):
        return None
    name, pattern = colon + 1, ""
    for known in _PATTERN_TYPES:
        if message.startswith(known, name):
            name, pattern = name + len(known), known[:-1]
            break
    return place, name, allowed, standard, operation, address, kind, pattern


def _are_words(*texts: str) -> bool:
    return all(t.isascii() and t.replace("_", "a").isalpha() for t in texts)


def _agrees(allowed: bool, rule: str) -> bool:
    """Whether a decision and the rule it rests on can both be true."""
    if rule.startswith("MatchingAcl("):
        return ("permissionType=DENY" in rule[-25:]) is not allowed
    return (rule != "DefaultDeny") is allowed
