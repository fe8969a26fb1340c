"""Silence: who was heard before and is heard no more. Pure; told what was found at each look.

A *voice* is a cluster in a raw topic. Where it is alone there, whatever comes in is heard of it,
whether or not it becomes an event: a broker on which nothing but our own work is done still writes.
Where clusters share a topic, clocks alone (``clock.avsc``) tell them apart: a voice is heard when
ingest has read a newer event of it. One host of several that send as one cluster to one topic is
not missed.

What we do not see is no silence. Time counts only between two looks of which one follows soon upon
the other, and that both succeeded; in a shared topic, only if ingest has meanwhile read all that
was there at the first.

State (JSON): ``{"until": ms, "voices": [[cluster, topic, stamp, arrived, heard, quiet], …]}``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import orjson

from pipeline.runtimes.kafka.notices import SILENCE, Notice, Told, name_of, opened, over, span
from pipeline.streaming import Silence, Streaming
from schemas.indices import DAY_MS
from schemas.types import Finding
from schemas.vocabulary import FindingStatus

LONGEST_MS: Final = 30_000
"""Between two looks, for the time between them to count."""
HEARD_WITHIN_MS: Final = DAY_MS
"""Whose silence is noticed at the first look there ever was: the long gone are not missed."""
AHEAD_MS: Final = 60_000
"""A clock so far ahead of ours stands still although its cluster speaks."""

MOST_VOICES: Final = 1_000
LONGEST_LABEL: Final = 200
"""Whoever sends records can name clusters: so many are listened to, with labels so long."""

Voice = tuple[str, str]
"""Cluster and raw topic."""
Offsets = Mapping[int, int]
"""By partition."""


class Clocked(NamedTuple):
    """The newest clock of a voice: when it was written, and what it says (epoch milliseconds)."""

    stamp: int
    time: int


class Heard(NamedTuple):
    """What was found at one look.

    Attributes:
        at: when, epoch milliseconds.
        clocks: the newest of each voice.
        ends: by raw topic, where its partitions end.
        read: by raw topic, where ingest is in them.
    """

    at: int
    clocks: Mapping[Voice, Clocked]
    ends: Mapping[str, Offsets]
    read: Mapping[str, Offsets]


@dataclass(slots=True)
class _Known:
    """What is known of a voice: its newest clock's stamp, how much had arrived in its topic, when
    it was last heard, and for how many milliseconds it was listened to since."""

    stamp: int
    arrived: int
    heard: int
    quiet: int = 0


class Listening:
    """Listens from look to look.

    Args:
        silences: how long what may be silent.
        said: what was said and is known, by name.
        looked: what :meth:`frozen` gave last, or None.
    """

    def __init__(
        self,
        silences: Iterable[Silence],
        streaming: Streaming,
        said: Mapping[bytes, Finding],
        looked: bytes | None = None,
    ) -> None:
        self._silences, self._streaming = tuple(silences), streaming
        self._said = {name: one for name, one in said.items() if one.detector == SILENCE.name}
        state = orjson.loads(looked or b"{}")
        self._until: int | None = state.get("until")
        self._known = {(row[0], row[1]): _Known(*row[2:]) for row in state.get("voices", ())}
        self._ends: Mapping[str, Offsets] = {}

    def frozen(self) -> bytes:
        """What is to be known by whoever goes on."""
        voices = [[*voice, *astuple(known)] for voice, known in sorted(self._known.items())]
        return orjson.dumps({"until": self._until, "voices": voices})

    def blink(self) -> None:
        """A look failed: what passes up to the next one does not count."""
        self._until, self._ends = None, {}

    def look(self, heard: Heard) -> list[Notice]:
        """Take what was found; what is to be said."""
        since = heard.at - self._until if self._until is not None else -1
        passed = since if 0 <= since <= LONGEST_MS else 0
        alone = _alone(heard)
        for voice, clocked in heard.clocks.items():
            self._listen(voice, clocked, heard, passed, voice in alone)
        self._until, self._ends = heard.at, heard.ends
        return [*self._judge(heard.at, alone), *self._withdraw(heard.at)]

    def _listen(
        self, voice: Voice, clocked: Clocked, heard: Heard, passed: int, alone: bool
    ) -> None:
        ends = heard.ends.get(voice[1])
        arrived = None if ends is None else sum(ends.values())
        known = self._known.get(voice)
        if known is None:
            fits = len(self._known) < MOST_VOICES and len(voice[0]) <= LONGEST_LABEL
            if fits and heard.at - clocked.stamp <= HEARD_WITHIN_MS:
                first = min(clocked.stamp, heard.at)
                self._known[voice] = _Known(clocked.stamp, arrived or 0, first)
            return
        came = alone and arrived is not None and arrived > known.arrived
        if came or clocked.stamp > known.stamp:
            known.heard, known.quiet = max(heard.at, known.heard + 1), 0
        elif ends is not None and (alone or self._would_have_heard(voice[1], clocked, heard)):
            known.quiet += passed
        known.stamp = clocked.stamp
        known.arrived = known.arrived if arrived is None else arrived

    def _would_have_heard(self, topic: str, clocked: Clocked, heard: Heard) -> bool:
        """Whether what was there at the look before would show in the clock by now."""
        before, read = self._ends.get(topic), heard.read.get(topic, {})
        if before is None or clocked.time > heard.at + AHEAD_MS:
            return False
        return all(read.get(number, 0) >= end for number, end in before.items())

    def _judge(self, at: int, alone: Set[Voice]) -> Iterator[Notice]:
        for (cluster, topic), known in sorted(self._known.items()):
            name = name_of(SILENCE, topic, cluster)
            said = self._said.get(name)
            if said is not None and known.heard > said.first_time:
                # One that was withdrawn is forgotten without a word.
                del self._said[name]
                if said.status == FindingStatus.OPEN:
                    told = self._over(cluster, topic, said, at)
                    yield Notice(name, over(SILENCE, told, said, FindingStatus.CLOSED), False)
                said = None
            after_ms = self._after_ms(cluster, topic)
            is_open = said is not None and said.status == FindingStatus.OPEN
            if after_ms and known.quiet >= after_ms and not is_open:
                told = self._silent((cluster, topic), known, at, after_ms, alone)
                self._said[name] = opened(SILENCE, told, said)
                yield Notice(name, self._said[name], True)

    def _withdraw(self, at: int) -> Iterator[Notice]:
        """What nothing in the configuration asks for any more."""
        for name, said in sorted(self._said.items()):
            _, topic, cluster = name.decode().split("\0", 2)
            if said.status == FindingStatus.OPEN and not self._after_ms(cluster, topic):
                told = self._told(
                    cluster, topic, said.first_time, at, "May be silent after all",
                    "The configuration has no [[silence]] for it any more.", 0,
                )  # fmt: skip
                self._said[name] = over(SILENCE, told, said, FindingStatus.WITHDRAWN)
                yield Notice(name, self._said[name], True)

    def _after_ms(self, cluster: str, topic: str) -> int:
        raw = self._streaming.raw_topic(topic)
        source = raw.source if raw else ""
        covering = (one for one in self._silences if one.covers(cluster, topic, source))
        return next((one.after_s * 1000 for one in covering), 0)

    # In words.

    def _silent(
        self, voice: Voice, known: _Known, at: int, after_ms: int, alone: Set[Voice]
    ) -> Told:
        cluster, topic = voice
        what = (
            "nothing came in" if voice in alone else "no newer event was read, as of others there"
        )
        message = (
            f"Of cluster {cluster}, {what} in {topic} since {_moment(known.heard)}. "
            f"It was listened to for {span(known.quiet)} since then."
        )
        title = f"{cluster} fell silent in {topic}"
        return self._told(cluster, topic, known.heard, at, title, message, after_ms)

    def _over(self, cluster: str, topic: str, said: Finding, at: int) -> Told:
        message = f"It is heard again, {span(at - said.first_time)} after it was last."
        title, after_ms = f"{cluster} is heard again in {topic}", self._after_ms(cluster, topic)
        return self._told(cluster, topic, said.first_time, at, title, message, after_ms)

    def _told(
        self, cluster: str, topic: str, first: int, at: int, title: str, message: str, after_ms: int
    ) -> Told:
        raw = self._streaming.raw_topic(topic)
        details = {"topic": topic, "source": raw.source if raw else "", "after_s": after_ms // 1000}
        return Told(cluster, f"topic={topic}", first, at, 1, title, message, details)


def unheard_of(
    silences: Iterable[Silence], streaming: Streaming, topics: Iterable[str]
) -> list[Silence]:
    """Those that no raw topic of these is meant by: mistyped, or there is no such topic yet."""
    raw = [(topic, found.source) for topic in topics if (found := streaming.raw_topic(topic))]
    anywhere = ((one, one.model_copy(update={"cluster": "*"})) for one in silences)
    return [one for one, any_ in anywhere if not any(any_.covers("", *named) for named in raw)]


def _alone(heard: Heard) -> set[Voice]:
    """Voices of whose topic no other has a clock of the last day."""
    late = {v for v, clocked in heard.clocks.items() if heard.at - clocked.stamp > HEARD_WITHIN_MS}
    there = Counter(topic for _, topic in heard.clocks.keys() - late)
    return {voice for voice in heard.clocks if there[voice[1]] - (voice not in late) == 0}


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
