"""SOC: what is wrong now, and is it real?"""

from __future__ import annotations

from typing import Final

from dashboards.evidence import FINDINGS_OPEN, OPEN_CHANGES, OPEN_FINDINGS
from dashboards.panels import ANY, TIMES, Chart, Dashboard, Metric, Row, Terms, Times, Where
from dashboards.patterns import CHANGES, DELAY, EVENTS, FINDINGS
from schemas.vocabulary import AUTHENTICATION, Outcome, Severity

_FINDINGS: Final = Metric("count", "Findings")
_SEVERITY: Final = Terms("severity", "Severity", 5)
_CLUSTER: Final = Terms("auditstream.cluster", "Cluster")

_GRAVE: Final[Where] = {**OPEN_FINDINGS, "severity_id": (Severity.HIGH, Severity.CRITICAL)}
_FAILED: Final[Where] = {
    "class_uid": AUTHENTICATION,
    "auditstream.outcome": Outcome.FAILURE.value,
}
_DENIED: Final[Where] = {"actor.authorizations.decision": "Denied"}

_NOW: Final = (
    Chart(
        "findings-grave",
        "High and critical findings",
        "Open findings that somebody should look at now.",
        FINDINGS,
        "metric",
        (_FINDINGS,),
        where=_GRAVE,
    ),
    Chart(
        "findings-by-severity",
        "Findings by severity",
        "Open findings.",
        FINDINGS,
        "pie",
        (_FINDINGS,),
        (_SEVERITY,),
        OPEN_FINDINGS,
    ),
    Chart(
        "findings-by-detector",
        "Findings by detector",
        "Open findings. `auditstream detectors NAME` tells what is found, and what to do.",
        FINDINGS,
        "table",
        (_FINDINGS, Metric("max", "Latest", "time")),
        (Terms("finding_info.analytic.uid", "Detector", 25), _SEVERITY),
        OPEN_FINDINGS,
    ),
)
_FLOW: Final = (
    Chart(
        "findings-over-time",
        "Findings over time",
        "Open findings, by the time of their latest evidence.",
        FINDINGS,
        "bars",
        (_FINDINGS,),
        (Times(), _SEVERITY),
        OPEN_FINDINGS,
    ),
    Chart(
        "changes-over-time",
        "Changes over time",
        "Administrative deeds, each once, however many records tell of it.",
        CHANGES,
        "bars",
        (Metric("count", "Changes"),),
        (Times(), Terms("kind", "Kind")),
        OPEN_CHANGES,
    ),
)
_FAILURES: Final = (
    Chart(
        "failures-over-time",
        "Authentication failures over time",
        "Failed logins, by cluster. Apache Kafka never logs who tried.",
        EVENTS,
        "bars",
        (TIMES,),
        (Times(), _CLUSTER),
        _FAILED,
    ),
    Chart(
        "failures-by-address",
        "Authentication failures by address",
        "Where failed logins come from.",
        EVENTS,
        "table",
        (TIMES, Metric("min", "First", "time"), Metric("max", "Latest", "time")),
        (Terms("src_endpoint.ip", "Address", 25),),
        _FAILED,
    ),
)
_DENIALS: Final = (
    Chart(
        "denials-over-time",
        "Denials over time",
        "Decisions against a principal, by cluster.",
        EVENTS,
        "bars",
        (TIMES,),
        (Times(), _CLUSTER),
        _DENIED,
    ),
    Chart(
        "denials-by-actor",
        "Denials by actor",
        "Who was denied what, and on how many things.",
        EVENTS,
        "table",
        (TIMES, Metric("cardinality", "Resources", "resources.name")),
        (
            Terms("actor.user.uid", "Actor", 25, missing="nobody is named"),
            Terms("api.operation", "Operation", 5, missing="none is named"),
        ),
        _DENIED,
    ),
)
_DELAYS: Final = (
    Chart(
        "delay",
        "Delay from event to Kafka",
        "Of half of the events, and of 95 of 100, Kafka had the record no later than so many "
        "milliseconds after they happened.",
        EVENTS,
        "lines",
        (Metric("percentiles", "Milliseconds", DELAY.name),),
        (Times(),),
        {"auditstream.carriage.received": ANY},
    ),
    Chart(
        "late",
        "Events that came in time, and too late",
        "True: it came after what it belongs to was forgotten. It is indexed, and no detector "
        "looked at it.",
        EVENTS,
        "table",
        (Metric("count", "Events"), Metric("max", "Latest", "time")),
        (Terms("metadata.log_name", "Source", 25), Terms("auditstream.carriage.late", "Late", 2)),
    ),
)

SOC: Final = Dashboard(
    "soc",
    "auditstream · SOC",
    "What is wrong now: findings, what is under them, and how late events come.",
    since="now-24h",
    refresh_s=60,
    rows=(
        Row(10, _NOW),
        Row(14, (FINDINGS_OPEN,)),
        Row(12, _FLOW),
        Row(12, _FAILURES),
        Row(12, _DENIALS),
        Row(12, _DELAYS),
    ),
)
