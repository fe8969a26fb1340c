"""Unwrap: records to lines, out of what shippers and cloud services put around a line.

======================  ===========================================================================
carrier                 what it looks like
======================  ===========================================================================
plain                   the line itself
Kubernetes CRI          ``2026-11-20T23:52:44.297000000Z stdout F <line>``; ``P`` is a piece
JSON                    :mod:`pipeline.stages.envelopes` lists them; some hold several lines
======================  ===========================================================================

One may stand in another. Pieces that a carrier cut are joined before anything else looks at them.
What a carrier says about host, file and offset becomes the line's origin, so that the same line
read through two carriers is the same line. What a source reads itself is never an envelope.

A client that breaks a line can make its text look like an envelope, which would give it a file of
its own where nothing is suspect yet, or, compressed, more bytes than a client can write (see
:mod:`pipeline.stages.frame`). So a stream that once held a line of a known kind under n envelopes
has at most n: what looks like one more is the line. JSON teaches nothing: no client can break it,
and one file may hold events in all kinds of envelopes.

State, per stream: the most envelopes a record can have, and pieces whose end has not come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson

from pipeline import layouts
from pipeline.batch import HEAD_BYTES, Line, Origin, Record, Rejected, State
from pipeline.clocks import instant
from pipeline.errors import Reason
from pipeline.stages.envelopes import Inner, Named, Room, opened
from pipeline.stages.extent import values

MOST_WAITING = 512
"""Lines of one stream whose pieces are kept; the one longest unseen is given up first."""
_DEEPEST = 10
"""An array counts as an envelope, too: SQS, SNS and EventBridge are four of them."""
_MOST_TIMES = 64
"""How much longer than a record all may be that was compressed in it."""
_BOM = b"\xef\xbb\xbf"
_STREAMS = (b"stdout ", b"stderr ")

Unwrapped = list[tuple[Line, Rejected | None]]


def unwrap(
    records: Sequence[Record],
    state: State,
    owns: Callable[[str], str | bool],
    longest: int,
    final: bool,
    claims: Callable[[Mapping[str, Any]], str] = lambda _: "",
) -> Unwrapped:
    """Lines of ``records`` in order, each with why it cannot be read, or None.

    Args:
        state: ``state["layers"]`` and ``state["pieces"]`` are read and changed.
        owns: whether a source reads this text itself, or which; what is owned is no envelope.
        longest: bytes a joined line, or one that was compressed, may have.
        final: nothing follows: pieces still waiting are given up as cut short.
        claims: the name of the source that reads this JSON object, or empty.
    """
    opener = _Opener(owns, claims, longest, state)
    for record in records:
        value, _, length, _, broken, _ = record
        opener.number = 0
        if length >= 0:
            detail = f"{length} bytes; raise max_record_bytes to read it"
            opener.refuse(record, value, None, None, Rejected(Reason.TOO_LONG, detail))
            opener.learn(0)
        elif broken:
            opener.refuse(record, value, None, None, Rejected(Reason.CUT_SHORT, broken))
        elif opener.layers:
            opener.open(record)
        else:
            opener.add(record, value, None, None)
    if final:
        opener.give_up()
    state["layers"] = opener.layers
    return opener.out


class _Opener:
    """Takes a stream's records out of their envelopes.

    Attributes:
        number: lines that came out of the record at hand.
    """

    def __init__(
        self,
        owns: Callable[[str], str | bool],
        claims: Callable[[Mapping[str, Any]], str],
        longest: int,
        state: State,
    ) -> None:
        self.owns, self.claims, self.longest = owns, claims, longest
        self.layers: int = state.get("layers", _DEEPEST)
        self.pieces: dict[str, list[Any]] = state.setdefault("pieces", {})
        self.out: Unwrapped = []
        self.number = 0
        self.room: Room | None = None

    # Envelopes.

    def open(self, record: Record) -> None:
        """Take a record's lines out of it."""
        self.room = None
        self._open(record, record.value.removeprefix(_BOM), None, None, "", 0, None)

    def _open(
        self,
        record: Record,
        value: bytes,
        origin: Origin | None,
        logged: int | None,
        stream: str,
        depth: int,
        named: Named | None,
    ) -> None:
        """Take what stands under ``depth`` envelopes, with what those said."""
        found: list[Inner] | None = None
        if depth < self.layers:
            if value[:1] == b"{" or value[:2] in (b"[{", b"[["):
                document = _parsed(value)
                if document.__class__ is dict and (source := self.claims(document)):
                    line = Line(value, value.decode(), record, origin, logged)
                    line.source, line.document = source, document
                    self._put(line, None)
                    return
                if self.room is None:
                    self.room = Room(self.longest, _MOST_TIMES * len(record.value))
                found = self._inside(value, document, self.room)
            else:
                found = _cri(value)
        if found is None:
            self._line(record, value, origin, logged, depth, named)
            return
        for inner in found:
            where = origin or inner.origin
            when = logged if inner.logged is None else inner.logged
            if inner.refused is not None:
                whole = value if not inner.value and len(found) == 1 else inner.value
                of = Record(whole, record.position, inner.length, inner.digest)
                self.refuse(of, whole, where, when, inner.refused)
                continue
            via = inner.stream or stream
            if self.pieces or inner.partial:
                joined = self._join(record, inner, where, when, f"{depth}\0{via}\0")
                if joined is not None:
                    self._open(*joined, via, depth + 1, inner.named)
            else:
                self._open(record, inner.value, where, when, via, depth + 1, inner.named)

    def _inside(self, value: bytes, document: Any, room: Room) -> list[Inner] | None:
        """What stands in a JSON text, or None where that is no envelope.

        Args:
            document: the text parsed, or None: it cannot be.
            room: what may still be decompressed of the record.
        """
        if document is None:
            several = [Inner(each) for each in values(value)]
            if len(several) > 1:
                return several
        text = value.decode("utf-8", "replace")
        return None if document is None or self.owns(text) else opened(document, room)

    def _join(
        self, record: Record, inner: Inner, origin: Origin | None, logged: int | None, key: str
    ) -> tuple[Record, bytes, Origin | None, int | None] | None:
        """What an envelope holds, with the pieces before it, or None: it is not all there."""
        key += f"{origin.host}\0{origin.file}" if origin else ""
        held = self.pieces.pop(key, None)
        if held is None and not inner.partial:
            return record, inner.value, origin, logged
        held = held or [[], record.position, list(origin) if origin else None, logged, 0, ""]
        _hold(held, inner.value, self.longest)
        if inner.partial:
            self._wait(key, held)
            return None
        parts, position, said, logged, size, digest = held
        value, origin = _joined(parts), Origin(*said) if said else None
        if size > self.longest:
            detail = "joined from pieces, over max_record_bytes; the digest chains them"
            refused = Rejected(Reason.TOO_LONG, detail)
            self.refuse(Record(value, position, size, digest), value, origin, logged, refused)
            return None
        return Record(value, position, received=record.received), value, origin, logged

    # Lines.

    def _line(
        self,
        record: Record,
        value: bytes,
        origin: Origin | None,
        logged: int | None,
        depth: int,
        named: Named | None,
    ) -> None:
        place = len(self.out)
        self.add(record, value, origin, logged)
        if named is not None:
            for line, _ in self.out[place:]:
                line.logger, line.stamp, line.level = named
        if depth < self.layers and len(self.out) > place:
            self.learn(depth, place)

    def learn(self, depth: int, place: int = -1) -> None:
        """The line that came out at ``place``, readable or not, stands under so many envelopes: if
        it is a log's, no other stands under more."""
        text = self.out[place][0].text
        if text[:1] != "{" and (
            layouts.split(text) is not None or self.owns(layouts.without_level(text))
        ):
            self.layers = min(self.layers, depth)

    def refuse(
        self,
        record: Record,
        value: bytes,
        origin: Origin | None,
        logged: int | None,
        refused: Rejected,
    ) -> None:
        """A line that cannot be read, and why."""
        text = value.decode("utf-8", "replace")
        self._put(Line(value, text, record, origin, logged), refused)

    def add(self, record: Record, value: bytes, origin: Origin | None, logged: int | None) -> None:
        """A line, or the lines that a shipper joined."""
        if value[-1:] == b"\r":
            value = value[:-1]
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            refused = Rejected(Reason.NOT_UTF8, f"byte {error.start} is not UTF-8")
            self.refuse(record, value, origin, logged, refused)
            return
        if "\n" in text:
            self._add_several(record, text, origin, logged)
        else:
            self._put(Line(value, text, record, origin, logged), None)

    def _add_several(
        self, record: Record, text: str, origin: Origin | None, logged: int | None
    ) -> None:
        """A record that holds line breaks: one message with them inside, or a shipper's joining.

        A carrier that keeps messages whole tells what no file can: what stands behind a line break
        is still that message. Only what ends as no message does is taken for lines that were
        joined.
        """
        head = layouts.split(text)
        if head is None or head.ended:
            self._put(Line(text.encode(), text, record, origin, logged), None)
            return
        for part in text.split("\n"):
            part = part.removesuffix("\r")
            self._put(Line(part.encode(), part, record, origin, logged), None)

    def _put(self, line: Line, refused: Rejected | None) -> None:
        line.number = self.number
        self.number += 1
        self.out.append((line, refused))

    # Pieces.

    def _wait(self, key: str, held: list[Any]) -> None:
        self.pieces[key] = held
        if len(self.pieces) > MOST_WAITING:
            self._cut_short(self.pieces.pop(next(iter(self.pieces))))

    def give_up(self) -> None:
        """Nothing follows: what waits for more has been cut."""
        for held in self.pieces.values():
            self._cut_short(held)
        self.pieces.clear()

    def _cut_short(self, held: list[Any]) -> None:
        parts, position, said, logged, size, digest = held
        value = _joined(parts)
        record = Record(value, position, size if digest else -1, digest)
        detail = "the carrier announced more of this line and nothing came"
        origin = Origin(*said) if said else None
        # It is none of the lines of the record at hand.
        line = Line(value, value.decode("utf-8", "replace"), record, origin, logged)
        self.out.append((line, Rejected(Reason.CUT_SHORT, detail)))


