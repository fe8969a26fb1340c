"""Many failed logins from one address, or for one claimed principal, in a short time.

Password guessing, credential stuffing, or a client with a stale secret. A success soon after the
last failure may be the guess that worked, and raises the finding one level. A success is a login
that worked, and any decision about a named principal: the authorizer only sees who is logged in.
"""

from functools import lru_cache

from detectors import contract as c
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, AUTHENTICATION, Severity


@lru_cache(maxsize=4096)
def _sightings(address: str, principal: str, success: bool) -> tuple[c.Sighting, ...]:
    named = ("address", address), ("principal", principal)
    return tuple(c.Sighting(f"{name}={value}", success) for name, value in named if value)


def _sight(event: Event, _: c.Settings) -> tuple[c.Sighting, ...]:
    if event.class_uid == API_ACTIVITY and event.actor not in ("", "User:ANONYMOUS"):
        return _sightings(event.address, event.actor, True)
    if event.class_uid == AUTHENTICATION and event.outcome in ("failure", "success"):
        return _sightings(event.address, event.actor, event.outcome == "success")
    return ()


DETECTOR = c.Detector(
    name="auth_failure_spike",
    title="Many failed logins from one address or for one principal",
    documentation=__doc__,
    sight=_sight,
    deeds="failed logins",
    reasons=(c.Reason("spike", Severity.MEDIUM, "many failed logins", c.crowded),),
    settings=c.WindowSettings,
    follow_s=1800,
    attacks=(c.Attack("T1110", "Brute Force", "TA0006", "Credential Access"),),
    triage=(
        "Is the address known: a workload, a NAT, a load balancer? Behind one, ask it for its log.",
        "Do the failures come at a machine's even pace (a stale secret) or in bursts (guessing)?",
        "If a success followed, list what that address did since: `auditstream events --ip`.",
        "Rotate the secret of every principal seen from the address after the last failure.",
    ),
    false_positives=(
        "A workload restarted with a rotated secret retries several times a second.",
        "Health checks that speak no SASL to a SASL listener.",
        "Many workloads behind one NAT address; one of them that works looks like a success.",
    ),
    blind_spots=("Apache Kafka names no user: guessing spread over many addresses stays unseen.",),
)
