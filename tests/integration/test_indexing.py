"""What workers index is what the embedded store holds, whatever happens to either."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client

from pipeline.lab.kafka import Kafka
from pipeline.lab.opensearch import OpenSearch
from schemas import indices
from tests.commands import exit_status
from tests.integration.test_stream import INCIDENT
from tests.logs import broker_lines, write
from tests.reconciled import Reconcile
from tests.replay.replays import log
from tests.runtimes.kafka.running import eventually
from tests.stores import begun, clear, each, indexed, put_templates, section
from tests.streams import StreamOn, View, embedded

pytestmark = pytest.mark.integration

RULES = """
[[retention]]
name = "long"
days = 2555
access_paths = ["control", "support"]
"""


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    with OpenSearch(tmp_path_factory.mktemp("opensearch"), security=False) as node:
        yield node


@pytest.fixture
def client(opensearch: OpenSearch) -> Iterator[Client]:
    found = opensearch.client()
    put_templates(found)
    clear(found)
    yield found
    found.close()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("inputs")
    said = (INCIDENT / "auditstream.toml").read_text("utf-8")
    said = said.replace('path = "', f'path = "{INCIDENT}/')
    path = folder / "broker.log"
    write(path, broker_lines(2_000, seed=1))
    path.write_bytes(path.read_bytes() + b"\xff not UTF-8\n[2026-11-21 10:00:00,000] INFO torn")
    return f'{said}\n[[inputs]]\npath = "{path}"\ncluster = "kafka-1"\nzone = "UTC"\n{RULES}'


@pytest.fixture(scope="module")
def expected(inputs: str, tmp_path_factory: pytest.TempPathFactory) -> View:
    folder = tmp_path_factory.mktemp("expected")
    config = folder / "auditstream.toml"
    config.write_text(inputs, "utf-8")
    return replace(embedded(config, folder), account={})


@pytest.fixture(scope="module")
def worked(
    kafka: Kafka, opensearch: OpenSearch, inputs: str, tmp_path_factory: pytest.TempPathFactory
) -> StreamOn:
    """A stream in which all is done but for the index."""
    folder = tmp_path_factory.mktemp("worked") / "s"
    config = inputs + section(opensearch)
    made = StreamOn(kafka, folder, "worked", config, partitions=2, batch_records=300)
    made.collect()
    with made.worker("ingest", "detect"):
        made.finish()
    return made


@pytest.fixture
def stream(worked: StreamOn, tmp_path: Path) -> StreamOn:
    """The same, read by groups that have read nothing yet."""
    said = worked.path.read_text("utf-8")
    path = tmp_path / "auditstream.toml"
    path.write_text(said.replace('group = "worked"', f'group = "{tmp_path.name}"'), "utf-8")
    return StreamOn(worked.kafka, tmp_path / "s", "worked", path)


def test_the_index_is_the_embedded_store(stream: StreamOn, client: Client, expected: View) -> None:
    with stream.worker("index") as worker:
        stream.finish(roles=("index",))
        assert indexed(client).differences(expected) == []
        assert worker.stop() == 0, worker.said
    names = {hit["_index"] for hit in each(client, indices.EVENTS)}
    assert any(name.startswith("audit-long-") for name in names)
    assert any(name.startswith("audit-standard-") for name in names)
    accounts = list(each(client, indices.ACCOUNTS))
    assert len(accounts) == len(stream.rows("accounts", "account"))
    # Every version that was said can be read, and the last of each is the one that counts.
    versions = {hit["_id"] for hit in each(client, indices.VERSIONS)}
    rows = stream.rows("findings", "finding")
    assert versions == {f"{row['id'].hex()}-{row['version']}" for row in rows}


def test_killed_at_every_point_and_done_again(
    stream: StreamOn, client: Client, expected: View
) -> None:
    for turn, point in enumerate(("index:before", "index:after", "offsets:after", "commit:after")):
        stream.dies("index", point, 1 + turn % 2)
    with stream.worker("index"), stream.worker("index"):
        stream.finish(roles=("index",))
    assert indexed(client).differences(expected) == []


def test_a_store_that_comes_and_goes_holds_the_work_up_and_nothing_else(
    stream: StreamOn, opensearch: OpenSearch, client: Client, expected: View
) -> None:
    opensearch.stop()
    try:
        with stream.worker("index") as worker:
            eventually(lambda: "waiting: OpenSearch" in worker.said, "it to find nobody there")
            # Whoever waits for OpenSearch lets go of its partitions: it will not come back before.
            assert worker.stop() == 0, worker.said
        with stream.worker("index") as first, stream.worker("index") as second:
            eventually(lambda: "waiting: OpenSearch" in second.said, "the second to find nobody")
            opensearch.start()
            eventually(client.ping, "it to be back")
            stream.finish(roles=("index",))
            assert not first.ended(), first.said
            assert not second.ended(), second.said
    finally:
        opensearch.start() if not client.ping() else None
    assert indexed(client).differences(expected) == []


def test_a_read_only_index_waits_for_whoever_sees_to_it(
    stream: StreamOn, client: Client, expected: View
) -> None:
    with stream.worker("index"):
        stream.eventually(lambda: begun(client), "the first events")
    months = {hit["_index"] for hit in each(client, indices.EVENTS)}
    blocked = ",".join(sorted(months))
    client.indices.put_settings(index=blocked, body={"index.blocks.write": True})
    # In a group of its own: the first may have been done before it was killed.
    path = stream.folder / "again.toml"
    said, group = stream.path.read_text("utf-8"), stream.config.kafka.group
    path.write_text(said.replace(f'group = "{group}"', f'group = "{group}-2"'), "utf-8")
    again = StreamOn(stream.kafka, stream.folder / "again", "worked", path)
    with again.worker("index") as worker:
        again.eventually(lambda: "cluster_block_exception" in worker.said, "it to be refused")
        client.indices.put_settings(index=blocked, body={"index.blocks.write": None})
        again.finish(roles=("index",))
    assert indexed(client).differences(expected) == []


def test_an_event_stays_in_the_class_it_was_indexed_in(
    stream: StreamOn, client: Client, expected: View
) -> None:
    with stream.worker("index"):
        stream.finish(roles=("index",))
    before = {hit["_id"]: hit["_index"] for hit in each(client, indices.EVENTS)}
    # The same lines once more, by those who know nothing of the first time and go by other rules.
    said = stream.path.read_text("utf-8").replace('name = "long"', 'name = "longer"')
    again = stream.folder / "again.toml"
    again.write_text(said.replace('prefix = "worked"', 'prefix = "again"'), "utf-8")
    other = StreamOn(stream.kafka, stream.folder / "again", "again", again)
    other.collect("--progress", str(stream.folder / "other.db"))
    with other.worker("ingest", "detect", "index"):
        other.finish()
        other.finish(roles=("index",))
    assert {row["retention"] for row in other.rows("events", "audit_event")} > {"longer"}
    after = {hit["_id"]: hit["_index"] for hit in each(client, indices.EVENTS)}
    assert after == before
    assert indexed(client).differences(expected) == []


def test_without_its_templates_nothing_is_indexed(stream: StreamOn, client: Client) -> None:
    client.indices.delete_index_template(name="test-auditstream-findings")
    with stream.worker("index") as worker:
        eventually(worker.ended, "it to end")
        assert "no index template auditstream-findings; run `auditstream opensearch" in worker.said
    assert not list(each(client, indices.EVENTS))


@pytest.fixture
def replay(
    opensearch: OpenSearch, client: Client, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """What a replay upon OpenSearch says to programs."""

    def said(config: Path, *more: str) -> Any:
        client.indices.refresh(index="audit-*")
        capsys.readouterr()
        of = ("--config", config, "--store", opensearch.url)
        assert exit_status("replay", *of, "--json", *more) == 0
        return json.loads(capsys.readouterr().out)

    return said


def test_a_replay_adds_to_the_stream_what_it_would_be_by_todays_configuration(
    kafka: Kafka, opensearch: OpenSearch, client: Client, replay: Callable[..., Any],
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    log(tmp_path / "server.log")
    then = f'max_record_bytes = 1024\n[[inputs]]\npath = "{tmp_path}/server.log"\n'
    stream = StreamOn(kafka, tmp_path / "s", "replayed", then + section(opensearch), partitions=2)
    stream.collect()
    with stream.worker("ingest", "detect", "index"):
        stream.finish(roles=("ingest", "detect", "index"))
    letters = stream.view().dead_letters
    assert len(letters) == 36
    today, other = stream.folder / "today.toml", stream.folder / "other.toml"
    text = stream.path.read_text("utf-8").replace("max_record_bytes = 1024\n", "")
    today.write_text(text, "utf-8")
    shown = replay(today)
    assert shown["applied"] is False
    assert (shown["events"]["new"], shown["resolved"]) == (36, {"too_long": 36})
    # Who is who changes what is there already, and topics take nothing back.
    other.write_text(f'{text}\n[[principals]]\npattern = "User:app-1*"\nkind = "human"\n', "utf-8")
    found = replay(other, "--apply")
    assert found["applied"] is True
    assert (found["events"]["new"], found["events"]["changed"]) == (36, 0)
    assert found["not_applied"]["kept"] == {"event": 61, "letter": 0}
    with stream.worker("detect", "index"):
        stream.finish(roles=("detect", "index"))
    (tmp_path / "fresh").mkdir()
    expected = embedded(today, tmp_path / "fresh")
    assert _but_for_records(indexed(client), 1) == replace(
        expected, account={}, dead_letters=letters
    )

    # What was resolved is listed no more, accounts and topics agree, and nothing is left to do.
    assert exit_status("dead-letters", "--config", today, "--store", opensearch.url) == 0
    assert "too_long" not in capsys.readouterr().out
    reconciled = Reconcile(today, capsys)()
    assert reconciled.differences == []
    assert reconciled.total("events", "index") == len(expected.events) + 1
    again = replay(today, "--apply")
    assert again["applied"] is False
    assert (again["events"]["new"], again["resolved"]) == (0, {})


def _but_for_records(view: View, count: int) -> View:
    """A view without the events that say that something was replayed, of which there are so many."""
    records = {
        i for i, said in view.events.items() if said["metadata"]["log_name"] == "auditstream.replay"
    }
    assert len(records) == count
    return replace(view, events={i: e for i, e in view.events.items() if i not in records})
