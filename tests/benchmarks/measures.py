"""The measures themselves, each run in a process of its own: ``measures.py NAME FILE``."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson

from pipeline import layouts
from pipeline.batch import Record, State, Stream
from pipeline.changes.join import join
from pipeline.collectors.files import LineReader, open_stream
from pipeline.config import Config, Input
from pipeline.engine import ingest
from pipeline.runtimes.embedded import Embedded, tuned
from pipeline.sinks.sqlite import SqliteStore
from pipeline.stages.detect import Key, detect
from schemas.types import Event
from tests.changes.deeds import deeds, legs_of

MEASURES = {
    "read": "reading lines",
    "split": "reading and splitting the layout",
    "authorizer": "kafka_authorizer: decode and normalise",
    "authentication": "kafka_authentication: decode and normalise",
    "request": "kafka_request: decode and normalise",
    "controller": "kafka_controller: decode and normalise",
    "trail_parse": "orjson alone, CloudTrail records",
    "trail": "aws_cloudtrail: decode and normalise",
    "detect": "detectors alone",
    "join": "legs to changes, per leg",
    "store": "SQLite alone with this schema",
    "run": "whole embedded run",
}

_ROWS = 10_000


class _Watch:
    """Adds up wall and CPU time between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._wall
        self.cpu += time.process_time() - self._cpu


def _batches(path: Path) -> Iterator[list[Record]]:
    reader = LineReader(open_stream(path), 2**20)
    while records := reader.read():
        yield records


def _reading(path: Path, watch: _Watch) -> int:
    with watch:
        return sum(len(batch) for batch in _batches(path))


def _splitting(path: Path, watch: _Watch) -> int:
    total = 0
    with watch:
        for batch in _batches(path):
            for record in batch:
                total += layouts.split(record.value.decode()) is not None
    return total


def _parsing(path: Path, watch: _Watch) -> int:
    total = 0
    for batch in _batches(path):
        with watch:
            for record in batch:
                orjson.loads(record.value)
        total += len(batch)
    return total


def _ingesting(path: Path, watch: _Watch) -> int:
    plan, stream, total = Config().plan(), Stream(origin=b"o" * 32), 0
    state: State = {}
    # As the runtime has it, which sets the interpreter up for this work.
    with tuned():
        for batch in _batches(path):
            with watch:
                total += len(ingest(plan, stream, batch, state).events)
    return total


def _detecting(path: Path, watch: _Watch) -> int:
    config = Config()
    plan, active = config.plan(), config.active()
    stream, total = Stream(origin=b"o" * 32), 0
    state: State = {}
    states: dict[Key, State] = {}
    for batch in _batches(path):
        events = ingest(plan, stream, batch, state).events
        with watch:
            detect(active, events, lambda key: states.setdefault(key, {}))
        total += len(events)
    return total


def _joining(path: Path, watch: _Watch) -> int:
    random, count = Random(1), len(path.read_bytes().splitlines()) // 4
    done = deeds(random, count)
    legs = [leg for n, deed in enumerate(done) for leg in legs_of(deed, random, n % 50)]
    with watch:
        join("default", legs)
    return len(legs)


def _storing(path: Path, watch: _Watch) -> int:
    plan, stream, total = Config().plan(), Stream(origin=b"o" * 32), 0
    state: State = {}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        store = SqliteStore(Path(folder, "store.db"))
        waiting: list[Event] = []
        for batch in _batches(path):
            waiting += ingest(plan, stream, batch, state).events
            if len(waiting) >= _ROWS:
                total += _stored(store, waiting, watch)
        total += _stored(store, waiting, watch)
        store.close()
    return total


def _stored(store: SqliteStore, waiting: list[Event], watch: _Watch) -> int:
    count = len(waiting)
    with watch:
        with store.transaction():
            store.write_events(waiting)
        store.wait()
    waiting.clear()
    return count


def _running(path: Path, watch: _Watch) -> int:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        store = SqliteStore(Path(folder, "store.db"))
        runtime = Embedded(
            Config(), [Input(source="kafka_authorizer", path=str(path))], store, lambda *_: None
        )
        with watch:
            summary = runtime.run()
        store.close()
    return summary.account.events


def main() -> int:
    """Print one measure as a line of JSON: events/s, CPU µs/event, peak memory in bytes."""
    name, path = sys.argv[1], Path(sys.argv[2])
    watch = _Watch()
    total = {
        "read": _reading, "split": _splitting, "authorizer": _ingesting,
        "authentication": _ingesting, "request": _ingesting, "controller": _ingesting,
        "trail": _ingesting, "trail_parse": _parsing, "join": _joining, "detect": _detecting, "store": _storing, "run": _running,
    }[name](path, watch)  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures = {
        "rate": total / watch.wall,
        "cpu_us": watch.cpu / total * 1e6,
        "memory": peak if sys.platform == "darwin" else peak * 1024,
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
