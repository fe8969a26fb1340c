"""Exclude: what auditstream's own principals are there to do, on its own topics and groups.

Else a pipeline that reads its own cluster's authorizer log would feed on itself. Left out is only
what was allowed, from where it is expected, and what no client can have written; it is counted as
``own:ROLE``. Never left out are changes to the cluster, support access, and what another log says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from detectors.own import Own, expected
from pipeline.batch import Filtered
from schemas.types import Event
from schemas.vocabulary import AccessPath

_SOURCES: Final = frozenset(("kafka_authorizer", "kafka_authentication"))
"""Those that write a line for whatever a worker does."""

Exclude = Callable[[Event], Filtered | None]


def exclude(own: Mapping[str, tuple[Own, ...]]) -> Exclude | None:
    """By which rule an enriched event is left out, if by any. None: nothing ever is.

    Args:
        own: by principal, what is expected of it.
    """
    if not own:
        return None
    rules = {one.role: Filtered(f"own:{one.role}") for entries in own.values() for one in entries}

    def rule(event: Event) -> Filtered | None:
        entries = own.get(event.actor)
        if entries is None or event.source not in _SOURCES:
            return None
        if event.outcome != "success" or event.suspect or event.leg:
            return None
        if event.access_path == AccessPath.SUPPORT:
            return None
        return rules.get(expected(event, entries))

    return rule
