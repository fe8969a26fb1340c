"""What auditstream's own principals are there for, and whether an event tells of just that.

Where it runs against the very cluster whose authorizer's log it reads, each of its operations is
a line, which is an event, which takes more operations. So what is expected of its principals is
left out (``pipeline/stages/exclude.py``), and what is not is a finding of
``audit_principal_misuse``. Both ask here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from pydantic import Field

from detectors.contract import EpisodeSettings
from schemas.patterns import matches
from schemas.types import Event
from schemas.vocabulary import AUTHENTICATION, BlindSpot, Leg

_CACHED = 65_536


@dataclass(frozen=True, slots=True)
class Right:
    """What may be done to things of one kind.

    Attributes:
        resource_type: as events have it: ``Topic``, ``Group``, ``TransactionalId``.
        pattern: of the name, ``*`` for any run of characters.
        operations: as events have them: those of decisions, and the requests that they decide.
    """

    resource_type: str
    pattern: str
    operations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Own:
    """What one of auditstream's principals does: ``[[own]]``.

    Attributes:
        role: what it is called where it is counted.
        cluster: label of the cluster that the stream runs on.
        networks: where it connects from; none: nowhere.
        rights: on which resources.
    """

    role: str
    cluster: str
    networks: tuple[str, ...]
    rights: tuple[Right, ...]


class OwnSettings(EpisodeSettings):
    """Of a detector that is told who auditstream's own principals are; without any it rests."""

    own: dict[str, tuple[Own, ...]] = Field({}, description="By principal: [[own]] says it.")


def expected(event: Event, own: Sequence[Own]) -> str:
    """The role whose work an event of a principal is, allowed or not; empty: no role's.

    Args:
        own: what is said of that principal.
    """
    if event.forgery or BlindSpot.PARTIAL_NAME in event.blind_spots:
        return ""
    for one in own:
        if event.cluster == one.cluster and _from_there(event, one) and _may(event, one.rights):
            return one.role
    return ""


def _from_there(event: Event, one: Own) -> bool:
    # What a broker forwards bears no client's address: the request itself is judged by that.
    return event.leg == Leg.FORWARDED or _within(event.address, one.networks)


def _may(event: Event, rights: Sequence[Right]) -> bool:
    if event.class_uid == AUTHENTICATION:
        return True
    return event.pattern_type in ("", "LITERAL") and any(
        event.operation in right.operations
        and event.resource_type == right.resource_type
        and matches(right.pattern, event.resource)
        for right in rights
    )


@lru_cache(maxsize=_CACHED)
def _within(address: str, networks: tuple[str, ...]) -> bool:
    return bool(address) and any(ip_address(address) in ip_network(n) for n in networks)
