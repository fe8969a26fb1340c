"""A record of a raw topic, as Kafka delivers it, to the stream and the record the engine reads.

What `auditstream collect` (:mod:`pipeline.collectors.shipping`) says in headers decides, so that
an event has the same id whether its line was read from the file or from the topic. All headers
are optional and may be anybody's: one that cannot be meant is passed over, and nothing is raised.

=================  ===============================================================================
header             holds
=================  ===============================================================================
``audit-stream``   UTF-8 JSON, the same bytes on each record of a file: ``source``, ``cluster``,
                   ``host``, ``zone``, ``file`` (for people), ``origin`` (hex: the file's identity)
``audit-offset``   decimal: where the line stands in the decompressed file
``audit-length``   decimal: of a line over ``max_record_bytes``, whose head is the value
``audit-digest``   its SHA-256, hex
``audit-broken``   why a carrier could not deliver the rest, UTF-8
``audit-end``      ``1``: here the bounded input ended
``audit-anew``     ``1``: the file was written anew under its first line: what was known of the
                   stream's position and state counts no more (its ids do)
=================  ===============================================================================

Without a file and an offset a partition's records of one key are a stream, and offsets are
positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from zoneinfo import ZoneInfo

import orjson

from pipeline.batch import HEAD_BYTES, Record, Stream
from pipeline.registry import sources
from pipeline.streaming import RawTopic

STREAM = "audit-stream"
OFFSET = "audit-offset"
LENGTH = "audit-length"
DIGEST = "audit-digest"
BROKEN = "audit-broken"
END = "audit-end"
ANEW = "audit-anew"

MOST_STREAM_BYTES = 8 * 1024
"""Of the header `audit-stream`: as many as are cached of them stay in memory."""
_CACHED = 4096
_MOST_ORIGIN_BYTES = 64
_MOST_BROKEN_BYTES = 500
_MOST_DIGITS = 18
"""Of a position or a length: both must fit into 63 bits."""
_DIGEST_BYTES = 32
_TEXTS = ("source", "cluster", "host", "zone", "file", "origin")


class Received(NamedTuple):
    """What a record of a topic is to the engine.

    Attributes:
        stream: whose lines it belongs to; equal for all records of one stream.
        end: the bounded input ended with this record, which is empty where nothing stood behind
            the last line break: the engine is to be run with ``final=True`` over :attr:`records`.
        placed: the headers gave file and offset; else the position is Kafka's offset.
        anew: the stream begins anew with this record, though its position was passed already.
    """

    stream: Stream
    record: Record
    end: bool
    placed: bool
    anew: bool = False

    @property
    def records(self) -> tuple[Record, ...]:
        """What the engine is to be given: nothing, where an end is all there is."""
        value, _, length, _, broken, _ = self.record
        empty = self.end and not value and length < 0 and not broken
        return () if empty else (self.record,)

    @property
    def behind(self) -> int:
        """The stream's position once the record is read: the least that is no repetition.

        What an end holds may yet be continued: it is not passed.
        """
        value, position, length, _, _, _ = self.record
        if self.end or not self.placed:
            return position + (not self.placed)
        return position + (length if length >= 0 else len(value)) + 1


class _Said(NamedTuple):
    """What a header `audit-stream` says; None where it does not say it.

    ``stream``: the stream itself, where nothing is left for others to say.
    """

    source: str | None = None
    cluster: str | None = None
    host: str | None = None
    zone: str | None = None
    stream: Stream | None = None


_NOTHING = _Said()


def received(
    raw: RawTopic,
    topic: str,
    partition: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] | None,
    offset: int,
    timestamp: int = 0,
) -> Received:
    """One record of a raw topic. Never raises on account of what it holds.

    Args:
        raw: what the configuration says of the topic, where the headers do not say it.
        key, value, headers, offset, timestamp: as the consumer delivers them; of headers of one
            name the last counts.
    """
    if not headers:
        stream = _of_key(
            raw.source, raw.cluster, raw.host, raw.zone, topic, partition, _short(key)
        )  # fmt: skip
        return Received(stream, Record(_line(value), offset, received=timestamp), False, False)
    stream_header = offset_header = None
    further: dict[str, bytes | None] | None = None
    for name, content in headers:
        if name == STREAM:
            stream_header = content
        elif name == OFFSET:
            offset_header = content
        elif name.__class__ is str and name[:6] == "audit-":
            further = further or {}
            further[name] = content
    said = _said(stream_header) if stream_header else _NOTHING
    placed = said.stream
    if placed is not None and offset_header and _is_number(offset_header):
        record = Record(value or b"", int(offset_header), received=timestamp)
        if further is None:
            return Received(placed, record, False, True)
        end, anew = further.get(END) == b"1", further.get(ANEW) == b"1"
        return Received(placed, _told(record, further), end, True, anew)
    stream = _of_key(
        said.source or raw.source,
        raw.cluster if said.cluster is None else said.cluster,
        raw.host if said.host is None else said.host,
        raw.zone if said.zone is None else said.zone,
        topic, partition, _short(key),
    )  # fmt: skip
    record = Record(_line(value), offset, received=timestamp)
    return Received(stream, _told(record, further) if further else record, False, False)


def bounded(record: Record, longest: int) -> Record:
    """The record, or its head with length and digest where it is over ``longest`` bytes, and not
    such a head already."""
    value = record.value
    if record.length >= 0:
        return record._replace(value=value[:HEAD_BYTES])
    if len(value) <= longest:
        return record
    digest = sha256(value).hexdigest()
    return record._replace(value=value[:HEAD_BYTES], length=len(value), digest=digest)


def _line(value: bytes | None) -> bytes:
    """A line that whoever sent it need not have parted from its line break."""
    if not value:
        return b""
    return value[:-1] if value[-1] == 10 else value


def _is_number(text: bytes) -> bool:
    # `int` alone would also take signs, spaces and underscores.
    return text.__class__ is bytes and len(text) <= _MOST_DIGITS and text.isdigit()


def _told(record: Record, headers: dict[str, bytes | None]) -> Record:
    """The record with what headers say of a line that is not all there."""
    length, digest, broken = headers.get(LENGTH), headers.get(DIGEST), headers.get(BROKEN)
    if length and digest and _is_number(length) and int(length) >= len(record.value):
        record = record._replace(length=int(length), digest=_hexadecimal(digest))
        if not record.digest:
            record = record._replace(length=-1)
    if broken:
        text = broken[:_MOST_BROKEN_BYTES].decode("utf-8", "replace")
        record = record._replace(broken=text)
    return record


def _hexadecimal(digest: bytes) -> str:
    """A SHA-256 as we write it, or empty."""
    try:
        found = bytes.fromhex(digest.decode("ascii"))
    except ValueError:
        return ""
    return found.hex() if len(found) == _DIGEST_BYTES else ""


def _short(key: bytes | None) -> bytes | None:
    """A digest is longer than any key that stands for itself: none can pass for the other."""
    return key if key is None or len(key) < _DIGEST_BYTES else sha256(key).digest()


@lru_cache(maxsize=_CACHED)
def _of_key(
    source: str, cluster: str, host: str, zone: str, topic: str, partition: int, key: bytes | None
) -> Stream:
    """The stream of a partition's records of one key, where nobody names a file."""
    origin = f"{topic}\0{partition}".encode()
    if key is not None:
        origin += b"\0" + key
    return Stream(source, cluster, host, origin, f"{topic}[{partition}]", zone)


def _said(header: bytes) -> _Said:
    return _parsed(header) if len(header) <= MOST_STREAM_BYTES else _NOTHING


@lru_cache(maxsize=_CACHED)
def _parsed(header: bytes) -> _Said:
    """What a header says, or nothing where any of it cannot be meant."""
    try:
        found = orjson.loads(header)
        given = {name: found[name] for name in _TEXTS if name in found}
        origin = bytes.fromhex(given.get("origin", ""))
    except (ValueError, TypeError):
        return _NOTHING
    if not all(isinstance(text, str) for text in given.values()):
        return _NOTHING
    source, zone = given.get("source"), given.get("zone")
    if len(origin) > _MOST_ORIGIN_BYTES or not _is_source(source) or not _is_zone(zone):
        return _NOTHING
    cluster, host = given.get("cluster"), given.get("host")
    stream = None
    if origin and None not in (source, cluster, host, zone):
        carrier = given.get("file", "")
        stream = Stream(source, cluster, host, origin, carrier, zone)  # type: ignore[arg-type]
    return _Said(source, cluster, host, zone, stream)


def _is_source(name: str | None) -> bool:
    return name is None or name == "auto" or name in sources()


def _is_zone(name: str | None) -> bool:
    try:
        return not name or bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return False
