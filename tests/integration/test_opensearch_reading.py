"""Reading OpenSearch: who may, what is left behind, and what happens when it goes away."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client

from pipeline.cli.stores import CA, PASSWORD, USERNAME
from pipeline.errors import StoreError
from pipeline.lab.opensearch import OpenSearch
from pipeline.query import Query, make
from pipeline.sinks import opensearch_pages as pages
from pipeline.sinks.opensearch_query import OpenSearchReader
from pipeline.sinks.reading import Row
from pipeline.sinks.sqlite_query import SqliteReader
from tests.commands import exit_status, start
from tests.indexed import fill
from tests.medley import store
from tests.runtimes.kafka.running import eventually
from tests.stores import clear, put_templates

EVENTS = 3_000


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    with OpenSearch(tmp_path_factory.mktemp("opensearch")) as running:
        yield running


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return store(tmp_path_factory.mktemp("medley") / "s.db", EVENTS)


@pytest.fixture(scope="module")
def expected(embedded: Path) -> list[bytes]:
    """Ids of all events, in order."""
    with closing(SqliteReader(embedded)) as reader:
        return [row["id"] for row in reader.events(Query())]


@pytest.fixture(scope="module")
def filled(node: OpenSearch, embedded: Path) -> None:
    with closing(node.client()) as client:
        fill(client, embedded)


@pytest.fixture
def client(node: OpenSearch, filled: None) -> Iterator[Client]:
    with closing(node.client()) as found:
        yield found


@pytest.fixture
def reader(node: OpenSearch, client: Client) -> Iterator[OpenSearchReader]:
    """A reader, after which nothing is left."""
    with closing(OpenSearchReader(node.client())) as opened:
        yield opened
    nothing_is_left(client)


@pytest.fixture
def login(node: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads, as the environment says it."""
    monkeypatch.setenv(USERNAME, "admin")
    monkeypatch.setenv(PASSWORD, node.users["admin"])
    monkeypatch.setenv(CA, str(node.certificates.ca))


def nothing_is_left(client: Client, timeout_s: float = 60) -> None:
    """No point in time is kept, and no search under way."""

    def gone() -> bool:
        kept = client.transport.perform_request("GET", "/_search/point_in_time/_all")
        tasks = client.tasks.list(params={"actions": "*search*,*point_in_time*"})
        # This very question is one of them.
        running = [
            task
            for one in tasks["nodes"].values()
            for task in one["tasks"].values()
            if "get" not in task["action"]
        ]
        return not kept["pits"] and not running

    eventually(gone, "OpenSearch to keep nothing for a reader", timeout_s)


def ids(rows: Iterator[Row]) -> list[bytes]:
    return [row["id"] for row in rows]


def test_the_environment_says_who_reads(
    node: OpenSearch, client: Client, login: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("events", "--limit", "3", "--format", "jsonl", "--store", node.url) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    nothing_is_left(client)


def test_the_configuration_says_who_reads(
    node: OpenSearch, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "auditstream.toml"
    config.write_text(
        f'store = "{node.url}"\n[opensearch]\nusername = "admin"\n'
        f'password_file = "{node.password_file()}"\n'
        f'[opensearch.tls]\nca_file = "{node.certificates.ca}"\n'
    )
    assert exit_status("findings", "--limit", "1", "--format", "jsonl", "--config", config) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert exit_status("doctor", "--config", config) == 0
    assert f"ok   store {node.url}: it holds events" in capsys.readouterr().out
    assert exit_status("run", "--config", config, "--input", f"auto={config}") == 2
    assert "is not written here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (PASSWORD, "wrong", "401"),
        (PASSWORD, "", "$AUDITSTREAM_OPENSEARCH_PASSWORD is empty"),
        (USERNAME, "", "401"),
        (CA, "", "see opensearch.tls.ca_file"),
        (CA, "/nowhere", "/nowhere holds no PEM"),
    ],
)
def test_who_is_not_let_in_is_told_so(
    node: OpenSearch, login: None, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], variable: str, value: str, said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv(variable, value)
    for command in ("events", "findings", "dead-letters", "changes", "timeline"):
        assert exit_status(command, "--store", node.url) == 1
        out, complaint = capsys.readouterr()
        assert (out, said in complaint) == ("", True), complaint
        assert node.users["admin"] not in complaint


