"""A Faust application as all roles use it, and the one way in which work is done in batches.

Every setting that decides on loss, memory or exposure is written down here, for Faust's defaults
are for other aims (its commit interval is 2.8 s, a worker killed is missed after a minute, and its
web server shows tables to whoever asks).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import faust
from faust.serializers.schemas import Schema
from faust.streams import Stream
from faust.types import AppT, ChannelT, Message, StreamT
from faust.types.auth import CredentialsT

from pipeline.runtimes.kafka.fetching import Lane, Limits
from pipeline.runtimes.kafka.health import Watch
from pipeline.runtimes.kafka.logs import THEIRS
from pipeline.runtimes.kafka.patience import GivenUp, LeftOff
from pipeline.runtimes.kafka.producing import Member, NotDelivered
from pipeline.runtimes.kafka.transport import Batch, BatchConsumer, BatchTransport

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A batch must be handled within `rebalance_s`, or its worker is put out of the group.

    `session_s` is how long a worker that was killed is waited for before others take over.
    """

    session_s: float = 20.0
    heartbeat_s: float = 3.0
    rebalance_s: float = 60.0
    request_s: float = 40.0
    poll_s: float = 300.0
    commit_s: float = 1.0


_BEAT_S = 1.0


class Leaving(Exception):
    """A batch is given up while it waits, because its partition is being taken away."""


class Application(faust.App):
    """Faust with the transport for batches.

    `closing` is called when it has stopped, whether it was asked to or failed. `watch` is told what
    becomes of the work.
    """

    logger = THEIRS
    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.closing: list[Callable[[], None]] = []
        self.watch = Watch(str(arguments[0]))

    async def on_start(self) -> None:
        """Start, and let it be seen that the loop turns."""
        await super().on_start()
        self.add_future(self._beat())

    async def _beat(self) -> None:
        while not self.should_stop:
            consumer: object = self.consumer
            # Faust's own transport can be set in the place of ours, to be measured beside it.
            self.watch.beat(consumer.positions if isinstance(consumer, BatchConsumer) else {})
            await asyncio.sleep(_BEAT_S)

    async def pause(self, seconds: float) -> None:
        """Wait for something outside, while a batch is handled and nothing of it is sent.

        Raises:
            Leaving: the partition is another worker's now, or soon. To be passed on.
        """
        transport = self.transport
        assert isinstance(transport, BatchTransport)
        try:
            await asyncio.wait_for(transport.leaving.wait(), seconds)
        except TimeoutError:
            return
        raise Leaving

    async def blocking(self, work: Callable[[GivenUp], _T]) -> _T:
        """Do in a thread what may wait for others, while nothing of a batch is sent.

        `work` asks whether it is to leave off, and raises `LeftOff` where it does.

        Raises:
            Leaving: as :meth:`pause` does.
        """
        transport = self.transport
        assert isinstance(transport, BatchTransport)
        given_up = threading.Event()
        doing = asyncio.get_running_loop().run_in_executor(None, work, given_up.is_set)
        # Cancelled, nobody asks what became of it.
        doing.add_done_callback(lambda done: done.cancelled() or done.exception())
        leaving = asyncio.create_task(transport.leaving.wait())
        try:
            await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                given_up.set()
            return await doing
        except LeftOff:
            raise Leaving from None
        finally:
            given_up.set()
            leaving.cancel()

    async def stop(self) -> None:
        """Stop; what waits for something outside is given up."""
        self.watch.stopping = True
        if isinstance(self.transport, BatchTransport):
            self.transport.leaving.set()
        await super().stop()

    async def on_stop(self) -> None:
        """Stop, and then let go of what the work was done with."""
        await super().on_stop()
        for close in self.closing:
            await asyncio.get_running_loop().run_in_executor(None, close)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self, self.limits, self.watch)


def application(
    group: str,
    brokers: str,
    folder: Path,
    *,
    credentials: CredentialsT | None = None,
    limits: Limits | None = None,
    timing: Timing | None = None,
    watch: Watch | None = None,
) -> Application:
    """An application that reads as consumer group `group` from `brokers` ("host:port,host:port").

    `folder` is where Faust may keep files. At least once: exactly_once of Faust loses and repeats
    (faust#323, #177). Declares no topics and opens no port.
    """
    timing, limits = timing or Timing(), limits or Limits()
    app = Application(
        group,
        broker=";".join(f"kafka://{broker.strip()}" for broker in brokers.split(",")),
        broker_credentials=credentials,
        datadir=str(folder),
        store="memory://",
        processing_guarantee="at_least_once",
        key_serializer="raw",
        value_serializer="raw",
        broker_session_timeout=timing.session_s,
        broker_heartbeat_interval=timing.heartbeat_s,
        broker_rebalance_timeout=timing.rebalance_s,
        broker_request_timeout=timing.request_s,
        broker_max_poll_interval=timing.poll_s,
        broker_commit_interval=timing.commit_s,
        broker_check_crcs=True,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=limits.fetch_bytes,
        producer_acks=-1,
        # What was begun before a rebalance or a stop is finished and committed in it.
        stream_wait_empty=True,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
        autodiscover=False,
    )
    app.limits = limits
    app.watch = watch or app.watch
    return app


