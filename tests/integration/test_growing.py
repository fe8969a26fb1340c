"""Counters that go on in another topic: what was said stays said, or is taken back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from pipeline.config import load
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.cluster import Cluster
from pipeline.runtimes.kafka.topics import Made, mark
from tests.logs import START, decision, write
from tests.streams import StreamOn, embedded

pytestmark = pytest.mark.integration


def denials(principal: str, after: timedelta, count: int) -> Iterator[str]:
    for number in range(count):
        yield decision(
            START + after + timedelta(seconds=number),
            principal,
            allowed=False,
            operation="DESCRIBE",
            request="Metadata",
            resource=f"Topic:LITERAL:payments.{number}",
        )


GUESTS = [f"User:guest-{number}" for number in range(12)]
"""As many that every partition has some, before and after."""


@dataclass
class Growing:
    """A stream over a folder, two partitions wide."""

    stream: StreamOn
    files: Path
    said: str

    def work(self, name: str, lines: Iterable[str], *roles: str) -> None:
        """Have a file more worked off by such workers, who then stop."""
        write(self.files / name, lines)
        self.stream.collect()
        self.on(*roles)

    def on(self, *roles: str) -> None:
        self.stream.layout()
        with self.stream.worker(*roles) as worker:
            self.stream.finish(roles=roles)
            assert worker.stop() == 0, worker.said

    def grow(self) -> None:
        """Ask for more partitions."""
        text = self.stream.path.read_text("utf-8")
        said = text.replace("partitions = 2\n", "partitions = 5\n")
        self.stream.path.write_text(said, "utf-8")
        self.stream.config = load(self.stream.path)

    def differences(self) -> list[str]:
        """From what one embedded run says."""
        folder = self.files.parent
        (folder / "embedded.db").unlink(missing_ok=True)
        config = folder / "expected.toml"
        config.write_text(self.said, "utf-8")
        return self.stream.view().differences(embedded(config, folder))


@pytest.fixture
def growing(kafka: Kafka, tmp_path: Path, request: pytest.FixtureRequest) -> Growing:
    files = tmp_path / "files"
    files.mkdir()
    said = f'[[inputs]]\npath = "{files}"\ncluster = "c"\nzone = "UTC"\n'
    name = re.sub(r"\W", "-", request.node.name)
    return Growing(StreamOn(kafka, tmp_path / "s", name, said, partitions=2), files, said)


@pytest.mark.parametrize("how", ["as planned", "after it was deleted"])
def test_findings_of_the_generation_before_are_carried_on(growing: Growing, how: str) -> None:
    stream = growing.stream
    later = [line for guest in GUESTS for line in denials(guest, timedelta(minutes=2), 13)]
    alone = denials("User:alone", timedelta(days=-3), 15)
    growing.work("later.log", [*alone, *later], "ingest", "detect")
    assert len(stream.view().findings) == len(GUESTS) + 1
    # What comes now begins earlier and joins it: another finding takes the place of what was said.
    earlier = [line for guest in GUESTS for line in denials(guest, timedelta(0), 25)]
    growing.work("earlier.log", earlier, "ingest")
    before = stream.layout().counters_topic
    if how == "as planned":
        growing.grow()
    else:
        admin = AdminClient(stream.settings)
        admin.delete_topics([before])[before].result(60)
    stream.command("topics", "apply")
    assert stream.layout().counters_topic == f"{before}.2"
    growing.on("ingest", "detect")
    assert growing.differences() == []
    said = {row["id"] for row in stream.rows("findings", "finding")}
    assert len(said) == 2 * len(GUESTS) + 1


def test_what_was_parted_by_growing_in_place_becomes_one(growing: Growing) -> None:
    stream, streaming = growing.stream, growing.stream.config.kafka
    bursts = [list(denials(guest, timedelta(0), 40)) for guest in GUESTS]
    growing.work("first.log", [line for one in bursts for line in one[:20]], "ingest", "detect")
    cluster, topic = Cluster(streaming), stream.layout().counters_topic
    cluster.grow(topic, 3)
    # As it is for workers that were running then: they see more partitions, and ask nobody.
    made = Made(topic, 3, cluster.ids([topic])[topic])
    mark(cluster, streaming, "counters", made)
    growing.work("second.log", [line for one in bursts for line in one[20:]], "ingest", "detect")
    assert any("findings only here" in one for one in growing.differences())
    mark(cluster, streaming, "counters", replace(made, partitions=2))
    growing.grow()
    stream.command("topics", "apply")
    growing.on("ingest", "detect")
    assert growing.differences() == []
