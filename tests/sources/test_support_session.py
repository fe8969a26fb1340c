"""Support session records: what is stated comes back whole, mistakes are told, secrets are not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.support_session import SOURCE
from pipeline.support.free_text import DEEPEST, clean
from pipeline.support.kept import names
from pipeline.support.mending import MOST_TOLD
from pipeline.support.records import ACCESSING, record
from pipeline.support.statement import DEMANDS, Statement, instant
from schemas.support import KINDS, Action, Scope, SupportRecord, Window
from tests.feed import Fed, feed_lines, stream
from tests.growth import grows_no_faster
from tests.schemas.ocsf import needs_ocsf, validator
from tests.sources.support_statements import (
    PLAIN,
    SCHEMA,
    WINDOW,
    in_order,
    statements,
)
from tests.stages.carriers import cri, docker, filebeat, fluent_bit, kubernetes, vector

WHERE = stream("support_session")
CANARY = "c4n4ryS3cr3tV4lue"
SESSION = {**PLAIN, "kind": "session_opened", "session": "S-1", "principal": "User:vendor-rt"}
APPROVAL = {
    **PLAIN, "kind": "approval", "approved_by": "ops@example.com", "approves": "S-1", "scope": [],
    "window": WINDOW,
}  # fmt: skip


def fed(*documents: dict[str, Any]) -> Fed:
    return feed_lines([orjson.dumps(document) for document in documents], WHERE)


def said(document: dict[str, Any]) -> dict[str, Any]:
    """The OCSF document a record becomes."""
    (event,) = fed(document).events
    found: dict[str, Any] = orjson.loads(event.ocsf)
    return found


def detail(document: dict[str, Any]) -> str:
    (letter,) = fed(document).dead_letters
    assert letter.source == "support_session"
    return letter.detail


# What is stated comes back whole.


def expected(document: dict[str, Any], event: str) -> SupportRecord:
    """The record that a document states, put together once more by hand."""
    texts = (
        "session", "provider", "principal", "person", "approved_by", "approved_for", "approves", "ticket",
    )  # fmt: skip
    window, done = document.get("window"), document.get("action")
    of_action = ("operation", "resource_type", "resource", "payload", "outcome")
    return SupportRecord(
        event=event, time=instant(document["time"]), kind=document["kind"], id=document["id"],
        actor_kind=document.get("actor_kind", "unknown"), addresses=tuple(document.get("addresses", ())),
        window=Window(instant(window["from"]), instant(window["to"])) if window else None,
        scope=tuple(
            Scope(s["resource_type"], s["resource"],
                  tuple(s["operations"]) or ("none",) if "operations" in s else ())
            for s in document.get("scope", ())
        ) or ((Scope("none", "", ("none",)),) if "scope" in document else ()),
        payload_access=document.get("payload_access", False),
        action=Action(**{n: done[n] for n in of_action if n in done}) if done is not None else None,
        registered=False,
        **{name: document.get(name, "") for name in texts},
    )  # fmt: skip


@settings(max_examples=80)
@given(statements())
def test_any_record_comes_back_whole(document: dict[str, Any]) -> None:
    done = fed(document)
    if not in_order(document, instant):
        assert done.reasons() == ["unknown_layout"]
        return
    (event,) = done.events
    made = orjson.loads(event.ocsf)
    assert record(made) == expected(document, event.id.hex())
    assert event.time == instant(document["time"])
    assert (event.session, event.ticket) == (document.get("session", ""), document.get("ticket", ""))  # fmt: skip
    others = {name: clean(value, name) for name, value in document.items() if name not in names(Statement)}  # fmt: skip
    assert {n: v for n, v in made.get("unmapped", {}).items() if n in others} == others


@needs_ocsf
@settings(max_examples=80)
@given(statements().filter(lambda document: in_order(document, instant)))
def test_any_record_is_valid_ocsf(document: dict[str, Any]) -> None:
    assert validator().problems(said(document)) == []


def test_times_are_kept_as_they_are_written() -> None:
    document = said({**PLAIN, "time": "2026-11-20t10:00:00.1239+01:00"})
    assert document["time"] == 1_795_165_200_123
    assert document["metadata"]["original_time"] == "2026-11-20t10:00:00.1239+01:00"
    assert document["auditstream"]["time_precision"] == "exact"


def test_the_actor_is_who_acts() -> None:
    both = {"person": "jane@vendor.example.com", "actor_kind": "provider_human", "addresses": ["192.0.2.7"]}  # fmt: skip
    for kind in KINDS:
        document = {**APPROVAL, **SESSION, **both, "kind": kind, "action": {}}
        (event,) = fed(document).events
        acts = kind in ACCESSING
        assert event.actor == ("User:vendor-rt" if acts else "ops@example.com")
        assert event.address == ("192.0.2.7" if acts else "")
        assert event.actor_kind == ("provider_human" if acts else "unknown")
        assert event.blind_spots == ()
        assert event.class_uid == (6003 if kind == "action" else 3003)
        assert event.outcome == {"denial": "failure", "action": "unknown"}.get(kind, "success")
        assert event.access_path == "support"


def test_who_decides_is_nobody_where_it_is_not_said() -> None:
    for kind in ("denial", "revocation", "review", "maintenance_window"):
        document = {**SESSION, "kind": kind, "approves": "S-1", "window": WINDOW}
        (event,) = fed(document).events
        assert (event.actor, event.blind_spots) == ("", ("no_principal",))


def test_who_decides_has_no_access_even_where_it_is_a_providers() -> None:
    for kind in set(KINDS) - set(ACCESSING):
        document = said({**APPROVAL, **SESSION, "kind": kind})
        document["auditstream"]["actor_kind"] = "provider_human"
        made = record(document)
        assert made is not None
        assert (made.actor_kind, made.principal) == ("unknown", "User:vendor-rt")


ROLE = "arn:aws:iam::111122223333:role/"
SESSION_OF = "arn:aws:sts::111122223333:assumed-role/"


@pytest.mark.parametrize(
    ("principal", "registered"),
    [
        (f"{ROLE}aws-service-role/support.amazonaws.com/AWSServiceRoleForSupport", True),
        (f"{SESSION_OF}AWSServiceRoleForSupport/case-1", True),
        (f"{ROLE}AWSServiceRoleForSupport", False),
        (f"{ROLE}Vendor", False),
        (f"{SESSION_OF}Vendor/AWSServiceRoleForSupport", False),
        ("User:vendor-rt", False),
    ],
)
def test_whom_the_cloud_knows_as_its_own_is_registered(principal: str, registered: bool) -> None:
    document = said({**SESSION, "principal": principal})
    assert document["auditstream"]["support"]["registered"] is False
    made = record(document)
    assert made is not None
    assert made.registered is registered


def test_a_configured_kind_of_who_accesses_comes_first() -> None:
    document = said({**SESSION, "actor_kind": "provider_human"})
    for configured, found in (("provider_automation",) * 2, ("unknown", "provider_human")):
        document["auditstream"]["actor_kind"] = configured
        made = record(document)
        assert made is not None
        assert made.actor_kind == found
    document = said({**APPROVAL, "actor_kind": "provider_human"})
    document["auditstream"]["actor_kind"] = "human"  # the approver's
    made = record(document)
    assert made is not None
    assert made.actor_kind == "provider_human"


def test_other_events_state_nothing_about_support() -> None:
    assert record({"auditstream": {"actor_kind": "unknown"}}) is None


def test_one_record_has_one_id_however_it_comes() -> None:
    line = orjson.dumps(SESSION)
    ids = {event.id for c in (filebeat, vector, fluent_bit, docker, cri, kubernetes)
           for event in feed_lines([c(line.decode())]).events}  # fmt: skip
    ids |= {e.id for e in feed_lines([json.dumps(SESSION, indent=None), b"\xef\xbb\xbf" + line]).events}  # fmt: skip
    assert len(ids) == 1
    others = [{**SESSION, "id": "other"}, {**SESSION, "estate": "prod-us"}]
    assert not ids & {event.id for event in fed(*others).events}


# What is wrong is told.


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"v": 2}, "`v` is that of another version of the format, and this release reads version 1"),
        ({"v": None}, "`v` is null, not the number 1"),
        ({"v": True}, "`v` is true or false, not the number 1"),
        ({"kind": 3}, "`kind` is a number, but none of request, approval"),
        ({"kind": "break-glass"}, "(write it break_glass)"),
        ({"id": ""}, "`id` is empty: the record's own"),
        ({"time": "2026-11-20 09:00:00.5"}, "`time` has no offset from UTC"),
        ({"time": "20 Nov 2026 09:00"}, "`time` is no RFC 3339 time"),
        ({"time": "2026-02-29T09:00:00Z"}, "`time` is on no calendar"),
        ({"time": "2026-11-20T09:00:00+31:00"}, "`time` has an offset that no zone has"),
        ({"time": "2026-11-20T09:00:60Z"}, "`time` has a leap second that is not 23:59:60 in UTC"),
        ({"time": 1795165200}, "`time` is a number, not text: when it happened, as `\"2026-"),
        ({"window": {"To": "x", "from": 1}}, "`window.from` is a number, not text: when it begins"),
        ({"window": {"To": "x", "from": 1}}, "`window.to` is missing: when it ends, as `\"2026-"),
        ({"window": {"To": "x"}}, "(a field of nearly that name is there: call it `to`)"),
        ({"scope": [{}, {"resource": []}]}, "`scope[1].resource` is a list, not text"),
        ({"scope": [{"resourceType": "a"}]}, "call it `resource_type`)"),
        ({"scope": [{"operations": [1]}]}, "`scope[0].operations[0]` is a number, not text"),
        ({"addresses": [None]}, "`addresses[0]` is null, not text"),
        ({"action": {"outcome": "SUCCESS"}}, "(write it success)"),
        ({"actor_kind": "human"}, "none of provider_human, provider_automation: person or machine"),
    ],
)  # fmt: skip
def test_errors_say_what_to_mend(change: dict[str, Any], told: str) -> None:
    assert told in detail({**PLAIN, **change})


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_needs_is_told_by_name(kind: str) -> None:
    lacking = DEMANDS.get(kind, ())
    done = fed({**PLAIN, "kind": kind})
    assert bool(done.dead_letters) == bool(lacking)
    for name in lacking:
        assert f"`{name}` is missing, which a record of kind {kind} needs" in detail({**PLAIN, "kind": kind})  # fmt: skip
        camel = re.sub("_(.)", lambda m: m[1].upper(), name)
        assert (f"call it `{name}`" in detail({**PLAIN, "kind": kind, camel: 1})) == (camel != name)


def test_all_problems_are_told_at_once_up_to_a_number() -> None:
    told = detail({"v": 1, "kind": "approval", "scope": [1] * 50, "payload_access": 0})
    for name in ("id", "time", "estate", "approved_by", "approves", "window"):
        assert f"`{name}` is missing" in told
    assert told.count("; ") == MOST_TOLD
    assert told.endswith(f"and {6 + 50 + 1 - MOST_TOLD} more")


def with_canary(schema: dict[str, Any]) -> Any:
    """A value with a secret in the place of every value and name."""
    if schema.get("type") == "object":
        inside = {name: with_canary(s) for name, s in schema["properties"].items()}
        return {**inside, CANARY: CANARY, "password": CANARY}
    if schema.get("type") == "array":
        return [with_canary(schema["items"]), CANARY, {CANARY: CANARY}]
    return CANARY


def test_no_error_repeats_the_records_text() -> None:
    full = with_canary(SCHEMA)
    broken = [{**full, "v": v, "kind": kind} for v in (1, 2, CANARY) for kind in (*KINDS, CANARY)]
    broken += [
        {**PLAIN, name: CANARY} for name in ("v", "kind", "time", "window", "scope", "action")
    ]
    done = fed(*broken)
    details = [letter.detail for letter in done.dead_letters if CANARY in letter.detail]
    assert (done.events, details) == ([], [])
    assert not any(letter.raw for letter in done.dead_letters)


@pytest.mark.parametrize(
    ("text", "reason", "told"),
    [
        (json.dumps(PLAIN)[:-1], "torn", "does not end"),
        (json.dumps(PLAIN)[:-9], "torn", "does not end"),
        (json.dumps(PLAIN)[:-1] + ",}", "unknown_layout", "no JSON from character"),
        (json.dumps(PLAIN)[:-1] + ', "estate": "x"}', "ambiguous", "stated twice"),
        (json.dumps(PLAIN)[:-1] + ', "a": {"b": [{"c\\u0064": 1, "cd": 2}]}}', "ambiguous", "twice"),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_told(text: str, reason: str, told: str) -> None:
    (letter,) = feed_lines([text]).dead_letters
    assert (letter.source, letter.reason) == ("support_session", reason)
    assert told in letter.detail


# Secrets in free text.


@pytest.mark.parametrize(
    "text",
    [
        f"password: {CANARY}", f"PASSWORD={CANARY}", f"the password is {CANARY}.", f"db_passwd => '{CANARY}'",
        f"Authorization: Bearer {CANARY}", f"use bearer {CANARY}", f"https://x.example.com/?a=1&sig={CANARY}&b=2",
        f"https://jane:{CANARY}@x.example.com/", f"eyJhbGciOiJIUzI1.{CANARY}.x", f"ghp_{CANARY}{CANARY}", f"xoxb-1-{CANARY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----", f'{{"apiKey": "{CANARY}"}}',
        f"pwd: a&b,{CANARY}", f"api key: {CANARY}", f"X-Amz-Security-Token={CANARY}",
    ],
)  # fmt: skip
def test_secrets_in_free_text_are_kept_nowhere(text: str) -> None:
    for where in ("reason_text", "recording", "notes"):
        for value in (text, [text], {"a": text}):
            if where != "notes" and value is not text:
                continue
            done = fed({**SESSION, where: value, "approved_for": "User:vendor-rt"})
            (event,) = done.events
            assert CANARY.encode() not in event.ocsf + event.raw + repr(event).encode()
            assert event.actor == "User:vendor-rt"
            assert orjson.loads(event.raw)["approved_for"] == "User:vendor-rt"


def test_values_of_fields_that_are_called_as_secrets_are_kept_nowhere() -> None:
    more = {"apiToken": CANARY, "jira": {"client_secret": [CANARY, {"x": CANARY}]}, "password": 4711_4711}  # fmt: skip
    (event,) = fed({**SESSION, **more, "window": {**WINDOW, "token": CANARY}}).events
    assert CANARY.encode() not in event.ocsf + event.raw
    assert b"47114711" not in event.ocsf + event.raw


def test_what_a_secret_is_spelt_like_stays_in_the_fields_that_say_who() -> None:
    document = said({**SESSION, "reason_text": "password: User:vendor-rt"})
    assert document["actor"]["user"]["uid"] == "User:vendor-rt"
    assert document["auditstream"]["support"]["reason_text"] == "password: [redacted]"


def test_a_record_without_secrets_is_kept_as_it_was_said() -> None:
    line = json.dumps({**SESSION, "x": [1, {"y": None}]}, indent=None, separators=(" ,  ", " : "))
    (event,) = feed_lines([line]).events
    assert event.raw == line.encode()


@pytest.mark.parametrize("levels", [DEEPEST - 1, DEEPEST + 1, 200, 900])
def test_nested_fields_are_kept_as_deep_as_anybody_looks(levels: int) -> None:
    line = json.dumps(SESSION)[:-1] + ', "x": ' + "[" * levels + '"bottom"' + "]" * levels + "}"
    (event,) = feed_lines([line]).events
    assert (b"bottom" in event.ocsf) == (levels < DEEPEST)


# Recognising.


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "requestObject": {"v": 1, "estate": "e"}},
        {"kind": "Event", "v": 1, "metadata": {"estate": "e"}},
        {"eventVersion": "1.08", "requestParameters": {"v": 1, "kind": "request", "estate": "e"}},
        {"version": "0", "source": "aws.s3", "detail": {"v": 1, "kind": "action", "estate": "e"}},
        {"Records": [PLAIN]},
        {"message": json.dumps(PLAIN)},
        {"a": "v", "b": "kind", "c": "estate"},
    ],
)  # fmt: skip
def test_other_documents_are_not_taken(document: dict[str, Any]) -> None:
    assert SOURCE.recognise is not None
    assert not SOURCE.recognise(json.dumps(document))


def test_records_with_mistakes_are_recognised() -> None:
    assert SOURCE.recognise is not None
    for change in ({"v": "1"}, {"kind": 7}, {"estate": None}, {"eventVersion": "1.08"}):
        assert SOURCE.recognise(json.dumps({**PLAIN, **change}))
    for left_out in ("v", "kind", "estate", "id", "time"):
        some = {name: value for name, value in PLAIN.items() if name != left_out}
        assert SOURCE.recognise(json.dumps(some))
        assert f"`{left_out}` is missing" in detail(some)


@given(st.text() | st.text(alphabet='{}"vkindestate:\\[] ').map(lambda text: "{" + text))
def test_recognising_never_raises(text: str) -> None:
    assert SOURCE.recognise is not None
    assert SOURCE.recognise(text) in (True, False)


@pytest.mark.parametrize(
    "unit",
    ['"v":', '"v" ', '{"v":', "password:", "password=&", "://a:b", "eyJ", "-----BEGIN ", "token is ", '\\"', "&a", "[", "bearer ", "secret"],
)  # fmt: skip
def test_time_grows_with_length_and_no_faster(unit: str) -> None:
    def prepared(size: int) -> Callable[[], object]:
        text = unit * (size // len(unit))
        lines = [json.dumps({**PLAIN, "reason_text": text, text: text}), "{" + json.dumps(PLAIN) + text]  # fmt: skip
        return lambda: feed_lines(lines)

    grows_no_faster(prepared, 16 * 1024, 128 * 1024)
