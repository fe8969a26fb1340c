"""Incident responder: who did what, from where, to which data, in what order?"""

from __future__ import annotations

from typing import Final

from dashboards.evidence import CHANGES_TOLD, TIMELINE
from dashboards.panels import ANY, TIMES, Chart, Dashboard, Metric, Row, Terms, Times
from dashboards.patterns import EVENTS

_FIRST: Final = Metric("min", "First", "time")
_LATEST: Final = Metric("max", "Latest", "time")
_ADDRESSES: Final = Metric("cardinality", "Addresses", "src_endpoint.ip")
_ACTORS: Final = Metric("cardinality", "Actors", "actor.user.uid")

_WHO: Final = (
    Chart(
        "actors",
        "Actors",
        "Who did anything, of which kind, from how many addresses.",
        EVENTS,
        "table",
        (TIMES, _ADDRESSES, _FIRST, _LATEST),
        (
            Terms("actor.user.uid", "Actor", 50, missing="nobody is named"),
            Terms("auditstream.actor_kind", "Kind", 3),
        ),
    ),
    Chart(
        "addresses",
        "Addresses",
        "From where, and as how many.",
        EVENTS,
        "table",
        (TIMES, _ACTORS, _FIRST, _LATEST),
        (Terms("src_endpoint.ip", "Address", 50),),
    ),
)
_WHAT: Final = (
    Chart(
        "resources",
        "Resources used",
        "What decisions and calls were about, and by how many.",
        EVENTS,
        "table",
        (TIMES, _ACTORS, _LATEST),
        (
            Terms("resources.name", "Resource", 50),
            Terms("resources.type", "Type", 3),
            Terms("auditstream.outcome", "Outcome", 3),
        ),
    ),
    Chart(
        "entities",
        "Resources changed",
        "What was made, altered or removed, with every record that tells of it.",
        EVENTS,
        "table",
        (TIMES, _ACTORS, _LATEST),
        (
            Terms("entity.name", "Resource", 50),
            Terms("entity.type", "Type", 3),
            Terms("auditstream.outcome", "Outcome", 3),
        ),
    ),
)
_HOW: Final = (
    Chart(
        "sessions",
        "Support sessions",
        "Sessions of a provider's people, with the ticket they rest on.",
        EVENTS,
        "table",
        (TIMES, _FIRST, _LATEST),
        (
            Terms("auditstream.session", "Session", 50),
            Terms("auditstream.ticket", "Ticket", 5, missing="none"),
            Terms("auditstream.provider", "Provider", 3, missing="none is configured"),
        ),
        {"auditstream.session": ANY},
    ),
    Chart(
        "access-paths",
        "Ways in, over time",
        "Data, control and support path.",
        EVENTS,
        "bars",
        (TIMES,),
        (Times(), Terms("auditstream.access_path", "Access path", 3)),
    ),
)

RESPONDER: Final = Dashboard(
    "responder",
    "auditstream · responder",
    "Who did what, from where, to what, in what order. Ask above for an actor, an address or a "
    'resource; `words:payments` finds a word, actor.user.uid:"User:alice" a principal.',
    since="now-7d",
    refresh_s=0,
    rows=(
        Row(14, _WHO),
        Row(14, _WHAT),
        Row(12, _HOW),
        Row(12, (CHANGES_TOLD,)),
        Row(20, (TIMELINE,)),
    ),
)
