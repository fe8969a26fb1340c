"""What is missing, surplus or late between accounts, topics and index is named, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from opensearchpy import OpenSearch as Client

from pipeline.lab.kafka import Kafka
from pipeline.lab.opensearch import OpenSearch
from pipeline.runtimes.kafka import acls
from pipeline.sinks import opensearch_scan
from pipeline.sinks.opensearch_plan import apply
from pipeline.sinks.opensearch_roles import AUDITOR
from pipeline.streaming import Streaming
from schemas import indices
from schemas.types import AccountOf, Event, row_of
from schemas.wire import encoder
from tests.awaited import give, take
from tests.commands import exit_status
from tests.integration.test_rights import bindings, granted
from tests.integration.test_stream import INCIDENT
from tests.logs import broker_lines, write
from tests.reconciled import Reconcile, put, remove, some, without
from tests.runtimes.kafka.secured import as_user, secured, written
from tests.stores import section
from tests.streams import QUICK, StreamOn

pytestmark = pytest.mark.integration

RULES = """
[[retention]]
name = "long"
days = 2555
outcomes = ["failure"]
"""
STREAM = Streaming(prefix="r", group="r", partitions=2, batch_records=100)
IN_A_WEEK = int(time.time() + 7 * 86_400) * 1000


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with secured(tmp_path_factory.mktemp("broker"), QUICK) as broker:
        yield broker


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    folder = tmp_path_factory.mktemp("opensearch")
    with OpenSearch(folder, users={"auditor": "auditor-password"}) as node:
        yield node


@pytest.fixture(scope="module")
def client(opensearch: OpenSearch) -> Iterator[Client]:
    """As who may do anything; the auditor is made what `apply` makes of one."""
    found = opensearch.client()
    apply(found, opensearch.storage(), (), lambda _: None)
    mapping = f"/_plugins/_security/api/rolesmapping/{AUDITOR}"
    found.transport.perform_request("PUT", mapping, body={"users": ["auditor"]})
    yield found
    found.close()


@dataclass
class Estate:
    """A stream worked off to the last document, and how it is compared: with the least rights.

    Tests leave it as they found it, but for the last ones.
    """

    stream: StreamOn
    config: Path


@pytest.fixture(scope="module")
def estate(
    kafka: Kafka, opensearch: OpenSearch, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> Estate:
    folder = tmp_path_factory.mktemp("stream")
    inputs = (INCIDENT / "auditstream.toml").read_text("utf-8")
    inputs = inputs.replace('path = "', f'path = "{INCIDENT}/')
    path = folder / "broker.log"
    write(path, broker_lines(300, seed=1))
    path.write_bytes(path.read_bytes() + b"\xff not UTF-8\n[2026-11-21 10:00:00,000] INFO torn")
    inputs += f'\n[[inputs]]\npath = "{path}"\ncluster = "kafka-1"\nzone = "UTC"\n{RULES}'
    said = STREAM.model_copy(update={"folder": str(folder / "work")})
    whole = written(
        folder / "admin.toml", as_user(kafka, folder, "admin", said), inputs + section(opensearch)
    )
    made = StreamOn(kafka, folder / "s", "r", whole)
    made.collect()
    with made.worker("ingest", "detect"), made.worker("index"):
        made.finish()
        made.finish(roles=("index",))
    allowed = granted(kafka, folder, said, "reconcile")
    login = section(opensearch, user="auditor")
    return Estate(made, written(folder / "reconcile.toml", allowed, RULES + login))


@pytest.fixture
def stream(estate: Estate) -> StreamOn:
    return estate.stream


@pytest.fixture
def reconcile(estate: Estate, capsys: pytest.CaptureFixture[str]) -> Reconcile:
    return Reconcile(estate.config, capsys)


def test_all_is_well(
    reconcile: Reconcile, stream: StreamOn, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = reconcile()
    assert said.differences == []
    assert "remark" not in said.by_type
    view = stream.view()
    for kind, expected in (
        ("events", len(view.events)),
        ("dead letters", len(view.dead_letters)),
        ("findings", len({row["id"] for row in stream.rows("findings", "finding")})),
        ("versions of findings", len(stream.rows("findings", "finding"))),
        ("changes", len({row["id"] for row in stream.rows("changes", "change")})),
        ("accounts", len(stream.rows("accounts", "account"))),
    ):
        assert expected
        assert (said.total(kind, "topic"), said.total(kind, "index")) == (expected, expected), kind
    assert sum(p["items"] for p in said.by_type["partition"]) == view.account["items"]
    assert sum(p["unread"] for p in said.by_type["partition"]) == 0
    sums = {one["name"]: one for one in said.by_type["sum"]}
    assert sums["events"]["least"] == sums["events"]["most"] == view.account["events"]
    assert sums["events"]["ids"] == len(view.events)
    # However many pages it takes, and none of the views they are read from is left behind.
    monkeypatch.setattr(opensearch_scan, "_PAGE", 7)
    assert reconcile().by_type["day"] == said.by_type["day"]
    left = client.transport.perform_request("GET", "/_search/point_in_time/_all")
    assert not left["pits"]
    status, out = reconcile.run()
    assert status == 0
    assert out.endswith("Nothing is missing and nothing is surplus.\n")
    assert "kafka_authorizer" in out


# What is changed by hand in the index.


def test_a_document_deleted_and_a_dead_letter_hidden_are_named(
    reconcile: Reconcile, client: Client
) -> None:
    event, letter = some(client, indices.EVENTS), some(client, indices.DEAD_LETTERS)
    with without(client, event, letter):
        said = reconcile()
        assert said.differences == [
            ("missing", "dead letters", letter["_id"]),
            ("missing", "events", event["_id"]),
        ]
        found = {d["kind"]: d for d in said.by_type["difference"]}
        assert found["events"]["index"] == event["_index"]
        assert found["events"]["time"] == event["_source"]["time"]
        assert found["events"]["source"] == event["_source"]["metadata"]["log_name"]
        assert found["events"]["place"].startswith("r.events[")
        day = [day for day in said.by_type["day"] if day["missing"]]
        assert [(d["kind"], d["missing"], d["topic"] - d["index"]) for d in day] == [
            ("dead letters", 1, 1), ("events", 1, 1),
        ]  # fmt: skip
        status, out = reconcile.run()
        assert status == 1
        assert event["_id"] in out
        assert letter["_id"] in out
        assert out.endswith("2 differences: 1 dead letters missing, 1 events missing.\n")
        # What is asked for is compared, no more.
        at = event["_source"]["time"]
        assert ("missing", "events", event["_id"]) in reconcile("--since", str(at)).differences
        before = reconcile("--until", str(at)).differences
        assert before == [("missing", "dead letters", letter["_id"])]
    assert reconcile().differences == []


def test_what_is_surplus_or_in_a_wrong_place_is_named(reconcile: Reconcile, client: Client) -> None:
    event, other, third = (some(client, indices.EVENTS, number) for number in (3, 30, 300))
    made: tuple[tuple[str, str, dict[str, Any]], ...] = (
        (event["_index"], "0" * 32, event["_source"]),
        # Without an id of ours, twice in one index.
        (event["_index"], "by hand", {"time": 0}),
        (event["_index"], "by hand too", {}),
        (f"{event['_index']}x", other["_id"], other["_source"]),
        (f"{event['_index']}x", third["_id"], third["_source"]),
        (f"{indices.DEAD_LETTERS}-2026.01", "1" * 32, {"time": 1, "reason": "torn"}),
        (indices.CHANGES, "2" * 32, {"kind": "acl"}),
        (indices.ACCOUNTS, "r.raw.auto:0:999", {"topic": "r.raw.auto"}),
    )
    for index, name, document in made:
        put(client, index, name, document, 1)
    with without(client, third):
        assert reconcile().differences == sorted([
            ("surplus", "events", "0" * 32),
            ("surplus", "events", "by hand"),
            ("surplus", "events", "by hand too"),
            ("twice", "events", other["_id"]),
            ("elsewhere", "events", third["_id"]),
            ("surplus", "dead letters", "1" * 32),
            ("surplus", "changes", "2" * 32),
            ("surplus", "accounts", "r.raw.auto:0:999"),
        ])  # fmt: skip
    for index, name, _ in made:
        remove(client, index, name)
    assert reconcile().differences == []


def test_what_is_changed_says_so(reconcile: Reconcile, client: Client) -> None:
    change, version = some(client, indices.CHANGES), some(client, indices.VERSIONS)
    account = some(client, indices.ACCOUNTS)
    with without(client, version, account):
        put(client, account["_index"], account["_id"], account["_source"] | {"items": 10**6})
        remove(client, change["_index"], change["_id"])
        assert reconcile().differences == sorted([
            ("missing", "changes", change["_id"]),
            ("missing", "versions of findings", version["_id"]),
            ("differs", "accounts", account["_id"]),
        ])  # fmt: skip
    # It is known under which version it was deleted, and no earlier one is taken.
    later = change["_version"] + 10
    put(client, change["_index"], change["_id"], change["_source"], later)
    [found] = reconcile().by_type["difference"]
    assert (found["what"], found["id"]) == ("differs", change["_id"])
    assert found["why"] == f"version {later} is indexed, {change['_version']} is the last"


# What is changed by hand in the topics.


def test_a_missing_account_is_named(reconcile: Reconcile, stream: StreamOn) -> None:
    before = reconcile().differences
    rows = stream.rows("accounts", "account")
    [gone] = [row for row in rows if row["topic"] == "r.raw.auto" and row["start"]][2:3]
    producer = Producer(stream.settings | {"partitioner": "murmur2_random"})
    key = f"{gone['topic']}\0{gone['partition']}\0{gone['start']}".encode()
    producer.produce("r.accounts", None, key)
    producer.flush()
    said = reconcile()
    name = f"{gone['topic']}:{gone['partition']}:{gone['start']}"
    new = [("missing", "accounts", ""), ("surplus", "accounts", name)]
    assert said.differences == sorted(before + new)
    [chain] = [d for d in said.by_type["difference"] if d["what"] == "missing"]
    assert chain["place"] == f"{gone['topic']}[{gone['partition']}]"
    assert chain["why"].startswith(f"positions {gone['start']} up to {gone['end']} are in no")
    assert said.topic("accounts")["behind"] == 1
    producer.produce("r.accounts", encoder("account")(row_of(AccountOf, gone)), key)
    producer.flush()
    assert reconcile().differences == before


def test_each_right_is_needed(
    reconcile: Reconcile, stream: StreamOn, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = [
        binding
        for acl in acls.acls(STREAM, acls.principals([]))
        if acl.role == "reconcile"
        for binding in bindings(acls.command(STREAM, acl))
    ]
    admin = AdminClient(stream.settings)
    before = reconcile()
    for binding in printed:
        take(admin, [binding])
        status = exit_status("reconcile", "--config", reconcile.config, "--format", "jsonl")
        said = capsys.readouterr()
        if binding.name == "r.raw.":
            assert "r.raw.auto is not there, or not ours to see" in said.out
            assert "remark" not in before.by_type
        else:
            assert status == 1
            assert not said.out
            assert binding.name in said.err
        give(admin, [binding])
    assert reconcile().differences == before.differences


def test_a_stream_that_is_behind_and_one_that_lost_its_beginning(
    reconcile: Reconcile, stream: StreamOn, client: Client
) -> None:
    before = reconcile().differences
    write(stream.folder / "more.log", broker_lines(100, seed=9))
    stream.collect("--input", f"auto={stream.folder}/more.log")
    said = reconcile()
    assert said.differences == before
    assert sum(p["unread"] for p in said.by_type["partition"]) >= 100
    with stream.worker("ingest", "detect"):
        stream.finish()
    said = reconcile()
    assert said.differences == before
    waiting = said.total("events", "waiting")
    assert waiting > 50
    assert said.topic("events")["behind"] == waiting
    _send_odd_rows(stream)
    with stream.worker("index"):
        stream.finish(roles=("index",))
    said = reconcile()
    # One row is in no account: whoever wrote it was not of us.
    assert said.differences == sorted([*before, ("unbalanced", "events", "")])
    assert (said.total("events", "waiting"), said.total("events", "refused")) == (0, 1)
    assert said.topic("events")["unreadable"] == 1

    _lose_beginnings(stream)
    put(client, f"{indices.EVENTS}-standard-2026.01", "0" * 32, {"time": 1_767_225_600_000})
    put(client, f"{indices.EVENTS}-standard-2026.01", "1" * 32, {"time": IN_A_WEEK})
    said = reconcile()
    assert said.topic("events")["since"] > 0
    assert said.total("events", "older") > 100
    assert said.total("events", "missing") == 0
    assert ("surplus", "events", "1" * 32) in said.differences
    assert ("surplus", "events", "0" * 32) not in said.differences
    [events] = [one for one in said.by_type["sum"] if one["name"] == "events"]
    assert "the topic has lost its beginning" in events["remark"]


def _send_odd_rows(stream: StreamOn) -> None:
    """An event that OpenSearch does not take, and a record that is no row."""
    event = row_of(Event, stream.rows("events", "audit_event")[0])
    refused = replace(event, id=event.id[:6] + b"0123456789", ocsf=b'{"metadata": ')
    producer = Producer(stream.settings)
    producer.produce("r.events", encoder("audit_event")(refused), refused.id)
    producer.produce("r.events", b"garbage", b"x")
    producer.flush()


def _lose_beginnings(stream: StreamOn) -> None:
    """As retention does it, but for when."""
    admin = AdminClient(stream.settings)
    asked = [TopicPartition("r.events", number, 50) for number in range(2)]
    for future in admin.delete_records(asked).values():
        future.result(60)
