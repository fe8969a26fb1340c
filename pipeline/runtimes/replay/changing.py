"""Changing: one replay from its inputs to what is shown, and to what is written.

What is shown is what would be applied, and is applied in one transaction: whoever is killed has
done nothing, and whoever comes next sees the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

import orjson

from pipeline.batch import Account
from pipeline.config import Config, Input
from pipeline.retention.records import Who
from pipeline.retention.stores import Clock
from pipeline.runtimes.embedded import Summary
from pipeline.runtimes.lanes import blank
from pipeline.runtimes.replay.comparing import (
    Asked,
    Comparison,
    at_the_same_end,
    compare,
    ending,
)
from pipeline.runtimes.replay.detecting import Detection, detected
from pipeline.runtimes.replay.record import REPLAY, Applied, replayed
from pipeline.runtimes.replay.rereading import Reread, Rereading
from pipeline.sinks.sqlite import StreamRow
from pipeline.sinks.sqlite_adding import added, resolved
from pipeline.sinks.sqlite_amending import Amending, Item
from pipeline.sinks.sqlite_replay import SqliteReplay
from pipeline.sinks.sqlite_scratch import Scratch
from schemas.types import DeadLetter, Event

_OPS: Final = ("new", "changed", "gone")
_WHATS: Final = ("appears", "changes", "vanishes")


Progress = Callable[[str, int], None]
"""As of :class:`pipeline.runtimes.embedded.Embedded`."""
Send = Callable[[Event, Iterable[Event], Iterable[DeadLetter], Progress], None]
"""Sends what adds to a stream (:meth:`pipeline.runtimes.kafka.adding.Adding.send`)."""


@dataclass(slots=True)
class Outcome:
    """What a replay found.

    Attributes:
        read: what was read again.
        streams: of it.
        comparison, detection: what it leads to.
        moved: numbers of streams that the store knows under another label or source alone: where
            their reading ended is to be written, or the next run would begin anew.
    """

    read: Summary
    streams: list[Reread]
    comparison: Comparison
    detection: Detection
    moved: frozenset[int] = frozenset()

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.comparison.applies() or self.detection.versions or self.moved)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many events, dead letters and findings become what."""
        of = self.comparison.count
        whats = Counter(version.what for version in self.detection.versions)
        return {
            "events": {op: of("event", op) for op in _OPS},
            "dead_letters": {op: of("letter", op) for op in _OPS},
            "findings": {what: whats[what] for what in _WHATS},
        }


class Replaying:
    """One replay upon an embedded store.

    Args:
        folder: an empty one, for as long as it takes.
        only_adding: nothing can be changed or taken back where it is to be applied.
    """

    def __init__(
        self,
        config: Config,
        inputs: Sequence[Input],
        store: SqliteReplay,
        asked: Asked,
        folder: Path,
        progress: Progress,
        *,
        only_adding: bool = False,
    ) -> None:
        self._config, self._inputs, self._store = config, list(inputs), store
        self._asked, self._folder, self._progress = asked, folder, progress
        self._only_adding = only_adding

    def found(self, clock: Clock) -> Outcome:
        """Read all again, and say what differs. Nothing is written to the store.

        Raises:
            AuditstreamError: an input or the store cannot be read.
        """
        read, streams = self._reread()
        self._store.lay_beside(self._folder / "fresh.db")
        comparison = compare(
            self._store, streams, self._asked, clock(), only_adding=self._only_adding
        )
        everything = self._asked.everything
        detection = detected(self._store, self._config, everything, self._folder, self._progress)
        return Outcome(read, streams, comparison, detection, self._moved(streams))

    def _moved(self, streams: Sequence[Reread]) -> frozenset[int]:
        if not self._store.knows_streams():
            return frozenset()
        taken = self._store.held_lanes()
        return frozenset(
            one.number
            for one in streams
            if one.number in taken and not _known(self._store.stream(one.row.key))
        )

    def _reread(self) -> tuple[Summary, list[Reread]]:
        scratch = Scratch(self._folder / "fresh.db")
        try:
            rereading = Rereading(self._config, self._inputs, scratch, self._progress)
            return rereading.run(), rereading.reread
        finally:
            scratch.close()

    def apply(self, outcome: Outcome, who: Who, clock: Clock) -> None:
        """Write all that was found, and the event that says so.

        Raises:
            StoreError: it cannot be written; then nothing is.
        """
        amending = Amending(self._store)
        for row in _streams(amending.applied(), outcome.streams, self._store, outcome.moved):
            amending.write_stream(row)
        amending.write_events()
        amending.write_dead_letters()
        amending.write_findings(version.new for version in outcome.detection.versions)
        amending.write_states(outcome.detection.states)
        amending.write_own(self._record(outcome, outcome.counts(), who, clock()))
        amending.commit()

    def add(self, outcome: Outcome, send: Send, who: Who, clock: Clock) -> None:
        """Send what adds, behind the event that says so. What findings become, workers say.

        Raises:
            StreamError: it was not taken, or not all of it.
        """
        counts = {**outcome.counts(), "findings": dict.fromkeys(_WHATS, 0)}
        own = self._record(outcome, counts, who, clock())
        letters = resolved(self._store, own.id.hex())
        send(own, added(self._store), letters, self._progress)

    def _record(
        self, outcome: Outcome, counts: dict[str, dict[str, int]], who: Who, at: int
    ) -> Event:
        applied = Applied(
            [f"{given.source}={given.path}" for given in self._inputs],
            self._asked,
            counts,
            {name: one.applied for name, one in outcome.comparison.attributes.items()},
            dict(outcome.comparison.reasons),
        )
        return replayed(applied, self._config, who, at)


