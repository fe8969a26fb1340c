"""Decisions: what the authorizer wrote, given to the request it was about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pipeline.administration import APIS
from pipeline.changes.legs import OneLeg
from pipeline.changes.requests import SLACKS_MS, Request, Seed
from schemas.changes import Deed
from schemas.vocabulary import Leg, Outcome

AFTER_DECISION_MS: Final = 2000
"""How long after a decision its effect may be written, where no request is known."""
TOGETHER_MS: Final = 250
"""Decisions of one request stand this close together, where no request is known."""
_CLUSTER: Final = "Cluster:"


def decide(written: Sequence[OneLeg], requests: Sequence[Request]) -> list[OneLeg]:
    """Give decisions to requests; returns those left over."""
    by_name: dict[tuple[str, str], list[Request]] = {}
    for request in sorted(requests, key=lambda r: (r.first.time, r.first.id)):
        by_name.setdefault((request.first.actor, request.first.api), []).append(request)
    left = list(written)
    for slack in SLACKS_MS:
        for named in (True, False):
            left = [
                d for d in left if not _taken(d, by_name.get((d.actor, d.api), ()), slack, named)
            ]
    return left


def _taken(decision: OneLeg, requests: Iterable[Request], slack: int, named: bool) -> bool:
    """Give a decision to a request, ``named`` only to one that names its resource."""
    what = decision.operation, decision.resource, decision.host
    for request in requests:
        if decision.only_adds:
            # The topic is created after its use was decided on, by a request of the broker's own.
            near = request.first.start - SLACKS_MS[1] <= decision.time <= request.first.time
            fits = near and request.first.leg == Leg.FORWARDED
        else:
            fits = request.holds(decision.time, slack) and (
                not request.first.address or request.first.address == decision.address
            )
        about = [s for s in request.seeds if s.deed.target == decision.resource]
        if fits and what not in request.decided and (about or not named):
            request.decided.add(what)
            for seed in about or request.seeds:
                seed.legs.append(decision)
            return True
    return False


def explained(left: Sequence[OneLeg], alone: Sequence[Seed]) -> list[OneLeg]:
    """Say who is behind changes without a request, where only one can be; returns what is left."""
    used: set[str] = set()
    allowed = [d for d in left if d.outcome == Outcome.SUCCESS and (d.decisive or d.only_adds)]
    for seed in alone:
        if seed.has(Leg.REQUEST) or seed.has(Leg.FORWARDED):
            continue
        fit = [d for d in allowed if _may_explain(d, seed)]
        fresh = [d for d in fit if d.id not in used]
        if len({(d.actor, d.address) for d in fresh}) > 1:
            seed.ambiguous = True
            continue
        chosen = fresh[:1] or fit[-1:]
        for decision in chosen:
            seed.legs.append(decision)
            seed.api = decision.api
            used.add(decision.id)
    return [d for d in left if d.id not in used]


def _may_explain(decision: OneLeg, seed: Seed) -> bool:
    api, deed = APIS[decision.api], seed.deed
    exact = api.kind in ("topic", "acl", "partitions")
    return (
        api.kind == deed.kind
        and (not exact or api.action == deed.action)
        and decision.resource.startswith((deed.target, _CLUSTER))
        and (decision.resource == deed.target or decision.resource.startswith(_CLUSTER))
        and -SLACKS_MS[0] <= seed.start - decision.time <= AFTER_DECISION_MS
    )


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
