"""One of auditstream's own principals did what it is not there for.

Its workers read every audit topic and write the findings: who steals their credential reads what
was seen of him, and can write over it. What they do day by day is known, by `[[own]]`, and left
out. So anything else is at once of high severity: another topic or group, another operation,
another address or cluster. That its own work was refused is of medium severity: an ACL is missing,
or somebody took it away to blind the audit. Failed logins are nobody's deed: anybody may try a
name. Without `[[own]]` this detector rests.
"""

from detectors import contract as c
from detectors.own import OwnSettings, expected
from schemas.types import Event
from schemas.vocabulary import AUTHENTICATION, Severity


def _sight(event: Event, settings: OwnSettings) -> tuple[c.Sighting, ...]:
    own = settings.own.get(event.actor)
    if own is None or (event.class_uid == AUTHENTICATION and event.outcome != "success"):
        return ()
    its_work = bool(expected(event, own))
    if its_work and event.outcome != "failure":
        return ()
    return (c.Sighting(f"principal={event.actor}", grave=not its_work),)


def _refused(evidence: c.Pieces, _: OwnSettings) -> bool:
    return any(not e.grave for e in evidence)


DETECTOR = c.Detector(
    name="audit_principal_misuse",
    title="auditstream's own principal did what it is not there for",
    documentation=__doc__,
    sight=_sight,
    deeds="deeds beside its work, or refused",
    reasons=(
        c.Reason("misuse", Severity.HIGH, "an audit principal went beyond its work", c.grave),
        c.Reason("refused", Severity.MEDIUM, "an audit principal was refused its work", _refused),
    ),
    settings=OwnSettings,
    attacks=(
        c.Attack("T1078", "Valid Accounts", "TA0005", "Defense Evasion"),
        c.Attack("T1213", "Data from Information Repositories", "TA0009", "Collection"),
    ),
    triage=(
        "From a host that auditstream runs on? If not, its credential is stolen: revoke it now.",
        "Was it moved, or its topics renamed? Then `[[own]]` and `[kafka]` say so no more.",
        "Which audit topics did it read or write? `auditstream events --actor`.",
        "Refused its work: `auditstream topics plan` prints the ACLs; who took one away?",
    ),
    false_positives=("A worker moved to a new address.", "A principal that other tools use too."),
    blind_spots=(
        "Who does just what the worker does, from where it runs, is not told from it.",
        "At INFO, Kafka's default, the authorizer's log holds denials alone.",
    ),
)