# What is counted of streams.


@dataclass(slots=True)
class _Difference:
    """By how much an account changes."""

    events: int = 0
    letters: Counter[str] = field(default_factory=Counter)

    def add(self, item: Item) -> None:
        if item.kind == "event":
            self.events += (item.op == "new") - (item.op == "gone")
            return
        if item.op != "new":
            self.letters[item.reason] -= 1
        if item.op != "gone":
            self.letters[item.read_as] += 1

    def change(self, account: Account) -> None:
        """Whatever is nothing any more is counted as filtered by a replay, so that sums balance."""
        account.events += self.events
        for reason, count in self.letters.items():
            account.dead_letters[reason] = account.dead_letters.get(reason, 0) + count
            if not account.dead_letters[reason]:
                del account.dead_letters[reason]
        more = self.events + sum(self.letters.values())
        filtered = account.filtered.pop(REPLAY, 0) - more
        account.items += max(-filtered, 0)
        if filtered > 0:
            account.filtered[REPLAY] = filtered

    def __bool__(self) -> bool:
        return bool(self.events or any(self.letters.values()))


def _known(row: StreamRow | None) -> bool:
    return row is not None and row.position > 0


def _streams(
    items: Iterable[Item], streams: Sequence[Reread], store: SqliteReplay, moved: Set[int]
) -> Iterator[StreamRow]:
    """Rows of streams whose counts, or whose ends, are other ones. How far each was read stays; of
    those moved it is how far they were read again, and what was counted of them stays where it is.
    """
    by_number: dict[int, list[Item]] = {}
    for item in items:
        if item.op != "changed" or item.kind == "letter":
            by_number.setdefault(item.lane, []).append(item)
    for one in streams:
        mine = by_number.get(one.number, [])
        kept = store.stream(one.row.key)
        difference = _Difference()
        for item in mine:
            difference.add(item)
        if one.number in moved:
            kept = replace(one.row, account=b"")
        elif not mine or not (difference or kept):
            continue
        row = kept or replace(blank(one.row), account=b"", ending=b"", readers="")
        account = Account(**orjson.loads(row.account)) if row.account else Account()
        difference.change(account)
        end = row.ending
        if one.number not in moved and kept and end and at_the_same_end(kept, one.row):
            end = _ended(kept, one.row, mine)
        yield replace(row, account=orjson.dumps(asdict(account)), ending=end)


def _ended(kept: StreamRow, read: StreamRow, items: Iterable[Item]) -> bytes:
    """What the end of an input led to, with what became of it: a run takes that back when the input
    goes on."""
    said = orjson.loads(kept.ending)
    then, now = ending(kept), ending(read)
    events, letters = dict.fromkeys(then.events), dict.fromkeys(then.letters)
    before = {*(name for _, name in then.events), *then.letters}
    after = {*(name for _, name in now.events), *now.letters}
    difference = _Difference()
    for item in items:
        if item.id not in (after if item.op == "new" else before):
            continue
        difference.add(item)
        if item.op == "gone":
            events.pop((item.time, item.id), None)
            letters.pop(item.id, None)
        elif item.op == "new" and item.kind == "event":
            events[item.time, item.id] = None
        else:
            letters[item.id] = None
    account = Account(**said["account"])
    difference.change(account)
    said["account"] = asdict(account)
    said["events"] = [[time, name.hex()] for time, name in events]
    said["dead_letters"] = [name.hex() for name in letters]
    return orjson.dumps(said)