def _parsed(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


def _joined(parts: list[str]) -> bytes:
    return "".join(parts).encode("latin-1")


def _hold(held: list[Any], value: bytes, longest: int) -> None:
    """Add a piece. Of a line over ``longest`` only its head is kept, and a digest of all."""
    parts, size = held[0], held[4] + len(value)
    if size <= longest:
        parts.append(value.decode("latin-1"))
    else:
        if not held[5]:
            whole = _joined(parts)
            held[5] = sha256(whole).hexdigest()
            parts[:] = [(whole + value)[:HEAD_BYTES].decode("latin-1")]
        held[5] = sha256(bytes.fromhex(held[5]) + value).hexdigest()
    held[4] = size


def _cri(value: bytes) -> list[Inner] | None:
    if not (value[:2].isdigit() and value[4:5] == b"-" and b" std" in value[19:44]):
        return None
    space = value.find(b" ", 19, 44)
    tags = value.find(b" ", space + 8)
    if tags < 0 or value[space + 1 : space + 8] not in _STREAMS:
        return None
    logged = instant(value[:space].decode("ascii", "replace"))
    if logged is None:
        return None
    stream = value[space + 1 : space + 7].decode()
    partial = value[space + 8 : tags].split(b":")[0] == b"P"
    return [Inner(value[tags + 1 :], None, logged, stream, partial)]
