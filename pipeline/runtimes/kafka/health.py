"""Health: what a worker knows of itself, and whether that is well.

*Live* is a worker whose event loop turns: one that is not should be started anew. *Ready* is one
that can work at this moment; where it is not it says why, and mostly waits for something that comes
back by itself. A worker that waits for OpenSearch is live and not ready.

The event loop writes what is here, and threads read it: each value is replaced whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

from pipeline.runtimes.kafka.meters import Meters
from pipeline.runtimes.kafka.tally import Tally

Place = tuple[str, int]
"""Topic and partition."""

STALLED_S: Final = 30.0
"""A loop that has not turned for so long is taken for dead."""
CHECKS: Final = ("partitions", "state", "brokers", "opensearch")


class Ends(NamedTuple):
    """The first offset of a partition, and the one behind its last."""

    low: int
    high: int


class Store(Protocol):
    """Where a role writes to, beside brokers."""

    @property
    def waiting(self) -> str:
        """Why something waits to be sent again; empty: nothing does."""

    def reach(self) -> str:
        """Why it does not answer; empty: it does. Blocks."""


class Watch:
    """What is known of one role.

    Attributes:
        topics: that it reads.
        assigned: its share; None while it has none settled.
        positions: where it is done up to; None: nowhere yet, it begins at the beginning.
        ends: of its partitions, as brokers last said.
        states: entries and bytes known of partitions, by work.
        store: where it writes to, beside brokers; None: nowhere.
        away: why that did not answer when it was last asked; empty: it did.
        stopping: it was asked to end.
    """

    def __init__(
        self,
        role: str,
        meters: Meters | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.role = role
        self.meters = meters or Meters()
        self._clock, self._monotonic = clock, monotonic
        self.topics: tuple[str, ...] = ()
        self.assigned: frozenset[Place] | None = None
        self.positions: Mapping[Place, int | None] = {}
        self.ends: dict[Place, Ends] = {}
        self.states: dict[tuple[str, Place], tuple[int, int]] = {}
        self.store: Store | None = None
        self.away = "nobody has asked it yet"
        self.stopping = False
        self._in_hand: dict[Place, float] = {}
        self._behind: dict[Place, float] = {}
        self._loading: dict[Place, float] = {}
        self._beaten: float | None = None
        self._placed = False

    # Told by the event loop.

    def begins(self, work: str, topics: Iterable[str]) -> None:
        """There will be such work upon these topics."""
        topics = tuple(topics)
        self.topics = (*self.topics, *topics)
        self.meters.begins(work, topics)

    def beat(self, positions: Mapping[Place, int | None]) -> None:
        """The loop turns."""
        self.positions, self._placed = positions, True
        self._beaten = self._monotonic()

    def share(self, places: Iterable[Place] | None) -> None:
        """The group has given the role its partitions; None: takes them away."""
        self._in_hand, self._behind, self._loading = {}, {}, {}
        # Where it is in those that are new, the next beat says.
        self._placed = False
        self.assigned = None if places is None else frozenset(places)

    @contextmanager
    def loading(self, place: Place) -> Iterator[None]:
        """While the state of a partition is loaded."""
        self._loading[place] = self._monotonic()
        try:
            yield
        finally:
            self._loading.pop(place, None)

    def begin(self, place: Place, carried_ms: int) -> None:
        """A batch is in hand; its first record was written then, epoch milliseconds."""
        self._in_hand[place] = carried_ms / 1000

    def done(
        self, work: str, place: Place, records: int, lost: int, took_s: float, tally: Tally
    ) -> None:
        """The batch has committed."""
        self._in_hand.pop(place, None)
        for where, size in tally.state.items():
            self.states[work, where] = size
        self.meters.done(work, place[0], records, lost, took_s, tally)

    def failed(self, work: str) -> None:
        """A commit failed."""
        self.meters.failed(work)

    # Told by whoever asks the brokers.

    def found(self, place: Place, ends: Ends) -> None:
        """Where a partition begins and ends."""
        self.ends[place] = ends
        if not self._placed:
            return
        if self.lag(place):
            self._behind.setdefault(place, self._clock())
        else:
            self._behind.pop(place, None)

    # Asked by threads.

    def places(self) -> list[Place]:
        """Its partitions of which is known where they end, and where it is in them."""
        if not self._placed:
            return []
        return sorted(place for place in self.assigned or () if place in self.ends)

    def position(self, place: Place) -> int:
        """Where it is done up to."""
        at = self.positions.get(place)
        return self.ends[place].low if at is None else at

    def lag(self, place: Place) -> int:
        """Positions that are not done."""
        return max(0, self.ends[place].high - self.position(place))

    def age_s(self, place: Place) -> float:
        """How long the oldest record that is not done has waited: since it was written, if it is in
        hand, else since something was first seen to wait."""
        since = [one[place] for one in (self._in_hand, self._behind) if place in one]
        return max(0.0, self._clock() - min(since)) if since and self.lag(place) else 0.0

    def known(self) -> dict[str, tuple[int, int]]:
        """By work, entries and bytes of state of the partitions that are its own."""
        out: dict[str, tuple[int, int]] = {}
        for (work, place), (entries, size) in list(self.states.items()):
            if place in (self.assigned or ()):
                before = out.get(work, (0, 0))
                out[work] = before[0] + entries, before[1] + size
        return out

    def stalled(self) -> str:
        """Why it is taken for dead; empty: it is not."""
        if self._beaten is None or self.stopping:
            return ""
        still_s = self._monotonic() - self._beaten
        return f"its loop has not turned for {still_s:.0f} s" if still_s > STALLED_S else ""

    def reasons(self) -> Iterator[tuple[str, str]]:
        """Why it cannot work now: what was checked, and what is wrong in words."""
        if self.stopping:
            yield "partitions", "it was asked to stop"
        elif self._beaten is None:
            yield "partitions", "it is starting"
        elif self.assigned is None:
            yield "partitions", "it waits for its share of the partitions"
        for (topic, partition), since in sorted(self._loading.items()):
            for_s = self._monotonic() - since
            yield "state", f"it loads what is known of {topic}[{partition}], for {for_s:.0f} s"
        if self.store is not None and self.store.waiting:
            yield "opensearch", f"OpenSearch does not take documents now: {self.store.waiting}"
        elif self.store is not None and self.away:
            yield "opensearch", f"OpenSearch does not answer: {self.away}"


class Health:
    """A worker's, over its roles.

    Attributes:
        brokers: why brokers do not answer; empty: they do.
    """

    def __init__(self) -> None:
        self.watches: list[Watch] = []
        self.brokers = "nobody has asked them yet"

    def live(self) -> list[str]:
        """Why the worker should be started anew; empty: it lives."""
        return [f"{one.role}: {why}" for one in self.watches if (why := one.stalled())]

    def ready(self) -> list[tuple[str, str]]:
        """Why it cannot work: what was checked, and in words; empty: it can."""
        out = [
            (check, f"{one.role}: {why}") for one in self.watches for check, why in one.reasons()
        ]
        if not self.watches:
            out.append(("partitions", "the worker is starting"))
        if self.brokers:
            out.append(("brokers", f"the brokers do not answer: {self.brokers}"))
        return out
