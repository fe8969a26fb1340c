"""Auditor: what was kept of this period, for how long, and is it all there?"""

from __future__ import annotations

from typing import Final

from dashboards.panels import Chart, Dashboard, Listing, Metric, Row, Terms, Times
from dashboards.patterns import (
    ACCOUNTS,
    DEAD_LETTERS,
    EVENTS,
    RETENTION_LEFT,
    UNDATED_EVENTS,
    UNDATED_LETTERS,
)
from pipeline.retention.holds import HOLD
from pipeline.retention.records import RETENTION

_EVENTS: Final = Metric("count", "Events")
_LETTERS: Final = Metric("count", "Dead letters")
_OLDEST: Final = Metric("min", "Oldest", "time")
_NEWEST: Final = Metric("max", "Newest", "time")
_SOURCE: Final = Terms("metadata.log_name", "Source", 50)

_VOLUME: Final = (
    Chart(
        "volume",
        "Events by source and day",
        "A day without a source is a question to whoever runs it.",
        EVENTS,
        "bars",
        (_EVENTS,),
        (Times("d"), _SOURCE),
    ),
    Chart(
        "sources",
        "Sources",
        "How many events each source has in the period, from how many hosts, and which are its "
        "first and last.",
        EVENTS,
        "table",
        (_EVENTS, Metric("cardinality", "Hosts", "auditstream.host"), _OLDEST, _NEWEST),
        (Terms("auditstream.cluster", "Cluster", 50), _SOURCE),
    ),
)
_KEPT: Final = (
    Chart(
        "retention",
        "Retention classes, and days left",
        "Days until the oldest and the newest event of a class are kept no longer, by the "
        "configuration this was exported with. A month goes as a whole, later by up to its length.",
        EVENTS,
        "table",
        (
            _EVENTS,
            _OLDEST,
            Metric("min", "Days left, oldest", RETENTION_LEFT),
            Metric("max", "Days left, newest", RETENTION_LEFT),
        ),
        (Terms("auditstream.retention", "Retention class", 50),),
    ),
    Chart(
        "classes",
        "Classes of events",
        "By OCSF class.",
        EVENTS,
        "pie",
        (_EVENTS,),
        (Terms("class_name", "Class", 20),),
    ),
)
_HOLDS: Final = Listing(
    "holds",
    "Holds, and what retention removed",
    "Holds as they were put and released, with reason and owner, and each removal with its period "
    "and policy.",
    EVENTS,
    ("message", "api.operation", "actor.user.uid", "metadata.uid"),
    {"metadata.log_name": (HOLD, RETENTION)},
)
_UNREAD: Final = (
    Chart(
        "dead-letters",
        "Dead letters by reason",
        "Records that could not be read: kept, and none silently dropped.",
        DEAD_LETTERS,
        "table",
        (_LETTERS, _NEWEST),
        (Terms("reason", "Reason", 20), Terms("source", "Source", 5)),
    ),
    Chart(
        "dead-letters-undated",
        "Dead letters without a time",
        "No period shows them: nobody could read when they were. Whatever the period is.",
        UNDATED_LETTERS,
        "metric",
        (_LETTERS,),
    ),
    Chart(
        "events-undated",
        "Events without a time",
        "No period shows them: nobody can have meant the time that they state. Whatever the "
        "period is.",
        UNDATED_EVENTS,
        "metric",
        (_EVENTS,),
    ),
)
_COMPLETE: Final = Chart(
    "completeness",
    "Completeness, by raw topic and partition",
    "What every record read became, over all time: items are events, filtered items and dead "
    "letters. Lost has to be 0. Whether positions lead from one to the next without a gap, "
    "`auditstream reconcile` says.",
    ACCOUNTS,
    "table",
    (
        Metric("sum", "Records", "records"),
        Metric("sum", "Items", "items"),
        Metric("sum", "Events", "events"),
        Metric("sum", "Redelivered", "redelivered"),
        Metric("sum", "Lost", "lost"),
        Metric("min", "From position", "start"),
        Metric("max", "To position", "end"),
    ),
    (Terms("topic", "Topic", 100), Terms("partition", "Partition", 1_000)),
)

AUDITOR: Final = Dashboard(
    "auditor",
    "auditstream · auditor",
    "What was kept, for how long, and whether it is all there.",
    since="now-90d",
    refresh_s=0,
    rows=(
        Row(14, _VOLUME),
        Row(12, _KEPT),
        Row(10, _UNREAD),
        Row(12, (_COMPLETE,)),
        Row(12, (_HOLDS,)),
    ),
)
