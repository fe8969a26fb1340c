"""A line of a file as a record of a raw topic: key, headers, value.

What :mod:`pipeline.collectors.raw_records` reads; the headers are described there. All records of
one file have the same key, and so lie in one partition, in order.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from pipeline.batch import Record, Stream
from pipeline.collectors.raw_records import (
    ANEW,
    BROKEN,
    DIGEST,
    END,
    LENGTH,
    MOST_STREAM_BYTES,
    OFFSET,
    STREAM,
)

Headers = list[tuple[str, str | bytes | None]]
_ROOM_BYTES = 1024
"""Of the header, for the rest of a path whose middle is left out."""


def key(stream: Stream) -> bytes:
    """The key of a file's records: host, NUL, origin in hex."""
    return f"{stream.host}\0{stream.origin.hex()}".encode()


def stream_header(stream: Stream) -> bytes:
    """What `audit-stream` says of each record of a file; a path too long loses its beginning."""
    said = {
        "source": stream.source,
        "cluster": stream.cluster,
        "host": stream.host,
        "zone": stream.zone,
        "file": stream.carrier,
        "origin": stream.origin.hex(),
    }
    header = orjson.dumps(said)
    if len(header) > MOST_STREAM_BYTES and len(stream.carrier) > _ROOM_BYTES:
        return stream_header(replace(stream, carrier="…" + stream.carrier[1 - _ROOM_BYTES :]))
    return header


def headers(record: Record, of_stream: bytes, *, end: bool = False, anew: bool = False) -> Headers:
    """The headers of one record.

    Args:
        of_stream: what :func:`stream_header` said.
        end: the input ended with this record.
        anew: the file was written anew under the same first line, and this is its first record.
    """
    said: Headers = [(STREAM, of_stream), (OFFSET, b"%d" % record.position)]
    if record.length >= 0:
        said += [(LENGTH, b"%d" % record.length), (DIGEST, record.digest.encode())]
    if record.broken:
        said.append((BROKEN, record.broken.encode()))
    if end:
        said.append((END, b"1"))
    if anew:
        said.append((ANEW, b"1"))
    return said
