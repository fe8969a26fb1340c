"""Pieces cut out of aiokafka's own responses: none lost, positions that chain, within bounds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtimes.kafka.fetching import Fetched, Lane, Limits, fetched, take

ONE, TWO = TopicPartition("raw", 0), TopicPartition("raw", 1)
LANES = {"raw": Lane(lambda: 9)}
SIZES = st.lists(st.integers(0, 4_000), min_size=1, max_size=200)
GAPS = st.integers(0, 3)


class Fetcher:
    """As much of aiokafka's fetcher as `take` uses, over real responses."""

    def __init__(self, responses: dict[TopicPartition, list[tuple[int, int]]]) -> None:
        self.assignment = Assignment(list(responses))
        self._records: OrderedDict[TopicPartition, Any] = OrderedDict(
            (tp, self.result(tp, records)) for tp, records in responses.items()
        )
        self._wait_consume_future = None

    def _notify(self, future: Any) -> None:
        assert future is None

    def result(self, tp: TopicPartition, records: list[tuple[int, int]]) -> FetchResult:
        """A response with records of these offsets and sizes."""
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 16 * 1024 * 1024)
        for offset, size in records:
            assert builder.append(offset, 1_000, None, b"x" * size, [])
        self.assignment.state_value(tp).reset_to(0)
        found = PartitionRecords(
            tp, MemoryRecords(bytes(builder.build())), [], 0, None, None, True, 0
        )
        return FetchResult(tp, assignment=self.assignment, partition_records=found, backoff=0)


def on_loop(check: Any) -> None:
    """aiokafka's assignments need a running loop to be made."""

    async def run() -> None:
        check()

    asyncio.run(run())


@given(
    SIZES, st.lists(GAPS, min_size=200, max_size=200), st.integers(1, 20_000), st.integers(1, 90)
)
def test_pieces_chain_and_hold_everything(
    sizes: list[int], gaps: list[int], most_bytes: int, most_records: int
) -> None:
    offsets = [number + sum(gaps[: number + 1]) for number in range(len(sizes))]

    def check() -> None:
        fetcher = Fetcher({ONE: list(zip(offsets, sizes, strict=True))})
        pieces: list[Fetched] = []
        while fetcher._records:
            pieces += take(fetcher, {ONE}, Limits(most_bytes, most_records), LANES).get(ONE, [])
        assert [r.offset for piece in pieces for r in piece.records] == offsets
        at = 0
        for piece in pieces:
            assert piece.start == at
            assert all(piece.start <= record.offset < piece.end for record in piece.records)
            assert len(piece.records) <= most_records
            # All but the last look fitted: at most 64 records at a time are taken.
            assert sum(len(r.value) for r in piece.records[:-64]) < most_bytes
            at = piece.end
        assert at == offsets[-1] + 1

    on_loop(check)


def test_partitions_take_turns() -> None:
    def check() -> None:
        fetcher = Fetcher({tp: [(n, 10) for n in range(30)] for tp in (ONE, TWO)})
        order = []
        while fetcher._records:
            order += list(take(fetcher, {ONE, TWO}, Limits(100, 1_000), LANES))
        assert order[:4] == [ONE, TWO, ONE, TWO]

    on_loop(check)


def test_what_is_not_asked_for_stays() -> None:
    def check() -> None:
        fetcher = Fetcher({tp: [(0, 10)] for tp in (ONE, TWO)})
        assert list(take(fetcher, {TWO}, Limits(), LANES)) == [TWO]
        assert list(fetcher._records) == [ONE]

    on_loop(check)


def test_what_there_is_no_room_for_stays() -> None:
    def check() -> None:
        other = TopicPartition("other", 0)
        rooms = [1, 0]
        shared, full = Lane(lambda: rooms[0]), Lane(lambda: rooms[1])
        lanes = {"raw": shared, "other": full}
        fetcher = Fetcher({tp: [(0, 10)] for tp in (ONE, other, TWO)})
        everything = {ONE, TWO, other}
        assert list(take(fetcher, everything, Limits(), lanes)) == [ONE]
        rooms[:] = [0, 2]
        assert list(take(fetcher, everything, Limits(), lanes)) == [other]
        assert list(fetcher._records) == [TWO]

    on_loop(check)


def test_what_room_is_made_for_meanwhile_is_taken() -> None:
    rooms = [0]

    async def run() -> None:
        fetcher: Any = Fetcher({ONE: [(0, 10)]})
        fetcher._subscriptions = SimpleNamespace(reassignment_in_progress=False)
        fetcher._closed = False
        fetcher._create_fetch_waiter = asyncio.get_running_loop().create_future
        lanes = {"raw": Lane(lambda: rooms[0])}
        assert await fetched(fetcher, {ONE}, lanes, 0.05, Limits()) == {}
        waiting = asyncio.create_task(fetched(fetcher, {ONE}, lanes, 60, Limits()))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        rooms[0] = 1
        async with asyncio.timeout(30):
            assert list(await waiting) == [ONE]

    asyncio.run(run())


def test_after_a_seek_or_a_revocation_nothing_is_taken() -> None:
    def check() -> None:
        fetcher = Fetcher({ONE: [(n, 10) for n in range(30)]})
        [[piece]] = take(fetcher, {ONE}, Limits(50), LANES).values()
        fetcher.assignment.state_value(ONE).seek(3)
        assert take(fetcher, {ONE}, Limits(), LANES) == {}
        assert not fetcher._records
        assert piece.current
        fetcher.assignment._unassign()
        assert not piece.current

    on_loop(check)


def test_what_the_broker_refused_is_raised_once_all_else_is_taken() -> None:
    def check() -> None:
        fetcher = Fetcher({ONE: [(0, 10)]})
        refused = TopicAuthorizationFailedError("raw")
        fetcher._records[TWO] = FetchError(error=refused, backoff=0)
        assert list(take(fetcher, {ONE, TWO}, Limits(), LANES)) == [ONE]
        with pytest.raises(TopicAuthorizationFailedError):
            take(fetcher, {ONE, TWO}, Limits(), LANES)
        assert take(fetcher, {ONE, TWO}, Limits(), LANES) == {}

    on_loop(check)
