"""Adding: what a replay found to be new, sent into the stream's topics.

Topics take nothing back and change nothing: what is in them was read by others. So of a replay only
what adds is sent: events that no reading had before, and dead letters once more that are events by
now, as :attr:`Reason.RESOLVED`. Workers take it from there as they take what role `ingest` sends.

All of one replay is accounted for under a name of its own, from 0 to as many as there are, so that
what accounts count is what the topics hold. Its first event says who had it done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final, TypeVar
from uuid import uuid4

from confluent_kafka import KafkaException

from pipeline.config import Config
from pipeline.errors import StreamError
from pipeline.rights import WRITES
from pipeline.runtimes.kafka.connection import client
from pipeline.runtimes.kafka.leading import Leading
from pipeline.runtimes.kafka.producing import NOBODY, Outgoing, Transactional
from pipeline.runtimes.kafka.topics import check
from pipeline.runtimes.kafka.wires import wires
from pipeline.runtimes.replay.changing import Progress
from pipeline.runtimes.replay.record import REPLAY
from pipeline.stages.detect import sighted
from schemas.types import AccountOf, DeadLetter, Event

_T = TypeVar("_T")

ROLE: Final = "replay"
_AT_ONCE: Final = 2_000
"""Of a transaction: readers see nothing behind one that is open."""


def accounted(topic: str) -> bool:
    """Whether an account is of a replay, and of no raw topic."""
    return topic.startswith(f"{REPLAY}/")


class Adding:
    """Sends into one stream.

    Raises:
        AuditstreamError: the cluster, its topics or the registry are not fit, or cannot be reached.
    """

    def __init__(self, config: Config) -> None:
        self._config, self._active = config, config.active()
        layout, encode = check(config.kafka, ROLE), wires(config.kafka).encoders(WRITES[ROLE])
        self._leading = Leading.of(config, layout, encode)

    def send(
        self,
        own: Event,
        events: Iterable[Event],
        letters: Iterable[DeadLetter],
        progress: Progress,
    ) -> None:
        """Send all of it; once it returns, all is committed.

        Where it is ended before, what was committed stays, and the same replay finds the rest.

        Args:
            own: what says who had it done, and what.
            letters: resolved.
            progress: told what was committed, and how many more rows.

        Raises:
            NotDelivered: the brokers did not take it.
        """
        asyncio.run(self._send(self._transactions(own, events, letters), progress))

    async def _send(
        self,
        transactions: Iterable[tuple[int, Iterable[Outgoing]]],
        progress: Progress,
    ) -> None:
        group = f"{self._config.kafka.group}-{ROLE}"
        try:
            producer = Transactional(client(self._config.kafka), f"{group}-{uuid4()}")
        except KafkaException as error:
            raise StreamError(f"nothing can be sent: {error.args[0].str()}") from None
        try:
            for count, records in transactions:
                await producer.begin()
                await producer.send(records)
                await producer.commit({}, NOBODY._replace(group=group))
                progress("what is sent", count)
        finally:
            producer.close()

    def _transactions(
        self, own: Event, events: Iterable[Event], letters: Iterable[DeadLetter]
    ) -> Iterator[tuple[int, Iterable[Outgoing]]]:
        name, at = f"{REPLAY}/{own.id.hex()}", 0
        for several in chain([[own]], _parts(events)):
            yield len(several), self._records(name, at, several)
            at += len(several)
        for some in _parts(letters):
            yield len(some), map(self._leading.letter, some)

    def _records(self, name: str, at: int, events: list[Event]) -> Iterator[Outgoing]:
        count = len(events)
        yield from self._leading.events(events)
        yield from self._leading.observations(sighted(self._active, events))
        yield self._leading.account(
            AccountOf(name, 0, at, at + count, 0, count, 0, count, count, {}, {})
        )


def _parts(rows: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
