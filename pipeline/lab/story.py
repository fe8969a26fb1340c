"""The story that the lab plays: the incident, and what was recorded around it, in the present.

The play upon the broker is that of `pipeline.lab.incident`. What its desk and its trail recorded
before it, is fed before it is played; what they record afterwards, when its time has come. A
minute after the play is a fraction of a second here, so that nobody waits half an hour for a
session to end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from confluent_kafka import KafkaException, Producer

from pipeline.errors import LabError
from pipeline.lab import incident
from pipeline.lab.acts import acts
from pipeline.lab.configured import COLLECTOR, DESK_TOPIC, OWN_HOST, TRAIL_TOPIC
from pipeline.lab.incident import desk, trail
from pipeline.lab.kafka import Kafka

_ARCHIVE: Final = "audit.archive"
"""The topic that is made to forget. The stream's own are not: the lab would lose its events."""

_PAUSE_S: Final = 0.2
_PLAYED_S: Final = 12.0
"""How long after its beginning the play is over, as far as the records around it are concerned."""
_MINUTE: Final = timedelta(seconds=0.3)
_CHECK_S: Final = 0.5
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fed:
    """A record on its way. `time_ms`: what it says of its time, epoch milliseconds."""

    topic: str
    time_ms: int
    value: bytes


class Story:
    """One telling of it, on a running broker.

    Args:
        kafka: that of the lab's estate.
        say: is told what happens.
    """

    def __init__(self, kafka: Kafka, say: Callable[[str], None]) -> None:
        self._kafka, self._say = kafka, say
        self.fed: dict[int, int] = {}
        """When records were fed, by what they say of their time; both epoch milliseconds."""

    def tell(self, check: Callable[[], None]) -> None:
        """Feed, play, and feed the rest. `check` is called again and again, and may raise.

        Raises:
            LabError: the broker did not do what the story needs.
        """
        ended = datetime.now(UTC) + timedelta(seconds=_PLAYED_S)
        records = sorted(recorded(ended), key=lambda record: record.time_ms)
        now = _now_ms()
        before = [record for record in records if record.time_ms <= now]
        after = records[len(before) :]
        self._say(f"feeding what desk and cloud recorded before: {len(before)} records")
        self._feed(before)
        self._say("playing the incident on the broker: five principals and an outsider")
        try:
            # Before the play, in which somebody forges: what stands behind that nobody believes.
            for act in acts():
                act(self._kafka)
            incident.play(self._kafka, _PAUSE_S, _ARCHIVE)
        except (KafkaException, RuntimeError) as error:
            raise LabError(f"the incident could not be played: {error}") from error
        self._say(f"feeding what they record now: {len(after)} records")
        for record in after:
            while (left_s := (record.time_ms - _now_ms()) / 1000) > 0:
                check()
                time.sleep(min(left_s, _CHECK_S))
            self._feed([record])

    def delay_s(self, last_time: int, seen: int) -> float:
        """From a deed until it was seen; what was fed was no deed before it was fed.

        Args:
            last_time, seen: epoch milliseconds.
        """
        return (seen - self.fed.get(last_time, last_time)) / 1000

    def _feed(self, records: Iterable[Fed]) -> None:
        # One each time: it must be gone before the broker's addresses are.
        producer = Producer(self._kafka.client(COLLECTOR, OWN_HOST))
        errors: list[Any] = []
        for record in records:
            producer.produce(
                record.topic,
                record.value,
                # One key, so that they stay in order.
                key=record.topic,
                on_delivery=lambda error, _: errors.append(error) if error else None,
            )
            self.fed[record.time_ms] = _now_ms()
        if producer.flush(60) or errors:
            raise LabError(f"records could not be fed: {errors or 'the broker does not answer'}")


def recorded(ended: datetime) -> Iterator[Fed]:
    """What desk and trail record around a play that `ended`, moved to the present."""
    for topic, time_of, documents in (
        (DESK_TOPIC, "time", desk.records(ended)),
        (TRAIL_TOPIC, "eventTime", trail.records(ended)),
    ):
        for document in documents:
            moved = _moved(document, ended)
            at = datetime.fromisoformat(moved[time_of])
            yield Fed(topic, round(at.timestamp() * 1000), orjson.dumps(moved))


def _moved(value: Any, ended: datetime) -> Any:
    """The same, with what is after the play sooner after it."""
    if isinstance(value, dict):
        return {name: _moved(one, ended) for name, one in value.items()}
    if isinstance(value, list):
        return [_moved(one, ended) for one in value]
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return value
    at = datetime.fromisoformat(value)
    if at <= ended:
        return value
    sooner = ended + _MINUTE * ((at - ended) / timedelta(minutes=1))
    if value.endswith("Z"):
        # The trail's times are of whole seconds.
        return sooner.strftime("%Y-%m-%dT%H:%M:%SZ")
    return sooner.isoformat(timespec="milliseconds")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
