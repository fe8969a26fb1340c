"""Roles: what each kind of worker reads, does with a batch, and commits.

A batch goes one way: its partition's state is there, or loaded; the work is done; everything that
came of it is sent in one transaction, with the position behind the batch and the state that goes
with it; the transaction commits, and only then the batch is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar
from uuid import uuid4

from pipeline.config import Config
from pipeline.rights import COUNTERS, WRITES
from pipeline.runtimes.kafka.application import Application, Timing, application, consume
from pipeline.runtimes.kafka.connection import client, credentials
from pipeline.runtimes.kafka.counting import CountedPartition, Counting
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.health import Watch
from pipeline.runtimes.kafka.indexing import COLUMNS, Indexing
from pipeline.runtimes.kafka.ingesting import Ingesting, RawPartition
from pipeline.runtimes.kafka.judging import Estates, Judging
from pipeline.runtimes.kafka.leading import Leading
from pipeline.runtimes.kafka.looking import Looking
from pipeline.runtimes.kafka.patience import GivenUp
from pipeline.runtimes.kafka.producing import Member, Outgoing, Sending, Transactional
from pipeline.runtimes.kafka.registry import RegistryAway
from pipeline.runtimes.kafka.reporting import Memory, Reporting
from pipeline.runtimes.kafka.states import ReadWhole, States, holder, read_whole
from pipeline.runtimes.kafka.topics import Layout, check, generation
from pipeline.runtimes.kafka.transport import Batch
from pipeline.runtimes.kafka.wires import Wires, wires
from pipeline.sinks.opensearch import Bulk
from pipeline.sinks.opensearch_client import AHEAD, connect
from pipeline.storage import longest_days
from schemas.wire import decoder, encoder

_log = logging.getLogger(__name__)
_P = TypeVar("_P")
_T = TypeVar("_T")
_AWAY_S = 2.0
_AT_ONCE = 2
"""Partitions that are worked on at once: the brokers take a third of a batch's time."""
_OBSERVATIONS = 4
"""As many as other records are one batch."""
_PAUSE_S = 0.2
"""Between two judgings, at the least: each batch that waits before it waits for one."""
_REPORTS = "reports"
_LONGEST_PAUSE_S = 20.0
_SHARE = 3
"""A judging is followed by a pause so many times as long."""


class Setting(NamedTuple):
    """What all roles of a worker are set up with.

    Attributes:
        folder: for what can be made anew.
        timing, limits, sending: of the group, of memory, of the producer.
    """

    config: Config
    folder: Path
    timing: Timing = Timing()
    limits: Limits = Limits()
    sending: Sending = Sending()

    def group(self, role: str) -> str:
        """The consumer group of a role."""
        return f"{self.config.kafka.group}-{role}"

    def read(self, role: str) -> ReadWhole:
        """Reads topics as a role; waits as long as anybody's transaction may be open."""
        settings = {**client(self.config.kafka), "group.id": self.group(role)}
        patience_s = self.sending.transaction_ms / 1000 + 30
        return partial(read_whole, settings, patience_s=patience_s)

    def states(self, role: str, layout: Layout, part: str = "") -> States:
        """The states of a role, or of one part of it."""
        topic = self.config.kafka.topic("state")
        return States(
            self.read(role), holder(role, part), topic, layout.partitions[topic], encoder("state"),
            decoder("state"),
        )  # fmt: skip


class Worked(Generic[_P]):
    """What is known of the partitions a worker has, each for one assignment after the other.

    Args:
        load: reads what is known of a partition; blocks, and leaves off where that is taken away.
        let_go: is given what is known no more.
    """

    def __init__(
        self,
        app: Application,
        load: Callable[[Batch, GivenUp], _P],
        let_go: Callable[[_P], None] = lambda _: None,
    ) -> None:
        self._app, self._load, self._let_go = app, load, let_go
        self._known: dict[tuple[str, int], tuple[Member, _P]] = {}

    async def of(self, batch: Batch, name: tuple[str, int]) -> _P:
        """What is known of a batch's partition, under `name`."""
        known = self._known.get(name)
        if known is not None and _stayed(known[0], batch.member):
            self._known[name] = batch.member, known[1]
            return known[1]
        self._drop(lambda member: not _stayed(member, batch.member))
        with self._app.watch.loading((batch.topic, batch.partition)):
            part = await self._load_one(batch)
        self._known[name] = batch.member, part
        return part

    async def _load_one(self, batch: Batch) -> _P:
        return await self._app.blocking(lambda given_up: self._load(batch, given_up))

    def _drop(self, gone: Callable[[Member], bool]) -> None:
        for name in [name for name, (member, _) in self._known.items() if gone(member)]:
            self._let_go(self._known.pop(name)[1])


