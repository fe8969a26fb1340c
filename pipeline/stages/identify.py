"""Identify: ids are derived, never drawn. docs/adr/0002 has the recipe and why.

Event id: 16 bytes. Six of event time in milliseconds (big-endian, clamped to 48 bits), then ten of
BLAKE2b over the recipe's version and, each with its length before it: cluster, source, natural key
and a constant where the source has such a key; else cluster, host, origin position, record bytes
and the number of the line in its record; and in both, from the second on, the number of the item
in its line. The id sorts by time, and its time names the index it goes to.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

from pipeline.batch import Fact, Line, Stream
from schemas.vocabulary import ID_RECIPE

_LARGEST_TIME = 2**48 - 1
_PERSON = b"auditstream" + bytes([ID_RECIPE])
_EMPTY = blake2b(digest_size=10, person=_PERSON)
_NO_NUMBER = bytes(4)
"""A natural key is the same wherever its record stands: alone, or among others in an envelope."""
_EIGHT, _FOUR = (8).to_bytes(8, "big"), (4).to_bytes(8, "big")


def framed(parts: Iterable[bytes]) -> bytes:
    """``parts`` in one, each with its length (8 bytes) before it."""
    return b"".join([len(part).to_bytes(8, "big") + part for part in parts])


def digest(size: int, parts: Iterable[bytes]) -> bytes:
    """``size`` bytes of BLAKE2b over ``parts``, each with its length (8 bytes) before it."""
    return blake2b(framed(parts), digest_size=size, person=_PERSON).digest()


def timed(time_ms: int, hashed: bytes) -> bytes:
    """An id: 48 bits of time, then ``hashed`` (10 bytes)."""
    if not 0 <= time_ms <= _LARGEST_TIME:
        time_ms = 0 if time_ms < 0 else _LARGEST_TIME
    return time_ms.to_bytes(6, "big") + hashed


def position(line: Line, stream: Stream) -> tuple[bytes, bytes]:
    """Where the line stands, whatever its file is called: (origin, offset in it)."""
    origin = line.origin
    if origin is not None and origin.offset >= 0:
        return b"shipper\0" + origin.file.encode(), origin.offset.to_bytes(8, "big")
    return stream.origin, line.record.position.to_bytes(8, "big", signed=True)


def event_id(fact: Fact, line: Line, stream: Stream, record: bytes, item: int = 0) -> bytes:
    """The event's id. ``record``: the line's bytes with every secret blanked; ``item``: which of
    the line's outcomes it is."""
    event = fact.event
    further = b""
    if item:
        # A line of many items is long: each further one takes its digest.
        further, record = _FOUR + item.to_bytes(4, "big"), _digest_of(record)
    if fact.natural_key:
        hashed = _natural(event.cluster, event.source).copy()
        key = framed([part.encode() for part in fact.natural_key])
        hashed.update(key + _FOUR + _NO_NUMBER + further)
        return timed(event.time, hashed.digest())
    origin, offset = position(line, stream)
    place = place_of(event.cluster, event.host, origin)
    number = _FOUR + line.number.to_bytes(4, "big") + further
    return placed_id(event.time, place, offset, record, number)


def placed_id(
    time_ms: int, place: bytes, offset: bytes, record: bytes, number: bytes = _FOUR + _NO_NUMBER
) -> bytes:
    """The id of an event without a natural key.

    Args:
        place: as :func:`place_of` gives it.
        offset: 8 bytes.
        number: of the line in its record, and of the item, each with its length; default: it is
            the only one.
    """
    hashed = _EMPTY.copy()
    hashed.update(place + offset + len(record).to_bytes(8, "big") + record + number)
    return timed(time_ms, hashed.digest())


@lru_cache(maxsize=2)
def _digest_of(record: bytes) -> bytes:
    return blake2b(record, digest_size=32, person=_PERSON).digest()


@lru_cache(maxsize=1024)
def _natural(cluster: str, source: str) -> blake2b:
    """The beginning of every natural key of a source in a cluster. To be copied."""
    hashed = _EMPTY.copy()
    hashed.update(framed([b"natural", cluster.encode(), source.encode()]))
    return hashed


@lru_cache(maxsize=1024)
def place_of(cluster: str, host: str, origin: bytes) -> bytes:
    """What ids of one file's events begin with: its name, and the length of what follows."""
    return framed([b"position", cluster.encode(), host.encode(), origin]) + _EIGHT


def dead_letter_id(line: Line, stream: Stream, source: str, item: int = 0) -> bytes:
    """The id of a line, or of one item of it, that could not be read: 16 bytes, no time."""
    origin, offset = position(line, stream)
    host = stream.host or (line.origin.host if line.origin else "")
    number = line.number.to_bytes(4, "big")
    parts = [b"dead letter", stream.cluster.encode(), host.encode(), origin, offset]
    further = [item.to_bytes(4, "big")] if item else []
    return digest(16, [*parts, line.raw, number, source.encode(), *further])
