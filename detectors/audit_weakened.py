"""The audit trail says less, is kept for less long, or binds fewer people than before.

Log levels of the authorizer's, the request and the controller's loggers lowered; super users, the
authorizer or what holds without an ACL different from when the same host last said so; topics that
hold audit records deleted, kept for less long, or their configuration or access changed. Whoever
means harm does this first.
"""

from collections.abc import Iterator

from pydantic import Field

from detectors import contract as c
from detectors import weakenings
from schemas.support import Picture
from schemas.vocabulary import Outcome


class AuditSettings(c.EstateSettings):
    """Numbers of this detector."""

    audit_topics: tuple[str, ...] = Field(
        ("audit.*", "_redpanda.audit_log", "confluent-audit-log-events*", "__auditstream*"),
        description="Names of topics that hold audit records; * for anything.",
    )


def _judge(picture: Picture, settings: AuditSettings) -> Iterator[c.Judgement]:
    done = [change for change in picture.changes if change.outcome != Outcome.FAILURE]
    yield from weakenings.of_loggers(done, picture.lifecycle)
    yield from weakenings.of_hosts(picture.lifecycle)
    yield from weakenings.of_topics(done, settings.audit_topics)


DETECTOR = c.EstateDetector(
    name="audit_weakened",
    title="The audit trail was weakened",
    documentation=__doc__,
    judge=_judge,
    settings=AuditSettings,
    attacks=(
        c.Attack("T1562", "Impair Defenses", "TA0005", "Defense Evasion"),
        c.Attack("T1562.008", "Disable or Modify Cloud Logs", "TA0005", "Defense Evasion"),
    ),
    triage=(
        "Was it announced? An upgrade or a roll-out of configuration says so beforehand.",
        "Put it back first: what is not written now cannot be asked for later.",
        "What did the actor and the address do around that time? `auditstream timeline --actor`.",
        "Which hours have no lines of the logger, and what else tells of them?",
    ),
    false_positives=("A level raised for a hunt and put back.", "A planned new super user."),
    blind_spots=(
        "Levels in the log4j2 file leave no line when they are read anew.",
        "Two processes on one host, under one label: their settings are taken for changes.",
        "The first time a host says its settings there is nothing to hold them against.",
        "A rule upon a longer prefix, or on every topic, reaches audit topics: see acl_change.",
    ),
)
