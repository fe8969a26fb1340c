"""Proving: which record something is of that a store holds, and that today's code does not make.

What is stored names the file it came from as that was called then, which another file may be called
today. So a name only says where to look. It is proved by what the store has: an id is derived from
where its record stood and what it said (docs/adr/0002), and a digest is of the record itself. What
cannot be proved is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePath
from typing import Any, Final, Protocol

from pipeline.batch import Fact, Line, Record, Stream
from pipeline.runtimes.replay.rereading import Reread
from pipeline.stages.identify import dead_letter_id, event_id
from schemas.types import Event
from schemas.vocabulary import BLANK

Row = Mapping[str, Any]

_TOKEN: Final = re.compile(rb"\[redacted:[^\]:]*:[0-9a-f]{16}\]")
_MOST: Final = 16
_NUMBERS: Final = (
    (0, 0), *((line, 0) for line in range(1, _MOST)), *((0, item) for item in range(1, _MOST))
)  # fmt: skip
"""Line of a record, and item of a line: several lines of several items are not looked for."""


class Fresh(Protocol):
    """What is read today."""

    def events_at(self, position: int) -> Sequence[tuple[int, bytes]]:
        """Stream and raw line of each event at a position."""

    def letters_at(self, position: int) -> Sequence[tuple[int, str]]:
        """Stream and digest of each dead letter at a position."""


class Proofs:
    """Which stream a stored row is of, among those that were read again."""

    def __init__(self, reread: Sequence[Reread], fresh: Fresh) -> None:
        self._reread, self._fresh = list(reread), fresh
        self._by_stem: dict[str, list[Reread]] = {}
        for stream in reread:
            self._by_stem.setdefault(stem(stream.stream.carrier), []).append(stream)

    def of_event(self, row: Row) -> int | None:
        """The number of the stream that an event's record was read from again, or None."""
        # Several brokers' files are called alike: the one that held the last has the next.
        near = self._by_stem.get(stem(row["carrier"]), [])
        if not near or not row["raw"]:
            return None
        same = {lane for lane, raw in self._fresh.events_at(row["position"]) if raw == row["raw"]}
        said = sha256(row["raw"]).hexdigest()
        same |= {one.number for one in near if one.holds(row["position"], said)}
        found = _only(near, same) or self._derived(near, row)
        if found is not None and near[0] is not found:
            near.remove(found)
            near.insert(0, found)
        return found.number if found is not None else None

    def _derived(self, near: Sequence[Reread], row: Row) -> Reread | None:
        held = [one for one in near if one.has(row["position"])]
        event = Event(row["time"], 0, 0, "", row["source"])
        event.cluster, event.host = row["cluster"], row["host"]
        record = _TOKEN.sub(BLANK.encode(), row["raw"])
        for number, item in _NUMBERS if held else ():
            line = Line(b"", "", Record(b"", row["position"]), number=number)
            for one in held:
                stream = Stream(origin=one.stream.origin)
                if event_id(Fact(event), line, stream, record, item) == row["id"]:
                    return one
        return None

    def of_letter(self, row: Row) -> int | None:
        """The number of the stream that a dead letter's record was read from again, or None."""
        at, wanted = row["position"], row["digest"]
        held = [one for one in self._reread if one.has(at)]
        near = [one for one in held if stem(one.stream.carrier) == stem(row["carrier"])]
        for several in (near, held):
            if (found := _derived_letter(several, row)) is not None:
                return found
        same = {one.number for one in held if one.holds(at, wanted)}
        same |= {lane for lane, digest in self._fresh.letters_at(at) if digest == wanted}
        for lane, raw in self._fresh.events_at(at):
            if sha256(raw).hexdigest() == wanted:
                same.add(lane)
        proved = _only(near, same) or _only(held, same)
        return proved.number if proved is not None else None


def _derived_letter(several: Sequence[Reread], row: Row) -> int | None:
    if sha256(row["raw"]).hexdigest() != row["digest"]:
        # Only a part of it was kept.
        return None
    for one in several:
        stream = Stream(cluster=row["cluster"], host=row["host"], origin=one.stream.origin)
        for line in _lines(row):
            for item in range(_MOST):
                if dead_letter_id(line, stream, row["source"], item) == row["id"]:
                    return one.number
    return None


def _lines(row: Row) -> Iterator[Line]:
    for number in range(_MOST):
        yield Line(row["raw"], "", Record(b"", row["position"]), number=number)


def _only(several: Sequence[Reread], numbers: set[int]) -> Reread | None:
    """The one of them that it is; None where that is none, or may be several."""
    found = [one for one in several if one.number in numbers]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=4096)
def stem(carrier: str) -> str:
    """What stays of a file's name when it is rotated, compressed or copied."""
    return PurePath(carrier).name.partition(".")[0]
