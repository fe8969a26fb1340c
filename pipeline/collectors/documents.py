"""JSON documents to lines: one element a line, in bounded memory, however long the document is.

============================================  =====================================================
document                                      elements
============================================  =====================================================
``{"Records": [{…}, {…}], …}``                the array's; also ``records``, ``Events``, ``events``,
                                              ``logEvents`` and ``Messages``, as the first name
``[{…}, {…}]``                                the array's
``{…}{…}``, or an object over several lines   the objects
============================================  =====================================================

Any number of them may stand one behind the other. An element is given out as it stands, its line
breaks as spaces; what else is in a document is left out. A file that begins as none of them does
is none: JSON lines and log lines stay as they are.

Positions are those in the lines given out. They are the same however the bytes came in pieces, and
a document that was cut gives the lines of the whole one, up to the cut.

Damage costs the element it is in: reading goes on where the next one begins, which is known by its
first name. No text inside a string can imitate that, since its quotes would be escaped there. Only
behind damage an object within an element can be taken for one.
"""

from __future__ import annotations

import re
import zlib
from types import TracebackType
from typing import Protocol

import orjson

from pipeline.stages.extent import Extent

_MOST_BYTES = 1024 * 1024
"""Read at once, and looked at to tell what a file is."""
_GLANCE_BYTES = 4096
_LOOKAHEAD_BYTES = 512
"""More than what is looked for behind damage can have."""
_LOOKBACK_BYTES = 256
"""How far back from where damage shows its end is looked for: an open string ends too late."""
_NAMES = rb"(?:Records|records|Events|events|logEvents|Messages)"
_ARRAY = rb'\{\s{0,64}+"' + _NAMES + rb'"\s{0,64}+:\s{0,64}+\['
_OPENER = re.compile(_ARRAY + rb"|\[\s{0,64}+(?=\{)")
_PARTIAL = re.compile(
    rb'\{\s{0,64}+(?:"\w{0,64}+(?:"\s{0,64}+(?::\s{0,64}+)?+)?+)?+|\[\s{0,64}+|\xef\xbb?+'
)
"""What may become an opener, or a byte order mark, with what follows."""
_LEAD = re.compile(rb"(?:\xef\xbb\xbf)?+\s{0,64}+")
_GAP = re.compile(rb"(?:[\s,]|\xef\xbb\xbf)*+")
_SPREAD = re.compile(rb"\{[ \t\r]{0,64}+\n")
_BEHIND = re.compile(rb"[ \t\r]*+([^ \t\r])?")
_NAME = re.compile(rb'\{\s{0,64}+"(\w{1,64}+)"\s{0,64}+:')
_NEW = re.compile(_ARRAY)
_FLAT = bytes.maketrans(b"\r\n", b"  ")