class _Untouched(Schema[Any, Any]):
    """What the transport made of it goes to the agent as it is: nothing is unpickled or parsed."""

    def loads_key(self, app: AppT, message: Message, **_: Any) -> Any:  # noqa: ARG002
        return message.key

    def loads_value(self, app: AppT, message: Message, **_: Any) -> Any:  # noqa: ARG002
        return message.value


def consume(
    app: Application,
    name: str,
    topics: list[str],
    handle: Callable[[Batch], Awaitable[None]],
    at_once: int = 1,
) -> None:
    """Have `handle` do the work of each batch of `topics`, those of one partition one by one.

    A batch is acknowledged, and its offset may be committed, when `handle` returns. So it must
    first await the flush of all it produced. If it raises, the worker ends with that error and the
    batch is read again by whoever takes over. Cancelled (at shutdown), or given up while it waits
    (`Application.pause`), the batch is not acknowledged either. To be called before the application
    starts.

    Args:
        at_once: of how many partitions batches are handled at the same time: while one waits for
            the brokers another is worked on.
    """
    transport = app.transport
    assert isinstance(transport, BatchTransport)
    lane = Lane()
    transport.lanes.update(dict.fromkeys(topics, lane))
    app.watch.begins(name, topics)
    channel = app.topic(*topics, schema=_Untouched())
    # `app.topic` takes this as an argument and forgets it: 4,096 batches would be queued.
    channel.maxsize = app.limits.queued

    async def work(stream: StreamT[Batch]) -> None:
        # Faust acknowledges by itself whatever an agent lets go of, failed or not.
        queue = cast(ChannelT[Batch], stream.channel).queue
        lane.room = lambda: queue.maxsize - queue.qsize()
        await _Work(app, name, handle, at_once).through(cast(Stream[Batch], stream).noack())

    app.agent(channel, name=name, concurrency=1)(work)


class _Work:
    """An agent's work: batches as they come, several at once, those of a partition in turn."""

    def __init__(
        self,
        app: Application,
        name: str,
        handle: Callable[[Batch], Awaitable[None]],
        at_once: int,
    ) -> None:
        self._app, self._name, self._handle = app, name, handle
        self._free = asyncio.Semaphore(at_once)
        self._turns: dict[tuple[str, int], asyncio.Lock] = {}
        self._left: Member | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    async def through(self, stream: StreamT[Batch]) -> None:
        """Work until cancelled, or until a batch fails."""
        try:
            async for event in stream.events():
                await self._free.acquire()
                # Whoever comes first waits first: a lock is given in the order of asking.
                task = asyncio.create_task(self._one(stream, event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            self._over = True
            for task in self._tasks:
                task.cancel()

    async def _one(self, stream: StreamT[Batch], event: Any) -> None:
        batch: Batch = event.value
        try:
            async with self._turns.setdefault((batch.topic, batch.partition), asyncio.Lock()):
                if self._over:
                    return  # What came before it was not finished.
                if self._left == batch.member:
                    raise Leaving
                await self._watched(batch)
        except Leaving:
            # Nor may what comes behind it be committed; with the next assignment all comes again.
            self._left = batch.member
            cast(BatchConsumer, self._app.consumer).give_up(event.message)
        except Exception as error:
            self._over = True
            if isinstance(error, NotDelivered):
                self._app.watch.failed(self._name)
            self._app.log.critical(
                "The worker ends: %s failed on %s[%s] offsets %s to %s: %r",
                *(self._name, batch.topic, batch.partition, batch.start, batch.end - 1, error),
            )
            await self._app.crash(error)
        else:
            await stream.ack(event)
        finally:
            self._free.release()

    async def _watched(self, batch: Batch) -> None:
        place, began = (batch.topic, batch.partition), time.monotonic()
        self._app.watch.begin(place, batch.records[0].timestamp)
        await self._handle(batch)
        took_s = time.monotonic() - began
        self._app.watch.done(
            self._name, place, len(batch.records), batch.skipped, took_s, batch.tally
        )
