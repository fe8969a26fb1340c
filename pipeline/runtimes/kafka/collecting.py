"""Collect: files as the embedded runtime reads them, as records of the raw topics.

A file's position is kept once the brokers have acknowledged what stands before it: a collector
that is killed sends some lines twice, with the same key, origin and offset, and leaves none out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

import orjson
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipeline.batch import Record
from pipeline.collectors.progress import Progress
from pipeline.collectors.shipping import headers
from pipeline.config import Config, Input
from pipeline.errors import ArgumentError
from pipeline.runtimes.inputs import Found, Inputs
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.producing import Sending
from pipeline.runtimes.lanes import Chunk, Lane, Stride
from pipeline.runtimes.merge import Feed, merged
from pipeline.runtimes.shipments import Parcel, SendingLane
from pipeline.sinks.sqlite import StreamRow
from pipeline.streaming import RAW

_FLUSH_BYTES = 32 * 1024 * 1024
_FLUSH_S = 5.0
_GRACE_S = 10.0
"""How long brokers may take for what is under way when we are to stop."""
_AT_ONCE_S = 1.0
"""The most that counts as waited at once: whoever was stopped meanwhile did not wait."""
_LONGEST_BYTES = 4 * 1024 * 1024 - 64 * 1024
"""Longest line that fits into a record of a raw topic, with key and headers."""
_ADVICE = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "; who we are needs Write and Describe on it",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "; who we are needs IdempotentWrite on the cluster",
    KafkaError.MSG_SIZE_TOO_LARGE: "; raise max.message.bytes of the topic, or lower "
    "max_record_bytes",
}


@dataclass(slots=True)
class Sent:
    """What went into one topic."""

    files: set[str] = field(default_factory=set)
    records: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Collected(Found):
    """What a collector did.

    Attributes:
        topics: by name.
    """

    topics: dict[str, Sent] = field(default_factory=dict)


class Collecting(Inputs):
    """One run over bounded inputs, or with :mod:`pipeline.runtimes.follow` over growing ones."""

    lane_of = SendingLane

    def __init__(
        self,
        config: Config,
        inputs: Sequence[Input],
        progress: Progress,
        report: Callable[[str, int], None],
    ) -> None:
        """Raises `ConfigError` and `ClusterError`: a topic is missing, or no broker is reached."""
        plan = config.plan()
        plan = replace(plan, max_record_bytes=min(plan.max_record_bytes, _LONGEST_BYTES))
        super().__init__(config, inputs, plan)
        self.collected = self.found = Collected()
        self._progress, self._report = progress, report
        self._outbox = _Outbox(config, lambda: self.stop)
        self._outbox.check({self._topic(given.source) for given in inputs})
        self._rows: dict[bytes, StreamRow] = {}
        self._asides: list[tuple[bytes, bytes]] = []
        self._waiting = 0
        self._flushed = time.monotonic()

    def run(self) -> Collected:
        """Send every input to its end.

        Raises:
            InputError: an input does not exist or cannot be read.
            ClusterError: brokers do not take what is sent.
            StoreError: the progress cannot be written.
        """
        lanes = self.lanes()
        stride = self.stride(len(lanes))
        self.drain([(lane, lane.chunks(stride)) for lane in lanes], stride)
        return self.finish(lanes)

    def kept(self, key: bytes) -> StreamRow | None:
        """How far the stream was sent before."""
        return self._rows.get(key) or self._progress.stream(key)

    def lane_for(self, *arguments: Any) -> Lane:
        """A lane whose lines can be told."""
        lane = super().lane_for(*arguments)
        assert isinstance(lane, SendingLane)
        lane.look, lane.asides = self.look(lane.stream), self._progress
        return lane

    def add_topics(self, topics: Sequence[Input], lanes: dict[bytes, Lane]) -> None:  # noqa: ARG002
        """Raises `ArgumentError`: what is in a topic need not be sent to one."""
        raise ArgumentError(f"{topics[0].path} is a topic already: name files, folders or globs")

    def drain(self, feeds: Iterable[Feed], stride: Stride) -> None:
        """Send parcels in order of time, across all lanes."""
        for lane, parcel in merged(feeds, stride):
            self._send(cast(SendingLane, lane), cast(Parcel, parcel))
            due = time.monotonic() - self._flushed > _FLUSH_S
            if self.stop or due or self._waiting > _FLUSH_BYTES:
                self._flush()
            if self.stop:
                return
        self._flush()

    def pause(self) -> None:
        """Hear of what brokers refuse."""
        self._outbox.hear()

    def finish(self, lanes: Iterable[Lane]) -> Collected:
        """Flush; the summary."""
        self._flush()
        for lane in lanes:
            self.found.complaints += lane.complaints
            self.found.unusable += lane.refused
        self.found.stopped = self.stop
        return self.collected

    def _topic(self, source: str) -> str:
        return self.config.kafka.topic(f"{RAW}.{source}")

    def _send(self, lane: SendingLane, parcel: Parcel) -> None:
        topic = self._topic(lane.stream.source)
        end = parcel.tail is not None
        records = parcel.records
        if end and not records:
            records = [Record(b"", parcel.row.position)]
        anew, size = parcel.anew, 0
        for record in records:
            said = headers(record, lane.header, end=end, anew=anew)
            self._outbox.put(topic, record.value, lane.key, said)
            anew = False
            size += len(record.value)
        self._waiting += size + 256 * len(records)
        self._note(lane, parcel)
        if parcel.records:
            sent = self.collected.topics.setdefault(topic, Sent())
            sent.files.add(parcel.course.carrier)
            sent.records += len(parcel.records)
            sent.bytes += size
            self._report(parcel.course.carrier, len(parcel.records))

    def _note(self, lane: SendingLane, parcel: Chunk) -> None:
        """Where the stream stands once this is acknowledged."""
        if parcel.course.aside:
            if isinstance(parcel, Parcel) and parcel.aside:
                self._asides.append((lane.row.key, parcel.aside))
            return
        if parcel.tail is not None:
            lane.ending = {"tail": list(parcel.tail)}
        elif parcel.undo:
            lane.ending = {}
        ending = orjson.dumps(lane.ending) if lane.ending else b""
        lane.kept = replace(parcel.row, carrier=lane.kept.carrier, ending=ending)
        self._rows[lane.kept.key] = lane.kept

    def _flush(self) -> None:
        self._outbox.flush()
        self._progress.save(self._rows.values(), self._asides)
        self._rows, self._asides, self._waiting = {}, [], 0
        self._flushed = time.monotonic()


class _Patience:
    """How long was waited since it was made, in seconds."""

    def __init__(self) -> None:
        self.waited, self._last = 0.0, time.monotonic()

    def wait(self) -> None:
        """Some of it has passed."""
        now = time.monotonic()
        self.waited, self._last = self.waited + min(now - self._last, _AT_ONCE_S), now


class _Outbox:
    """An idempotent producer that waits where its queue is full, and for ever for nothing.

    What arrives of a file is its beginning, whatever fails: no record is given up while others of
    it are sent, or those that are sent again would be taken for ones that were there before.
    """

    def __init__(self, config: Config, stopped: Callable[[], bool]) -> None:
        sending = Sending()
        self._cluster = Cluster(config.kafka)
        self._brokers, self._stopped = config.kafka.brokers, stopped
        self._patience_s = sending.delivery_ms / 1000 + _GRACE_S
        self._refused: tuple[KafkaError, str] | None = None
        self._said = ""
        self._producer = Producer({
            **self._cluster.settings,
            **sending.settings(),
            # We give up, all at once, and after a time in which we were there.
            "delivery.timeout.ms": 0,
            "enable.gapless.guarantee": True,
            "on_delivery": self._told,
            "error_cb": self._on_error,
        })  # fmt: skip

    def check(self, topics: set[str]) -> None:
        """Raises `ClusterError` where a topic is missing, for none is made here."""
        missing = sorted(topics - self._cluster.topics().keys())
        if missing:
            raise ClusterError(
                f"no topic {', '.join(missing)} at {self._brokers}, or we may not see it: "
                "`auditstream topics apply` makes topics"
            )

    def put(self, topic: str, value: bytes, key: bytes, said: Any) -> None:
        """Hand over a record, waiting for room."""
        patience: _Patience | None = None
        while True:
            try:
                self._producer.produce(topic, value, key, headers=said)
                return
            except BufferError:
                patience = patience or _Patience()
                self._wait(patience)
                self._producer.poll(0.1)
                self.hear()
            except KafkaException as error:
                raise self._failed(error.args[0], topic) from None

    def hear(self) -> None:
        """Raises `ClusterError` if anything was refused."""
        self._producer.poll(0)
        if self._refused is not None:
            raise self._failed(*self._refused)

    def flush(self) -> None:
        """Wait until all is acknowledged. Raises `ClusterError` if not all of it was."""
        patience = _Patience()
        while len(self._producer):
            self._producer.flush(0.2)
            self.hear()
            self._wait(patience)
        self.hear()

    def _wait(self, patience: _Patience) -> None:
        """Raises `ClusterError` where it was waited long enough."""
        patience.wait()
        if patience.waited <= (_GRACE_S if self._stopped() else self._patience_s):
            return
        self._producer.purge()
        why = f": {self._said}" if self._said else ""
        raise ClusterError(
            f"the brokers {self._brokers} do not take what is sent{why}; run again when they do: "
            "it goes on where it was"
        )

    def _failed(self, error: KafkaError, topic: str) -> ClusterError:
        with suppress(KafkaException):
            self._producer.purge()
        said = f"the topic {topic} does not take what is sent: {error.str() or error.name()}"
        also = f" ({self._said})" if self._said else ""
        return ClusterError(f"{said}{also}{_ADVICE.get(error.code(), '')}")

    def _told(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._refused is None:
            self._refused = error, message.topic() or ""

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._said = error.str()
