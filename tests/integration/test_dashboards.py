"""Every panel, asked of a real OpenSearch as OpenSearch Dashboards asks it, shows the incident.

OpenSearch Dashboards itself is in no registry of packages: what is sent to it is held against its
documentation by a server of ours.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch as Client

from dashboards.patterns import CHANGES, EVENTS, FINDINGS, Pattern, about
from dashboards.saved_objects import ndjson
from pipeline.changes.join import joined
from pipeline.changes.versions import settle_changes
from pipeline.config import Config, load
from pipeline.lab.certificates import Certificates
from pipeline.lab.opensearch import OpenSearch
from pipeline.retention.holds import Hold
from pipeline.retention.records import Who, added
from pipeline.retention.terms import Period
from pipeline.runtimes.kafka.ingesting import Ingesting, RawPartition
from pipeline.runtimes.kafka.leading import Leading
from pipeline.sinks.opensearch_documents import account, account_id, action, change, event
from pipeline.sinks.sqlite_query import SqliteReader
from pipeline.storage import STANDARD_DAYS
from schemas import indices
from schemas.types import AccountOf, row_of
from tests.commands import exit_status
from tests.dashboards.read import Object, Panel, body, flat, panels, shown
from tests.dashboards.server import serving
from tests.indexed import fill
from tests.integration.test_stream import INCIDENT
from tests.runtimes.kafka.test_ingesting import ENCODE, STATES, batch, records, rows

SINCE, UNTIL = 1795200000000, 1795260000000
LONG_AGO = -1_400_000_000_000
"""Where the period begins that a link asks for: 100 years back."""
STAMP = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})\] ")
ODD = b"""[1999-01-01 00:00:00,000] INFO Principal = User:alice is Denied operation = READ from \
host = 192.0.2.7 on resource = Topic:LITERAL:t for request = Fetch with resourceRefCount = 1 based \
on rule DefaultDeny (kafka.authorizer.logger)
\xff\xfe
[2026-11-21 08:50:00,000] INFO Principal = User:alice is \xff (kafka.authorizer.logger)
"""
"""Of a time that nobody can have meant, without one, and not to be read."""
NDJSON = ndjson()
PANELS = list(panels(NDJSON))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The incident, beside a file of oddities."""
    folder = tmp_path_factory.mktemp("incident")
    for path in INCIDENT.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "odd.log").write_bytes(ODD)
    return folder / "auditstream.toml"


