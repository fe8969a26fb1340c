"""CloudTrail: any value in any field, what is recognised, ids, who and what, and time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.aws.calls import SESSIONS, kind_of
from pipeline.aws.deeds import deed, tell
from pipeline.aws.identities import identity
from pipeline.aws.policies import UNREAD, acl, policy, reach
from pipeline.aws.record import stated
from pipeline.aws.resources import Subject, short
from pipeline.aws.told import Call
from pipeline.sources.aws_cloudtrail import SOURCE
from tests.feed import Fed, feed_lines, stream
from tests.growth import grows_no_faster
from tests.json_places import changed, places
from tests.schemas.ocsf import needs_ocsf, validator
from tests.sources.golden import load, paths
from tests.trail import ACCOUNT, OTHER, WHERE, document, fed, one, record

EXAMPLES = [
    text
    for path in paths()
    if path.parent.name == "aws_cloudtrail" and path.stem != "unreadable"
    for text in load(path)["lines"]
]
RECORDS = [orjson.loads(text) for text in EXAMPLES]


# Any value in any field.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["arn:aws:s3:::x", "arn:", "*", "{", "%zz", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def holds(done: Fed) -> None:
    """Everything is an event that OCSF knows, or a dead letter that is no fault of ours."""
    assert done.account.balances()
    assert "fault" not in done.reasons()
    for event in done.events:
        assert validator().problems(document(event)) == []


@needs_ocsf
@settings(max_examples=250)
@given(st.data())
def test_any_value_in_any_field_is_an_event_or_a_reason(data: st.DataObject) -> None:
    said = data.draw(st.sampled_from(RECORDS))
    place = data.draw(st.sampled_from([p for p in places(said) if p]))
    holds(fed(changed(said, place, data.draw(_JSON))))


@needs_ocsf
@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 2**63, 1.5, "", [], {}, [[]], [None], [{}], {"a": {"b": []}}, "x" * 5000,
     ["x", {"y": 1}], {"items": [1, None, {"content": {}}]}, {"enabled": {}}, "\0", "\u2028"],
    ids=str,
)  # fmt: skip
def test_each_field_of_each_example_may_hold_it(value: Any) -> None:
    holds(
        feed_lines(
            [
                orjson.dumps(changed(said, place, value))
                for said in RECORDS[::3]
                for place in places(said)
                if place and len(place) < 5
            ],
            WHERE,
        )
    )


@needs_ocsf
@pytest.mark.parametrize("name", ["requestParameters", "userIdentity", "resources", "newField"])
@pytest.mark.parametrize(
    "deep", ["[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900, '{"password":' * 300 + "1" + "}" * 300]
)  # fmt: skip
def test_depth_is_no_fault(name: str, deep: str) -> None:
    text = json.dumps(record("s3", "PutBucketPolicy", **{name: "DEEP"})).replace('"DEEP"', deep)
    holds(feed_lines([text], WHERE))


@needs_ocsf
def test_long_and_odd_texts_are_kept_or_cut() -> None:
    long = record(userAgent="x" * 900_000)
    halves = json.dumps(
        record("s3", "GetObject", requestParameters={"bucketName": "b", "key": "K"})
    )
    done = feed_lines(
        [
            json.dumps(long),
            halves.replace('"K"', '"\\ud83d"'),
            halves.replace('"K"', '"a\\u0000b"'),
        ],
        WHERE,
    )
    holds(done)
    assert len(done.events) == 3
    assert len(document(done.events[0])["http_request"]["user_agent"]) < 5000
    assert [event.resource for event in done.events] == ["", "b/?", "b/a\0b"]


def test_time_grows_with_length_and_no_faster() -> None:
    def prepared(count: int) -> Callable[[], object]:
        statements = [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{n:012d}:root"},
                "Action": "s3:*",
            }
            for n in range(count)
        ]
        said = json.dumps(
            record("s3", "PutBucketPolicy", requestParameters={
                "bucketName": "b", "bucketPolicy": {"Statement": statements},
                "password": [f"secret-{n}" for n in range(count)],
                "url": "://" * count + "@" * count + "ignature=" * count,
            })
        )  # fmt: skip
        return lambda: feed_lines([said], WHERE)

    grows_no_faster(prepared, 200, 1600)


# Recognised.


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_record_is_recognised(text: str) -> None:
    assert SOURCE.recognise is not None
    assert SOURCE.recognise(text)
    assert SOURCE.dated is not None
    assert SOURCE.dated(text) == ('"eventTime"' in text)


@pytest.mark.parametrize(
    "wrapped",
    [{"Records": [record()]}, {"detail-type": "x", "detail": record()}, {"a": record()},
     {"Message": json.dumps(record())}, {"logEvents": [{"message": json.dumps(record())}]},
     [record()], {"eventName": "x", "Events": []}, {"eventSource": "aws:s3"}],
    ids=lambda w: str(w)[:20],
)  # fmt: skip
def test_no_envelope_is_a_record(wrapped: Any) -> None:
    assert SOURCE.recognise is not None
    if "a" not in wrapped:
        assert not SOURCE.recognise(json.dumps(wrapped))


@pytest.mark.parametrize("first", ["v", "eventName"])
def test_a_support_session_record_is_none_whatever_else_it_carries(first: str) -> None:
    said = {"v": 1, "kind": "request", "id": "r-1", "time": "2026-11-20T09:00:00Z", "estate": "e",
            "eventName": "Opened", "eventSource": "bastion"}  # fmt: skip
    said = {first: said.pop(first), **said}
    assert SOURCE.recognise is not None
    assert not SOURCE.recognise(json.dumps(said))
    done = feed_lines([json.dumps(said)], stream("auto"))
    assert ([event.source for event in done.events], done.reasons()) == (["support_session"], [])


def test_a_record_may_hold_what_support_sessions_have() -> None:
    assert SOURCE.recognise is not None
    asked = {"v": 1, "kind": "request", "estate": "e"}
    assert SOURCE.recognise(json.dumps(record(requestParameters=asked)))
    assert SOURCE.recognise(json.dumps({"estate": "e", **record()}))


def test_a_record_may_hold_what_envelopes_are_called() -> None:
    assert SOURCE.recognise is not None
    said = {"apiKey": 1, **record(requestParameters={"Records": [], "detail": {}, "Message": "x"})}
    assert SOURCE.recognise(json.dumps(said))


@given(st.text() | st.builds(lambda t: '{"eventSource" "eventName" "Records"' + t, st.text()))
@example('{"eventSource":"eventName":"detail"' + "[" * 100_000)
def test_recognising_never_raises(text: str) -> None:
    assert SOURCE.recognise is not None
    SOURCE.recognise(text)


# Identity of events.


def test_the_same_event_is_the_same_wherever_it_stands() -> None:
    said = record()
    plain = json.dumps(said)
    spaced = json.dumps(dict(reversed(said.items())), indent=None, separators=(" , ", " : "))
    ids = {event.id for event in feed_lines([plain, "{}", spaced], WHERE).events}
    assert len(ids) == 1
    assert one(record(eventID="id-2")).id not in ids


# Who and what.


@pytest.mark.parametrize(
    ("said", "actor"),
    [
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com"),
        ({"type": "IAMUser", "accountId": ACCOUNT, "userName": "a"}, f"{ACCOUNT}:a"),
        ({"type": "AWSAccount", "accountId": OTHER, "principalId": "AIDA1"}, f"{OTHER}:AIDA1"),
        ({"type": "SAMLUser", "identityProvider": "idp", "userName": "a"}, "idp:a"),
        ({"accountId": ACCOUNT}, ACCOUNT),
        ({"type": "IAMUser", "accountId": ACCOUNT, "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"},
         ""),
        ({"arn": 5, "principalId": ["x"]}, "5"),
        (None, ""), ([], ""), ("x", ""), ({}, ""),
    ],
)  # fmt: skip
def test_the_fullest_name_is_the_principal(said: Any, actor: str) -> None:
    assert identity(said).actor == actor


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:s3:::bucket/a/b", "bucket/a/b"),
        ("arn:aws:iam::111122223333:role/path/to/name", "name"),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k-1", "k-1"),
        (f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/x", "alias/x"),
        (f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/a/b:*", "/a/b"),
        (f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f", "f"),
        (f"arn:aws:sns:eu-west-1:{ACCOUNT}:t", "t"),
        (f"arn:aws:kafka:eu-west-1:{ACCOUNT}:topic/c/u-1/my/topic", "my/topic"),
        (f"arn:aws:kafka:eu-west-1:{ACCOUNT}:vpc-connection/{ACCOUNT}/c/u-1", "c/u-1"),
        (f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:a/b-AbC12d", "a/b"),
        ("plain", "plain"), ("arn:aws", "arn:aws"),
    ],
)  # fmt: skip
def test_short_names_are_what_people_say(arn: str, name: str) -> None:
    assert short(arn) == name


@pytest.mark.parametrize(
    ("to", "whose"),
    [("*", "everyone"), (ACCOUNT, "this account"), (OTHER, "another account"),
     (f"arn:aws:iam::{OTHER}:root", "another account"), ("arn:aws:iam::*:root", "everyone"),
     ("ec2.amazonaws.com", "service"), ("AIDAEXAMPLE", "unknown"),
     ("http://acs.amazonaws.com/groups/global/AllUsers", "everyone")],
)  # fmt: skip
def test_whose_a_principal_is(to: str, whose: str) -> None:
    assert reach(to, ACCOUNT) == whose


@pytest.mark.parametrize(
    "document",
    [None, "", "{", "[]", 5, {}, {"Statement": "x"}, {"Statement": [{"Effect": "Maybe"}]},
     {"Statement": {"Effect": "Allow", "Principal": "*"}},
     {"Statement": {"Effect": "Allow", "Principal": {}, "Action": "x"}}],
)  # fmt: skip
def test_a_policy_of_unknown_shape_is_unread(document: Any) -> None:
    assert policy(document, ACCOUNT) == UNREAD
    assert acl({}, ACCOUNT) == UNREAD


@given(st.permutations(["s3:GetObject", "s3:PutObject", "s3:ListBucket"]), st.booleans())
def test_policies_that_say_the_same_are_equal(actions: list[str], as_text: bool) -> None:
    said: Any = {"Statement": [
        {"Effect": "Allow", "Principal": {"AWS": [OTHER, ACCOUNT]}, "Action": actions},
        {"Effect": "Deny", "Principal": "*", "Action": ["s3:DeleteBucket"]}]}  # fmt: skip
    other = {"Statement": [
        {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:DeleteBucket"},
        {"Effect": "Allow", "Principal": {"AWS": [ACCOUNT, OTHER]}, "Action": sorted(actions)}]}  # fmt: skip
    assert policy(json.dumps(said) if as_text else said, ACCOUNT) == policy(other, ACCOUNT)


@pytest.mark.parametrize("call", sorted(SESSIONS))
def test_a_session_is_a_change_unless_a_service_of_aws_opens_it(call: str) -> None:
    mine = one(record("sts", call, readOnly=True))
    service = {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}
    theirs = one(record("sts", call, readOnly=True, userIdentity=service))
    assert (mine.leg, theirs.leg) == ("record", "")
    assert all(
        document(event)["auditstream"]["deed"]["kind"] == "session" for event in (mine, theirs)
    )


@pytest.mark.parametrize(
    "service", ["iam", "kms", "s3", "secretsmanager", "cloudtrail", "kafka", "sts"]
)
@given(st.from_regex(r"[A-Z][a-z]{2,9}[A-Z][A-Za-z]{0,20}", fullmatch=True))
@settings(max_examples=50)
def test_every_change_of_what_is_guarded_has_a_deed(service: str, call: str) -> None:
    said = record(service, call, readOnly=False)
    if kind_of(service, call, said, stated(said), {}).class_uid != 6003:
        assert document(one(said))["auditstream"]["deed"]["target"]
    told = tell(service, Call(call, {}, {}, ACCOUNT, Subject("AWS::X::Y", "z"), identity(None)))
    assert set(deed(told)) <= {"kind", "action", "target", "item", "before", "after"}
