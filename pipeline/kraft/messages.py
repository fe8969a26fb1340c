"""One message to what it states, whatever it is of."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pipeline.errors import Reason, Unreadable
from pipeline.kraft.access import ACCESS
from pipeline.kraft.settings import SETTINGS
from pipeline.kraft.stated import CLUSTER, MOST_DETAIL, Phrases, Stated
from pipeline.kraft.topics import TOPICS

_PHRASES: Final[Phrases] = (*TOPICS, *SETTINGS, *ACCESS)
_LONGEST_CACHED = 1024


def _parse(text: str) -> tuple[Stated, ...]:
    """What a message without its prefix states, or nothing where it is none of a record or result.

    Raises:
        Unreadable: ``torn`` where its end is missing, ``unknown_layout`` otherwise.
    """
    for phrase, end, read in _PHRASES:
        if text.startswith(phrase):
            if len(text) < len(phrase) + len(end) or not text.endswith(end):
                raise Unreadable(Reason.TORN, f"`{end}` is missing at its end")
            return read(text[len(phrase) : len(text) - len(end)])
    return _bookkeeping(text)


def _bookkeeping(text: str) -> tuple[Stated, ...]:
    found = re.match(r"Repla(?:yed|ying) (?:initial |an? )?([A-Z]\w{1,60}Record)\b", text)
    if found is None:
        return ()
    broker = re.search(r" (?:for |of )?broker (\d{1,10})\b|\(id=(\d{1,10}),", text[:200])
    kind, name = "Cluster", CLUSTER
    if broker:
        kind = "Controller" if "Controller" in found[1] else "Broker"
        name = broker[1] or broker[2]
    return (Stated(found[1], "", kind, name, text[:MOST_DETAIL]),)


def _try(text: str) -> tuple[Stated, ...] | Unreadable:
    try:
        return _parse(text)
    except Unreadable as error:
        return error


_cached = lru_cache(maxsize=256)(_try)


def said(text: str) -> tuple[Stated, ...] | Unreadable:
    """What a message without its prefix states, nothing where it is of no record or result, or why
    it cannot be read: ``torn`` where its end is missing, else ``unknown_layout``."""
    # Each is looked at twice, once for its end.
    return _cached(text) if len(text) <= _LONGEST_CACHED else _try(text)
