"""CloudTrail's secrets: none is kept, whatever it stands under, and nothing else goes with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from pipeline.aws.secrets import clean, is_secret_key
from pipeline.engine import Plan
from pipeline.registry import sources
from pipeline.stages.redact import Redactor
from tests.feed import Fed, feed_lines
from tests.growth import grows_no_faster
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


@pytest.mark.parametrize(
    "text",
    [f"export DB_PASSWORD={CANARY}; run", f"AWS_SECRET_ACCESS_KEY={CANARY} aws s3 ls",
     f'ScramLoginModule required username="u" PASSWORD="{CANARY} x";',
     f"mysql --password {CANARY} -u x", f"run --db-password '{CANARY} {CANARY}' now",
     f"--cmd \"run --password {CANARY}\"", f"ssl.keystore.password = {CANARY}",
     f'sh -c "PASSWORD=\\"{CANARY} {CANARY}\\" run"', f"API_KEY={CANARY}", f"x --Token \t{CANARY}",
     f"curl -d 'client-secret={CANARY}'"],
)  # fmt: skip
@pytest.mark.parametrize("escaped", [False, True])
def test_no_secret_is_kept_that_a_command_is_given(text: str, escaped: bool) -> None:
    said = json.dumps(
        record("ecs", "RunTask", requestParameters={"command": ["sh", "-c", text, "--stage live"]})
    )
    done = feed_lines([said.replace("=", "\\u003d") if escaped else said], WHERE)
    (event,) = done.events
    assert CANARY.encode() not in everything(done)
    *others, last = orjson.loads(event.raw)["requestParameters"]["command"]
    assert (others[:2], last) == (["sh", "-c"], "--stage live")


@pytest.mark.parametrize(
    "asked",
    [{"optionSettings": [{"optionName": "DB_PASSWORD", "value": CANARY}]},
     {"parameters": [{"parameterKey": "DBPassword", "parameterValue": CANARY}]},
     {"parameters": [{"ParameterKey": "DBPassword", "ParameterValue": CANARY}]},
     {"parameters": [{"parameterName": "dbPassword", "parameterValue": CANARY}]},
     {"patchOperations": [{"op": "replace", "path": "/variables/dbPassword", "value": CANARY}]},
     {"command": ["mysql", "--password", CANARY, "--user", "shop"]},
     {"command": ["mysql", "--password", "--password", CANARY, "--user", "shop"]}],
    ids=str,
)  # fmt: skip
def test_no_secret_is_kept_that_is_named_beside_it(asked: dict[str, Any]) -> None:
    named = {"name": "STAGE", "value": "live"}, {"parameterKey": "Stage", "parameterValue": "live"}
    for said in (asked, {"body": json.dumps(asked)}):
        # The second time no key is new.
        for _ in range(2):
            done = fed(record("x", "Y", requestParameters={**said, "others": named}))
            assert CANARY.encode() not in everything(done)
            others = orjson.loads(done.events[0].raw)["requestParameters"]["others"]
            assert others == list(named)


@pytest.mark.parametrize(
    "text", ["run --next-token abcdefghij", "run --stage live", "-- password", "ls --password",
             "a=b", "x-y--password z", "the password is told to nobody", "--user 'a b' --yes"],
)  # fmt: skip
def test_a_command_without_a_secret_stays(text: str) -> None:
    said = record("x", "Y", requestParameters={"command": [text], "url": "token=abcdefgh"})
    assert orjson.loads(one(said).raw)["requestParameters"]["command"] == [text]


@pytest.mark.parametrize(
    "again", ["PASSWORD=\"", "password = ", "--password ", "--a ", "--password '", "-", "\\\"=",
              "password=\\\"", "password", "token='", " --password\t\\'"],
)  # fmt: skip
def test_texts_take_time_as_they_are_long(again: str) -> None:
    def prepared(count: int) -> Callable[[], object]:
        said = record("x", "Y", requestParameters={"a": f"token=x {again * count}"})
        text = json.dumps(said)
        return lambda: clean(orjson.loads(text), text)

    grows_no_faster(prepared, 1000, 8000)


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
