"""Decisions: what the authorizer wrote, given to the request it was about."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.administration import APIS
from pipeline.changes.legs import OneLeg
from pipeline.changes.requests import CLOCKS_MS, ROUNDING_MS, SLACKS_MS, Request, Seed, span
from pipeline.changes.spans import Spans
from schemas.changes import Deed
from schemas.vocabulary import Leg, Outcome

AFTER_DECISION_MS: Final = (50, 250, 2000)
"""How long after a decision its effect may be written, where no request is known: mostly, with a
busy controller, at most."""
TOGETHER_MS: Final = 250
"""Decisions of one request stand this close together, where no request is known."""
_CLUSTER: Final = "Cluster:"


def decide(written: Sequence[OneLeg], requests: Sequence[Request]) -> list[OneLeg]:
    """Give decisions to requests; returns those left over."""
    by_name = Spans(requests, lambda r: (r.first.actor, r.first.api), span)
    left = list(written)
    for slack in SLACKS_MS:
        for named in (True, False):
            left = [d for d in left if not _taken(d, by_name, slack, named)]
    return left


def _taken(decision: OneLeg, by_name: Spans[Request], slack: int, named: bool) -> bool:
    """Give a decision to a request, ``named`` only to one that names its resource."""
    what = decision.operation, decision.resource, f"{decision.host} {decision.only_adds}"
    time, name = decision.time, (decision.actor, decision.api)
    for request in by_name.holding(name, time, time, CLOCKS_MS if decision.only_adds else slack):
        if decision.only_adds:
            # The topic is created after its use was decided on, by a request of the broker's own.
            fits = time <= request.first.time and request.first.leg == Leg.FORWARDED
        else:
            fits = not request.first.address or request.first.address == decision.address
        general = decision.resource.startswith(_CLUSTER)
        about = [s for s in request.seeds if general or s.deed.target == decision.resource]
        if fits and what not in request.decided and (about or not named):
            request.decided.add(what)
            for seed in about or request.seeds:
                seed.legs.append(decision)
            return True
    return False


def explained(left: Sequence[OneLeg], alone: Sequence[Seed]) -> list[OneLeg]:
    """Say who is behind changes without a request, where only one can be; returns what is left.

    A decision on the very thing tells more than one on the cluster, a near one more than a far one.
    """
    used: set[str] = set()
    allowed = [d for d in left if d.outcome == Outcome.SUCCESS and (d.decisive or d.only_adds)]
    open_ = [s for s in alone if not (s.has(Leg.REQUEST) or s.has(Leg.FORWARDED))]
    for within in AFTER_DECISION_MS:
        for general in (False, True):
            open_ = [s for s in open_ if not _lay(s, _behind(s, allowed, within, general), used)]
    return [d for d in left if d.id not in used]


def _behind(seed: Seed, allowed: Sequence[OneLeg], within: int, general: bool) -> list[OneLeg]:
    first = bisect_left(allowed, seed.start - within, key=_time)
    last = bisect_right(allowed, seed.start + ROUNDING_MS, key=_time)
    return [d for d in allowed[first:last] if _may_explain(d, seed, general)]


def _lay(seed: Seed, fit: Sequence[OneLeg], used: set[str]) -> bool:
    """Lay a change to the decision that only can be behind it; a batch has one for many."""
    # A decision on its use stands beside the one on the topic's creation.
    fresh = sorted((d for d in fit if d.id not in used), key=lambda d: d.only_adds)
    if len({(d.actor, d.address) for d in fresh}) > 1:
        return False
    if not fit:
        return False
    decision = fresh[0] if fresh else fit[-1]
    seed.legs.append(decision)
    seed.api = decision.api
    used.add(decision.id)
    return True


def _time(leg: OneLeg) -> int:
    return leg.time


def _may_explain(decision: OneLeg, seed: Seed, general: bool) -> bool:
    api, deed = APIS[decision.api], seed.deed
    exact = api.kind in ("topic", "acl", "partitions")
    if api.kind != deed.kind or (exact and api.action != deed.action):
        return False
    if general:
        return decision.resource.startswith(_CLUSTER)
    return decision.resource == deed.target


def undone(left: Sequence[OneLeg]) -> Iterator[Seed]:
    """Decisions that nothing followed: refused, or allowed and then who knows."""
    groups: list[list[OneLeg]] = []
    last: dict[tuple[str, str, str], list[OneLeg]] = {}
    for decision in left:
        if not decision.decisive:
            continue
        key = decision.actor, decision.address, decision.api
        group = last.get(key)
        what = decision.operation, decision.resource, decision.host
        if (
            group is None
            or decision.time - group[0].time > TOGETHER_MS
            or any((d.operation, d.resource, d.host) == what for d in group)
        ):
            group = last[key] = []
            groups.append(group)
        group.append(decision)
    for group in groups:
        named = [d for d in group if not d.resource.startswith(_CLUSTER)]
        general = [d for d in group if d.resource.startswith(_CLUSTER)] if named else []
        for decision in named or group:
            api = APIS[decision.api]
            seed = Seed(
                Deed(api.kind, api.action, decision.resource), decision.time, decision.time,
                [decision, *general], api=decision.api,
            )  # fmt: skip
            if decision.outcome == Outcome.FAILURE:
                seed.outcome = Outcome.FAILURE.value
            yield seed
