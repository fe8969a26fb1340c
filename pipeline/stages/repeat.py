"""Repeat: lines that say again what was said before, at another time and place.

Brokers say the same over and over: who reads which topic from where is a few thousand sentences,
written millions of times. What such a line led to is kept as a *mould*; the next one takes its own
stamp, place and time of receipt, and the rest is not worked out again.

A mould is made only of lines of a source that says so (:attr:`pipeline.batch.Source.repeats`), and
of those that nothing else sets apart: neither suspect nor forged, alone in their record, without
secrets or an id of their own. It is used only where nothing before it matters: behind a line that
was whole, in a file without envelopes where nothing is suspect. What comes of it is the same to the
byte as without (tests/stages/test_repeat.py).

Where what varies stands in the document is found by writing it once with words of ours in those
places, each of which must then be there once: what a client writes can keep a line from becoming a
mould, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from pipeline.batch import Fact, Line, Reading, Record, State, Stream
from pipeline.errors import Unreadable
from pipeline.stages.identify import place_of, placed_id
from pipeline.stages.project import project
from schemas.types import Carriage, Event, Repeated

MOST_MOULDS = 8192
"""Kept in all; with so many no more are made."""
_MOST_MISSED = 8 * MOST_MOULDS
"""Lines that found none, until all is forgotten: the log has gone on to other things."""
MOST_BYTES = 1024
"""Of a line that becomes a mould: what is longer is a client's, and all memory is ours."""
_STAMP, _SECOND = len("2026-11-20 23:52:44,297"), len("2026-11-20 23:52:44")
_MILLIS = {f"{mark}{number:03d}".encode(): number for mark in ",." for number in range(1000)}
_UID, _WHEN, _TIME, _POSITION, _RECEIVED = (
    b"sixteen bytes ..", "then and then", 7 << 49, 5 << 49, 3 << 49,
)  # fmt: skip
_WORDS = {
    _UID.hex().encode(): b"%b",
    _WHEN.encode(): b"%b",
    b"%d" % _TIME: b"%d",
    b"%d" % _POSITION: b"%d",
    b"%d" % _RECEIVED: b"%d",
}
"""What stands in for what varies, in the order of the document, and how that is written."""
_NAMES = [one.name for one in fields(Event)]
_before, _between = (
    attrgetter(*_NAMES[1 : _NAMES.index("id")]),
    attrgetter(*_NAMES[_NAMES.index("id") + 1 : _NAMES.index("carriage")]),
)
"""Columns that all of a mould share, in their order: up to the id, and from there on."""

_event: Callable[..., Repeated] = Repeated


class _Mould(NamedTuple):
    """What lines led to that differ in stamp and place alone.

    Attributes:
        alike: what else must be the same: characters before the stamp, whether Kafka said when it
            was given the record, and what the clock says of the time beside where it is.
        before, between: columns up to the id, and from there on.
        document: OCSF, with gaps for what varies.
        shared: of all its events.
    """

    alike: tuple[int, bool, tuple[str, ...]]
    before: tuple[Any, ...]
    between: tuple[Any, ...]
    document: bytes
    shared: dict[bytes, list[bytes]]


@dataclass(slots=True)
class _File:
    """Moulds of one stream, by what stands behind the stamp.

    Attributes:
        place: what the ids of its events begin with.
        second, at, spots: what was asked of the clock last, and its answer.
    """

    place: bytes
    moulds: dict[bytes, _Mould] = field(default_factory=dict)
    second: bytes = b""
    at: int = 0
    spots: tuple[str, ...] = ()

    def ask(self, second: bytes, reading: Reading) -> bool:
        """Whether the clock knows the second."""
        try:
            self.at, self.spots = reading.time(second.decode("ascii") + ",000")
        except (Unreadable, UnicodeDecodeError):
            return False
        self.second = second
        return True


