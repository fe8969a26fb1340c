"""A cloud's records to changes: whose things they are about, and what was there before."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from detectors.guardrails import weaknesses
from pipeline.changes.join import join
from pipeline.changes.legs import read
from schemas.changes import Change
from tests import trail

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
KEY = "arn:aws:kms:{}:" + trail.ACCOUNT + ":key/mrk-1"
TRAIL = "arn:aws:cloudtrail:{}:" + trail.ACCOUNT + ":trail/main"


def record(minute: int, service: str, call: str, asked: Any, **said: Any) -> dict[str, Any]:
    """A record of alice's, so many minutes after the hour, in its own event."""
    return trail.record(
        service, call, requestParameters=asked, eventTime=f"2026-11-20T10:{minute:02}:00Z",
        eventID=f"id-{minute}", **said,
    )  # fmt: skip


def changes(*records: dict[str, Any]) -> list[Change]:
    """Of records, whatever the order of their legs."""
    legs = trail.legs(*records)
    found = join("aws", legs)
    for order in permutations(legs):
        assert join("aws", order) == found
    return found


def where(account: str = trail.ACCOUNT, region: str = "eu-west-1") -> dict[str, Any]:
    return {"recipientAccountId": account, "awsRegion": region}


HERE, REGION, OTHER = where(), where(region="us-east-1"), where(trail.OTHER)
ATTACH = {"roleName": "deploy", "policyArn": ADMINISTRATOR}
NAMES: list[tuple[str, str, Any, dict[str, Any], Any, dict[str, Any]]] = [
    ("cloudtrail", "StopLogging", {"name": "main"}, HERE, {"name": "main"}, REGION),
    ("cloudtrail", "StopLogging", {"name": TRAIL.format("eu-west-1")}, HERE,
     {"name": TRAIL.format("us-east-1")}, HERE),
    ("iam", "AttachRolePolicy", ATTACH, HERE, ATTACH, OTHER),
    ("kms", "DisableKey", {"keyId": KEY.format("eu-west-1")}, HERE,
     {"keyId": KEY.format("us-east-1")}, HERE),
    ("kms", "DisableKey", {"keyId": "mrk-1"}, HERE, {"keyId": "mrk-1"}, REGION),
]  # fmt: skip
"""Service, call, and twice the parameters and where: two things of one name."""


@pytest.mark.parametrize(("service", "call", "one", "here", "other", "there"), NAMES)
def test_things_of_one_name_in_two_places_are_two(
    service: str, call: str, one: Any, here: Any, other: Any, there: Any
) -> None:
    found = changes(
        record(1, service, call, one, **here),
        record(2, service, call, other, **there),
        record(3, service, call, one, **here),
    )
    assert [c.deed.before is None for c in found] == [True, True, False]
    assert [bool(weaknesses(c.deed, frozenset())) for c in found] == [True, True, False]
    assert len({c.deed.target for c in found}) == 1


SAME: list[tuple[str, str, Any, dict[str, Any], Any, dict[str, Any]]] = [
    ("cloudtrail", "StopLogging", {"name": "main"}, HERE, {"name": TRAIL.format("eu-west-1")},
     HERE),
    ("kms", "DisableKey", {"keyId": "mrk-1"}, HERE, {"keyId": KEY.format("eu-west-1")}, OTHER),
    ("iam", "AttachRolePolicy", ATTACH, HERE, ATTACH, REGION),
    ("s3", "PutBucketAcl", {"bucketName": "data", "x-amz-acl": ["private"]}, HERE,
     {"bucketName": "data", "x-amz-acl": ["private"]}, where(trail.OTHER, "us-east-1")),
]  # fmt: skip
"""The same of one thing, which two records write differently, or from two places."""


@pytest.mark.parametrize(("service", "call", "one", "here", "other", "there"), SAME)
def test_one_thing_is_one_however_it_is_named(
    service: str, call: str, one: Any, here: Any, other: Any, there: Any
) -> None:
    first, second = changes(
        record(1, service, call, one, **here), record(2, service, call, other, **there)
    )
    assert first.deed.before is None
    assert second.deed.before == first.deed.after


def topic(cluster: str) -> dict[str, Any]:
    arn = f"arn:aws:kafka:eu-west-1:{trail.ACCOUNT}:topic/{cluster}/5aa1-1/orders"
    return {"kafkaAPI": "CreateTopics", "resourceARN": arn}


def test_topics_of_two_msk_clusters_are_two() -> None:
    first, second, third = (
        read(trail.document(trail.one(record(n, "kafka-cluster", "CreateTopic", topic(cluster)))))
        for n, cluster in enumerate(("main", "other", "main"))
    )
    assert first
    assert second
    assert third
    assert first.deed == second.deed
    assert first.place == third.place != second.place


POLICY = {"bucketName": "data", "bucketPolicy": {"Statement": [
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::data/*"}]}}  # fmt: skip
BLOCK = {"bucketName": "data", "PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}
GONE: list[tuple[str, Any, str]] = [
    ("BucketPolicy", POLICY, "grants"), ("BucketPublicAccessBlock", BLOCK, "blocks"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "asked", "parts"), GONE)
def test_what_is_gone_is_known_to_be_gone(what: str, asked: Any, parts: str) -> None:
    bucket = {"bucketName": "data"}
    found = changes(
        record(1, "s3", f"Delete{what}", bucket),
        record(2, "s3", f"Put{what}", asked),
        record(3, "s3", f"Delete{what}", bucket),
        record(4, "s3", f"Delete{what}", bucket),
        record(5, "s3", f"Put{what}", asked),
    )
    after = found[1].deed.after
    assert [c.deed.before for c in found] == [None, {parts: []}, after, {parts: []}, {parts: []}]
    told = [bool(weaknesses(c.deed, frozenset())) for c in found]
    # The block that is set again keeps out less than all, and more than was there.
    assert told == [True, False, True, False, False]


def test_a_deletion_that_was_refused_leaves_it_there() -> None:
    first, _, last = changes(
        record(1, "s3", "PutBucketPolicy", POLICY),
        record(2, "s3", "DeleteBucketPolicy", {"bucketName": "data"}, errorCode="AccessDenied"),
        record(3, "s3", "DeleteBucketPolicy", {"bucketName": "data"}),
    )
    assert last.deed.before == first.deed.after
