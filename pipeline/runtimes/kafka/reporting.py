"""Reporting: one worker at a time says what the stream has to say of itself.

It is whoever has partition 0 of `control`. Its producer's transactional id is always the same, so
that a worker which does not know yet that it was put out of its group is refused whatever it says
(KIP-98). What is said goes in one transaction with what was seen to say it (`states.py`): whoever
takes over goes on from there, and says nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

import orjson
from confluent_kafka import KafkaError, KafkaException

from pipeline.config import Config
from pipeline.errors import AuditstreamError
from pipeline.runtimes.kafka.application import Application
from pipeline.runtimes.kafka.lagging import Lags
from pipeline.runtimes.kafka.looking import Look
from pipeline.runtimes.kafka.notices import Notice
from pipeline.runtimes.kafka.patience import GivenUp, LeftOff
from pipeline.runtimes.kafka.producing import NOBODY, Outgoing, Transactional
from pipeline.runtimes.kafka.silence import Listening, unheard_of
from pipeline.runtimes.kafka.states import States
from pipeline.runtimes.kafka.tally import Tally
from pipeline.runtimes.kafka.wires import Wires
from pipeline.streaming import Silence
from schemas.types import Finding, row_of
from schemas.vocabulary import FindingStatus

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

EACH_S: Final = 10.0
"""Between two looks; where silences are shorter, a third of the shortest."""
_TURN_S: Final = 0.5
_SAID_EACH_S: Final = 300.0
_LOOKED: Final = b"looked"
_NOT_ALLOWED: Final = "; `auditstream topics plan --acls table` says what is needed"


class Looks(Protocol):
    """What is found out (:class:`pipeline.runtimes.kafka.looking.Looking`)."""

    def look(self) -> Look: ...

    def close(self) -> None: ...


class Memory:
    """What was said and seen, as it is kept.

    Args:
        states: of the role's part that reports.
        topic: of findings.
        control: that is called the topic of these states, in its partition 0.
    """

    def __init__(self, states: States, wires: Wires, topic: str, control: str) -> None:
        self._states, self._topic, self._control = states, topic, control
        self._encode = wires.encoder("finding", "findings")
        self._decode = wires.decoder("finding")

    def load(self, given_up: GivenUp) -> tuple[dict[bytes, Finding], bytes | None]:
        """What was said, by name, and what was seen. Raises `NotLoaded`, `RegistryAway`, and
        `LeftOff`."""
        kept = self._states.load(self._control, 0, given_up)
        looked = kept.pop(_LOOKED, None)
        said = {name: row_of(Finding, self._decode(row)) for name, row in kept.items()}
        return said, looked

    def records(self, notices: list[Notice], looked: bytes | None) -> list[Outgoing]:
        """What is sent of it."""
        out = []
        for name, finding, kept in notices:
            value = self._encode(finding)
            out.append(Outgoing(self._topic, value, finding.id))
            state = value if kept else None
            out.append(self._states.record(self._control, 0, name, state))
        if looked is not None:
            out.append(self._states.record(self._control, 0, _LOOKED, looked))
        return out


class Reporting:
    """The reports of one worker, while it is the one that reports.

    Args:
        app: of role `detect`.
        looks: makes what looks; blocks.
        producer: makes one that no other worker can have at the same time.
    """

    def __init__(
        self,
        app: Application,
        config: Config,
        memory: Memory,
        looks: Callable[[], Looks],
        producer: Callable[[], Transactional],
    ) -> None:
        self._app, self._config, self._memory = app, config, memory
        self._make_looks, self._make_producer = looks, producer
        self._place = config.kafka.topic("control"), 0
        self._left = config.kafka.lag_left
        shortest_s = min((one.after_s for one in config.silence if one.after_s), default=EACH_S * 3)
        self._each_s = min(EACH_S, max(1.0, shortest_s / 3))
        self._thread = ThreadPoolExecutor(1, "looking")
        self._looks: Looks | None = None
        self._producer: Transactional | None = None
        self._complained: dict[str, float] = {}
        self._named: set[Silence] = set()

    async def run(self) -> None:
        """Report whenever it is ours to, until cancelled."""
        while not self._app.should_stop:
            if self._ours():
                try:
                    await self._report()
                except LeftOff:
                    pass  # it is another's
                except Exception as error:
                    # Detecting goes on, whatever becomes of this.
                    self._complain(error)
                    await self._app.sleep(self._each_s)
                await self._let_go()
            await self._app.sleep(_TURN_S)

    def close(self) -> None:
        """Give up what is under way."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()
        looks, self._looks = self._looks, None
        if looks is not None:
            self._thread.submit(looks.close)
        self._thread.shutdown(wait=False)

    def _not_ours(self) -> bool:
        return not self._ours()

    def _ours(self) -> bool:
        app = self._app
        return not app.should_stop and self._place in (app.watch.assigned or ())

    async def _report(self) -> None:
        """Take over, and look and say until somebody else does, or the producer can no more."""
        producer = self._producer = self._make_producer()
        # From here on nobody else says anything, and what they said is there to be read.
        await producer.begin()
        said, looked = await self._blocking(lambda: self._memory.load(self._not_ours))
        listening = Listening(self._config.silence, self._config.kafka, said, looked)
        lags = Lags(self._left, said)
        if self._looks is None:
            self._looks = await self._blocking(self._make_looks)
        while self._ours():
            began = time.monotonic()
            try:
                look = await self._blocking(self._looks.look)
            except (AuditstreamError, KafkaException) as error:
                self._complain(error)
                listening.blink()
            else:
                self._name_unheard_of(look)
                notices = [
                    *listening.look(look.heard),
                    *lags.look(look.heard.at, look.backlogs, look.there),
                ]
                seen = listening.frozen() if self._config.silence else None
                await self._say(producer, notices, seen)
            await self._app.sleep(max(0.0, began + self._each_s - time.monotonic()))

    async def _say(
        self, producer: Transactional, notices: list[Notice], looked: bytes | None
    ) -> None:
        records = self._memory.records(notices, looked)
        if not records:
            return
        await producer.send(records)
        await producer.commit({}, NOBODY._replace(group=self._app.conf.id))
        tally = Tally()
        for _, finding, _ in notices:
            tally.say(finding)
            open_ = finding.status == FindingStatus.OPEN
            _log.log(logging.WARNING if open_ else logging.INFO, "said: %r", _title(finding))
        self._app.watch.meters.say(tally)
        await producer.begin()

    async def _let_go(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await asyncio.get_running_loop().run_in_executor(None, producer.close)

    async def _blocking(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def _name_unheard_of(self, look: Look) -> None:
        """Say once which entries of the configuration are about nothing."""
        streaming, named = self._config.kafka, self._named
        for one in unheard_of(self._config.silence, streaming, look.heard.ends):
            if one not in named:
                _log.warning(
                    "waiting: [[silence]] with topic %r and source %r is about no raw topic that "
                    "is there and ours to see",
                    *(one.topic, one.source),
                )
                named.add(one)

    def _complain(self, error: Exception) -> None:
        """Say why nothing is said; the same, now and then."""
        why, now = _why(error), time.monotonic()
        if self._app.should_stop or now < self._complained.get(why, now):
            return
        self._complained = {why: now + _SAID_EACH_S}
        is_known = isinstance(error, (AuditstreamError, KafkaException))
        _log.warning(
            "waiting: silence and lag cannot be told of: %s",
            why,
            exc_info=None if is_known else error,
        )


def _why(error: Exception) -> str:
    if not isinstance(error, KafkaException):
        return str(error) if isinstance(error, AuditstreamError) else repr(error)
    why: KafkaError = error.args[0]
    return f"{why.str() or why.name()}{_NOT_ALLOWED if 'AUTHORIZATION' in why.name() else ''}"


def _title(finding: Finding) -> str:
    return str(orjson.loads(finding.ocsf)["finding_info"]["title"])
