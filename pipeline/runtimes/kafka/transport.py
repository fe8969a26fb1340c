"""Faust's Kafka transport, delivering one message per partition and fetch instead of per record.

Faust's cost is per message, so for topics in `BatchTransport.lanes` a message is a whole
:class:`Batch`: its value the records, its offset the last one's. Everything else stays Faust's:
agents, groups, rebalancing, tables, other topics. The offsets of batched topics are kept in a
:class:`~pipeline.runtimes.kafka.ledger.Ledger` for each partition, from assignment to revocation.

What Faust does loosely is strict here. A commit that fails ends the worker (Faust takes the offset
for committed: faust#316). Records that were fetched and then dropped on the way, as Faust does when
a partition is paused, are read again. Offsets acknowledged before a revocation are committed in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, ClassVar, cast

from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, ConsumerMessage, Message
from faust.types.tuples import ack_lock
from mode.utils.futures import notify

from pipeline.errors import StreamError
from pipeline.runtimes.kafka.fetching import Fetched, Lane, Limits, Records, fetched
from pipeline.runtimes.kafka.health import Watch
from pipeline.runtimes.kafka.ledger import Ledger
from pipeline.runtimes.kafka.logs import THEIRS
from pipeline.runtimes.kafka.producing import NOBODY, Member
from pipeline.runtimes.kafka.tally import Tally

_log = logging.getLogger(__name__)
_LAST_COMMIT_S = 5.0
"""How long the last commit of a worker that failed is waited for."""


class CommitFailed(StreamError):
    """Offsets could not be committed: another worker may have read from the same place already."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive positions of one partition.

    `start` and `end` (exclusive) chain: a batch starts where the one before it ended, so the gaps
    between `records` (aiokafka's `ConsumerRecord`, never none) are accounted for. `skipped` is how
    many positions before `start` were deleted from the topic before they were read. `member` is
    who this worker was in its group when it got the partition. `tally` is for whoever works on it.
    """

    topic: str
    partition: int
    start: int
    end: int
    records: list[Any]
    skipped: int = 0
    member: Member = NOBODY
    tally: Tally = field(default_factory=Tally, compare=False, repr=False)


class BatchMessage(ConsumerMessage):
    """A batch under way, with what returns its positions to the ledger."""

    def __init__(self, batch: Batch, tp: TP, generation_id: int | None, ledger: Ledger) -> None:
        last = batch.records[-1]
        super().__init__(
            batch.topic,
            batch.partition,
            last.offset,
            last.timestamp / 1000,
            last.timestamp_type,
            None,
            None,
            cast(bytes, batch),
            None,
            tp=tp,
            generation_id=generation_id,
        )
        self._ledger, self._ticket = ledger, ledger.deliver(batch.start, batch.end)

    def settle(self) -> None:
        """Return the positions; after a revocation nothing comes of it, for the ledger is gone."""
        self._ledger.acknowledge(self._ticket)


class BatchThread(driver.AIOKafkaConsumerThread):
    """The thread with aiokafka's loop in it."""

    logger = THEIRS
    consumer: BatchConsumer

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        consumer = super()._create_consumer(loop)
        limits = self.consumer.limits
        # Faust has no settings for these. What a transaction took back was never said.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_bytes = limits.response_bytes
        consumer._fetch_max_wait_ms = 500
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,  # noqa: ARG002  # Faust's signature
    ) -> Any:
        if not self.consumer.flow_active or not active_partitions:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        ours = self.consumer
        with fetcher._subscriptions.fetch_context():
            return await fetched(
                fetcher,
                frozenset(active_partitions),
                ours.transport.lanes,
                timeout or 0,
                ours.limits,
            )

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, or raise `CommitFailed`: Faust's own returns False and goes on."""
        now = monotonic()
        committed = {
            TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
        }
        wait_s = self.app.conf.broker_request_timeout
        try:
            await asyncio.wait_for(self._ensure_consumer().commit(committed), wait_s)
        except Exception as error:
            said = ", ".join(f"{tp.topic}[{tp.partition}] {at}" for tp, at in offsets.items())
            raise CommitFailed(f"offsets were not committed ({said}): {error!r}") from error
        self.tp_last_committed_at.update(dict.fromkeys(offsets, now))
        return True


