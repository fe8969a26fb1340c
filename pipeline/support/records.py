"""Records: from events back to what estate detectors look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.aws.identities import identity
from schemas.support import Action, Scope, SupportRecord, Window
from schemas.vocabulary import ActorKind

ACCESSING: Final = ("request", "session_opened", "session_closed", "action", "break_glass")
"""Kinds of records whose actor is who accesses; of the others it is who decides, or nobody."""
_SAME: Final = (
    "session", "provider", "principal", "person", "approved_by", "approved_for", "approves",
    "ticket", "payload_access",
)  # fmt: skip
_NONE: Final = ("none",)
"""An empty list of operations allows nothing, and no operation is called so."""
_NOTHING: Final = (Scope("none", "", _NONE),)
"""An empty scope is for nothing; none at all may be for anything."""


def record(document: Mapping[str, Any]) -> SupportRecord | None:
    """What the OCSF document of an event states about support access, or None: nothing."""
    extension = document["auditstream"]
    said = extension.get("support")
    if said is None:
        return None
    kind = extension["actor_kind"] if said["kind"] in ACCESSING else ActorKind.UNKNOWN.value
    window, action = said.get("window"), said.get("action")
    return SupportRecord(
        event=document["metadata"]["uid"],
        time=document["time"],
        kind=said["kind"],
        id=said["id"],
        actor_kind=said.get("actor_kind", kind) if kind == ActorKind.UNKNOWN else kind,
        addresses=tuple(said.get("addresses", ())),
        window=Window(window["from"], window["to"]) if window else None,
        scope=_scope(said["scope"]) if "scope" in said else (),
        action=Action(**action) if action is not None else None,
        registered=said.get("registered", True) or _known(said.get("principal", "")),
        suspect=extension["suspect"],
        **{name: said[name] for name in _SAME if name in said},
    )


def _known(principal: str) -> bool:
    """Whether a cloud itself knows a principal as its provider's: its logs will say so."""
    return identity({"arn": principal}).is_support


def _scope(entries: list[Mapping[str, Any]]) -> tuple[Scope, ...]:
    return (
        tuple(
            Scope(s["resource_type"], s["resource"], tuple(s.get("operations", ())) or _nobody(s))
            for s in entries
        )
        or _NOTHING
    )


def _nobody(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return _NONE if "operations" in entry else ()
