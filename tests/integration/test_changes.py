"""Random administration of a real broker: each deed is one change, and nothing else is."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.lab.kafka import Kafka
from tests.commands import auditstream
from tests.servers.administration import CANARY, HOSTS, USERS, Deed, administer

FILES = ("kafka-request.log", "kafka-authorizer.log", "controller.log", "server.log")
Document = dict[str, Any]


class Administered:
    """A broker that was administered and then started again, and the files it wrote."""

    def __init__(self, home: Path) -> None:
        kafka = Kafka(home, USERS, logging="product", clients=tuple(HOSTS.values()))
        with kafka:
            self.deeds = administer(kafka, 160, seed=11).deeds
            kafka.stop()
        with kafka:
            time.sleep(1)
            kafka.stop()
        self.logs = kafka.logs

    def changes(self, folder: Path, names: Iterable[str]) -> list[Document]:
        """What the command tells of some of the files, read in this order."""
        for name in names:
            given = ("run", "--input", f"auto={self.logs / name}", "--store", "s.db")
            done = auditstream(*given, cwd=folder)
            assert done.returncode == 0, done.stderr
        told = auditstream("changes", "--store", "s.db", "--format", "jsonl", cwd=folder)
        return [json.loads(line) for line in told.stdout.splitlines()]


@pytest.fixture(scope="module")
def administered(tmp_path_factory: pytest.TempPathFactory) -> Administered:
    return Administered(tmp_path_factory.mktemp("administered"))


def said(changes: Iterable[Document]) -> Counter[Deed]:
    names = ("actor", "address", "action", "target", "item", "outcome")
    return Counter(Deed(*(change[name] for name in names)) for change in changes)


def truth(deeds: Iterable[Deed]) -> Counter[Deed]:
    return Counter(replace(deed, after=None) for deed in deeds)


def test_each_deed_is_one_change_and_nothing_else_is(
    administered: Administered, tmp_path: Path
) -> None:
    changes = administered.changes(tmp_path, FILES)
    assert said(changes) == truth(administered.deeds)
    values = Counter(
        (d.target, d.item, d.after) for d in administered.deeds if d.action == "config.set"
    )
    assert values == Counter(
        (c["target"], c["item"], c["after"][c["item"]])
        for c in changes
        if c["action"] == "config.set"
    )
    for change in changes:
        # The same value again has no effect, and the controller says nothing of it.
        assert set(change["missing"]) <= {"effect"}
        assert change["confidence"] == ("medium" if change["missing"] else "high")


def test_the_order_of_the_files_means_nothing(administered: Administered, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert administered.changes(one, FILES) == administered.changes(other, reversed(FILES))


@pytest.mark.parametrize("without", ["kafka-authorizer.log", "controller.log"])
def test_without_a_file_the_rest_still_tells_it_all(
    administered: Administered, tmp_path: Path, without: str
) -> None:
    changes = administered.changes(tmp_path, [name for name in FILES if name != without])
    assert said(changes) == truth(administered.deeds)
    assert any(change["confidence"] == "medium" for change in changes)


def test_without_the_request_log_nothing_is_invented(
    administered: Administered, tmp_path: Path
) -> None:
    changes = administered.changes(tmp_path, FILES[1:])
    assert {change["confidence"] for change in changes} == {"low"}
    truly = {(d.actor, d.action, d.target, d.item) for d in administered.deeds}
    done = [change for change in changes if change["outcome"] == "success"]
    assert done
    for change in done:
        actor, what = change["actor"], (change["action"], change["target"], change["item"])
        assert (actor, *what) in truly or (
            actor == "Unknown" and what in {deed[1:] for deed in truly}
        )


def test_secrets_are_in_nothing_that_was_written(
    administered: Administered, tmp_path: Path
) -> None:
    administered.changes(tmp_path, FILES)
    assert CANARY.encode() not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_the_timeline_tells_a_change_once(administered: Administered, tmp_path: Path) -> None:
    changes = administered.changes(tmp_path, FILES)
    told = auditstream("timeline", "--store", "s.db", "--format", "jsonl", cwd=tmp_path)
    everything = [json.loads(line) for line in told.stdout.splitlines()]
    # A finding stands where what it rests on begins; its time is when it ended.
    begins = [e.get("finding_info", {}).get("first_seen_time", e["time"]) for e in everything]
    assert begins == sorted(begins)
    entries = [e for e in everything if "finding_info" not in e]
    legs = {leg for change in changes for leg in change["legs"]}
    assert not legs & {e["metadata"]["uid"] for e in entries if "metadata" in e}
    assert [e for e in entries if "metadata" not in e] == changes
