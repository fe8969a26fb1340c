"""Enrich: which cluster and host, which kind of actor, by which of the three access paths.

Everything here comes from the configuration and the record. What matches no pattern stays
``unknown``; nothing is guessed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline.batch import Fact, Line, Stream
from schemas.vocabulary import AUTHORIZE_SESSION, ENTITY_MANAGEMENT, AccessPath, ActorKind

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CONTROL_OPERATIONS = frozenset(
    (
        "CREATE", "DELETE", "ALTER", "ALTER_CONFIGS", "CLUSTER_ACTION", "CREATE_TOKENS",
        "DESCRIBE_TOKENS", "ALTER_ACCESS", "CONFIGURE", "PAUSE", "RESUME", "SCALE", "TERMINATE",
    )
)  # fmt: skip
_CACHED = 65_536
_LONGEST_CACHED = 256
_LONGEST_ADDRESS = 64


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


_NOBODY = Actor()
Describe = Callable[[str, str], Actor]


def describe(principals: Sequence[Principal]) -> Describe:
    """A function from (principal, address) to :class:`Actor`.

    The first entry whose pattern matches wins, but no pattern hides a provider: where it names
    none, an entry of a provider whose network holds the address comes before it.
    """

    def find(principal: str, address: str) -> Actor:
        named = next((p for p in principals if _matches(p.pattern, principal)), None)
        if named is None or not named.provider:
            at = ipaddress.ip_address(address) if address else None
            from_there = [p for p in principals if at and any(at in n for n in p.networks)]
            named = next(
                (p for p in from_there if p.provider), named or next(iter(from_there), None)
            )
        return Actor(named.kind, named.owner, named.provider) if named else _NOBODY

    cached = lru_cache(maxsize=_CACHED)(find)

    def look(principal: str, address: str) -> Actor:
        if not principals:
            return _NOBODY
        return (cached if len(principal) <= _LONGEST_CACHED else find)(principal, address)

    return look


def _matches(pattern: str, principal: str) -> bool:
    """Whether a pattern with ``*`` for any run of characters fits all of it. Linear time: the
    principal may be a client's text."""
    first, *rest = pattern.split("*")
    if not pattern or not principal or not rest:
        return bool(pattern) and pattern == principal
    last = rest.pop()
    place, stop = len(first), len(principal) - len(last)
    if place > stop or not principal.startswith(first) or not principal.endswith(last):
        return False
    for part in rest:
        found = principal.find(part, place, stop)
        if found < 0:
            return False
        place = found + len(part)
    return True


def address(text: str) -> str:
    """The address in its shortest form, or empty where the text is none.

    IPv4 inside IPv6 is IPv4, and a zone index, which means nothing elsewhere, is left out.
    """
    return _shortest(text) if len(text) <= _LONGEST_ADDRESS else ""


@lru_cache(maxsize=_CACHED)
def _shortest(text: str) -> str:
    try:
        at = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
    except ValueError:
        return ""
    return str(getattr(at, "ipv4_mapped", None) or at)


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
    elif event.class_uid == ENTITY_MANAGEMENT or event.operation in CONTROL_OPERATIONS:
        event.access_path = AccessPath.CONTROL.value
