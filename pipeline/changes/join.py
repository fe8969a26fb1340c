"""Join: the legs of a cluster to changes, one for each deed. Pure; a function of the set of legs.

Kafka never says it in one place, and nothing it writes is a key. So: a request and its forwarded
twin are paired one to one, in order, by what both repeat; a controller's line belongs to a request
that asked for just that and was under way at that time; a decision to the request it names, of the
same principal from the same address, under way at that time. Each is given to the request that
ends first of those that still lack it, which leaves the most for the others. What nobody asked
for, and what nobody answered, is a change too, and its confidence names what is missing. A cloud
says it in one place: its records are changes as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import orjson

from pipeline.administration import APIS, INTERNAL_TOPICS
from pipeline.changes.decisions import decide, explained, undone
from pipeline.changes.effects import effects, replays
from pipeline.changes.legs import OneLeg, read
from pipeline.changes.requests import Seed, requests
from pipeline.stages.identify import digest
from schemas.changes import Change, Deed, LegId
from schemas.vocabulary import Confidence, Leg, Outcome

_There = dict[tuple[str, str], Any]
"""What is known of one target, by kind and item."""
_TOPIC: Final = ("topic", "")
_SETTINGS: Final = ("settings", "")
_POLICIES: Final = frozenset(("policy", "trust", "acl"))
_NOTHING_OF: Final = {"public_access_block": "blocks"}
"""What lists the parts of a policy, where it is not its grants."""
_ADDITIVE: Final = ("add", "remove")
"""Actions that state a difference: what is there before and after them, they do not say."""
_EFFECTS: Final = frozenset(
    ("topic", "partitions", "config", "acl", "scram", "quota", "feature")
)  # fmt: skip


def joined(rows: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, list[Change]]]:
    """Changes by cluster, out of what may be legs.

    Args:
        rows: cluster and OCSF document of events, those of one cluster together.
    """
    for cluster, of_one in groupby(rows, itemgetter(0)):
        legs = (read(orjson.loads(document)) for _, document in of_one)
        yield cluster, join(cluster, (leg for leg in legs if leg is not None))


def join(cluster: str, legs: Iterable[OneLeg]) -> list[Change]:
    """Changes of one cluster, in order of (time, id).

    Args:
        legs: in any order; one that is there twice counts once.
    """
    ordered = sorted({leg.id: leg for leg in legs}.values(), key=lambda leg: (leg.time, leg.id))
    asked = requests(ordered)
    seeds = [seed for request in asked for seed in request.seeds]
    alone = effects(
        [leg for leg in ordered if leg.leg == Leg.EFFECT and not leg.aside], seeds, asked
    )
    left = decide([leg for leg in ordered if leg.leg == Leg.AUTHORIZER], asked)
    left = explained(left, alone)
    seeds += alone
    seeds += undone(left)
    aside = [leg for leg in ordered if leg.aside]
    seeds += replays([leg for leg in ordered if leg.leg == Leg.REPLAYED], seeds, aside)
    seeds += _recorded(leg for leg in ordered if leg.leg == Leg.RECORD)
    return _folded(
        (seed.legs[0].place, _change(cluster, seed)) for seed in seeds if not _by_itself(seed)
    )


def _recorded(legs: Iterable[OneLeg]) -> list[Seed]:
    """A cloud's records, of which two accounts may have one each of one deed."""
    seeds: dict[tuple[Any, ...], Seed] = {}
    for leg in legs:
        seed = seeds.get(leg.same or (leg.id,))
        if seed is not None:
            seed.legs.append(leg)
        elif leg.deed is not None:
            seed = Seed(leg.deed, leg.start, leg.time, [leg], outcome=leg.outcome)
            seeds[leg.same or (leg.id,)] = seed
    return list(seeds.values())


def _by_itself(seed: Seed) -> bool:
    """Whether a broker made one of its own topics: its request is nobody's that was passed on."""
    kind, _, name = seed.deed.target.partition(":")
    creates = (seed.deed.kind, seed.deed.action) == ("topic", "create")
    own = creates and kind == "Topic" and name in INTERNAL_TOPICS
    return own and seed.has(Leg.FORWARDED) is None


def _change(cluster: str, seed: Seed) -> Change:
    legs = tuple(sorted({leg.id: leg for leg in seed.legs}.values(), key=_order))
    strongest, deed = seed.legs[0], seed.deed
    asked = seed.has(Leg.REQUEST) or seed.has(Leg.FORWARDED) or seed.has(Leg.RECORD)
    decided, done = seed.has(Leg.AUTHORIZER), seed.has(Leg.EFFECT)
    first = asked or decided
    if done is not None and done.deed is not None and deed.kind in ("config", "quota"):
        # What is there now, where only an addition was asked for or the value was hidden.
        deed = deed._replace(after=done.deed.after)
    if deed.kind == "topic" and deed.action == "create" and not asked:
        deed = deed._replace(after=_brought(legs) or deed.after)
    missing = tuple(_missing(seed, decided, done))
    address = asked.address if asked else ""
    return Change(
        id=digest(16, [b"change", cluster.encode(), strongest.id.encode(),
                       deed.target.encode(), deed.item.encode()]).hex(),
        cluster=cluster, time=strongest.time, actor=first.actor if first else "",
        address=address or (decided.address if decided else ""), deed=deed, outcome=seed.outcome,
        confidence=_confidence(first, asked, missing), missing=missing,
        legs=tuple(LegId(leg.id, leg.leg) for leg in legs),
        timely=strongest.leg != Leg.REPLAYED, began=asked.start if asked else 0,
    )  # fmt: skip


