"""OCSF objects that events and findings state alike (https://schema.ocsf.io/1.8.0/objects)."""

from __future__ import annotations

from typing import Any, Final

UNKNOWN: Final = {"name": "Unknown", "type_id": 0}
"""A user or an endpoint of which nothing is known: OCSF's words, and no name anyone bears."""


def user(principal: str) -> dict[str, Any]:
    """OCSF ``user`` of a principal: ``User:alice`` is its uid, ``alice`` its name.

    A principal without a kind, or with nothing behind it, is its own name; an empty one is
    :data:`UNKNOWN`.
    """
    if not principal:
        return UNKNOWN
    return {"uid": principal, "name": principal.partition(":")[2] or principal, "type_id": 1}
