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

One may stand in another. Pieces that a carrier cut are joined before anything else looks at them.
What a carrier says about host, file and offset becomes the line's origin, so that the same line
read through two carriers is the same line.

A client that breaks a line can make its text look like an envelope, which would give it a file of
its own where nothing is suspect yet. So a stream that once held a line of a known kind under n
envelopes has at most n: what looks like one more is the line.

State, per stream: the most envelopes a record can have, and pieces whose end has not come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from pipeline import layouts
from pipeline.batch import Line, Origin, Record, Rejected, State
from pipeline.clocks import instant
from pipeline.errors import Reason

MOST_WAITING = 512
"""Lines of one stream whose pieces are kept; the one longest unseen is given up first."""
_DEEPEST = 3
_HEAD_BYTES = 4096
_STREAMS = (b"stdout ", b"stderr ")
_CARRIER_KEYS = ("@timestamp", "timestamp", "time", "date", "stream", "source_type", "agent")
_DOCKER_KEYS = frozenset(("log", "stream", "time"))
_PATHS = ("file", "path", "filename", "file_path", "filepath", "source")
_HOSTS = ("host", "hostname", "host_name")

Unwrapped = list[tuple[Line, Rejected | None]]


class _Envelope(NamedTuple):
    """What one carrier says of a line. ``stream``: stdout, stderr or empty."""

    value: bytes
    origin: Origin | None
    logged: int | None
    stream: str
    partial: bool


def unwrap(
    records: Sequence[Record],
    state: State,
    owns: Callable[[str], bool],
    longest: int,
    final: bool,
) -> Unwrapped:
    """Lines of ``records`` in order, each with why it cannot be read, or None.

    Args:
        state: ``state["layers"]`` and ``state["pieces"]`` are read and changed.
        owns: whether a source reads this text itself; a document that is owned is no envelope.
        longest: bytes a joined line may have.
        final: nothing follows: pieces still waiting are given up as cut short.
    """
    opener = _Opener(owns, longest, state)
    out, open_one = opener.out, opener.open
    for record in records:
        value, _, length, _, broken = record
        if length >= 0:
            detail = f"{length} bytes; raise max_record_bytes to read it"
            _refuse(out, record, value, None, Reason.TOO_LONG, detail)
            opener.learn(out[-1][0].text, 0)
        elif broken:
            _refuse(out, record, value, None, Reason.CUT_SHORT, broken)
        elif opener.layers:
            open_one(record)
        else:
            _add(out, record, value, None, None)
    if final:
        opener.give_up()
    state["layers"] = opener.layers
    return out


def _refuse(
    out: Unwrapped, record: Record, value: bytes, origin: Origin | None, reason: Reason, detail: str
) -> None:
    line = Line(value, value.decode("utf-8", "replace"), record, origin)
    out.append((line, Rejected(reason, detail)))


def _add(
    out: Unwrapped, record: Record, value: bytes, origin: Origin | None, logged: int | None
) -> None:
    if value[-1:] == b"\r":
        value = value[:-1]
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        detail = f"byte {error.start} is not UTF-8"
        _refuse(out, record, value, origin, Reason.NOT_UTF8, detail)
        return
    if "\n" in text:
        _add_several(out, record, text, origin, logged)
    else:
        out.append((Line(value, text, record, origin, logged), None))


def _add_several(
    out: Unwrapped, record: Record, text: str, origin: Origin | None, logged: int | None
) -> None:
    """A record that holds line breaks: one message with them inside, or a shipper's joining.

    A carrier that keeps messages whole tells what no file can: what stands behind a line break is
    still that message. Only what ends as no message does is taken for lines that were joined.
    """
    head = layouts.split(text)
    if head is None or head.ended:
        out.append((Line(text.encode(), text, record, origin, logged), None))
        return
    for number, part in enumerate(text.split("\n")):
        part = part.removesuffix("\r")
        line = Line(part.encode(), part, record, origin, logged, number=number)
        out.append((line, None))


