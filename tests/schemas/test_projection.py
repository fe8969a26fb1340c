"""The OCSF documents state the columns, and are OCSF 1.8.0 whatever the lines hold."""

import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import orjson
import pytest

from pipeline.batch import Fact
from pipeline.stages.project import document, project
from schemas.avro import Column, schema
from schemas.findings import document as finding_document
from schemas.index_template import column_paths
from schemas.types import Event, Finding, columns
from schemas.vocabulary import (
    ACCOUNT_CHANGE,
    API_ACTIVITY,
    APPLICATION_LIFECYCLE,
    AUTHENTICATION,
    AUTHORIZE_SESSION,
    CLASS_NAMES,
    DETECTION_FINDING,
    ENTITY_MANAGEMENT,
    GROUP_MANAGEMENT,
    OTHER_ACTIVITY,
    REQUIRED,
    REQUIRED_OF_ALL,
    SEVERITY_NAMES,
    USER_ACCESS,
    FindingStatus,
    Outcome,
)
from tests.feed import feed_lines
from tests.schemas import made
from tests.schemas.ocsf import attribute, class_of, needs_ocsf, validator
from tests.sources.golden import load, paths

Rows = Callable[[], list[Event | Finding]]
PRODUCT = {"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"}
NEEDED: dict[int, dict[str, Any]] = {
    AUTHENTICATION: {"service": {"name": "kafka"}},
    USER_ACCESS: {"user": {"name": "alice"}, "privileges": ["READ"]},
    APPLICATION_LIFECYCLE: {"app": {"name": "kafka"}},
}
"""What only a source can say, of the classes that demand it."""


def projected(
    event: Event, logged: int | None = None, received: int = 0, **said: Any
) -> dict[str, Any]:
    """The document of an event that no line was needed for."""
    fact = Fact(event, **said)
    project(fact, PRODUCT, logged, received)
    found: dict[str, Any] = orjson.loads(event.ocsf)
    return found


def sparse() -> Iterator[Event]:
    """Events of which next to nothing is known."""
    for class_uid in sorted(set(REQUIRED) - {DETECTION_FINDING}):
        for activity_id in (0, 1, OTHER_ACTIVITY):
            for outcome in Outcome:
                event = Event(0, class_uid, activity_id, outcome.value, "a_source", id=bytes(16))
                projected(event, document=NEEDED.get(class_uid, {}))
                yield event


def full() -> Event:
    """An event that states whatever an event can state."""
    event = Event(
        1, API_ACTIVITY, 3, "success", "a_source", id=bytes(16), actor="User:alice",
        address="192.0.2.7", resource_type="Topic", resource="payments", operation="ALTER",
        session="S-1", ticket="T-1", leg="request", forgery="imitation", rule="SuperUser",
    )  # fmt: skip
    event.carriage.late = True
    projected(event, 2, 3, stamp="now", uid="own-id")
    return event


def cloud() -> list[Event]:
    """Events of a cloud: its lines are the source's examples."""
    examples = [load(path) for path in paths() if path.parent.name == "aws_cloudtrail"]
    return [event for each in examples for event in feed_lines(each["lines"]).events]


def retired() -> Iterator[Finding]:
    """Every status at every severity, with nothing and with everything to say."""
    for status in FindingStatus:
        for severity_id in SEVERITY_NAMES:
            for actor, address in (("", ""), ("User:alice", ""), ("", "2001:db8::7%eth0")):
                found = Finding(
                    bytes(16), severity_id, status.value, "a_detector", "a=b", "default",
                    severity_id, 0, 1, 0, True, True, actor, address, (), (bytes(16),),
                )  # fmt: skip
                found.ocsf = finding_document(
                    found, title="", message="", analytic="", attacks=(), triage=()
                )
                yield found


@cache
def events() -> list[Event | Finding]:
    """Events out of lines, and such as no line makes yet."""
    return [*made.events(), *sparse(), full(), *cloud()]


@cache
def findings() -> list[Event | Finding]:
    """Findings out of events, and such as no detector makes yet."""
    return [*made.findings(), *retired()]


@cache
def documents() -> list[dict[str, Any]]:
    """The documents of all of them."""
    return [orjson.loads(row.ocsf) for row in (*events(), *findings())]


ROWS = pytest.mark.parametrize(
    ("name", "rows"), [("audit_event", events), ("finding", findings)], ids=["events", "findings"]
)