def test_no_more_is_asked_for_than_is_wanted(
    node: OpenSearch, filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = node.client()
    sizes: list[int] = []
    search = client.search

    def noted(**said: Any) -> Any:
        sizes.append(said["body"]["size"])
        return search(**said)

    monkeypatch.setattr(client, "search", noted)
    with closing(OpenSearchReader(client)) as reader:
        for limit, asked in ((1, [1]), (20, [20]), (120, [20, 100]), (121, [20, 100, 1])):
            sizes.clear()
            assert len(list(reader.events(Query(), limit))) == limit
            assert sizes == asked
        sizes.clear()
        assert len(list(reader.events(Query()))) == EVENTS
        assert sizes == [20, 100, *[500] * 6]


def test_whoever_stops_reading_leaves_nothing(reader: OpenSearchReader, client: Client) -> None:
    rows = reader.events(Query())
    next(rows)
    del rows
    nothing_is_left(client)
    held = [reader.events(Query()), reader.findings(Query()), reader.legs()]
    assert all(map(next, held))
    reader.close()
    nothing_is_left(client)


@pytest.mark.parametrize("how", ["interrupted", "terminated", "not read any more"])
def test_a_command_that_ends_early_leaves_nothing(
    node: OpenSearch, client: Client, login: None, tmp_path: Path, how: str
) -> None:
    process = start("events", "--format", "jsonl", "--store", node.url, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    if how == "interrupted":
        process.send_signal(signal.SIGINT)
    elif how == "terminated":
        process.terminate()
    process.stdout.close()
    status = process.wait(120)
    assert (status, process.stderr.read()) == (
        {"interrupted": 130, "terminated": 143, "not read any more": 0}[how],
        "",
    )
    process.stderr.close()
    nothing_is_left(client)


@pytest.mark.parametrize("after_s", [0.3, 0.6, 0.9])
def test_whenever_a_command_is_interrupted_it_leaves_nothing(
    node: OpenSearch, client: Client, login: None, tmp_path: Path, after_s: float
) -> None:
    process = start("timeline", "--store", node.url, cwd=tmp_path)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=120)
    # Python itself, interrupted before anything of ours is run, ends with 1.
    begun = process.returncode != 1 or "init_import_site" not in complaint
    assert not begun or process.returncode in (130, 0, -signal.SIGINT), complaint
    # Of one that it was just making nobody knew yet: OpenSearch looks each minute for what has not
    # been asked for a minute.
    nothing_is_left(client, 180)


def test_what_is_forgotten_meanwhile_is_asked_for_again(
    reader: OpenSearchReader, client: Client, expected: list[bytes]
) -> None:
    rows = reader.events(Query())
    found = [next(rows)["id"] for _ in range(50)]
    client.transport.perform_request("DELETE", "/_search/point_in_time/_all")
    assert found + ids(rows) == expected


def test_a_busy_moment_is_waited_for(
    reader: OpenSearchReader, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_PAUSES_S", (0.2, 0.5, 1, 2, 4, 8, 15))
    setting = "search.max_open_pit_context"
    client.cluster.put_settings(body={"persistent": {setting: 0}})
    soon = threading.Timer(
        1, client.cluster.put_settings, kwargs={"body": {"persistent": {setting: None}}}
    )
    soon.start()
    try:
        assert len(list(reader.events(Query(), 7))) == 7
    finally:
        soon.join()


def test_what_stays_busy_is_said(
    reader: OpenSearchReader, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_PAUSES_S", (0.01, 0.01))
    setting = "search.max_open_pit_context"
    client.cluster.put_settings(body={"persistent": {setting: 0}})
    try:
        with pytest.raises(StoreError, match=r"cannot search audit-.* 429 .*Point In Time"):
            list(reader.events(Query()))
    finally:
        client.cluster.put_settings(body={"persistent": {setting: None}})


@pytest.mark.parametrize(
    ("how", "forgotten"), [("deleted", False), ("deleted", True), ("closed", False)]
)
def test_an_index_that_goes_away_is_said(
    node: OpenSearch, client: Client, embedded: Path, expected: list[bytes], how: str,
    forgotten: bool,
) -> None:  # fmt: skip
    gone = "audit-long-term-2026.11"
    with closing(OpenSearchReader(node.client())) as reader:
        rows = reader.events(Query())
        next(rows)
        if forgotten:
            client.transport.perform_request("DELETE", "/_search/point_in_time/_all")
        if how == "deleted":
            client.indices.delete(index=gone)
        else:
            client.indices.close(index=gone)
        try:
            with pytest.raises(StoreError, match="an index was deleted or closed"):
                list(rows)
        finally:
            clear(client)
            fill(client, embedded)
        assert ids(reader.events(Query())) == expected


def test_where_there_is_nothing_a_hint_says_what_is_missing(
    node: OpenSearch, client: Client, embedded: Path, login: None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    clear(client)
    client.indices.delete_index_template(name="*")
    said = "auditstream: the store is not set up: `auditstream opensearch apply` does that\n"
    try:
        for command in ("events", "findings", "dead-letters", "changes", "timeline"):
            assert exit_status(command, "--store", node.url) == 0
            out, complaint = capsys.readouterr()
            assert out == "nothing found\n"
            assert set(complaint.splitlines(True)) == {said}
        put_templates(client)
        assert exit_status("findings", "--ip", "192.0.2.7", "--store", node.url) == 0
        assert tuple(capsys.readouterr()) == ("nothing found\n", "")
    finally:
        fill(client, embedded)


def test_a_foreign_index_of_such_a_name_is_passed_over(
    reader: OpenSearchReader, client: Client, expected: list[bytes]
) -> None:
    foreign: dict[str, Any] = {"time": "yesterday", "metadata": {"uid": "x"}, "message": "orders"}
    client.index(index="audit-of-others", body=foreign, params={"refresh": "true"})
    try:
        assert ids(reader.events(Query())) == expected
        assert len(list(reader.events(make(text="orders")))) > 100
    finally:
        client.indices.delete(index="audit-of-others")


def test_an_event_in_two_indices_is_one(
    reader: OpenSearchReader, client: Client, expected: list[bytes]
) -> None:
    one = client.search(index="audit-*", body={"size": 50})["hits"]["hits"]
    for hit in one:
        client.index(index="audit-standard-1999.01", id=hit["_id"], body=hit["_source"])
    client.indices.refresh(index="audit-*")
    try:
        assert ids(reader.events(Query())) == expected
    finally:
        client.indices.delete(index="audit-standard-1999.01")


def test_it_goes_on_after_a_restart_and_says_when_there_is_none(
    node: OpenSearch, filled: None, expected: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(OpenSearchReader(node.client())) as reader:
        rows = reader.events(Query())
        found = [next(rows)["id"]]
        node.kill()
        node.start()
        assert found + ids(rows) == expected
        rows = reader.events(Query())
        next(rows)
        node.kill()
        monkeypatch.setattr(pages, "_PAUSES_S", (0.01, 0.01))
        with pytest.raises(StoreError, match=r"cannot search audit-.* see whether it runs"):
            list(rows)
