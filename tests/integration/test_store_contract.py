"""Whatever is asked of OpenSearch, the answer is the one that the embedded store gives.

Both hold the same: the bundled incident, then 100,000 random events with what rests on them. What
the command line prints is compared byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from opensearchpy import OpenSearch as Client

from pipeline.lab.opensearch import OpenSearch
from pipeline.query import Query
from pipeline.sinks.opensearch_query import OpenSearchReader
from pipeline.sinks.reading import Reader, Row
from pipeline.sinks.sqlite_query import SqliteReader
from tests.commands import exit_status
from tests.indexed import fill
from tests.medley import store
from tests.questions import Questions
from tests.stores import clear

EVENTS = 100_000
ALL_FORMATS = ("table", "jsonl", "csv")
COMMANDS = ("events", "findings", "dead-letters", "changes", "timeline")
FORMATS = {"changes": ("table", "jsonl"), "timeline": ("table", "jsonl")}
WITHOUT = {
    "dead-letters": ("class", "outcome"),
    "changes": ("source", "class", "text"),
    "timeline": ("source", "class", "text"),
}


@dataclass(frozen=True)
class Both:
    """The same, in both stores."""

    path: Path
    url: str
    embedded: Reader
    indexed: Reader
    capture: pytest.CaptureFixture[bytes]

    def say(self, *arguments: str) -> bytes:
        """What both say, as one: status, output and complaints must be the same."""
        first, second = (self._said(*arguments, "--store", at) for at in (str(self.path), self.url))
        assert first == second, arguments
        # Times may exclude each other.
        assert first[0] in (0, 2), arguments
        return first[1]

    def _said(self, *arguments: str) -> tuple[int, bytes, bytes]:
        self.capture.readouterr()
        status = exit_status(*arguments)
        return (status, *self.capture.readouterr())


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    with OpenSearch(tmp_path_factory.mktemp("opensearch"), security=False) as running:
        yield running


@pytest.fixture(scope="module", params=["incident", "medley"])
def filled(
    request: pytest.FixtureRequest, node: OpenSearch, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """Which of the two is in the stores, and where the embedded one is."""
    path = tmp_path_factory.mktemp(request.param) / "s.db"
    if request.param == "medley":
        store(path, EVENTS)
    else:
        assert exit_status("run", "--store", path) == 0
    with closing(node.client()) as client:
        clear(client)
        fill(client, path)
    return request.param, path


@pytest.fixture
def both(
    filled: tuple[str, Path], node: OpenSearch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Both]:
    client = node.client()
    with closing(SqliteReader(filled[1])) as embedded, closing(OpenSearchReader(client)) as indexed:
        yield Both(filled[1], node.url, embedded, indexed, capfdbinary)
        assert points_in_time(client) == []


@pytest.fixture(scope="module")
def rows(filled: tuple[str, Path]) -> list[Row]:
    """Events, to ask questions about."""
    with closing(SqliteReader(filled[1])) as reader:
        return reader.all("SELECT * FROM events ORDER BY id LIMIT 20000")


def points_in_time(client: Client) -> list[Any]:
    """What OpenSearch keeps for those who read."""
    found = client.transport.perform_request("GET", "/_search/point_in_time/_all")
    return list(found["pits"])


def comparable(row: Any) -> Any:
    """A row without what the embedded store alone has."""
    if isinstance(row, dict):
        row.pop("seq", None)
    return row


def test_all_there_is_comes_out_in_order(both: Both, filled: tuple[str, Path]) -> None:
    embedded, indexed = both.embedded, both.indexed
    pairs: list[tuple[Iterator[Any], Iterator[Any]]] = [
        (embedded.events(Query()), indexed.events(Query())),
        (embedded.findings(Query()), indexed.findings(Query())),
        (embedded.findings(Query(), history=True), indexed.findings(Query(), history=True)),
        (embedded.dead_letters(Query()), indexed.dead_letters(Query())),
        (embedded.legs(), indexed.legs()),
    ]
    counts = []
    for expected, found in pairs:
        counts.append(0)
        for one, other in zip_longest(expected, found):
            assert comparable(one) == comparable(other)
            counts[-1] += 1
    assert counts[0] == (EVENTS if filled[0] == "medley" else 320)
    assert counts[1] > 10
    short = [name for name in embedded.strangers() if len(name.encode("utf-16-le")) // 2 <= 8_191]
    assert indexed.strangers() == short


def test_events_are_had_by_their_ids(both: Both, rows: list[Row]) -> None:
    embedded, indexed = both.embedded, both.indexed
    ids = [row["id"].hex() for row in Random(5).sample(rows, min(len(rows), 2_500))]
    asked = [*ids, "00" * 16, ids[0]]
    expected, found = embedded.by_id(asked), indexed.by_id(asked)
    assert list(map(comparable, expected)) == found
    assert len(found) == len(ids)
    assert indexed.by_id([]) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_any_question_has_one_answer(
    both: Both, filled: tuple[str, Path], command: str, rows: list[Row]
) -> None:
    small = filled[0] == "incident"
    questions, found = Questions(command, rows), 0
    for number in range(40 if small else 15):
        asked = [
            said
            for said in questions.arguments(number % 4 if small else 1 + number % 4)
            if not said[2:].startswith(WITHOUT.get(command, ()))
        ]
        arguments = [
            command,
            *asked,
            "--format",
            questions.random.choice(FORMATS.get(command, ALL_FORMATS)),
        ]
        if questions.random.random() < (0.3 if small else 0.9):
            arguments += ["--limit", str(questions.random.choice((1, 2, 99, 100, 101, 700)))]
        found += both.say(*arguments).count(b"\n") > 1
    # Nothing of the incident is unreadable, and nothing random is a change.
    assert found > 5 or command == ("dead-letters" if small else "changes")


def test_one_finding_is_told_whole(both: Both, rows: list[Row]) -> None:
    versions = list(both.embedded.findings(Query(), history=True))
    for row in Random(1).sample(versions, 5):
        name = row["id"].hex()
        for more in ((), ("--history",), ("--format", "jsonl"), ("--history", "--format", "csv")):
            assert both.say("findings", "--id", name, *more)
        both.say("findings", "--id", name[:14])
    assert b"nothing found" in both.say("findings", "--id", "nothing")


def test_one_change_is_told_with_its_legs(both: Both, filled: tuple[str, Path]) -> None:
    said = both.say("changes", "--format", "jsonl").splitlines()
    for line in said[:: max(1, len(said) // 5)]:
        name = orjson.loads(line)["id"]
        assert name[:12].encode() in both.say("changes", "--change", name)
        both.say("timeline", "--change", name)
    assert said or filled[0] == "medley"
