"""One sentence for a person, of each call that is no change with a deed of its own."""

from __future__ import annotations

from typing import Final

from pipeline.aws.identities import Identity
from schemas.types import Event
from schemas.vocabulary import AUTHENTICATION, Outcome

_DID: Final = {1: "created", 2: "read", 3: "changed", 4: "deleted"}


def refused(event: Event, service: str, who: str, code: str) -> str:
    """A call that failed. ``who``: the principal, or a word for him; ``code``: of the error."""
    on = f" on {event.resource}" if event.resource else ""
    return f"{who} failed to call {service}:{event.operation}{on}{f': {code}' if code else ''}"


def sentence(event: Event, service: str, who: Identity, code: str) -> str:
    """A call that changed nothing of what an account is guarded by."""
    name = event.actor or "Somebody"
    if event.class_uid == AUTHENTICATION and event.activity_id == 1:
        failed = event.outcome == Outcome.FAILURE
        return f"{name} {'failed to sign' if failed else 'signed'} in at {service}"
    if event.outcome == Outcome.FAILURE:
        return refused(event, service, name, code)
    if event.outcome == Outcome.UNKNOWN:
        return f"CloudTrail found unusual activity: {service}:{event.operation}"
    call = f"{service}:{event.operation}"
    through = f" through {who.invoked_by}" if who.invoked_by not in ("", event.actor) else ""
    verb = _DID.get(event.activity_id) if event.resource else None
    if verb is None:
        on = f" on {event.resource}" if event.resource else ""
        return f"{name} called {call}{on}{through}"
    return f"{name} {verb} {event.resource} ({call}){through}"
