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
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import uuid4

from pipeline.config import Config
from pipeline.runtimes.judge import PAUSE_S
from pipeline.runtimes.kafka.application import Application, Timing, application, consume
from pipeline.runtimes.kafka.connection import client, credentials
from pipeline.runtimes.kafka.counting import CountedPartition, Counting
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.ingesting import Ingesting, RawPartition
from pipeline.runtimes.kafka.judging import Estates, Judging
from pipeline.runtimes.kafka.producing import Member, Outgoing, Sending, Transactional
from pipeline.runtimes.kafka.registry import RegistryAway
from pipeline.runtimes.kafka.states import States
from pipeline.runtimes.kafka.topics import COUNTERS, WRITES, Layout, check, generation
from pipeline.runtimes.kafka.transport import Batch
from pipeline.runtimes.kafka.wires import TOPICS, Wires, wires
from schemas.wire import Encode, decoder, encoder

_log = logging.getLogger(__name__)
_P = TypeVar("_P")
_T = TypeVar("_T")
_AWAY_S = 2.0
_AT_ONCE = 2
"""Partitions that are worked on at once: the brokers take a third of a batch's time."""
_OBSERVATIONS = 4
"""As many as other records are one batch."""
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

    def states(self, role: str, layout: Layout, part: str = "") -> States:
        """The states of a role, or of one part of it."""
        topic = self.config.kafka.topic("state")
        settings, group = client(self.config.kafka), self.group(role)
        name = f"{role}-{part}" if part else role
        return States(
            settings, group, name, topic, layout.partitions[topic], encoder("state"),
            decoder("state"), self.sending.transaction_ms / 1000 + 30,
        )  # fmt: skip


class Worked(Generic[_P]):
    """What is known of the partitions a worker has, each for one assignment after the other.

    Args:
        load: reads what is known of a partition; blocks.
        let_go: is given what is known no more.
    """

    def __init__(
        self, load: Callable[[Batch], _P], let_go: Callable[[_P], None] = lambda _: None
    ) -> None:
        self._load, self._let_go = load, let_go
        self._known: dict[tuple[str, int], tuple[Member, _P]] = {}

    async def of(self, batch: Batch, name: tuple[str, int]) -> _P:
        """What is known of a batch's partition, under `name`."""
        known = self._known.get(name)
        if known is not None and _stayed(known[0], batch.member):
            self._known[name] = batch.member, known[1]
            return known[1]
        self._drop(lambda member: not _stayed(member, batch.member))
        part = await self._load_one(batch)
        self._known[name] = batch.member, part
        return part

    async def _load_one(self, batch: Batch) -> _P:
        return await asyncio.get_running_loop().run_in_executor(None, self._load, batch)

    def _drop(self, gone: Callable[[Member], bool]) -> None:
        for name in [name for name, (member, _) in self._known.items() if gone(member)]:
            self._let_go(self._known.pop(name)[1])


def _stayed(before: Member, now: Member) -> bool:
    """Whether nobody can have had the partition in between."""
    return before.member == now.member and now.generation - before.generation in (0, 1)


Handle = Callable[[Batch], Awaitable[None]]


def _handle(
    producers: list[Transactional],
    parts: Worked[_P],
    work: Callable[[_P, Batch], Iterable[Outgoing]],
) -> Handle:
    """The whole way of a batch. As many may be on it at once as there are producers."""

    async def handle(batch: Batch) -> None:
        part = await parts.of(batch, (batch.topic, batch.partition))

        async def worked() -> Iterable[Outgoing]:
            return work(part, batch)

        outgoing = await _patiently(worked)
        producer = producers.pop()
        try:
            await _send(producer, batch, outgoing)
        finally:
            producers.append(producer)

    return handle


async def _patiently(work: Callable[[], Awaitable[_T]]) -> _T:
    """Do it again until the registry says by which schema a row was written."""
    while True:
        try:
            return await work()
        except RegistryAway as error:
            _log.warning("waiting: %s", error)
            await asyncio.sleep(_AWAY_S)


async def _send(producer: Transactional, batch: Batch, outgoing: Iterable[Outgoing]) -> None:
    await producer.begin()
    await producer.send(outgoing)
    await producer.commit({(batch.topic, batch.partition): batch.end}, batch.member)


def _app(role: str, setting: Setting) -> Application:
    streaming = setting.config.kafka
    (setting.folder / role).mkdir(parents=True, exist_ok=True)
    return application(
        setting.group(role),
        streaming.brokers,
        setting.folder / role,
        credentials=credentials(streaming),
        limits=setting.limits,
        timing=setting.timing,
    )


def _producer(app: Application, role: str, setting: Setting) -> Transactional:
    name = f"{setting.group(role)}-{uuid4()}"
    producer = Transactional(client(setting.config.kafka), name, setting.sending)
    app.closing.append(producer.close)
    return producer


