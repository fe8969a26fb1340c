"""Retention as OpenSearch's Index Management does it: a policy for each class, which deletes whole
indices by their age. It knows no holds and records nothing: it is made only where that is wanted.

An index holds a month, and its age counts from when it was made: the last of its events are kept
for as long as is said if it goes a month later than that. Undated indices have no month to go by
and are never deleted. The form is that of ``PUT _plugins/_ism/policies/NAME``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.storage import Retention, days_by_class
from schemas import indices

_MONTH_DAYS: Final = 32
"""The longest, and the day by which an event may be ahead of who carries it."""
_PRIORITY: Final = 100


def policies(retention: Sequence[Retention]) -> dict[str, dict[str, Any]]:
    """Each policy by name: the classes that are configured, and `standard`."""
    days = sorted(days_by_class(retention).items())
    return {f"auditstream-{name}": _policy(name, kept) for name, kept in days}


def by_hand(body: Mapping[str, Any]) -> str:
    """What is to be done where no plugin carries a policy out."""
    policy = body["policy"]
    (pattern,) = policy["ism_template"][0]["index_patterns"]
    said = f"`auditstream retention apply` removes {pattern}, once the month is past that"
    return f"{policy['description']}: {said}"


def unwanted(path: str) -> str:
    """What is to be done about a policy that is there and not wanted."""
    return (
        "it is there, and deletes what holds keep: take it from the indices that have it (POST "
        f"_plugins/_ism/remove/{indices.searched(indices.EVENTS)}), then DELETE "
        f"{path.removeprefix('/')}; or set opensearch.index_management"
    )


def same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a policy does what it is to do; one comes back with more than was put."""
    return _has(found, wanted["policy"])


def _policy(name: str, days: int) -> dict[str, Any]:
    age = {"min_index_age": f"{days + _MONTH_DAYS}d"}
    # Dated indices alone have a dot in their name; the longer name of two that both match is meant.
    pattern, priority = f"{indices.EVENTS}-{name}-*.*", _PRIORITY + len(name)
    return {
        "policy": {
            "description": f"Events of the retention class {name} are kept for {days} days",
            "default_state": "kept",
            "states": [
                {
                    "name": "kept",
                    "actions": [],
                    "transitions": [{"state_name": "deleted", "conditions": age}],
                },
                {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
            ],
            "ism_template": [{"index_patterns": [pattern], "priority": priority}],
        }
    }


def _has(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and _has(found[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list) and len(found) == len(wanted) and all(map(_has, found, wanted))
        )
    return bool(found == wanted)
