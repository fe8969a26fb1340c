"""Unwrap: records to lines, out of what shippers put around a line.

======================  ===========================================================================
carrier                 what it looks like
======================  ===========================================================================
plain                   the line itself
Kubernetes CRI          ``2026-11-20T23:52:44.297000000Z stdout F <line>``; ``P`` is a piece
Docker JSON             ``{"log": "<line>\\n", "stream": "stdout", "time": …}``; no ``\\n``: a piece
Filebeat                ``{"@timestamp": …, "message": …, "log": {"file": {"path"}, "offset"}, …}``
Fluent Bit              ``{"date": …, "log": …}`` with ``Path_Key`` and ``Offset_Key`` if set
Vector                  ``{"timestamp": …, "message": …, "file": …, "host": …, "offset": …}``
======================  ===========================================================================

Pieces that a carrier cut are joined before anything else looks at them. What a carrier says about
host, file and offset becomes the line's origin, so that the same line read through two carriers
is the same line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from pipeline import layouts
from pipeline.batch import Line, Origin, Record, Rejected, State
from pipeline.clocks import instant
from pipeline.errors import Reason

_DEEPEST = 3
_STREAMS = (b"stdout ", b"stderr ")
_CARRIER_KEYS = ("@timestamp", "timestamp", "time", "date", "stream", "source_type", "agent")
_PATHS = ("file", "path", "filename", "file_path", "filepath", "source")
_HOSTS = ("host", "hostname", "host_name")

Unwrapped = list[tuple[Line, Rejected | None]]


def unwrap(
    records: Sequence[Record],
    state: State,
    owns: Callable[[str], bool],
    longest: int,
    final: bool,
) -> Unwrapped:
    """Lines of ``records`` in order, each with why it cannot be read, or None.

    Args:
        state: ``state["pieces"]`` is read and changed: pieces whose end has not come.
        owns: whether a source reads this JSON document itself; then it is no envelope.
        longest: bytes a joined line may have.
        final: nothing follows: pieces still waiting are given up as cut short.
    """
    pieces: dict[str, list[Any]] = state.setdefault("pieces", {})
    out: Unwrapped = []
    for record in records:
        value = record.value
        if record.length >= 0:
            detail = f"{record.length} bytes; raise max_record_bytes to read it"
            out.append((_undecoded(record, value), Rejected(Reason.TOO_LONG, detail)))
        elif record.broken:
            out.append((_undecoded(record, value), Rejected(Reason.CUT_SHORT, record.broken)))
        elif value[:1] == b"{":
            _unwrap_json(record, owns, pieces, longest, out)
        elif value[:2].isdigit() and value[4:5] == b"-" and b" std" in value[19:44]:
            _unwrap_cri(record, pieces, longest, out)
        else:
            _add(out, record, value, None, None)
    if final:
        for held in pieces.values():
            record = Record(held[0].encode("latin-1"), held[1])
            detail = "the carrier announced more of this line and nothing came"
            out.append((_undecoded(record, record.value), Rejected(Reason.CUT_SHORT, detail)))
        pieces.clear()
    return out


def _undecoded(record: Record, value: bytes) -> Line:
    return Line(value, value.decode("utf-8", "replace"), record)


def _add(
    out: Unwrapped, record: Record, value: bytes, origin: Origin | None, logged: int | None
) -> None:
    if value[-1:] == b"\r":
        value = value[:-1]
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {error.start} is not UTF-8"
        line = Line(value, value.decode("utf-8", "replace"), record, origin, logged)
        out.append((line, Rejected(Reason.NOT_UTF8, detail)))
        return
    if "\n" in text:
        _add_several(out, record, text, origin, logged)
    else:
        out.append((Line(value, text, record, origin, logged), None))


def _add_several(
    out: Unwrapped, record: Record, text: str, origin: Origin | None, logged: int | None
) -> None:
    """A record that holds line breaks: one message with them inside, or a shipper's joining."""
    head = layouts.split(text)
    if head is not None and head.ended:
        out.append((Line(text.encode(), text, record, origin, logged), None))
        return
    for number, part in enumerate(text.split("\n")):
        part = part.removesuffix("\r")
        line = Line(part.encode(), part, record, origin, logged, number=number)
        out.append((line, None))


