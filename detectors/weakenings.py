"""Weakenings: what takes an audit trail its lines, its keeping, or those who are bound by it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from detectors.acls import stated
from detectors.contract import Judgement
from detectors.estates import judgement, when
from schemas.changes import Change, Deed, Lifecycle
from schemas.vocabulary import Severity

_LEVELS: Final = {
    "OFF": 0, "FATAL": 1, "ERROR": 2, "WARN": 3, "INFO": 4, "DEBUG": 5, "TRACE": 6, "ALL": 7,
}  # fmt: skip
_INFO, _DEBUG = _LEVELS["INFO"], _LEVELS["DEBUG"]
SET_LOG_LEVEL: Final = "SetLogLevel"
"""``Lifecycle.kind`` of a broker's own line about a logger; ``settings``: ``logger``, ``level``."""
_SAME_LINE_MS: Final = 2000
"""How far a broker's line about a log level may lie from all that tells of the request for it."""
_HOST_SETTINGS: Final = (
    "super.users", "allow.everyone.if.no.acl.found", "authorizer.class.name",
)  # fmt: skip
_BETWEEN_USERS: Final = re.compile(r";|,(?=\s*[\w.-]+:)")
"""Configuration parts super users by `;`, and KRaft's authorizer tells them apart by `,`, which a
distinguished name has, too: only before a type of principal does another begin."""
_FOREVER: Final = float("inf")


class _Need(NamedTuple):
    """Levels a logger needs: to say all that is read of it, and to say anything that counts."""

    all: int
    some: int


def _need(logger: str) -> _Need | None:
    if logger == "kafka.authorizer.logger":
        return _Need(_DEBUG, _INFO)
    if logger in ("kafka.request.logger", "kafka.request"):
        return _Need(_DEBUG, _DEBUG)
    if logger == "kafka.controller" or logger.startswith("org.apache.kafka.controller"):
        return _Need(_INFO, _INFO)
    if logger == "org.apache.kafka.common.network" or logger.startswith(
        ("org.apache.kafka.common.network.Selector", "org.apache.kafka.common.network.Socket")
    ):
        return _Need(_INFO, _INFO)
    if logger in ("root", "kafka", "org.apache.kafka", "org.apache.kafka.common"):
        # Those above have levels of their own in Kafka's configuration, but not for sure.
        return _Need(_INFO, -1)
    return None


def silenced(logger: str, level: str | None, before: str | None) -> int:
    """How grave it is that a logger has this level from now on; 0: it says no less.

    Args:
        level: None: it takes its parent's.
        before: None where nobody says.
    """
    need = _need(logger)
    now, was = _LEVELS.get((level or "").upper()), _LEVELS.get((before or "").upper())
    if need is None or (level is not None and now is None):
        return 0
    if was is not None and (was < need.some or (now is not None and now >= was)):
        return 0
    if now is None:
        return Severity.MEDIUM
    if now >= need.all:
        return 0
    return Severity.HIGH if now < need.some else Severity.MEDIUM


def of_loggers(changes: Sequence[Change], lifecycle: Sequence[Lifecycle]) -> Iterator[Judgement]:
    """Log levels lowered, by request or by what a broker says itself; both are one finding."""
    lines = [line for line in lifecycle if line.kind == SET_LOG_LEVEL]
    asked = [c for c in changes if c.deed.kind == "config" and _is_level(c.deed)]
    pairs = _paired(asked, lines)
    told = {own.id for own in pairs.values()}
    for change in asked:
        deed, own = change.deed, pairs.get(change.id)
        severity = silenced(deed.item, deed.after, deed.before)
        if severity:
            what = f"The log level of {deed.item} on {deed.target} was {_set_to(deed.after)}"
            said = f"{what} by {change.actor or 'somebody'}; before: {deed.before or 'unknown'}."
            yield _with(judgement(change, severity, _title(deed.item), said), own)
    before: dict[tuple[str, str, str], str | None] = {}
    for line in lines:
        logger, level = line.settings["logger"], line.settings.get("level") or None
        whose = line.cluster, line.host, logger
        was, before[whose] = before.get(whose), level
        severity = silenced(logger, level, was)
        if severity and line.id not in told:
            said = f"{line.host or 'A broker'} says: {line.message}; before: {was or 'unknown'}."
            yield _of_lines(f"logger={line.host} {logger}", severity, _title(logger), said, line)


def _is_level(deed: Deed) -> bool:
    return deed.target.startswith("BrokerLogger:")


