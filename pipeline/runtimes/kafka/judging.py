"""Judging: the events of whole estates, folded into pictures, to changes and findings.

A partition of `control` holds all that estate detectors look at of some estates, and the partition
of `clocks` of the same number how far their clusters have come. Both are read from the beginning by
whoever takes them over, into a store of its own that is thrown away afterwards: so the picture is a
fold of the topic, and an event that comes twice is in it once. Only what was said of it is kept as
state: the last version of each finding and of each change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.changes.versions import settle_changes
from pipeline.config import Config
from pipeline.runtimes.judge import Judge
from pipeline.runtimes.kafka.foreign import foreign
from pipeline.runtimes.kafka.leading import place
from pipeline.runtimes.kafka.patience import GivenUp, never
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.states import ReadWhole, States
from pipeline.runtimes.kafka.tally import Tally
from pipeline.runtimes.kafka.transport import Batch
from pipeline.sinks.sqlite import SqliteStore
from schemas.changes import Change
from schemas.types import ChangeVersion, Event, Finding, row_of
from schemas.wire import Decode, Encode, Undecodable

_FINDING, _CHANGE = b"finding\0", b"change\0"
_ROWS = 1_000


class Estates:
    """What is known of the estates of one partition number, from assignment to revocation.

    Args:
        folder: where to keep the picture; one of its own.
        number, partitions: the partition, of how many.

    Attributes:
        changes: the last version said of each, by id.
        outlived: evidence of what was said on some that the topic no longer holds: that stands as
            it was said, and nothing more is said upon its evidence.
        forgotten: names of states of what has no evidence left at all.
        seen: events in the picture.
    """

    def __init__(self, config: Config, folder: Path, number: int, partitions: int) -> None:
        self._path = folder / f"estates-{number}.db"
        self._remove()
        self.store = SqliteStore(self._path)
        self.seen = 0
        self.changes: dict[bytes, ChangeVersion] = {}
        self.outlived: set[bytes] = set()
        self.forgotten: list[bytes] = []
        self.judge = Judge(
            config.active_estates(),
            self.store,
            config.estate_of,
            lambda estate: place(estate, partitions) == number,
            {},
        )

    def see(self, events: Sequence[Event]) -> None:
        """Take events into the picture; those that are in it already are passed over."""
        fresh = self.store.fresh(events)
        if fresh:
            with self.store.transaction():
                self.store.write_events(fresh)
            self.seen += len(fresh)
            self.judge.note(fresh)

    def remember(self, findings: Sequence[Finding], changes: Iterable[ChangeVersion]) -> None:
        """What was said."""
        if findings:
            with self.store.transaction():
                self.store.write_findings(findings)
        for change in changes:
            self.changes[change.id] = change

    def recall(self, findings: Sequence[Finding], changes: Sequence[ChangeVersion]) -> None:
        """What was said by whoever had the partition before; the picture is complete."""
        said: list[Finding | ChangeVersion] = [*findings, *changes]
        held = self.store.held(i for one in said for i in _evidence(one))
        standing: list[Finding | ChangeVersion] = []
        for one in said:
            evidence = _evidence(one)
            if held.issuperset(evidence):
                standing.append(one)
                continue
            self.outlived.update(evidence)
            if held.isdisjoint(evidence):
                self.forgotten.append(_state_name(one))
        self.remember(
            [one for one in standing if isinstance(one, Finding)],
            [one for one in standing if isinstance(one, ChangeVersion)],
        )

    def judged(self) -> list[Finding]:
        """Versions of findings that are to be said."""
        return [one for one in self.judge.judged() if self.outlived.isdisjoint(one.evidence)]

    def changed(self) -> list[ChangeVersion]:
        """Versions of changes that are to be said, of the pictures that were judged last."""
        found: list[Change] = []
        for picture in self.judge.pictures.values():
            found += picture.changes
        settled = settle_changes(found, self.changes)
        return [one for one in settled if self.outlived.isdisjoint(one.legs)]

    def size(self) -> tuple[int, int]:
        """Events in the picture, and bytes of it."""
        several = (Path(f"{self._path}{suffix}") for suffix in ("", "-wal"))
        return self.seen, sum(path.stat().st_size for path in several if path.exists())

    def close(self) -> None:
        """Forget the picture."""
        self.store.close()
        self._remove()

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm", ".lock"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)


class Judging:
    """The work of role `detect` upon estates, for all partitions.

    Args:
        read: as the role.
        decode: by name of schema.
    """

    def __init__(
        self,
        config: Config,
        read: ReadWhole,
        states: States,
        partitions: int,
        encode: Mapping[str, Encode],
        decode: Mapping[str, Decode],
    ) -> None:
        self._config, self._read, self._states = config, read, states
        self._partitions = partitions
        self._encode, self._decode = encode, decode
        names = ("control", "clocks", "findings", "changes", "dead-letters")
        self._topic = {name: config.kafka.topic(name) for name in names}

    def load(self, folder: Path, number: int, given_up: GivenUp = never) -> Estates:
        """What is known of a partition number now. Blocks.

        Raises:
            NotLoaded: it cannot be read.
            LeftOff: as `given_up` has it.
            StoreError: the folder cannot be written.
        """
        estates = Estates(self._config, folder, number, self._partitions)
        try:
            self._replay(estates, number, given_up)
            self._recall(estates, number, given_up)
        except BaseException:
            estates.close()
            raise
        # Whoever had it may have ended before it judged.
        estates.judge.news = True
        return estates

    def _recall(self, estates: Estates, number: int, given_up: GivenUp) -> None:
        findings, changes = [], []
        held = self._states.load(self._topic["control"], number, given_up)
        for name, value in held.items():
            if name.startswith(_FINDING):
                findings.append(row_of(Finding, self._decode["finding"](value)))
            elif name.startswith(_CHANGE):
                changes.append(row_of(ChangeVersion, self._decode["change"](value)))
        estates.recall(findings, changes)

    def _replay(self, estates: Estates, number: int, given_up: GivenUp) -> None:
        waiting: list[Event] = []

        def see(_: bytes | None, value: bytes | None) -> None:
            try:
                waiting.append(self._event(value))
            except Undecodable:
                return  # said when it was read the first time
            if len(waiting) >= _ROWS:
                estates.see(waiting)
                waiting.clear()

        def tick(_: bytes | None, value: bytes | None) -> None:
            self._tick(estates, value)

        self._read(self._topic["control"], number, see, given_up)
        self._read(self._topic["clocks"], number, tick, given_up)
        estates.see(waiting)

    def _event(self, value: bytes | None) -> Event:
        return row_of(Event, self._decode["audit_event"](value or b""))

    def _tick(self, estates: Estates, value: bytes | None) -> str:
        """Take a clock; why it is none, or empty."""
        if value is None:
            return ""
        try:
            row = self._decode["clock"](value)
        except Undecodable as error:
            return str(error)
        estates.judge.pass_time(row["cluster"], row["time"])
        return ""

    def see(self, estates: Estates, batch: Batch) -> Iterator[Outgoing]:
        """Take a batch of `control` or `clocks` into the picture; dead letters of what is none."""
        events = []
        for record in batch.records:
            why = ""
            if batch.topic == self._topic["clocks"]:
                why = self._tick(estates, record.value)
            else:
                try:
                    events.append(self._event(record.value))
                except Undecodable as error:
                    why = str(error)
            if why:
                letter = foreign(record, why)
                batch.tally.letters[letter.reason] += 1
                value = self._encode["dead_letter"](letter)
                yield Outgoing(self._topic["dead-letters"], value, letter.id)
        estates.see(events)

    def judge(
        self, estates: Estates, number: int, tally: Tally | None = None
    ) -> Iterator[Outgoing]:
        """Judge, if there is news; what is said of it, and the state that goes with it."""
        if tally is not None:
            tally.state[self._topic["control"], number] = estates.size()
        if not estates.judge.news:
            return
        findings = estates.judged()
        changes = estates.changed()
        control = self._topic["control"]
        for finding in findings:
            if tally is not None:
                tally.say(finding)
            value = self._encode["finding"](finding)
            yield Outgoing(self._topic["findings"], value, finding.id)
            yield self._states.record(control, number, _state_name(finding), value)
        for change in changes:
            value = self._encode["change"](change)
            yield Outgoing(self._topic["changes"], value, change.id)
            yield self._states.record(control, number, _state_name(change), value)
        for name in estates.forgotten:
            yield self._states.record(control, number, name, None)
        estates.forgotten.clear()
        estates.remember(findings, changes)


def _evidence(said: Finding | ChangeVersion) -> tuple[bytes, ...]:
    return said.evidence if isinstance(said, Finding) else said.legs


def _state_name(said: Finding | ChangeVersion) -> bytes:
    return (_FINDING if isinstance(said, Finding) else _CHANGE) + said.id