def _unwrap_cri(
    record: Record, pieces: dict[str, list[Any]], longest: int, out: Unwrapped
) -> None:
    value = record.value
    space = value.find(b" ", 19, 44)
    logged = instant(value[:space].decode("ascii", "replace"))
    tags = value.find(b" ", space + 8)
    if logged is None or tags < 0 or value[space + 1 : space + 8] not in _STREAMS:
        _add(out, record, value, None, None)
        return
    name = value[space + 1 : space + 7].decode()
    partial = value[space + 8 : tags].split(b":")[0] == b"P"
    _piece(out, pieces, name, record, value[tags + 1 :], (None, logged), partial, longest)


def _unwrap_json(
    record: Record,
    owns: Callable[[str], bool],
    pieces: dict[str, list[Any]],
    longest: int,
    out: Unwrapped,
) -> None:
    value, origin, logged = record.value, None, None
    partial, name = False, ""
    for _ in range(_DEEPEST):
        envelope = _envelope(value, owns)
        if envelope is None:
            break
        text, document = envelope
        origin = origin or _origin(document)
        logged = _logged(document) if logged is None else logged
        partial = partial or document.get("logtag") == "P" or (
            set(document) == {"log", "stream", "time"} and not text.endswith("\n")
        )
        stream = document.get("stream")
        name = stream if isinstance(stream, str) else name
        value = text.removesuffix("\n").encode()
        if value[:1] != b"{":
            break
    if origin is None and logged is None and value is record.value:
        _add(out, record, value, None, None)
        return
    key = f"{name}\0{origin.host}\0{origin.file}" if origin else name
    _piece(out, pieces, key, record, value, (origin, logged), partial, longest)


def _envelope(value: bytes, owns: Callable[[str], bool]) -> tuple[str, dict[str, Any]] | None:
    """The line inside a shipper's JSON and the JSON, or None where it is no envelope."""
    try:
        document = orjson.loads(value)
        if not isinstance(document, dict):
            return None
        text = next(
            (document[k] for k in ("message", "log") if isinstance(document.get(k), str)), None
        )
        if text is None or not any(key in document for key in _CARRIER_KEYS):
            return None
        if owns(value.decode()):
            return None
        text.encode()
    except (orjson.JSONDecodeError, UnicodeError):
        return None
    return text, document


def _text(value: Any, *path: str) -> str:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _origin(document: dict[str, Any]) -> Origin | None:
    log = document.get("log")
    host = (
        next((h for k in _HOSTS if (h := _text(document, k))), "")
        or _text(document, "host", "name")
        or _text(document, "host", "hostname")
        or _text(document, "agent", "hostname")
        or _text(document, "kubernetes", "host")
    )
    file = _text(document, "log", "file", "path") or next(
        (f for k in _PATHS if (f := _text(document, k))), ""
    )
    offset = log.get("offset") if isinstance(log, dict) else document.get("offset")
    if isinstance(offset, str) and offset.isdecimal() and len(offset) < 19:
        offset = int(offset)
    known = isinstance(offset, int) and not isinstance(offset, bool) and 0 <= offset < 2**62
    if not host and not file:
        return None
    return Origin(host, file, offset if known and isinstance(offset, int) else -1)


def _logged(document: dict[str, Any]) -> int | None:
    for key in ("@timestamp", "timestamp", "time", "date"):
        value = document.get(key)
        if isinstance(value, str) and (at := instant(value)) is not None:
            return at
        if isinstance(value, float | int) and not isinstance(value, bool) and 0 < value < 1e14:
            return int(value * 1000) if value < 1e11 else int(value)
    return None


def _piece(
    out: Unwrapped,
    pieces: dict[str, list[Any]],
    key: str,
    record: Record,
    value: bytes,
    said: tuple[Origin | None, int | None],
    partial: bool,
    longest: int,
) -> None:
    """Join ``value`` to the pieces before it; pass it on when it is the last."""
    held = pieces.pop(key, None)
    origin, logged = said
    if held is not None:
        value = held[0].encode("latin-1") + value
        record = Record(value, held[1])
        origin = Origin(*held[2]) if held[2] else origin
        logged = held[3] if held[3] is not None else logged
    if len(value) > longest:
        line = _undecoded(record, value[:longest])
        detail = "the joined pieces of a carrier's line are over max_record_bytes"
        out.append((line, Rejected(Reason.TOO_LONG, detail)))
    elif partial:
        where = list(origin) if origin else None
        pieces[key] = [value.decode("latin-1"), record.position, where, logged]
    else:
        _add(out, record, value, origin, logged)
