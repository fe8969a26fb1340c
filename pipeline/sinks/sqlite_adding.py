"""Adding: of what a replay found, that which can be added where nothing is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pipeline.errors import Reason
from pipeline.sinks.sqlite_replay import SqliteReplay, columns
from pipeline.sinks.sqlite_schema import DEAD_LETTER_COLUMNS, EVENT_COLUMNS
from schemas.types import Carriage, DeadLetter, Event

KEPT: Final = "kept"
"""State of items that would be changed or taken back."""
_ADDS: Final = "(o.kind = 'event' AND o.op = 'new') OR (o.kind = 'letter' AND o.op = 'gone')"
_READ: Final = tuple(name for name in EVENT_COLUMNS if name != "late")


def leave_what_is_kept(store: SqliteReplay) -> None:
    """Leave alone what is of a record of which anything would be changed or taken back, but for a
    dead letter that is read by now."""
    store.do(
        f"UPDATE temp.items SET state = '{KEPT}' WHERE state = 'apply' AND EXISTS ("
        "SELECT 1 FROM temp.items o WHERE o.lane = items.lane AND o.position = items.position "
        f"AND NOT ({_ADDS}))"
    )


def added(store: SqliteReplay) -> Iterator[Event]:
    """The events that are to be added, as they stand in their streams."""
    for row in store.each(
        f"SELECT {columns('f', _READ)} FROM temp.items i "
        "CROSS JOIN fresh.events f ON f.time = i.time AND f.id = i.id "
        "WHERE i.kind = 'event' AND i.op = 'new' AND i.state = 'apply' "
        "ORDER BY i.lane, i.position, i.id"
    ):
        carriage = Carriage(row.pop("carrier"), row.pop("position"))
        row["blind_spots"] = tuple(filter(None, row["blind_spots"].split(",")))
        row["suspect"] = bool(row["suspect"])
        yield Event(**row, carriage=carriage)


def resolved(store: SqliteReplay, replay: str) -> Iterator[DeadLetter]:
    """The dead letters that are read by now, once more, as what they are.

    Args:
        replay: the id of the event that says who had it done, hexadecimal.
    """
    for row in store.each(
        f"SELECT {columns('h', DEAD_LETTER_COLUMNS)}, (SELECT count(*) FROM temp.items o "
        "WHERE o.lane = i.lane AND o.position = i.position AND o.kind = 'event') AS events "
        "FROM temp.items i CROSS JOIN main.dead_letters h ON h.id = i.id "
        "WHERE i.kind = 'letter' AND i.op = 'gone' AND i.state = 'apply' ORDER BY i.id"
    ):
        events = row.pop("events")
        letter = DeadLetter(**row)
        said = f"It was {letter.reason} until the replay {replay}: {events} events are read in it."
        yield replace(letter, reason=Reason.RESOLVED.value, detail=f"{said} {letter.detail}")
