"""Effects: what the controller wrote, given to who asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeline.changes.legs import OneLeg
from pipeline.changes.requests import SLACKS_MS, Request, Seed
from schemas.changes import Deed
from schemas.vocabulary import Outcome

_HIDDEN: Final = ("[hidden]", "(hidden)", "[redacted")


def effects(
    written: Sequence[OneLeg], seeds: Sequence[Seed], requests: Sequence[Request]
) -> list[Seed]:
    """Give effects to seeds; returns seeds made of those that nobody asked for."""
    by_subject: dict[tuple[str, str, str], list[Seed]] = {}
    by_target: dict[str, list[Seed]] = {}
    for seed in sorted(seeds, key=lambda s: (s.end, s.legs[0].id)):
        by_subject.setdefault(seed.deed.subject, []).append(seed)
        by_target.setdefault(seed.deed.target, []).append(seed)
    left = list(written)
    for slack in SLACKS_MS:
        left = [e for e in left if not _given(e, by_subject, by_target, slack)]
    alone: list[Seed] = []
    for effect in left:
        if not (_beside(effect, requests, alone) or _joins(effect, alone) or effect.only_adds):
            alone.append(_lone(effect))
    return alone + _unrequested(left, alone)


def _lone(effect: OneLeg) -> Seed:
    assert effect.deed is not None
    seed = Seed(effect.deed, effect.time, effect.time, [effect], outcome=effect.outcome)
    seed.taken.add((effect.host, effect.line))
    return seed


def _given(
    effect: OneLeg,
    by_subject: dict[tuple[str, str, str], list[Seed]],
    by_target: dict[str, list[Seed]],
    slack: int,
) -> bool:
    deed = effect.deed
    assert deed is not None
    wide = deed.kind == "partitions"
    line = effect.host, f"{effect.line} {deed.item}" if wide else effect.line
    for seed in by_target.get(deed.target, ()) if wide else by_subject.get(deed.subject, ()):
        if (
            seed.start - slack <= effect.time <= seed.end + slack
            and line not in seed.taken
            and seed.outcome == effect.outcome
            and _agree(seed.deed, deed)
        ):
            seed.taken.add(line)
            seed.legs.append(effect)
            return True
    return False


def _agree(asked: Deed, done: Deed) -> bool:
    """Whether what the controller wrote is what was asked for."""
    if done.kind == "partitions":
        return asked.kind == "partitions" or (asked.kind, asked.action) == ("topic", "create")
    if done.kind in ("config", "quota"):
        if asked.action in ("append", "subtract"):
            return True
        return (asked.action == "delete") == (done.action == "delete") and _same(
            asked.after, done.after
        )
    if done.kind in ("topic", "acl", "token", "scram"):
        return (asked.action == "delete") == (done.action == "delete")
    return True


def _same(one: Any, other: Any) -> bool:
    if one == other or any(str(v).startswith(_HIDDEN) for v in (one, other)):
        return True
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return False


def _beside(effect: OneLeg, requests: Sequence[Request], alone: list[Seed]) -> bool:
    """AlterConfigs sets what it names and removes all the rest: that is its deed, too."""
    deed = effect.deed
    assert deed is not None
    if deed.kind != "config" or deed.action != "delete":
        return False
    for request in requests:
        if (
            request.first.api == "AlterConfigs"
            and request.holds(effect.time, SLACKS_MS[0])
            and any(s.deed.target == deed.target and s.outcome == "success" for s in request.seeds)
        ):
            seed = _lone(effect)
            seed.legs = [request.items[0], *request.twin[:1], effect]
            seed.api = request.first.api
            request.seeds.append(seed)
            alone.append(seed)
            return True
    return False


def _joins(effect: OneLeg, alone: Sequence[Seed]) -> bool:
    """Whether this is what a change that nobody asked for already stands for: on another
    controller, or another line of the same."""
    deed = effect.deed
    assert deed is not None
    wide = deed.kind == "partitions"
    line = effect.host, f"{effect.line} {deed.item}" if wide else effect.line
    for seed in reversed(alone):
        if effect.time - seed.end > SLACKS_MS[1]:
            return False
        fits = seed.deed.target == deed.target if wide else seed.deed.subject == deed.subject
        if fits and line not in seed.taken and _agree(seed.deed, deed):
            seed.taken.add(line)
            seed.legs.append(effect)
            return True
    return False


def _unrequested(left: Sequence[OneLeg], alone: Sequence[Seed]) -> list[Seed]:
    """New partitions of a topic that is not new: one change for all that came together."""
    held = {leg.id for seed in alone for leg in seed.legs}
    made: list[Seed] = []
    for effect in left:
        deed = effect.deed
        if (
            effect.id in held
            or deed is None
            or (deed.kind, deed.action) != ("partitions", "create")
        ):
            continue
        if not _joins(effect, made):
            made.append(_lone(effect))
            made[-1].deed = Deed("partitions", "create", deed.target)
            made[-1].taken = {(effect.host, f"{effect.line} {deed.item}")}
    return made


def replays(replayed: Sequence[OneLeg], seeds: Sequence[Seed]) -> list[Seed]:
    """Replays of what no other leg tells of. A host that starts again reads all of it again: of
    several readings the one that tells most often of a deed counts."""
    known: dict[str, list[int]] = {}
    for seed in seeds:
        if seed.outcome == Outcome.SUCCESS:
            known.setdefault(_deed_key(seed.deed), []).append(seed.start)
    passes: dict[tuple[str, str], list[OneLeg]] = {}
    made: list[Seed] = []
    for leg in replayed:
        if leg.deed is None or leg.only_adds:
            continue
        key = _deed_key(leg.deed)
        seen = passes.setdefault((f"{leg.host} {leg.line}", key), [])
        if seen and leg.time - seen[-1].time > 10 * SLACKS_MS[1]:
            seen.clear()
        seen.append(leg)
        if len(seen) > sum(time <= leg.time for time in known.get(key, ())):
            seed = Seed(leg.deed, leg.time, leg.time, [leg], outcome=leg.outcome)
            known.setdefault(key, []).append(leg.time)
            made.append(seed)
    return made


def _deed_key(deed: Deed) -> str:
    value = deed.after if deed.kind in ("config", "quota") else None
    gone = deed.action == "delete"
    return repr((*deed.subject, gone, None if gone else str(value)))
