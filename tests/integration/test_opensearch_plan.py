"""`auditstream opensearch` against a real OpenSearch: what is made, changed, said and left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import RequestError

from pipeline.errors import StoreError
from pipeline.lab.opensearch import OpenSearch
from pipeline.sinks.opensearch_mapping import CHANGEABLE
from pipeline.sinks.opensearch_plan import Step, apply, missing, plan, release
from pipeline.storage import Retention, Storage
from schemas import indices
from schemas.index_template import ANALYSIS, PREFIX, TYPES, templates
from tests.commands import exit_status
from tests.stores import section

pytestmark = pytest.mark.integration

MONTH = "audit-standard-2026.11"
EVENTS = f"{PREFIX}events"
NO_PLUGIN = "there is no Index Management plugin"


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    with OpenSearch(tmp_path_factory.mktemp("opensearch"), security=False) as node:
        yield node


@pytest.fixture
def client(opensearch: OpenSearch) -> Iterator[Client]:
    """Of a node that has nothing of ours."""
    with closing(opensearch.client()) as found:
        found.indices.delete(index="audit-*,auditstream-*", params={"expand_wildcards": "all"})
        for name in (*templates(), "another"):
            found.indices.delete_index_template(name=name, ignore=404)
        yield found


@pytest.fixture
def storage(opensearch: OpenSearch) -> Storage:
    return opensearch.storage()


def planned(client: Client, storage: Storage, *retention: Retention) -> dict[str, Step]:
    """What is to be done or said, by what it is about."""
    steps = plan(client, storage, retention)
    return {step.name: step for step in steps if step.deeds or step.remarks}


def todo(client: Client, storage: Storage) -> dict[str, list[str]]:
    found = planned(client, storage)
    return {name: [deed.todo for deed in step.deeds] for name, step in found.items() if step.deeds}


def done(client: Client, storage: Storage) -> list[str]:
    """Apply; what was said of it, but for what the node's poverty explains."""
    said: list[str] = []
    deeds = apply(client, storage, (), said.append)
    said = [line for line in said if NO_PLUGIN not in line]
    assert deeds <= len(said)
    return said


def made(client: Client, index: str, wanted: dict[str, Any], **settings: Any) -> None:
    """An index as an earlier release might have left it."""
    body = {
        "mappings": wanted,
        "settings": {"number_of_replicas": 0, "analysis": ANALYSIS} | settings,
        "aliases": {EVENTS: {}},
    }
    client.indices.create(index=index, body=body)


def mapping() -> dict[str, Any]:
    found: dict[str, Any] = deepcopy(templates()[EVENTS]["template"]["mappings"])
    return found


def found_in(client: Client, **term: str) -> set[str]:
    client.indices.refresh(index=MONTH)
    body = {"query": {"term": {name.replace("__", "."): value for name, value in term.items()}}}
    return {hit["_id"] for hit in client.search(index=MONTH, body=body)["hits"]["hits"]}


# From nothing.


def test_what_is_not_there_is_made_once(client: Client, storage: Storage) -> None:
    assert todo(client, storage) == {name: ["make"] for name in templates()}
    assert missing(client) == list(templates())
    assert done(client, storage) == [f"template {name}: made" for name in templates()]
    assert todo(client, storage) == {}
    assert missing(client) == []
    assert done(client, storage) == []


def test_indices_to_come_are_as_the_templates_say(client: Client, storage: Storage) -> None:
    several = storage.model_copy(update={"shards": 3})
    done(client, several)
    names = {
        indices.EVENTS: MONTH,
        indices.FINDINGS: "auditstream-findings-2026.11",
        indices.VERSIONS: "auditstream-versions-2026.11",
        indices.CHANGES: indices.CHANGES,
        indices.DEAD_LETTERS: "auditstream-dead-letters-undated",
        indices.ACCOUNTS: indices.ACCOUNTS,
    }
    for index in names.values():
        client.index(index=index, body={}, params={"op_type": "create"}, id="1")
    for name, template in templates().items():
        (found,) = client.indices.get(index=name).values()
        assert found["mappings"]["properties"].keys() == (
            template["template"]["mappings"]["properties"].keys()
        )
        assert found["settings"]["index"]["number_of_shards"] == ("3" if name == EVENTS else "1")
        assert found["settings"]["index"]["number_of_replicas"] == "0"
    assert todo(client, several) == {}


