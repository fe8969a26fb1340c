"""Stores that another configuration filled, replays of them in this process, and what is there then."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from pipeline.config import Config, Input, PrincipalRule
from pipeline.retention.planning import planned
from pipeline.retention.records import Who
from pipeline.runtimes.replay.changing import Outcome, Replaying
from pipeline.runtimes.replay.comparing import Asked
from pipeline.sinks.sqlite_replay import SqliteReplay, stated
from pipeline.sinks.sqlite_retention import SqliteRetention
from schemas.vocabulary import ActorKind
from tests.logs import START, broker_lines, decision, login, write
from tests.runtimes.runs import rows, settled

EVERYTHING = Asked()
NOW = 1_795_219_200_000
ME = Who("OS:alice", "human", "alice")
SHORT = Config(max_record_bytes=1024)
"""By it a line of more than a KiB is a dead letter."""
TODAY = Config()
HUMAN = Config(principals=(PrincipalRule(pattern="User:app-1*", kind=ActorKind.HUMAN),))
LONG = "User:" + "x" * 1_100


def log(path: Path, seed: int = 7, count: int = 120) -> Path:
    """A broker's log, in order of time, in which now and then a principal of a very long name and a
    guest look around, and somebody guesses passwords: each is a finding."""
    lines: list[str] = []
    for number, line in enumerate(broker_lines(count, seed, step=timedelta(minutes=3))):
        at = START + timedelta(minutes=3 * number)
        lines.append(line)
        if number % 30 in (1, 11):
            who = f"{LONG}-{number % 3}" if number % 30 == 1 else "User:guest-1"
            lines += [
                decision(at + timedelta(seconds=n), who, allowed=False, resource=f"{_SECRET}{n}")
                for n in range(9)
            ]
        elif number % 30 == 21:
            address = f"198.51.100.{number}"
            lines += [login(at + timedelta(seconds=n), address, channel=n) for n in range(12)]
    return write(path, lines)


_SECRET = "Topic:LITERAL:secret-"


def replay(
    store: Path, config: Config, inputs: Iterable[Input | Path], asked: Asked = EVERYTHING,
    *, apply: bool = False, now: int = NOW,
) -> Outcome:  # fmt: skip
    """One replay; a path is an input of source ``auto``."""
    given = [i if isinstance(i, Input) else Input(path=str(i)) for i in inputs]
    with (
        closing(SqliteReplay(store, read_only=not apply)) as beside,
        tempfile.TemporaryDirectory() as folder,
    ):
        replaying = Replaying(config, given, beside, asked, Path(folder), lambda *_: None)
        outcome = replaying.found(lambda: now)
        if apply and outcome.changes:
            replaying.apply(outcome, ME, lambda: now)
        return outcome


def documents(store: Path) -> dict[bytes, Any]:
    """Each event that was read, with its document, but for how it was carried."""
    out = {}
    for event in rows(store, "SELECT * FROM events WHERE seq >= 0"):
        left = ("seq", "carrier", "position", "late", "ocsf")
        columns = {name: value for name, value in event.items() if name not in left}
        out[event["id"]] = columns, stated(event["ocsf"])
    return out


def letters(store: Path) -> set[tuple[Any, ...]]:
    found = rows(store, "SELECT * FROM dead_letters")
    return {tuple(v for k, v in row.items() if k != "carrier") for row in found}


def reasons(store: Path) -> Counter[str]:
    return Counter(row["reason"] for row in rows(store, "SELECT reason FROM dead_letters"))


def own(store: Path) -> list[dict[str, Any]]:
    """Documents of our own events, in order."""
    found = rows(store, "SELECT ocsf FROM events WHERE seq < 0 ORDER BY time, id")
    return [stated(row["ocsf"]) for row in found]


def alike(one: Path, other: Path) -> None:
    """Both stores hold the same events, words, dead letters and settled findings."""
    assert documents(one) == documents(other)
    assert letters(one) == letters(other)
    assert settled(one) == settled(other)
    for text in ("denied", "allowed", "alice", "app", "192"):
        assert words(one, text) == words(other, text)


def words(store: Path, text: str) -> int:
    """How many events that were read hold this word."""
    sql = f"SELECT count(*) AS n FROM words WHERE rowid >= 0 AND words MATCH '{text}'"
    return int(rows(store, sql)[0]["n"])


def removed(store: Path, config: Config, now: int) -> int:
    """Have retention remove what is due; how many events that are."""
    at = count(now)
    with closing(SqliteRetention(store, read_only=False)) as keeper:
        verdicts = planned(keeper.units(now), [], config.retention, now)
        due = [verdict for verdict in verdicts if verdict.state == "due"]
        for verdict in due:
            list(keeper.remove(verdict, ME, at.__next__))
    return sum(verdict.unit.events for verdict in due)
