"""One id: the event, the findings that rest on it and the changes it is a leg of. Links lead here.

Findings, changes and events are listed here once; the other dashboards show the same listings.
"""

from __future__ import annotations

from typing import Final

from dashboards.panels import Dashboard, Listing, Row, Where
from dashboards.patterns import CHANGES, EVENTS, FINDINGS
from schemas.vocabulary import FindingStatus

OPEN_FINDINGS: Final[Where] = {"auditstream.status": FindingStatus.OPEN.value}
OPEN_CHANGES: Final[Where] = {"status": FindingStatus.OPEN.value}
"""The settled view: what was superseded or withdrawn is history."""

FINDINGS_OPEN: Final = Listing(
    "findings-open",
    "Open findings",
    "The settled view, latest first. The id leads to its evidence. Open a row for what to do.",
    FINDINGS,
    (
        "severity", "finding_info.analytic.uid", "message", "auditstream.cluster",
        "auditstream.actor", "auditstream.address", "count", "metadata.uid",
    ),
    OPEN_FINDINGS,
)  # fmt: skip
TIMELINE: Final = Listing(
    "timeline",
    "Timeline",
    "Every event, latest first. The id leads to the findings and changes it is evidence of; open a "
    "row for the record as it was said.",
    EVENTS,
    (
        "message", "actor.user.uid", "auditstream.actor_kind", "src_endpoint.ip",
        "auditstream.outcome", "auditstream.cluster", "auditstream.session", "metadata.uid",
    ),
)  # fmt: skip
CHANGES_TOLD: Final = Listing(
    "changes",
    "Changes",
    "Administrative deeds from what to what, each once. The legs are the events that tell of it.",
    CHANGES,
    (
        "actor", "address", "kind", "action", "target", "item", "before", "after", "outcome",
        "confidence", "cluster", "id",
    ),
    OPEN_CHANGES,
)  # fmt: skip

EVIDENCE: Final = Dashboard(
    "evidence",
    "auditstream · evidence",
    "All that names one id. An id in any table leads here.",
    since="now-24h",
    refresh_s=0,
    rows=(
        Row(
            12,
            (
                Listing(
                    "evidence-findings",
                    "Findings with this id, or that rest on this event",
                    "Findings as they are now, with the ids of the events they rest on (the first "
                    "1,000): each leads to its event.",
                    FINDINGS,
                    (
                        "severity", "finding_info.analytic.uid", "message", "auditstream.status",
                        "metadata.uid", "auditstream.supersedes", "auditstream.evidence",
                    ),
                ),
            ),
        ),
        Row(
            12,
            (
                Listing(
                    "evidence-changes",
                    "Changes with this id, or that this event is a leg of",
                    "Changes as they are now, with the ids of the events that tell of them.",
                    CHANGES,
                    (
                        "actor", "kind", "action", "target", "outcome", "missing", "status", "id",
                        "legs",
                    ),
                ),
            ),
        ),
        Row(16, (TIMELINE,)),
    ),
)  # fmt: skip
