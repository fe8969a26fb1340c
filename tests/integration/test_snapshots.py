"""Backup and restore of OpenSearch as docs/deployment.md has it, line by line, on the OpenSearch of
docker-compose.yml with its users, roles and certificates. `docker` alone stands in for Docker: it
runs the program that the line names, as the service that the line names."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client

from pipeline.config import load
from pipeline.sinks import opensearch_documents as documents
from pipeline.sinks.opensearch import Bulk, Document
from pipeline.sinks.opensearch_client import connect
from schemas import indices
from schemas.types import AccountOf, ChangeVersion
from tests import indexed
from tests.commands import exit_status
from tests.deploy.broker import DEPLOY, make_identities
from tests.deploy.node import Node
from tests.medley import store as medley
from tests.retention.year import NOW, event
from tests.test_house import ROOT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here"),
]

PAGE = ROOT / "docs" / "deployment.md"
OLD = NOW - 2_000 * indices.DAY_MS
"""Of no class that is kept so long."""
QUESTIONS = (
    ("findings",), ("findings", "--history", "--format", "jsonl"), ("timeline",), ("changes",),
    ("events", "--format", "jsonl", "--limit", "5000"), ("dead-letters",), ("hold", "list"),
    ("events", "--source", "auditstream.retention", "--format", "jsonl"),
)  # fmt: skip
_CHANGE = ChangeVersion(
    bytes(range(16)), 7, "open", "kafka-prod", NOW, "User:admin", "", "acl", "add", "Topic:a", "",
    b"null", b"null", "success", "full", True, (), (bytes(16),), ("request",), (),
)  # fmt: skip
_ACCOUNT = AccountOf("audit.raw.auto", 0, 0, 2, 0, 2, 0, 2, 1, {"kafka_request:read": 1}, {})


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """The incident, random rows of every kind, and an event that is due to go."""
    return filling(tmp_path_factory.mktemp("filling"))


@pytest.fixture(scope="module")
def node(several: list[Document], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """As after the first start of docker-compose.yml, with events of every kind in it."""
    folder = tmp_path_factory.mktemp("stack")
    make_identities(folder / "identities")
    with Node(folder / "node", folder / "identities") as running:
        admin = running.configuration("opensearch-admin")
        assert exit_status("opensearch", "apply", "--config", admin) == 0
        people = [running.identities / "people", running.identities / "dashboards-setup"]
        script("people.py", admin, *people)
        assert not asyncio.run(write(running, several))
        # What auditstream says of itself: a removal, and a hold.
        assert exit_status("retention", "apply", "--config", admin) == 0
        hold = ("--reason", "CASE-4711", "--owner", "legal@example.com")
        assert exit_status("hold", "add", "--config", admin, *hold) == 0
        yield running


@pytest.fixture(scope="module")
def admin(node: Node) -> Iterator[Client]:
    with closing(connect(load(node.configuration("opensearch-admin")).opensearch)) as client:
        yield client


def filling(folder: Path) -> list[Document]:
    store = folder / "incident.db"
    assert exit_status("run", "--store", store) == 0
    found = [*indexed.documents(store), *indexed.documents(medley(folder / "medley.db", 300))]
    old = event(OLD, 1)
    index = indices.of_event(old.retention, OLD, OLD, 400)
    found.append(documents.action("create", index)(old.id.hex()) + documents.event(old.ocsf, b""))
    version = ('"version_type":"external"', f'"version":{_CHANGE.version}')
    line = documents.action("index", indices.CHANGES, version)(_CHANGE.id.hex())
    found.append(line + documents.change(_CHANGE))
    line = documents.action("index", indices.ACCOUNTS)(documents.account_id(_ACCOUNT))
    found.append(line + documents.account(_ACCOUNT))
    return [pair(one) for one in found]


def pair(both: bytes) -> Document:
    line, ending, document = both.partition(b"\n")
    return line + ending, document


async def write(node: Node, several: list[Document]) -> list[Any]:
    """Index as the service `index` does; what is refused."""
    bulk = Bulk(connect(load(node.configuration("index")).opensearch), 2)
    try:
        return list(await bulk.write(several))
    finally:
        bulk.close()


def script(name: str, *arguments: str | Path) -> str:
    """What a script of deploy/setup says, which must not fail."""
    command = [sys.executable, str(DEPLOY / "setup" / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# The commands of the page.


def documented() -> list[str]:
    """The lines of the block that backs up and restores."""
    (block,) = (b for b in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S) if "$admin" in b)
    return [line for line in block.splitlines() if not line.startswith("#")]


STAND_IN = """#!/bin/sh
while [ "$1" != indices ]; do shift; done
shift
program=$1 configuration=$2
shift 2
[ "$configuration" = /etc/auditstream/auditstream.toml ] || exit 9
exec '{python}' "{deploy}${{program#/opt/auditstream}}" '{configuration}' "$@"
"""


@pytest.fixture(scope="module")
def shell(node: Node, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which `docker` is there."""
    folder = tmp_path_factory.mktemp("bin")
    told = STAND_IN.format(
        python=sys.executable, deploy=DEPLOY, configuration=node.configuration("opensearch-admin")
    )
    (folder / "docker").write_text(told)
    (folder / "docker").chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def typed(shell: dict[str, str], lines: Iterable[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", "\n".join(lines)], env=shell, capture_output=True, text=True, check=False
    )


def verb(line: str) -> str:
    return line.split()[2]


# What is there.


def held(client: Client) -> dict[str, dict[str, tuple[int, Any]]]:
    """By index and id, the version and the document of all that is ours."""
    found: dict[str, dict[str, tuple[int, Any]]] = {name: {} for name in about(client)}
    client.indices.refresh(index="audit*")
    said = client.search(index="audit*", body={"size": 10_000, "version": True})
    assert said["hits"]["total"]["value"] == len(said["hits"]["hits"])
    for hit in said["hits"]["hits"]:
        found[hit["_index"]][hit["_id"]] = hit["_version"], hit["_source"]
    return found


def unversioned(client: Client) -> dict[str, dict[str, Any]]:
    """The same without versions: an account that comes again is written again."""
    return {name: {id_: d for id_, (_, d) in of.items()} for name, of in held(client).items()}


def about(client: Client) -> dict[str, Any]:
    """By index, its aliases and its mapping."""
    said = client.indices.get(index="audit*", params={"expand_wildcards": "all"})
    return {name: (one["aliases"], one["mappings"]) for name, one in said.items()}


def templates(client: Client) -> dict[str, Any]:
    said = client.indices.get_index_template()["index_templates"]
    return {one["name"]: one["index_template"] for one in said if one["name"].startswith("audit")}


def answers(node: Node, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What commands that read say to who may read."""
    config, said = node.configuration("reconcile"), []
    for words in QUESTIONS:
        assert exit_status(*words, "--config", config) == 0
        said.append(capsys.readouterr().out)
    return said


def lost(client: Client) -> None:
    """An OpenSearch made anew: nothing of ours is there, and it does not know the folder."""
    client.indices.delete(index=",".join(about(client)))
    for name in templates(client):
        client.indices.delete_index_template(name=name)
    client.transport.perform_request("DELETE", "/_snapshot/auditstream")
    roles = client.transport.perform_request("GET", "/_plugins/_security/api/roles")
    for name in roles:
        if name.startswith("auditstream_"):
            client.transport.perform_request("DELETE", f"/_plugins/_security/api/roles/{name}")
    assert about(client) == {}


def test_what_was_lost_is_back_and_is_what_it_was(
    node: Node, admin: Client, shell: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    *before, take, list_, restore = documented()
    assert [verb(line) for line in (take, list_, restore)] == ["take", "list", "restore"]
    there = held(admin), about(admin), templates(admin), answers(node, capsys)
    assert {name for name, found in there[0].items() if found} == set(there[0]) - {indices.REMOVALS}
    assert sum(map(len, there[0].values())) > 600
    assert all(there[3])
    assert "CASE-4711" in there[3][QUESTIONS.index(("hold", "list"))]
    done = typed(shell, [*before, take, list_])
    assert done.returncode == 0, done.stderr
    name, *listed = done.stdout.split()
    assert listed == [name, "SUCCESS", str(len(there[0])), "indices"]
    lost(admin)
    # In the name of the one that was taken just now.
    done = typed(shell, [*before, list_, restore.replace(restore.split()[-1], name)])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:-1] == sorted(there[0])
    config = node.configuration("opensearch-admin")
    assert exit_status("opensearch", "apply", "--config", config) == 0
    capsys.readouterr()
    assert (held(admin), about(admin), templates(admin), answers(node, capsys)) == there


def test_only_what_is_not_there_is_brought_back(
    node: Node, admin: Client, shell: dict[str, str]
) -> None:
    *before, _, list_, restore = documented()
    name = typed(shell, [*before, list_]).stdout.split()[0]
    again = [*before, restore.replace(restore.split()[-1], name)]
    there = held(admin)
    gone, stays = "audit-standard-undated", indices.CHANGES
    admin.indices.delete(index=gone)
    admin.index(index=stays, id="later", body={}, params={"refresh": "true"})
    assert typed(shell, again).stdout == f"{gone}\n1 indices brought back.\n"
    found = held(admin)
    assert found[gone] == there[gone]
    assert found[stays].keys() - there[stays].keys() == {"later"}
    assert typed(shell, again).stdout == "0 indices brought back.\n"
    done = typed(shell, [*before, "$admin /etc/auditstream/auditstream.toml restore nothing"])
    assert done.returncode == 1
    assert done.stderr == (
        "snapshot.py: there is no snapshot nothing; `list` says which there are\n"
    )


def test_services_and_people_may_do_afterwards_what_they_might(
    node: Node,
    admin: Client,
    several: list[Document],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = unversioned(admin)
    # All of it comes again from the topics: what is there stays, what is not is added.
    assert not asyncio.run(write(node, several))
    found = unversioned(admin)
    assert found.keys() - there.keys() == {indices.of_event("standard", OLD, OLD, 400)}
    assert {name: found[name] for name in there} == there
    person = tmp_path / "analyst.toml"
    person.write_text(
        f'store = "{node.url}"\n[opensearch]\nurl = "{node.url}"\nusername = "analyst"\n'
        f'password_file = "{node.identities}/people/analyst"\n'
        f'[opensearch.tls]\nca_file = "{node.identities}/authority/ca.pem"\n'
    )
    capsys.readouterr()
    assert exit_status("findings", "--config", person) == 0
    assert "unapproved_support_access" in capsys.readouterr().out
    # What retention had removed before, and came back all the same, is removed again.
    config = node.configuration("opensearch-admin")
    assert exit_status("hold", "list", "--json", "--config", config) == 0
    hold = re.findall(r'"id": ?"([0-9a-f]+)"', capsys.readouterr().out)[0]
    assert exit_status("hold", "release", hold, "--reason", "closed", "--config", config) == 0
    assert exit_status("retention", "apply", "--config", config) == 0
    assert found.keys() - held(admin).keys() == found.keys() - there.keys()
