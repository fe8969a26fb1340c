"""The roles that `auditstream opensearch` prints and makes: each suffices, and has nothing to spare."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import AuthorizationException

from pipeline.lab.opensearch import OpenSearch
from pipeline.query import Query
from pipeline.sinks.opensearch import Bulk
from pipeline.sinks.opensearch_client import connect
from pipeline.sinks.opensearch_documents import action, dead_letter
from pipeline.sinks.opensearch_plan import Step, apply, missing, plan
from pipeline.sinks.opensearch_query import OpenSearchReader
from pipeline.sinks.opensearch_roles import ANALYST, AUDITOR, INDEXER, RETENTION, roles
from pipeline.sinks.opensearch_scan import Scan
from schemas import indices
from schemas.types import DeadLetter
from tests.commands import exit_status
from tests.roles import API, ask, fails, given, spared
from tests.stores import NAMES, section

pytestmark = pytest.mark.integration

SETTER = "setter"
USERS = {
    name: secrets.token_urlsafe(24)
    for name in ("indexer", "analyst", "auditor", "retention", SETTER, "new")
}
PATTERNS = [indices.searched(name) for name in NAMES]
HELD = {
    indices.EVENTS: "audit-standard-2026.11",
    indices.FINDINGS: "auditstream-findings-2026.11",
    indices.VERSIONS: "auditstream-versions-2026.11",
    indices.CHANGES: indices.CHANGES,
    indices.DEAD_LETTERS: "auditstream-dead-letters-2026.11",
    indices.ACCOUNTS: indices.ACCOUNTS,
}
"""An index of each kind, with the document `1` in it."""
_LETTER = DeadLetter(
    bytes(16), 0, "torn", "", "auto", "default", "", "server.log", 1, 1, "", "x", b"x"
)
BODIES = {indices.DEAD_LETTERS: json.loads(dead_letter(_LETTER))}
_NUMBERS = count(3000)


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    """A node with the roles as `apply` makes them, each with a user, and a document of each kind."""
    with OpenSearch(tmp_path_factory.mktemp("opensearch"), users=USERS) as node:
        with closing(node.client()) as admin:
            apply(admin, node.storage(), (), lambda _: None)
            for role in (INDEXER, ANALYST, AUDITOR, RETENTION):
                given(admin, role, role.removeprefix("auditstream_"))
            for name, index in HELD.items():
                body = BODIES.get(name, {})
                admin.index(index=index, id="1", body=body, params={"refresh": "true"})
        yield node


@pytest.fixture
def admin(opensearch: OpenSearch) -> Iterator[Client]:
    with closing(opensearch.client()) as client:
        yield client


# What each of them does, as the product does it.


def index_stream(node: OpenSearch, new: Sequence[str] = (indices.EVENTS,)) -> None:
    """The role `index`: documents of every kind, forward to the last version, into indices of which
    some are not there yet; with a look at other indices of events."""
    number = next(_NUMBERS)
    version = ('"version_type":"external"', f'"version":{number}')
    several = []
    for name, held in HELD.items():
        index = held.replace("2026.11", f"{number}.01") if name in new else held
        latest = name in (indices.FINDINGS, indices.CHANGES)
        verb = "index" if latest or name == indices.ACCOUNTS else "create"
        line = action(verb, index, version if latest else ())("1" if latest else f"{number}")
        several.append((line, json.dumps(BODIES.get(name, {})).encode()))

    async def write() -> None:
        bulk = Bulk(connect(node.storage("indexer")), 1)
        try:
            assert await bulk.write(several) == []
        finally:
            bulk.close()

    with closing(node.client("indexer")) as client:
        assert missing(client) == []
    asyncio.run(write())
    with closing(node.client("indexer")) as client:
        there = ask(client, "GET", f"/_resolve/index/{indices.searched(indices.EVENTS)}")
        assert HELD[indices.EVENTS] in [one["name"] for one in there["indices"]]
        asked = {"docs": [{"_index": HELD[indices.EVENTS], "_id": "1", "_source": False}]}
        (found,) = client.mget(body=asked)["docs"]
        assert found.get("found"), found


def analyse(node: OpenSearch) -> None:
    """What reading commands ask."""
    with closing(OpenSearchReader(node.client("analyst"))) as reader:
        assert list(reader.events(Query())) == []
        assert list(reader.findings(Query())) == []
        assert len(list(reader.findings(Query(), history=True))) == 1
        assert reader.strangers() == []
    with closing(node.client("analyst")) as client:
        assert client.search(index=indices.CHANGES)["hits"]["hits"]
        assert paged(client, indices.CHANGES)


def audit(node: OpenSearch) -> None:
    """All of that, dead letters and accounts, and every document by its id."""
    with closing(OpenSearchReader(node.client("auditor"))) as reader:
        assert list(reader.events(Query())) == []
        assert list(reader.dead_letters(Query()))
    with Scan(node.client("auditor")) as scan:
        for name, index in HELD.items():
            pages = scan.each(indices.searched(name), ())
            assert "1" in [hit.id for page, _ in pages for hit in page]
            assert scan.look([(index, "1")])
    with closing(node.client("auditor")) as client:
        for pattern in PATTERNS:
            assert paged(client, pattern)


def paged(client: Client, pattern: str) -> bool:
    """Whether there is anything to be read from a point in time, which is given back."""
    point = client.create_pit(index=pattern, params={"keep_alive": "1m"})["pit_id"]
    try:
        said = client.search(body={"pit": {"id": point, "keep_alive": "1m"}})
        return bool(said["hits"]["hits"])
    finally:
        client.delete_pit(body={"pit_id": [point]})


WORK: dict[str, Callable[[OpenSearch], None]] = {
    INDEXER: index_stream,
    ANALYST: analyse,
    AUDITOR: audit,
}


@pytest.mark.parametrize("role", WORK)
def test_a_role_suffices_and_nothing_of_it_can_be_spared(
    opensearch: OpenSearch, admin: Client, role: str
) -> None:
    work = WORK[role]
    assert not fails(work, opensearch, admin)
    assert spared(role, work, opensearch, admin) == []
    assert not fails(work, opensearch, admin)


def test_the_indexer_makes_indices_of_every_kind(opensearch: OpenSearch, admin: Client) -> None:
    admin.indices.delete(index=f"{indices.CHANGES},{indices.ACCOUNTS}")
    index_stream(opensearch, new=NAMES)
    for name in (indices.CHANGES, indices.ACCOUNTS):
        admin.index(index=HELD[name], id="1", body={}, params={"refresh": "true"})


# What none of it lets them do.


def refused(deed: Callable[[], Any]) -> bool:
    """Whether it is for want of a permission that it cannot be done."""
    try:
        said = deed()
    except AuthorizationException:
        return True
    (item,) = [entry for one in said.get("items", ()) for entry in one.values()] or [{}]
    (found,) = said.get("docs", ()) or [{}]
    kind = item.get("error", found.get("error", {})).get("type")
    return bool(kind == "security_exception")


def readings(client: Client, name: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Ways to come by a document."""
    index, pattern = HELD[name], indices.searched(name)
    yield "search", lambda: client.search(index=pattern)
    yield "count", lambda: client.count(index=pattern)
    yield "get", lambda: client.get(index=index, id="1")
    yield "mget", lambda: client.mget(body={"docs": [{"_index": index, "_id": "1"}]})
    yield "point in time", lambda: client.create_pit(index=pattern, params={"keep_alive": "1m"})
    yield "scroll", lambda: client.search(index=pattern, params={"scroll": "1m"})
    yield (
        "export",
        lambda: client.reindex(
            body={"source": {"index": pattern}, "dest": {"index": "audit-copy"}}
        ),
    )


