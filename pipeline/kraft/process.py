"""What a Kafka process logs of itself: its life, its log levels, the settings it runs with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pipeline.kraft.settings import is_secret

_START, _STOP, _UPDATE, _OTHER = 3, 4, 8, 99
_LONGEST_PREFIX = 60
_PREFIX = re.compile(r"\[([A-Z]\w{1,40})[^\]\n]{0,40}?(\d{1,10})?\]:? ", re.ASCII)
_DUMP = re.compile(r"(\w{0,100}) values: ?(?=\n|\\n|\Z)", re.ASCII)
_SETTING = re.compile(r"(?:\n|\\n)\t(?=[\w.-]{1,200} = )", re.ASCII)
_IN_URL = re.compile(r"://[^\s/@:]{0,100}:([^\s/@]{1,200})@")
_SUPER_USERS = "set super.users="
_DEFAULT = re.compile(r", default result=(ALLOWED|DENIED)\Z")
_LEVEL = re.compile(
    r"(Failed to )?([Uu])(?:pdated?|nset) the log level of ([\w.$-]{1,300})(?: to (\w{1,10}))?",
    re.ASCII,
)
_KEPT: Final = frozenset(
    (
        "allow.everyone.if.no.acl.found", "authorizer.class.name", "auto.create.topics.enable",
        "broker.id", "delete.topic.enable", "early.start.listeners", "inter.broker.listener.name",
        "listener.security.protocol.map", "listeners", "node.id", "principal.builder.class",
        "process.roles", "sasl.enabled.mechanisms", "sasl.kerberos.principal.to.local.rules",
        "security.inter.broker.protocol", "ssl.client.auth", "ssl.enabled.protocols",
        "ssl.principal.mapping.rules", "super.users",
    )
)  # fmt: skip
_FAMILY = "sasl.mechanism."
_FACTS: Final[dict[tuple[str, str], tuple[str, int, bool]]] = {
    ("kafka.server.KafkaRaftServer", "Kafka Server started"): ("Start", _START, True),
    ("kafka.server.KafkaServer", "started"): ("Start", _START, True),
    ("kafka.server.KafkaServer", "shut down completed"): ("Stop", _STOP, True),
    ("kafka.server.BrokerServer", "shut down completed"): ("Stop", _STOP, True),
    # A controller does not say when it is done.
    ("kafka.server.ControllerServer", "shutting down"): ("Stop", _STOP, True),
}
"""One line for each fact, whole: operation, activity, success."""
_FAILURES: Final = {
    "Fatal error during broker startup. ": ("Start", _START),
    "Fatal error during KafkaServer startup. ": ("Start", _START),
    "Exiting Kafka due to fatal exception": ("Stop", _STOP),
    "Encountered fatal fault: ": ("Stop", _STOP),
}
_SIGNAL = "Terminating process due to signal "


class Said(NamedTuple):
    """What a message states. ``activity``: OCSF's number. ``secrets``: texts not to be kept."""

    operation: str
    activity: int
    success: bool
    sentence: str
    extension: dict[str, Any]
    secrets: tuple[str, ...] = ()


def settings(message: str) -> Iterator[tuple[str, str]]:
    """Name and value of every setting in a dump of a configuration."""
    for entry in _SETTING.split(message)[1:]:
        name, _, value = entry.partition(" = ")
        yield name, value.removesuffix("\\n").rstrip("\n")


def _dump(message: str) -> Said | None:
    kept: dict[str, str | None] = {}
    secrets: list[str] = []
    for name, value in settings(message):
        if is_secret(name, value):
            secrets.append(value)
        secrets += _IN_URL.findall(value)
        if name in _KEPT or name.startswith(_FAMILY):
            kept[name] = None if value == "null" else value
    sentence = f"Runs with {len(kept)} settings that security hangs on"
    said = Said("Configure", _OTHER, True, sentence, {"settings": kept}, tuple(secrets))
    return said if kept else None


def _authorizer(text: str) -> Said | None:
    found = _DEFAULT.search(text[-40:])
    if not found:
        return None
    users = text[len(_SUPER_USERS) : text.rindex(", default result=")]
    everyone = "true" if found[1] == "ALLOWED" else "false"
    kept = {"super.users": users, "allow.everyone.if.no.acl.found": everyone}
    sentence = f"Super users are {users or 'nobody'}; without an ACL all is {found[1].lower()}"
    return Said("Configure", _OTHER, True, sentence, {"settings": kept})


def _level(text: str) -> Said | None:
    found = _LEVEL.fullmatch(text)
    if not found:
        return None
    failed, unset, logger, level = bool(found[1]), found[4] is None, found[3], found[4] or ""
    change = "taken from its parent" if unset else f"set to {level}"
    sentence = f"Log level of {logger} was {'not ' * failed}{change}"
    changed = {"logger": logger, "level": level or None}
    return Said("SetLogLevel", _UPDATE, not failed, sentence, changed)


def prefix(message: str) -> tuple[str, str, str]:
    """Component and node that a message's prefix names, each or both empty, and what follows."""
    found = _PREFIX.match(message[:_LONGEST_PREFIX])
    return (found[1], found[2] or "", message[found.end() :]) if found else ("", "", message)


def dumps(message: str) -> str:
    """Whose configuration a message dumps, or empty: ``KafkaConfig``, ``AdminClientConfig``."""
    found = _DUMP.match(message)
    return (found[1] or "?") if found else ""


def said(logger: str, message: str) -> Said | None:
    """What a message states, or None. ``logger`` is empty where its layout names none."""
    whose = dumps(message)
    if whose:
        return _dump(message) if whose == "KafkaConfig" else None
    component, _, text = prefix(message)
    if text.startswith(_SUPER_USERS):
        return _authorizer(text)
    if " log level of " in text[:60]:
        return _level(text)
    if text.startswith(_SIGNAL):
        signal = text[len(_SIGNAL) :][:20]
        return Said("Terminate", _STOP, True, text[:100], {"signal": signal})
    for (owner, words), (operation, activity, success) in _FACTS.items():
        # Where the layout names no logger, the message's own prefix does.
        if text == words and (logger == owner or (not logger and owner.endswith("." + component))):
            return Said(operation, activity, success, f"{component}: {text}", {})
    for words, (operation, activity) in _FAILURES.items():
        if text.startswith(words):
            return Said(operation, activity, False, text.partition("\n")[0][:300], {})
    return None
