"""What a stream is measured with: raw lines as `auditstream collect` sends them, observations."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import Any

from confluent_kafka import Producer

from schemas.types import Observation
from schemas.wire import encoder
from tests.logs import START, login, routine_lines, stamp

PARTITIONS = 4
_RUN = 100
"""Lines of one host that follow each other."""
_STAMP = len(stamp(START))
_KEYS_APART_MS = 60
"""Between two observations: 10,000 keys in turn come about every ten minutes, so no window is
full."""


class Loading:
    """Sends to a broker. Counts on, so that positions of what one host says rise."""

    def __init__(self, client: dict[str, Any]) -> None:
        self._producer = Producer(
            {
                **client, "linger.ms": 5, "compression.type": "lz4",
                "queue.buffering.max.messages": 1_000_000, "log_level": 0,
            }
        )  # fmt: skip
        self._positions = [0] * PARTITIONS
        self._sent = 0
        self._headers = [
            json.dumps({
                "source": "auto", "cluster": "bench", "host": f"broker-{p}", "zone": "UTC",
                "file": "bench.log", "origin": f"{p:032x}",
            }).encode()
            for p in range(PARTITIONS)
        ]  # fmt: skip

    def line(self, topic: str, line: bytes) -> None:
        """Send a line of one host or the other."""
        place = self._sent // _RUN % PARTITIONS
        self._sent += 1
        said = [
            ("audit-stream", self._headers[place]),
            ("audit-offset", b"%d" % self._positions[place]),
        ]
        self._positions[place] += len(line) + 1
        self.put(topic, line, b"broker-%d" % place, place, said)

    def put(
        self, topic: str, value: bytes, key: bytes | None, place: int = -1, said: Any = None
    ) -> None:
        """Send one record, waiting for room."""
        while True:
            try:
                self._producer.produce(topic, value, key, place, headers=said)
                return
            except BufferError:
                self._producer.poll(0.05)

    def lines(self, topic: str, lines: Iterable[str]) -> None:
        """Send lines, and wait until they are there."""
        for line in lines:
            self.line(topic, line.encode())
        self.flush()

    def flush(self) -> None:
        """Wait until all is acknowledged."""
        self._producer.flush()

    def poll(self) -> None:
        """Let what was acknowledged go."""
        self._producer.poll(0)


def observations(count: int, keys: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of failed logins seen by address, in turn; now and then one too many."""
    encode = encoder("observation")
    begin = int(START.timestamp() * 1000)
    for number in range(count):
        turn = number % keys
        key = f"address=2001:db8::{turn:x}"
        one = Observation(
            "auth_failure_spike", "bench", key, number.to_bytes(16, "big"),
            begin + number * _KEYS_APART_MS, 1, suspect=False, success=False, grave=False, tag="",
        )  # fmt: skip
        yield f"auth_failure_spike\0bench\0{key}".encode(), encode(one)


class Fresh:
    """Authorizer lines without end, stamped with the time when they are asked for."""

    def __init__(self) -> None:
        bodies = [line[_STAMP:].encode() for line in routine_lines(50_000)]
        self._bodies = cycle(bodies)

    def some(self, count: int) -> Iterator[bytes]:
        """The next ones."""
        now = stamp(datetime.now(UTC)).encode()
        for body in islice(self._bodies, count):
            yield now + body


def guesses(number: int, count: int = 12) -> tuple[str, list[bytes]]:
    """Failed logins now, from an address of which nothing was heard before; and the key it has."""
    address = f"2001:db8::{number + 1:x}"
    now = datetime.now(UTC)
    return f"address={address}", [
        login(now, address, channel=turn).encode() for turn in range(count)
    ]


def paced(rate: float, seconds: float, do: Callable[[int, int], None], step_s: float = 0.02) -> int:
    """Call `do` with (how many now, number of the step) so that `rate` a second comes of it.

    Returns how many there were. Where `do` is too slow for that, it is called without a pause.
    """
    began, done, number = time.monotonic(), 0, 0
    while (now := time.monotonic() - began) < seconds:
        due = int(rate * now) - done
        if due > 0:
            do(due, number)
            done += due
            number += 1
        time.sleep(step_s)
    return done
