"""Bulk writing to a real OpenSearch that has no room, refuses, stalls, or goes away."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client

from pipeline.errors import StoreError
from pipeline.lab.addresses import free_ports
from pipeline.lab.opensearch import OpenSearch
from pipeline.sinks.opensearch import Bulk, Document, Refused, Sent
from pipeline.sinks.opensearch_client import connect
from pipeline.sinks.opensearch_documents import action
from tests.chaos.door import Door

pytestmark = pytest.mark.integration

CRAMPED = {"indexing_pressure.memory.limit": "3mb", "http.max_content_length": "1mb"}
TEXT = b"x" * 2_000


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """A node with room for little: a real 429 and a real 413."""
    folder = tmp_path_factory.mktemp("opensearch")
    with OpenSearch(folder, security=False, properties=CRAMPED) as node:
        yield node


@pytest.fixture
def client(opensearch: OpenSearch) -> Iterator[Client]:
    found = opensearch.client()
    found.indices.delete(index="test-*")
    body = {"mappings": {"properties": {"n": {"type": "integer"}}}}
    found.indices.create(index="test-1", body=body | {"settings": {"number_of_replicas": 0}})
    yield found
    found.close()


def documents(count: int, index: str = "test-1", verb: str = "create") -> list[Document]:
    line = action(verb, index)
    return [(line(str(n)), b'{"n":%d,"text":"%b"}' % (n, TEXT)) for n in range(count)]


def write(node: OpenSearch, several: list[Document], most: int = 8, **how: Any) -> list[Refused]:
    async def run() -> list[Refused]:
        bulk = Bulk(connect(replace_url(node, **how)), most)
        try:
            return await bulk.write(several)
        finally:
            bulk.close()

    return asyncio.run(run())


def replace_url(node: OpenSearch, port: int = 0, timeout_s: int = 60) -> Any:
    url = f"http://127.0.0.1:{port}" if port else node.url
    return node.storage().model_copy(update={"url": url, "timeout_s": timeout_s})


def count(client: Client, index: str = "test-1") -> int:
    client.indices.refresh(index=index)
    return int(client.count(index=index)["count"])


def test_more_than_there_is_room_for_is_written_all_the_same(
    opensearch: OpenSearch, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    # Sixteen requests of 700 KB at once: more than the node lets in.
    line = action("create", "test-1")
    several = [(line(str(n)), b'{"text":"%b"}' % (b"y" * 700_000)) for n in range(64)]
    with caplog.at_level(logging.WARNING):
        assert write(opensearch, several, most=16) == []
    assert count(client) == 64
    assert "rejected_execution_exception" in caplog.text


def test_what_goes_first_waits_for_none_of_the_rest(opensearch: OpenSearch, client: Client) -> None:
    line = action("create", "test-1")
    several = [(line(str(n)), b'{"text":"%b"}' % (b"y" * 700_000)) for n in range(64)]

    async def run() -> None:
        bulk = Bulk(connect(replace_url(opensearch)), 1)
        try:
            rest = asyncio.create_task(bulk.write(several))
            await asyncio.sleep(0.1)
            assert await bulk.write([(line("urgent"), b'{"n":1}')], first=True) == []
            assert not rest.done()
            assert await rest == []
        finally:
            bulk.close()

    asyncio.run(run())
    assert count(client) == 65


@pytest.mark.parametrize("slow", [False, True])
def test_where_what_goes_first_waits_the_rest_goes_one_by_one(
    opensearch: OpenSearch, client: Client, monkeypatch: pytest.MonkeyPatch, slow: bool
) -> None:
    monkeypatch.setattr("pipeline.sinks.opensearch._CALM_S", 3_600)
    # What counts as slow, however slow the machine is.
    monkeypatch.setattr("pipeline.sinks.opensearch._SLOW_S", 0 if slow else 3_600)
    monkeypatch.setattr("pipeline.sinks.opensearch._SLOW", 0 if slow else 3_600)
    line, under_way, seen = action("create", "test-1"), set[object](), list[int]()

    async def run() -> None:
        bulk = Bulk(connect(replace_url(opensearch)), 8)
        send = bulk.client.transport.perform_request

        def counted(*given: Any, **more: Any) -> Any:
            this = object()
            under_way.add(this)
            seen.append(len(under_way))
            try:
                return send(*given, **more)
            finally:
                under_way.discard(this)

        monkeypatch.setattr(bulk.client.transport, "perform_request", counted)
        try:
            assert await bulk.write([(line("urgent"), b'{"n":1}')], first=True) == []
            assert await bulk.write(documents(3_000)) == []
        finally:
            bulk.close()

    asyncio.run(run())
    assert count(client) == 3_001
    assert (max(seen) == 1) is slow, seen


def test_a_request_too_large_is_cut(opensearch: OpenSearch, client: Client) -> None:
    several = documents(1_500)
    several[700] = (several[700][0], b'{"text":"%b"}' % (b"z" * 1_500_000))
    refused = write(opensearch, several)
    assert [one.number for one in refused] == [700]
    assert count(client) == 1_499


def test_what_is_refused_is_named_and_the_rest_is_there(
    opensearch: OpenSearch, client: Client
) -> None:
    several = documents(900)
    for number in (0, 450, 899):
        several[number] = (several[number][0], b'{"n":"no number: secret"}')
    several[7] = (several[7][0], b"{this is no JSON")
    refused = write(opensearch, several)
    assert [one.number for one in refused] == [0, 7, 450, 899]
    assert all("secret" not in one.why for one in refused)
    assert "mapper_parsing_exception: failed to parse field [n]" in refused[0].why
    assert count(client) == 896
    # Written again, all is as it was.
    assert write(opensearch, documents(900)) == []
    assert count(client) == 900


def test_versions_only_go_forward(opensearch: OpenSearch, client: Client) -> None:
    def version(number: int) -> Document:
        more = ('"version_type":"external"', f'"version":{number}')
        return action("index", "test-1", more)("finding"), b'{"n":%d}' % number

    for numbers in ([3, 1, 2], [2], [3], [5, 4]):
        assert write(opensearch, [version(number) for number in numbers]) == []
    assert client.get(index="test-1", id="finding")["_source"] == {"n": 5}


def test_connections_that_are_cut_lose_nothing(opensearch: OpenSearch, client: Client) -> None:
    behind = int(opensearch.url.rpartition(":")[2])
    with Door(behind) as door:
        stop = threading.Event()

        def slam() -> None:
            while not stop.wait(0.15):
                door.slam()
                stop.wait(0.1)
                door.open()

        thread = threading.Thread(target=slam)
        thread.start()
        try:
            assert write(opensearch, documents(6_000), port=door.port) == []
        finally:
            stop.set()
            thread.join()
    assert count(client) == 6_000


def test_a_node_that_stalls_is_waited_for(opensearch: OpenSearch, client: Client) -> None:
    os.kill(opensearch.pid, signal.SIGSTOP)
    timer = threading.Timer(4, os.kill, (opensearch.pid, signal.SIGCONT))
    timer.start()
    assert write(opensearch, documents(500), timeout_s=1) == []
    timer.join()
    assert count(client) == 500


@pytest.mark.parametrize("setting", ["index.blocks.write", "index.blocks.read_only_allow_delete"])
def test_a_blocked_index_is_waited_for(
    opensearch: OpenSearch, client: Client, setting: str
) -> None:
    client.indices.put_settings(index="test-1", body={setting: True})
    lift = threading.Timer(
        1.5, client.indices.put_settings, kwargs={"index": "test-1", "body": {setting: None}}
    )
    lift.start()
    assert write(opensearch, [*documents(50), *documents(50, "test-2")]) == []
    lift.join()
    assert count(client) == count(client, "test-2") == 50


def test_a_shard_too_many_is_waited_for(opensearch: OpenSearch, client: Client) -> None:
    """No fault of the documents: people make room, and nothing was lost."""
    limit = "cluster.max_shards_per_node"
    client.cluster.put_settings(body={"transient": {limit: 1}})
    lift = threading.Timer(
        1.5, client.cluster.put_settings, kwargs={"body": {"transient": {limit: None}}}
    )
    lift.start()
    assert write(opensearch, documents(50, "test-3")) == []
    lift.join()
    assert count(client, "test-3") == 50


def test_what_would_never_go_well_is_said(opensearch: OpenSearch, client: Client) -> None:
    client.cluster.put_settings(body={"transient": {"action.auto_create_index": "false"}})
    try:
        with pytest.raises(StoreError, match="no such index"):
            write(opensearch, documents(5, "test-4"))
    finally:
        client.cluster.put_settings(body={"transient": {"action.auto_create_index": None}})


def test_whoever_watches_is_told_of_each_request(opensearch: OpenSearch, client: Client) -> None:
    told: list[Sent] = []

    async def run() -> None:
        bulk = Bulk(connect(replace_url(opensearch)), 2, told=told.append)
        line = action("create", "test-1")
        await bulk.write([*documents(9), (line("bad"), b'{"n":"no number"}')])
        await bulk.write(documents(9))  # there already
        assert (bulk.waiting, bulk.reach()) == ("", "")
        bulk.close()

    asyncio.run(run())
    counts = [(one.indexed, one.rejected, one.refused, one.failed) for one in told]
    assert counts == [(9, 0, 1, False), (9, 0, 0, False)]
    assert all(0 < one.took_s < 30 for one in told)


def test_while_nobody_is_there_it_says_so(opensearch: OpenSearch) -> None:
    told: list[Sent] = []
    (nowhere,) = free_ports(1)

    async def run() -> None:
        paused = asyncio.Event()

        async def pause(seconds: float) -> None:
            paused.set()
            await asyncio.sleep(60 + seconds)

        bulk = Bulk(connect(replace_url(opensearch, nowhere)), 2, pause, told.append)
        task = asyncio.create_task(bulk.write(documents(3)))
        await paused.wait()
        assert "refused" in bulk.waiting
        assert "refused" in await asyncio.to_thread(bulk.reach)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        # Given up, nothing waits.
        assert bulk.waiting == ""
        bulk.close()

    asyncio.run(run())
    assert told[0]._replace(took_s=0) == Sent(0, rejected=3, failed=True)
