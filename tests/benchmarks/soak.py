"""Whether a worker's memory grows."""

from __future__ import annotations

import time

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.benchmarks.load import PARTITIONS, Fresh, Loading, paced
from tests.benchmarks.workers import Stream, memory
from tests.runtimes.kafka.running import eventually

_LOOK_S = 0.5
_SETTLE_S, _LIMIT_S = 15.0, 45.0
_PARTITION_BYTES = 64 * 1024 * 1024
_BOUNDED = ("raw.auto", "events", "control", "counters", "dead-letters")


def _bound(stream: Stream) -> None:
    """Let topics hold so much and no more: 5 of them, of 4 partitions, of at most 1.5 × that."""
    settings = {"retention.bytes": _PARTITION_BYTES, "segment.bytes": _PARTITION_BYTES // 4}
    resources = []
    for name in _BOUNDED:
        resource = ConfigResource(ResourceType.TOPIC, stream.topic(name))
        for setting, value in settings.items():
            entry = ConfigEntry(setting, str(value), incremental_operation=AlterConfigOpType.SET)
            resource.add_incremental_config(entry)
        resources.append(resource)
    admin = AdminClient(stream.client)
    for done in admin.incremental_alter_configs(resources).values():
        done.result(30)


class _Sending:
    """Lines of now, into a stream's raw topic."""

    def __init__(self, stream: Stream) -> None:
        self.topic = stream.topic("raw.auto")
        self._loading, self._fresh = Loading(stream.client), Fresh()
        self.flush = self._loading.flush

    def step(self, count: int, _: int) -> None:
        """Send so many, as :func:`tests.benchmarks.load.paced` asks for them."""
        for line in self._fresh.some(count):
            self._loading.line(self.topic, line)
        self._loading.poll()


def sustained(stream: Stream, rate: float) -> float:
    """Lines a second that both roles in one worker work off while so many are sent to them.

    That is less than what they work off of a topic that is full already: what sends the lines, and
    the broker that takes them, are on the same machine.
    """
    _bound(stream)
    sending, counters = _Sending(stream), stream.topic("counters")
    step = sending.step
    with (
        stream.worker("ingest,detect"),
        stream.committed("ingest", sending.topic) as ingested,
        stream.committed("detect", counters) as detected,
    ):
        paced(rate, _SETTLE_S, step)
        eventually(lambda: detected() > 0, "the worker to work")
        began, lines, seen, there = (
            time.monotonic(), ingested(), detected(), stream.end(counters)
        )  # fmt: skip
        paced(rate, _LIMIT_S, step)
        lines, seen, there = ingested() - lines, detected() - seen, stream.end(counters) - there
        took_s = time.monotonic() - began
    return lines / took_s * min(1.0, seen / max(1, there))


def soak(stream: Stream, rate: float, minutes: float) -> str:
    """Both roles in one worker, at a rate, for so long; what came of it, in words."""
    _bound(stream)
    sending = _Sending(stream)
    seen: list[int] = []
    not_before = 0.0

    with (
        stream.worker("ingest,detect") as process,
        stream.committed("ingest", sending.topic) as ask,
    ):

        def step(count: int, number: int) -> None:
            nonlocal not_before
            sending.step(count, number)
            if time.monotonic() > not_before:
                not_before = time.monotonic() + _LOOK_S
                seen.append(memory(process.pid))

        sent = paced(1_000, 5, step)
        eventually(lambda: ask() > 0, "the worker to work", 60)
        seen.clear()
        began = time.monotonic()
        sent += paced(rate, minutes * 60, step)
        real = sent / (time.monotonic() - began)
        sending.flush()
        behind = sent - ask()
        assert process.poll() is None
    third = max(1, len(seen) // 3)
    first, last = max(seen[:third]), max(seen[-third:])
    return (
        f"soak of {minutes:g} minutes at {real:,.0f} lines/s: at most {first / 2**20:.0f} MB in the "
        f"first third, {last / 2**20:.0f} MB in the last: {last / first:.2f} × (promised: flat); "
        f"{behind / real:.1f} s behind at the end; {PARTITIONS} partitions"
    )
