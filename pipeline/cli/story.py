"""The timeline as a story: what one actor does again and again is one line, findings among it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pipeline.cli.present import Row, when
from schemas.vocabulary import API_ACTIVITY, AUTHENTICATION, SEVERITY_NAMES

Entry = tuple[int, str, Row]
"""Time in epoch milliseconds, id, and a row of the store or a change as JSON says it."""

SPAN_MS: Final = 300_000
"""How much of time one line tells of at the most."""
_MOST_NAMED: Final = 3
_ROUTINE: Final = (API_ACTIVITY, AUTHENTICATION)
"""Classes of events that set nothing: how often they came says as much as each by itself."""


@dataclass(slots=True)
class _Scene:
    """Entries alike, told in one line. ``around``: what is said before and after the name of what
    it is about, where entries differ in that alone. ``about``: what they state something of."""

    number: int
    first: Row
    start: int
    alike: tuple[Any, ...]
    around: tuple[str, str] | None
    differs: bool = False
    count: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    things: dict[str, None] = field(default_factory=dict)
    about: dict[tuple[Any, ...], None] = field(default_factory=dict)

    def add(self, row: Row, said: str) -> None:
        self.count += 1
        self.differs |= said != self.first["said"]
        self.operations[str(row.get("operation", ""))] += 1
        self.things[_name(row) if self.around else _thing(row)] = None


def told(entries: Iterable[Entry], tell: Callable[[Row], Row]) -> Iterator[Row]:
    """Lines of the story, each where its first entry stands. Memory is bounded by :data:`SPAN_MS`.

    Args:
        entries: in order of time.
        tell: an event or a change as a line of its own: ``when``, ``what``, ``actor``, …
    """
    waiting: deque[_Scene] = deque()
    alike: dict[tuple[Any, ...], _Scene] = {}
    latest: dict[tuple[Any, ...], _Scene] = {}

    def over() -> Row:
        scene = waiting.popleft()
        if alike[scene.alike] is scene:
            del alike[scene.alike]
        for about in scene.about:
            if latest[about] is scene:
                del latest[about]
        return _line(scene)

    for number, (time, _, row) in enumerate(entries):
        while waiting and waiting[0].start < time - SPAN_MS:
            yield over()
        line, about = tell(row), _about(row)
        around = _around(line["said"], _name(row)) if about else None
        key = _alike(row, around or (line["said"], ""))
        scene, last = alike.get(key), latest.get(about)
        # What was stated otherwise since is stated anew, or who reads takes the other for the last.
        if scene is None or (last is not None and last.number > scene.number):
            scene = alike[key] = _Scene(number, line, time, key, around)
            waiting.append(scene)
        scene.add(row, line["said"])
        if about:
            latest[about] = scene
            scene.about[about] = None
    while waiting:
        yield over()


def finding(row: Row) -> Row:
    """A finding as a line of the story."""
    document = orjson.loads(row["ocsf"])
    return {
        "when": when(row["first_time"]),
        "what": "FINDING",
        "actor": row["actor"],
        "address": row["address"],
        "outcome": SEVERITY_NAMES[row["severity_id"]],
        "said": f"{document['finding_info']['title']} ({row['detector']})",
    }


def _alike(row: Row, around: tuple[str, str]) -> tuple[Any, ...]:
    """What entries of one line have in common."""
    if "detector" in row:
        title = orjson.loads(row["ocsf"])["finding_info"]["title"]
        about = row["detector"], row["cluster"], row["actor"], row["address"]
        return (*about, row["severity_id"], title)
    who = row["cluster"], row["actor"], row["address"], row["outcome"]
    if "ocsf" not in row:
        # Words leave out much of a policy.
        whole = orjson.dumps((row["before"], row["after"], row["exact_time"]))
        return (*who, row["action"], whole, around)
    if _of_session(row):
        return row["cluster"], row["session"]
    where = *who, row["suspect"], row["session"]
    if row["class_uid"] not in _ROUTINE:
        return (*where, row["source"], row["leg"], row["resource_type"], around)
    if row["class_uid"] == AUTHENTICATION and not _thing(row):
        return (*where, around)
    return where


def _about(row: Row) -> tuple[Any, ...]:
    """Of what an entry states something, and whose word that is; empty: it sets nothing."""
    if "detector" in row or row.get("class_uid") in _ROUTINE or _of_session(row):
        return ()
    if "ocsf" not in row:
        return row["cluster"], row["action"].partition(".")[0], row["target"], row["item"]
    host = orjson.loads(row["ocsf"])["auditstream"]["host"]
    return row["cluster"], host, _thing(row)


def _of_session(row: Row) -> bool:
    return row.get("source") == "support_session" and bool(row["session"])


def _around(said: str, name: str) -> tuple[str, str]:
    before, found, after = said.partition(name) if name else (said, "", "")
    return (before, after) if found else (said, "")


def _name(row: Row) -> str:
    return str(row["target"] if "ocsf" not in row else row["resource"])


def _thing(row: Row) -> str:
    if "detector" in row:
        return ""
    return f"{row['resource_type'].rpartition(':')[2]} {row['resource']}".strip()


def _line(scene: _Scene) -> Row:
    line = {"count": scene.count, **scene.first}
    if scene.count > 1:
        line["said"] = _summed_up(scene)
    return line


def _summed_up(scene: _Scene) -> str:
    """What several entries say; where all said the same: the first."""
    first = str(scene.first["said"])
    things = [thing for thing in scene.things if thing]
    if len(scene.operations) == 1 and len(things) < 2 and not scene.differs:
        return first
    more = len(things) - _MOST_NAMED
    named = ", ".join(things[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    if scene.around:
        return named.join(scene.around)
    done = [f"{name} {n}×" for name, n in scene.operations.most_common() if name]
    parts = ", ".join(done[: 2 * _MOST_NAMED]), named
    return " on ".join(part for part in parts if part) or first
