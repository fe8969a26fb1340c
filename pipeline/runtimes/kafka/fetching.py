"""Taking records out of aiokafka's fetcher a bounded piece at a time, with exact positions.

aiokafka's own `fetched_records` returns lists without saying from which position to which they
reach, and hands out everything a response held. Both matter here: positions are what makes gaps
(markers of transactions, compaction) harmless, and a response of a megabyte may decompress to
hundreds. What is used of aiokafka's insides is used in this module alone; the tests against a
broker would tell of a release that changes it (dependencies: aiokafka below 0.15).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiokafka.consumer.fetcher import FetchResult

Records: TypeAlias = dict[Any, list[Any]]
"""By aiokafka's TopicPartition: one `Fetched`, or single records for topics not batched."""

_FULL_S = 0.02
"""Between two looks whether there is room again."""
_CHUNK = 64
"""Records taken between two looks at the size; more of them cost memory, fewer time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be in memory. A batch ends where either bound is reached.

    `batch_bytes` counts keys and values; what lies beyond is at most 63 records. `fetch_bytes` is
    what one response of a broker may hold for one partition, `response_bytes` for all, both as
    they travel. `queued` is how many batches wait before an agent.
    """

    batch_bytes: int = 4 * 1024 * 1024
    batch_records: int = 10_000
    fetch_bytes: int = 4 * 1024 * 1024
    response_bytes: int = 16 * 1024 * 1024
    queued: int = 2


@dataclass(eq=False, slots=True)
class Lane:
    """What goes to one agent. `room` says how many batches more its queue takes now.

    What an agent has no room for stays unread, so that others' batches do not stand behind it.
    """

    room: Callable[[], int] = lambda: 1


Lanes: TypeAlias = Mapping[str, Lane]
"""By topic; of topics that are batched."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Positions `start` up to but without `end` of a partition, and the records among them.

    `records` are aiokafka's `ConsumerRecord`; there may be none. `assignment` is aiokafka's: once
    it is no longer active, the records are another worker's.
    """

    start: int
    end: int
    records: list[Any]
    assignment: Any

    @property
    def current(self) -> bool:
        """Whether the partition is still ours under the assignment it was read in."""
        return bool(self.assignment.active)


async def fetched(
    fetcher: Any, partitions: Collection[Any], lanes: Lanes, wait_s: float, top: Limits
) -> Records:
    """What there is of `partitions`, after waiting for it up to `wait_s` seconds.

    Partitions of topics in `lanes` come as one `Fetched` each, of `top.batch_bytes` in all, as many
    as there is room for; the others as aiokafka would return them. To be awaited on aiokafka's own
    loop. Raises what the fetcher found (`aiokafka.errors.KafkaError`).
    """
    whole = {tp for tp in partitions if tp.topic in lanes}
    single = {tp for tp in partitions if tp.topic not in lanes}
    deadline = time.monotonic() + wait_s
    while True:
        # What was fetched before a rebalance is not ours to return.
        if fetcher._subscriptions.reassignment_in_progress:
            await fetcher._subscriptions.wait_for_assignment()
        found = take(fetcher, whole, top, lanes)
        if single:
            found |= await fetcher.fetched_records(single, timeout=0)
        left_s = deadline - time.monotonic()
        if found or left_s <= 0 or fetcher._closed:
            return found
        waiter = fetcher._create_fetch_waiter()
        # Of room nobody tells us.
        full = any(lane.room() <= 0 for lane in lanes.values())
        done, _ = await asyncio.wait([waiter], timeout=min(left_s, _FULL_S) if full else left_s)
        if done:
            waiter.result()
        else:
            waiter.cancel()


def take(fetcher: Any, partitions: Collection[Any], top: Limits, lanes: Lanes) -> Records:
    """What is there of `partitions` now, one `Fetched` each, until the bounds are reached."""
    found: Records = {}
    room = {lane: lane.room() for lane in lanes.values()}
    left = top.batch_bytes
    for tp in [tp for tp in fetcher._records if tp in partitions]:
        if room[lanes[tp.topic]] <= 0:
            continue
        result = fetcher._records[tp]
        if type(result) is not FetchResult:
            if found:
                break  # the error is for the next call
            _forget(fetcher, tp)
            result.check_raise()
            continue
        piece, size = _piece(result, left, top.batch_records)
        if not result.has_more():
            _forget(fetcher, tp)
        else:
            # The others get their turn before this one goes on.
            fetcher._records.move_to_end(tp)
        if piece is not None:
            found[tp] = [piece]
            room[lanes[tp.topic]] -= 1
        left -= size
        if left <= 0:
            break
    return found


def _forget(fetcher: Any, tp: Any) -> None:
    """Have the partition fetched again."""
    del fetcher._records[tp]
    fetcher._notify(fetcher._wait_consume_future)


def _piece(result: Any, most_bytes: int, most_records: int) -> tuple[Fetched | None, int]:
    """As much of one partition's response as the bounds allow, and its bytes."""
    tp, assignment = result._topic_partition, result._assignment
    if not result.check_assignment(tp):
        return None, 0
    start = result._partition_records.next_fetch_offset
    records: list[Any] = []
    size, largest, chunk = 0, 1, 1
    while result.has_more() and size < most_bytes and len(records) < most_records:
        taken = result.getall(min(chunk, most_records - len(records)))
        sizes = [_bytes(record) for record in taken]
        size += sum(sizes)
        largest = max(largest, *sizes) if sizes else largest
        records += taken
        chunk = max(1, min(_CHUNK, (most_bytes - size) // largest))
    return Fetched(start, assignment.state_value(tp).position, records, assignment), size


def _bytes(record: Any) -> int:
    # Sizes are -1 where there is no key or value.
    key_bytes: int = record.serialized_key_size
    value_bytes: int = record.serialized_value_size
    return max(key_bytes, 0) + max(value_bytes, 0)
