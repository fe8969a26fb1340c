"""What a support session record says, in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pipeline.support.statement import Permission, Statement

_MOST_TOLD: Final = 3
_ENDS: Final[Mapping[str, str]] = {"success": "", "failure": ", which failed"}


def sentence(said: Statement, document: Mapping[str, Any]) -> str:
    """One sentence for a person. ``document``: the record, for its times as they are written."""
    text = _WORDS[said.kind](said)
    if said.kind in _WITH_TERMS:
        text += _scope(said)
        if window := document.get("window"):
            text += f" from {window['from']} to {window['to']}"
        if said.payload_access:
            text += ", record payloads included"
    return f"{said.ticket}: {text}" if said.ticket else text


def privilege(entry: Permission) -> str:
    """One entry of a scope in words: ``READ, DESCRIBE on topic payments.*``."""
    operations = ", ".join(entry.operations) or "nothing"
    on = thing(entry.resource_type, entry.resource)
    return f"{operations} on {on}" if "operations" in entry.model_fields_set else on


def thing(kind: str, name: str) -> str:
    """A resource, or a pattern of them, in words."""
    if kind == "*":
        return "anything" if name == "*" else f"anything called {name}"
    return f"any {kind}" if name == "*" and kind else f"{kind} {name}".strip()


def _scope(said: Statement) -> str:
    if "scope" not in said.model_fields_set:
        return ""
    words = [privilege(entry) for entry in said.scope[:_MOST_TOLD]] or ["nothing"]
    if len(said.scope) > _MOST_TOLD:
        words.append(f"{len(said.scope) - _MOST_TOLD} more")
    return (" for " if said.kind == "approval" else ": ") + " and ".join(words)


def _who(said: Statement) -> str:
    return said.person or said.principal or said.approved_for or said.provider or "Somebody"


def _approval(said: Statement) -> str:
    who = said.approved_for or said.person or said.principal or said.approves
    return f"{who} was approved by {said.approved_by}"


def _decided(what: str, said: Statement) -> str:
    return f"{said.approves} was {what}" + (f" by {said.approved_by}" if said.approved_by else "")


def _action(said: Statement) -> str:
    done = said.action
    on = thing(done.resource_type, done.resource)
    text = f"{_who(said)} did {done.operation or 'something'}"
    text += (f" on {on}" if on else "") + f" in session {said.session}"
    text += ", reading record payloads" if done.payload else ""
    return text + _ENDS.get(done.outcome, ", whether it succeeded is not said")


def _maintenance(said: Statement) -> str:
    return f"{said.principal or said.provider or 'Provider automation'} may do maintenance"


_WITH_TERMS: Final = ("request", "approval", "break_glass", "maintenance_window")
_WORDS: Final[Mapping[str, Callable[[Statement], str]]] = {
    "request": lambda said: f"{_who(said)} asked for access",
    "approval": _approval,
    "denial": lambda said: _decided("denied", said),
    "session_opened": lambda said: f"{_who(said)} opened session {said.session}",
    "action": _action,
    "session_closed": lambda said: f"{_who(said)} closed session {said.session}",
    "revocation": lambda said: _decided("revoked", said),
    "break_glass": lambda said: f"{_who(said)} broke the glass in session {said.session}",
    "review": lambda said: _decided("reviewed", said),
    "maintenance_window": _maintenance,
}
