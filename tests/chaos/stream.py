"""A stream whose workers are killed, stunned and put out while it is fed, and what it comes to.

The brokers are restarted, the registry is away, the counters get more partitions: in the end the
view of the stream must be that of one undisturbed embedded run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

from opensearchpy.exceptions import OpenSearchException

from pipeline.config import load
from pipeline.lab.kafka import Kafka
from tests.chaos.crew import SESSION_S, Crew
from tests.chaos.door import Door
from tests.chaos.feed import Collector, inputs
from tests.chaos.gauge import Gauge
from tests.chaos.shelf import Shelf
from tests.commands import auditstream
from tests.servers.registry import API, Registry
from tests.streams import QUICK, StreamOn, View, digested, embedded

_EVERY_S = 0.1
_JITTER_S = 1.0
_AWAY_S = 4.0
_REFUSED_S = 90.0
_APPLIED_S = 900.0
_AHEAD = 0.15
"""Share of all records that the collector may be ahead: it is to be at work until late."""
_MANY = 100_000
"""Records for which it is worth while that Java compiles for speed."""


class Told(NamedTuple):
    """One line of what is going on."""

    seconds: float
    what: str
    collected: int
    ingested: int
    counted: int


Tell = Callable[[Told], None]
_STORE = ("store_away", "store_blocked", "store_slow")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen.

    Attributes:
        deadline_s: how long what is left may take when all has happened.
        store: whether all is indexed, too; `away_s`: how long the store is away then.
    """

    records: int
    kills: int
    seed: int
    steps: tuple[str, ...] = ("collector", "leave", "zombie", "brokers", "registry", "grow")
    partitions: int = 4
    grown: int = 6
    batch_records: int = 2_000
    deadline_s: float = 600
    store: bool = False
    away_s: float = 60

    def schedule(self, random: Random) -> list[tuple[float, str]]:
        """Steps in order, each with the share of the records after which it happens."""
        planned = [(random.random() * 0.95, "kill") for _ in range(self.kills)]
        names = [*self.steps, *(_STORE if self.store else ())]
        random.shuffle(names)
        for number, name in enumerate(names):
            # Evenly, so that each of them meets the work, and none the other.
            planned.append(((number + random.random() * 0.7) / len(names), name))
        return sorted(planned)


@dataclass(slots=True)
class Outcome:
    """What it came to.

    Attributes:
        differences: from the undisturbed run; none, if nothing was lost and nothing told twice.
        happened: how often each step did.
        deaths: what workers complained of that ended by themselves.
    """

    differences: list[str] = field(default_factory=list)
    happened: dict[str, int] = field(default_factory=dict)
    deaths: dict[str, int] = field(default_factory=dict)
    events: int = 0
    duplicates: int = 0
    findings: int = 0
    seconds: float = 0


def disturbed(folder: Path, plan: Plan, tell: Tell) -> Outcome:
    """Run it all; `folder` holds everything afterwards."""
    said = inputs(folder / "inputs", plan.records)
    (folder / "expected").mkdir()
    config = folder / "expected" / "auditstream.toml"
    config.write_text(said, "utf-8")
    tell(Told(0, "running undisturbed", 0, 0, 0))
    expected = embedded(config, config.parent, document=digested)
    with ExitStack() as stack:
        kafka = Kafka(folder / "kafka", {"admin": "admin-password"}, properties=QUICK, heap_mib=512)
        stack.enter_context(kafka)
        more: dict[str, str] = {}
        door = None
        if "registry" in plan.steps:
            registry = stack.enter_context(Registry(folder / "registry"))
            door = stack.enter_context(Door(registry.port))
            more["registry.url"] = f"http://127.0.0.1:{door.port}{API}"
        shelf = None
        if plan.store:
            random = Random(f"store {plan.seed}")
            many = plan.records > _MANY
            shelf = stack.enter_context(Shelf(folder / "opensearch", random, plan.away_s, many))
            said += f"\n{shelf.section}"
        stream = StreamOn(
            kafka, folder / "stream", "chaos", said, plan.partitions,
            batch_records=plan.batch_records, **more,
        )  # fmt: skip
        if door is not None:
            stream.command("registry", "apply")
        chaos = _Chaos(stream, kafka, door, shelf, plan, tell)
        stack.callback(chaos.close)
        return chaos.run(expected)


