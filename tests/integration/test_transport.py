"""Batches through Faust against a real broker: nothing lost, and repeated only what must be."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.producing import NotDelivered, Outgoing, Producing, Sending
from tests.runtimes.kafka.running import Copying, eventually, in_order

pytestmark = pytest.mark.integration

LINE = (
    b"[2026-11-21 10:00:00,000] DEBUG Principal = User:billing is Allowed operation = WRITE from "
    b"host = 192.0.2.10 on resource = Topic:LITERAL:payments.orders for request = Produce with "
    b"resourceRefCount = 1 based on rule MatchingAcl(acl=StandardAcl(resourceType=TOPIC, "
    b"resourceName=payments.orders, patternType=LITERAL, principal=User:billing, operation=WRITE)) "
)
SLOW = {"limits": {"batch_records": 500}, "hold_s": 0.2}
SLOWER = SLOW | {"hold_s": 1}
"""What is to be struck in the middle of a batch is long enough in it to be seen there."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    properties = {"log.cleaner.backoff.ms": "200"}
    folder = tmp_path_factory.mktemp("transport")
    with Kafka(folder, {"admin": "admin-password"}, properties=properties) as broker:
        yield broker


def lines(count: int) -> Iterator[bytes]:
    return (LINE[: 330 - 8] + b"%08d" % number for number in range(count))


def test_every_record_comes_once_and_in_order(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "plain")
    copying.feed(lines(30_000))
    with copying.worker(limits={"batch_records": 700, "batch_bytes": 100_000}) as worker:
        copying.finish()
        copying.feed(lines(1_000))
        copying.finish()
        assert worker.process.stop() == 0
    copied = copying.copied()
    assert len(copied) == 31_000
    assert set(copied) == copying.there()
    batches = [tuple(map(int, words[:3])) for words in worker.journal("done")]
    assert all(end - start <= 400 for _, start, end in batches)
    for partition, end in copying.ends().items():
        chain = [(start, end) for number, start, end in batches if number == partition]
        assert chain[0][0] == 0
        assert all(a[1] == b[0] for a, b in itertools.pairwise(chain))
        assert chain[-1][1] == end


def test_a_worker_killed_in_mid_batch_repeats_only_what_was_not_committed(
    kafka: Kafka, tmp_path: Path
) -> None:
    copying = Copying(kafka, tmp_path, "killed")
    copying.feed(lines(6_000))
    with copying.worker(**SLOWER, session_s=20) as worker:
        copying.meanwhile(lambda: len(worker.journal("done")) > 4 and worker.busy(), "some batches")
        worker.process.kill()
    committed = copying.committed()
    done = {int(p): int(end) for p, _, end in worker.journal("done")}
    assert committed
    assert all(offset <= done[partition] for partition, offset in committed.items())
    with copying.worker() as worker:
        copying.finish()
    repeated = copying.repeated()
    assert repeated
    assert all(offset >= committed.get(partition, 0) for partition, offset in repeated)


def test_workers_that_join_and_leave_repeat_nothing(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "joining")
    copying.feed(lines(20_000))
    with copying.worker(**SLOW) as first:
        copying.meanwhile(lambda: len(first.journal("done")) > 2, "the first worker's batches")
        with copying.worker(**SLOW) as second:
            copying.meanwhile(lambda: len(second.journal("done")) > 2, "the second one's batches")
            assert first.process.stop() == 0
            copying.finish()
            assert second.process.stop() == 0
    assert copying.repeated() == set(), f"{first.said[-3_000:]}\n{second.said[-3_000:]}"
    assert first.journal("begin")
    assert len(first.journal("begin")) == len(first.journal("done"))


def test_a_batch_is_finished_before_its_partition_goes(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "revoked", partitions=2)
    copying.feed(lines(1_000))
    with copying.worker(hold_s=4) as first:
        eventually(first.busy, "a batch")
        with copying.worker() as second:
            eventually(lambda: bool(second.journal("assigned")), "the second worker")
            copying.finish()
            assert first.journal("done")
    assert copying.repeated() == set()


def test_a_zombie_cannot_commit_and_ends(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "zombie", partitions=1)
    copying.feed(lines(3_000))
    with copying.worker(**SLOWER, session_s=20) as zombie:
        copying.meanwhile(lambda: bool(zombie.journal("done")) and zombie.busy(), "a batch")
        zombie.signal(signal.SIGSTOP)
        with copying.worker() as heir:
            copying.finish()
            assert heir.journal("done")
            zombie.signal(signal.SIGCONT)
            eventually(lambda: not zombie.process.running, "the zombie's end")
            assert zombie.process.stop() == 1
            assert "The worker ends: offsets were not committed (zombie.in[0] " in zombie.said
            assert copying.finished()
    copying.repeated()


def test_a_batch_that_fails_ends_the_worker_and_is_not_passed(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "poison", partitions=1)
    copying.feed([*lines(1_000), b"poison", *lines(1_000)])
    with copying.worker(limits={"batch_records": 100}) as worker:
        eventually(lambda: not worker.process.running, "the worker's end")
        assert worker.process.stop() == 1
    assert "The worker ends: copy failed on poison.in[0] offsets 1000 to 10" in worker.said
    assert "ValueError('poison')" in worker.said
    # A worker that ends does not wait long for the last commit's answer; passed it is never.
    assert copying.committed().get(0, 0) <= 1_000
    assert len(copying.copied()) == 1_000


