"""Workers of two releases in one group, as they are while an estate is upgraded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.registry import Registry as Client
from pipeline.runtimes.kafka.states import read_whole
from pipeline.runtimes.kafka.wires import registered, subject
from tests.logs import broker_lines, write
from tests.runtimes.kafka.dying import LATER
from tests.servers.registry import Registry
from tests.streams import QUICK, StreamOn, embedded

pytestmark = pytest.mark.integration


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Kafka]:
    with Kafka(tmp_path / "kafka", {"admin": "admin-password"}, properties=QUICK) as broker:
        yield broker


def test_two_releases_read_each_other(kafka: Kafka, tmp_path: Path) -> None:
    inputs = ""
    for number in range(3):
        path = write(tmp_path / f"broker-{number}.log", broker_lines(1_500, seed=number))
        inputs += f'[[inputs]]\npath = "{path}"\ncluster = "kafka-{number}"\nzone = "UTC"\n'
    with Registry(tmp_path / "registry") as registry:
        more: dict[str, Any] = {"registry.url": registry.url, "batch_records": 50}
        stream = StreamOn(kafka, tmp_path / "s", "upgraded", inputs, **more)
        stream.command("registry", "apply")
        later = json.loads(registered("observation"))
        later["fields"].append(LATER)
        client = Client(stream.config.kafka.registry)
        counters = subject(stream.config.kafka, "counters")
        assert client.compatible(counters, json.dumps(later))
        client.register(counters, json.dumps(later))
        with (
            stream.worker("ingest", "detect", session_s=30),
            stream.worker("ingest", "detect", session_s=30, later=True),
        ):
            stream.eventually(lambda: stream.sharing() == 2, "both to have a share")
            stream.collect()
            stream.finish()
            assert stream.view().differences(embedded(stream.path, tmp_path)) == []
        heads: set[bytes] = set()
        for partition in range(3):
            read_whole(
                stream.settings, "upgraded.counters", partition,
                lambda _, value: heads.add((value or b"")[:5]), patience_s=60,
            )  # fmt: skip
        assert len(heads) == 2, "one of the releases wrote nothing"
