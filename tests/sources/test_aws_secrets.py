"""CloudTrail's secrets: none is kept, whatever it stands under, and nothing else goes with it."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from pipeline.aws.secrets import clean, is_secret_key
from pipeline.engine import Plan
from pipeline.registry import sources
from pipeline.stages.redact import Redactor
from tests.feed import Fed, feed_lines
from tests.trail import ACCOUNT, WHERE, fed, one, record

CANARY = "c4n4ryS3cr3tV4lue"


def everything(done: Fed) -> bytes:
    kept = [repr(event).encode() + event.ocsf + event.raw for event in done.events]
    return b"".join(kept + [repr(letter).encode() + letter.raw for letter in done.dead_letters])


def test_the_key_of_redaction_changes_no_id() -> None:
    said = record("rds", "ModifyDBInstance", requestParameters={"masterUserPassword": CANARY})
    for without in (said, {**said, "eventID": None}):
        plans = (Plan(sources()), Plan(sources(), redactor=Redactor(b"key", "k1")))
        first, second = (fed(without, plan=plan).events[0] for plan in plans)
        assert first.id == second.id
        assert b"[redacted:k1:" in second.raw


SECRET_KEYS = [
    "secretAccessKey", "sessionToken", "password", "masterUserPassword", "newPassword",
    "oldPassword", "PASSWORD", "tokenCode", "token", "SAMLAssertion", "sAMLAssertion",
    "webIdentityToken", "plaintext", "secretString", "secretBinary", "userData", "privateKey",
    "private_key", "X-Amz-Security-Token", "x-amz-signature", "authorization", "authToken",
    "clientSecret", "adminPassword", "base32StringSeed", "qRCodePNG", "refreshToken", "SECRET_HASH", "keyMaterial", "cookie",
    "authenticationCode1", "preSharedKey", "apiKey", "REFRESH_TOKEN",
]  # fmt: skip
PLAIN_KEYS = [
    "clientToken", "clientRequestToken", "nextToken", "accessKeyId", "secretId", "secretArn",
    "keyId", "passwordResetRequired", "minimumPasswordLength", "publicKeyMaterial", "tokenType",
    "continuationToken", "SignatureVersion", "subjectFromWebIdentityToken", "principalId",
    "masterUsername", "httpTokens", "kmsKeyId", "sAMLAssertionID", "lockToken", "certificateBody",
]  # fmt: skip


@pytest.mark.parametrize("key", SECRET_KEYS)
@pytest.mark.parametrize(
    "side", ["requestParameters", "responseElements", "additionalEventData", "x"]
)
def test_no_secret_is_kept(key: str, side: str) -> None:
    shapes = [
        {key: CANARY}, {"a": [{"b": {key: CANARY}}]}, {key: [CANARY]}, {key: {"value": CANARY}},
        {"body": json.dumps({"c": {key: CANARY}})}, {"list": [{"name": key, "value": CANARY}]},
        json.dumps({key: CANARY}), {key: f'"{CANARY}\\/é', "errorMessage": "x"},
    ]  # fmt: skip
    done = fed(*(record("rds", "Modify", errorMessage=f"not {CANARY}", **{side: s}) for s in shapes[:4]),
               *(record("rds", "Modify", **{side: s}) for s in shapes[4:]))  # fmt: skip
    done.events[2:4] = []  # What is no text is not looked for in messages.
    assert len(done.events) == 6
    assert CANARY.encode() not in everything(done)
    for event in done.events:
        orjson.loads(event.raw)


@pytest.mark.parametrize(
    "text",
    [f"https://b.s3.amazonaws.com/k?X-Amz-Signature={CANARY}&x=1", f"curl -H 'Authorization: Bearer {CANARY}'",
     f"https://ann:{CANARY}@example.com/", f"mysql --password={CANARY}",
     f'PlainLoginModule required username="u" password="{CANARY} {CANARY}";',
     f"login --secret='{CANARY}' --user=u",
     f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
     f"https://example.com/?X-Amz-Security-Token={CANARY}"],
)  # fmt: skip
def test_no_text_that_looks_like_a_secret_is_kept(text: str) -> None:
    done = fed(
        record("ssm", "SendCommand", requestParameters={"parameters": {"commands": [text]}}),
        record("s3", "GetObject", additionalEventData={"url": text}),
        record("s3", "GetObject", userAgent=text, errorMessage=text),
    )
    assert len(done.events) == 3
    assert CANARY.encode() not in everything(done)


@pytest.mark.parametrize("key", PLAIN_KEYS)
def test_what_is_called_like_a_secret_and_is_none_stays(key: str) -> None:
    assert not is_secret_key(key)
    assert b"stays-as-it-is" in one(record(requestParameters={key: "stays-as-it-is"})).raw


@pytest.mark.parametrize(
    "value", ["HIDDEN_DUE_TO_SECURITY_REASONS", "***", "****", "<sensitiveDataRemoved>", "", True, None, {}]
)  # fmt: skip
def test_what_was_hidden_before_is_no_secret(value: Any) -> None:
    text = json.dumps(record(requestParameters={"password": value}))
    assert clean(orjson.loads(text), text) == ((), None)


@pytest.mark.parametrize(
    "value", ["a", "1", "alice", f"arn:aws:iam::{ACCOUNT}:user/alice", "eu-west-1", "DescribeRegions",
              "b/key", "192.0.2.7", '"', "2026-11-20T23:52:44Z"],
)  # fmt: skip
def test_a_secret_takes_nothing_else_with_it(value: str) -> None:
    """Whoever takes his own name for a password stays named."""
    plain, odd = (
        one(record("s3", "GetObject", requestParameters={
            "bucketName": "b", "key": "key", "password": v}))
        for v in ("0123456789abcdef", value)
    )  # fmt: skip
    assert (plain.ocsf, plain.raw, plain.id) == (odd.ocsf, odd.raw, odd.id)


def test_a_parameters_value_is_secret_and_a_tags_is_not() -> None:
    asked = {"name": "p", "value": CANARY, "tags": [{"key": "team", "value": "payments"}]}
    event = one(record("ssm", "PutParameter", requestParameters=asked))
    assert CANARY.encode() not in event.raw
    assert b"payments" in event.raw


def test_no_dead_letter_of_a_cut_record_holds_a_secret() -> None:
    asked = {"name": "p", "value": CANARY, "password": CANARY}
    text = json.dumps(record("ssm", "PutParameter", requestParameters=asked))
    for cut in range(10, len(text)):
        assert CANARY.encode() not in everything(feed_lines([text[:cut]], WHERE)), cut
