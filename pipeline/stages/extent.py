"""Extent: where a JSON value (RFC 8259) ends, over any cuts, in linear time and without recursion.

Only as strict as it takes to notice damage close to where it is: brackets match, a value in an
object stands behind a colon, one in an array behind a comma; outside strings stands nothing that
JSON has no use for, and inside them no line break. Whatever is valid JSON is one value to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

DEEPEST = 2048
"""Levels of brackets; orjson reads 1,024."""
_INSIDE = re.compile(rb'(?:[^"\\\n]++|\\[^\n])*+')
_RUN = re.compile(
    rb"(?:[ \t\r\n]++|(" + rb'"(?:[^"\\\n]++|\\[^\n])*+"' + rb"|[0-9+\-.truefalsnE]++|[,:]))*+"
)
"""What stands between two brackets; the group is its last token."""
_GAP = re.compile(rb"[\s,]*+")
_CLOSES = {b"}": b"{", b"]": b"["}
_COLON, _COMMA, _QUOTE = ord(":"), ord(","), ord('"')


class Extent:
    """The search for the end of one object or array.

    Args:
        opened: a bracket that was read already, or none.

    Attributes:
        done: the end was found.
        damaged: from there on it is no JSON.
    """

    __slots__ = ("_inside", "_last", "_open", "damaged", "done")

    def __init__(self, opened: bytes = b"") -> None:
        self._open = [opened] if opened else []
        self._last, self._inside = _COMMA, False
        self.done = self.damaged = False

    def end(self, buffer: bytes, place: int) -> int:
        """Go on at ``place``: to behind the value, to the damage, or to the end of the buffer.

        What is left of the buffer then, a backslash at most, must come again with what follows.
        """
        while not self.done:
            if self._inside:
                place = _INSIDE.match(buffer, place).end()  # type: ignore[union-attr]
                if buffer[place : place + 1] != b'"':
                    self.damaged = buffer[place:] not in (b"", b"\\")
                    return place
                self._inside = False
                place += 1
            run = _RUN.match(buffer, place)
            assert run is not None
            if run.lastindex:
                self._last = buffer[run.end(1) - 1]
            place = run.end()
            mark = buffer[place : place + 1]
            if not self._takes(mark):
                self.damaged = bool(mark)
                return place
            place += 1
        return place

    def _takes(self, mark: bytes) -> bool:
        """Whether there is something, and it may stand here. Brackets and quotes come here."""
        held = self._open
        if mark == b'"':
            self._inside, self._last = True, _QUOTE
        elif mark == b"{" or mark == b"[":
            before = _COLON if held and held[-1] == b"{" else _COMMA
            if self._last != before or len(held) >= DEEPEST:
                return False
            held.append(mark)
            self._last = _COMMA
        elif mark and held and _CLOSES.get(mark) == held[-1]:
            held.pop()
            self.done, self._last = not held, mark[0]
        else:
            return False
        return True


def values(data: bytes) -> Iterator[bytes]:
    """The objects and arrays that stand one behind the other; what is none of them, by the line."""
    place = _end_of_gap(data, 0)
    while place < len(data):
        start, extent = place, Extent()
        if data[start : start + 1] in (b"{", b"["):
            place = extent.end(data, start)
        if not extent.done:
            stop = data.find(b"\n", place)
            place = stop if stop >= 0 else len(data)
        yield data[start:place]
        place = _end_of_gap(data, place)


def _end_of_gap(data: bytes, place: int) -> int:
    return _GAP.match(data, place).end()  # type: ignore[union-attr]
