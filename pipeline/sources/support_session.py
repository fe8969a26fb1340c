"""Support session records: who asked for, allowed and had access, as a ticket system, a bastion or
a person states it.

One JSON object a line, ``schemas/support_session.schema.json``, version 1; docs/support-sessions.md
is for whoever writes the export. Event: 3003 Authorize Session, for an action 6003. Fields that the
format does not name are kept under ``unmapped``. A record that does not fit becomes a dead letter
that names every field to mend and none of their texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.batch import Fact, Line, Reading, Source, each
from pipeline.errors import Reason, Unreadable
from pipeline.support.kept import FREE, cleaned, states_twice, unmapped
from pipeline.support.mending import read
from pipeline.support.records import ACCESSING
from pipeline.support.statement import Statement
from pipeline.support.wording import privilege, sentence
from schemas.ocsf import user
from schemas.support import KINDS
from schemas.types import Event
from schemas.vocabulary import (
    API_ACTIVITY,
    AUTHORIZE_SESSION,
    OTHER_ACTIVITY,
    AccessPath,
    BlindSpot,
    Outcome,
)

_KEY = re.compile(r'"(v|kind|estate)"\s*+:')
_OURS = {"v", "kind", "estate"}
_ASSIGN_PRIVILEGES = 1
_UNKNOWN_ACTIVITY = 0
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_VERBS = {
    verb: number
    for number, verbs in enumerate((
        ("create", "add"),
        ("read", "fetch", "consume", "get", "head", "list", "describe", "select", "view",
         "download"),
        ("update", "write", "produce", "put", "alter", "set", "modify", "change", "incremental",
         "idempotent"),
        ("delete", "remove", "drop", "purge"),
    ), start=1)
    for verb in verbs
}  # fmt: skip
"""OCSF activity of an operation, by its first word."""


def _recognise(text: str) -> bool:
    """A record of this format, also one with mistakes in it. One that was cut has all its keys."""
    if '"estate"' not in text and not ('"v"' in text and '"kind"' in text):
        return False
    if text.lstrip("\ufeff \t")[:1] != "{" or len(found := set(_KEY.findall(text))) < 2:
        return False
    try:
        document = orjson.loads(text.lstrip("\ufeff"))
    except orjson.JSONDecodeError:
        return found == _OURS
    return _claims(document)


def _claims(document: Mapping[str, Any]) -> bool:
    named = _OURS & document.keys()
    return len(named) == 3 or (len(named) == 2 and document.get("kind", KINDS[0]) in KINDS)


def _read(line: Line, reading: Reading) -> Fact:
    document = _parse(line.message)
    said = read(document)
    if isinstance(said, str):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, said)
    kept = cleaned(document)
    if kept != document:
        line.raw = orjson.dumps(kept)
    event = _event(said, line)
    support = said.model_dump(by_alias=True, exclude_unset=True, exclude={"v", "time"})
    support |= {name: kept[name] for name in FREE if name in kept}
    fact = Fact(event, document["time"], said.id, (said.estate, said.id))
    fact.extension["support"] = support
    if said.kind in ACCESSING:
        _endpoint(fact, said, reading)
    (_act if said.kind == "action" else _authorise)(fact, said)
    if extra := unmapped(kept):
        fact.document["unmapped"] = extra
    event.message = sentence(said, document)
    return fact


def _parse(text: str) -> dict[str, Any]:
    text = text.lstrip("\ufeff")
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()):
            raise Unreadable(Reason.TORN, "the JSON object does not end on its line") from None
        detail = f"no JSON from character {error.pos + 1} on: one object a line was expected"
        raise Unreadable(Reason.UNKNOWN_LAYOUT, detail) from None
    if not isinstance(document, dict):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "a JSON object was expected")
    if states_twice(text, document):
        raise Unreadable(Reason.AMBIGUOUS, "a field is stated twice: state each once")
    return document


def _event(said: Statement, line: Line) -> Event:
    event = Event(said.time, AUTHORIZE_SESSION, OTHER_ACTIVITY, Outcome.SUCCESS.value, SOURCE.name)
    event.suspect, event.forgery = line.suspect, line.forgery
    event.session, event.ticket, event.operation = said.session, said.ticket, said.kind
    event.access_path = AccessPath.SUPPORT.value
    if said.kind in ACCESSING:
        event.actor = said.principal
        if "actor_kind" in said.model_fields_set:
            event.actor_kind = said.actor_kind
    else:
        event.actor = said.approved_by
    if not event.actor:
        event.blind_spots = (BlindSpot.NO_PRINCIPAL.value,)
    return event


def _endpoint(fact: Fact, said: Statement, reading: Reading) -> None:
    """Where the access is from: an address if one is stated, else networks or names as written."""
    found = [at for text in said.addresses if (at := reading.address(text))]
    if found:
        fact.event.address = found[0]
    elif said.addresses:
        fact.document["src_endpoint"] = {"name": ", ".join(said.addresses)}


def _act(fact: Fact, said: Statement) -> None:
    done, event = said.action, fact.event
    event.class_uid = API_ACTIVITY
    verb = _WORD.search(done.operation.rpartition(":")[2])
    known = _VERBS.get(verb[0].lower()) if verb else None
    event.activity_id = known or (OTHER_ACTIVITY if done.operation else _UNKNOWN_ACTIVITY)
    event.operation, event.outcome = done.operation, done.outcome
    event.resource_type, event.resource = done.resource_type, done.resource
    # Not Kafka's API alone: whose it is the record does not say.
    fact.document["api"] = {"operation": done.operation}
    fact.document["actor"] = {"session": {"uid": said.session}}


def _authorise(fact: Fact, said: Statement) -> None:
    if said.kind == "approval":
        fact.event.activity_id = _ASSIGN_PRIVILEGES
    elif said.kind == "denial":
        fact.event.outcome = Outcome.FAILURE.value
    for_whom = said.approved_for if said.kind == "approval" else ""
    who = for_whom or said.principal or said.approved_for or said.person
    fact.document["user"] = user(who)
    fact.document["privileges"] = [privilege(entry) for entry in said.scope]
    fact.document["api"] = {"operation": said.kind}
    if not said.session:
        return
    session: dict[str, Any] = {"uid": said.session}
    if said.kind == "approval":
        session["issuer"] = said.approved_by
    if said.kind in ("session_opened", "break_glass"):
        session["created_time"] = said.time
    if "window" in said.model_fields_set:
        session["expiration_time"] = said.window.end
    fact.document["session"] = session


SOURCE = Source(
    name="support_session",
    title="Support session records: requests, approvals, sessions, break-glass, reviews",
    documentation=__doc__,
    product={"name": "Support session records", "vendor_name": "auditstream"},
    read=each(_read),
    recognise=_recognise,
    claims=_claims,
    dated=lambda text: '"time"' in text,
    bears_secrets=True,
    shapes=(*KINDS, "unmapped", "free_text", "unreadable"),
    blind_spots=(
        "What people state of themselves: that it is so, no record proves.",
        "A record corrected under its own id and time is a duplicate; the first one stays.",
        "A misspelt optional field (payloadAccess) is kept under unmapped and means nothing.",
    ),
)
