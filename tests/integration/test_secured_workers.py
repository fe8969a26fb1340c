"""Workers on a broker with SASL_SSL, client certificates and ACLs: exactly those that are printed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, AdminClient  # type: ignore[attr-defined]

from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka import acls as rights
from pipeline.runtimes.kafka.connection import client
from pipeline.streaming import Streaming
from tests.awaited import give, take
from tests.commands import auditstream
from tests.integration.test_rights import bindings, granted
from tests.logs import broker_lines, write
from tests.runtimes.kafka.running import eventually
from tests.runtimes.kafka.secured import as_user, secured, written
from tests.streams import QUICK, StreamOn, embedded

pytestmark = pytest.mark.integration

STREAM = Streaming(prefix="w", group="w")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with secured(tmp_path_factory.mktemp("secured"), QUICK) as broker:
        yield broker


class Secured:
    """One stream, and each role with its own principal and no more rights than are printed."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        stream = STREAM.model_copy(update={"folder": str(folder / "work")})
        write(folder / "broker.log", broker_lines(1_500))
        inputs = f'[[inputs]]\npath = "{folder}/broker.log"\ncluster = "kafka"\nzone = "UTC"\n'
        self.admin = as_user(kafka, folder, "admin", stream)
        whole = written(folder / "admin.toml", self.admin, inputs)
        self.stream = StreamOn(kafka, folder, "w", whole)
        self.configs = {}
        for role in ("collect", "ingest", "detect"):
            allowed = granted(kafka, folder, stream, role)
            self.configs[role] = written(folder / f"{role}.toml", allowed, inputs)

    def collect(self, *more: str) -> None:
        done = auditstream("collect", "--config", self.configs["collect"], *more, cwd=self.folder)
        assert done.returncode == 0, done.stderr


def test_what_is_printed_suffices_and_what_is_taken_away_is_named(
    kafka: Kafka, tmp_path: Path
) -> None:
    secured = Secured(kafka, tmp_path)
    secured.collect()
    with ExitStack() as workers:
        for role in ("ingest", "detect"):
            workers.enter_context(secured.stream.worker(role, config=str(secured.configs[role])))
        secured.stream.finish()
    expected = embedded(secured.stream.path, tmp_path)
    assert secured.stream.view().differences(expected) == []
    _each_right_is_needed(secured)


TAKEN = (
    ("ingest", "w.raw.", "READ", "there is no topic to read"),
    ("ingest", "w.state", "READ", "w.state cannot be read"),
    ("ingest", "w.state", "WRITE", "TOPIC_AUTHORIZATION_FAILED"),
    ("ingest", "w.events", "WRITE", "missing, or not ours to see: w.events"),
    ("ingest", "w.accounts", "DESCRIBE_CONFIGS", "the settings of topic w.accounts cannot be read"),
    ("ingest", "w-ingest", "READ", "Group authorization failed"),
    ("ingest", "w-ingest-", "WRITE", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"),
    ("detect", "w.control", "READ", "missing, or not ours to see: w.control"),
    ("detect", "w.findings", "WRITE", "missing, or not ours to see: w.findings"),
    ("detect", "w-detect", "READ", "Group authorization failed"),
)
"""Rights of each kind, and what a worker says that lacks one."""


def _each_right_is_needed(secured: Secured) -> None:
    admin = AdminClient(client(secured.admin))
    printed = [
        (acl.role, binding)
        for acl in rights.acls(STREAM, rights.principals([]))
        for binding in bindings(rights.command(STREAM, acl))
    ]
    for number, (role, name, operation, said) in enumerate(TAKEN):
        [binding] = [
            b
            for r, b in printed
            if (r, b.name, AclOperation(b.operation).name) == (role, name, operation)
        ]
        write(secured.folder / "more.log", broker_lines(900, seed=100 + number))
        secured.collect("--input", f"auto={secured.folder}/more.log")
        take(admin, [binding])
        with secured.stream.worker(role, config=str(secured.configs[role])) as worker:
            eventually(worker.ended, f"the end of a worker without {binding}")
            assert worker.process.kill() == 1
            assert said in worker.said, worker.said
        give(admin, [binding])
