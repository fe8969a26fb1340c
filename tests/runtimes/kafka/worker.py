"""A worker for tests, in a process of its own: copies records with where they came from.

    python worker.py '{"brokers": …, "group": …, "folder": …, …}'

Each record of `topics` becomes `PARTITION OFFSET VALUE` in topic `out`. The journal in `folder`
gets a line when a batch begins, when half of it is sent and acknowledged, which is where `hold_s`
is slept, and when it is done. `session_s` is after how long it is missed, `pause_s` pauses every
partition for so long after the first batch, `seek` goes on elsewhere after it. With `expected`
records are only counted, `single` has Faust's own transport do it, record by record.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import faust
from faust.transport.drivers.aiokafka import Transport
from faust.types import TP, StreamT

from pipeline.runtimes.kafka.application import Application, Timing, application, consume
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.producing import Outgoing, Producing, Sending
from pipeline.runtimes.kafka.transport import Batch

TIMING = Timing(session_s=45, heartbeat_s=1, rebalance_s=90, request_s=120, commit_s=0.5)
"""Longer than a busy machine stalls: whoever is missed repeats."""


class Journal:
    """What the test may know of the worker, a line each, at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, *words: object) -> None:
        self._file.write(" ".join(map(str, words)) + "\n")


def copy(app: Application, options: dict[str, Any], journal: Journal) -> None:
    """Have `app` copy; a record `poison` makes it fail."""
    sending = Sending(linger_ms=5, queue_records=options.get("queue_records", 100_000))
    producer = Producing(options["client"], sending)

    async def handle(batch: Batch) -> None:
        journal.write("begin", batch.partition, batch.start, batch.end, batch.skipped)
        if any(record.value == b"poison" for record in batch.records):
            raise ValueError("poison")
        outgoing = [
            Outgoing(options["out"], b"%d %d %b" % (record.partition, record.offset, record.value))
            for record in batch.records
        ]
        half = len(outgoing) // 2
        await producer.send(outgoing[:half])
        await producer.flush()
        journal.write("half", batch.partition)
        if options.get("hold_s"):
            await asyncio.sleep(options["hold_s"])
        await producer.send(outgoing[half:])
        await producer.flush()
        journal.write("done", batch.partition, batch.start, batch.end)
        if "pause_s" in options:
            await pause(app, options.pop("pause_s"))
        if "seek" in options:
            await app.consumer.seek(TP(batch.topic, batch.partition), options.pop("seek"))

    consume(app, "copy", options["topics"], handle)


async def pause(app: Application, pause_s: float) -> None:
    """Take no more from any partition for a while."""
    partitions = app.consumer.assignment()
    app.consumer.pause_partitions(partitions)
    asyncio.get_running_loop().call_later(pause_s, app.consumer.resume_partitions, partitions)


def count(app: Application, options: dict[str, Any], journal: Journal) -> None:
    """Have `app` count records until there are `expected`, and tell what that took, in seconds of processor time."""
    seen, began = 0, 0.0

    def saw(records: int) -> None:
        nonlocal seen, began
        began = began or time.process_time()
        seen += records
        if seen >= options["expected"]:
            journal.write("counted", seen, time.process_time() - began)

    if options.get("single"):
        app.transport = Transport(app.conf.broker_consumer, app)
        channel = app.topic(*options["topics"], value_type=bytes, value_serializer="raw")

        async def work(stream: StreamT[bytes]) -> None:
            async for _ in stream:
                saw(1)

        app.agent(channel, name="count")(work)
        return

    async def handle(batch: Batch) -> None:
        saw(len(batch.records))

    consume(app, "count", options["topics"], handle)


def main(options: dict[str, Any]) -> None:
    folder = Path(options["folder"])
    credentials = faust.SASLCredentials(
        mechanism="SCRAM-SHA-256",
        username=options["client"]["sasl.username"],
        password=options["client"]["sasl.password"],
    )
    app = application(
        options["group"],
        options["brokers"],
        folder,
        credentials=credentials,
        limits=Limits(**options.get("limits", {})),
        timing=replace(TIMING, session_s=options.get("session_s", TIMING.session_s)),
    )
    journal = Journal(folder / options.get("journal", "journal"))
    (count if "expected" in options else copy)(app, options, journal)

    def assigned(_app: Any, partitions: Any, **_: Any) -> None:
        journal.write("assigned", len(partitions))

    app.on_partitions_assigned.connect(cast(Any, assigned), weak=False)
    faust.Worker(app, loglevel=logging.INFO).execute_from_commandline()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