def _producers(app: Application, role: str, setting: Setting) -> list[Transactional]:
    return [_producer(app, role, setting) for _ in range(_AT_ONCE)]


def _encoders(held: Wires, topics: Iterable[str]) -> dict[str, Encode]:
    """By name of schema, how rows are written to these of our topics."""
    # One row goes to both, as it is.
    named = [topic for topic in topics if topic not in ("state", "control")]
    return {TOPICS[topic]: held.encoder(TOPICS[topic], topic) for topic in named}


def ingest(setting: Setting) -> Application:
    """The role that reads raw topics.

    Raises:
        AuditstreamError: the configuration, the cluster or its topics are not fit.
    """
    config, layout = setting.config, check(setting.config.kafka, "ingest")
    states = setting.states("ingest", layout)
    ingesting = Ingesting(
        config.plan(),
        config.active(),
        config.kafka,
        states,
        _encoders(wires(config.kafka), WRITES["ingest"]),
        layout.counters_topic,
        layout.partitions[config.kafka.topic("control")],
        config.estate_of,
    )
    app = _app("ingest", setting)
    parts = Worked(lambda batch: RawPartition(states.load(batch.topic, batch.partition)))
    consume(
        app,
        "ingest",
        list(layout.raw),
        _handle(_producers(app, "ingest", setting), parts, ingesting.work),
        _AT_ONCE,
    )
    return app


def detect(setting: Setting) -> Application:
    """The role that detects.

    Raises:
        AuditstreamError: the configuration, the cluster or its topics are not fit.
    """
    layout = check(setting.config.kafka, "detect")
    # They are small, and the more of one key there are the less its state is written.
    records = setting.limits.batch_records * _OBSERVATIONS
    setting = setting._replace(limits=replace(setting.limits, batch_records=records))
    app = _app("detect", setting)
    _count(app, setting, layout)
    _judge(app, setting, layout)
    return app


def _count(app: Application, setting: Setting, layout: Layout) -> None:
    streaming, states = setting.config.kafka, setting.states("detect", layout, COUNTERS)
    held = wires(streaming)
    counting = Counting(
        setting.config.active(),
        streaming,
        states,
        _encoders(held, WRITES["detect"]),
        held.decoder("observation"),
        generation(streaming, layout.counters_topic),
    )
    parts = Worked(lambda batch: CountedPartition(states.load(batch.topic, batch.partition)))
    producers = _producers(app, "detect", setting)

    def work(part: CountedPartition, batch: Batch) -> list[Outgoing]:
        return list(counting.work(part, batch))

    consume(app, "count", [layout.counters_topic], _handle(producers, parts, work), _AT_ONCE)


def _judge(app: Application, setting: Setting, layout: Layout) -> None:
    config, states = setting.config, setting.states("detect", layout, "estates")
    topics = [config.kafka.topic(name) for name in ("control", "clocks")]
    settings: dict[str, Any] = {**client(config.kafka), "group.id": setting.group("detect")}
    held = wires(config.kafka)
    judging = Judging(
        config,
        settings,
        states,
        layout.partitions[topics[0]],
        _encoders(held, WRITES["detect"]),
        {name: held.decoder(name) for name in ("audit_event", "clock", "finding", "change")},
        setting.sending.transaction_ms / 1000 + 30,
    )
    producer = _producer(app, "detect", setting)
    # One thread for all of it: the picture takes long to look at, and the loop has others to serve.
    thread = ThreadPoolExecutor(1, "estates")
    folder = setting.folder / "estates" / str(uuid4())
    folder.mkdir(parents=True)
    parts: Worked[Estates] = Worked(
        lambda batch: thread.submit(judging.load, folder, batch.partition).result(),
        lambda estates: thread.submit(estates.close).result(),
    )
    not_before = 0.0

    async def handle(batch: Batch) -> None:
        nonlocal not_before
        loop = asyncio.get_running_loop()
        estates = await parts.of(batch, ("", batch.partition))

        def see() -> Awaitable[list[Outgoing]]:
            return loop.run_in_executor(thread, lambda: list(judging.see(estates, batch)))

        said = await _patiently(see)
        if estates.judge.news:
            # What comes in the meantime is judged with the next.
            await asyncio.sleep(max(0.0, not_before - time.monotonic()))
            began = time.monotonic()
            number = batch.partition
            said += await loop.run_in_executor(thread, lambda: list(judging.judge(estates, number)))
            now = time.monotonic()
            pause = min(max(PAUSE_S, _SHARE * (now - began)), _LONGEST_PAUSE_S)
            not_before = now + pause
        await _send(producer, batch, said)

    consume(app, "estates", topics, handle)


ROLES: dict[str, Callable[[Setting], Application]] = {"ingest": ingest, "detect": detect}
"""By name, what sets a role up."""