def test_gaps_by_compaction(kafka: Kafka, tmp_path: Path) -> None:
    compact = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.01",
        "segment.bytes": "1048576",
    }
    copying = Copying(kafka, tmp_path, "compacted", partitions=1, **compact)
    for _ in range(4):
        copying.feed(lines(500), keys=350)
        time.sleep(0.2)
    eventually(lambda: len(copying.there()) < 1_000, "compaction")
    with copying.worker(limits={"batch_records": 60}) as worker:
        copying.finish()
        assert worker.process.stop() == 0
    assert copying.repeated() == set()


def test_gaps_by_transactions(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "transactions", partitions=1)
    producer = Producer(copying.client | {"transactional.id": "transactions", "linger.ms": 5})
    producer.init_transactions(60)
    with copying.worker(limits={"batch_records": 7}) as worker:
        for number in range(30):
            producer.begin_transaction()
            for value in lines(number % 10):
                producer.produce("transactions.in", value, partition=0)
            if number % 3 == 2:
                producer.flush()
                producer.abort_transaction(60)
            else:
                producer.commit_transaction(60)
        # To the end: the last marker, which no record follows, is passed as well.
        copying.finish()
        assert worker.process.stop() == 0
    assert copying.repeated() == set()
    assert in_order(copying.copied())


@pytest.mark.parametrize("seek", [0, 700])
def test_pauses_and_seeks(kafka: Kafka, tmp_path: Path, seek: int) -> None:
    copying = Copying(kafka, tmp_path, f"seeking{seek}", partitions=1)
    copying.feed(lines(2_000))
    limits = {"batch_records": 50, "batch_bytes": 50_000}
    with copying.worker(limits=limits, pause_s=1, seek=seek) as worker:
        copying.finish()
        assert worker.process.stop() == 0
    copied = copying.copied()
    if seek:
        # What lay in the queue when it sought is done; what lies between is left out on purpose.
        assert set(copied) >= {(0, offset) for offset in range(700, 2_000)}
        assert len(copied) < 2_000
    else:
        assert set(copied) == copying.there()
        assert copied.count((0, 0)) == 2
        assert copied.count((0, 1_999)) == 1


def test_a_restarted_broker_costs_nothing(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "restarted")
    copying.feed(lines(10_000))
    with copying.worker(**SLOW) as worker:
        copying.meanwhile(lambda: len(worker.journal("done")) > 3, "some batches")
        kafka.stop()
        time.sleep(1)
        kafka.start()
        copying.finish(240)
        assert worker.process.running, worker.said[-3_000:]
        assert worker.process.stop() == 0
    # The worker lived on, so it had no reason to repeat anything.
    assert copying.repeated() == set()


def test_what_retention_took_is_said(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "deleted", partitions=1)
    copying.feed(lines(100))
    with copying.worker() as worker:
        copying.finish()
        assert worker.process.stop() == 0
    copying.feed(lines(900))
    gone = [TopicPartition("deleted.in", 0, 600)]
    [deleted] = copying.admin.delete_records(gone).values()
    deleted.result(60)
    with copying.worker() as worker:
        copying.finish()
    assert worker.journal("begin")[0][1:] == ["600", "1000", "500"]
    assert "LOST: deleted.in[0] from offset 100 up to 600 was deleted unread" in worker.said


def test_a_topic_that_ends_before_what_was_committed_is_read_again(
    kafka: Kafka, tmp_path: Path
) -> None:
    copying = Copying(kafka, tmp_path, "truncated", partitions=1)
    copying.feed(lines(100))
    consumer = Consumer(copying.client | {"group.id": "truncated"})
    consumer.commit(offsets=[TopicPartition("truncated.in", 0, 5_000)], asynchronous=False)
    consumer.close()
    with copying.worker() as worker:
        copying.finish()
        assert "truncated.in[0] ends before offset 5000, read again from 0" in worker.said
    assert copying.repeated() == set()


def test_the_producer_waits_where_its_queue_is_full(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "full", partitions=1)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    async def send() -> None:
        producer = Producing(copying.client, Sending(queue_records=200, linger_ms=5))
        ticking = asyncio.create_task(tick())
        await producer.send(Outgoing("full.in", value) for value in lines(20_000))
        await producer.flush()
        ticking.cancel()
        producer.close()

    asyncio.run(send())
    assert [value for _, value in copying.read("in")] == list(lines(20_000))
    # What waits for room in the queue waits a hundred times, and all else goes on meanwhile.
    assert ticks > 20


def test_the_producer_says_what_was_not_delivered(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "small", partitions=1, **{"max.message.bytes": "2000"})

    async def send() -> None:
        producer = Producing(copying.client, Sending(compression="none"))
        await producer.send([Outgoing("small.in", b"x" * 5_000)])
        with pytest.raises(NotDelivered, match=r"1 records were not delivered.*MSG_SIZE_TOO_LARGE"):
            await producer.flush()
        await producer.send([Outgoing("small.in", b"x", b"k", [("host", b"h")])])
        await producer.flush()
        producer.close()

    asyncio.run(send())
    assert len(copying.there()) == 1


def test_batches_are_many_times_faster_than_records(kafka: Kafka, tmp_path: Path) -> None:
    copying = Copying(kafka, tmp_path, "rates", partitions=2)
    count = 40_000
    copying.feed(lines(count))
    costs = []
    for number, single in enumerate((True, False)):
        options = {"expected": count, "single": single, "group": f"rates{number}"}
        with copying.worker(**options) as worker:
            eventually(lambda: bool(worker.journal("counted")), "the count", 240)
            assert int(worker.journal("counted")[0][0]) == count
            costs.append(float(worker.journal("counted")[0][1]))
            worker.process.stop()
    assert costs[0] > 5 * costs[1], costs