def test_settings_are_brought_up_to_date(client: Client, storage: Storage) -> None:
    done(client, storage)
    client.index(index=MONTH, body={}, id="1")
    more = storage.model_copy(update={"replicas": 2, "shards": 2})
    said = done(client, more)
    assert f"index {MONTH}: 0 copies are 2 now" in said
    assert f"template {EVENTS}: changed" in said
    settings = client.indices.get_settings(index=MONTH)[MONTH]["settings"]["index"]
    assert settings["number_of_replicas"] == "2"
    assert todo(client, more) == {}
    done(client, storage)
    assert todo(client, storage) == {}


# Between releases.


def test_what_is_new_is_added_without_reindexing(client: Client, storage: Storage) -> None:
    earlier = mapping()
    del earlier["properties"]["actor"], earlier["properties"]["status"]
    earlier["properties"]["api"]["properties"]["operation"]["ignore_above"] = 100
    del earlier["properties"]["src_endpoint"]["properties"]["ip"]["fields"]
    made(client, MONTH, earlier)
    document = {"actor": {"user": {"uid": "User:alice"}}, "status": "Success"}
    client.index(index=MONTH, id="before", body=document)
    assert found_in(client, actor__user__uid="User:alice") == set()

    step = planned(client, storage)[MONTH]
    (deed,) = step.deeds
    assert "actor.user.uid" in deed.todo
    assert "status" in deed.todo
    assert "src_endpoint.ip.keyword" in deed.todo
    assert deed.todo.endswith("change fields api.operation")
    assert step.remarks[0].startswith("what is there already is not found by what is added")
    assert any(line.startswith(f"index {MONTH}: added fields ") for line in done(client, storage))
    client.index(index=MONTH, id="after", body=document)
    assert found_in(client, actor__user__uid="User:alice") == {"after"}
    assert found_in(client, words="alice") == {"after"}
    assert todo(client, storage) == {}
    now = client.indices.get_mapping(index=MONTH)[MONTH]["mappings"]
    assert now["_meta"] == {"release": release()}
    assert now["properties"]["api"]["properties"]["operation"]["ignore_above"] == 8191


def test_what_cannot_be_changed_is_said_by_index_and_field(
    client: Client, storage: Storage
) -> None:
    earlier = mapping()["properties"]
    earlier["class_uid"] = {"type": "keyword"}
    earlier["message"] = {"type": TYPES["text"]["type"]}
    earlier["time"]["format"] = "epoch_millis"
    earlier["service"] = {"type": "keyword"}
    del earlier["status"]
    made(client, MONTH, {"dynamic": False, "properties": earlier})
    step = planned(client, storage)[MONTH]
    assert [deed.todo for deed in step.deeds] == ["add fields status"]
    said = "\n".join(step.remarks)
    assert "class_uid (is of type keyword there, not integer)" in said
    assert "message (analyzer is not set there, not words)" in said
    assert "time (format is epoch_millis there, not " in said
    assert "service (is a field there, not an object)" in said
    assert said.count("new indices have it, and this one would if it were reindexed") == 5
    done(client, storage)
    assert not planned(client, storage)[MONTH].deeds


def test_an_index_without_our_analyser_gets_all_but_text(client: Client, storage: Storage) -> None:
    # As a worker would have made it that ran before `apply`.
    client.index(index=MONTH, id="1", body={"class_uid": 6003, "actor": {"user": {"uid": "x"}}})
    step = planned(client, storage)[MONTH]
    said = "\n".join(step.remarks)
    needs = " (needs the analyser words, which is not as it is to be)"
    assert "message" in said.partition(needs)[0]
    assert "class_uid (is of type long there, not integer)" in said
    assert "actor.user.uid (is of type text there, not keyword)" in said
    done(client, storage)
    assert todo(client, storage) == {}
    now = client.indices.get(index=EVENTS)[MONTH]
    assert now["mappings"]["dynamic"] == "false"
    assert now["mappings"]["properties"]["src_endpoint"]["properties"]["ip"]["type"] == "ip"