@pytest.fixture(scope="module")
def client(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An OpenSearch that holds all of it."""
    store = tmp_path_factory.mktemp("store") / "s.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(config.parent)
        assert exit_status("run", "--config", config, "--store", store) == 0
    with (
        OpenSearch(tmp_path_factory.mktemp("opensearch"), security=False) as node,
        closing(node.client()) as found,
    ):
        fill(found, store, carried=UNTIL)
        lines = b"\n".join((*changes(store), *ingested(config), hold())) + b"\n"
        assert not found.bulk(body=lines)["errors"]
        found.indices.refresh(index="audit*")
        yield found


def changes(store: Path) -> Iterator[bytes]:
    with closing(SqliteReader(store)) as reader:
        there = [one for _, found in joined(reader.legs()) for one in found]
    for row in settle_changes(there, {}):
        yield action("index", indices.CHANGES)(row.id.hex()) + change(row)


def ingested(config: Path) -> Iterator[bytes]:
    """What role `ingest` makes of one file in two batches, each record given to Kafka a second and
    a half after its line was written: events, and where every record went."""
    said: Config = load(config)
    leading = Leading(said.kafka, ENCODE, "audit.counters", 4, said.estate_of)
    ingesting = Ingesting(said.plan(), said.active(), said.kafka, STATES, leading)
    lines = (config.parent / "kafka-request.log").read_text("utf-8").splitlines()
    taken, part = list(records(lines)), RawPartition({})
    for record in taken:
        found = STAMP.search(record.value.decode())
        assert found, record.value
        at = datetime.fromisoformat(f"{found[1]}.{found[2]}+00:00") + timedelta(seconds=1.5)
        record.timestamp = round(at.timestamp() * 1000)
    for piece in (taken[:20], taken[20:]):
        sent = list(ingesting.work(part, batch(piece)))
        for row in rows(sent, "audit.accounts", "account"):
            made = row_of(AccountOf, row)
            yield action("index", indices.ACCOUNTS)(account_id(made)) + account(made)
        for row in rows(sent, "audit.events", "audit_event"):
            index = indices.of_event(row["retention"], row["time"], UNTIL, STANDARD_DAYS)
            yield action("index", index)(row["id"].hex()) + event(row["ocsf"], row["raw"])


def hold() -> bytes:
    wanted = Hold("", Period(SINCE, UNTIL), "", "CASE-4711", "legal@example.com")
    said = added(wanted, Who("OS:alice"), UNTIL - 1)
    index = indices.of_event(said.retention, said.time, UNTIL, STANDARD_DAYS)
    return action("create", index)(said.id.hex()) + event(said.ocsf, said.raw)


def ask(
    client: Client, panel: Panel, asked: str = "", pattern: str = "", since: int = SINCE
) -> Object:
    """As OpenSearch Dashboards does: an index that is not there yet is no error."""
    said: Object = client.search(
        index=pattern or panel.searched,
        body=body(panel, since, UNTIL, asked),
        params={"ignore_unavailable": "true", "track_total_hits": "true"},
    )
    assert said["_shards"]["failed"] == 0, panel.title
    return said


@pytest.mark.parametrize("panel", PANELS, ids=lambda p: f"{p.dashboard}: {p.title}")
def test_no_panel_is_empty(client: Client, panel: Panel) -> None:
    answer = ask(client, panel)
    assert shown(panel, answer) > 0, orjson.dumps(body(panel, SINCE, UNTIL))
    if panel.kind == "search":
        hits = [flat(panel, hit) for hit in answer["hits"]["hits"]]
        nowhere = [name for name in panel.columns if all(hit.get(name) is None for hit in hits)]
        # Nothing of the incident took the place of another finding.
        assert nowhere in ([], ["auditstream.supersedes"]), panel.title


def one(title: str) -> Panel:
    return next(panel for panel in PANELS if panel.title == title)


def buckets(answer: Object) -> dict[Any, Object]:
    (outermost,) = answer["aggregations"].values()
    return {bucket["key"]: bucket for bucket in outermost["buckets"]}


def test_panels_count_what_is_there(client: Client) -> None:
    assert shown(one("Open findings"), ask(client, one("Open findings"))) == 17
    by = buckets(ask(client, one("Findings by severity")))
    assert {name: said["doc_count"] for name, said in by.items()} == {
        "Medium": 8, "High": 7, "Critical": 2,
    }  # fmt: skip
    assert ask(client, one("High and critical findings"))["hits"]["total"]["value"] == 9
    assert ask(client, one("Events without a time"))["hits"]["total"]["value"] == 1
    assert ask(client, one("Dead letters without a time"))["hits"]["total"]["value"] == 1
    delay = ask(client, one("Delay from event to Kafka"))
    for bucket in buckets(delay).values():
        assert [said["value"] for said in bucket["1"]["values"]] == [1500.0, 1500.0]
    (topic,) = buckets(ask(client, one("Completeness, by raw topic and partition"))).values()
    (found,) = topic["9"]["buckets"]
    numbers = [found[str(number)]["value"] for number in range(1, 8)]
    records_, items, events, redelivered, lost, start, end = numbers
    assert (records_, lost, redelivered, start) == (end, 0, 0, 0)
    assert items >= events > 0


def test_days_left_are_those_of_the_configuration(client: Client) -> None:
    title = "Retention classes, and days left"
    days = {"standard": 100_000, "short": 3}
    (panel,) = [p for p in panels(ndjson(days=days)) if p.title == title]
    found = buckets(ask(client, panel))
    age = (datetime.now(UTC).timestamp() * 1000 - UNTIL) / indices.DAY_MS
    assert found["standard"]["4"]["value"] == pytest.approx(100_000 - age, abs=2)
    # Auditstream's own records of holds are never removed.
    assert found[indices.OWN]["3"]["value"] is None
    # A class that is configured no more goes by the longest.
    (other,) = [p for p in panels(ndjson(days={"short": 3, "long": 50_000})) if p.title == title]
    left = buckets(ask(client, other))["standard"]["4"]["value"]
    assert left == pytest.approx(50_000 - age, abs=2)


def test_an_id_leads_to_all_that_names_it(client: Client) -> None:
    evidence = {p.searched: p for p in PANELS if p.dashboard == "auditstream · evidence"}
    assert set(evidence) == {pattern.title for pattern in (EVENTS, FINDINGS, CHANGES)}
    (told,) = [
        hit["_source"]
        for hit in ask(client, one("Open findings"))["hits"]["hits"]
        if hit["_source"]["finding_info"]["analytic"]["uid"] == "auth_failure_spike"
    ]
    name, events = told["metadata"]["uid"], told["auditstream"]["evidence"]

    def found(pattern: Pattern, id_: str) -> list[str]:
        answer = ask(client, evidence[pattern.title], about(id_), since=LONG_AGO)
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    assert found(FINDINGS, name) == [name]
    assert found(EVENTS, name) == []
    for one_event in (events[0], events[-1]):
        assert found(EVENTS, one_event) == [one_event]
        assert found(FINDINGS, one_event) == [name]
    changed = ask(client, one("Changes"))["hits"]["hits"][0]
    (leg, *_) = changed["_source"]["legs"]
    assert found(CHANGES, leg) == [changed["_id"]]
    assert found(CHANGES, changed["_id"]) == [changed["_id"]]
    assert found(EVENTS, leg) == [leg]


DOCS = Path(__file__).parent.parent.parent / "docs" / "dashboards.md"


def test_questions_of_the_documentation_find_something(client: Client) -> None:
    (block,) = re.findall(r"```lucene\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    questions = block.splitlines()
    assert len(questions) > 3
    for question in questions:
        assert ask(client, one("Timeline"), question)["hits"]["hits"], question


def test_before_there_is_an_index_panels_are_empty_and_no_error(client: Client) -> None:
    for panel in PANELS:
        answer = ask(client, panel, pattern=f"not-yet-{panel.searched}")
        assert answer["hits"]["hits"] == []


def test_the_fields_of_the_pattern_are_those_that_opensearch_has(client: Client) -> None:
    """Type, and whether it can be counted by, as OpenSearch itself says."""
    there = client.field_caps(index=EVENTS.title, params={"fields": "*"})["fields"]
    stated = one("Timeline").fields
    for name, said in stated.items():
        if not said["scripted"] and not name.startswith("_"):
            ((kind, caps),) = there[name].items()
            assert [kind] == said["esTypes"], name
            assert (caps["searchable"], caps["aggregatable"]) == (
                said["searchable"], said["aggregatable"],
            ), name  # fmt: skip
    ours = {name for name, caps in there.items() if "object" not in caps and name[0] != "_"}
    assert ours <= set(stated)


GOOD = orjson.dumps({"success": True, "successCount": 42, "successResults": []})


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDITSTREAM_DASHBOARDS_USERNAME", "alice")
    monkeypatch.setenv("AUDITSTREAM_DASHBOARDS_PASSWORD", "not-for-the-log")


def test_apply_sends_what_the_documentation_says(
    login: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = Certificates(tmp_path / "certificates", ["127.0.0.1"])
    monkeypatch.setenv("AUDITSTREAM_DASHBOARDS_CA", str(certificates.ca))
    with serving((200, GOOD), tls=certificates) as (url, told):
        given = ("--url", f"{url}/_dashboards/", "--tenant", "security team")
        assert exit_status("dashboards", "apply", *given) == 0
    assert f"42 saved objects in {url}/_dashboards" in capsys.readouterr().out
    ((path, headers, sent),) = told.requests
    assert path == "/_dashboards/api/saved_objects/_import?overwrite=true"
    assert headers["osd-xsrf"] == "true"
    assert headers["securitytenant"] == "security team"
    assert headers["Authorization"] == "Basic YWxpY2U6bm90LWZvci10aGUtbG9n"
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + sent)
    assert form.get_content_type() == "multipart/form-data"
    _, part = form.walk()
    assert part.get_param("name", header="content-disposition") == "file"
    assert part.get_filename() == "auditstream.ndjson"
    assert part.get_payload(decode=True) == ndjson()


def test_a_certificate_of_nobody_known_is_not_trusted(
    login: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certificates = Certificates(tmp_path / "certificates", ["127.0.0.1"])
    with serving((200, GOOD), tls=certificates) as (url, told):
        assert exit_status("dashboards", "apply", "--url", url, "--wait", "60") == 1
    assert told.requests == []
    assert "is not trusted" in capsys.readouterr().err


def test_a_tenant_is_named_only_if_one_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with serving((200, GOOD)) as (url, told):
        assert exit_status("dashboards", "apply", "--url", url) == 0
    ((path, headers, _),) = told.requests
    assert path == "/api/saved_objects/_import?overwrite=true"
    assert {"securitytenant", "Authorization"}.isdisjoint(headers)


PARTLY = orjson.dumps(
    {
        "success": False,
        "successCount": 41,
        "errors": [
            {
                "type": "search",
                "id": "auditstream-timeline",
                "error": {"type": "missing_references"},
            }
        ],
    }
)


@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (
            200,
            PARTLY,
            "did not take all of the saved objects: search auditstream-timeline: missing",
        ),
        (
            200,
            b'{"success": false}',
            "did not take all of the saved objects: it does not say which",
        ),
        (200, b'{"success": false, "errors": [3, {"error": 4}]}', "saved objects: 3, {'error': 4}"),
        (200, b"<html>", "does not answer as OpenSearch Dashboards; see dashboards.url"),
        (200, b"[]", "does not answer as OpenSearch Dashboards"),
        (302, b"", "it wants a login"),
        (307, b"", "write that address as dashboards.url"),
        (401, b"Unauthorized", "401: Unauthorized; see dashboards.username and its password"),
        (403, b'{"message":"no permissions"}', "403: no permissions; the login needs the role"),
        (404, b'{"error":"Not Found"}', "404: Not Found; see dashboards.url, with its base path"),
        (413, b"<html>\x1b[31m", "a proxy before it takes less"),
        (500, b"\xff" * 10_000, "answers 500"),
        (503, b"OpenSearch Dashboards server is not ready yet", "not ready yet; it may not have"),
    ],
)
def test_what_it_does_not_take_is_told(
    login: None, status: int, said: bytes, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving((status, said)) as (url, got):
        assert exit_status("dashboards", "apply", "--url", url) == 1
    # Nobody whom an answer names is sent anything, least of all the password.
    assert len(got.requests) == 1
    complaint = capsys.readouterr().err
    assert told in complaint
    assert complaint.count("\n") == 1
    assert complaint.rstrip("\n").isprintable()
    assert len(complaint) < 1_000
    assert "not-for-the-log" not in complaint


def test_one_that_starts_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    with serving((503, b"not ready yet"), (200, GOOD)) as (url, told):
        assert exit_status("dashboards", "apply", "--url", url, "--wait", "10") == 0
    assert len(told.requests) == 2
    assert "waiting: " in capsys.readouterr().err
