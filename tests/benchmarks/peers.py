"""What our workers are held against, each in a process of its own: ``peers.py '{"what": …}'``.

``floor``: a plain loop of confluent-kafka with one regular expression, or orjson. ``naive``: a
Faust agent as its documentation has it, which takes a line, parses it, encodes a dozen fields as
Avro and sends them. ``take``: the same with ``stream.take(1000)``. None of them names, redacts,
normalises, detects or accounts for anything.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import faust
import orjson
from confluent_kafka import Consumer
from faust.transport.drivers.aiokafka import Transport
from faust.types import StreamT

from pipeline.runtimes.kafka.application import application

_LINE = re.compile(
    r"\[(?P<time>[^\]]+)\] (?P<level>\w+) Principal = (?P<principal>.*?) is "
    r"(?P<decision>Allowed|Denied) operation = (?P<operation>\w+) from host = (?P<host>\S+) on "
    r"resource = (?P<type>\w+):(?P<pattern>\w+):(?P<name>.*?) for request = (?P<request>\w+) with "
    r"resourceRefCount = (?P<count>\d+) based on rule (?P<rule>.*) \((?P<logger>[^)]*)\)"
)
_SCHEMA = fastavro.parse_schema({
    "type": "record",
    "name": "Parsed",
    "fields": [{"name": name, "type": "string"} for name in _LINE.groupindex],
})  # fmt: skip


class _Watch:
    """Counts from the first record, which itself is not in it, to the last."""

    def __init__(self, expected: int) -> None:
        self._expected, self.seen, self._first = expected, 0, 0
        self._wall = self._cpu = 0.0

    def saw(self, records: int) -> bool:
        """Whether all have been seen."""
        self.seen += records
        if not self._wall:
            self._first = self.seen
            self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self.seen >= self._expected

    def end(self) -> None:
        """Tell, as a line of JSON, and end the process."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        count = self.seen - self._first
        print(json.dumps({"rate": count / wall, "cpu_us": cpu / count * 1e6}), flush=True)
        os._exit(0)


def _parsed(line: bytes) -> dict[str, str]:
    found = _LINE.match(line.decode())
    return found.groupdict() if found else {}


def floor(options: dict[str, Any]) -> None:
    """Read and parse."""
    parse: Callable[[bytes], Any] = orjson.loads if options["kind"] == "trail" else _parsed
    watch = _Watch(options["expected"])
    consumer = Consumer({
        **options["client"], "group.id": f"floor-{uuid4()}", "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    })  # fmt: skip
    consumer.subscribe([options["topic"]])
    while True:
        messages = consumer.consume(10_000, 0.5)
        for message in messages:
            parse(message.value() or b"")
        if messages and watch.saw(len(messages)):
            watch.end()


def _encoded(line: bytes) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, _SCHEMA, _parsed(line))
    return out.getvalue()


def faustian(options: dict[str, Any]) -> None:
    """Read, parse, encode and send with an agent, over Faust's own transport."""
    client = options["client"]
    credentials = faust.SASLCredentials(
        mechanism=client["sasl.mechanism"], username=client["sasl.username"],
        password=client["sasl.password"],
    )  # fmt: skip
    folder, name = Path(options["folder"]), f"naive-{uuid4()}"
    app = application(name, client["bootstrap.servers"], folder, credentials=credentials)
    app.transport = Transport(app.conf.broker_consumer, app)
    raw = {"value_type": bytes, "value_serializer": "raw"}
    source = app.topic(options["topic"], **raw)  # type: ignore[arg-type]
    target = app.topic(options["out"], **raw)  # type: ignore[arg-type]
    watch = _Watch(options["expected"])

    async def done() -> None:
        await app.producer.flush()
        watch.end()

    async def one(stream: StreamT[bytes]) -> None:
        async for line in stream:
            await target.send(value=_encoded(line))
            if watch.saw(1):
                await done()

    async def take(stream: StreamT[bytes]) -> None:
        async for lines in stream.take(1000, within=1):
            for line in lines:
                await target.send(value=_encoded(line))
            if watch.saw(len(lines)):
                await done()

    app.agent(source, name="naive")(one if options["what"] == "naive" else take)
    faust.Worker(app, loglevel=logging.WARNING).execute_from_commandline()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    (floor if given["what"] == "floor" else faustian)(given)
