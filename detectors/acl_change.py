"""Every access rule that was added or removed, graded by what it opens.

High: a rule on every resource of a type, or for everybody; ALL, ALTER, ALTER_CONFIGS, CREATE or
CLUSTER_ACTION on the cluster; a grant to oneself; a DENY removed. Medium: any other rule that
allows. Low: what only closes. One level lower where nobody says what came of it, and where only a
replay tells of it. What was refused is no change: the denials have their own detector.
"""

from collections.abc import Iterator

from detectors import acls
from detectors import contract as c
from detectors.estates import judgement
from schemas.changes import Change
from schemas.support import Picture
from schemas.vocabulary import Outcome


def _judge(picture: Picture, _: c.EstateSettings) -> Iterator[c.Judgement]:
    for change in picture.changes:
        if change.deed.kind == "acl" and change.outcome != Outcome.FAILURE:
            yield _judgement(change)


def _judgement(change: Change) -> c.Judgement:
    deed, acl = change.deed, acls.rule(change.deed)
    severity, why = acls.grade(change, acl)
    verb = "removed" if deed.action == "delete" else "added"
    who = (change.actor or "Somebody") + (f" from {change.address}" if change.address else "")
    message = f"{who} {verb} the ACL {acl or f'of {deed.target}'}."
    message += f" Before: {acls.stated(deed.before)}. After: {acls.stated(deed.after)}."
    title = f"ACL {verb}" + (f": {', '.join(why)}" if why else "")
    return judgement(change, severity, title, message)


DETECTOR = c.EstateDetector(
    name="acl_change",
    title="An access rule was added or removed",
    documentation=__doc__,
    judge=_judge,
    attacks=(c.Attack("T1098", "Account Manipulation", "TA0003", "Persistence"),),
    triage=(
        "Is there a ticket for it, and did its owner ask for just that?",
        "Who else holds the credential of whoever did it? `auditstream changes --actor`.",
        "What has the principal of the rule done since? `auditstream events --actor`.",
        "Where it was not meant, remove the rule, and look for others of the same hour.",
    ),
    false_positives=(
        "Tools that keep ACLs as code remove and add the same rules again.",
        "A topic's team that is given ALL on what begins with its name: medium, as any grant.",
    ),
    blind_spots=(
        "Without the request log nobody says who; without the controller's either, not even which.",
        "A DENY for everybody may stop a cluster, and is low here: it opens nothing.",
        "Rules outside Kafka's own authorizer: Ranger, RBAC, OPA.",
    ),
)
