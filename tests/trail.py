"""CloudTrail records as tests want them, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import orjson

from pipeline.changes.legs import OneLeg, read
from schemas.types import Event
from tests.feed import Fed, feed_lines, stream

ACCOUNT, OTHER = "111122223333", "444455556666"
WHERE = stream("aws_cloudtrail")


def record(service: str = "ec2", call: str = "DescribeRegions", **said: Any) -> dict[str, Any]:
    """A record of alice's; `said` goes over its fields."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/alice", "accountId": ACCOUNT,
            "userName": "alice",
        },
        "eventTime": "2026-11-20T23:52:44Z", "eventSource": f"{service}.amazonaws.com",
        "eventName": call, "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.7",
        "requestParameters": None, "responseElements": None, "eventID": "id-1",
        "eventType": "AwsApiCall", "recipientAccountId": ACCOUNT, **said,
    }  # fmt: skip


def fed(*records: dict[str, Any], **how: Any) -> Fed:
    """What becomes of records, each a line of one file."""
    return feed_lines([json.dumps(one, ensure_ascii=False) for one in records], WHERE, **how)


def one(said: dict[str, Any]) -> Event:
    """The event of one record."""
    (event,) = fed(said).events
    return event


def legs(*records: dict[str, Any]) -> list[OneLeg]:
    """Of records as one stream, those that tell of changes."""
    found = (read(document(event)) for event in fed(*records).events)
    return [leg for leg in found if leg is not None]


def document(event: Event) -> dict[str, Any]:
    """Its OCSF document."""
    found: dict[str, Any] = orjson.loads(event.ocsf)
    return found
