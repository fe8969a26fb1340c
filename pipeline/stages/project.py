"""Project: facts to the OCSF 1.8.0 document that leaves, as JSON bytes.

One document, one shape, whatever the source: the columns stand where ``path`` in
``audit_event.avsc`` says (a test holds the two together), a source's own additions beside them.
This runs for every event; what is written out at length was measured against loops.

``metadata.profiles`` stays away unless a source adds it: 6003 and 3002 have ``actor`` of their own,
and naming ``cloud``, which brings ``api`` to 3002, would demand a cloud that no broker is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from pipeline.batch import Fact
from schemas.ocsf import UNKNOWN, user
from schemas.types import Event
from schemas.vocabulary import (
    ACCOUNT_CHANGE,
    API_ACTIVITY,
    AUTHENTICATION,
    AUTHORIZE_SESSION,
    CLASS_NAMES,
    ENTITY_MANAGEMENT,
    GROUP_MANAGEMENT,
    OCSF_VERSION,
    OTHER_ACTIVITY,
    OUTCOME_STATUS,
    Severity,
)  # fmt: skip

_SERVICE: Final = {"name": "kafka"}
_SEVERITY: Final = Severity.INFORMATIONAL
_NAMES_AN_ENDPOINT: Final = ("ip", "name", "hostname", "uid")
_OF_A_USER: Final = (AUTHENTICATION, AUTHORIZE_SESSION)
_SUBJECTS: Final = {ENTITY_MANAGEMENT: "entity", ACCOUNT_CHANGE: "user", GROUP_MANAGEMENT: "group"}
"""Where classes without ``resources`` state what they are about (``instead`` in the schema)."""


def document(
    fact: Fact, product: Mapping[str, str], logged: int | None, received: int = 0
) -> dict[str, Any]:
    """The OCSF document of a fact whose columns are complete.

    Args:
        product: OCSF ``product`` of the source.
        logged: when the carrier wrote the record down, epoch milliseconds, or None.
        received: when Kafka was given it, epoch milliseconds; not above 0: nobody says.
    """
    event, extra = fact.event, fact.document
    class_uid, activity_id, operation = event.class_uid, event.activity_id, event.operation
    status_id, status = OUTCOME_STATUS[event.outcome]
    out: dict[str, Any] = {
        "metadata": _metadata(fact, product, logged),
        "time": event.time,
        "class_uid": class_uid,
        "class_name": CLASS_NAMES[class_uid],
        "category_uid": class_uid // 1000,
        "activity_id": activity_id,
        "type_uid": class_uid * 100 + activity_id,
        "severity_id": _SEVERITY,
        "status_id": status_id,
        "status": status,
        "message": event.message,
    }
    if activity_id == OTHER_ACTIVITY:
        out["activity_name"] = operation
    if "api" not in extra and (operation or class_uid == API_ACTIVITY):
        out["api"] = {"operation": operation, "service": _SERVICE}
    subject = _SUBJECTS.get(class_uid)
    if subject is not None:
        out[subject] = {"name": event.resource, "type": event.resource_type}
    elif "resources" not in extra and (event.resource or event.resource_type):
        out["resources"] = [{"name": event.resource, "type": event.resource_type}]
    if event.address and "src_endpoint" not in extra:
        out["src_endpoint"] = {"ip": event.address}
    _say_who(out, event, extra)
    if extra:
        _add(out, extra, subject)
    if class_uid == AUTHORIZE_SESSION and "group" not in out:
        # OCSF demands one of the two, also of a session that nobody says the rights of.
        out.setdefault("privileges", [])
    if not event.address:
        _name_endpoint(out)
    out["auditstream"] = extension(event, fact.extension)
    if received > 0:
        out["auditstream"]["carriage"]["received"] = received
    return out


def _say_who(out: dict[str, Any], event: Event, extra: Mapping[str, Any]) -> None:
    """State the actor, and the user where that is the same, but for what a source says itself."""
    acting = extra.get("actor", {})
    if "user" not in acting:
        acting = {"user": user(event.actor), **acting}
    out["actor"] = acting
    if event.class_uid in _OF_A_USER and "user" not in extra:
        out["user"] = user(event.actor)


def _add(out: dict[str, Any], extra: Mapping[str, Any], subject: str | None) -> None:
    """What a source states beside the columns. Of some objects it states a part."""
    metadata, acting = out["metadata"], out["actor"]
    about = out.get(subject, {}) if subject is not None else {}
    out |= extra
    out["actor"] = acting
    if "metadata" in extra:
        out["metadata"] = metadata | extra["metadata"]
    if subject is not None and subject in extra:
        out[subject] = about | extra[subject]


def _name_endpoint(out: dict[str, Any]) -> None:
    """A source without an address: 6003 demands one all the same, and OCSF that it has a name."""
    said = out.get("src_endpoint", {} if out["class_uid"] == API_ACTIVITY else None)
    if said is not None and not any(said.get(name) for name in _NAMES_AN_ENDPOINT):
        out["src_endpoint"] = {**said, **UNKNOWN}


def _metadata(fact: Fact, product: Mapping[str, str], logged: int | None) -> dict[str, Any]:
    out: dict[str, Any] = {
        "version": OCSF_VERSION,
        "uid": fact.event.id.hex(),
        "product": product,
        "log_name": fact.event.source,
    }
    if fact.stamp:
        out["original_time"] = fact.stamp
    if fact.uid:
        out["original_event_uid"] = fact.uid
    if logged is not None:
        out["logged_time"] = logged
    return out


def extension(event: Event, said: Mapping[str, Any]) -> dict[str, Any]:
    """The extension object ``auditstream``: what OCSF core has no word for."""
    carriage = event.carriage
    out: dict[str, Any] = {
        "outcome": event.outcome,
        "actor_kind": event.actor_kind,
        "access_path": event.access_path,
        "cluster": event.cluster,
        "host": event.host,
        "time_precision": event.time_precision,
        "weight": event.weight,
        "suspect": event.suspect,
        "retention": event.retention,
        "blind_spots": event.blind_spots,
        "carriage": {
            "carrier": carriage.carrier, "position": carriage.position, "late": carriage.late,
        },
    }  # fmt: skip
    if event.pattern_type:
        out["pattern_type"] = event.pattern_type
    if event.rule:
        out["rule"] = event.rule
    if event.session:
        out["session"] = event.session
    if event.ticket:
        out["ticket"] = event.ticket
    if event.leg:
        out["leg"] = event.leg
    if event.forgery:
        out["forgery"] = event.forgery
    if said:
        out |= said
    return out


def project(fact: Fact, product: Mapping[str, str], logged: int | None, received: int = 0) -> None:
    """Write ``fact.event.ocsf``."""
    # Copied: what orjson returns keeps its working buffer of 8 KiB for as long as it lives, and a
    # batch of those costs more in page faults than everything else here (6.6 times the memory).
    fact.event.ocsf = b"%b" % orjson.dumps(document(fact, product, logged, received))