def stated(said: Any, path: str) -> list[Any]:
    """All that a document states at a path, arrays passed through."""
    for name in path.split("."):
        items = said if isinstance(said, list) else [said]
        said = [item[name] for item in items if name in item]
        said = [one for value in said for one in (value if isinstance(value, list) else [value])]
    return said if isinstance(said, list) else [said]


def in_json(value: Any) -> Any:
    """A column's value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    return [in_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def instead(column: Column, class_uid: int) -> str:
    """Where a class states a column whose path it does not have; empty: nowhere."""
    return column.instead.get(str(class_uid), "")


def offences(name: str, row: Event | Finding) -> Iterator[str]:
    """Columns that a row's document does not state as the row has them."""
    said, values = orjson.loads(row.ocsf), columns(row)
    for column in schema(name).columns:
        if not column.path:
            continue
        value: Any = values
        for part in column.name.split("."):
            value = value[part]
        value = in_json(value)
        expected = value if isinstance(value, list) else [value]
        found = stated(said, column.path) or stated(said, instead(column, said["class_uid"]))
        empty = value == "" and found in ([], [""])
        if not empty and orjson.dumps(found) != orjson.dumps(expected):
            yield f"{column.name}: {value!r} is at {column.path} as {found!r}"


@ROWS
def test_documents_state_every_column(name: str, rows: Rows) -> None:
    found = [offence for row in rows() for offence in offences(name, row)]
    assert not found


@needs_ocsf
def test_documents_are_ocsf() -> None:
    found = [(wrong, said) for said in documents() for wrong in validator().problems(said)]
    assert not found


def test_documents_state_what_ocsf_demands() -> None:
    """What of the validator's work needs no schema."""
    for said in documents():
        uid, activity_id = said["class_uid"], said["activity_id"]
        assert {*REQUIRED_OF_ALL, *REQUIRED[uid]} <= set(said)
        assert said["class_name"] == CLASS_NAMES[uid]
        assert said["category_uid"] == uid // 1000
        assert said["type_uid"] == uid * 100 + activity_id
        assert (activity_id == OTHER_ACTIVITY) == ("activity_name" in said)
        assert {"version", "product", "uid", "log_name"} <= set(said["metadata"])
        if uid == AUTHENTICATION:
            assert said["service"]["name"]
        if "src_endpoint" in said:
            assert stated(said, "src_endpoint.ip") or said["src_endpoint"]["name"]


@needs_ocsf
def test_what_ocsf_demands_is_as_ocsf_says() -> None:
    for uid, names in REQUIRED.items():
        demanded = {
            name
            for name, said in class_of(uid)["attributes"].items()
            if said["requirement"] == "required"
            and (not said.get("profile") or name in ("actor", "api"))
        }
        assert demanded == {*REQUIRED_OF_ALL, *names}


@needs_ocsf
@pytest.mark.parametrize("name", ["audit_event", "finding"])
def test_paths_are_ocsfs_or_in_the_extension(name: str) -> None:
    of = [2004] if name == "finding" else sorted(set(REQUIRED) - {DETECTION_FINDING})
    both = (*schema(name).columns, *schema(name).beside)
    unknown = [
        path
        for column in both
        for path in column_paths(column)
        if path
        and not path.startswith("auditstream.")
        and not any(attribute(uid, path) for uid in of)
    ]
    assert not unknown


@ROWS
def test_what_is_declared_beside_the_columns_is_stated_by_some(name: str, rows: Rows) -> None:
    made_of = [orjson.loads(row.ocsf) for row in rows()]
    never = [
        column.path
        for column in schema(name).beside
        if not any(stated(said, column.path) for said in made_of)
    ]
    assert not never


@needs_ocsf
def test_a_column_stands_elsewhere_only_where_its_path_is_none_of_the_classes() -> None:
    for column in schema("audit_event").columns:
        for uid, path in column.instead.items():
            assert attribute(int(uid), path)
            assert not attribute(int(uid), column.path)


