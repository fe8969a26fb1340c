"""Project: facts to the OCSF 1.8.0 document that leaves, as JSON bytes.

One document, one shape, whatever the source: the columns stand where ``path`` in
``audit_event.avsc`` says (a test holds the two together), a source's own additions beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.batch import Fact
from schemas.types import Event
from schemas.vocabulary import (
    AUTHENTICATION, CLASS_NAMES, OCSF_VERSION, OUTCOME_STATUS, Outcome, Severity,
)  # fmt: skip

_UNKNOWN_USER = {"name": "Unknown", "type_id": 0}
_SERVICE = {"name": "kafka"}


def user(actor: str) -> dict[str, Any]:
    """OCSF ``user`` of a principal: ``User:alice`` is uid, ``alice`` the name."""
    if not actor:
        return _UNKNOWN_USER
    kind, found, name = actor.partition(":")
    return {"uid": actor, "name": name if found and name else kind or actor, "type_id": 1}


def document(fact: Fact, product: Mapping[str, str], logged: int | None) -> dict[str, Any]:
    """The OCSF document of a fact whose columns are complete."""
    event = fact.event
    status_id, status = OUTCOME_STATUS[Outcome(event.outcome)]
    metadata: dict[str, Any] = {
        "version": OCSF_VERSION,
        "uid": event.id.hex(),
        "product": product,
        "log_name": event.source,
    }
    if fact.stamp:
        metadata["original_time"] = fact.stamp
    if fact.uid:
        metadata["original_event_uid"] = fact.uid
    if logged is not None:
        metadata["logged_time"] = logged
    extra = fact.document
    out: dict[str, Any] = {
        "metadata": metadata,
        "time": event.time,
        "class_uid": event.class_uid,
        "class_name": CLASS_NAMES[event.class_uid],
        "category_uid": event.class_uid // 1000,
        "activity_id": event.activity_id,
        "type_uid": event.class_uid * 100 + event.activity_id,
        "severity_id": Severity.INFORMATIONAL,
        "status_id": status_id,
        "status": status,
        "message": event.message,
        "actor": {"user": user(event.actor), **extra.get("actor", {})},
    }
    if event.activity_id == 99:
        out["activity_name"] = event.operation
    if event.class_uid == AUTHENTICATION:
        out["user"] = out["actor"]["user"]
    if event.operation:
        out["api"] = {"operation": event.operation, "service": _SERVICE}
    if event.resource_type or event.resource:
        out["resources"] = [{"name": event.resource, "type": event.resource_type}]
    if event.address:
        out["src_endpoint"] = {"ip": event.address}
    for name, value in extra.items():
        if name != "actor":
            out[name] = value
    out["auditstream"] = extension(event, fact.extension)
    return out


def extension(event: Event, said: Mapping[str, Any]) -> dict[str, Any]:
    """The extension object ``auditstream``: what OCSF core has no word for."""
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
    }
    for name in ("pattern_type", "rule", "session", "ticket", "leg", "forgery"):
        value = getattr(event, name)
        if value:
            out[name] = value
    out.update(said)
    carriage = event.carriage
    out["carriage"] = {"carrier": carriage.carrier, "position": carriage.position}
    if carriage.late:
        out["carriage"]["late"] = True
    return out


def project(fact: Fact, product: Mapping[str, str], logged: int | None) -> None:
    """Write ``fact.event.ocsf``."""
    fact.event.ocsf = orjson.dumps(document(fact, product, logged))
