"""The embedded runtime: one process, no server, no network; files in, one SQLite file out.

Streams are merged by event time, so that three brokers' logs read side by side are not late to
each other. What a batch led to (events, findings, dead letters, states, positions) is committed in
one transaction: a killed run goes on where it was, and a second run adds nothing.
"""

from __future__ import annotations

import heapq
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

import orjson

from pipeline.batch import Account, Reading, Stream
from pipeline.clocks import clock
from pipeline.collectors.files import Spooled, discover, identify, open_stream
from pipeline.config import Config, Input
from pipeline.engine import Plan
from pipeline.runtimes.lanes import Chunk, Lane
from pipeline.sinks.sqlite import SqliteStore, StreamRow
from pipeline.stages.detect import Active, detect
from pipeline.stages.enrich import address
from pipeline.stages.identify import digest
from pipeline.stages.recognise import Look, recogniser
from schemas.types import Event

COMMIT_EVENTS = 10_000
_SPOOLED_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class Summary:
    """What a run did, and what the store then holds."""

    account: Account = field(default_factory=Account)
    findings: set[bytes] = field(default_factory=set)
    late: int = 0
    unrecognised: list[str] = field(default_factory=list)
    unread: dict[str, dict[str, int]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    stopped: bool = False
    store: dict[str, int] = field(default_factory=dict)


class Embedded:
    """One run over bounded inputs, or with :mod:`pipeline.runtimes.follow` over growing ones."""

    def __init__(
        self,
        config: Config,
        inputs: Sequence[Input],
        store: SqliteStore,
        progress: Callable[[str, int], None],
    ) -> None:
        self.config, self.inputs, self.store = config, inputs, store
        self.progress = progress
        self.plan: Plan = config.plan()
        self.active: Active = config.active()
        self.summary = Summary()
        self.stop = False
        self._written = 0

    def run(self) -> Summary:
        """Read every input to its end.

        Raises:
            InputError: an input does not exist or cannot be read.
            StoreError: the store cannot be written.
        """
        lanes = self.lanes()
        self._drain(lanes)
        for lane in lanes:
            self.summary.complaints += lane.complaints
        return self.finish()

    def finish(self) -> Summary:
        """The summary, with what the store holds."""
        total = Account()
        for row in self.store.streams():
            total.add(Account(**orjson.loads(row.account)))
        self.summary.stopped = self.stop
        self.summary.store = {
            "records": total.records,
            "items": total.items,
            "events": self.store.count("events"),
            "duplicates": total.duplicates,
            "filtered": sum(total.filtered.values()),
            "dead_letters": self.store.count("dead_letters"),
            "findings": self.store.settled(),
        }
        return self.summary

    # What there is to read.

    def lanes(self) -> list[Lane]:
        """One lane per stream, in order of its first time."""
        lanes: dict[bytes, Lane] = {}
        for given in self.inputs:
            if given.path == "-":
                lane = self._standard_input(given)
                lanes[lane.row.key] = lane
                continue
            for path in discover(given.path):
                found = self.lane(given, path)
                if found is None:
                    self.summary.unrecognised.append(str(path))
                elif found.row.key in lanes:
                    lanes[found.row.key].files.append(path)
                else:
                    lanes[found.row.key] = found
        for lane in lanes.values():
            # The longest first: a shorter copy then has nothing to add.
            lane.files.sort(key=lambda p: (p.suffix == ".gz", -p.stat().st_size if p.name else 0))
        return sorted(lanes.values(), key=lambda x: -(2**62) if x.start is None else x.start)

    def lane(self, given: Input, path: Path) -> Lane | None:
        """The lane of a file, or None where nothing in it is read."""
        look = self.look(given, str(path))
        with open_stream(path) as file:
            what = identify(file, lambda v: look(v).dated, lambda v: look(v).ours)
        if given.source == "auto" and not what.recognised:
            return None
        return self.make(given, path, what.origin, look(what.first).time if what.first else None)

    def look(self, given: Input, path: str) -> Callable[[bytes], Look]:
        """What tells a line of this input."""
        stream = Stream(given.source, given.cluster, given.host_of(path), zone=given.zone)
        reading = Reading(clock(given.zone), address, stream)
        return recogniser(
            self.plan.sources, given.source, reading, self.plan.max_record_bytes
        )

    def make(self, given: Input, path: Path, origin: bytes, start: int | None) -> Lane:
        """A lane from its row in the store, or a fresh one."""
        host = given.host_of(str(path))
        key = digest(
            16, [b"stream", given.source.encode(), given.cluster.encode(), host.encode(), origin]
        )
        row = self.store.stream(key) or StreamRow(
            key, given.source, given.cluster, host, str(path), 0, b"", "", b"{}", b"", b""
        )
        stream = Stream(given.source, given.cluster, host, origin, str(path), given.zone)
        return Lane(self.plan, stream, [path], start, row)

    def _standard_input(self, given: Input) -> Lane:
        look = self.look(given, "-")
        head = b""
        while len(head) < _SPOOLED_BYTES:
            data = sys.stdin.buffer.read1(65_536)
            head += data
            if not data or any(look(line).dated for line in head.split(b"\n")[:-1]):
                break
        first = next((v for v in head.split(b"\n")[:-1] if look(v).dated), head)
        lane = self.make(given, Path("-"), sha256(first).digest(), None)
        # A pipe cannot be resumed: what was read before is known by its ids.
        lane.row.position, lane.row.state, lane.row.ending = 0, b"{}", b""
        lane.spooled = Spooled(head, sys.stdin.buffer)
        return lane

    # The merge.

    def _drain(self, waiting: list[Lane]) -> None:
        """Take chunks in order of their earliest event, across all lanes."""
        span = None
        if len(waiting) > 1:
            span = min((s.horizon_s * 250 for _, s in self.active), default=None)
        ticket = itertools.count()
        heap: list[tuple[int, int, Chunk, Lane, Iterator[Chunk]]] = []
        upcoming = list(reversed(waiting))

        def push(lane: Lane, chunks: Iterator[Chunk]) -> None:
            chunk = next(chunks, None)
            if chunk is not None:
                heapq.heappush(heap, (chunk.first_time, next(ticket), chunk, lane, chunks))

        while (heap or upcoming) and not self.stop:
            with self.store.transaction():
                self._written = 0
                while (heap or upcoming) and self._written < COMMIT_EVENTS:
                    while upcoming and (
                        not heap or upcoming[-1].start is None or upcoming[-1].start <= heap[0][0]
                    ):
                        lane = upcoming.pop()
                        push(lane, lane.chunks(span))
                    if not heap:
                        break
                    _, _, chunk, lane, chunks = heapq.heappop(heap)
                    self.apply(lane, chunk)
                    push(lane, chunks)

    def apply(self, lane: Lane, chunk: Chunk) -> None:
        """Write one chunk and all it leads to. Inside a transaction."""
        store, account = self.store, chunk.result.account
        if chunk.undone:
            self._undo(lane, chunk.undone)
        fresh = self._fresh(chunk.result.events)
        account.events = len(fresh)
        account.duplicates = len(chunk.result.events) - len(fresh)
        detected = detect(self.active, fresh, store.state_of)
        for event in fresh:
            if event.id in detected.late:
                _mark_late(event)
        store.write_events(fresh)
        store.write_dead_letters(chunk.result.dead_letters)
        store.write_findings(detected.findings)
        store.touch(detected.touched)
        lane.account.add(account)
        self.summary.account.add(account)
        self.summary.late += len(detected.late)
        self.summary.findings.update(f.id for f in detected.findings)
        self._note_unread(lane, account)
        row = lane.row
        if chunk.position >= row.position or chunk.ending is None:
            row.position, row.digest = chunk.position, chunk.digest
        ending = orjson.dumps(chunk.ending) if chunk.ending is not None else b""
        account_bytes = orjson.dumps(asdict(lane.account))
        store.write_stream(
            StreamRow(
                row.key, row.source, row.cluster, row.host, row.carrier, row.position, row.digest,
                row.readers, chunk.state, account_bytes, ending,
            )
        )  # fmt: skip
        row.ending = ending
        self._written += len(fresh) + 1 + account.records // 10
        self.progress(lane.stream.carrier, account.records)

    def _fresh(self, events: Sequence[Event]) -> list[Event]:
        """Events the store does not hold, each once."""
        by_id = {e.id: e for e in events}
        known = self.store.known(list(by_id.values()))
        return [e for i, e in by_id.items() if i not in known]

    def _undo(self, lane: Lane, ending: dict[str, object]) -> None:
        """Take back what the end of an input led to that has grown since."""
        letters = ending["dead_letters"]
        events = ending["events"]
        assert isinstance(letters, list) and isinstance(events, list)
        self.store.delete_dead_letters(bytes.fromhex(i) for i in letters)
        self.store.delete_events(bytes.fromhex(i) for i in events)
        before = Account(**ending["account"])  # type: ignore[arg-type]
        lane.account.subtract(before)

    def _note_unread(self, lane: Lane, account: Account) -> None:
        for rule, count in account.filtered.items():
            if rule.startswith("unread:"):
                loggers = self.summary.unread.setdefault(lane.stream.carrier, {})
                logger = rule.removeprefix("unread:")
                loggers[logger] = loggers.get(logger, 0) + count


def _mark_late(event: Event) -> None:
    event.carriage.late = True
    document = orjson.loads(event.ocsf)
    document["auditstream"]["carriage"]["late"] = True
    event.ocsf = orjson.dumps(document)

