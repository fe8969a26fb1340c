"""The embedded runtime: one process, no server, no network; files in, one SQLite file out.

Streams are merged by event time, so that three brokers' logs read side by side are not late to
each other. What a batch led to (events, findings, dead letters, states, positions) is committed in
one transaction: a killed run goes on where it was, and a second run adds nothing.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from pipeline.batch import Account
from pipeline.config import Config, Input
from pipeline.runtimes.inputs import Found, Inputs
from pipeline.runtimes.judge import Judge
from pipeline.runtimes.lanes import Chunk, Lane, Stride
from pipeline.runtimes.merge import Ahead, Feed, Taken, merged
from pipeline.sinks.sqlite import SqliteStore, StreamRow
from pipeline.stages.detect import detect, sightings
from schemas.types import DeadLetter, Event

COMMIT_EVENTS = 10_000
CHUNKS_AHEAD = 4
"""Made while SQLite commits, which takes as long as three of them."""
_COLLECTED_OBJECTS = 100_000
_SWITCH_S = 0.000_2
_PATIENCE_S = 1.0
"""How long what was written waits in an open transaction for more of a slow input."""


@dataclass(slots=True)
class Summary(Found):
    """What a run did, and what the store then holds.

    Attributes:
        account: of this run.
        findings: ids of those it raised or amended.
        late: events that came behind a detector's horizon.
        unread: by input, lines by logger that no source reads yet.
        store: what the store holds, of all runs.
    """

    account: Account = field(default_factory=Account)
    findings: set[bytes] = field(default_factory=set)
    late: int = 0
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    store: dict[str, int] = field(default_factory=dict)


class Embedded(Inputs):
    """One run over bounded inputs, or with :mod:`pipeline.runtimes.follow` over growing ones."""

    def __init__(
        self,
        config: Config,
        inputs: Sequence[Input],
        store: SqliteStore,
        progress: Callable[[str, int], None],
    ) -> None:
        super().__init__(config, inputs, config.plan())
        self.store, self.progress = store, progress
        self.judge = Judge(config.active_estates(), store, config.estate_of)
        self.summary = self.found = Summary()
        self._written = 0
        self._held = ExitStack()

    def run(self) -> Summary:
        """Read every input to its end.

        Raises:
            InputError: an input does not exist or cannot be read.
            StoreError: the store cannot be written.
        """
        with self._held:
            lanes = self.lanes()
            stride = self.stride(len(lanes))
            self.drain([(lane, lane.chunks(stride)) for lane in lanes], stride)
            return self.finish(lanes)

    def finish(self, lanes: Iterable[Lane]) -> Summary:
        """Judge what there is; the summary, with what the store holds and the lanes have to say."""
        self.summary.findings |= self.judge.now()
        self._report_estates()
        for lane in lanes:
            self.summary.complaints += lane.complaints
            self.summary.unusable += lane.refused
            if unread := lane.unread():
                self.summary.unread[lane.stream.carrier] = unread
        total = Account()
        for account in self.store.accounts():
            total.add(Account(**orjson.loads(account)))
        self.summary.stopped = self.stop
        self.summary.store = {
            "records": total.records,
            "items": total.items,
            "events": self.store.taken(),
            "removed": sum(one["events"] for one in self.store.removals()),
            "duplicates": total.duplicates,
            "filtered": sum(total.filtered.values()),
            "dead_letters": self.store.count("dead_letters"),
            "findings": self.store.settled(),
        }
        return self.summary

    def _report_estates(self) -> None:
        """Support records are held against nothing where no input is of the estate they name."""
        there = {*(given.cluster for given in self.inputs), *self.store.clusters()}
        known = {self.config.estate_of(label) for label in there}
        known |= {estate.name for estate in self.config.estates}
        for name in sorted(self.judge.named - known):
            self.summary.complaints.append(
                f"support records name the estate {name!r}, which is no [[estates]] name and no "
                "input's cluster: what was done there is not held against them"
            )

    # What there is to read.

    def kept(self, key: bytes) -> StreamRow | None:
        """The stream's row in the store."""
        return self.store.stream(key)

    def add_topics(self, topics: Sequence[Input], lanes: dict[bytes, Lane]) -> None:
        """Read recorded topics to their end, and add their streams."""
        # Kafka's client is loaded by those who read topics alone.
        from pipeline.runtimes.kafka.recorded import Recorded

        recorded = self._held.enter_context(Recorded(self.config, lambda: self.stop))
        for given in topics:
            recorded.fetch(given)
        for stream, replay in recorded.replays():
            start = replay.first_time(self.look(stream))
            lane = self.lane_for(stream, start)
            lanes.setdefault(lane.row.key, lane).replay = replay

    def pause(self) -> None:
        """Judge what has come, if it is time."""
        self.summary.findings |= self.judge.soon()

    # Reading and writing.

    def drain(self, feeds: Iterable[Feed], stride: Stride) -> None:
        """Take chunks in order of their earliest event, across all lanes, and write them."""
        with tuned(), Ahead(merged(feeds, stride), CHUNKS_AHEAD) as ahead:
            try:
                while not self.stop and (taken := self._next(ahead)):
                    with self.store.transaction():
                        self._fill(taken, ahead)
            except BaseException:
                # Whatever waits for a slow input must not wait for ever.
                self.stop = True
                raise

    def _next(self, ahead: Ahead) -> Taken | None:
        while not self.stop:
            with suppress(TimeoutError):
                return ahead.take(_PATIENCE_S)
        return None

    def _fill(self, taken: Taken | None, ahead: Ahead) -> None:
        """Write chunks until it is time to commit."""
        self._written = 0
        while taken is not None:
            self.apply(*taken)
            if self._written >= COMMIT_EVENTS or self.stop:
                return
            try:
                taken = ahead.take(_PATIENCE_S)
            except TimeoutError:
                # What a slow input led to is to be seen before its next line comes.
                return

    def apply(self, lane: Lane, chunk: Chunk) -> None:
        """Write one chunk and all it leads to. Inside a transaction."""
        store, result, course = self.store, chunk.result, chunk.course
        if course.aside and chunk.tail is not None and not course.diverged:
            # What is unfinished in a copy goes on in the file that is longer.
            return
        if chunk.undo:
            self._undo(lane)
        fresh, letters = self.store.fresh(result.events), self._fresh_letters(result.dead_letters)
        account = result.account
        account.events = len(fresh)
        account.dead_letters = {}
        for letter in letters:
            account.dead_letters[letter.reason] = account.dead_letters.get(letter.reason, 0) + 1
        known = len(result.dead_letters) - len(letters)
        account.duplicates = len(result.events) - len(fresh) + known
        detected = detect(self.active, fresh, store.state_of)
        if detected.late:
            for event in fresh:
                if event.id in detected.late:
                    _mark_late(event)
        store.write_events(fresh)
        self.judge.note(fresh)
        store.write_dead_letters(letters)
        store.write_findings(detected.findings)
        store.touch(detected.touched)
        self._keep(lane, chunk, fresh, letters)
        self.summary.account.add(account)
        self.summary.late += len(detected.late)
        self.summary.findings.update(f.id for f in detected.findings)
        self._written += len(fresh) + 1 + account.records // 10
        self.progress(chunk.row.carrier, account.records)

    def _fresh_letters(self, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
        by_id = {d.id: d for d in letters}
        known = self.store.known_dead_letters(list(by_id.values()))
        return [d for i, d in by_id.items() if i not in known]

    def _keep(
        self, lane: Lane, chunk: Chunk, fresh: Sequence[Event], letters: Sequence[DeadLetter]
    ) -> None:
        """Write where the stream stands, and what was counted in it."""
        account, row = chunk.result.account, chunk.row
        if chunk.course.aside:
            # What was counted at these positions before is not counted again.
            account = Account(0, len(fresh) + len(letters), len(fresh), 0, {}, account.dead_letters)
            row = lane.kept
            if not account.items:
                return
            chunk.course.diverged = True
        elif chunk.tail is not None:
            lane.ending = {
                "tail": chunk.tail,
                "account": asdict(account),
                "events": [[e.time, e.id.hex()] for e in fresh],
                "dead_letters": [d.id.hex() for d in letters],
            }
        lane.account.add(account)
        ending = orjson.dumps(lane.ending, default=list) if lane.ending else b""
        lane.kept = replace(row, account=orjson.dumps(asdict(lane.account)), ending=ending)
        self.store.write_stream(lane.kept)

    def _undo(self, lane: Lane) -> None:
        """Take back what the end of an input led to that has grown since."""
        ending, lane.ending = lane.ending, {}
        self.store.delete_dead_letters(bytes.fromhex(i) for i in ending["dead_letters"])
        gone = self.store.delete_events((t, bytes.fromhex(i)) for t, i in ending["events"])
        self.judge.note(gone)
        lane.account.subtract(Account(**ending["account"]))
        for key, seen in sightings(self.active, gone).items():
            state, names = self.store.state_of(key), {e.id.hex() for e, _ in seen.evidence}
            state["evidence"] = [e for e in state["evidence"] if e[1] not in names]
            self.store.touch([key])


@contextmanager
def tuned() -> Iterator[None]:
    """The interpreter as this work wants it, and afterwards as it was.

    The engine makes many objects and no cycles: to be looked through every few hundred of them
    costs a third of its time. And whoever comes back from SQLite waits for the lock as long as the
    engine may hold it: 5 ms for each statement would eat up what the second thread gains.
    """
    before, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(_COLLECTED_OBJECTS, 50, 50)
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        sys.setswitchinterval(interval)


def _mark_late(event: Event) -> None:
    event.carriage.late = True
    document: dict[str, Any] = orjson.loads(event.ocsf)
    document["auditstream"]["carriage"]["late"] = True
    event.ocsf = orjson.dumps(document)