class _Waking(partial[None]):
    """Of somebody stunned."""


class _Chaos:
    """One run. What may happen are its methods `do_…`; each says what happened, or nothing."""

    def __init__(
        self,
        stream: StreamOn,
        kafka: Kafka,
        door: Door | None,
        shelf: Shelf | None,
        plan: Plan,
        tell: Tell,
    ) -> None:
        self._stream, self._kafka, self._door, self._plan = stream, kafka, door, plan
        self._shelf, self._tell = shelf, tell
        self._random = Random(plan.seed)
        self._crew = Crew(stream, Random(self._random.random()), indexing=plan.store)
        self._collector = Collector(stream)
        self._gauge = Gauge(stream)
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._outcome = Outcome()
        self._began = time.monotonic()

    def close(self) -> None:
        """End what still runs."""
        self._gauge.close()
        self._crew.close()
        self._collector.kill()

    def run(self, expected: View) -> Outcome:
        """All of it, to the end."""
        schedule = self._plan.schedule(self._random)
        self._collector.start()
        self._crew.muster()
        for share, name in schedule:
            self._await(partial(self._reached, share * self._plan.records))
            self._pass(self._random.random() * _JITTER_S)
            what = getattr(self, f"do_{name}")()
            if what:
                self._outcome.happened[name] = self._outcome.happened.get(name, 0) + 1
                self._say(what)
        roles = ("ingest", "detect", "index") if self._shelf else ("ingest", "detect")
        finished = partial(self._stream.finished, roles)
        self._await(lambda: self._collector.done and not self._later and finished())
        self._crew.disband()
        self._say("all is worked off; comparing")
        return self._compared(expected)

    def _reached(self, records: float) -> bool:
        return self._gauge.ingested >= records

    # What may happen.

    def do_kill(self) -> str:
        self._await(self._crew.at_work)
        return f"killed {self._crew.kill()}"

    def do_leave(self) -> str:
        self._await(self._crew.at_work)
        return f"{self._crew.leave()} left"

    def do_zombie(self) -> str:
        self._await(self._crew.at_work)
        member = self._crew.stun()
        self._after(2.5 * SESSION_S, _Waking(self._crew.wake, member))
        return f"stunned worker {member.number}"

    def do_collector(self) -> str:
        if not self._collector.kill():
            return ""
        self._collector.start()
        return "killed the collector"

    def do_brokers(self) -> str:
        self._kafka.kill()
        time.sleep(self._random.random() * 2)
        self._kafka.start()
        self._crew.trouble()
        return "killed the brokers, and started them"

    def do_registry(self) -> str:
        assert self._door is not None
        self._door.close()
        self._collector.pace(go=False)
        self._say("the registry is away")
        began = self._gauge.ingested
        arguments = ("worker", "--config", self._stream.path)
        done = auditstream(*arguments, cwd=self._stream.folder, timeout_s=_REFUSED_S)
        if done.returncode != 1 or "registry" not in done.stderr or "Traceback" in done.stderr:
            said = f"{done.returncode}: {done.stderr[-500:]}"
            self._outcome.differences.append(f"a worker started without the registry said {said}")
        self._pass(_AWAY_S)
        went_on = self._gauge.ingested - began
        self._door.open()
        return f"the registry is back; a worker said: {done.stderr.strip()[:120]}; +{went_on:,}"

    def do_store_away(self) -> str:
        assert self._shelf is not None
        away_s = self._shelf.stop()
        self._after(away_s, self._shelf.start)
        return f"the store is away for {away_s:.0f} s"

    def do_store_blocked(self) -> str:
        assert self._shelf is not None
        try:
            name, seconds = self._shelf.block()
        except OpenSearchException:
            return ""
        if name:
            self._after(seconds, partial(self._release, name))
        return f"{name} is read-only for {seconds:.0f} s" if name else ""

    def _release(self, name: str) -> None:
        # The store may be away, and comes back by what happens next.
        assert self._shelf is not None
        if not self._shelf.release(name):
            self._after(1.0, partial(self._release, name))

    def do_store_slow(self) -> str:
        assert self._shelf is not None
        threading.Thread(target=self._shelf.crawl, daemon=True).start()
        return "the store crawls"

    def do_grow(self) -> str:
        """More partitions. The collector is killed before, and goes on after."""
        fed = self._collector.kill()
        # Zombies among them; the store's own time goes on.
        self._later = [one for one in self._later if not isinstance(one[1], _Waking)]
        self._crew.disband()
        stream = self._stream
        before, after = (f"partitions = {n}\n" for n in (self._plan.partitions, self._plan.grown))
        stream.path.write_text(stream.path.read_text("utf-8").replace(before, after), "utf-8")
        stream.config = load(stream.path)
        arguments = ("topics", "apply", "--config", stream.path)
        deadline = time.monotonic() + _REFUSED_S
        while True:
            done = auditstream(*arguments, cwd=stream.folder, timeout_s=_APPLIED_S)
            # Who was killed is a member for the rest of its session.
            if done.returncode == 0 or time.monotonic() > deadline:
                break
            assert "Stop all workers" in done.stderr, done.stderr
            time.sleep(0.5)
        assert done.returncode == 0, done.stderr
        assert stream.layout().counters_topic == stream.config.kafka.topic("counters.2")
        self._gauge.count_in("counters.2", self._plan.grown)
        (stream.folder / "apply.log").write_text(done.stdout + done.stderr, "utf-8")
        if fed:
            self._collector.start()
        self._crew.muster()
        return f"gave the topics {self._plan.grown} partitions, {'' if fed else 'not '}in mid-feed"

    # Meanwhile.

    def _await(self, condition: Callable[[], bool]) -> None:
        """Let it all go on until something is so."""
        deadline = time.monotonic() + self._plan.deadline_s
        while not condition():
            self._pass(_EVERY_S)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._plan.deadline_s:.0f} s: {self._stream.behind}")

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while True:
            for due, action in [*self._later]:
                if due <= time.monotonic():
                    self._later.remove((due, action))
                    action()
            self._crew.tend()
            self._collector.tend()
            self._gauge.read()
            ahead = self._gauge.collected - self._gauge.ingested
            self._collector.pace(go=ahead < _AHEAD * self._plan.records)
            if time.monotonic() >= until:
                return
            time.sleep(_EVERY_S)

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _say(self, what: str) -> None:
        seconds, gauge = time.monotonic() - self._began, self._gauge
        self._tell(Told(seconds, what, gauge.collected, gauge.ingested, gauge.counted))

    def _compared(self, expected: View) -> Outcome:
        outcome, stream = self._outcome, self._stream
        view = stream.view(digested)
        outcome.differences += self._crew.faults
        outcome.differences += view.differences(expected)
        if self._shelf is not None:
            outcome.differences += self._shelf.differences(expected)
            outcome.differences += self._shelf.reconciled(stream)
        told = view.account["events"]
        if stream.written != told:
            outcome.differences.append(f"{stream.written:,} events in the topic, {told:,} told of")
        outcome.deaths = {**self._crew.deaths} | dict.fromkeys(self._collector.complaints, 1)
        outcome.events, outcome.findings = len(view.events), len(view.findings)
        outcome.duplicates = told - len(view.events)
        outcome.seconds = time.monotonic() - self._began
        return outcome
