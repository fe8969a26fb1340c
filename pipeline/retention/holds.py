"""Holds: what must not be removed, whatever its retention class says.

A hold is an event that adds it; one more event releases it. Nothing else says which holds there
are: who adds one can overwrite nobody's, and since retention never removes these events, no hold
is lost by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from pipeline.errors import ArgumentError
from pipeline.retention.terms import ALWAYS, Period, period

HOLD: Final = "auditstream.hold"
"""``metadata.log_name`` of these events."""
ADD: Final = "HOLD_ADD"
RELEASE: Final = "HOLD_RELEASE"
_SHORTEST: Final = 4
"""Of an id, that is taken for it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What is kept, by whom and why.

    Attributes:
        id: hexadecimal; derived, with the event's that added it, from all of this.
        period: of the events that it keeps.
        retention: the class that it keeps; empty: every class.
        reason: a ticket, or a text.
        owner: who answers for it, and may be asked whether it may go.
        added: when, epoch milliseconds.
        by: who added it.
        released: when, or None: it stands.
    """

    id: str
    period: Period
    retention: str
    reason: str
    owner: str
    added: int = 0
    by: str = ""
    released: int | None = None

    def covers(self, name: str, month: str) -> bool:
        """Whether it keeps anything of a month of a class. What has no date may be of any time."""
        if self.released is not None or self.retention not in ("", name):
            return False
        return self.period.overlaps(period(month) or ALWAYS)


def holds(rows: Iterable[Mapping[str, Any]]) -> list[Hold]:
    """All holds that were ever added, in order of (time, id).

    Args:
        rows: events whose ``source`` is :data:`HOLD`; others are passed over.
    """
    added: dict[str, Hold] = {}
    released: dict[str, int] = {}
    for row in rows:
        if row["source"] != HOLD:
            continue
        if row["operation"] == RELEASE:
            name = row["resource"]
            released[name] = min(row["time"], released.get(name, row["time"]))
        elif row["operation"] == ADD:
            added[row["resource"]] = _hold(row)
    out = [
        Hold(h.id, h.period, h.retention, h.reason, h.owner, h.added, h.by, released.get(h.id))
        for h in added.values()
    ]
    return sorted(out, key=lambda hold: (hold.added, hold.id))


def _hold(row: Mapping[str, Any]) -> Hold:
    said = orjson.loads(row["ocsf"])["auditstream"]["hold"]
    return Hold(
        row["resource"], Period(said["since"], said["until"]), said["class"], said["reason"],
        said["owner"], row["time"], row["actor"],
    )  # fmt: skip


def covering(several: Sequence[Hold], name: str, month: str) -> tuple[Hold, ...]:
    """Those that keep a month of a class."""
    return tuple(hold for hold in several if hold.covers(name, month))


def named(several: Sequence[Hold], said: str) -> Hold:
    """The standing hold whose id begins so.

    Raises:
        ArgumentError: there is none, or there are several.
    """
    wanted = said.lower()
    if len(wanted) < _SHORTEST:
        raise ArgumentError(f"{said!r}: write at least {_SHORTEST} digits of the hold's id")
    found = [hold for hold in several if hold.id.startswith(wanted)]
    standing = [hold for hold in found if hold.released is None]
    if len(standing) == 1:
        return standing[0]
    if standing:
        raise ArgumentError(f"{said!r} begins the ids of {len(standing)} holds; write more of it")
    if found:
        raise ArgumentError(f"the hold {said!r} was released already")
    raise ArgumentError(f"no hold's id begins with {said!r}; `auditstream hold list` has them")
