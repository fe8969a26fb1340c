"""Foreign: a record in a topic of ours that is no row of its schema, as a dead letter."""

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
    place = f"{record.topic}[{record.partition}]"
    return DeadLetter(
        id=digest(16, [b"foreign", place.encode(), b"%d" % record.offset, value]),
        time=record.timestamp,
        reason=Reason.FOREIGN.value,
        detail=why,
        source="auditstream",
        cluster="",
        host="",
        carrier=place,
        position=record.offset,
        length=len(value),
        digest=sha256(value).hexdigest(),
        head="",
        raw=value if value[:2] == SINGLE_OBJECT else b"",
    )