class _Opener:
    """Takes a stream's records out of their envelopes."""

    def __init__(self, owns: Callable[[str], bool], longest: int, state: State) -> None:
        self.owns, self.longest = owns, longest
        self.layers: int = state.get("layers", _DEEPEST)
        self.pieces: dict[str, list[Any]] = state.setdefault("pieces", {})
        self.out: Unwrapped = []

    def open(self, record: Record) -> None:
        self._open(record, record.value, None, None, "", 0)

    def _open(
        self,
        record: Record,
        value: bytes,
        origin: Origin | None,
        logged: int | None,
        stream: str,
        depth: int,
    ) -> None:
        """Take what stands under ``depth`` envelopes, with what those said."""
        envelope = None
        if depth < self.layers:
            envelope = _cri(value) if value[:1] != b"{" else _json(value, self.owns)
        if envelope is None:
            self._line(record, value, origin, logged, depth)
            return
        origin = origin or envelope.origin
        logged = logged if envelope.logged is None else envelope.logged
        stream = envelope.stream or stream
        value = envelope.value
        if self.pieces or envelope.partial:
            key = f"{depth}\0{stream}\0" + (f"{origin.host}\0{origin.file}" if origin else "")
            held = self.pieces.pop(key, None)
            if held is not None or envelope.partial:
                where = list(origin) if origin else None
                held = held or [[], record.position, where, logged, 0, ""]
                _hold(held, value, self.longest)
                if envelope.partial:
                    self._wait(key, held)
                    return
                parts, position, said, logged, size, digest = held
                value, origin = _joined(parts), Origin(*said) if said else None
                if size > self.longest:
                    record = Record(value, position, size, digest)
                    detail = "joined from pieces, over max_record_bytes; the digest chains them"
                    _refuse(self.out, record, value, origin, Reason.TOO_LONG, detail)
                    return
                record = Record(value, position)
        self._open(record, value, origin, logged, stream, depth + 1)

    def _line(
        self,
        record: Record,
        value: bytes,
        origin: Origin | None,
        logged: int | None,
        depth: int,
    ) -> None:
        place = len(self.out)
        _add(self.out, record, value, origin, logged)
        if depth < self.layers:
            self.learn(self.out[place][0].text, depth)

    def learn(self, text: str, depth: int) -> None:
        """A line, readable or not, stands under so many envelopes: no other stands under more."""
        if layouts.split(text) is not None or self.owns(layouts.without_level(text)):
            self.layers = min(self.layers, depth)

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
        parts, position, said, _, size, digest = held
        value = _joined(parts)
        record = Record(value, position, size if digest else -1, digest)
        detail = "the carrier announced more of this line and nothing came"
        origin = Origin(*said) if said else None
        _refuse(self.out, record, value, origin, Reason.CUT_SHORT, detail)


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
            parts[:] = [(whole + value)[:_HEAD_BYTES].decode("latin-1")]
        held[5] = sha256(bytes.fromhex(held[5]) + value).hexdigest()
    held[4] = size


def _cri(value: bytes) -> _Envelope | None:
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
    return _Envelope(value[tags + 1 :], None, logged, stream, partial)


def _json(value: bytes, owns: Callable[[str], bool]) -> _Envelope | None:
    """The line inside a shipper's JSON, or None where it is no envelope."""
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    text = document.get("message")
    if not isinstance(text, str):
        text = document.get("log")
    if not isinstance(text, str) or not any(key in document for key in _CARRIER_KEYS):
        return None
    if owns(value.decode()):
        return None
    stream = document.get("stream")
    partial = (
        document.get("logtag") == "P"
        or document.get("_partial") is True
        or (
            not text.endswith("\n")
            and document.keys() >= _DOCKER_KEYS
            and not document.keys() - _DOCKER_KEYS - {"attrs"}
        )
    )
    return _Envelope(
        text.removesuffix("\n").encode(),
        _origin(document),
        _logged(document),
        stream if isinstance(stream, str) else "",
        partial,
    )


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
    file = (
        _text(document, "log", "file", "path")
        or next((f for k in _PATHS if (f := _text(document, k))), "")
        or _container(document)
    )
    offset = log.get("offset") if isinstance(log, dict) else document.get("offset")
    if isinstance(offset, str) and offset.isascii() and offset.isdecimal() and len(offset) < 19:
        offset = int(offset)
    known = isinstance(offset, int) and not isinstance(offset, bool) and 0 <= offset < 2**62
    if not host and not file:
        return None
    return Origin(host, file, offset if known and isinstance(offset, int) else -1)


def _container(document: dict[str, Any]) -> str:
    """Where no file is named: the container, so that two of one host are told apart."""
    names = ("namespace_name", "pod_name", "container_name")
    pod = [name for key in names if (name := _text(document, "kubernetes", key))]
    return "/".join(pod) or _text(document, "container_id") or _text(document, "container_name")


def _logged(document: dict[str, Any]) -> int | None:
    for key in ("@timestamp", "timestamp", "time", "date"):
        value = document.get(key)
        if isinstance(value, str) and (at := instant(value)) is not None:
            return at
        if isinstance(value, float | int) and not isinstance(value, bool) and 0 < value < 1e14:
            return round(value * 1000) if value < 1e11 else int(value)
    return None