class BatchConsumer(driver.Consumer):
    """Faust's consumer, with ledgers for the partitions of batched topics."""

    logger = THEIRS
    transport: BatchTransport
    _thread: BatchThread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._ledgers: dict[TP, Ledger] = {}
        self._lost: dict[TP, int] = {}
        self._commit_failed = False
        self._member = NOBODY
        super().__init__(*arguments, **options)

    @property
    def limits(self) -> Limits:
        """Of memory."""
        return self.transport.limits

    @property
    def batched(self) -> Collection[str]:
        """The topics that come in batches."""
        return self.transport.lanes

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    def _ledger(self, tp: TP) -> Ledger:
        return self._ledgers.setdefault(TP(tp.topic, tp.partition), Ledger())

    @property
    def positions(self) -> dict[tuple[str, int], int | None]:
        """By topic and partition, where what is acknowledged ends; None: not known."""
        return {(tp.topic, tp.partition): one.committable for tp, one in self._ledgers.items()}

    # -- reading

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109
        records = cast(Records, await self._thread.getmany(active_partitions, timeout))
        for tp, pieces in list(records.items()):
            if tp.topic in self.batched and not await self._admit(tp, pieces[0]):
                del records[tp]
        return records

    async def _admit(self, tp: TP, piece: Fetched) -> bool:
        """Whether to deliver a piece: it is ours, goes on where we are, and is not empty."""
        if not piece.current:
            return False
        ledger = self._ledger(tp)
        ledger.begin(piece.start)
        if not ledger.follows(piece.start) and not await self._rejoin(tp, ledger, piece):
            return False
        if not piece.records:
            ledger.advance(piece.start, piece.end)
        return bool(piece.records)

    async def _rejoin(self, tp: TP, ledger: Ledger, piece: Fetched) -> bool:
        """Read again what was dropped between fetching and delivering; False if that is possible.

        True if the topic does not have it. Either retention took it, which is a loss that is said
        and goes into the batch; or the topic ends before it, and all there is comes again.
        """
        expected = cast(int, ledger.next)
        earliest = (await self.earliest_offsets(tp))[tp]
        end = (await self.highwaters(tp))[tp]
        if not piece.current or ledger.next != expected:
            return False
        if earliest <= expected <= end:
            await self.seek_wait({tp: expected})
            return False
        where = (tp.topic, tp.partition, expected, piece.start)
        if expected < earliest:
            self._lost[tp] = piece.start - expected
            _log.error("LOST: %s[%s] from offset %s up to %s was deleted unread", *where)
        else:
            _log.error("%s[%s] ends before offset %s, read again from %s", *where)
            self._committed_offset[tp] = None
        ledger.seek(piece.start)
        return True

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
        """What was fetched, one message for each partition of a batched topic."""
        async for tp, message in super().getmany(timeout):
            if message is not None:
                yield tp, message

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, Fetched):
            return super()._to_message(tp, record)
        ledger = self._ledger(tp)
        if not record.current or not ledger.follows(record.start):
            # `getmany` leaves it out.
            return cast(ConsumerMessage, None)
        # Faust drops what lies before this, and sets it late: a seek back would be undone.
        self._read_offset[tp] = None
        lost = self._lost.pop(tp, 0)
        batch = Batch(
            tp.topic, tp.partition, record.start, record.end, record.records, lost, self._member
        )
        return BatchMessage(
            batch, TP(tp.topic, tp.partition), self.app.consumer_generation_id, ledger
        )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.batched:
            await super()._add_gap(tp, offset_from, offset_to)

    def on_buffer_full(self, tp: TP) -> None:
        """Leave a partition alone whose agent is behind: but not a batched one.

        Of that no more is taken than there is room for. Faust would sleep for a second.
        """
        if tp.topic not in self.batched:
            super().on_buffer_full(tp)

    # -- acknowledging and committing

    def ack(self, message: Message) -> bool:
        """Mark a message as finished; False if it was."""
        if not isinstance(message, BatchMessage):
            return super().ack(message)
        with ack_lock:
            message.acked = True
            message.settle()
            self._unacked_messages.discard(message)
            self._n_acked += 1
            notify(self._waiting_for_ack)
        return True

    def give_up(self, message: Message) -> None:
        """Nobody goes on with a message: a revocation need not wait for it, and nothing of it, nor
        behind it, is committed."""
        with ack_lock:
            self._unacked_messages.discard(message)
            notify(self._waiting_for_ack)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from (
            tp
            for tp in super()._filter_tps_with_pending_acks(topics)
            if tp.topic not in self.batched
        )
        for tp in list(self._ledgers):
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self.batched:
            return super()._new_offset(tp)
        if self._acked.get(tp):
            raise RuntimeError(f"{tp.topic} is batched: read it with `consume`, not with an agent")
        return self._ledger(tp).committable

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what is acknowledged; nothing once a commit has failed."""
        if self._commit_failed:
            return False
        committed: bool = await super().force_commit(topics, start_new_transaction)
        return committed

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        try:
            async with asyncio.timeout(None) as patience:
                bound = asyncio.create_task(self._bound(patience))
                try:
                    await super()._commit(offsets)
                finally:
                    bound.cancel()
        except TimeoutError:
            return False
        except CommitFailed as error:
            self._commit_failed = True
            self.transport.watch.failed(self.transport.watch.role)
            _log.critical("The worker ends: %s", error)
            await self.crash(error)
        return not self._commit_failed

    async def _bound(self, patience: asyncio.Timeout) -> None:
        """The thread that answers ends with whatever failed, and then nobody ever does."""
        await self._crashed.wait()
        patience.reschedule(asyncio.get_running_loop().time() + _LAST_COMMIT_S)

    # -- rebalances and seeks

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish and commit what is in flight, but for what waits; then forget the partitions."""
        self.transport.leaving.set()
        self.transport.watch.share(None)
        await super().on_partitions_revoked(revoked)
        self._forget(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Begin anew: records of the last assignment may have come in since the revocation."""
        self._forget(list(self._ledgers))
        self.transport.leaving.clear()
        name = self._thread._ensure_consumer()._coordinator.member_id
        self._member = Member(self.app.conf.id, generation_id, name)
        await super().on_partitions_assigned(assigned, generation_id)
        self.transport.watch.share((tp.topic, tp.partition) for tp in assigned)

    def _forget(self, tps: Iterable[TP]) -> None:
        for tp in tps:
            self._ledgers.pop(tp, None)
            self._lost.pop(tp, None)

    async def perform_seek(self) -> None:
        """Go to what is committed, wherever that is known."""
        await super().perform_seek()
        for tp, offset in self._committed_offset.items():
            if tp.topic in self.batched and offset is not None:
                self._ledger(tp).seek(offset)

    async def seek(self, partition: TP, offset: int) -> None:
        """Go on elsewhere; see `Ledger.seek` for what that means to commits."""
        await self.seek_wait({partition: offset})

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Go on elsewhere, and wait until aiokafka is there."""
        for tp, offset in partitions.items():
            if tp.topic in self.batched:
                self._ledger(tp).seek(offset)
        await super().seek_wait(partitions)


class BatchTransport(driver.Transport):
    """Faust's transport over aiokafka. `lanes` has the topics whose messages are batches."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer

    def __init__(self, url: Any, app: AppT, limits: Limits, watch: Watch, **options: Any) -> None:
        super().__init__(url, app, **options)
        self.limits, self.watch = limits, watch
        self.lanes: dict[str, Lane] = {}
        self.leaving = asyncio.Event()
        """Whether partitions are being taken away."""