def _paired(changes: Sequence[Change], lines: Sequence[Lifecycle]) -> dict[str, Lifecycle]:
    """Brokers' lines about what was asked for, by the change's id: the nearest first, each once."""
    stated: dict[tuple[str, str, str | None], list[Lifecycle]] = {}
    for line in lines:
        level = line.settings.get("level") or None
        stated.setdefault((line.cluster, line.settings["logger"], level), []).append(line)
    near: list[tuple[int, int, int, str, str, Lifecycle]] = []
    for change in changes:
        known = stated.get((change.cluster, change.deed.item, change.deed.after), [])
        times = [when(leg.id) for leg in change.legs]
        first, last = min(*times, change.began or change.time), max(times)
        begin = bisect_left(known, first - _SAME_LINE_MS, key=_time)
        for line in known[begin : bisect_right(known, last + _SAME_LINE_MS, key=_time)]:
            # How far outside, then how far from its end: a broker is done when it answers.
            outside = max(first - line.time, line.time - last, 0)
            beside = abs(line.time - change.time)
            near.append((outside, beside, change.time, change.id, line.id, line))
    pairs: dict[str, Lifecycle] = {}
    taken: set[str] = set()
    for *_, change_id, line_id, line in sorted(near, key=lambda pair: pair[:-1]):
        if change_id not in pairs and line_id not in taken:
            pairs[change_id] = line
            taken.add(line_id)
    return pairs


def _time(line: Lifecycle) -> int:
    return line.time


def _set_to(level: Any) -> str:
    return "taken from its parent" if level is None else f"set to {level}"


def _title(logger: str) -> str:
    return f"Log level of {logger} lowered"


def _with(judged: Judgement, line: Lifecycle | None) -> Judgement:
    if line is None:
        return judged
    return judged._replace(
        evidence=tuple(sorted((*judged.evidence, line.id))),
        first_time=min(judged.first_time, line.time),
        last_time=max(judged.last_time, line.time),
    )


def _of_lines(key: str, severity: int, title: str, said: str, *lines: Lifecycle) -> Judgement:
    ids, times = tuple(line.id for line in lines), [line.time for line in lines]
    return Judgement(key, severity, title, said, ids, min(times), max(times))


def of_hosts(lifecycle: Sequence[Lifecycle]) -> Iterator[Judgement]:
    """Settings that a host says otherwise than it did when it said them last."""
    last: dict[tuple[str, str, str], tuple[Lifecycle, str]] = {}
    for line in lifecycle:
        for name in _HOST_SETTINGS:
            value = line.settings.get(name)
            if value is None:
                continue
            whose = line.cluster, line.host, name
            known = last.get(whose)
            if known is not None and _plain(name, known[1]) != _plain(name, value):
                said = f"{name} of {line.host or 'a host'} is {value or 'empty'}"
                said += f", and was {known[1] or 'empty'} when it was last said."
                key = f"setting={line.host} {name}"
                yield _of_lines(key, Severity.HIGH, f"{name} changed", said, known[0], line)
            last[whose] = line, value


def _plain(name: str, value: str) -> Any:
    """A value, or what it means where it is a list in no order."""
    if name != "super.users":
        return value
    return sorted(filter(None, map(str.strip, _BETWEEN_USERS.split(value))))


def of_topics(changes: Sequence[Change], patterns: Sequence[str]) -> Iterator[Judgement]:
    """What was done to topics that hold audit records."""
    for change in changes:
        deed = change.deed
        kind, _, name = deed.target.partition(":")
        if kind != "Topic" or not any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        severity = _topic(deed)
        if severity:
            said = f"{change.actor or 'Somebody'} changed the audit topic {name}"
            said += f": {deed.kind} {deed.item} {deed.action}".replace("  ", " ")
            said += f". Before: {_value(deed.before)}. After: {_value(deed.after)}."
            yield judgement(change, severity, _TITLES[deed.kind], said)


_TITLES: Final = {
    "topic": "Audit topic deleted",
    "records": "Records of an audit topic deleted",
    "config": "Configuration of an audit topic changed",
    "acl": "Access to an audit topic changed",
}


def _topic(deed: Deed) -> int:
    if deed.kind == "records" or (deed.kind, deed.action) == ("topic", "delete"):
        return Severity.HIGH
    if deed.kind == "config":
        return Severity.HIGH if _shortened(deed) else Severity.MEDIUM
    return Severity.MEDIUM if deed.kind == "acl" else 0


def _shortened(deed: Deed) -> bool:
    """Whether records are kept for less than before; a value nobody knows counts as Kafka's."""
    defaults = {"retention.ms": 604_800_000.0, "retention.bytes": _FOREVER}
    if deed.item not in defaults:
        return False
    before, after = (_kept(value, defaults[deed.item]) for value in (deed.before, deed.after))
    return after < before


def _kept(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return _FOREVER if number < 0 else number


def _value(value: Any) -> str:
    if isinstance(value, dict) and "permission" in value:
        return stated(value)
    return "unknown" if value is None else str(value)
