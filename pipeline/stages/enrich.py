"""Enrich: which cluster and host, which kind of actor, by which of the three access paths.

Everything here comes from the configuration and the record. What matches no pattern stays
``unknown``; nothing is guessed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline.batch import Fact, Line, Stream
from schemas.vocabulary import AUTHORIZE_SESSION, AccessPath, ActorKind

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CONTROL_OPERATIONS = frozenset(
    ("CREATE", "DELETE", "ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION")
    + ("CREATE_TOKENS", "DESCRIBE_TOKENS")
)
_CACHED = 65_536


@dataclass(frozen=True, slots=True)
class Principal:
    """One ``[[principals]]`` entry.

    Attributes:
        pattern: of the full principal, ``*`` for any run of characters.
        kind: one of :class:`schemas.vocabulary.ActorKind`.
        owner: team or person answerable, or empty.
        provider: the provider it belongs to, or empty.
        networks: source networks that make an action this provider's, whoever acts.
    """

    pattern: str
    kind: str
    owner: str = ""
    provider: str = ""
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Actor:
    """What the configuration says of a principal at an address."""

    kind: str = ActorKind.UNKNOWN.value
    owner: str = ""
    provider: str = ""


Describe = Callable[[str, str], Actor]


def describe(principals: Sequence[Principal]) -> Describe:
    """A function from (principal, address) to :class:`Actor`; the first match wins."""
    compiled = [
        (re.compile(".*".join(map(re.escape, p.pattern.split("*"))), re.DOTALL), p)
        for p in principals
    ]

    @lru_cache(maxsize=_CACHED)
    def look(principal: str, address: str) -> Actor:
        if principal:
            for pattern, entry in compiled:
                if entry.pattern and pattern.fullmatch(principal):
                    return Actor(entry.kind, entry.owner, entry.provider)
        if address:
            at = ipaddress.ip_address(address)
            for _, entry in compiled:
                if any(at in network for network in entry.networks):
                    return Actor(entry.kind, entry.owner, entry.provider)
        return Actor()

    return look


@lru_cache(maxsize=_CACHED)
def address(text: str) -> str:
    """The address in its shortest form, or empty where the text is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def enrich(fact: Fact, line: Line, stream: Stream, look: Describe) -> None:
    """Fill in what only configuration and carrier know. Changes ``fact``."""
    event = fact.event
    event.cluster = stream.cluster
    event.host = stream.host or (line.origin.host if line.origin else "")
    event.carriage.carrier = stream.carrier
    event.carriage.position = line.record.position
    actor = look(event.actor, event.address)
    event.actor_kind = actor.kind
    if actor.owner:
        fact.extension["owner"] = actor.owner
    if actor.provider:
        fact.extension["provider"] = actor.provider
        event.access_path = AccessPath.SUPPORT.value
    elif event.class_uid == AUTHORIZE_SESSION:
        event.access_path = AccessPath.SUPPORT.value
    elif event.operation in CONTROL_OPERATIONS:
        event.access_path = AccessPath.CONTROL.value
