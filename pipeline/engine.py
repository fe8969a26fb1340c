"""The order, written once. Pure: no I/O, no clock, no globals; a batch in, a batch out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.batch import (
    Fact,
    Filtered,
    Ingested,
    Line,
    Reading,
    Record,
    Rejected,
    Source,
    State,
    Stream,
)
from pipeline.clocks import clock
from pipeline.errors import Reason
from pipeline.stages.enrich import Covers, Describe, address, covers, describe, enrich
from pipeline.stages.exclude import Exclude
from pipeline.stages.frame import frame
from pipeline.stages.identify import event_id
from pipeline.stages.project import project
from pipeline.stages.redact import Redactor
from pipeline.stages.reject import reject
from pipeline.stages.repeat import Moulds
from pipeline.stages.retain import Retain
from pipeline.stages.route import route
from pipeline.stages.router import Router
from pipeline.stages.unwrap import unwrap

MAX_RECORD_BYTES = 1024 * 1024
SHARED_RAW_BYTES = 8 * 1024
"""A line of several items is kept with each of them up to this length, and else with the first."""
_SLICE = 256
"""Records that go through the stages together: what one stage makes is still in the processor's
cache for the next."""
_FEW = 1
"""The same behind records that needed no stages, twice as many each time there are none again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is set up with; made once, never changed.

    Attributes:
        sources: active sources by name.
        look: what the configuration says of a principal at an address.
        redactor: how secrets are replaced.
        max_record_bytes: longer records become dead letters.
        covers: whether the configuration would know a support session by what it does.
        exclude: which events are auditstream's own work, if it has any.
        retain: the retention class of an event; None: all are of the standard one.
        moulds: what was worked out before and comes again; no result hangs on it.
    """

    sources: Mapping[str, Source]
    look: Describe = field(default_factory=lambda: describe(()))
    redactor: Redactor = field(default_factory=Redactor)
    max_record_bytes: int = MAX_RECORD_BYTES
    covers: Covers = field(default_factory=lambda: covers(()))
    exclude: Exclude | None = None
    retain: Retain | None = None
    moulds: Moulds = field(default_factory=Moulds, compare=False, repr=False)


@lru_cache(maxsize=256)
def _reading(stream: Stream) -> Reading:
    return Reading(clock(stream.zone), address, stream)


def ingest(
    plan: Plan, stream: Stream, records: Sequence[Record], state: State, final: bool = False
) -> Ingested:
    """Records of one stream, in order, to events and dead letters.

    Args:
        state: the stream's state as the batch before left it ({} at first). It is changed.
        final: nothing follows in this stream: what waits for more is given up.

    Returns:
        Events in the order of their records, dead letters, the account, and the state. Whatever
        the split into batches, the concatenated results are the same.
    """
    router = Router(plan.sources, stream.source)
    out = Ingested(state=state)
    count = out.account.records = len(records)
    reading = _reading(stream)
    start, together = 0, _SLICE
    while start < count:
        repeated = plan.moulds.cast(stream, records, start, state, reading)
        if repeated:
            out.events += repeated
            out.account.items += len(repeated)
            start, together = start + len(repeated), _FEW
        # A new one is often the only one; behind several, more are likely.
        new, together = records[start : start + together], min(2 * together, _SLICE)
        if new:
            _ingest(plan, stream, router, new, reading, False, out)
        start += len(new)
    if final or not count:
        _ingest(plan, stream, router, (), reading, final, out)
    out.account.events = len(out.events)
    return out


def _ingest(
    plan: Plan,
    stream: Stream,
    router: Router,
    records: Sequence[Record],
    reading: Reading,
    final: bool,
    out: Ingested,
) -> None:
    """Take a slice of a batch through the stages."""
    state = out.state
    lines = unwrap(
        records, state, router.by_text, plan.max_record_bytes, final, router.by_document
    )  # fmt: skip
    framed = frame(lines, state, router, final)
    items = route(framed, plan.sources, reading, state)
    out.account.items += len(items)
    for line, outcome, name, number in items:
        if isinstance(outcome, Fact):
            source = plan.sources[name]
            try:
                left_out = _complete(plan, stream, line, outcome, source, number)
                if source.repeats and left_out is None:
                    plan.moulds.learn(stream, line, outcome, source.product, reading)
            except Exception as error:
                detail = f"{type(error).__name__} behind the source: report it"
                outcome = Rejected(Reason.FAULT, detail)
            else:
                if left_out is None:
                    out.events.append(outcome.event)
                    continue
                outcome = left_out
        if isinstance(outcome, Filtered):
            out.account.count_filtered(outcome.rule)
        else:
            reader = plan.sources.get(name) or plan.sources.get(stream.source)
            letter = reject(line, outcome, reader, reading, plan.max_record_bytes, number)
            out.dead_letters.append(letter)
            reasons = out.account.dead_letters
            reasons[letter.reason] = reasons.get(letter.reason, 0) + 1


def _complete(
    plan: Plan, stream: Stream, line: Line, fact: Fact, source: Source, number: int
) -> Filtered | None:
    """Add to a source's fact what the stages do, in their order; or the rule that leaves it out."""
    event = fact.event
    enrich(fact, line, stream, plan.look, plan.covers)
    if plan.exclude is not None and (left_out := plan.exclude(event)) is not None:
        return left_out
    if plan.retain is not None:
        event.retention = plan.retain(event)
    event.raw, blank = plan.redactor.redact(fact, line.raw)
    event.id = event_id(fact, line, stream, blank, number)
    if number and len(event.raw) > SHARED_RAW_BYTES:
        # The first item has it; a copy for each would let one long line fill a disk.
        event.raw = b""
    project(fact, source.product, line.logged, line.record.received)
    return None