def _stayed(before: Member, now: Member) -> bool:
    """Whether nobody can have had the partition in between."""
    return before.member == now.member and now.generation - before.generation in (0, 1)


Handle = Callable[[Batch], Awaitable[None]]


def _handle(
    app: Application,
    producers: list[Transactional],
    work: Callable[[Batch], Awaitable[Iterable[Outgoing]]],
) -> Handle:
    """The whole way of a batch. As many may be on it at once as there are producers."""

    async def handle(batch: Batch) -> None:
        outgoing = await _patiently(app, partial(work, batch))
        producer = producers.pop()
        try:
            await _send(producer, batch, outgoing)
        finally:
            producers.append(producer)

    return handle


def _by_part(
    parts: Worked[_P], work: Callable[[_P, Batch], Iterable[Outgoing]]
) -> Callable[[Batch], Awaitable[Iterable[Outgoing]]]:
    """Work on batches that needs what is known of their partition."""

    async def worked(batch: Batch) -> Iterable[Outgoing]:
        batch.tally.clear()
        return work(await parts.of(batch, (batch.topic, batch.partition)), batch)

    return worked


async def _patiently(app: Application, work: Callable[[], Awaitable[_T]]) -> _T:
    """Do it again until the registry says by which schema a row was written."""
    while True:
        try:
            return await work()
        except RegistryAway as error:
            _log.warning("waiting: %s", error)
            await app.pause(_AWAY_S)


async def _send(producer: Transactional, batch: Batch, outgoing: Iterable[Outgoing]) -> None:
    await producer.begin()
    await producer.send(outgoing)
    await producer.commit({(batch.topic, batch.partition): batch.end}, batch.member)


def _held(states: States, batch: Batch, given_up: GivenUp) -> dict[bytes, bytes]:
    return states.load(batch.topic, batch.partition, given_up)


def _app(role: str, setting: Setting, watch: Watch) -> Application:
    streaming = setting.config.kafka
    (setting.folder / role).mkdir(parents=True, exist_ok=True)
    return application(
        setting.group(role),
        streaming.brokers,
        setting.folder / role,
        credentials=credentials(streaming),
        limits=setting.limits,
        timing=setting.timing,
        watch=watch,
    )


def _producer(app: Application, role: str, setting: Setting) -> Transactional:
    name = f"{setting.group(role)}-{uuid4()}"
    producer = Transactional(client(setting.config.kafka), name, setting.sending)
    app.closing.append(producer.close)
    return producer


def _producers(
    app: Application, role: str, setting: Setting, count: int = _AT_ONCE
) -> list[Transactional]:
    return [_producer(app, role, setting) for _ in range(count)]


def ingest(setting: Setting, watch: Watch) -> Application:
    """The role that reads raw topics.

    Raises:
        AuditstreamError: the configuration, the cluster or its topics are not fit.
    """
    config, layout = setting.config, check(setting.config.kafka, "ingest")
    states = setting.states("ingest", layout)
    leading = Leading.of(config, layout, wires(config.kafka).encoders(WRITES["ingest"]))
    ingesting = Ingesting(config.plan(), config.active(), config.kafka, states, leading)
    app = _app("ingest", setting, watch)
    parts = Worked(app, lambda batch, given_up: RawPartition(_held(states, batch, given_up)))
    handle = _handle(app, _producers(app, "ingest", setting), _by_part(parts, ingesting.work))
    consume(app, "ingest", list(layout.raw), handle, _AT_ONCE)
    return app


def detect(setting: Setting, watch: Watch) -> Application:
    """The role that detects.

    Raises:
        AuditstreamError: the configuration, the cluster or its topics are not fit.
    """
    layout = check(setting.config.kafka, "detect")
    # They are small, and the more of one key there are the less its state is written.
    records = setting.limits.batch_records * _OBSERVATIONS
    setting = setting._replace(limits=replace(setting.limits, batch_records=records))
    app = _app("detect", setting, watch)
    held = wires(setting.config.kafka)
    _count(app, setting, layout, held)
    _judge(app, setting, layout, held)
    _report(app, setting, layout, held)
    return app


