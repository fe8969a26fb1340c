"""Repeat: lines that say again what was said before, at another time and place.

Brokers say the same over and over: who reads which topic from where is a few thousand sentences,
written millions of times. What such a line led to is kept as a *mould*; the next one takes its own
stamp, place and time of receipt, and the rest is not worked out again.

A mould is made only of lines of a source that says so (:attr:`pipeline.batch.Source.repeats`), and
of those that nothing else sets apart: neither suspect nor forged, alone in their record, without
secrets or an id of their own. It is used only where nothing before it matters: behind a line that
was whole, in a file without envelopes where nothing is suspect; by all brokers of a cluster, which
say the same. What comes of it is the same to the byte as without (tests/stages/test_repeat.py).

Where what varies stands in the document is found by writing it once with words of ours in those
places, each of which must then be there once: what a client writes can keep a line from becoming a
mould, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from pipeline.batch import Fact, Line, Reading, Record, State, Stream
from pipeline.errors import Unreadable
from pipeline.stages.identify import place_of, placed_id
from pipeline.stages.project import project
from schemas.types import Carriage, Event, Repeated, Shared

MOST_MOULDS = 16_384
"""Kept in all, some 3 KB each; with so many no more are made."""
_MOST_MISSED = 8 * MOST_MOULDS
"""Lines that found none, until all is forgotten: the log has gone on to other things."""
MOST_FILES = 16_384
"""Streams whose names are kept as they are written."""
MOST_BYTES = 1024
"""Of a line that becomes a mould: what is longer is a client's, and all memory is ours."""
_STAMP, _SECOND = len("2026-11-20 23:52:44,297"), len("2026-11-20 23:52:44")
_MILLIS = {f"{mark}{number:03d}".encode(): number for mark in ",." for number in range(1000)}
_UID, _WHEN, _HOST, _CARRIER = b"sixteen bytes ..", "then and then", "our own host", "our own file"
_TIME, _POSITION, _RECEIVED = 7 << 49, 5 << 49, 3 << 49
_WORDS = {
    _UID.hex().encode(): b"%b",
    _WHEN.encode(): b"%b",
    b"%d" % _TIME: b"%d",
    _HOST.encode(): b"%b",
    _CARRIER.encode(): b"%b",
    b"%d" % _POSITION: b"%d",
    b"%d" % _RECEIVED: b"%d",
}
"""What stands in for what varies, in the order of the document, and how that is written."""
_NAMES = [one.name for one in fields(Event)]


def _shared(first: str, behind: str) -> Callable[[Event], tuple[Any, ...]]:
    """The columns from one on, up to another."""
    return attrgetter(*_NAMES[_NAMES.index(first) : _NAMES.index(behind)])


_before, _between, _after = (
    _shared("class_uid", "id"), _shared("actor", "host"), _shared("resource_type", "carriage"),
)  # fmt: skip
"""Columns that all of a mould share, in their order: up to the id, from it up to the host, and from
that on."""
_event: Callable[..., Repeated] = Repeated


class _Mould(NamedTuple):
    """What lines led to that differ in stamp and place alone.

    Attributes:
        alike: what else must be the same: characters before the stamp, whether Kafka said when it
            was given the record, and what the clock says of the time beside where it is.
        before, between, after: columns that they share.
        document: OCSF, with gaps for what varies.
        shared: of all its events.
    """

    alike: tuple[int, bool, tuple[str, ...]]
    before: tuple[Any, ...]
    between: tuple[Any, ...]
    after: tuple[Any, ...]
    document: bytes
    shared: Shared


_Known = dict[bytes, _Mould]
"""Moulds by what stands behind the stamp."""


@dataclass(slots=True)
class _File:
    """What varies of a stream.

    Attributes:
        moulds: those of its cluster.
        place: what the ids of its events begin with.
        host, carrier: as JSON.
        second, at, spots: what was asked of the clock last, and its answer.
    """

    moulds: _Known
    place: bytes
    host: bytes
    carrier: bytes
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
    """The moulds of a run: a memory and nothing else, what is forgotten is worked out anew.

    For one thread.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._files: dict[Stream, _File] = {}
        self._of: dict[tuple[str, str, str], _Known] = {}
        self._once: set[int] = set()
        self._made = self._missed = 0

    def cast(
        self, stream: Stream, records: Sequence[Record], start: int, state: State, reading: Reading
    ) -> list[Event]:
        """Events of records from ``start`` on, one each, up to the first that has no mould.

        Args:
            state: of the stream; it is changed as the other stages would.
        """
        if not self._made or not _is_calm(state):
            return []
        file = self._files.get(stream) or self._file(stream)
        moulds, place, out = file.moulds, file.place, list[Event]()
        host, carrier, said_host, said_carrier = (
            stream.host, stream.carrier, file.host, file.carrier,
        )  # fmt: skip
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
            said = (
                name.hex().encode(), value[head:behind], time, said_host, said_carrier, position,
            )  # fmt: skip
            document = mould.document % (said if received <= 0 else (*said, received))
            event = _event(
                time, *mould.before, name, *mould.between, host, *mould.after,
                Carriage(carrier, position), document, value,
            )  # fmt: skip
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
            self._forget()
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
        alike = head, received, reading.time(line.stamp)[1]
        event, moulds = fact.event, self._moulds(stream)
        self._made += raw[behind:] not in moulds
        moulds[raw[behind:]] = _Mould(
            alike, _before(event), _between(event), _after(event), document, Shared()
        )

    def _moulds(self, stream: Stream) -> _Known:
        # What the clock says hangs on the zone, and what is our own work on the cluster.
        return self._of.setdefault((stream.source, stream.cluster, stream.zone), {})

    def _file(self, stream: Stream) -> _File:
        if len(self._files) >= MOST_FILES:
            self._files.clear()
        try:
            place = place_of(stream.cluster, stream.host, stream.origin)
            host, carrier = (orjson.dumps(name)[1:-1] for name in (stream.host, stream.carrier))
        except (ValueError, TypeError):
            # A path need not be UTF-8. What becomes of its lines is not decided here.
            file = _File({}, b"", b"", b"")
        else:
            file = _File(self._moulds(stream), place, host, carrier)
        self._files[stream] = file
        return file


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
    carriage = Carriage(_CARRIER, _POSITION)
    event = replace(fact.event, id=_UID, time=_TIME, host=_HOST, carriage=carriage)
    project(replace(fact, event=event, stamp=_WHEN), product, None, _RECEIVED if received else 0)
    words = list(_WORDS.items())
    if not received:
        words.pop()
    rest, out = event.ocsf.replace(b"%", b"%%"), b""
    for word, form in words:
        if event.ocsf.count(word) != 1:
            return None
        before, found, rest = rest.partition(word)
        if not found:
            return None
        out += before + form
    return out + rest
