"""Detecting: what findings become when events change.

Counters fold anew, in order of time, what the keys in question see of the store as it will be; what
follows is held against what was said. Estate detectors look at all there is, as after every run.
Findings that rest on events which retention removed stand as they were said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from detectors.conclusions import retire, write
from detectors.contract import Detector
from pipeline.config import Config
from pipeline.runtimes.judge import Judge
from pipeline.sinks.sqlite import SqliteStore
from pipeline.sinks.sqlite_replay import AsItWillBe, SqliteReplay, event_of
from pipeline.sinks.sqlite_scratch import Scratch
from pipeline.stages.detect import Active, Key, count, sightings
from schemas.types import Event, Finding
from schemas.vocabulary import FindingStatus

Progress = Callable[[str, int], None]
_COUNTED: Final = "what counters see"
_BATCH: Final = 10_000
_OPEN: Final = FindingStatus.OPEN.value


class Version(NamedTuple):
    """A new version of a finding, and the one that it follows, if there is one."""

    old: Finding | None
    new: Finding

    @property
    def what(self) -> str:
        """``appears``, ``changes`` or ``vanishes``."""
        if self.new.status != _OPEN:
            return "vanishes"
        return "changes" if self.old is not None and self.old.status == _OPEN else "appears"


@dataclass(slots=True)
class Detection:
    """What follows of the events as they will be.

    Attributes:
        versions: of findings, that are to be said.
        states: of counters' keys, JSON.
    """

    versions: list[Version] = field(default_factory=list)
    states: dict[Key, bytes] = field(default_factory=dict)


def detected(
    store: SqliteReplay, config: Config, everything: bool, folder: Path, progress: Progress
) -> Detection:
    """What findings become.

    Args:
        everything: all keys are looked at anew, and not only those that see another event.
        folder: for what is counted meanwhile.
        progress: is told how many events were looked at.

    Raises:
        StoreError: a store cannot be read, or the folder not be written.
    """
    active = config.active()
    altered = _altered(store, active)
    out = Detection()
    keys = None if everything else altered
    with store.as_it_will_be() as after:
        if keys is None or keys:
            counted = Scratch(folder / "counted.db")
            try:
                _fold(after, active, keys, counted, progress)
                _settle(after, active, keys, counted, out)
                _keep_states(after, counted, altered, out)
            finally:
                counted.close()
        out.versions += _estates(after, config)
    out.versions.sort(key=lambda version: (version.new.first_time, version.new.id))
    return out


# Counters.


def _altered(store: SqliteReplay, active: Active) -> set[Key]:
    """Keys that will see another event, or another thing of an event."""
    keys: set[Key] = set()
    for old, new in store.versions():
        before, after = _seen(active, old), _seen(active, new)
        keys.update(
            key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
        )
    return keys


def _seen(active: Active, event: Event | None) -> dict[Key, Any]:
    """All that counters take of an event, by key."""
    if event is None:
        return {}
    return {
        key: (
            event.id, event.time, event.weight, event.suspect,
            [sighting for _, sighting in seen.evidence], len(seen.successes),
        )
        for key, seen in sightings(active, [event]).items()
    }  # fmt: skip


def _fold(
    after: AsItWillBe, active: Active, keys: set[Key] | None, counted: SqliteStore,
    progress: Progress,
) -> None:  # fmt: skip
    for events in _batches(after.in_time()):
        progress(_COUNTED, len(events))
        seen = sightings(active, events)
        if keys is not None:
            seen = {key: found for key, found in seen.items() if key in keys}
        if seen:
            with counted.transaction():
                found = count(active, seen, counted.state_of)
                counted.write_findings(found.findings)
                counted.touch(found.touched)


def _batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[Event]]:
    while batch := [event_of(row) for row in islice(rows, _BATCH)]:
        yield batch


def _settle(
    after: AsItWillBe, active: Active, keys: set[Key] | None, counted: SqliteStore, out: Detection
) -> None:
    for detector, _ in active:
        said = [one for one in after.said(detector.name) if keys is None or _key(one) in keys]
        standing = _by_key(_outlived(after, said))
        current = [
            one
            for one in counted.said(detector.name)
            if one.status == _OPEN
            and not any(_same_time(one, old) for old in standing.get(_key(one), ()))
        ]
        mine = [one for one in said if one not in standing.get(_key(one), ())]
        out.versions += _against(detector, current, mine)


def _outlived(after: AsItWillBe, said: Sequence[Finding]) -> list[Finding]:
    """Findings some of whose evidence retention removed: they stand as they were said."""
    if not after.removals():
        return []
    held = after.held(piece for one in said for piece in one.evidence)
    return [one for one in said if not held.issuperset(one.evidence)]


def _same_time(one: Finding, old: Finding) -> bool:
    """Whether what is found of what is left is of a time that was judged when all was there."""
    return one.first_time <= old.last_time and old.first_time <= one.last_time


def _by_key(several: Iterable[Finding]) -> dict[Key, list[Finding]]:
    out: dict[Key, list[Finding]] = {}
    for one in several:
        out.setdefault(_key(one), []).append(one)
    return out


def _key(found: Finding) -> Key:
    return found.detector, found.cluster, found.key


def _against(
    detector: Detector, current: Iterable[Finding], said: Iterable[Finding]
) -> Iterator[Version]:
    """New versions, of what is found now, against the last that were said."""
    last = {one.id: one for one in said}
    found = {one.id: one for one in current}
    by_key = _by_key(found.values())
    taken: dict[bytes, set[bytes]] = {}
    for old in last.values():
        if old.status == _OPEN and old.id not in found:
            heir = _heir(old, by_key.get(_key(old), ()))
            gone = replace(old, version=old.version + 1, evidence=(), count=0)
            if heir is not None:
                taken.setdefault(heir.id, set()).update((old.id, *old.supersedes))
            retire(gone, detector, heir.id.hex() if heir is not None else None)
            yield Version(old, gone)
    for one in found.values():
        known = last.get(one.id)
        before = set(known.supersedes) if known is not None else set()
        supersedes = tuple(sorted((before | taken.get(one.id, set())) - found.keys()))
        if known is None or known.supersedes != supersedes or not _same(one, known):
            yield Version(known, _next(detector, one, known, supersedes))


def _heir(old: Finding, several: Iterable[Finding]) -> Finding | None:
    """The finding whose episode holds the beginning of one that is no more."""
    fit = (one for one in several if one.first_time <= old.first_time <= one.last_time)
    return next(fit, None)


def _same(one: Finding, known: Finding) -> bool:
    """Whether they say the same, whatever they supersede."""
    alike = replace(one, version=known.version, supersedes=known.supersedes, ocsf=known.ocsf)
    return alike == known and _words(one) == _words(known)


def _words(found: Finding) -> tuple[str, str]:
    document = orjson.loads(found.ocsf)
    return document["finding_info"]["title"], document["message"]


def _next(
    detector: Detector, found: Finding, known: Finding | None, supersedes: tuple[bytes, ...]
) -> Finding:
    version = known.version + 1 if known is not None else 1
    made = replace(found, version=version, supersedes=supersedes)
    write(made, detector, *_words(found))
    return made


def _keep_states(
    after: AsItWillBe, counted: SqliteStore, altered: Iterable[Key], out: Detection
) -> None:
    """States of keys that see something else, or say something else: as if they had seen it."""
    keys = {*altered, *(_key(version.new) for version in out.versions)}
    said = {one.id: one for name in {key[0] for key in keys} for one in after.said(name)}
    said.update((version.new.id, version.new) for version in out.versions)
    for key in keys:
        state = counted.state_of(key)
        for name, entry in state.get("emitted", {}).items():
            if found := said.get(bytes.fromhex(name)):
                entry["version"] = found.version
                entry["supersedes"] = [i.hex() for i in found.supersedes]
        out.states[key] = orjson.dumps(state, default=list)


# Estates.


def _estates(after: AsItWillBe, config: Config) -> Iterator[Version]:
    active = config.active_estates()
    if not active:
        return
    last: Mapping[bytes, Finding] = {
        one.id: one for detector, _ in active for one in after.said(detector.name)
    }
    for new in Judge(active, after, config.estate_of).judged():
        yield Version(last.get(new.id), new)
