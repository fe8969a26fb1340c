"""Many failed logins from one address, or for one claimed principal, in a short time.

Password guessing, credential stuffing, or a client with a stale secret. A success soon after the
last failure may be the guess that worked, and raises the finding one level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detectors.contract import (
    Attack, Detector, Episode, Evidence, Reasons, Settings, Sighting, Verdict, crowded,
)  # fmt: skip
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, AUTHENTICATION, Severity


def sight(event: Event, _: Settings) -> Iterable[Sighting]:
    """Failures count; a login that worked, or any decision about a named principal, is a success."""
    if event.class_uid == AUTHENTICATION and event.outcome == "failure":
        if event.address:
            yield Sighting(f"address={event.address}")
        if event.actor:
            yield Sighting(f"principal={event.actor}")
    elif event.class_uid == AUTHENTICATION or (
        event.class_uid == API_ACTIVITY and event.actor not in ("", "User:ANONYMOUS")
    ):
        if event.address:
            yield Sighting(f"address={event.address}", success=True)
        if event.actor:
            yield Sighting(f"principal={event.actor}", success=True)


def reasons(evidence: Sequence[Evidence], settings: Settings) -> Reasons:
    """Enough failures in one window."""
    full = crowded(evidence, settings.window_s, settings.threshold)
    return frozenset(("spike",)) if full else frozenset()


def judge(episode: Episode, _: Settings) -> Verdict:
    """Medium; high when a success followed."""
    who = episode.key.replace("=", " ", 1)
    message = f"{episode.count} failed logins, {who}."
    if episode.followed:
        return Verdict(
            Severity.HIGH, "Failed logins, then a success", f"{message} A success came soon after."
        )
    return Verdict(Severity.MEDIUM, "Failed logins", message)


DETECTOR = Detector(
    name="auth_failure_spike",
    title="Many failed logins from one address or for one principal",
    documentation=__doc__,
    sight=sight,
    reasons=reasons,
    judge=judge,
    follow_s=1800,
    attacks=(Attack("T1110", "Brute Force", "TA0006", "Credential Access"),),
    triage=(
        "Is the address known: a workload, a NAT, a load balancer? Behind one, ask it for its log.",
        "Do the failures come at a machine's even pace (a stale secret) or in bursts (guessing)?",
        "If a success followed, list what that address did since: `auditstream events --ip`.",
        "Rotate the secret of every principal seen from the address after the last failure.",
    ),
    false_positives=(
        "A workload restarted with a rotated secret retries several times a second.",
        "Health checks that speak no SASL to a SASL listener.",
        "Many workloads behind one NAT address.",
    ),
    blind_spots=("Apache Kafka names no user: guessing spread over many addresses stays unseen.",),
)
