"""Comparing: what a store holds of records, and what they are read as today.

What is said of one record changes together or not at all: an event of another id takes the place of
one that is made no more, and where a hold keeps that one, neither is touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from pipeline.retention.holds import Hold, holds
from pipeline.retention.records import removals
from pipeline.retention.terms import ALWAYS, Period
from pipeline.runtimes.replay.proving import Proofs
from pipeline.runtimes.replay.rereading import Reread
from pipeline.sinks.sqlite import StreamRow
from pipeline.sinks.sqlite_adding import leave_what_is_kept
from pipeline.sinks.sqlite_replay import COMPARED, SqliteReplay, stated
from schemas import indices

_MOST_PAIRS: Final = 1_000
"""Of values of one attribute that are told apart; the rest is counted with it."""
_ZONES_MS: Final = 26 * 3_600_000
"""From the westernmost zone to the easternmost."""
_FOLLOWS: Final = ("time", "metadata.uid")
"""What of a document follows from an event's time and place alone."""
_SAME_PLACE: Final = (
    "SELECT 1 FROM temp.items o WHERE o.lane = items.lane AND o.position = items.position"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be replayed: what is of this time, and was a dead letter for one of these reasons.

    What nobody knows the time of is of any.
    """

    period: Period = ALWAYS
    reasons: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Asked()

    def covers(self, time: int) -> bool:
        """Whether a time is in the period."""
        since, until = self.period
        return (since is None or since <= time) and (until is None or time < until)


@dataclass(slots=True)
class Attribute:
    """What changes of one attribute: in how many events, how often from what to what, and in how
    many it is applied."""

    events: int = 0
    applied: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class Comparison:
    """What differs.

    Attributes:
        items: how many, by kind (event, letter), op (new, changed, gone) and state.
        same: events and dead letters that are read as they were.
        reasons: dead letters that are resolved, by reason.
        attributes: by name, as far as they are to change or are held.
        replaced: events in whose place one of another id comes, of these attributes.
        left: by carrier, stored events and dead letters whose records were not read again.
        holds: that keep what would change.
    """

    items: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    same: tuple[int, int] = (0, 0)
    reasons: Counter[str] = field(default_factory=Counter)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    replaced: int = 0
    left: dict[str, Counter[str]] = field(default_factory=dict)
    holds: tuple[Hold, ...] = ()

    def count(self, kind: str, op: str, state: str = "apply") -> int:
        """How many items."""
        return self.items[kind, op, state]

    def applies(self) -> int:
        """How many are to be written."""
        return sum(count for (_, _, state), count in self.items.items() if state == "apply")


def compare(
    store: SqliteReplay,
    reread: Sequence[Reread],
    asked: Asked,
    now_ms: int,
    *,
    only_adding: bool = False,
) -> Comparison:
    """Fill the store's ``items``, and say what is in them.

    Args:
        store: with the scratch store beside it.
        now_ms: what is of a later time has no date.
        only_adding: what would be changed or taken back is left alone.

    Raises:
        StoreError: a store cannot be read.
    """
    out = Comparison()
    store.find_changed()
    store.find_new()
    _find_gone(store, Proofs(reread, store), asked, out)
    _leave_what_is_unread(store, reread)
    _leave_what_is_outside(store, asked)
    _leave_what_is_held(store, out, now_ms)
    _leave_what_was_removed(store)
    if only_adding:
        leave_what_is_kept(store)
    _count(store, out)
    return out


def _find_gone(store: SqliteReplay, proofs: Proofs, asked: Asked, out: Comparison) -> None:
    for row in store.only_stored():
        _gone(store, "event", row, proofs.of_event(row), asked, out)
    for row in store.letters_only_stored():
        _gone(store, "letter", row, proofs.of_letter(row), asked, out)


def _gone(
    store: SqliteReplay, kind: str, row: Mapping[str, Any], lane: int | None, asked: Asked,
    out: Comparison,
) -> None:  # fmt: skip
    if lane is not None:
        store.note_gone(kind, dict(row), lane)
        return
    in_time = asked.covers(row["time"]) or (kind == "letter" and not row["time"])
    if in_time and (not asked.reasons or row.get("reason") in asked.reasons):
        out.left.setdefault(row["carrier"], Counter())[kind] += 1


# Why something is not to be applied.


def _leave_what_is_unread(store: SqliteReplay, reread: Sequence[Reread]) -> None:
    """What the store has not taken in yet is a run's to read, and not a replay's."""
    taken = store.held_lanes()
    for one in reread:
        limit = _limit(store, one, one.number in taken)
        if limit is not None:
            store.do(
                "UPDATE temp.items SET state = 'unread' WHERE lane = ? AND position >= ? "
                "AND op <> 'changed'", (one.number, limit),
            )  # fmt: skip


def _limit(store: SqliteReplay, one: Reread, taken: bool) -> int | None:
    """The position from which on a stream was not read both then and now, if there is one.

    Args:
        taken: the store holds something of it.
    """
    kept = store.stream(one.row.key)
    if kept is None or not kept.position:
        # It may have been read under another label, or as another source's.
        return None if taken else -1
    if at_the_same_end(kept, one.row):
        return None
    ended = ending(kept)
    unfinished = store.positions_of(ended.events, ended.letters)
    return min(kept.position, one.row.position, *unfinished)


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end of a bounded input led to: events by (time, id), and dead letters."""

    events: tuple[tuple[int, bytes], ...] = ()
    letters: tuple[bytes, ...] = ()


def ending(row: StreamRow) -> Ending:
    """What a stream's row says of its end."""
    if not row.ending:
        return Ending()
    said = orjson.loads(row.ending)
    return Ending(
        tuple((time, bytes.fromhex(name)) for time, name in said["events"]),
        tuple(map(bytes.fromhex, said["dead_letters"])),
    )


def at_the_same_end(kept: StreamRow, read: StreamRow) -> bool:
    """Whether a stream was read as far as the store has it. Which sources were active, and so
    stands in its end, says nothing."""
    if kept.position != read.position:
        return False
    return _unfinished(kept) == _unfinished(read)


def _unfinished(row: StreamRow) -> tuple[int, str] | None:
    if not row.ending:
        return None
    position, said = orjson.loads(row.ending)["tail"]
    return position, said.partition(" ")[2]


def _leave_what_is_outside(store: SqliteReplay, asked: Asked) -> None:
    since, until = asked.period
    leave = (
        "UPDATE temp.items SET state = 'outside' WHERE state = 'apply' "
        f"AND NOT EXISTS ({_SAME_PLACE} AND o.state <> 'unread' AND "
    )
    if asked.period != ALWAYS:
        store.do(
            f"{leave} ((o.kind = 'letter' AND o.time = 0) OR "
            "(o.time >= coalesce(?, o.time) AND (? IS NULL OR o.time < ?))))",
            (since, until, until),
        )
    if asked.reasons:
        marks = ",".join("?" * len(asked.reasons))
        store.do(
            f"{leave} o.kind = 'letter' AND o.op <> 'new' AND o.reason IN ({marks}))",
            asked.reasons,
        )


def _leave_what_is_held(store: SqliteReplay, out: Comparison, now_ms: int) -> None:
    standing = [hold for hold in holds(store.own()) if hold.released is None]
    if not standing:
        return

    def held(kind: str, retention: str, time: int) -> bool:
        return bool(_covering(standing, kind, retention, time, now_ms))

    store.function("held", 3, held)
    # An event takes the place of a dead letter, and says all that it said.
    kept = (
        "o.op <> 'new' AND (o.kind = 'event' OR NOT EXISTS (SELECT 1 FROM temp.items e WHERE "
        "e.lane = o.lane AND e.position = o.position AND e.kind = 'event' AND e.op = 'new')) "
        "AND held(o.kind, o.retention, o.time)"
    )
    store.do(
        "UPDATE temp.items SET state = 'held' WHERE state = 'apply' "
        f"AND EXISTS ({_SAME_PLACE} AND {kept})"
    )
    sql = "SELECT kind, retention, time FROM temp.items WHERE state = 'held' AND op <> 'new'"
    found = {hold for row in store.each(sql) for hold in _covering(standing, **row, now_ms=now_ms)}
    out.holds = tuple(sorted(found, key=lambda hold: hold.id))


def _covering(
    standing: Iterable[Hold], kind: str, retention: str, time: int, now_ms: int
) -> list[Hold]:
    dated = 0 < time <= now_ms + indices.DAY_MS
    if kind == "event":
        month = indices.month(time) if dated else indices.UNDATED
        return [hold for hold in standing if hold.covers(retention, month)]
    # A dead letter is of no class.
    when = Period(time, time + 1) if dated else ALWAYS
    return [hold for hold in standing if hold.period.overlaps(when)]


def _leave_what_was_removed(store: SqliteReplay) -> None:
    """What retention removed does not come back, nor is anything of its months made anew."""
    removed = removals(store.own())
    if not removed:
        return
    months = {(one["class"], one["month"]) for one in removed}
    times = [(one["first_time"], one["last_time"]) for one in removed]

    def was_removed(retention: str, time: int, has_another: int) -> bool:
        if (retention, indices.month(time)) in months or (time <= 0 and _undated(months)):
            return True
        # It may have been of another class then, or of another zone. What stands in its place was
        # read, and stayed.
        return not has_another and any(
            first - _ZONES_MS <= time <= last + _ZONES_MS for first, last in times
        )

    store.function("was_removed", 3, was_removed)
    another = f"EXISTS ({_SAME_PLACE} AND o.op <> 'new')"
    of_another = another.replace("items.", "n.")
    store.do(
        "UPDATE temp.items SET state = 'removed' WHERE state = 'apply' AND EXISTS ("
        "SELECT 1 FROM temp.items n WHERE n.lane = items.lane AND n.position = items.position "
        "AND n.kind = 'event' AND n.op = 'new' "
        f"AND was_removed(n.retention, n.time, {of_another}))"
    )


def _undated(months: Iterable[tuple[str, str]]) -> bool:
    return any(month == indices.UNDATED for _, month in months)


# What there is to say.


def _count(store: SqliteReplay, out: Comparison) -> None:
    sql = "SELECT kind, op, state, count(*) AS n FROM temp.items GROUP BY kind, op, state"
    for row in store.each(sql):
        out.items[row["kind"], row["op"], row["state"]] = row["n"]
    events, letters = store.compared()
    changed = Counter[str]()
    for (kind, op, _), count in out.items.items():
        changed[kind] += count if op == "changed" else 0
    out.same = events - changed["event"], letters - changed["letter"]
    resolved = (
        "SELECT reason, count(*) AS n FROM temp.items WHERE kind = 'letter' AND op = 'gone' "
        "AND state = 'apply' GROUP BY reason"
    )
    out.reasons.update({row["reason"]: row["n"] for row in store.each(resolved)})
    for row in store.both():
        out.replaced += row["op"] == "gone" and row["state"] == "apply"
        for name, old, new in differences(row):
            attribute = out.attributes.setdefault(name, Attribute())
            attribute.applied += row["state"] == "apply"
            _tally(attribute, old, new)


def _tally(attribute: Attribute, old: str, new: str) -> None:
    attribute.events += 1
    if (old, new) in attribute.pairs or len(attribute.pairs) < _MOST_PAIRS:
        attribute.pairs[old, new] += 1


def differences(row: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Name, old and new value of each attribute of an event that differs: columns, and what of the
    document says something else than they do."""
    said = set()
    if moved := row["new.time"] - row["old.time"]:
        yield "time", "", f"{moved / 1000:+,.3f} s"
    for name in COMPARED:
        old, new = row[f"old.{name}"], row[f"new.{name}"]
        if old != new:
            said.add((_spelt(old), _spelt(new)))
            yield name, _spelt(old), _spelt(new)
    for name, old, new in _unlike(stated(row["old.ocsf"]), stated(row["new.ocsf"])):
        if (old, new) not in said and name not in _FOLLOWS:
            yield name, old, new


def _unlike(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """What of two documents is not the same, by dotted name; what is not there is empty."""
    if old == new:
        return
    if all(isinstance(one, dict) or one == "" for one in (old, new)):
        old, new = old or {}, new or {}
        for name in sorted(old.keys() | new.keys()):
            inner = f"{path}.{name}" if path else name
            yield from _unlike(old.get(name, ""), new.get(name, ""), inner)
    else:
        yield path, _spelt(old), _spelt(new)


def _spelt(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else orjson.dumps(value).decode()
