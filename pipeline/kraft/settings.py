"""Configuration, features and brokers: their records."""

from __future__ import annotations

import re
from typing import Any, Final

from pipeline.errors import Reason, Unreadable
from pipeline.kraft.stated import CLUSTER, RESOURCE_TYPES, Phrases, Stated, fit

HIDDEN: Final = "[hidden]"
_SECRET_NAME = re.compile(
    r"(?i)(?:password|passwd|passphrase|secret|hmac|salt|(?:private|store|secret|master)\.key)$|jaas"
)
_RELEASES = (
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
    "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0",
    "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1",
)  # fmt: skip
_LEVELS = {name: level for level, name in enumerate(_RELEASES, start=7)}
"""The log names the version of ``metadata.version``, requests its level."""


def is_secret(name: str, value: str) -> bool:
    """Whether a configuration's value must not be kept; Kafka hides those it knows itself."""
    return value not in (HIDDEN, "null", "") and _SECRET_NAME.search(name) is not None


def _config(text: str) -> tuple[Stated, ...]:
    kind, _, rest = text.removeprefix("ConfigResource(type=").partition(", name='")
    between = (
        "') which set configuration " if "') which set c" in rest else "'): set configuration "
    )
    name, found, setting = rest.partition(between)
    key, to, value = setting.partition(" to ")
    if not (found and to) or not kind.replace("_", "").isalpha():
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "`ConfigResource(type=…, name='…')` was expected")
    resource_type = RESOURCE_TYPES.get(kind, "Unknown")
    name = name or ("<default>" if kind == "BROKER" else "")
    gone = value == "null"
    sentence = f"{key} of {resource_type} {name} was " + ("removed" if gone else f"set to {value}")
    return (
        Stated(
            "ConfigRecord", "delete" if gone else "set", resource_type, name, sentence,
            "config", f"{resource_type}:{name}", key, None if gone else value,
            ambiguous=between in setting, secrets=(value,) if is_secret(key, value) else (),
            extra=(("unknown", ("resource_type",)),) if resource_type == "Unknown" else (),
        ),
    )  # fmt: skip


def _feature(text: str) -> tuple[Stated, ...]:
    found = fit(
        r"(?:setting (?:feature )?(metadata version|[\w.-]{1,100}) to ([\w.-]{1,40})"
        r"|removing feature ([\w.-]{1,100}))",
        text,
    )
    name = (found[1] or found[3]).replace(" ", ".")
    level: Any = found[2]
    if level is not None:
        level = int(level) if level.isdecimal() else _LEVELS.get(level, level)
    sentence = f"Feature {name} was " + ("removed" if level is None else f"set to {found[2]}")
    return (
        Stated(
            "FeatureLevelRecord", "delete" if level is None else "set", "Cluster", CLUSTER,
            sentence, "feature", f"Cluster:{CLUSTER}", name, level,
        ),
    )  # fmt: skip


def _unregistered(text: str) -> tuple[Stated, ...]:
    broker = fit(r"brokerId=(\d{1,10})(?:,[^\n]*)?", text)[1]
    return (
        Stated(
            "UnregisterBrokerRecord", "delete", "Broker", broker,
            f"Broker {broker} was unregistered", "broker", f"Broker:{broker}",
        ),
    )  # fmt: skip


SETTINGS: Final[Phrases] = (
    ("Replayed ConfigRecord for ", "", _config),
    ("ConfigResource(type=", "", _config),
    ("Replayed a FeatureLevelRecord ", "", _feature),
    ("Replayed UnregisterBrokerRecord(", ")", _unregistered),
    # Before 3.6.
    ("Setting metadata.version ", "", lambda rest: _feature(f"setting metadata.version {rest}")),
    ("Setting feature ", "", lambda rest: _feature(f"setting feature {rest}")),
    ("Removing feature ", "", lambda rest: _feature(f"removing feature {rest}")),
    ("Unregistered broker: UnregisterBrokerRecord(", ")", _unregistered),
)
