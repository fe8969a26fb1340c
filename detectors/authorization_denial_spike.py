"""One principal denied often, on many resources, or on what only administrators do.

A stolen or curious account looks around before it acts: it meets denials. A single denied change of
access rules, configuration or the cluster itself is worth a look at once, at low severity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from detectors.contract import (
    Attack, Detector, Episode, Evidence, Reasons, Settings, Sighting, Verdict, crowded, varied,
)  # fmt: skip
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, Severity


class DenialSettings(Settings):
    """Numbers of this detector."""

    threshold: int = Field(20, ge=1, description="Denials within one window.")
    resources: int = Field(8, ge=2, description="Different resources denied within one window.")


def sight(event: Event, _: Settings) -> Iterable[Sighting]:
    """Denied decisions about a named principal."""
    if event.class_uid == API_ACTIVITY and event.outcome == "failure" and event.actor:
        grave = event.operation in ("ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION") or (
            event.operation == "CREATE" and event.resource_type == "Cluster"
        )
        tag = f"{event.resource_type}:{event.resource}"[:512]
        yield Sighting(f"principal={event.actor}", tag=tag, grave=grave)


def reasons(evidence: Sequence[Evidence], settings: DenialSettings) -> Reasons:
    """Enough denials or different resources in one window, or a grave one."""
    found = {
        "spike": crowded(evidence, settings.window_s, settings.threshold),
        "enumeration": varied(evidence, settings.window_s, settings.resources),
        "administration": any(e.grave for e in evidence),
    }
    return frozenset(name for name, holds in found.items() if holds)


def judge(episode: Episode, _: Settings) -> Verdict:
    """Medium; low where an administrative denial is all there is."""
    message = f"{episode.count} denials, {episode.key.replace('=', ' ', 1)}: "
    message += ", ".join(sorted(episode.reasons)) + "."
    if episode.reasons == {"administration"}:
        return Verdict(Severity.LOW, "Denied an administrative operation", message)
    return Verdict(Severity.MEDIUM, "Many denials", message)


DETECTOR = Detector(
    name="authorization_denial_spike",
    title="One principal denied often, widely, or on administration",
    documentation=__doc__,
    sight=sight,
    reasons=reasons,
    judge=judge,
    settings=DenialSettings,
    attacks=(
        Attack("T1087", "Account Discovery", "TA0007", "Discovery"),
        Attack("T1098", "Account Manipulation", "TA0003", "Persistence"),
    ),
    triage=(
        "Which resources: one (a missing grant) or many (looking around)? `events --actor … "
        "--outcome failure`.",
        "Did the principal's address change? Compare with what it did before.",
        "Ask the owner whether a release or a new consumer explains it.",
        "If not, revoke the credential and look for what it was allowed to do.",
    ),
    false_positives=(
        "A workload rolled out before its grants retries without end.",
        "Tools that list every topic and are denied DESCRIBE on most.",
    ),
    blind_spots=("Denials that the broker checks silently (metadata filtering) are not logged.",),
)
