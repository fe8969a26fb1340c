"""Made-up administration: deeds, and the legs that a broker and a controller write of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pipeline.changes.legs import OneLeg
from schemas.changes import Deed
from schemas.vocabulary import Leg

PRINCIPALS = tuple(f"User:{name}" for name in ("ann", "ben", "cat", "dan", "eve", "fay"))
ADDRESSES = {name: f"192.0.2.{n + 10}" for n, name in enumerate(PRINCIPALS)}
TOPICS = ("orders", "payments", "audit")
_IDS = itertools.count()


@dataclass(frozen=True)
class Done:
    """What somebody did: the truth."""

    time: int
    actor: str
    deed: Deed
    outcome: str = "success"


def _id() -> str:
    return f"{next(_IDS):032x}"


API = {
    ("topic", "create"): ("CreateTopics", "CREATE", "Cluster:kafka-cluster"),
    ("topic", "delete"): ("DeleteTopics", "DELETE", ""),
    ("config", "set"): ("IncrementalAlterConfigs", "ALTER_CONFIGS", ""),
    ("acl", "create"): ("CreateAcls", "ALTER", "Cluster:kafka-cluster"),
    ("acl", "delete"): ("DeleteAcls", "ALTER", "Cluster:kafka-cluster"),
    ("scram", "set"): ("AlterUserScramCredentials", "ALTER", "Cluster:kafka-cluster"),
}


def legs_of(done: Done, random: Random, correlation: int) -> list[OneLeg]:
    """All that is written of one deed, with the times of a real broker."""
    deed = done.deed
    api, operation, resource = API[deed.kind, deed.action]
    start, took = done.time, random.randint(20, 90)
    end = start + took
    call = (done.actor, "rdkafka", correlation, api, repr(deed))
    address = ADDRESSES[done.actor]
    own: dict[str, Any] = {
        "actor": done.actor, "outcome": done.outcome, "deed": deed, "api": api, "same": call,
        "line": "0",
    }  # fmt: skip
    request = OneLeg(
        _id(), end, Leg.REQUEST, "broker", address=address, start=start,
        record=("request", *call, end, address), **own,
    )  # fmt: skip
    twin = OneLeg(
        _id(), end - random.randint(0, 5), Leg.FORWARDED, "broker", address="",
        start=start + random.randint(2, 6), record=("forwarded", *call, end, address), **own,
    )  # fmt: skip
    decided = start + random.randint(6, 10)
    decision = OneLeg(
        _id(), decided, Leg.AUTHORIZER, "broker", done.actor, address, done.outcome, api=api,
        start=decided, operation=operation, resource=resource or deed.target, decisive=True,
    )  # fmt: skip
    legs = [request, twin, decision]
    if done.outcome == "success":
        at = decided + random.randint(1, 8)
        effect = OneLeg(
            _id(), at, Leg.EFFECT, "broker", "", "", "success", deed=deed, start=at, line=deed.kind
        )
        legs.append(effect)
    return legs


def deeds(random: Random, count: int, pause_ms: tuple[int, int] = (5, 400)) -> Iterator[Done]:
    """Random deeds, several at once now and then, the same one twice now and then."""
    time = 1_700_000_000_000
    last: Done | None = None
    for number in range(count):
        time += random.choice((0, random.randint(*pause_ms)))
        actor = random.choice(PRINCIPALS)
        if last is not None and random.random() < 0.1:
            done = replace(last, time=time)
        else:
            outcome = random.choice(("success", "success", "success", "failure"))
            done = Done(time, actor, _deed(random, number), outcome)
        yield done
        last = done


def _deed(random: Random, number: int) -> Deed:
    topic = random.choice(TOPICS)
    kind = random.choice(("topic", "gone", "config", "grant", "revoke", "scram"))
    acl = {"principal": "User:x", "host": "*", "operation": "READ", "permission": "ALLOW"}
    item = "LITERAL|User:x|*|READ|ALLOW"
    if kind == "topic":
        return Deed("topic", "create", f"Topic:new-{number}", after={"partitions": 1})
    if kind == "gone":
        return Deed("topic", "delete", f"Topic:old-{number}")
    if kind == "grant":
        return Deed("acl", "create", f"Topic:{topic}", item, after=acl)
    if kind == "revoke":
        return Deed("acl", "delete", f"Topic:{topic}", item, before=acl)
    if kind == "scram":
        after = {"mechanism": "SCRAM-SHA-256"}
        return Deed("scram", "set", f"User:u{number % 7}", "SCRAM-SHA-256", after=after)
    value = random.choice(("1000", "2000"))
    return Deed("config", "set", f"Topic:{topic}", "retention.ms", after=value)
