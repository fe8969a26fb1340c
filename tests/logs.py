"""Logs of imaginary brokers: any size, the same for the same seed, in Kafka's default layout."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)

_OPERATIONS = (("READ", "Fetch"), ("WRITE", "Produce"), ("DESCRIBE", "Metadata"))
_BURST_EVERY = 900
_NOISE = (
    "INFO [GroupCoordinator id=1] Dynamic member joins group app (kafka.coordinator.group.GroupCoordinator)",
    "INFO [Log partition=orders-0] Rolled new log segment (kafka.log.UnifiedLog)",
    "INFO Updated connection-accept-rate (kafka.network.ConnectionQuotas)",
)


def stamp(at: datetime) -> str:
    """A time as the default layout writes it."""
    return f"[{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d}]"


def decision(
    at: datetime,
    principal: str,
    *,
    allowed: bool = True,
    operation: str = "READ",
    request: str = "Fetch",
    address: str = "192.0.2.7",
    resource: str = "Topic:LITERAL:payments.orders",
) -> str:
    """A line of KRaft's StandardAuthorizer."""
    kind, pattern, name = resource.split(":", 2)
    rule = "DefaultDeny"
    if allowed:
        rule = (
            f"MatchingAcl(acl=StandardAcl(resourceType={kind.upper()}, resourceName={name}, "
            f"patternType={pattern}, principal={principal}, host=*, operation={operation}, "
            "permissionType=ALLOW))"
        )
    return (
        f"{stamp(at)} {'DEBUG' if allowed else 'INFO'} Principal = {principal} is "
        f"{'Allowed' if allowed else 'Denied'} operation = {operation} from host = {address} on "
        f"resource = {resource} for request = {request} with resourceRefCount = 1 based on rule "
        f"{rule} (kafka.authorizer.logger)"
    )


def login(at: datetime, address: str, *, success: bool = False, channel: int = 0) -> str:
    """A line of the broker's Selector."""
    head = (
        f"{stamp(at)} {'DEBUG' if success else 'INFO'} [SocketServer listenerType=BROKER, nodeId=1]"
    )
    tail = "(org.apache.kafka.common.network.Selector)"
    if success:
        return f"{head} Successfully authenticated with /{address} {tail}"
    return (
        f"{head} Failed authentication with /{address} (channelId=192.0.2.1:9092-{address}:{40000 + channel}"
        f"-{channel}) (Authentication failed during authentication due to invalid credentials with SASL "
        f"mechanism SCRAM-SHA-256) {tail}"
    )


def authorizer_lines(count: int, seed: int = 7) -> Iterator[str]:
    """``count`` decisions, one in fifty a denial."""
    random, at = Random(seed), START
    for _ in range(count):
        at += timedelta(milliseconds=random.randint(0, 40))
        yield _decided(random, at)


def routine_lines(count: int, seed: int = 7) -> Iterator[str]:
    """``count`` decisions as an estate at work has them written: 200 principals, each from two
    hosts, on five topics, 6,000 sentences in all; and one in fifty a denial of anything else.

    Real logs repeat more: of 322 lines of Kafka 4.1.1's own authorizer, 17 are different.
    """
    random, at = Random(seed), START
    for _ in range(count):
        at += timedelta(milliseconds=random.randint(0, 40))
        if random.random() < 0.02:
            yield _decided(random, at, allowed=False)
            continue
        operation, request = random.choice(_OPERATIONS)
        who = random.randint(0, 199)
        yield decision(
            at,
            f"User:app-{who}",
            operation=operation,
            request=request,
            address=f"192.0.2.{who + random.randint(0, 1)}",
            resource=f"Topic:LITERAL:topic-{who + random.randint(0, 4)}.orders",
        )


def authentication_lines(count: int, seed: int = 7) -> Iterator[str]:
    """``count`` logins, one in fifty a failure."""
    random, at = Random(seed), START
    for number in range(count):
        at += timedelta(milliseconds=random.randint(0, 40))
        address = f"192.0.2.{random.randint(1, 200)}"
        yield login(at, address, success=random.random() > 0.02, channel=number)


def broker_lines(
    count: int,
    seed: int = 7,
    start: datetime = START,
    step: timedelta = timedelta(milliseconds=20),
    forged: bool = True,
) -> Iterator[str]:
    """``count`` lines of a broker that logs everything into one file.

    Now and then somebody guesses passwords, looks around, or writes line breaks into a group's
    name: with 1,000 lines or more each of the three detectors finds something. Some lines hold no
    audit fact, and of what was forged some cannot be read.
    """
    return islice(_broker_lines(seed, start, step, forged), count)


def _broker_lines(seed: int, start: datetime, step: timedelta, forged: bool) -> Iterator[str]:
    random, at, number = Random(seed), start, 0
    while True:
        at += step * random.random() * 2
        number += 1
        kind = random.random()
        if number % _BURST_EVERY == 300:
            yield from _guessing(random, at, number)
        elif number % _BURST_EVERY == 500:
            yield from _curious(random, at)
        elif number % _BURST_EVERY == 700 and forged:
            yield from _forged(random, at)
        elif kind < 0.1:
            yield f"{stamp(at)} {random.choice(_NOISE)}"
        elif kind < 0.2:
            yield login(at, f"192.0.2.{random.randint(1, 40)}", success=kind < 0.19, channel=number)
        else:
            yield _decided(random, at)


def _decided(random: Random, at: datetime, allowed: bool | None = None) -> str:
    operation, request = random.choice(_OPERATIONS)
    return decision(
        at,
        f"User:app-{random.randint(0, 199)}",
        allowed=random.random() > 0.02 if allowed is None else allowed,
        operation=operation,
        request=request,
        address=f"192.0.2.{random.randint(1, 200)}",
        resource=f"Topic:LITERAL:topic-{random.randint(0, 499)}.orders",
    )


def _guessing(random: Random, at: datetime, number: int) -> Iterator[str]:
    address = f"198.51.100.{random.randint(1, 250)}"
    for attempt in range(random.randint(12, 20)):
        yield login(at + timedelta(milliseconds=attempt), address, channel=number + attempt)
    if random.random() < 0.5:
        yield login(at + timedelta(milliseconds=30), address, success=True)


def _curious(random: Random, at: datetime) -> Iterator[str]:
    who = f"User:guest-{random.randint(0, 9)}"
    for place in range(random.randint(9, 25)):
        yield decision(
            at + timedelta(milliseconds=place),
            who,
            allowed=False,
            operation="DESCRIBE",
            request="Metadata",
            address="203.0.113.9",
            resource=f"Topic:LITERAL:secret-{place}",
        )


def _forged(random: Random, at: datetime) -> Iterator[str]:
    true = decision(
        at,
        f"User:mallory-{random.randint(0, 3)}",
        allowed=False,
        request="JoinGroup",
        address="203.0.113.66",
        resource="Group:LITERAL:a\tb",
    )
    head, tail = true.split("\t")
    yield head
    yield decision(at, "User:alice", allowed=False, operation="ALTER", address="192.0.2.9")
    yield tail


def write(path: Path, lines: Iterable[str]) -> Path:
    """Write lines, compressed where the name says so; returns the path."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8") as file:
        for line in lines:
            file.write(line + "\n")
    return path
