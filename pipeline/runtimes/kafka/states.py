"""States: what a role knows behind a position, in a compacted topic of our own.

Faust's tables would do, but for this: their changelog is written by a producer of its own, so that
no transaction holds a batch's output, its offset and the state behind it. Here they are one.

A record is about one (role, topic, partition, name): a stream, a detector's key, or the partition
itself. All of one partition lie in one partition of the topic, in order, and whoever takes the
partition over reads that one to its end: to where no transaction is open any more, so that what the
one before was committing at that moment is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any
from zlib import crc32

from pipeline.errors import StreamError
from pipeline.runtimes.kafka.patience import GivenUp, never
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.reading import NotRead, each
from schemas.types import HeldState
from schemas.wire import Decode, Encode

Take = Callable[[bytes | None, bytes | None], None]
"""Is given key and value of a record."""
ReadWhole = Callable[[str, int, Take, GivenUp], None]
""":func:`read_whole` of a topic and a partition, as somebody in particular."""
PARTITION = b""
"""Name of what is known of the partition as a whole."""


def holder(role: str, part: str = "") -> str:
    """Whose states those of a role are, or of one part of it."""
    return f"{role}-{part}" if part else role


class NotLoaded(StreamError):
    """State could not be read: nothing can be done with the partition until it can."""


class States:
    """The states of one :func:`holder`.

    Args:
        read: as whoever this is.
        role: the holder, which tells its states from others'.
        topic, partitions: where they are.
    """

    def __init__(
        self,
        read: ReadWhole,
        role: str,
        topic: str,
        partitions: int,
        encode: Encode,
        decode: Decode,
    ) -> None:
        self._read = read
        self._role, self._topic, self._partitions = role.encode(), topic, partitions
        self._encode, self._decode = encode, decode

    def record(self, topic: str, partition: int, name: bytes, state: bytes | None) -> Outgoing:
        """The record that keeps `state`, or forgets it where that is None."""
        key = self._prefix(topic, partition) + name
        value = None
        if state is not None:
            value = self._encode(HeldState(topic, partition, name, state))
        return Outgoing(self._topic, value, key, None, self._place(topic, partition))

    def load(self, topic: str, partition: int, given_up: GivenUp = never) -> dict[bytes, bytes]:
        """What is known of a partition, by name. Blocks.

        Raises:
            NotLoaded: it cannot be read, or a transaction stays open.
            LeftOff: as `given_up` has it.
        """
        found: dict[bytes, bytes] = {}
        prefix = self._prefix(topic, partition)

        def take(key: bytes | None, value: bytes | None) -> None:
            if key is None or not key.startswith(prefix):
                return
            name = key[len(prefix) :]
            if value is None:
                found.pop(name, None)
            else:
                found[name] = self._decode(value)["state"]

        self._read(self._topic, self._place(topic, partition), take, given_up)
        return found

    def _prefix(self, topic: str, partition: int) -> bytes:
        return b"%b\0%b\0%d\0" % (self._role, topic.encode(), partition)

    def _place(self, topic: str, partition: int) -> int:
        return crc32(f"{topic}\0{partition}".encode()) % self._partitions


def read_whole(
    settings: Mapping[str, Any],
    topic: str,
    partition: int,
    take: Take,
    given_up: GivenUp = never,
    *,
    patience_s: float,
) -> None:
    """Give `take` key and value of each committed record there is of a partition now. Blocks.

    Waits for transactions that are open, up to `patience_s` without any progress.

    Raises:
        NotLoaded: it cannot be read, or a transaction stays open.
        LeftOff: as `given_up` has it.
    """
    found = each(settings, topic, [partition], patience_s, given_up=given_up)
    try:
        with closing(found) as records:
            for message, *_ in records:
                take(message.key(), message.value())
    except NotRead as error:
        raise NotLoaded(str(error)) from None