class Moulds:
    """The moulds of a run: a memory and nothing else, what is forgotten is worked out anew."""

    def __init__(self) -> None:
        self._files: dict[Stream, _File] = {}
        self._once: set[int] = set()
        self._made = self._missed = 0

    def cast(
        self, stream: Stream, records: Sequence[Record], start: int, state: State, reading: Reading
    ) -> list[Event]:
        """Events of records from ``start`` on, one each, up to the first that has no mould.

        Args:
            state: of the stream; it is changed as the other stages would.
        """
        file = self._files.get(stream)
        if file is None or not _is_calm(state):
            return []
        moulds, place, out = file.moulds, file.place, list[Event]()
        for value, position, length, _, broken, received in islice(records, start, None):
            head = 1 if value[:1] == b"[" else 0
            behind = head + _STAMP
            mould = moulds.get(value[behind:])
            if mould is None or length >= 0 or broken:
                break
            second = value[head : head + _SECOND]
            if second != file.second and not file.ask(second, reading):
                break
            millis = _MILLIS.get(value[head + _SECOND : behind])
            alike = head, received > 0, file.spots
            if millis is None or mould.alike != alike:
                break
            time = file.at + millis
            name = placed_id(time, place, position.to_bytes(8, "big", signed=True), value)
            said = name.hex().encode(), value[head:behind], time, position
            document = mould.document % (said if received <= 0 else (*said, received))
            carriage = Carriage(stream.carrier, position)
            event = _event(time, *mould.before, name, *mould.between, carriage, document, value)
            event.shared = mould.shared
            out.append(event)
        if out:
            state["files"][""]["continues"] = False
        return out

    def learn(
        self, stream: Stream, line: Line, fact: Fact, product: Mapping[str, str], reading: Reading
    ) -> None:
        """Make a mould of a line that led to one event, if it can be one and came before."""
        raw, stamp = line.raw, line.stamp.encode()
        head = 1 if raw[:1] == b"[" else 0
        behind = head + _STAMP
        if len(raw) > MOST_BYTES or raw[head:behind] != stamp or not _is_alone(line, fact):
            return
        self._missed += 1
        if self._missed > _MOST_MISSED:
            self._files, self._once = {}, set()
            self._made = self._missed = 0
        seen = hash(raw[behind:])
        if seen not in self._once:
            self._once.add(seen)
            return
        if self._made >= MOST_MOULDS:
            return
        received = line.record.received > 0
        document = _document(fact, product, received)
        if document is None:
            return
        event = fact.event
        file = self._files.get(stream)
        if file is None:
            place = place_of(event.cluster, event.host, stream.origin)
            file = self._files[stream] = _File(place)
        alike = head, received, reading.time(line.stamp)[1]
        mould = _Mould(alike, _before(event), _between(event), document, {})
        self._made += raw[behind:] not in file.moulds
        file.moulds[raw[behind:]] = mould


def _is_calm(state: State) -> bool:
    """Whether nothing that came before matters to a line that is whole: the state of
    :mod:`pipeline.stages.unwrap` and of :mod:`pipeline.stages.frame`."""
    if state.get("layers") != 0:
        return False
    files: dict[str, dict[str, Any]] = state.get("files", {})
    file = files.get("") if len(files) == 1 else None
    return (
        file is not None
        and file["open"] is None
        and file["suspect"] <= 0
        and file["dated"]
        and file["ended"]
    )


def _is_alone(line: Line, fact: Fact) -> bool:
    """Whether nothing but message, stamp and place sets apart what a line led to."""
    event = fact.event
    return (
        # No carrier said anything of it, and nothing else came with it.
        line.raw is line.record.value
        and not (line.suspect or event.suspect or event.forgery)
        and not (fact.secrets or fact.natural_key or fact.uid)
    )


def _document(fact: Fact, product: Mapping[str, str], received: bool) -> bytes | None:
    """The document of a fact with gaps, or None where nobody can say where those are."""
    event = replace(
        fact.event, id=_UID, time=_TIME, carriage=replace(fact.event.carriage, position=_POSITION)
    )
    project(replace(fact, event=event, stamp=_WHEN), product, None, _RECEIVED if received else 0)
    words = list(_WORDS.items())[: 5 if received else 4]
    rest, out = event.ocsf.replace(b"%", b"%%"), b""
    for word, form in words:
        if event.ocsf.count(word) != 1:
            return None
        before, found, rest = rest.partition(word)
        if not found:
            return None
        out += before + form
    return out + rest
