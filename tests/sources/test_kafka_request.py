"""Kafka's request log: secrets, hostile fields, both records of one request, and every API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.administration import APIS as DECIDED
from pipeline.batch import Line, Reading, Record
from pipeline.kafka.protocol import APIS, CLASSES, api_name, error_name
from pipeline.kafka.requests import DECODERS
from pipeline.kafka.secrets import is_sensitive, skeleton
from pipeline.sources.kafka_request import SOURCE
from schemas.types import Event
from tests.feed import Fed, feed_lines, stream
from tests.growth import grows_no_faster
from tests.json_places import changed, places
from tests.request_log import constant, line
from tests.sources.golden import load, paths

CANARY = "c4n4ryS3cr3tV4lue"
WHERE = stream("kafka_request")
DELETION: tuple[str, Any, Any] = (
    "DeleteGroups", {"groupsNames": ["g"]}, {"results": [{"groupId": "g", "errorCode": 0}]},
)  # fmt: skip


def pieces(secret: str, size: int = 6) -> list[bytes]:
    return [secret[i : i + size].encode() for i in range(len(secret) - size + 1)]


def everything(fed: Fed) -> bytes:
    kept = [repr(event).encode() + event.ocsf + event.raw for event in fed.events]
    return b"".join(kept + [repr(letter).encode() + letter.raw for letter in fed.dead_letters])


def said(event: Event) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(event.ocsf)
    extension: dict[str, Any] = document["auditstream"]
    return extension


def leaks(fed: Fed, secret: str = CANARY) -> list[bytes]:
    kept = everything(fed)
    return [piece for piece in pieces(secret) if piece in kept]


# Secrets.


def setting(name: str, value: str, operation: int = 0) -> str:
    return line(
        "IncrementalAlterConfigs",
        {"resources": [{"resourceType": 4, "resourceName": "1", "configs": [
            {"name": name, "configOperation": operation, "value": value},
            {"name": "log.retention.ms", "configOperation": 0, "value": "5"}]}],
         "validateOnly": False},
        {"responses": [{"errorCode": 40, "errorMessage": f"Invalid value {value} for it",
                        "resourceType": 4, "resourceName": "1"}]},
    )  # fmt: skip


NAMES = [
    "ssl.key.password", "ssl.keystore.key", "sasl.jaas.config", "my.secret", "some.token",
    "listener.name.external.scram-sha-256.sasl.jaas.config", "aws.credentials", "x.passphrase",
    "sasl.oauthbearer.client.credentials.client.secret", "basic.auth.user.info", "API_KEY",
]  # fmt: skip
SETTINGS = [setting(name, CANARY) for name in NAMES] + [
    line(
        "CreateTopics",
        {"topics": [{"name": "t", "numPartitions": 1, "replicationFactor": 1, "assignments": [],
                     "configs": [{"name": "my.password", "value": CANARY}]}], "validateOnly": False},
        {"topics": [{"name": "t", "errorCode": 0, "configs": [
            {"name": "my.password", "value": CANARY, "readOnly": False, "isSensitive": False}]}]},
    ),
    setting("config", f'com.example.LoginModule required password="{CANARY}";'),
    setting("endpoint", f"https://ann:{CANARY}@connect.example.com/"),
]  # fmt: skip
CREDENTIALS = [
    line("AlterUserScramCredentials",
         {"deletions": [], "upsertions": [{"name": "bob", "mechanism": 1, "iterations": 4096,
                                           "salt": CANARY, "saltedPassword": CANARY + "=="}]},
         {"results": [{"user": "bob", "errorCode": 0, "errorMessage": None}]}),
    line("CreateDelegationToken", {"renewers": [], "maxLifetimeMs": -1},
         {"errorCode": 0, "principalType": "User", "principalName": "bob", "tokenId": "id",
          "expiryTimestampMs": 9, "hmac": CANARY}),
    line("RenewDelegationToken", {"hmac": CANARY, "renewPeriodMs": 1}, {"errorCode": 0}),
    line("ExpireDelegationToken", {"hmac": CANARY, "expiryTimePeriodMs": 1}, {"errorCode": 0}),
    line("SaslAuthenticate", {"authBytes": CANARY}, {"errorCode": 0, "authBytes": CANARY}),
    line("AlterMoonPhase", {"moons": [{"password": CANARY}, CANARY]}, {"x": CANARY}, key=901),
]  # fmt: skip


@pytest.mark.parametrize("text", SETTINGS + CREDENTIALS)
def test_no_secret_is_kept(text: str) -> None:
    fed = feed_lines([text])
    assert not leaks(fed)
    assert not fed.dead_letters
    for event in fed.events:
        assert event.actor == "User:admin"
        # What is kept is JSON still: somebody may want to read it again.
        orjson.loads(event.raw[event.raw.index(b"{") : event.raw.rindex(b"}") + 1])


@pytest.mark.parametrize("text", CREDENTIALS[:5])
def test_no_credential_is_kept_of_a_line_cut_at_every_byte(text: str) -> None:
    for cut in range(len(text)):
        assert not leaks(feed_lines([text[:cut]])), cut
        assert not leaks(feed_lines([text[:cut], line(*DELETION)])), cut


@pytest.mark.parametrize("text", SETTINGS)
def test_no_event_of_a_cut_line_holds_a_setting(text: str) -> None:
    for cut in range(len(text)):
        fed = feed_lines([text[:cut], line(*DELETION)])
        fed.dead_letters.clear()
        assert not leaks(fed), cut


@pytest.mark.parametrize("text", SETTINGS + CREDENTIALS[:5])
def test_no_dead_letter_of_a_cut_line_holds_a_secret(text: str) -> None:
    for cut in range(len(text)):
        assert not leaks(feed_lines([text[:cut]])), cut
        assert not leaks(feed_lines([text[cut:]])), cut


@pytest.mark.parametrize(
    "value", ["a", "t", "User:admin", "success", "kafka_request", "prod", "Topic", '"', "\\", "\x1f",
              "é\u2028", '"value":"5"', "Broker:1"],
)  # fmt: skip
def test_a_secret_takes_nothing_else_with_it(value: str) -> None:
    """Whoever sends his own name as a password stays named."""
    plain, odd = (
        feed_lines([setting("ssl.key.password", v)], stream("kafka_request", cluster="prod"))
        for v in ("0123456789", value)
    )
    assert len(odd.events) == 2
    for one, other in zip(plain.events, odd.events, strict=True):
        assert one.ocsf.replace(one.id.hex().encode(), b"") == other.ocsf.replace(
            other.id.hex().encode(), b""
        )
        assert (one.raw, one.id) == (other.raw, other.id)


def test_what_kafka_hid_and_what_is_none_stays() -> None:
    assert not is_sensitive("ssl.key.password", "[hidden]")
    assert not is_sensitive("listener.name.x.ssl.keystore.location", "/k")
    assert not is_sensitive("delegation.token.max.lifetime.ms", "1")
    assert not is_sensitive("retention.ms", "1000")
    assert is_sensitive("listener.name.x.ssl.keystore.key", "x")


def test_secrets_where_kafka_writes_none_make_the_line_unreadable() -> None:
    text = setting("ssl.key.password", CANARY)
    apart = text.replace('"configOperation":0,"value":', '"x":1,"value":', 1)
    fed = feed_lines([apart])
    assert (fed.reasons(), fed.events) == (["unknown_layout"], [])


def test_a_skeleton_has_no_text_left() -> None:
    assert skeleton({"a": ["x", 1, {"b": "y"}], "c": None}) == {
        "a": ["[redacted]", 1, {"b": "[redacted]"}],
        "c": None,
    }


# Both records of one request.


@pytest.mark.parametrize("path", [p for p in paths() if p.parent.name == "kafka_request"],
                         ids=lambda p: p.stem)  # fmt: skip
def test_a_forwarded_twin_says_the_same_but_for_the_address(path: Any) -> None:
    for text in load(path)["lines"]:
        if '"isForwarded":false' not in text:
            continue
        twin = text.replace('"isForwarded":false', '"isForwarded":true')
        pairs = zip(feed_lines([text]).events, feed_lines([twin]).events, strict=True)
        for own, other in pairs:
            one, two = said(own), said(other)
            assert one.get("deed") == two.get("deed")
            assert one["call"] | {"forwarded": True} == two["call"]
            assert (own.leg, other.leg, other.address) == ("request", "forwarded", "")
            assert (own.actor, own.outcome) == (other.actor, other.outcome)


def test_other_bodies_have_other_digests() -> None:
    digests = {
        said(feed_lines([line("DeleteGroups", {"groupsNames": [g]}, {})]).events[0])["call"][
            "digest"
        ]
        for g in ("a", "b", "ab")
    }
    assert len(digests) == 3


# Hostile fields.

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.just("User:mallory"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


DOCUMENTS = [
    orjson.loads(text[text.index("{") : text.rindex("}") + 1])
    for path in paths() if path.parent.name == "kafka_request" and path.stem not in ("unreadable", "broken")
    for text in load(path)["lines"]
]  # fmt: skip


@settings(max_examples=400)
@given(st.data())
def test_any_value_in_any_field_is_an_event_a_rule_or_a_reason(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(DOCUMENTS))
    place = data.draw(st.sampled_from([p for p in places(whole) if p]))
    document = changed(whole, place, data.draw(_JSON))
    text = "Completed request:" + json.dumps(document, separators=(",", ":"))
    fed = feed_lines([f"[2026-11-20 23:52:44,297] DEBUG {text} (kafka.request.logger)"], WHERE)
    assert fed.account.balances()
    assert "fault" not in fed.reasons()
    principal = document.get("principal")
    for event in fed.events:
        assert event.actor == (principal if isinstance(principal, str) else "")


@pytest.mark.parametrize("name", ['","principal":"User:admin', '"}},"x":{"y":"', "\n", "\\", "é" * 9,
                                  '{"isForwarded":true,"requestHeader":{"requestApiKey":18,'])  # fmt: skip
def test_a_clients_text_is_nothing_but_that(name: str) -> None:
    text = line("DeleteGroups", {"groupsNames": [name]}, {}, client_id=name, principal="User:eve")
    (event,) = feed_lines([text]).events
    assert (event.actor, event.resource) == ("User:eve", name)
    assert said(event)["call"]["client_id"] == name


@pytest.mark.parametrize("deep", ["[" * 50_000, '{"a":' * 50_000, "[" * 900 + "]" * 900])
def test_depth_is_no_fault(deep: str) -> None:
    text = line("DeleteGroups", {"groupsNames": ["g"], "x": "DEEP"}, {}).replace('"DEEP"', deep)
    for forged in (text, text.replace(":42,", ":999,", 1)):
        assert "fault" not in feed_lines([forged], WHERE).reasons()


def test_time_grows_with_the_number_of_items_and_no_faster() -> None:
    def prepared(count: int) -> Callable[[], object]:
        topics = [{"name": f"t{i}", "numPartitions": 1, "replicationFactor": 1, "assignments": [],
                   "configs": [{"name": "my.password", "value": f"secret-{i}"}]} for i in range(count)]  # fmt: skip
        results = [
            {"name": f"t{i}", "errorCode": 40, "errorMessage": "no " * 9} for i in range(count)
        ]
        text = line("CreateTopics", {"topics": topics}, {"topics": results})
        said = text[text.index("Completed") : text.rindex(" (")]
        lines = [Line(text.encode(), text, Record(b"", 0), message=said)]
        reading = Reading(lambda stamp: (0, ()), str, WHERE)
        ((outcomes,), _state) = SOURCE.read(lines, reading, {})
        assert len(outcomes) == count
        return lambda: SOURCE.read(lines, reading, {})

    grows_no_faster(prepared, 200, 1600)


# Tables.


def test_every_api_is_of_one_class_or_has_a_decoder() -> None:
    assert set(APIS) == set(CLASSES) | set(DECODERS)
    assert set(CLASSES) & set(DECODERS) == {"OffsetCommit"}


def test_what_the_authorizer_decides_on_is_read() -> None:
    assert set(DECIDED) - set(DECODERS) <= {"TxnOffsetCommit", "DeleteShareGroupState"}


def test_numbers_come_before_names() -> None:
    assert api_name(19, "DELETE_TOPICS") == "CreateTopics"
    assert [api_name(None, constant(name)) for name in APIS] == list(APIS)
    assert [api_name(n, None) for n in (True, -1, 93, "19", 1.0)] == [""] * 5
    assert (error_name(-1), error_name(0), error_name(29)) == (
        "UNKNOWN_SERVER_ERROR", "NONE", "TOPIC_AUTHORIZATION_FAILED",
    )  # fmt: skip
    assert (error_name(-2), error_name(999)) == ("", "")


def test_a_secret_under_another_name_is_kept_nowhere() -> None:
    said = {"name": "bob", "mechanism": 1, "iterations": 4096, "salt": "c2FsdA==", "pepper": CANARY}
    text = line(
        "AlterUserScramCredentials", {"deletions": [], "upsertions": [said]}, {"results": []}
    )
    fed = feed_lines([text])
    assert fed.reasons() == ["unknown_layout"]
    (letter,) = fed.dead_letters
    assert not leaks(fed)
    assert (
        letter.head.endswith('"requestApiKeyName":[redacted]},') or "requestHeader" in letter.head
    )