def test_what_a_newer_release_has_made_is_left(client: Client, storage: Storage) -> None:
    done(client, storage)
    newer = templates(replicas=0)[EVENTS]
    newer["_meta"]["release"] = "999.0.0"
    properties = newer["template"]["mappings"]["properties"]
    newer["template"]["mappings"]["_meta"] = {"release": "999.0.0"}
    properties["status"]["ignore_above"] = 20_000
    properties["later"] = {"type": "keyword"}
    client.indices.put_index_template(name=EVENTS, body=newer)
    client.index(index=MONTH, id="1", body={})
    found = planned(client, storage)
    for name in (EVENTS, MONTH):
        assert found[name].deeds == ()
        said = f"made by release 999.0.0, and this is {release()}: left as it is"
        assert said in found[name].remarks
    assert f"index {MONTH}: made by release 999.0.0" in "\n".join(done(client, storage))
    now = client.indices.get_mapping(index=MONTH)[MONTH]["mappings"]["properties"]
    assert now["status"]["ignore_above"] == 20_000
    assert (
        client.indices.get_index_template(name=EVENTS)["index_templates"][0]["index_template"][
            "_meta"
        ]["release"]
        == "999.0.0"
    )


def test_a_template_changed_by_hand_is_set_back(client: Client, storage: Storage) -> None:
    done(client, storage)
    body = client.indices.get_index_template(name=EVENTS)["index_templates"][0]["index_template"]
    body["template"]["mappings"]["properties"]["time"] = {"type": "keyword"}
    client.indices.put_index_template(name=EVENTS, body=body)
    assert todo(client, storage) == {EVENTS: ["change"]}
    assert done(client, storage) == [f"template {EVENTS}: changed"]
    assert todo(client, storage) == {}


def test_parameters_are_told_apart_as_opensearch_does(client: Client) -> None:
    index = "audit-parameters-2026.11"
    alike = {
        "ignore_above": 100, "ignore_malformed": False, "copy_to": ["other"],
        "search_analyzer": "standard", "format": "epoch_millis", "analyzer": "standard",
    }  # fmt: skip
    fields = {f"{kind}-{name}": TYPES[kind] for kind in TYPES for name in alike}
    body = {"settings": {"analysis": ANALYSIS}, "mappings": {"properties": fields}}
    client.indices.create(index=index, body=body)
    of = {
        "ignore_above": ("keyword",), "ignore_malformed": ("ip", "date", "integer", "long"),
        "copy_to": tuple(TYPES), "search_analyzer": ("text",), "format": ("date",),
        "analyzer": ("text",),
    }  # fmt: skip
    for name, kinds in of.items():
        for kind in kinds:
            field = {f"{kind}-{name}": TYPES[kind] | {name: alike[name]}}
            if name in CHANGEABLE:
                client.indices.put_mapping(index=index, body={"properties": field})
            else:
                with pytest.raises(RequestError, match=rf"Cannot update parameter \[{name}\]"):
                    client.indices.put_mapping(index=index, body={"properties": field})


# What is there in other states, and what is not ours.


def test_aliases_are_put_on_what_is_there(client: Client, storage: Storage) -> None:
    done(client, storage)
    client.index(index=MONTH, id="1", body={})
    client.index(index="audit-standard-undated", id="1", body={})
    client.indices.delete_alias(index="audit-*", name=EVENTS)
    client.indices.close(index="audit-standard-undated")
    assert done(client, storage) == [
        f"index {MONTH}: alias {EVENTS} added",
        "index audit-standard-undated: is closed: left as it is",
    ]
    client.indices.refresh(index=EVENTS)
    assert client.count(index=EVENTS)["count"] == 1
    client.indices.open(index="audit-standard-undated")
    assert todo(client, storage) == {"audit-standard-undated": [f"add alias {EVENTS}"]}


def test_a_blocked_index_is_left(client: Client, storage: Storage) -> None:
    made(client, MONTH, {"dynamic": False, "properties": {}}, **{"blocks.read_only": True})
    assert planned(client, storage)[MONTH] == Step(
        "index", MONTH, remarks=("is blocked (read_only): left as it is",)
    )
    client.indices.put_settings(index=MONTH, body={"index.blocks.read_only": False})
    assert MONTH in todo(client, storage)


def test_an_index_of_others_is_not_touched(client: Client, storage: Storage) -> None:
    done(client, storage)
    client.index(index="audit-of-others", id="1", body={"a": 1})
    client.indices.put_settings(index="audit-of-others", body={"index.number_of_replicas": 3})
    client.indices.delete_alias(index="audit-of-others", name=EVENTS)
    step = planned(client, storage)["audit-of-others"]
    assert step.deeds == ()
    assert "is not named as ours are: left as it is, but searched with them" in step.remarks


