"""Versions: changes as they are now, held against what was said of them before.

As findings have it (:mod:`detectors.estates`): a change that is no more is superseded by the one
its legs are of now, or withdrawn; what did not change is not said again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import orjson

from schemas.changes import Change
from schemas.types import ChangeVersion
from schemas.vocabulary import FindingStatus

_OPEN = FindingStatus.OPEN.value


def settle_changes(
    changes: Iterable[Change], said: Mapping[bytes, ChangeVersion]
) -> list[ChangeVersion]:
    """New versions of changes.

    Args:
        changes: all there are of some clusters.
        said: the last version of each that was said of these clusters, by id.
    """
    now = {one.id: one for one in map(_version, changes)}
    owner = {leg: one.id for one in now.values() for leg in one.legs}
    out: list[ChangeVersion] = []
    taken: dict[bytes, set[bytes]] = {}
    for old in said.values():
        if old.status != _OPEN or old.id in now:
            continue
        heir = next((owner[leg] for leg in old.legs if leg in owner), None)
        status = FindingStatus.WITHDRAWN if heir is None else FindingStatus.SUPERSEDED
        if heir is not None:
            taken.setdefault(heir, set()).update((old.id, *old.supersedes))
        out.append(replace(old, version=old.version + 1, status=status.value))
    for one in now.values():
        known = said.get(one.id)
        before = set(known.supersedes) if known else set()
        one.supersedes = tuple(sorted((before | taken.get(one.id, set())) - now.keys()))
        if known is not None:
            one.version = known.version
        if one != known:
            one.version = known.version + 1 if known else 1
            out.append(one)
    return out


def _version(change: Change) -> ChangeVersion:
    deed = change.deed
    return ChangeVersion(
        id=bytes.fromhex(change.id),
        version=1,
        status=_OPEN,
        cluster=change.cluster,
        time=change.time,
        actor=change.actor,
        address=change.address,
        kind=deed.kind,
        action=deed.action,
        target=deed.target,
        item=deed.item,
        before=orjson.dumps(deed.before),
        after=orjson.dumps(deed.after),
        outcome=change.outcome,
        confidence=change.confidence,
        timely=change.timely,
        missing=change.missing,
        legs=tuple(bytes.fromhex(leg.id) for leg in change.legs),
        leg_kinds=tuple(leg.leg for leg in change.legs),
        supersedes=(),
    )
