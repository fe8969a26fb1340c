"""Recognise: is a line of a kind that is read, and when was it? Looked at before anything is read,
to tell a broker's log from a picture, and one file from another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pipeline import layouts
from pipeline.batch import Line, Reading, Record, Source
from pipeline.errors import Unreadable
from pipeline.stages.router import Router
from pipeline.stages.unwrap import unwrap


class Look(NamedTuple):
    """What one line is, or the lines in its envelopes are.

    Attributes:
        ours: a known layout, or a source's own wording, in one of them at least.
        dated: one of them holds a time.
        time: that time in epoch milliseconds, or None where it is on no calendar or not known.
    """

    ours: bool
    dated: bool
    time: int | None


_NOTHING = Look(False, False, None)


def recogniser(
    sources: Mapping[str, Source], only: str, reading: Reading, longest: int
) -> Callable[[bytes], Look]:
    """A function from a line's bytes to what it is, for inputs of source ``only`` (or auto)."""
    router = Router(sources, only)

    def of(line: Line) -> Look:
        head = layouts.split(line.text)
        if head is not None:
            try:
                return Look(True, True, reading.time(head.stamp)[0])
            except Unreadable:
                return Look(True, False, None)
        name = line.source or router.by_text(layouts.without_level(line.text))
        dated = bool(name) and (hook := sources[name].dated) is not None and hook(line.text)
        return Look(bool(name), dated or (bool(name) and line.logged is not None), line.logged)

    def look(value: bytes) -> Look:
        found = unwrap([Record(value, 0)], {}, router.by_text, longest, False, router.by_document)
        looks = [of(line) for line, refused in found if refused is None]
        dated = next((each for each in looks if each.dated), _NOTHING)
        return Look(any(each.ours for each in looks), dated.dated, dated.time)

    return look