def _count(app: Application, setting: Setting, layout: Layout, held: Wires) -> None:
    streaming, states = setting.config.kafka, setting.states("detect", layout, COUNTERS)
    counting = Counting(
        setting.config.active(),
        streaming,
        states,
        held.encoders(WRITES["detect"]),
        held.decoder("observation"),
        generation(streaming, layout.counters_topic),
    )
    parts = Worked(app, lambda batch, given_up: CountedPartition(_held(states, batch, given_up)))

    def work(part: CountedPartition, batch: Batch) -> list[Outgoing]:
        return list(counting.work(part, batch))

    handle = _handle(app, _producers(app, "detect", setting), _by_part(parts, work))
    consume(app, "count", [layout.counters_topic], handle, _AT_ONCE)


def _judge(app: Application, setting: Setting, layout: Layout, held: Wires) -> None:
    config, states = setting.config, setting.states("detect", layout, "estates")
    topics = [config.kafka.topic(name) for name in ("control", "clocks")]
    judging = Judging(
        config,
        setting.read("detect"),
        states,
        layout.partitions[topics[0]],
        held.encoders(WRITES["detect"]),
        {name: held.decoder(name) for name in ("audit_event", "clock", "finding", "change")},
    )
    producer = _producer(app, "detect", setting)
    # One thread for all of it: the picture takes long to look at, and the loop has others to serve.
    thread = ThreadPoolExecutor(1, "estates")
    folder = setting.folder / "estates" / str(uuid4())
    folder.mkdir(parents=True)
    parts: Worked[Estates] = Worked(
        app,
        lambda batch, given_up: thread.submit(
            judging.load, folder, batch.partition, given_up
        ).result(),
        lambda estates: thread.submit(estates.close).result(),
    )
    not_before = 0.0

    async def handle(batch: Batch) -> None:
        nonlocal not_before
        loop = asyncio.get_running_loop()
        estates = await parts.of(batch, ("", batch.partition))

        def see() -> Awaitable[list[Outgoing]]:
            batch.tally.clear()
            return loop.run_in_executor(thread, lambda: list(judging.see(estates, batch)))

        said = await _patiently(app, see)
        if estates.judge.news:
            # What comes in the meantime is judged with the next.
            await asyncio.sleep(max(0.0, not_before - time.monotonic()))
            began = time.monotonic()
            number, tally = batch.partition, batch.tally
            said += await loop.run_in_executor(
                thread, lambda: list(judging.judge(estates, number, tally))
            )
            now = time.monotonic()
            pause = min(max(_PAUSE_S, _SHARE * (now - began)), _LONGEST_PAUSE_S)
            not_before = now + pause
        await _send(producer, batch, said)

    consume(app, "estates", topics, handle)


def _report(app: Application, setting: Setting, layout: Layout, held: Wires) -> None:
    config, states = setting.config, setting.states("detect", layout, _REPORTS)
    streaming, left = config.kafka, config.kafka.lag_left
    if not config.silence and not left:
        return
    memory = Memory(states, held, streaming.topic("findings"), streaming.topic("control"))
    settings, clock = client(streaming), held.decoder("clock")
    name = f"{setting.group('detect')}-{_REPORTS}"
    reporting = Reporting(
        app,
        config,
        memory,
        lambda: Looking(
            streaming, settings, layout.counters_topic, clock, left, bool(config.silence)
        ),
        lambda: Transactional(settings, name, setting.sending),
    )
    app.closing.append(reporting.close)
    app.task(reporting.run)


def index(setting: Setting, watch: Watch) -> Application:
    """The role that indexes.

    Raises:
        AuditstreamError: the configuration, the cluster or its topics are not fit, or OpenSearch.
    """
    config = setting.config
    check(config.kafka, "index")
    client = connect(config.opensearch)
    app = _app("index", setting, watch)
    bulk = Bulk(client, config.opensearch.at_once, app.pause, watch.meters.sent)
    watch.store = bulk
    app.closing.append(bulk.close)
    held = wires(config.kafka)
    names = ("audit_event", "finding", "change", "dead_letter", "account")
    indexing = Indexing(
        bulk,
        config.kafka,
        held.columns("audit_event", COLUMNS),
        {name: held.decoder(name) for name in names},
        held.encoder("dead_letter"),
        longest_days(config.retention),
    )
    # While OpenSearch writes one batch, others are made ready.
    at_once = config.opensearch.at_once
    handle = _handle(app, _producers(app, "index", setting, at_once), indexing.index)
    consume(app, "index", indexing.patient, handle, at_once)
    handle = _handle(app, _producers(app, "index", setting, AHEAD), indexing.index)
    consume(app, "findings", indexing.urgent, handle, AHEAD)
    return app


ROLES: dict[str, Callable[[Setting, Watch], Application]] = {
    "ingest": ingest,
    "detect": detect,
    "index": index,
}
"""By name, what sets a role up."""
