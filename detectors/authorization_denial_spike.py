"""One principal denied often, on many resources, or on what only administrators do.

A stolen or curious account looks around before it acts: it meets denials. One denied change of
access rules, configuration or the cluster itself is worth a look at once, at low severity.
"""

from pydantic import Field

from detectors import contract as c
from schemas.types import Event
from schemas.vocabulary import AUTHENTICATION, Severity

_GRAVE, _CREATION = ("ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION"), ("CREATE", "Cluster")


class DenialSettings(c.WindowSettings):
    """Numbers of this detector."""

    threshold: int = Field(20, ge=1, le=c.STATE_CAP, description="Denials within one window.")
    resources: int = Field(8, ge=2, le=1000, description="Resources denied within one window.")


def _sight(event: Event, _: DenialSettings) -> tuple[c.Sighting, ...]:
    if event.outcome != "failure" or not event.actor or event.class_uid == AUTHENTICATION:
        return ()
    if not event.rule and event.source != "kafka_authorizer":
        return ()  # Much fails that nobody denied. Kafka's older authorizers alone state no rule.
    grave = event.operation in _GRAVE or (event.operation, event.resource_type) == _CREATION
    key, what = f"principal={event.actor}", f"{event.resource_type}:{event.resource}"
    return (c.Sighting(key, False, what, grave),)


def _enumerated(evidence: c.Pieces, settings: DenialSettings) -> bool:
    return c.varied(evidence, settings.window_s, settings.resources)


DETECTOR = c.Detector(
    name="authorization_denial_spike",
    title="One principal denied often, widely, or on administration",
    documentation=__doc__,
    sight=_sight,
    deeds="denials",
    reasons=(
        c.Reason("spike", Severity.MEDIUM, "many denials", c.crowded),
        c.Reason("enumeration", Severity.MEDIUM, "many resources denied", _enumerated),
        c.Reason("administration", Severity.LOW, "an administrator's operation denied", c.grave),
    ),
    settings=DenialSettings,
    attacks=(
        c.Attack("T1213", "Data from Information Repositories", "TA0009", "Collection"),
        c.Attack("T1098", "Account Manipulation", "TA0003", "Persistence"),
    ),
    triage=(
        "One resource (a missing grant) or many (looking around)? `events --outcome failure`.",
        "Did the principal's address change? If its owner knows of no release, revoke it.",
    ),
    false_positives=("Workloads rolled out before their grants.", "Tools that list every topic."),
    blind_spots=("Denials that the broker checks silently (metadata filtering) are not logged.",),
)
