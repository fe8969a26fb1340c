"""The least that each role must be allowed in OpenSearch, as its security plugin takes it.

Tried on 3.4: each suffices for the work of that role, and with any one permission less some of it
fails (tests/integration/test_opensearch_roles.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas import indices

INDEXER: Final = "auditstream_indexer"
ANALYST: Final = "auditstream_analyst"
AUDITOR: Final = "auditstream_auditor"
RETENTION: Final = "auditstream_retention"

_WRITTEN: Final = (
    indices.EVENTS, indices.FINDINGS, indices.VERSIONS, indices.CHANGES, indices.DEAD_LETTERS,
    indices.ACCOUNTS,
)  # fmt: skip
_SHOWN: Final = (indices.EVENTS, indices.FINDINGS, indices.VERSIONS, indices.CHANGES)

_READ: Final = (
    "indices:data/read/search",
    "indices:data/read/point_in_time/create",
    "indices:data/read/point_in_time/delete",
)
_WRITE: Final = ("indices:admin/create", "indices:data/write/bulk*", "indices:data/write/index")
_REFRESH: Final = "indices:admin/refresh*"
_TEMPLATES: Final = "indices:admin/index_template/get"
_LOOK: Final = "indices:data/read/mget*"

_OWN: Final = f"{indices.EVENTS}-{indices.OWN}"
_DROPPED: Final = f"/{_OWN.replace(indices.OWN, f'(?!{indices.OWN}-).*')}/"
"""All events but what auditstream says of itself: who may remove the former may not the latter."""

Body = dict[str, Any]
"""A role, as ``PUT _plugins/_security/api/roles/NAME`` takes it."""


def roles() -> dict[str, Body]:
    """Each role by name."""
    return {
        INDEXER: _role(
            "What `auditstream worker --role index` needs: writes all, reads back no content but "
            "of events by their id",
            (_TEMPLATES, "indices:data/write/bulk", "indices:data/read/mget"),
            (_WRITTEN, _WRITE),
            # Whether an event is in the index of another retention class already.
            ((indices.EVENTS,), ("indices:admin/resolve/index", _LOOK)),
        ),
        ANALYST: _role(
            "Reads events, findings, every version of them, and changes",
            (),
            (_SHOWN, _READ),
        ),
        AUDITOR: _role(
            "Reads all, dead letters and accounts too, and looks documents up as they are",
            ("indices:data/read/mget",),
            (_WRITTEN, (*_READ, _LOOK)),
        ),
        RETENTION: _role(
            "What `auditstream retention` and `auditstream hold` need: removes indices of events, "
            "reads and writes records and holds, and can remove none of those",
            (_TEMPLATES, "indices:data/write/bulk"),
            ((indices.EVENTS,), ("indices:admin/get", "indices:data/read/search")),
            ((_DROPPED,), ("indices:admin/delete", "indices:admin/settings/update", _REFRESH)),
            ((_OWN,), (*_READ[1:], *_WRITE)),
            ((indices.REMOVALS,), ("indices:data/read/search", "indices:data/read/get", *_WRITE,
                                   "indices:data/write/delete")),
        ),
    }  # fmt: skip


def same(wanted: Body, found: Mapping[str, Any]) -> bool:
    """Whether a role that is there allows what it is to allow, and nothing else."""
    return _allowed(wanted) == _allowed(found)


def _role(
    description: str,
    cluster: tuple[str, ...],
    *granted: tuple[tuple[str, ...], tuple[str, ...]],
) -> Body:
    return {
        "description": description,
        "cluster_permissions": list(cluster),
        "index_permissions": [
            {
                # A name between slashes is a regular expression.
                "index_patterns": [
                    name if name.startswith("/") else indices.searched(name) for name in names
                ],
                "allowed_actions": list(actions),
            }
            for names, actions in granted
        ],
    }


def _allowed(role: Mapping[str, Any]) -> tuple[Any, ...]:
    """What matters of a role, in no order. Restrictions (`dls`, `fls`) are not ours, and differ."""
    granted = {
        (
            frozenset(entry["index_patterns"]),
            frozenset(entry["allowed_actions"]),
            *(str(entry.get(name) or "") for name in ("dls", "fls", "masked_fields")),
        )
        for entry in role.get("index_permissions", ())
    }
    tenants = [str(one) for one in role.get("tenant_permissions", ())]
    return frozenset(role.get("cluster_permissions", ())), frozenset(granted), tuple(tenants)
