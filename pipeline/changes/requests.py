"""Requests: the records of one request, and the changes in the making that its items are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.changes.legs import OneLeg
from pipeline.changes.spans import Spans
from schemas.changes import Deed
from schemas.vocabulary import Leg, Outcome

SLACKS_MS: Final = (0, 5, 1000)
"""How far a leg may lie outside its request: not at all, then rounding, then hosts whose clocks
differ."""
ROUNDING_MS, CLOCKS_MS = SLACKS_MS[1:]


@dataclass(slots=True)
class Seed:
    """A change in the making: one item of a request, or what stands alone."""

    deed: Deed
    start: int
    end: int
    legs: list[OneLeg] = field(default_factory=list)
    taken: set[tuple[str, str]] = field(default_factory=set)
    outcome: str = Outcome.UNKNOWN.value
    api: str = ""

    def has(self, leg: Leg) -> OneLeg | None:
        return next((each for each in self.legs if each.leg == leg), None)


@dataclass(slots=True)
class Request:
    """One request: its own record, its twin, or both."""

    first: OneLeg
    items: list[OneLeg]
    twin: list[OneLeg] = field(default_factory=list)
    seeds: list[Seed] = field(default_factory=list)
    decided: set[tuple[str, str, str]] = field(default_factory=set)


def requests(ordered: Sequence[OneLeg]) -> list[Request]:
    """Requests, each with its twin, and the changes in the making that its items are.

    Args:
        ordered: legs by (time, id); decisions and effects among them are left alone.
    """
    records: dict[tuple[Any, ...], list[OneLeg]] = {}
    for leg in ordered:
        if leg.record:
            records.setdefault(leg.record, []).append(leg)
    groups = [Request(items[0], items) for items in records.values()]
    own = [g for g in groups if g.first.leg == Leg.REQUEST]
    twins = [g for g in groups if g.first.leg == Leg.FORWARDED]
    for whole in (True, False):
        for slack in SLACKS_MS:
            twins = _pair(own, twins, slack, whole)
    requests = own + twins
    for request in requests:
        request.seeds = list(_items(request))
    return requests


def _pair(
    own: Sequence[Request], twins: Sequence[Request], slack: int, whole: bool
) -> list[Request]:
    """Give twins to requests that lack one; returns those left over.

    Args:
        whole: only where the bodies are the same. A broker passes on what it does not refuse
            itself, so that a twin may ask for less.
    """

    def key(request: Request) -> tuple[Any, ...]:
        return request.first.same if whole else request.first.same[:-1]

    free = Spans((r for r in own if not r.twin), key, span)
    left: list[Request] = []
    for twin in twins:
        for request in free.holding(key(twin), twin.first.start, twin.first.time, slack):
            if not request.twin and (whole or _deeds(twin.items) <= _deeds(request.items)):
                request.twin = twin.items
                break
        else:
            left.append(twin)
    return left


def span(request: Request) -> tuple[int, int, str]:
    """When a request began and ended, and its id."""
    return request.first.start, request.first.time, request.first.id


def _deeds(items: Iterable[OneLeg]) -> set[str]:
    return {repr(leg.deed) for leg in items}


def _items(request: Request) -> Iterator[Seed]:
    twins = {repr(leg.deed): leg for leg in request.twin}
    # Who has no answer cannot repeat what it says, such as a cluster's defaults.
    asked = {(*leg.same, leg.line, leg.deed.subject): leg for leg in request.twin if leg.deed}
    for leg in request.items:
        if leg.deed is None:
            continue
        seed = Seed(leg.deed, leg.start, leg.time, [leg], outcome=leg.outcome, api=leg.api)
        twin = twins.get(repr(leg.deed)) or asked.get((*leg.same, leg.line, leg.deed.subject))
        if twin is not None:
            seed.legs.append(twin)
            if seed.outcome == Outcome.UNKNOWN:
                # The broker stopped waiting for what the controller has an answer to.
                seed.outcome = twin.outcome
        yield seed
