"""Effects: what the controller wrote, given to who asked for it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from pipeline.changes.legs import OneLeg
from pipeline.changes.requests import CLOCKS_MS, ROUNDING_MS, SLACKS_MS, Request, Seed, span
from pipeline.changes.spans import Spans
from schemas.changes import Deed
from schemas.vocabulary import Leg, Outcome

_SOME_TOKEN: Final = "DelegationToken:<unknown>"
_TOKEN_ACTIONS: Final = {
    "create": ("create", "set"), "renew": ("set",), "expire": ("set", "delete", "expire"),
    "set": ("set",), "delete": ("delete", "expire"),
}  # fmt: skip
"""Which actions of the controller's follow from which request's."""
_HIDDEN: Final = ("[hidden]", "(hidden)", "[redacted")


def effects(
    written: Sequence[OneLeg], seeds: Sequence[Seed], requests: Sequence[Request]
) -> list[Seed]:
    """Give effects to seeds; returns seeds made of those that nobody asked for."""
    asked = _Asked(
        Spans(seeds, lambda s: s.deed.subject, _span),
        Spans(seeds, lambda s: s.deed.target, _span),
        Spans((r for r in requests if r.first.api == "AlterConfigs"), lambda _: "", span),
    )
    left = list(written)
    for slack in SLACKS_MS:
        left = [e for e in left if not _given(e, asked, slack)]
        # What nobody knows the end of comes after what is known to have been done.
        left = [e for e in left if not _given(e, asked, slack, unknown=True)]
    left = [e for e in left if not _comes_with(e, asked.by_target)]
    return _alone(left, asked.settings)


class _Asked(NamedTuple):
    """What was asked for, by what it is about, and requests that set a whole configuration."""

    by_subject: Spans[Seed]
    by_target: Spans[Seed]
    settings: Spans[Request]


def _span(seed: Seed) -> tuple[int, int, str]:
    return seed.start, seed.end, seed.legs[0].id


def _alone(left: Sequence[OneLeg], settings: Spans[Request]) -> list[Seed]:
    """Seeds of what nobody asked for. Topics come first: others may only come with them."""
    topics: dict[str, list[Seed]] = {}
    for effect in left:
        if effect.deed is not None and effect.deed.kind == "topic":
            near = topics.setdefault(effect.deed.target, [])
            if not _joins(effect, near):
                near.append(_lone(effect))
    new = Spans((s for near in topics.values() for s in near), lambda s: s.deed.target, _span)
    others: dict[str, list[Seed]] = {}
    for effect in left:
        deed = effect.deed
        assert deed is not None
        near = others.setdefault(deed.target, [])
        if (
            deed.kind == "topic"
            or _given(effect, _Asked(new, new, settings), CLOCKS_MS)
            or _comes_with(effect, new, ROUNDING_MS)
            or _joins(effect, near)
        ):
            continue
        if (deed.kind, deed.action) == ("partitions", "create"):
            near.append(_lone(effect))
            near[-1].deed = Deed("partitions", "create", deed.target)
        elif not effect.only_adds:
            near.append(_beside(effect, settings) or _lone(effect))
    found = [s for near in (*topics.values(), *others.values()) for s in near]
    return sorted(found, key=lambda s: s.start)


def _lone(effect: OneLeg) -> Seed:
    deed = effect.deed
    assert deed is not None
    if deed.kind == "scram" and deed.action != "delete":
        # The controller tells a new entry from another; who asks for one does not.
        deed = deed._replace(action="set")
    seed = Seed(deed, effect.time, effect.time, [effect], outcome=effect.outcome)
    seed.taken.add(_line(effect))
    return seed


def _line(effect: OneLeg) -> tuple[str, str]:
    """What one deed has at most one of: of new partitions, one line for each."""
    deed = effect.deed
    wide = deed is not None and deed.kind == "partitions"
    return effect.host, f"{effect.line} {deed.item}" if wide and deed else effect.line


def _given(effect: OneLeg, asked: _Asked, slack: int, *, unknown: bool = False) -> bool:
    """Give an effect to a seed; with ``unknown`` to one of unknown outcome, which it tells."""
    deed, time = effect.deed, effect.time
    outcome = Outcome.UNKNOWN if unknown else effect.outcome
    assert deed is not None
    wide, line = deed.kind == "partitions", _line(effect)
    if wide:
        found = asked.by_target.holding(deed.target, time, time, slack)
    else:
        found = asked.by_subject.holding(deed.subject, time, time, slack)
        if deed.kind == "token":
            # Who renews one or has it expire shows its secret, and that is gone from the record.
            found = chain(found, asked.by_target.holding(_SOME_TOKEN, time, time, slack))
    for seed in found:
        if line not in seed.taken and seed.outcome == outcome and _agree(seed.deed, deed):
            seed.taken.add(line)
            seed.legs.append(effect)
            seed.outcome = effect.outcome
            if seed.deed.target == _SOME_TOKEN:
                seed.deed = seed.deed._replace(target=deed.target)
            return True
    return False


def _comes_with(effect: OneLeg, by_target: Spans[Seed], slack: int = 0) -> bool:
    """A new topic brings its configuration: that is no change of its own."""
    deed, time = effect.deed, effect.time
    assert deed is not None
    if deed.kind != "config":
        return False
    for seed in by_target.holding(deed.target, time, time, slack):
        new = (seed.deed.kind, seed.deed.action) == ("topic", "create")
        if new and seed.outcome == Outcome.SUCCESS:
            seed.legs.append(effect)
            return True
    return False


def _agree(asked: Deed, done: Deed) -> bool:
    """Whether what the controller wrote is what was asked for."""
    if done.kind == "partitions":
        return asked.kind == "partitions" or (asked.kind, asked.action) == ("topic", "create")
    if done.kind in ("config", "quota"):
        if asked.action in ("append", "subtract") or _hidden(done.after):
            return True
        return (asked.action == "delete") == (done.action == "delete") and _same(
            asked.after, done.after
        )
    if done.kind == "token":
        return done.action in _TOKEN_ACTIONS.get(asked.action, ())
    if done.kind in ("topic", "acl", "scram"):
        return (asked.action == "delete") == (done.action == "delete")
    return True


def _hidden(value: Any) -> bool:
    return str(value).startswith(_HIDDEN)


def _same(one: Any, other: Any) -> bool:
    if one == other or _hidden(one):
        return True
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return False


def _beside(effect: OneLeg, settings: Spans[Request]) -> Seed | None:
    """AlterConfigs sets what it names and removes all the rest: that is its deed, too."""
    deed = effect.deed
    assert deed is not None
    if deed.kind != "config" or deed.action != "delete":
        return None
    for request in settings.holding("", effect.time, effect.time, ROUNDING_MS):
        if any(s.deed.target == deed.target and s.outcome == "success" for s in request.seeds):
            seed = _lone(effect)
            seed.legs = [request.items[0], *request.twin[:1], effect]
            seed.api = request.first.api
            request.seeds.append(seed)
            return seed
    return None


def _joins(effect: OneLeg, near: Sequence[Seed]) -> bool:
    """Whether this is what a change that nobody asked for already stands for: on another
    controller, or another line of the same."""
    deed = effect.deed
    assert deed is not None
    wide = deed.kind == "partitions"
    for seed in reversed(near):
        if effect.time - seed.end > CLOCKS_MS:
            return False
        fits = wide or seed.deed.subject == deed.subject
        if fits and _line(effect) not in seed.taken and _agree(seed.deed, deed):
            seed.taken.add(_line(effect))
            seed.legs.append(effect)
            return True
    return False


def replays(
    replayed: Sequence[OneLeg], seeds: Sequence[Seed], aside: Sequence[OneLeg]
) -> list[Seed]:
    """Replays of what no other leg tells of. A host that starts again reads all of it again: of
    several readings the one that tells most often of a deed counts."""
    known: dict[str, list[int]] = {}
    for seed in seeds:
        if seed.outcome == Outcome.SUCCESS:
            # What comes with a new topic is replayed, too.
            done = (leg.deed for leg in seed.legs if leg.leg == Leg.EFFECT and leg.deed)
            for key in {_deed_key(deed) for deed in (seed.deed, *done)}:
                insort(known.setdefault(key, []), seed.start)
    for leg in aside:
        if leg.deed is not None:
            insort(known.setdefault(_deed_key(leg.deed), []), leg.time)
    passes: dict[tuple[str, str], list[OneLeg]] = {}
    made: list[Seed] = []
    for leg in replayed:
        if leg.deed is None or leg.only_adds or leg.aside:
            continue
        key = _deed_key(leg.deed)
        seen = passes.setdefault((f"{leg.host} {leg.line}", key), [])
        if seen and leg.time - seen[-1].time > 10 * CLOCKS_MS:
            seen.clear()
        seen.append(leg)
        # A standby writes as soon as the active one does, by a clock of its own.
        if len(seen) > bisect_right(known.get(key, ()), leg.time + CLOCKS_MS):
            seed = Seed(leg.deed, leg.time, leg.time, [leg], outcome=leg.outcome)
            insort(known.setdefault(key, []), leg.time)
            made.append(seed)
    return made


def _deed_key(deed: Deed) -> str:
    value = deed.after if deed.kind in ("config", "quota") else None
    gone = deed.action == "delete"
    return repr((*deed.subject, gone, None if gone else str(value)))
