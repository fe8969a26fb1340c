"""Reject: what cannot be read to dead letters that say why, with no secret in them."""

from __future__ import annotations

from hashlib import sha256

from pipeline import layouts
from pipeline.batch import Line, Reading, Rejected, Source
from pipeline.errors import Unreadable
from pipeline.stages.identify import dead_letter_id
from pipeline.stages.redact import scrub
from schemas.types import DeadLetter

HEAD_CHARACTERS = 512


def reject(
    line: Line,
    refused: Rejected,
    source: Source | None,
    reading: Reading,
    longest: int,
    item: int = 0,
) -> DeadLetter:
    """One line's dead letter.

    Where no source was found, or it bears secrets, or the record is too long to keep, ``raw`` is
    empty: length, digest, position and a redacted head remain.
    """
    record, stream = line.record, reading.stream
    whole = line.raw
    keep = source is not None and not source.bears_secrets and record.length < 0
    shown = whole
    if source is not None and not keep and source.secrets_from:
        shown = whole.partition(source.secrets_from.encode())[0]
    clean = scrub(shown[: longest if keep else 4 * HEAD_CHARACTERS])
    return DeadLetter(
        id=dead_letter_id(line, stream, source.name if source else "auto", item),
        time=_time(line, reading),
        reason=str(refused.reason),
        detail=refused.detail,
        source=source.name if source else "auto",
        cluster=stream.cluster,
        host=stream.host or (line.origin.host if line.origin else ""),
        carrier=stream.carrier,
        position=record.position,
        length=record.length if record.length >= 0 else len(whole),
        digest=record.digest or sha256(whole).hexdigest(),
        head=clean[:HEAD_CHARACTERS].decode("utf-8", "backslashreplace"),
        raw=clean if keep else b"",
    )


def _time(line: Line, reading: Reading) -> int:
    """When it was, as far as anyone can say: for people who look for what is missing."""
    head = layouts.split(line.text)
    if head is not None:
        try:
            return reading.time(head.stamp)[0]
        except Unreadable:
            pass
    return line.logged or 0