def writings(client: Client, name: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Ways to change what is there."""
    index, pattern = HELD[name], indices.searched(name)
    for verb in ("create", "index", "update", "delete"):
        lines: list[Any] = [{verb: {"_index": index, "_id": "1"}}]
        lines += [] if verb == "delete" else [{"doc": {}} if verb == "update" else {}]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        yield f"bulk {verb}", lambda body=body: client.bulk(body=body)  # type: ignore[misc]
    yield "index", lambda: client.index(index=index, id="1", body={})
    yield "update", lambda: client.update(index=index, id="1", body={"doc": {"a": 1}})
    yield "delete", lambda: client.delete(index=index, id="1")
    yield (
        "delete many",
        lambda: client.delete_by_query(index=pattern, body={"query": {"match_all": {}}}),
    )
    yield "update many", lambda: client.update_by_query(index=pattern)
    yield "delete index", lambda: client.indices.delete(index=index)
    yield "close", lambda: client.indices.close(index=index)
    yield (
        "settings",
        lambda: client.indices.put_settings(index=index, body={"index.blocks.write": True}),
    )
    yield (
        "mapping",
        lambda: client.indices.put_mapping(
            index=index, body={"properties": {"x": {"type": "keyword"}}}
        ),
    )
    yield "alias", lambda: client.indices.put_alias(index=index, name="x")


def test_the_indexer_reads_nothing_but_events_by_their_id(opensearch: OpenSearch) -> None:
    with closing(opensearch.client("indexer")) as client:
        allowed = [
            (name, way) for name in NAMES for way, deed in readings(client, name)
            if not refused(deed)
        ]  # fmt: skip
    assert allowed == [(indices.EVENTS, "mget")]


def test_the_analyst_reads_neither_dead_letters_nor_accounts(opensearch: OpenSearch) -> None:
    with closing(opensearch.client("analyst")) as client:
        for name in (indices.DEAD_LETTERS, indices.ACCOUNTS):
            assert [way for way, deed in readings(client, name) if not refused(deed)] == []


@pytest.mark.parametrize("user", ["analyst", "auditor"])
def test_who_reads_writes_nothing(opensearch: OpenSearch, user: str) -> None:
    with closing(opensearch.client(user)) as client:
        allowed = [
            (name, way) for name in NAMES for way, deed in writings(client, name)
            if not refused(deed)
        ]  # fmt: skip
        assert allowed == []
        assert refused(lambda: client.indices.delete_index_template(name="auditstream-events"))


def test_the_indexer_deletes_nothing(opensearch: OpenSearch) -> None:
    with closing(opensearch.client("indexer")) as client:
        allowed = {
            way for name in NAMES for way, deed in writings(client, name) if not refused(deed)
        }  # fmt: skip
    assert allowed == {"bulk create", "bulk index", "index"}


# Planning them.


def role_steps(client: Client, opensearch: OpenSearch) -> dict[str, Step]:
    steps = plan(client, opensearch.storage(), ())
    return {step.name: step for step in steps if step.what == "role"}


def test_roles_are_made_once_and_set_back(opensearch: OpenSearch, admin: Client) -> None:
    steps = role_steps(admin, opensearch)
    assert list(steps) == [INDEXER, ANALYST, AUDITOR, RETENTION]
    assert all(step == Step("role", name) for name, step in steps.items())
    more = deepcopy(roles()[AUDITOR])
    more["index_permissions"][0]["allowed_actions"].append("indices:data/write/delete")
    ask(admin, "PUT", f"{API}/roles/{AUDITOR}", more)
    ask(admin, "DELETE", f"{API}/roles/{ANALYST}")
    said: list[str] = []
    assert apply(admin, opensearch.storage(), (), said.append) == 2
    assert [line for line in said if line.startswith("role")] == [
        f"role {ANALYST}: made",
        f"role {AUDITOR}: changed",
    ]
    assert apply(admin, opensearch.storage(), (), said.append) == 0
    assert not fails(analyse, opensearch, admin)


def test_a_role_that_nobody_has_is_said(opensearch: OpenSearch, admin: Client) -> None:
    ask(admin, "DELETE", f"{API}/rolesmapping/{ANALYST}")
    (remark,) = role_steps(admin, opensearch)[ANALYST].remarks
    assert remark == (
        f'nobody has it: PUT _plugins/_security/api/rolesmapping/{ANALYST} {{"users": ["…"]}}'
    )
    given(admin, ANALYST, "analyst")
    assert role_steps(admin, opensearch)[ANALYST].remarks == ()


def test_who_may_not_set_roles_can_do_the_rest(opensearch: OpenSearch, admin: Client) -> None:
    body = {
        "cluster_permissions": ["cluster_monitor", "cluster_manage_index_templates"],
        "index_permissions": [{"index_patterns": ["audit*"], "allowed_actions": ["manage"]}],
    }
    ask(admin, "PUT", f"{API}/roles/{SETTER}", body)
    given(admin, SETTER, SETTER)
    with closing(opensearch.client(SETTER)) as client:
        admin.indices.delete_index_template(name="auditstream-events")
        held = HELD[indices.EVENTS]
        admin.indices.delete_alias(index=held, name="auditstream-events")
        admin.indices.put_settings(index=held, body={"index.number_of_replicas": 1})
        admin.indices.put_mapping(index=held, body={"dynamic": "true"})
        steps = plan(client, opensearch.storage(), ())
        assert {step.name: len(step.deeds) for step in steps if step.deeds} == {
            "auditstream-events": 1,
            held: 3,
        }
        for step in steps:
            if step.what == "role":
                assert step.remarks[0].startswith("this login may not see or set roles (403 ")
        assert apply(client, opensearch.storage(), (), lambda _: None) == 4
        assert apply(client, opensearch.storage(), (), lambda _: None) == 0


def test_the_command_prints_what_the_security_api_takes(
    opensearch: OpenSearch, admin: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("opensearch", "plan", "--roles", "bodies") == 0
    for name, body in json.loads(capsys.readouterr().out).items():
        ask(admin, "PUT", f"{API}/roles/{name}", body)
    assert not any(step.deeds for step in role_steps(admin, opensearch).values())
    assert exit_status("opensearch", "plan", "--roles", "table") == 0
    told = capsys.readouterr().out
    assert "auditstream_auditor    auditstream-accounts" in told
    assert "TO BE DONE" not in told
    config = tmp_path / "auditstream.toml"
    config.write_text(section(opensearch))
    assert exit_status("opensearch", "plan", "--config", config) == 0
    told = capsys.readouterr().out
    assert f"role      {INDEXER} " in told
    assert "Nothing else is to be done." in told
    assert opensearch.users["admin"] not in told


def test_a_login_that_may_not_ask_is_told_so(
    opensearch: OpenSearch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "auditstream.toml"
    config.write_text(section(opensearch, user="new"))
    assert exit_status("opensearch", "plan", "--config", config) == 1
    assert "cannot answer GET /_cat/plugins: 403" in capsys.readouterr().err
