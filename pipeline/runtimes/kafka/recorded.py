"""Recorded topics read without Faust: all there is of them now, stream by stream.

A topic holds streams as they arrived, one file after the other maybe; the embedded runtime merges
them by event time. So what is fetched is kept in a temporary file first, in order of stream and
position. A record that arrived twice lies beside itself there.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipeline.batch import Record, Stream
from pipeline.collectors.raw_records import bounded, received
from pipeline.config import Config, Input
from pipeline.errors import InputError
from pipeline.runtimes.kafka.cluster import Cluster
from pipeline.stages.recognise import Look
from pipeline.streaming import RawTopic

_CALL_S = 30.0
_IDLE_S = 60.0
"""How long brokers may deliver nothing before they count as away."""
_BATCH = 1000
_LOOKED_AT = 256
"""Records of a stream among which one with a time is looked for."""
_GRAVE = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._AUTHENTICATION,
)
_TABLE = """
CREATE TABLE records (
    stream INTEGER, generation INTEGER, position INTEGER, ending INTEGER, anew INTEGER,
    behind INTEGER, value BLOB, length INTEGER, digest TEXT, broken TEXT
)"""
_ORDER = "stream, generation, position, ending, rowid"

Where = tuple[str, int]
"""Topic and partition."""


class Recorded:
    """Topics fetched into a temporary file, which goes when this is left."""

    def __init__(self, config: Config, stopped: Callable[[], bool]) -> None:
        self._config, self._stopped = config, stopped
        self._held = ExitStack()
        self._numbers: dict[Stream, int] = {}
        self._streams: dict[tuple[str, str, str, bytes], int] = {}
        self._named: list[Stream] = []
        self._generations: dict[int, int] = {}

    def __enter__(self) -> Self:
        folder = self._config.kafka.folder or None
        try:
            if folder:
                Path(folder).mkdir(parents=True, exist_ok=True)
            kept = tempfile.TemporaryDirectory(prefix="auditstream-", dir=folder)
            path = Path(self._held.enter_context(kept)) / "records.db"
        except OSError as error:
            where = folder or tempfile.gettempdir()
            raise InputError(f"the folder {where} cannot be written: {error.strerror}") from error
        # One thread at a time: first who fetches, then who reads.
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._held.callback(self._db.close)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", _TABLE):
            self._db.execute(statement)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._held.close()

    def fetch(self, given: Input) -> None:
        """Fetch what topics hold now; ``given.topic`` is a name, or a pattern with ``*``.

        Raises:
            InputError: there is none, it cannot be read, or the temporary file not be written.
            ConfigError, ClusterError: the brokers cannot be reached.
        """
        cluster = Cluster(self._config.kafka)
        there = cluster.topics()
        names = [name for name in sorted(there) if fnmatchcase(name, given.topic)]
        if not names:
            raise InputError(
                f"the topic {given.topic} does not exist at {self._config.kafka.brokers}, or we "
                "may not see it"
            )
        settings = {
            **cluster.settings,
            # None is joined, but librdkafka will have a name.
            "group.id": self._config.kafka.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": 32 * 1024,
        }
        consumer = Consumer(settings)
        raws = {name: self._raw(given, name) for name in names}
        try:
            self._read(consumer, raws, [(n, p) for n in names for p in range(there[n].partitions)])
        except KafkaException as error:
            raise _failed(given.topic, error.args[0]) from None
        except sqlite3.Error as error:
            raise InputError(
                f"what the topic {given.topic} holds cannot be kept: {error}; make room, or name "
                "a folder with more of it in kafka.folder"
            ) from None
        finally:
            consumer.close()

    def _raw(self, given: Input, topic: str) -> RawTopic:
        """What is said of a topic by the input, else by the configuration."""
        known = self._config.kafka.raw_topic(topic) or RawTopic(topic=topic)
        said = {"source", "cluster", "host", "zone"} & given.model_fields_set
        if given.source == "auto":
            said.discard("source")
        return known.model_copy(update={name: getattr(given, name) for name in said})

    def _read(self, consumer: Consumer, raws: dict[str, RawTopic], places: list[Where]) -> None:
        left: dict[Where, int] = {}
        start: list[TopicPartition] = []
        for place in places:
            low, high = consumer.get_watermark_offsets(TopicPartition(*place), _CALL_S)
            if high > low:
                left[place] = high
                start.append(TopicPartition(*place, low))
        consumer.assign(start)
        heard = time.monotonic()
        while left and not self._stopped():
            messages = consumer.consume(_BATCH, 0.25)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > _IDLE_S:
                raise InputError(
                    f"nothing came of the topic {min(left)[0]} for {_IDLE_S:.0f} s; are the "
                    f"brokers {self._config.kafka.brokers} there? Run again"
                )
            self._keep(raws, [m for m in messages if _counts(m, left)])
            for message in messages:
                place = (message.topic() or "", message.partition() or 0)
                if place in left and _reached(message, left[place]):
                    del left[place]
                    consumer.pause([TopicPartition(*place)])

    def _keep(self, raws: dict[str, RawTopic], messages: Sequence[Message]) -> None:
        rows = []
        for message in messages:
            topic, offset = message.topic() or "", message.offset() or 0
            headers: Any = message.headers()
            found = received(
                raws[topic], topic, message.partition() or 0, _bytes(message.key()),
                _bytes(message.value()), headers, offset,
            )  # fmt: skip
            number = self._number(found.stream)
            if found.anew:
                self._generations[number] = self._generations.get(number, 0) + 1
            value, position, length, digest, broken, _ = bounded(
                found.record, self._config.max_record_bytes
            )
            generation = self._generations.get(number, 0)
            rows.append((
                number, generation, position, found.end, found.anew, found.behind,
                value, length, digest, broken,
            ))  # fmt: skip
        self._db.execute("BEGIN")
        self._db.executemany(f"INSERT INTO records VALUES ({','.join('?' * 10)})", rows)
        self._db.execute("COMMIT")

    def _number(self, stream: Stream) -> int:
        """Of the stream; what is for people and may change does not part it."""
        number = self._numbers.get(stream)
        if number is None:
            same = stream.source, stream.cluster, stream.host, stream.origin
            number = self._streams.setdefault(same, len(self._named))
            if number == len(self._named):
                self._named.append(stream)
            self._numbers[stream] = number
        return number

    def replays(self) -> Iterator[tuple[Stream, Replayed]]:
        """All streams that were fetched. To be read while this is not left."""
        self._db.execute(f"CREATE INDEX IF NOT EXISTS places ON records ({_ORDER[:-7]})")
        for number, stream in enumerate(self._named):
            yield stream, Replayed(self._db, number)


class _Row(NamedTuple):
    ending: int
    anew: int
    behind: int
    record: Record


class Replayed:
    """One stream's records in order. See :class:`pipeline.runtimes.lanes.Replay`.

    A record before the position that was reached is a repetition.
    """

    def __init__(self, db: sqlite3.Connection, number: int) -> None:
        self._db, self._number = db, number
        self._rows = self._each()
        self._next: _Row | None = None
        self._opened = self._begun = False
        self._rest: Record | None = None
        self._seen = 0
        self.position = 0
        self.broken = ""
        self.anew = self.ended = False

    def _each(self) -> Iterator[_Row]:
        columns = "ending, anew, behind, value, position, length, digest, broken"
        sql = f"SELECT {columns} FROM records WHERE stream = ? ORDER BY {_ORDER}"
        for ending, anew, behind, *record in self._db.execute(sql, (self._number,)):
            yield _Row(ending, anew, behind, Record(*record))

    def first_time(self, look: Callable[[bytes], Look]) -> int | None:
        """The time of the first record that holds one, in epoch milliseconds; None: not found."""
        sql = f"SELECT value FROM records WHERE stream = ? ORDER BY {_ORDER} LIMIT {_LOOKED_AT}"
        for (value,) in self._db.execute(sql, (self._number,)).fetchall():
            found = look(value)
            if found.dated:
                return found.time
        return None

    @property
    def digest(self) -> bytes:
        """Empty: a file of the stream is read from its beginning, should it come."""
        return b""

    def digest_at(self, _position: int) -> bytes:
        """As :attr:`digest`."""
        return b""

    def resume(self, position: int, _digest: bytes) -> bool:
        """Go on at ``position``."""
        self.position = position
        return True

    def more(self) -> bool:
        """Go on to the next part, if there is one."""
        if not self._opened:
            self._opened, self._next = True, next(self._rows, None)
        self._rest, self.broken, self.ended, self._begun = None, "", False, False
        self.anew = self._next is not None and bool(self._next.anew)
        if self.anew:
            self._seen = self.position = 0
        return self._next is not None

    def read(self, size: int) -> list[Record]:
        """The next records, about ``size`` bytes; empty at the end of the part."""
        records: list[Record] = []
        while size > 0 and not self.ended and (row := self._next) is not None:
            if row.anew and self._begun:
                break
            self._begun, self._next = True, next(self._rows, None)
            self._seen = max(self._seen, row.behind)
            if row.record.position < self.position:
                continue
            self.position = row.behind
            if not row.ending:
                records.append(row.record)
                size -= len(row.record.value)
            elif not self._ends_again(row):
                self._end(row.record)
        # Where the store is ahead of the topic, the topic's end says nothing.
        if self._next is None and self.position == self._seen:
            self.ended = True
        return records

    def _ends_again(self, row: _Row) -> bool:
        """Whether the input ended here once more: then it had grown by a part of a line."""
        upcoming = self._next
        if upcoming is None or upcoming.anew or not upcoming.ending:
            return False
        return upcoming.record.position == row.record.position

    def _end(self, record: Record) -> None:
        self.ended, self.broken = True, record.broken
        if record.value or record.length >= 0 or record.broken:
            self._rest = record

    def rest(self) -> Record | None:
        """What stood unfinished at the end of the part, or None."""
        return self._rest


def _bytes(content: bytes | str | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def _counts(message: Message, left: dict[Where, int]) -> bool:
    """Whether a message is one of those that were there when we began."""
    error = message.error()
    if error is None:
        place = (message.topic() or "", message.partition() or 0)
        return (message.offset() or 0) < left.get(place, 0)
    if error.fatal() or error.code() in _GRAVE:
        raise _failed(message.topic() or "", error)
    return False


def _reached(message: Message, high: int) -> bool:
    """Whether a message says that its partition is read as far as is wanted."""
    error = message.error()
    if error is not None:
        return error.code() == KafkaError._PARTITION_EOF
    return (message.offset() or 0) >= high - 1


def _failed(topic: str, error: KafkaError) -> InputError:
    hint = ""
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        hint = "; who we are needs Read and Describe on it"
    return InputError(f"the topic {topic} cannot be read: {error.str() or error.name()}{hint}")
