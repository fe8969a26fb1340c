"""Asking: a thread that asks brokers and OpenSearch every few seconds whether they are there.

A role that waits asks nobody, and one that has nothing to do does not either: neither would notice.
Where partitions end is asked as well, for what a role fetched last says nothing of a lag that grows
while it waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.runtimes.kafka.health import Ends, Health, Place, Watch

_log = logging.getLogger(__name__)
_EACH_S: Final = 5.0
_AGAIN_S: Final = 1.0
"""Where somebody is away: that they are back is worth knowing soon."""
_ANSWER_S: Final = 3.0
_SHARE: Final = 10
"""Asking is followed by a pause so many times as long, where there are very many partitions."""


class Asking:
    """The thread. It has a connection of its own, and keeps it: each login would be an event.

    Args:
        settings: librdkafka's, with a group.
        health: is told.
    """

    def __init__(self, settings: Mapping[str, Any], health: Health) -> None:
        self._health = health
        quiet = {"enable.auto.commit": False, "log_level": 0}
        self._asker = Consumer({**settings, **quiet, "isolation.level": "read_uncommitted"})
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asking", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()
        self._asker.close()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._over.wait(pause_s):
            began = time.monotonic()
            self._look()
            pause_s = max(_EACH_S, _SHARE * (time.monotonic() - began))
            if self._health.brokers or any(one.store and one.away for one in self._health.watches):
                pause_s = _AGAIN_S

    def _look(self) -> None:
        watches = [watch for watch in self._health.watches if not watch.stopping]
        try:
            for watch in watches:
                if watch.store is not None:
                    watch.away = watch.store.reach()
            # Tokens are renewed in it.
            self._asker.poll(0)
            for watch in watches:
                self._ask(watch)
            if watches:
                self._health.brokers = ""
        except KafkaException as error:
            self._health.brokers = error.args[0].str()
        except Exception as error:
            # Nobody would hear of it, and health would stay as it was for good.
            _log.warning("waiting: brokers and OpenSearch could not be asked", exc_info=True)
            self._health.brokers = repr(error)

    def _ask(self, watch: Watch) -> None:
        if watch.topics:
            # Of a broker that is gone this says so; asked for a partition, librdkafka says that
            # there is none.
            self._asker.list_topics(watch.topics[0], _ANSWER_S)
        for place in self._until_over(sorted(watch.assigned or ())):
            low, high = self._asker.get_watermark_offsets(TopicPartition(*place), _ANSWER_S)
            watch.found(place, Ends(low, high))

    def _until_over(self, places: Iterable[Place]) -> Iterable[Place]:
        for place in places:
            if self._over.is_set():
                return
            yield place
