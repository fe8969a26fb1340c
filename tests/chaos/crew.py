"""Workers that are killed, leave and come, and somebody who starts anew what has ended."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

from tests.streams import StreamOn
from tests.worker_process import Running

_RAISED = re.compile(r"(pipeline|aiokafka|faust|confluent_kafka|cimpl)[\w.]*: ")
_POSTS = (("ingest", "detect"), ("ingest",), ("detect",))
_INDEXING = (("index",), ("index",))
"""Who works, when all do: each role twice."""
_STARTED_S = 4.0
_TROUBLED_S = 90.0
_LONGEST_ABSENCE_S = 2.0
SESSION_S = 4.0
"""How long a silent worker is waited for."""


@dataclass(slots=True)
class Member:
    """A worker that runs."""

    post: tuple[str, ...]
    running: Running
    number: int
    since: float
    asleep: bool = False

    @property
    def at_work(self) -> bool:
        """Whether it is awake, and had the time to get to work."""
        return not self.asleep and time.monotonic() - self.since > _STARTED_S


class Crew:
    """The workers of one stream.

    Attributes:
        members: those that run.
        deaths: what those complained of that ended by themselves, and how often.
        faults: what a worker must never do.
        troubled_until: when workers may be expected to have found to their brokers again.
    """

    def __init__(self, stream: StreamOn, random: Random, indexing: bool = False) -> None:
        self._posts = (*_POSTS, *(_INDEXING if indexing else ()))
        self._stream, self._random = stream, random
        self.members: list[Member] = []
        self.deaths: Counter[str] = Counter()
        self.faults: list[str] = []
        self._vacant: list[tuple[float, tuple[str, ...]]] = []
        self._number = 0
        self.troubled_until = 0.0

    def muster(self) -> None:
        """Everybody to their posts."""
        self._vacant = [(0.0, post) for post in self._posts]
        self.tend()

    def tend(self) -> None:
        """See who has ended, and start whoever is due."""
        for member in [m for m in self.members if m.running.ended()]:
            self.members.remove(member)
            status, said = member.running.process.stop(), member.running.said
            if status == 0:
                self.faults.append(f"worker {member.number} ended by itself as if it were done")
            self.deaths[_reason(said)] += 1
            self._vacant.append((time.monotonic() + 0.5, member.post))
        for due, post in [*self._vacant]:
            if due <= time.monotonic():
                self._vacant.remove((due, post))
                self._start(post)

    def at_work(self) -> bool:
        """Whether there is anybody to whom something can happen."""
        return any(member.at_work for member in self.members)

    def kill(self) -> str:
        """Kill somebody; who it was. Another comes, later or at once."""
        member = self._somebody()
        self.members.remove(member)
        member.running.process.kill()
        absence_s = self._random.choice((0.0, self._random.random() * _LONGEST_ABSENCE_S))
        self._vacant.append((time.monotonic() + absence_s, member.post))
        return _name(member)

    def leave(self) -> str:
        """Have somebody leave in good order; who it was. Another comes some time after."""
        member = self._somebody()
        self.members.remove(member)
        self._stop(member)
        self._vacant.append((time.monotonic() + 3 * _LONGEST_ABSENCE_S, member.post))
        return _name(member)

    def stun(self) -> Member:
        """Stop somebody's process in its tracks."""
        member = self._somebody()
        member.asleep = True
        member.running.signal(signal.SIGSTOP)
        return member

    def wake(self, member: Member) -> None:
        """Have it go on, if nobody killed it meanwhile."""
        if member in self.members:
            member.asleep = False
            member.running.signal(signal.SIGCONT)
            self.trouble()

    def trouble(self) -> None:
        """Somebody has just been parted from the brokers."""
        self.troubled_until = time.monotonic() + _TROUBLED_S

    def disband(self) -> None:
        """Everybody leaves in good order."""
        self._vacant = []
        for member in [*self.members]:
            self.wake(member)
            self.members.remove(member)
            self._stop(member)

    def close(self) -> None:
        """Kill all there are."""
        for member in self.members:
            member.running.process.kill()

    def _somebody(self) -> Member:
        return self._random.choice([member for member in self.members if member.at_work])

    def _start(self, post: tuple[str, ...]) -> None:
        self._number += 1
        running = self._stream.start(*post, session_s=SESSION_S)
        self.members.append(Member(post, running, self._number, time.monotonic()))

    def _stop(self, member: Member) -> None:
        status = member.running.stop()
        said = member.running.said
        if status == -signal.SIGTERM and not said:
            return  # before it has begun it knows no signals
        if status and time.monotonic() < self.troubled_until:
            # A zombie finds out that it is one, or a commit waits for brokers that were away.
            self.deaths[f"asked to stop, ended with {status}: {_reason(said)}"] += 1
        elif status:
            what = f"{_name(member)} was asked to stop and ended with {status}"
            self.faults.append(f"{what}: {_reason(said)}")


def _name(member: Member) -> str:
    return f"worker {member.number} ({', '.join(member.post)})"


def _reason(said: str) -> str:
    """What it was, in the words of the first exception that was said to end it."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "The worker ends" in line or _RAISED.match(line)]
    return (telling or lines or ["nothing"])[-1][:200]