class Readable(Protocol):
    """What bytes are read from: a file, a decompressed one, or a pipe."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


class CutShort(EOFError):
    """A document that ends in the middle."""


class _Beginning:
    """Tells from its first bytes whether a file is a document."""

    def __init__(self) -> None:
        self._extent = Extent()
        self._first = self._place = -1

    def tell(self, head: bytes) -> bool | None:
        """Whether it is one, or None: that takes more than there is yet."""
        if self._first < 0:
            start = _LEAD.match(head).end()  # type: ignore[union-attr]
            if _OPENER.match(head, start) or _SPREAD.match(head, start):
                return True
            if start == len(head) or _PARTIAL.fullmatch(head, start):
                return None
            if head[start : start + 1] != b"{":
                return False
            self._first = self._place = start
        self._place = self._extent.end(head, self._place)
        if self._extent.damaged:
            return False
        behind = _BEHIND.match(head, self._place)
        if not self._extent.done or behind is None or behind[1] is None:
            return None
        return behind[1] == b"{" or self.spread(head)

    def spread(self, head: bytes) -> bool:
        """Whether the first object is there and stands on several lines."""
        return self._extent.done and head.find(b"\n", self._first, self._place) >= 0

    @property
    def begun(self) -> bool:
        """Whether it is an object at least."""
        return self._first >= 0


class Documents:
    """Reads another file: as lines of elements where it is a document, and else as it is."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._start()

    def _start(self) -> None:
        """As if nothing had been read."""
        self._found: bool | None = None
        self._failed: Exception | None = None
        self._ended = False
        self._ready = self._buffer = self._name = b""
        self._given = self._place = self._ahead = 0
        # Where in the document it stands: between elements unless a value is open, or lost.
        self._array = self._wrapped = False
        self._open: Extent | None = None
        self._is_element = False
        self._lost: re.Pattern[bytes] | None = None

    def __enter__(self) -> Documents:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file that is read."""
        self._file.close()  # type: ignore[attr-defined]

    def fileno(self) -> int:
        """The descriptor of the file that is read."""
        return int(self._file.fileno())  # type: ignore[attr-defined]

    def seek(self, offset: int, /) -> int:
        """Go to ``offset`` in what is given out, or to its end. Reads all before it."""
        if offset < self._given:
            self._file.seek(0)  # type: ignore[attr-defined]
            self._start()
        while self._given < offset and self.read(min(_MOST_BYTES, offset - self._given)):
            pass
        return self._given

    def found(self) -> bool:
        """Whether it is a document. Reads as much as that takes; :meth:`read` gives it out."""
        if self._found is None:
            head, beginning = b"", _Beginning()
            # However many bytes come at a time, it is told by as many.
            while (found := beginning.tell(head)) is None:
                if len(head) >= _MOST_BYTES:
                    found = beginning.begun
                    break
                wanted = max(_GLANCE_BYTES, len(head))
                data = self._more(min(wanted, _MOST_BYTES - len(head)))
                head += data
                if not data:
                    found = beginning.spread(head)
                    break
            self._found = found
            self._ready = self._lines(head, False) if found else head
        return self._found

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end.

        Raises:
            CutShort: the document ends in the middle. All before that was given out.
        """
        found = self.found()
        while not self._ready and not self._ended:
            data = self._more(size)
            self._ended = not data
            self._ready = self._lines(data, not data) if found else data
        if self._ready:
            data, self._ready = self._ready[:size], self._ready[size:]
            self._given += len(data)
            return data
        if self._failed is not None:
            raise self._failed
        if self._open is not None or self._array:
            raise CutShort("the JSON document ends in the middle")
        return b""

    def _more(self, size: int) -> bytes:
        try:
            return self._file.read(size) if self._failed is None else b""
        except (EOFError, OSError, zlib.error) as error:
            self._failed = error
            return b""

    def _lines(self, data: bytes, end: bool) -> bytes:
        """What the next bytes give. What only those behind them can tell is kept for later."""
        buffer = self._buffer = self._buffer[self._place :] + data
        self._place, self._behind = 0, -1
        self._seam: bytes | None = None
        self._out: list[bytes] = []
        while self._place < len(buffer):
            if self._lost is not None:
                moved = self._skip(self._lost, end)
            elif self._open is not None:
                moved = self._go_on(self._open)
            else:
                moved = self._between(end)
            if not moved:
                break
        if end and (self._open is None or self._is_element):
            self._give(len(buffer))
        return b"".join(self._out)

    def _give(self, stop: int) -> None:
        self._out.append(_flat(self._buffer[self._place : stop]))
        self._place = stop

    def _between(self, end: bool) -> bool:
        """Whatever comes where no value is open. Whether it could be told."""
        buffer = self._buffer
        place = self._place = _GAP.match(buffer, self._place).end()  # type: ignore[union-attr]
        mark = buffer[place : place + 1]
        if not mark or (not end and _PARTIAL.fullmatch(buffer, place)):
            return False
        if not self._array and (opener := _OPENER.match(buffer, place)):
            self._array, self._wrapped = True, mark == b"{"
            self._place = opener.end()
        elif self._array and mark == b"]":
            self._array, self._place = False, place + 1
            if self._wrapped:
                self._open, self._is_element = Extent(b"{"), False
        elif mark == b"{" or (mark == b"[" and self._array):
            self._element()
        else:
            self._lose(rb"|\n")
        return True

    def _element(self) -> None:
        """An element begins."""
        name = _NAME.match(self._buffer, self._place)
        if name is not None:
            self._name = name[1]
            if self._seam is None and self._behind >= 0 and not _NEW.match(name[0] + b"["):
                self._leap(self._buffer[self._behind - 1 : name.end()], self._place - self._behind)
        self._open, self._is_element = Extent(), True

    def _leap(self, seam: bytes, gap: int) -> None:
        """Give out elements that end as the last one did: most are all alike in that.

        What stands between two of them only says where one may end. If it is an object up to
        there, as orjson sees it, that is where it ends: no object is the beginning of another.
        """
        buffer, place, self._seam = self._buffer, self._place, seam
        while (stop := buffer.find(seam, place) + 1) and _is_object(piece := buffer[place:stop]):
            self._out += (_flat(piece), b"\n")
            place = stop + gap
        self._place = place

    def _go_on(self, value: Extent) -> bool:
        """More of an open value. Whether it ended."""
        place = seen = value.end(self._buffer, self._place + self._ahead)
        if not value.done:
            place = max(self._place, seen - _LOOKBACK_BYTES)
        self._ahead = 0 if value.damaged else seen - place
        if self._is_element:
            self._give(place)
        self._place = place
        if value.damaged:
            self._lose()
        elif value.done:
            self._open = None
            if self._is_element:
                self._out.append(b"\n")
                self._behind = place
        return value.done or value.damaged

    def _lose(self, sooner: bytes = b"") -> None:
        """From here on it is no JSON. ``sooner``: a pattern more that ends that."""
        self._open = None
        name = self._name or rb"\w{1,64}+"
        self._lost = re.compile(
            rb"\n(?=[{\[])|[}\],\n]\s{0,64}+(?=" + _ARRAY
            + rb'|\{\s{0,64}+"' + name + rb'"\s{0,64}+:)' + sooner
        )  # fmt: skip

    def _skip(self, lost: re.Pattern[bytes], end: bool) -> bool:
        """Give out, as a line, what is no JSON. Whether its end is there."""
        buffer, place = self._buffer, self._place
        seen = len(buffer) if end else max(place, len(buffer) - _LOOKAHEAD_BYTES)
        found = lost.search(buffer, place)
        if found is None or found.start() >= seen:
            self._give(seen)
            return False
        self._give(found.start() + (found[0][0] in b"]}"))
        self._out.append(b"\n")
        self._place, self._lost = found.end(), None
        if _NEW.match(buffer, self._place):
            self._array = False
        return True


def _flat(piece: bytes) -> bytes:
    return piece.translate(_FLAT) if b"\n" in piece or b"\r" in piece else piece


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


def is_document(file: Readable) -> bool:
    """Whether a file that is at its beginning is a document. Reads of it what that takes."""
    return Documents(file).found()
