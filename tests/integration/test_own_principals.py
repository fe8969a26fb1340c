"""On a broker whose authorizer's log auditstream reads: its own work is left out, no more than that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from pipeline.lab.certificates import Certificates
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.connection import client
from pipeline.streaming import Streaming
from schemas.vocabulary import SEVERITY_NAMES
from tests.awaited import give, take
from tests.commands import auditstream, summary
from tests.integration.test_rights import granted, refused
from tests.logs import broker_lines, write
from tests.runtimes.kafka.secured import USERS, as_user, values, written
from tests.streams import QUICK, StreamOn

pytestmark = pytest.mark.integration

HERE, ELSEWHERE = "192.0.2.10", "198.51.100.20"
HOSTS = ("127.0.0.1", "203.0.113.10", "203.0.113.148")
STREAM = Streaming(prefix="own", group="own")
ROLES = ("topics", "collect", "ingest", "detect")
BUSINESS = "hr.salaries"

Document = dict[str, Any]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    folder = tmp_path_factory.mktemp("own")
    with Kafka(
        folder / "kafka", USERS, logging="debug", clients=(HERE, ELSEWHERE), properties=QUICK,
        tls=Certificates(folder / "tls", HOSTS),
    ) as broker:  # fmt: skip
        yield broker


def worked(kafka: Kafka, folder: Path) -> None:
    """Have each role do all of its work under its own principal."""
    stream = STREAM.model_copy(update={"folder": str(folder / "work")})
    write(folder / "broker.log", broker_lines(800))
    inputs = f'[[inputs]]\npath = "{folder}/broker.log"\nzone = "UTC"\n'
    configs = {
        role: written(folder / f"{role}.toml", granted(kafka, folder, stream, role), inputs)
        for role in ROLES
    }
    for command in (("topics", "apply"), ("collect",)):
        role = command[0]
        done = auditstream(*command, "--config", configs[role], cwd=folder)
        assert done.returncode == 0, done.stderr
    whole = written(folder / "admin.toml", as_user(kafka, folder, "admin", stream), inputs)
    on = StreamOn(kafka, folder, "own", whole)
    with ExitStack() as workers:
        for role in ("ingest", "detect"):
            workers.enter_context(on.worker(role, config=str(configs[role])))
        on.finish()


class Read:
    """What a run over the broker's authorizer log comes to."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        folder.mkdir()
        write(folder / "authorizer.log", kafka.log("kafka-authorizer.log").splitlines())
        own = "".join(
            f'[[own]]\nrole = "{role}"\nnetworks = ["{kafka.seen_from(HERE)}"]\n' for role in ROLES
        )
        (folder / "read.toml").write_text(
            f'{own}[[inputs]]\npath = "authorizer.log"\nzone = "UTC"\n'
            '[kafka]\nprefix = "own"\ngroup = "own"\n'
        )
        self.folder = folder
        said = auditstream(
            "run", "--config", "read.toml", "--store", "read.db", "--summary", "json", cwd=folder
        )
        assert said.returncode == 0, said.stderr
        self.filtered = summary(said.stdout)["filtered_by_rule"]
        self.findings = [
            f
            for f in self._documents("findings")
            if f["finding_info"]["analytic"]["uid"] == "audit_principal_misuse"
        ]
        self.events = [
            e
            for e in self._documents("events")
            if e["actor"]["user"].get("uid", "").startswith("User:auditstream-")
        ]

    def evidence(self, finding: Document) -> list[Document]:
        """The events that a finding rests on."""
        ids = {e["uid"] for e in finding["finding_info"]["related_events"]}
        return [e for e in self.events if e["metadata"]["uid"] in ids]

    def resources(self, finding: Document) -> set[str]:
        return {e["resources"][0]["name"] for e in self.evidence(finding)}

    def _documents(self, command: str) -> list[Document]:
        done = auditstream(command, "--store", "read.db", "--format", "jsonl", cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def stolen(kafka: Kafka, folder: Path) -> None:
    """What somebody does by hand, with the credential of each role."""
    admin = AdminClient(client(as_user(kafka, folder, "admin", STREAM)))
    admin.create_topics([NewTopic(BUSINESS, 1, 1)])[BUSINESS].result(60)
    who = {role: as_user(kafka, folder, f"auditstream-{role}", STREAM) for role in ROLES}

    def rule(role: str, topic: str) -> AclBinding:
        return AclBinding(
            *(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:auditstream-{role}"),
            *("*", AclOperation.READ, AclPermissionType.ALLOW),
        )

    # Somebody gave it a right that it need not have.
    give(admin, [rule("ingest", BUSINESS)])
    assert values(who["ingest"], BUSINESS, "own-ingest") == [[]]
    # It has that right, but not from there.
    elsewhere = who["detect"].model_copy(update={"brokers": kafka.bootstrap(ELSEWHERE)})
    assert values(elsewhere, "own.clocks", "own-detect")
    # It has no such right.
    assert refused(who["collect"], "own.events") == "TOPIC_AUTHORIZATION_FAILED"
    # Its own was taken away.
    take(admin, [rule("topics", "own.events")])
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        values(who["topics"], "own.events", "own-topics")


def test_its_work_is_left_out_and_a_stolen_credential_is_seen(kafka: Kafka, tmp_path: Path) -> None:
    worked(kafka, tmp_path)
    read = Read(kafka, tmp_path / "before")
    assert read.findings == []
    assert set(read.filtered) >= {f"own:{role}" for role in ROLES}
    # Of all they did, only what changed the cluster is an event.
    assert {(e["actor"]["user"]["name"], e["auditstream"]["request"]) for e in read.events} == {
        ("auditstream-topics", "CreateTopics")
    }
    assert min(read.filtered[f"own:{role}"] for role in ("topics", "ingest", "detect")) > 100

    stolen(kafka, tmp_path)
    read = Read(kafka, tmp_path / "after")
    found = {f["auditstream"]["actor"].removeprefix("User:auditstream-"): f for f in read.findings}
    severities = {role: SEVERITY_NAMES[f["severity_id"]] for role, f in found.items()}
    expected = {"ingest": "High", "collect": "High", "topics": "Medium", "detect": "High"}
    if kafka.seen_from(ELSEWHERE) == kafka.seen_from(HERE):
        del expected["detect"]
    assert severities == expected
    assert len(read.findings) == len(found)
    assert read.resources(found["ingest"]) == {BUSINESS}
    assert read.resources(found["collect"]) == {"own.events"}
    assert read.resources(found["topics"]) == {"own.events"}
    if "detect" in found:
        assert "own.clocks" in read.resources(found["detect"])
        assert {e["src_endpoint"]["ip"] for e in read.evidence(found["detect"])} == {ELSEWHERE}
