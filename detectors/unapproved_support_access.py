"""A provider was in the estate, and no approval covers it.

Support activity is whatever a provider's principal does, or anybody from a provider's network, in
whatever log it shows, and what support records tell. Each deed is held against the approvals of
its session: who, when, on what, how, for which ticket, and never record payloads without leave.
"""

from collections.abc import Iterator

from pydantic import Field

from detectors import contract as c
from detectors import support_access
from schemas.support import Picture


class SupportSettings(c.EstateSettings):
    """Numbers of this detector."""

    data_buckets: tuple[str, ...] = Field(
        ("*",), description="Buckets whose objects are record payloads; * for anything."
    )


def _judge(picture: Picture, settings: SupportSettings) -> Iterator[c.Judgement]:
    return support_access.judge(picture, settings.data_buckets)


DETECTOR = c.EstateDetector(
    name="unapproved_support_access",
    title="Provider access that no approval covers",
    documentation=__doc__,
    judge=_judge,
    settings=SupportSettings,
    attacks=(
        c.Attack("T1199", "Trusted Relationship", "TA0001", "Initial Access"),
        c.Attack("T1078", "Valid Accounts", "TA0001", "Initial Access"),
    ),
    triage=(
        "What was touched? `auditstream timeline --actor` shows it in order, across all logs.",
        "Ask whoever owns the estate's approvals, not the provider, whether it was agreed to.",
        "Is the session still open? Have it ended, and the credential turned off, first.",
        "Were payloads read? Then it is a disclosure: tell the owner of the data.",
        "Where it was agreed but not recorded, send the record: the finding withdraws itself.",
    ),
    false_positives=(
        "Records of the ticket system that come late: the finding goes as they come.",
        "A provider's automation outside any maintenance window that was announced.",
    ),
    blind_spots=(
        "A provider's principal that no [[principals]] entry names, in logs without a session.",
        "Logs that show no data reads: Kafka's authorizer at INFO, CloudTrail without data events.",
        "Which person used a shared principal is known from support records alone.",
        "Records without a time are not held against windows.",
    ),
)
