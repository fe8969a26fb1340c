"""What an application is set to; nothing here connects to anything."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from pipeline.runtimes.kafka.application import Leaving, Timing, application, consume
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.patience import GivenUp, LeftOff
from pipeline.runtimes.kafka.transport import Batch, BatchTransport


async def nothing(_batch: Batch) -> None:
    """Do no work."""


def test_nothing_is_exposed_and_nothing_is_left_to_defaults(tmp_path: Path) -> None:
    timing = Timing(session_s=11)
    app = application("ingest", "192.0.2.1:9092, 192.0.2.2:9092", tmp_path, timing=timing)
    conf = app.conf
    assert [str(url) for url in conf.broker] == ["kafka://192.0.2.1:9092", "kafka://192.0.2.2:9092"]
    assert (conf.id, conf.broker_session_timeout) == ("ingest", 11)
    assert not conf.web_enabled
    assert not conf.topic_allow_declare
    assert conf.topic_disable_leader
    assert conf.stream_wait_empty
    assert not app.in_transaction
    assert {conf.key_serializer, conf.value_serializer} == {"raw"}
    assert conf.consumer_auto_offset_reset == "earliest"


def test_an_agents_queue_is_bounded(tmp_path: Path) -> None:
    """Faust forgets the bound on its way from `app.topic` to the queue."""
    app = application("ingest", "192.0.2.1:9092", tmp_path, limits=Limits(queued=3))
    consume(app, "ingest", ["raw"], nothing)
    [agent] = app.agents.values()
    assert agent.concurrency == 1
    assert agent.stream().channel.queue.maxsize == 3
    assert isinstance(app.transport, BatchTransport)
    assert set(app.transport.lanes) == {"raw"}


def test_what_blocks_ends_where_its_partition_is_taken_away(tmp_path: Path) -> None:
    left: list[bool] = []

    def wait(given_up: GivenUp) -> None:
        deadline = time.monotonic() + 60
        while not given_up() and time.monotonic() < deadline:
            time.sleep(0.01)
        left.append(given_up())
        raise LeftOff

    async def run() -> None:
        app = application("ingest", "192.0.2.1:9092", tmp_path)
        assert isinstance(app.transport, BatchTransport)
        assert await app.blocking(lambda given_up: given_up()) is False
        waiting = asyncio.create_task(app.blocking(wait))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        app.transport.leaving.set()
        with pytest.raises(Leaving):
            await waiting
        # What is done all the same is taken.
        assert await app.blocking(lambda _: "done") == "done"
        app.transport.leaving.clear()
        waiting = asyncio.create_task(app.blocking(wait))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())
    assert left == [True, True]
