"""Envelopes: what shippers and cloud services put around lines and events, as JSON objects.

==========================  =======================================================================
envelope                    what it looks like
==========================  =======================================================================
Docker JSON                 ``{"log": "<line>\\n", "stream", "time"}``; no ``\\n``: a piece
Filebeat                    ``{"@timestamp", "message", "log": {"file": {"path"}, "offset"}, …}``
Fluent Bit                  ``{"date", "log"}`` with ``Path_Key`` and ``Offset_Key`` if set
Vector                      ``{"timestamp", "message", "file", "host", "offset", …}``
journald, as JSON           ``{"MESSAGE", "__REALTIME_TIMESTAMP", "_HOSTNAME", …}``
Google Cloud Logging        ``{"textPayload", "logName", "timestamp", …}``
Splunk's collector          ``{"event": "<line>", "time", "host", "source", …}``
log4j's JSON layouts        ``{"@timestamp", "message", "logger_name"}``; also ``loggerName`` with
                            ``instant`` or ``timeMillis``, ``log.logger``, ``logger``
several of anything         ``{"Records": […]}``; also ``records``, ``Messages``, ``Events``,
                            ``events``, ``logEvents``; or the array alone
Amazon SQS                  ``{"MessageId", "Body"}``; to Lambda ``{"messageId", "body"}``
Amazon SNS                  ``{"Type": "Notification", "TopicArn", "Message"}``; to Lambda
                            ``{"Sns": {"Message"}}``
Amazon EventBridge          ``{"detail-type", "source", "detail": {…}}``
Amazon Data Firehose        ``{"recordId", "data"}``; to an HTTP endpoint ``{"data"}``; base64
Amazon Kinesis, to Lambda   ``{"kinesis": {"data"}}``; base64
CloudWatch Logs             ``{"messageType": "DATA_MESSAGE", "logEvents": [{"message"}]}``, mostly
                            gzip in base64; to Lambda ``{"awslogs": {"data"}}``
CloudTrail, looked up       ``{"CloudTrailEvent": "<event>"}``
==========================  =======================================================================

Field names are those of the services' documentation. Notices of files (of S3 and of CloudTrail)
hold no event and are refused by name.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from pipeline.batch import HEAD_BYTES, Origin, Rejected
from pipeline.clocks import instant
from pipeline.errors import Reason

_ARRAYS = ("Records", "records", "Messages", "Events", "events", "logEvents")
_TIMES = ("@timestamp", "timestamp", "time", "date")
_CARRIER_KEYS = (*_TIMES, "stream", "source_type", "agent")
_JOURNAL_US = "__REALTIME_TIMESTAMP"
_LOGGERS = ("logger_name", "loggerName", "log.logger", "logger")
_LOGGER = re.compile(r"[A-Za-z_$][\w.$-]{0,199}", re.ASCII)
_TEXTS = (("MESSAGE", _JOURNAL_US), ("textPayload", "logName"), ("event", "time"))
"""Where others have the line, and what stands beside it then."""
_JAVA_FILES = (".java", ".scala")
_DOCKER_KEYS = frozenset(("log", "stream", "time"))
_FIREHOSE_KEYS = frozenset(
    ("data", "recordId", "result", "approximateArrivalTimestamp", "kinesisRecordMetadata")
)
_PATHS = ("file", "path", "filename", "file_path", "filepath", "source")
_HOSTS = ("host", "hostname", "host_name", "source_host", "_HOSTNAME")
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_DIGITS_OF_MS = 13
_YEAR_9999 = 253_370_764_800_000


def _no_event(detail: str) -> Rejected:
    return Rejected(Reason.UNKNOWN_LAYOUT, detail)


_NOTICE = _no_event("the notice of a file: name the bucket's files as input")
_CONTROL = _no_event("CloudWatch Logs asks whether its messages arrive: this holds no event")
_NOT_BASE64 = _no_event("an envelope whose data is not base64")
_TOO_DEEP = _no_event("nested too deep to be read")
_DAMAGED = Rejected(Reason.CUT_SHORT, "the compressed data in this envelope is damaged")
_CUT = Rejected(Reason.CUT_SHORT, "the compressed data in this envelope ends in the middle")
_TOO_LONG = Rejected(
    Reason.TOO_LONG, "what is compressed in this envelope; length and digest are the compressed"
)


class Named(NamedTuple):
    """What a JSON layout says of its message: who wrote it, when as written there, how loud."""

    logger: str
    stamp: str
    level: str


class Inner(NamedTuple):
    """What stands in an envelope, and what that says of it.

    Attributes:
        stream: stdout, stderr or empty.
        partial: more of it follows in another envelope.
        refused: why it cannot be read, or None.
        length, digest: of the compressed bytes, where what they hold is too long.
        named: what a JSON layout says of its message, or None.
    """

    value: bytes = b""
    origin: Origin | None = None
    logged: int | None = None
    stream: str = ""
    partial: bool = False
    refused: Rejected | None = None
    length: int = -1
    digest: str = ""
    named: Named | None = None


class Room:
    """How much the compressed parts of one record may open to.

    Args:
        longest: bytes of one part.
        total: bytes of all, so that many small bombs are no large one, nor one within another.
    """

    def __init__(self, longest: int, total: int) -> None:
        self._longest, self._left = longest, total

    def unpack(self, data: bytes, logged: int | None) -> Inner:
        """What gzip data holds, of any number of members."""
        most = min(self._longest, self._left)
        value, rest = b"", data
        while rest:
            opener = zlib.decompressobj(_GZIP_WINDOW)
            try:
                value += opener.decompress(rest, most + 1 - len(value))
            except zlib.error:
                return Inner(data, logged=logged, refused=_DAMAGED)
            if len(value) > most:
                self._left -= most
                digest = sha256(data).hexdigest()
                head = value[:HEAD_BYTES]
                return Inner(head, None, logged, refused=_TOO_LONG, length=len(data), digest=digest)
            if not opener.eof:
                return Inner(value, logged=logged, refused=_CUT)
            rest = opener.unused_data
        self._left -= len(value)
        return Inner(value, logged=logged)


def opened(document: Any, room: Room) -> list[Inner] | None:
    """What stands in an envelope, or None where ``document`` is none.

    Where the one thing in it is refused and has no ``value``, the envelope itself is its value.
    """
    if isinstance(document, dict):
        return _shipped(document) or _of_cloud(document, room) or _array(document)
    return _each(document, None) if isinstance(document, list) else None


def _of_cloud(document: dict[str, Any], room: Room) -> list[Inner] | None:
    """What a cloud service has put something into."""
    said = document.get
    if (text := said("Body")) and "MessageId" in document:
        return _message(text, _text(document, "Attributes", "SentTimestamp"))
    if (text := said("body")) and "messageId" in document:
        return _message(text, _text(document, "attributes", "SentTimestamp"))
    if said("Type") == "Notification" and "TopicArn" in document:
        return _message(said("Message"), said("Timestamp"))
    if text := _text(document, "Sns", "Message"):
        return _message(text, document["Sns"].get("Timestamp"))
    if "detail-type" in document and isinstance(said("detail"), dict):
        if said("source") == "aws.s3" and "eventName" not in document["detail"]:
            return [Inner(refused=_NOTICE)]
        return [_dumped(document["detail"], _moment(said("time")))]
    if text := _text(document, "CloudTrailEvent"):
        return _message(text, None)
    if said("eventSource") == "aws:s3" or ("s3Bucket" in document and "s3ObjectKey" in document):
        return [Inner(refused=_NOTICE)]
    if "logEvents" in document and "messageType" in document:
        return _log_events(document)
    return _encoded(document, room)


def _message(text: Any, sent: Any) -> list[Inner] | None:
    return [Inner(text.encode(), logged=_moment(sent))] if isinstance(text, str) else None


def _log_events(document: dict[str, Any]) -> list[Inner] | None:
    """A batch of CloudWatch Logs: lines of one log stream."""
    if document["messageType"] != "DATA_MESSAGE":
        return [Inner(refused=_CONTROL)]
    events = document["logEvents"]
    if not isinstance(events, list):
        return None
    group, stream = _text(document, "logGroup"), _text(document, "logStream")
    origin = Origin(stream, group, -1) if stream or group else None
    return [
        Inner(text.removesuffix("\n").encode(), origin, _moment(event.get("timestamp")))
        if isinstance(event, dict) and isinstance(text := event.get("message"), str)
        else _dumped(event, None)
        for event in events
    ]


def _encoded(document: dict[str, Any], room: Room) -> list[Inner] | None:
    """What stands in base64, and there perhaps in gzip."""
    at: Any = None
    if text := _text(document, "kinesis", "data"):
        at = document["kinesis"].get("approximateArrivalTimestamp")
    elif not (text := _text(document, "awslogs", "data")):
        text, at = _text(document, "data"), document.get("approximateArrivalTimestamp")
        if not text or not document.keys() <= _FIREHOSE_KEYS:
            return None
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return [Inner(refused=_NOT_BASE64)] if len(document) > 1 else None
    if data.startswith(_GZIP):
        inner = room.unpack(data, _moment(at))
    else:
        inner = Inner(data, logged=_moment(at))
    return [inner._replace(value=inner.value.removesuffix(b"\n"))]


def _array(document: dict[str, Any]) -> list[Inner] | None:
    """Several of anything, under the name such arrays have."""
    for name in _ARRAYS:
        several = document.get(name)
        if isinstance(several, list):
            return _each(several, _logged(document))
    return None


def _each(several: list[Any], logged: int | None) -> list[Inner] | None:
    if several and not any(isinstance(each, dict | list) for each in several):
        return None
    return [_dumped(each, logged) for each in several]


def _dumped(value: Any, logged: int | None) -> Inner:
    try:
        return Inner(orjson.dumps(value), logged=logged)
    except orjson.JSONEncodeError:
        # It writes fewer levels than it reads.
        pass
    try:
        return Inner(
            json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), logged=logged
        )
    except RecursionError:
        return Inner(logged=logged, refused=_TOO_DEEP)


def _moment(value: Any) -> int | None:
    """Epoch milliseconds of a time as text, in seconds or in milliseconds."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal() and len(value) == _DIGITS_OF_MS):
            return instant(value)
        value = int(value)
    if isinstance(value, float | int) and not isinstance(value, bool) and 0 < value < 1e14:
        return round(value * 1000) if value < 1e11 else int(value)
    return None


