"""Dead letters of records in topics of ours: foreign ones, which are no row of their topic's
schema, and refused ones, which OpenSearch does not take."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pipeline.errors import Reason
from pipeline.stages.identify import digest
from schemas.types import DeadLetter
from schemas.wire import SINGLE_OBJECT


def foreign(record: Any, why: str) -> DeadLetter:
    """The dead letter of aiokafka's `ConsumerRecord`. What has the mark of a row is kept whole: a
    later release may read it. Of all else only length and digest: it was not meant for us.

    Args:
        why: what was expected, for a person.
    """
    value = record.value or b""
    id_ = digest(16, [b"foreign", place(record).encode(), b"%d" % record.offset, value])
    return _letter(record, id_, Reason.FOREIGN, why)


def refused(record: Any, why: str) -> DeadLetter:
    """The dead letter of a row that OpenSearch does not take.

    Args:
        why: what OpenSearch says.
    """
    return _letter(
        record,
        refused_id(record.value or b""),
        Reason.REFUSED,
        f"OpenSearch does not take it: {why}",
    )


def refused_id(of: bytes) -> bytes:
    """The id of a refused row's dead letter, by the event's id, or by the row where it is none."""
    return digest(16, [b"refused", of])


def place(record: Any) -> str:
    """Where a record stands: ``TOPIC[PARTITION]``."""
    return f"{record.topic}[{record.partition}]"


def _letter(record: Any, id_: bytes, reason: Reason, detail: str) -> DeadLetter:
    value = record.value or b""
    return DeadLetter(
        id=id_,
        time=record.timestamp,
        reason=reason.value,
        detail=detail,
        source="auditstream",
        cluster="",
        host="",
        carrier=place(record),
        position=record.offset,
        length=len(value),
        digest=sha256(value).hexdigest(),
        head="",
        raw=value if value[:2] == SINGLE_OBJECT else b"",
    )