@pytest.mark.parametrize("priority", [100, 101])
def test_a_template_that_stands_in_the_way_is_said(
    client: Client, storage: Storage, priority: int
) -> None:
    body = {"index_patterns": ["aud*-2*"], "priority": priority, "template": {}}
    client.indices.put_index_template(name="another", body=body)
    found = planned(client, storage)
    said = f"the template another (aud*-2*, priority {priority}) stands in the way"
    for name in (EVENTS, f"{PREFIX}findings"):
        assert found[name].remarks[0].startswith(said)
    assert found[f"{PREFIX}changes"].remarks == ()
    if priority == 100:
        with pytest.raises(StoreError, match=rf"take the template {EVENTS}: 400 .*\[another\]"):
            done(client, storage)
    else:
        assert any(said in line for line in done(client, storage))
    body["priority"] = 99
    client.indices.put_index_template(name="another", body=body)
    done(client, storage)
    assert todo(client, storage) == {}


def test_without_index_management_it_says_what_to_do(client: Client, storage: Storage) -> None:
    found = planned(client, storage, Retention(name="short", days=30))
    for name, days in (("short", 30), ("standard", 400)):
        step = found[f"{PREFIX}{name}"]
        assert (step.what, step.deeds) == ("policy", ())
        assert NO_PLUGIN in step.remarks[0]
        assert f"audit-{name}-*.*" in step.remarks[0]
        assert f"{days} days" in step.remarks[0]
    assert "role" not in {step.what for step in found.values()}


def test_a_refusal_names_what_was_refused(client: Client, storage: Storage) -> None:
    client.cluster.put_settings(body={"transient": {"cluster.blocks.read_only": True}})
    try:
        with pytest.raises(StoreError, match=rf"cannot take the template {EVENTS}: 403"):
            done(client, storage)
    finally:
        client.cluster.put_settings(body={"transient": {"cluster.blocks.read_only": None}})


# The command.


@pytest.fixture
def config(opensearch: OpenSearch, tmp_path: Path) -> Path:
    path = tmp_path / "auditstream.toml"
    path.write_text(section(opensearch) + '[[retention]]\nname = "short"\ndays = 30\n')
    return path


def test_the_command_plans_and_applies(
    client: Client, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("opensearch", "plan", "--config", config) == 0
    told = capsys.readouterr().out
    assert all(f"template  {name} " in told for name in templates())
    assert "policy auditstream-short: there is no Index Management plugin" in told
    assert "6 to be done: auditstream opensearch apply" in told
    assert "auditstream_indexer (cluster)" in " ".join(told.split())
    assert exit_status("opensearch", "apply", "--config", config) == 0
    told = capsys.readouterr().out
    assert f"template {EVENTS}: made\n" in told
    assert told.endswith("6 done.\n")
    assert exit_status("opensearch", "apply", "--config", config) == 0
    assert capsys.readouterr().out.endswith("Nothing else was to be done.\n")
    assert exit_status("opensearch", "plan", "--json", "--config", config) == 0
    found = json.loads(capsys.readouterr().out)
    assert not any(step["deeds"] for step in found["steps"])
    assert {step["what"] for step in found["steps"]} == {"template", "policy"}
    roles = ("indexer", "analyst", "auditor", "retention")
    assert list(found["roles"]) == [f"auditstream_{name}" for name in roles]


def test_the_json_holds_the_requests(
    client: Client, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("opensearch", "plan", "--json", "--config", config) == 0
    steps = json.loads(capsys.readouterr().out)["steps"]
    for deed in (deed for step in steps for deed in step["deeds"]):
        client.transport.perform_request(deed["method"], deed["path"], body=deed["body"])
    assert exit_status("opensearch", "apply", "--config", config) == 0
    assert capsys.readouterr().out.endswith("Nothing else was to be done.\n")


def test_nobody_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "auditstream.toml"
    path.write_text('[opensearch]\nurl = "http://127.0.0.1:1"\n')
    assert exit_status("opensearch", "apply", "--config", path) == 1
    assert "OpenSearch at http://127.0.0.1:1 cannot answer GET" in capsys.readouterr().err