def _shipped(document: dict[str, Any]) -> list[Inner] | None:
    """The line in a shipper's document, or the message in that of a JSON layout."""
    logged = _logged(document)
    named = _named(document, logged)
    keys = ("message", "log") if named is None else ("message", "log", "msg")
    text = next((text for key in keys if isinstance(text := document.get(key), str)), None)
    if not isinstance(text, str) or not (
        any(key in document for key in _CARRIER_KEYS) or (named is not None and named.stamp)
    ):
        of = (document[key] for key, beside in _TEXTS if key in document and beside in document)
        text = next(of, None)
        if not isinstance(text, str):
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
    return [
        Inner(
            text.removesuffix("\n").encode(),
            _origin(document),
            logged,
            stream if isinstance(stream, str) else "",
            partial,
            named=named,
        )
    ]


def _named(document: dict[str, Any], logged: int | None) -> Named | None:
    """What a JSON layout says of its message, or None where no logger is named."""
    log = document.get("log")
    logger = next((found for key in _LOGGERS if (found := _text(document, key))), "")
    logger = logger or _text(log, "logger")
    if not _LOGGER.fullmatch(logger):
        return None
    level = _text(document, "level") or _text(document, "log.level") or _text(log, "level")
    if "agent" in document or "offset" in document or (isinstance(log, dict) and "file" in log):
        # A shipper may have put its own time there.
        return Named(logger, "", level)
    written = next((found for key in _TIMES if (found := _text(document, key))), "")
    if (not written or instant(written) is None) and logged is not None and logged < _YEAR_9999:
        at = datetime.fromtimestamp(logged / 1000, UTC)
        written = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Named(logger, written, level)


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
        # A layout names the file of the program's text.
        or next(
            (f for k in _PATHS if (f := _text(document, k)) and not f.endswith(_JAVA_FILES)), ""
        )
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
    for key in (*_TIMES, "timeMillis"):
        if key in document and (at := _moment(document[key])) is not None:
            return at
    micros = _text(document, _JOURNAL_US)
    if micros.isascii() and micros.isdecimal() and len(micros) < 18:
        return int(micros) // 1000
    since = document.get("instant")
    if isinstance(since, dict) and (seconds := _moment(since.get("epochSecond"))) is not None:
        nanos = since.get("nanoOfSecond")
        return seconds + (nanos // 1_000_000 if isinstance(nanos, int) and 0 <= nanos < 1e9 else 0)
    return None