def _brought(legs: Sequence[OneLeg]) -> dict[str, Any]:
    """What a topic was made with, as the controller's lines beside its own tell it."""
    deeds = [leg.deed for leg in legs if leg.deed is not None]
    new = {deed.item for deed in deeds if deed.kind == "partitions"}
    configs = {deed.item: deed.after for deed in deeds if deed.kind == "config"}
    out: dict[str, Any] = {"partitions": len(new)} if new else {}
    return out | ({"configs": configs} if configs else {})


def _order(leg: OneLeg) -> tuple[int, str]:
    return leg.time, leg.id


def _missing(seed: Seed, decided: OneLeg | None, done: OneLeg | None) -> Iterator[str]:
    if seed.has(Leg.RECORD) is not None:
        return
    api = APIS.get(seed.api)
    if seed.has(Leg.REQUEST) is None:
        yield Leg.REQUEST.value
    if (api is None or api.by_controller) and seed.has(Leg.FORWARDED) is None:
        yield Leg.FORWARDED.value
    # Nobody is asked about a token for oneself.
    if (api is None or (api.decisive and api.kind != "token")) and decided is None:
        yield Leg.AUTHORIZER.value
    expected = seed.deed.kind in _EFFECTS and not seed.deed.target.startswith("BrokerLogger:")
    if expected and seed.outcome != Outcome.FAILURE and done is None:
        yield Leg.EFFECT.value


def _confidence(first: OneLeg | None, asked: OneLeg | None, missing: Sequence[str]) -> str:
    if first is None or asked is None:
        return Confidence.LOW.value
    return Confidence.MEDIUM.value if missing else Confidence.HIGH.value


def _folded(changes: Iterable[tuple[tuple[str, ...], Change]]) -> list[Change]:
    """In order, each with what was there before it, as far as earlier changes show it.

    Args:
        changes: each with its place: things of one name in two accounts or regions are two.
    """
    ordered = sorted(changes, key=lambda placed: (placed[1].time, placed[1].id))
    now: dict[tuple[str, ...], _There] = {}
    for place, change in ordered:
        deed = change.deed
        there = now.setdefault((deed.target, *place), {})
        if deed.before is None:
            change.deed = deed._replace(before=_before(deed, there))
        if change.outcome == Outcome.SUCCESS and change.timely:
            _apply(deed, there)
    return [change for _, change in ordered]


def _before(deed: Deed, there: _There) -> Any:
    if deed.action in _ADDITIVE:
        return None
    if deed.kind == "partitions":
        topic = there.get(_TOPIC) or {}
        return {"partitions": topic["partitions"]} if "partitions" in topic else None
    return there.get((deed.kind, deed.item))


def _apply(deed: Deed, there: _There) -> None:
    if deed.action in _ADDITIVE:
        return
    if deed.kind == "entity" and deed.action != "set":
        there.clear()
        _made(deed.after, there)
    if deed.kind == "topic":
        for subject in [s for s in there if s[0] in ("topic", "config")]:
            del there[subject]
        if deed.action == "create" and isinstance(deed.after, dict):
            for name, value in (deed.after.get("configs") or {}).items():
                there["config", name] = value
    if deed.kind == "partitions" and isinstance(deed.after, dict):
        there[_TOPIC] = {**(there.get(_TOPIC) or {}), **deed.after}
    elif deed.kind == "settings" and isinstance(deed.after, dict):
        # Each states those that it sets.
        there[_SETTINGS] = {**(there.get(_SETTINGS) or {}), **deed.after}
    elif (deed.kind, deed.action) == ("policy", "delete"):
        # Gone for sure is something else than unknown.
        there[deed.kind, deed.item] = {_NOTHING_OF.get(deed.item, "grants"): []}
    else:
        there[deed.kind, deed.item] = deed.after


def _made(after: Any, there: _There) -> None:
    """What a cloud's thing is made with: policies, and settings."""
    if not isinstance(after, dict):
        return
    for item in _POLICIES & after.keys():
        there["policy", item] = after[item]
    if "grants" in after:
        there["policy", "policy"] = {"grants": after["grants"]}
    there[_SETTINGS] = {k: v for k, v in after.items() if k not in _POLICIES | {"grants"}}
