"""Enrich: which cluster and host, which kind of actor, by which of the three access paths.

Everything here comes from the configuration and the record. What matches no pattern stays
``unknown``; nothing is guessed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.batch import Fact, Line, Stream
from schemas.patterns import matches
from schemas.types import Event
from schemas.vocabulary import (
    AUTHORIZE_SESSION,
    ENTITY_MANAGEMENT,
    PROVIDER_KINDS,
    AccessPath,
    ActorKind,
)

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

    @property
    def is_provider(self) -> bool:
        """Whether it is of a provider: by name, or by kind where nobody gave the name."""
        return bool(self.provider) or self.kind in PROVIDER_KINDS


@dataclass(frozen=True, slots=True)
class Actor:
    """What the configuration says of a principal at an address."""

    kind: str = ActorKind.UNKNOWN.value
    owner: str = ""
    provider: str = ""

    @property
    def is_provider(self) -> bool:
        """Whether it is of a provider."""
        return bool(self.provider) or self.kind in PROVIDER_KINDS


_NOBODY = Actor()
Describe = Callable[[str, str], Actor]
Covers = Callable[[str, Sequence[str]], bool]


def describe(principals: Sequence[Principal]) -> Describe:
    """A function from (principal, address) to :class:`Actor`.

    The first entry whose pattern matches wins, but no pattern hides a provider: where it names
    none, an entry of a provider whose network holds the address comes before it.
    """

    def find(principal: str, address: str) -> Actor:
        named = next((p for p in principals if matches(p.pattern, principal)), None)
        if named is None or not named.is_provider:
            at = ipaddress.ip_address(address) if address else None
            from_there = [p for p in principals if at and any(at in n for n in p.networks)]
            named = next(
                (p for p in from_there if p.is_provider), named or next(iter(from_there), None)
            )
        return Actor(named.kind, named.owner, named.provider) if named else _NOBODY

    cached = lru_cache(maxsize=_CACHED)(find)

    def look(principal: str, address: str) -> Actor:
        if not principals:
            return _NOBODY
        return (cached if len(principal) <= _LONGEST_CACHED else find)(principal, address)

    return look


def covers(principals: Sequence[Principal]) -> Covers:
    """Whether the configuration would know a support session by what it does.

    A function from (principal, addresses or networks): it would where it says that the principal
    is a provider's, or that all of the addresses are.
    """
    networks = [n for p in principals if p.is_provider for n in p.networks]

    def known(text: str) -> bool:
        try:
            at = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return False
        return any(at.version == n.version and at.subnet_of(n) for n in networks)  # type: ignore[arg-type]

    def look(principal: str, addresses: Sequence[str]) -> bool:
        named = next((p for p in principals if matches(p.pattern, principal)), None)
        if named is not None and named.is_provider:
            return True
        return bool(addresses) and all(known(address) for address in addresses)

    return look


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


def enrich(fact: Fact, line: Line, stream: Stream, look: Describe, covers: Covers) -> None:
    """Fill in what only configuration and carrier know. Changes ``fact``."""
    event, extension = fact.event, fact.extension
    event.cluster = stream.cluster
    event.host = stream.host or (line.origin.host if line.origin else "")
    event.carriage.carrier = stream.carrier
    event.carriage.position = line.record.position
    actor = _actor(event, extension, look)
    if actor.owner:
        extension["owner"] = actor.owner
    # What a source knows of a provider, no pattern hides.
    if actor.is_provider or "provider" not in extension:
        if actor.kind != ActorKind.UNKNOWN:
            event.actor_kind = actor.kind
        if actor.provider:
            extension["provider"] = actor.provider
    support = extension.get("support")
    if support is not None:
        support["registered"] = covers(support.get("principal", ""), support.get("addresses", ()))
    if (
        actor.is_provider
        or "provider" in extension
        or support is not None
        or event.class_uid == AUTHORIZE_SESSION
    ):
        event.access_path = AccessPath.SUPPORT.value
    elif event.class_uid == ENTITY_MANAGEMENT or event.operation in CONTROL_OPERATIONS:
        event.access_path = AccessPath.CONTROL.value


def _actor(event: Event, extension: Mapping[str, Any], look: Describe) -> Actor:
    """Who acts, by name, else by the name of the role that was assumed."""
    actor = look(event.actor, event.address)
    issuer = extension.get("issuer")
    if issuer and not actor.is_provider:
        role = look(issuer, "")
        if role.is_provider or actor is _NOBODY:
            return role
    return actor
