"""Redact: no secret in what is stored, whatever the key, and the same ids with any."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch import Fact, Line, Outcome, Reading, Source, each, moment
from pipeline.engine import Plan
from pipeline.errors import Reason, Unreadable
from pipeline.stages.redact import Redactor, scrub
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY, BLANK
from tests.feed import Fed, feed_lines
from tests.growth import grows_no_faster

CANARY = "c4n4ry-S3cr3t"
KEY = b"a key of at least 16 bytes"


def _read(line: Line, reading: Reading) -> Outcome:
    """Made up: a JSON document whose ``token`` is secret, wherever else it may stand."""
    if not line.message.startswith("{"):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "JSON was expected")
    said = orjson.loads(line.message)
    at, precision, spots = moment(line, reading)
    event = Event(at, API_ACTIVITY, 2, "success", VAULT.name)
    event.time_precision, event.blind_spots = precision, spots
    event.actor, event.resource = f"User:{said['user']}", said["path"]
    event.resource_type, event.operation = "Secret", "READ"
    event.message = f"{said['user']} read {said['path']} with {said['token']}"
    return Fact(
        event,
        stamp=line.stamp,
        uid=f"id-{said['token']}",
        document={"status_detail": said["token"], "unmapped": {"list": [said["token"], 7]}},
        extension={"request": said["token"]},
        secrets=tuple(said["secrets"]),
    )


VAULT = Source(
    name="vault",
    title="Made up for this test",
    documentation="Made up for this test.",
    product={"name": "Vault", "vendor_name": "Example"},
    read=each(_read),
    loggers=("com.example.Vault",),
    bears_secrets=True,
)


def line(token: str = CANARY, secrets: list[str] | None = None, path: str = "kv/x") -> str:
    said = {"user": "ann", "path": path, "token": token, "secrets": secrets or [token]}
    return f"[2026-11-20 23:52:44,297] INFO {orjson.dumps(said).decode()} (com.example.Vault)"


def run(text: str, key: bytes = b"", key_id: str = "") -> Fed:
    return feed_lines([text], plan=Plan({"vault": VAULT}, redactor=Redactor(key, key_id)))


def everything(fed: Fed) -> bytes:
    return b"".join(repr(event).encode() + event.ocsf + event.raw for event in fed.events)


@pytest.mark.parametrize("key", [b"", KEY])
@pytest.mark.parametrize(
    "token", [CANARY, 'qu"ote\\back', "new\nline", "é\u2028", "a+b/c==", "(regex.*"]
)
def test_a_secret_is_nowhere_in_what_is_kept(key: bytes, token: str) -> None:
    fed = run(line(token, path=f"kv/{token}/x"), key, "k1")
    (event,) = fed.events
    kept = everything(fed)
    assert token.encode() not in kept
    assert orjson.dumps(token)[1:-1] not in kept
    assert repr(token)[1:-1].encode() not in kept
    assert BLANK[:-1].encode() in event.raw


def test_with_a_key_the_same_secret_is_recognised_again() -> None:
    first, second = run(line(), KEY, "k1"), run(line(path="kv/y"), KEY, "k1")
    digest = hmac.digest(KEY, CANARY.encode(), "sha256")[:8].hex()
    token = f"[redacted:k1:{digest}]"
    for fed in (first, second):
        (event,) = fed.events
        assert token.encode() in event.raw
        assert event.message.endswith(f"with {token}")
        assert orjson.loads(event.ocsf)["auditstream"]["request"] == token
    assert token not in run(line("another"), KEY, "k1").events[0].message


def test_without_a_key_no_hash_is_kept() -> None:
    (event,) = run(line()).events
    assert event.message == f"ann read kv/x with {BLANK}"
    assert b"redacted:" not in event.raw


def test_ids_do_not_depend_on_the_key() -> None:
    ids = {
        run(line(), key, key_id).events[0].id
        for key, key_id in ((b"", ""), (KEY, "1"), (KEY * 2, "2"))
    }
    assert len(ids) == 1
    # Nor on the secret: who knows an id cannot try secrets against it.
    assert run(line("another")).events[0].id in ids


def test_a_secret_within_a_secret_leaves_nothing_of_the_longer() -> None:
    fed = run(line("inner-outer", secrets=["inner", "inner-outer", ""]), KEY, "k1")
    assert b"outer" not in everything(fed)


def test_an_event_without_secrets_keeps_its_record() -> None:
    text = line(secrets=[""])
    assert run(text).events[0].raw == text.encode()


def test_what_cannot_be_read_of_a_source_that_bears_secrets_is_not_kept() -> None:
    text = f"[2026-11-20 23:52:44,297] INFO not JSON, token={CANARY} and {'x' * 2000} (com.example.Vault)"
    (letter,) = run(text).dead_letters
    assert letter.raw == b""
    assert letter.length == len(text)
    assert CANARY not in letter.head
    assert len(letter.head) <= 512


NOTATIONS: dict[str, Callable[[str], str]] = {
    "json": lambda s: f'{{"user":"ann","password":"{s}","x":1}}',
    "json with blanks": lambda s: f'{{ "client_secret" :  "{s}" }}',
    "json number": lambda s: f'{{"token":{s.encode().hex()},"x":1}}',
    "json list": lambda s: f'{{"tokens":["{s}","{s}"]}}',
    "json object": lambda s: f'{{"credentials":{{"a":"{s}"}}}}',
    "json cut off": lambda s: f'{{"password":"{s}',
    "json in json": lambda s: f'{{"message":"{{\\"password\\":\\"{s}\\",\\"a\\":1}}"}}',
    "json in json with quotes": lambda s: f'{{"m":"{{\\"password\\":\\"a\\\\\\"{s}\\"}}"}}',
    "json with escapes": lambda s: f'{{"password":"a\\"b\\\\{s}"}}',
    "python": lambda s: f"{{'secret_key': '{s}'}}",
    "ruby": lambda s: f':password => "{s}"',
    "key=value": lambda s: f"user=ann password={s} x=1",
    "key = value": lambda s: f"ssl.keystore.password = {s}",
    "key: value": lambda s: f"db_passwd: {s}",
    "properties": lambda s: f"listener.name.sasl.jaas.config={s}",
    "query": lambda s: f"GET /x?sv=1&sig={s}&se=2 HTTP/1.1",
    "aws query": lambda s: f"GET /x?X-Amz-Signature={s}&X-Amz-Security-Token={s}",
    "jaas": lambda s: f'org.example.PlainLoginModule required username="ann" password="{s}";',
    "jaas in json": lambda s: (
        f'{{"sasl.jaas.config":"PlainLoginModule required password=\\"{s}\\";"}}'
    ),
    "scram": lambda s: f"SCRAM-SHA-256=[name=ann,password={s}]",
    "scram fields": lambda s: f'{{"salt":"{s}","saltedPassword":"{s}","storedKey":"{s}"}}',
    "sasl bytes": lambda s: f'{{"authBytes":"{s}"}}',
    "hmac": lambda s: f'{{"hmac":"{s}"}}',
    "bearer": lambda s: f"Authorization: Bearer {s}",
    "basic": lambda s: f"authorization=Basic {s}",
    "bearer alone": lambda s: f"sent bearer {s}, got 403",
    "jwt": lambda s: f"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.{s} from ann",
    "url": lambda s: f"amqp://ann:{s}@broker.example.com/x",
    "xml": lambda s: f"<password>{s}</password>",
    "option": lambda s: f"run --db-password {s} --verbose",
    "cookie": lambda s: f"Cookie: session={s}",
    "aws secret": lambda s: f"aws_secret_access_key = {s}",
    "upper case": lambda s: f"PASSWORD={s}",
    "pem": lambda s: (
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\n{s}\n-----END RSA PRIVATE KEY-----"
    ),
    "pem in json": lambda s: f'"-----BEGIN PRIVATE KEY-----\\n{s}\\n-----END PRIVATE KEY-----\\n"',
    "pem cut off": lambda s: f"-----BEGIN EC PRIVATE KEY-----\n{s}",
}


@pytest.mark.parametrize("name", NOTATIONS)
def test_canaries_in_every_notation_are_scrubbed(name: str) -> None:
    text = f"before {NOTATIONS[name](CANARY)} behind"
    clean = scrub(text.encode()).decode()
    assert CANARY not in clean
    assert CANARY.encode().hex() not in clean
    assert clean.startswith("before ")
    (letter,) = feed_lines([text.replace("\n", "|")]).dead_letters
    assert CANARY not in letter.head


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "xoxb-123456789012-abcdef",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
    ],
)
def test_what_looks_like_a_key_is_scrubbed(text: str) -> None:
    assert scrub(text.encode()) == BLANK.encode()


def test_lines_without_secrets_stay_as_they_are() -> None:
    for text in (
        "[2026-11-20 23:52:44,297] INFO Principal = User:ann is Denied operation = READ",
        "Registered signal handlers for TERM, INT, HUP",
        "No acl found for resource ResourcePattern(resourceType=TOPIC), authorized = false",
        "\0\xff binary \x80",
    ):
        assert scrub(text.encode("latin-1")) == text.encode("latin-1")


@given(st.binary(max_size=200), st.sampled_from(sorted(NOTATIONS)), st.binary(max_size=200))
def test_nothing_around_a_canary_saves_it(before: bytes, name: str, behind: bytes) -> None:
    value = before + b" " + NOTATIONS[name](CANARY).encode() + b" " + behind
    assert CANARY.encode() not in scrub(value)


HOSTILE = [
    b'password=\\"', b'"password":"', b"password", b"password=", b"token{", b"eyJ", b"eyJaaaaaaaaa.",
    b"-----BEGIN PRIVATE KEY-----", b"://a:", b"bearer ", b"\\", b"--token", b"-", b"'secret': '",
    b"A", b" " ,
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_scrubbing_takes_linear_time(unit: bytes) -> None:
    def prepared(size: int) -> Callable[[], object]:
        value = unit * (size // len(unit))
        return lambda: scrub(value)

    grows_no_faster(prepared, 32 * 1024, 256 * 1024, floor_s=1e-4)
