"""Pictures: what the store holds of each estate, as estate detectors look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.changes.join import joined
from pipeline.sinks.sqlite import SqliteStore
from pipeline.support.records import record
from schemas.changes import Change, Lifecycle
from schemas.support import Activity, Picture, SupportRecord
from schemas.vocabulary import (
    API_ACTIVITY,
    APPLICATION_LIFECYCLE,
    AUTHENTICATION,
    ENTITY_MANAGEMENT,
    Outcome,
)

_ACTIVITIES = {1: "Create", 2: "Read", 3: "Update", 4: "Delete"}
"""OCSF's, of API Activity and of Entity Management alike."""

_LOGINS = frozenset(("sts.amazonaws.com",))
"""Services whose calls are how one becomes somebody."""


@dataclass(slots=True)
class _Parts:
    changes: list[Change] = field(default_factory=list)
    lifecycle: list[Lifecycle] = field(default_factory=list)
    records: list[SupportRecord] = field(default_factory=list)
    activity: list[Activity] = field(default_factory=list)


def pictures(
    store: SqliteStore, estate_of: Callable[[str], str], newest: Mapping[str, int]
) -> dict[str, Picture]:
    """The picture of each estate, by name.

    Args:
        estate_of: the estate that a label, or what a support record calls its estate, is of.
        newest: by cluster, the time of its newest event.

    Raises:
        StoreError: the store cannot be read.
    """
    parts: dict[str, _Parts] = {}

    def of(label: str) -> _Parts:
        return parts.setdefault(estate_of(label), _Parts())

    for cluster, changes in joined(store.legs()):
        of(cluster).changes += changes
    for cluster, document in store.lifecycle():
        if life := lifecycle(cluster, orjson.loads(document)):
            of(cluster).lifecycle.append(life)
    for cluster, kind, resource, document in store.support():
        said = orjson.loads(document)
        if stated := record(said):
            of(said["auditstream"]["support"]["estate"]).records.append(stated)
        elif said["auditstream"]["time_precision"] != "unknown":
            of(cluster).activity.append(activity(cluster, kind, resource, said))
    latest: dict[str, int] = {}
    for cluster, at in newest.items():
        name = estate_of(cluster)
        latest[name] = max(at, latest.get(name, at))
    return {name: _picture(found, latest.get(name, 0)) for name, found in parts.items()}


def _picture(found: _Parts, newest: int) -> Picture:
    """In order: those of several clusters stand one behind the other."""
    return Picture(
        sorted(found.changes, key=lambda change: (change.time, change.id)),
        sorted(found.lifecycle, key=lambda line: (line.time, line.id)),
        sorted(found.records, key=lambda one: (one.time, one.event)),
        sorted(found.activity, key=lambda one: (one.time, one.event)),
        max([newest, *(one.time for one in found.records)]),
    )


def named(found: Mapping[str, Picture]) -> Iterator[str]:
    """Estates that support records name."""
    return (name for name, picture in found.items() if picture.records)


def activity(cluster: str, kind: str, resource: str, document: Mapping[str, Any]) -> Activity:
    """What the OCSF document of an event on the support path says was done.

    Args:
        kind, resource: type and name of the resource, as the event's columns have them.
    """
    said, class_uid = document["auditstream"], document["class_uid"]
    things: list[dict[str, Any]] = [*document.get("resources", ()), document.get("entity", {})]
    service = document.get("api", {}).get("service", {}).get("name", "")
    plain = class_uid in (API_ACTIVITY, ENTITY_MANAGEMENT)
    return Activity(
        event=document["metadata"]["uid"],
        time=document["time"],
        cluster=cluster,
        source=document["metadata"]["log_name"],
        actor=document["actor"]["user"].get("uid", ""),
        address=document.get("src_endpoint", {}).get("ip", ""),
        kind=said["actor_kind"],
        provider=said.get("provider", ""),
        operation=document.get("api", {}).get("operation", ""),
        request=said.get("request", ""),
        activity=_ACTIVITIES.get(document["activity_id"], "") if plain else "",
        resource_type=kind,
        resource=resource,
        uid=things[0].get("uid", ""),
        outcome=said["outcome"],
        login=class_uid == AUTHENTICATION or service in _LOGINS,
        suspect=said["suspect"],
    )


def lifecycle(cluster: str, document: Mapping[str, Any]) -> Lifecycle | None:
    """What the OCSF document of a 6002 event says of a broker's life.

    None where a client may have written it, where nobody knows when, and where it failed.
    """
    said = document["auditstream"]
    if document["class_uid"] != APPLICATION_LIFECYCLE or said["suspect"]:
        return None
    if said["time_precision"] == "unknown" or said["outcome"] == Outcome.FAILURE:
        return None
    stated = {**said.get("settings", {})}
    if "logger" in said:
        stated |= {"logger": said["logger"], "level": said.get("level")}
    return Lifecycle(
        id=document["metadata"]["uid"],
        time=document["time"],
        host=said["host"],
        kind=document.get("api", {}).get("operation", ""),
        settings={name: value for name, value in stated.items() if isinstance(value, str)},
        message=document["message"],
        cluster=cluster,
    )
