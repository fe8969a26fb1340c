"""Lines to the engine, in any number of batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.batch import Account, Record, Source, State, Stream
from pipeline.engine import Plan, ingest
from pipeline.registry import sources
from schemas.types import DeadLetter, Event

ORIGIN = b"o" * 32


def stream(source: str = "auto", **said: Any) -> Stream:
    """A file's stream."""
    return Stream(source, **{"origin": ORIGIN, "carrier": "kafka.log", **said})


def records(lines: Iterable[str | bytes]) -> list[Record]:
    """One record a line, as they stand in a file."""
    out: list[Record] = []
    position = 0
    for line in lines:
        value = line.encode() if isinstance(line, str) else line
        out.append(Record(value, position))
        position += len(value) + 1
    return out


@dataclass
class Fed:
    """What became of some records, all batches together."""

    events: list[Event] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    account: Account = field(default_factory=Account)

    def deeds(self) -> list[tuple[str, str, str, str]]:
        """Actor, operation, outcome and forgery of every event."""
        return [(e.actor, e.operation, e.outcome, e.forgery) for e in self.events]

    def reasons(self) -> list[str]:
        """Why there are dead letters, in order."""
        return [letter.reason for letter in self.dead_letters]


def feed(
    batches: Iterable[Sequence[Record]],
    where: Stream | None = None,
    *,
    plan: Plan | None = None,
    using: dict[str, Source] | None = None,
    final: bool = True,
) -> Fed:
    """Run batches through the engine, the state kept as JSON between them."""
    plan = plan or Plan(using or sources())
    state: State = {}
    fed = Fed()
    where = where or stream()
    for batch in batches:
        done = ingest(plan, where, batch, state)
        _keep(fed, done.events, done.dead_letters, done.account)
        state = orjson.loads(orjson.dumps(done.state))
    if final:
        done = ingest(plan, where, [], state, final=True)
        _keep(fed, done.events, done.dead_letters, done.account)
    return fed


def _keep(fed: Fed, events: list[Event], dead_letters: list[DeadLetter], account: Account) -> None:
    assert account.balances()
    fed.events += events
    fed.dead_letters += dead_letters
    fed.account.add(account)


def feed_lines(lines: Iterable[str | bytes], where: Stream | None = None, **how: Any) -> Fed:
    """Run lines through the engine as one batch, to their end."""
    return feed([records(lines)], where, **how)
