"""The timeline as a story: what one actor does again and again is one line, findings among it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pipeline.cli.present import Row, when
from schemas.vocabulary import SEVERITY_NAMES

Entry = tuple[int, str, Row]
"""Time in epoch milliseconds, id, and a row of the store or a change as JSON says it."""

SPAN_MS: Final = 300_000
"""How much of time one line tells of at the most."""
_MOST_NAMED: Final = 3
_APART: Final = ("policy.", "state.", "selectors.", "settings.")
"""Changes of which each tells by itself what was there before and after."""


@dataclass(slots=True)
class _Scene:
    """Entries alike, told in one line."""

    first: Row
    start: int
    count: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    things: dict[str, None] = field(default_factory=dict)


def told(entries: Iterable[Entry], tell: Callable[[Row], Row]) -> Iterator[Row]:
    """Lines of the story, each where its first entry stands. Memory is bounded by :data:`SPAN_MS`.

    Args:
        entries: in order of time.
        tell: an event or a change as a line of its own: ``when``, ``what``, ``actor``, …
    """
    waiting: dict[tuple[Any, ...], _Scene] = {}
    for time, _, row in entries:
        while waiting and next(iter(waiting.values())).start < time - SPAN_MS:
            yield _line(waiting.pop(next(iter(waiting))), tell)
        scene = waiting.setdefault(_alike(row), _Scene(row, time))
        scene.count += 1
        scene.operations[_operation(row)] += 1
        scene.things[_thing(row)] = None
    for scene in waiting.values():
        yield _line(scene, tell)


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


def _alike(row: Row) -> tuple[Any, ...]:
    """What entries of one line have in common."""
    if "detector" in row:
        title = orjson.loads(row["ocsf"])["finding_info"]["title"]
        return row["detector"], row["cluster"], row["actor"], row["address"], title
    who = row["cluster"], row["actor"], row["address"], row["outcome"]
    if "ocsf" not in row:
        apart = row["id"] if row["action"].startswith(_APART) else ""
        return (*who, row["action"], apart)
    if row["source"] == "support_session" and row["session"]:
        return row["cluster"], row["session"]
    return (*who, row["suspect"], row["session"])


def _operation(row: Row) -> str:
    return str(row.get("operation", ""))


def _thing(row: Row) -> str:
    if "detector" in row:
        return ""
    if "ocsf" not in row:
        return str(row["target"])
    return f"{row['resource_type'].rpartition(':')[2]} {row['resource']}".strip()


def _line(scene: _Scene, tell: Callable[[Row], Row]) -> Row:
    line = {"count": scene.count, **tell(scene.first)}
    if scene.count > 1:
        line["said"] = _summed_up(scene, line["said"])
    return line


def _summed_up(scene: _Scene, first: str) -> str:
    """What several entries say; one after the other said the same: the first."""
    things = [thing for thing in scene.things if thing]
    if len(scene.operations) == 1 and len(things) < 2:
        return first
    more = len(things) - _MOST_NAMED
    named = ", ".join(things[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    done = [f"{name} {n}×" for name, n in scene.operations.most_common() if name]
    return " on ".join(part for part in (", ".join(done[: 2 * _MOST_NAMED]), named) if part)
