"""A raw topic replayed into the embedded store, also once the broker has deleted some of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from pipeline.lab.kafka import Kafka
from tests.commands import exit_status
from tests.replay.replays import alike, documents, log
from tests.runtimes.runs import rows

TOPIC = "replayed.raw.auto"
INPUT = ("--input", f"auto=kafka:{TOPIC}")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with Kafka(tmp_path_factory.mktemp("replay"), {"admin": "admin-password"}) as broker:
        yield broker


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """What a command of that folder says to programs."""
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str) -> Any:
        capsys.readouterr()
        assert exit_status(*arguments) == 0
        return json.loads(capsys.readouterr().out)

    return said


def configured(kafka: Kafka, folder: Path) -> None:
    """Two configurations: by that of then a long line is a dead letter."""
    (folder / "password").write_text(kafka.users["admin"])
    said = (
        f'[kafka]\nbrokers = "{kafka.bootstrap()}"\nprefix = "replayed"\n'
        '[kafka.sasl]\nmechanism = "SCRAM-SHA-256"\nusername = "admin"\npassword_file = "password"\n'
    )
    (folder / "then.toml").write_text(f"max_record_bytes = 1024\n{said}")
    (folder / "today.toml").write_text(
        f'{said}[[principals]]\npattern = "User:app-1*"\nkind = "human"\n'
    )


def test_a_topic_again_and_what_is_left_of_it(
    kafka: Kafka, tmp_path: Path, command: Callable[..., Any]
) -> None:
    configured(kafka, tmp_path)
    log(tmp_path / "server.log")
    admin = AdminClient(kafka.client("admin"))
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(60)
    collecting = ("collect", "--config", "today.toml", "--summary", "json")
    sent = command(*collecting, "--input", "auto=server.log")
    run = ("run", "--summary", "json", *INPUT)
    command(*run, "--config", "then.toml", "--store", "then.db")
    command(*run, "--config", "today.toml", "--store", "fresh.db")

    replay = ("replay", "--json", "--config", "today.toml", "--store", "then.db")
    shown = command(*replay, *INPUT)
    assert shown["records"] == sent["records"]
    assert shown["resolved"]["too_long"] > 5
    assert shown["not_read_again"] == []

    # What the broker has deleted stays as it was read, and is said.
    before = documents(tmp_path / "then.db")
    cut = TopicPartition(TOPIC, 0, sent["records"] // 2)
    admin.delete_records([cut])[cut].result(60)
    found = command(*replay, "--apply", *INPUT)
    assert 0 < found["events"]["new"] < shown["events"]["new"]
    assert found["events"]["gone"] == 0
    after = documents(tmp_path / "then.db")
    assert len(after) == len(before) + found["events"]["new"]
    (left,) = found["not_read_again"]
    assert left["carrier"] == "server.log"
    letters = rows(tmp_path / "then.db", "SELECT * FROM dead_letters WHERE reason = 'too_long'")
    assert left["dead_letters"] == len(letters) > 0

    # The file itself is there still: it is the same stream.
    rest = command(*replay, "--apply", "--input", "auto=server.log")
    assert rest["resolved"] == {"too_long": len(letters)}
    alike(tmp_path / "then.db", tmp_path / "fresh.db")