@pytest.mark.parametrize(
    ("class_uid", "name"),
    [(ENTITY_MANAGEMENT, "entity"), (ACCOUNT_CHANGE, "user"), (GROUP_MANAGEMENT, "group")],
)
def test_what_an_event_is_about_stands_where_its_class_has_it(class_uid: int, name: str) -> None:
    event = Event(0, class_uid, 1, "success", "a_source", id=bytes(16), resource="ops",
                  resource_type="Kind")  # fmt: skip
    said = projected(event, document={name: {"uid": "full-name"}, "metadata": {"log_version": "1"}})
    assert said[name] == {"name": "ops", "type": "Kind", "uid": "full-name"}
    assert "resources" not in said
    assert said["metadata"]["log_version"] == "1"
    assert said["metadata"]["log_name"] == "a_source"


def test_whose_session_is_authorised_a_source_may_say() -> None:
    event = Event(0, AUTHORIZE_SESSION, 1, "success", "a_source", id=bytes(16), actor="approver")
    assert projected(event)["user"]["uid"] == "approver"
    assert projected(event)["privileges"] == []
    said = projected(event, document={"user": {"name": "engineer"}, "privileges": ["READ"]})
    assert (said["user"], said["privileges"]) == ({"name": "engineer"}, ["READ"])
    assert said["actor"]["user"]["uid"] == "approver"


def test_ids_times_and_names_stand_where_the_issue_says() -> None:
    event = full()
    said = orjson.loads(event.ocsf)
    assert said["metadata"]["uid"] == event.id.hex()
    assert said["metadata"]["original_event_uid"] == "own-id"
    assert said["metadata"]["original_time"] == "now"
    assert said["metadata"]["log_name"] == "a_source"
    assert said["metadata"]["logged_time"] == 2
    assert said["time"] == 1
    for found in findings():
        said = orjson.loads(found.ocsf)
        assert said["metadata"]["uid"] == said["finding_info"]["uid"] == found.id.hex()
        assert isinstance(found, Finding)
        assert said["auditstream"]["version"] == found.version


@pytest.mark.parametrize(
    ("actor", "user"),
    [
        ("User:alice", {"uid": "User:alice", "name": "alice", "type_id": 1}),
        ("User:a:b", {"uid": "User:a:b", "name": "a:b", "type_id": 1}),
        ("alice", {"uid": "alice", "name": "alice", "type_id": 1}),
        ("User:", {"uid": "User:", "name": "User:", "type_id": 1}),
        (":bob", {"uid": ":bob", "name": "bob", "type_id": 1}),
        ("", {"name": "Unknown", "type_id": 0}),
    ],
)
def test_a_principal_is_a_user(actor: str, user: dict[str, Any]) -> None:
    event = Event(0, AUTHENTICATION, 1, "failure", "a_source", id=bytes(16), actor=actor)
    said = projected(event)
    assert said["actor"]["user"] == said["user"] == user


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("192.0.2.7", {"ip": "192.0.2.7"}),
        ("2001:db8:0:0:0:0:0:7%eth0", {"ip": "2001:db8::7"}),
        ("192.0.2.0/24", {"name": "192.0.2.0/24"}),
        ("broker-1.example", {"name": "broker-1.example"}),
        ("", {"name": "Unknown", "type_id": 0}),
    ],
)
def test_what_is_no_address_is_an_endpoints_name(host: str, endpoint: dict[str, Any]) -> None:
    (event,) = made.engine([made.decision(host=host).encode()]).events
    assert orjson.loads(event.ocsf)["src_endpoint"] == endpoint


def test_a_port_without_an_address_stays() -> None:
    event = Event(0, AUTHENTICATION, 1, "failure", "a_source")
    said = document(Fact(event, document={"src_endpoint": {"name": "", "port": 1}}), PRODUCT, None)
    assert said["src_endpoint"] == {"name": "Unknown", "type_id": 0, "port": 1}


def test_a_kept_document_takes_no_more_memory_than_it_is_long() -> None:
    event, documents = full(), []
    tracemalloc.start()
    try:
        for _ in range(200):
            project(Fact(event), PRODUCT, None)
            documents.append(event.ocsf)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1.5 * sum(map(len, documents))


def test_a_sub_technique_has_its_technique_above_it() -> None:
    found = next(f for f in made.findings() if f.detector == "log_forgery")
    attacks = orjson.loads(found.ocsf)["finding_info"]["attacks"]
    assert attacks[0]["technique"] == {"uid": "T1565"}
    assert attacks[0]["sub_technique"]["uid"] == "T1565.001"
    assert attacks[1]["technique"] == {"uid": "T1070", "name": "Indicator Removal"}
