"""What guards a cloud account was weakened: a key, a trail, a bucket, a trust, an endpoint.

Critical: a key gone within a week; a role, or the right to rule a key or a bucket, for everyone.
High: any other loss of a key; a trail stopped or without management writes; what is open to
everyone; what another account may rule; all rights to somebody. Medium: a key disabled, other
events left out, what another account may do, denials and buckets gone. Low: what nobody can read,
and trusted accounts. One level lower: grants under conditions, what is held against a default as
nobody says what was there before, and where nobody says what came of it. What was open before is
no news, and closing is no finding.
"""

from collections.abc import Iterator

from pydantic import Field

from detectors import contract as c
from detectors import guardrails
from detectors.estates import judgement
from schemas.support import Picture
from schemas.vocabulary import Outcome


class GuardrailSettings(c.EstateSettings):
    """Numbers of this detector."""

    trusted_accounts: tuple[str, ...] = Field(
        (), description="Numbers of accounts that may be let in: a grant to one is low at the most."
    )


def _judge(picture: Picture, settings: GuardrailSettings) -> Iterator[c.Judgement]:
    trusted = frozenset(settings.trusted_accounts)
    for change in picture.changes:
        found = guardrails.weaknesses(change.deed, trusted)
        if found and change.outcome != Outcome.FAILURE:
            said = guardrails.told(change, found)
            yield judgement(change, found[0].severity_id, found[0].title, said)


_ATTACKS = (
    ("T1562.008", "Disable or Modify Cloud Logs", "TA0005", "Defense Evasion"),
    ("T1098.003", "Additional Cloud Roles", "TA0003", "Persistence"),
    ("T1485", "Data Destruction", "TA0040", "Impact"),
    ("T1490", "Inhibit System Recovery", "TA0040", "Impact"),
    ("T1530", "Data from Cloud Storage", "TA0009", "Collection"),
    ("T1537", "Transfer Data to Cloud Account", "TA0010", "Exfiltration"),
)
DETECTOR = c.EstateDetector(
    name="cloud_guardrail_change",
    title="What guards a cloud account was weakened",
    documentation=__doc__,
    judge=_judge,
    settings=GuardrailSettings,
    attacks=tuple(c.Attack(*attack) for attack in _ATTACKS),
    triage=guardrails.TRIAGE,
    false_positives=guardrails.FALSE_POSITIVES,
    blind_spots=guardrails.BLIND_SPOTS,
)
