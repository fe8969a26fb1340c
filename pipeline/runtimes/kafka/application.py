"""A Faust application as all roles use it, and the one way in which work is done in batches.

Every setting that decides on loss, memory or exposure is written down here, for Faust's defaults
are for other aims (its commit interval is 2.8 s, a worker killed is missed after a minute, and its
web server shows tables to whoever asks).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faust
from faust.serializers.schemas import Schema
from faust.streams import Stream
from faust.types import AppT, Message, StreamT
from faust.types.auth import CredentialsT

from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.transport import Batch, BatchTransport


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


class Application(faust.App):
    """Faust with the transport for batches.

    `closing` is called when it has stopped, whether it was asked to or failed.
    """

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.closing: list[Callable[[], None]] = []

    async def on_stop(self) -> None:
        """Stop, and then let go of what the work was done with."""
        await super().on_stop()
        for close in self.closing:
            await asyncio.get_running_loop().run_in_executor(None, close)

    def _new_transport(self) -> BatchTransport:
        return BatchTransport(self.conf.broker_consumer, self, self.limits)


def application(
    group: str,
    brokers: str,
    folder: Path,
    *,
    credentials: CredentialsT | None = None,
    limits: Limits | None = None,
    timing: Timing | None = None,
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
    batch is read again by whoever takes over. Cancelled (at shutdown), the batch is not
    acknowledged either. To be called before the application starts.

    Args:
        at_once: of how many partitions batches are handled at the same time: while one waits for
            the brokers another is worked on.
    """
    transport = app.transport
    assert isinstance(transport, BatchTransport)
    transport.batched.update(topics)
    channel = app.topic(*topics, schema=_Untouched())
    # `app.topic` takes this as an argument and forgets it: 4,096 batches would be queued.
    channel.maxsize = app.limits.queued

    async def work(stream: StreamT[Batch]) -> None:
        # Faust acknowledges by itself whatever an agent lets go of, failed or not.
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
                await self._handle(batch)
        except Exception as error:
            self._over = True
            self._app.log.critical(
                "The worker ends: %s failed on %s[%s] offsets %s to %s: %r",
                *(self._name, batch.topic, batch.partition, batch.start, batch.end - 1, error),
            )
            await self._app.crash(error)
        else:
            await stream.ack(event)
        finally:
            self._free.release()
