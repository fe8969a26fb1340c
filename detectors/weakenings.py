"""Weakenings: what takes an audit trail its lines, its keeping, or those who are bound by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from detectors.acls import stated
from detectors.contract import Judgement
from detectors.estates import judgement
from schemas.changes import Change, Deed, Lifecycle
from schemas.vocabulary import Severity

_LEVELS: Final = {
    "OFF": 0, "FATAL": 1, "ERROR": 2, "WARN": 3, "INFO": 4, "DEBUG": 5, "TRACE": 6, "ALL": 7,
}  # fmt: skip
_INFO, _DEBUG = _LEVELS["INFO"], _LEVELS["DEBUG"]
SET_LOG_LEVEL: Final = "SetLogLevel"
"""``Lifecycle.kind`` of a broker's own line about a logger; ``settings``: ``logger``, ``level``."""
_SAME_LINE_MS: Final = 2000
"""How far a broker's line about a log level may lie from the request for it."""
_HOST_SETTINGS: Final = (
    "super.users", "allow.everyone.if.no.acl.found", "authorizer.class.name",
)  # fmt: skip
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
    told: set[str] = set()
    for change in changes:
        deed = change.deed
        if deed.kind != "config" or not deed.target.startswith("BrokerLogger:"):
            continue
        own = next((n for n in lines if n.id not in told and _same_level(change, n)), None)
        told.update((own.id,) if own else ())
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


def _same_level(change: Change, line: Lifecycle) -> bool:
    deed = change.deed
    return (
        line.cluster == change.cluster
        and abs(line.time - change.time) <= _SAME_LINE_MS
        and line.settings["logger"] == deed.item
        and (line.settings.get("level") or None) == deed.after
    )


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
    return (
        sorted(filter(None, map(str.strip, value.split(";")))) if name == "super.users" else value
    )


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
