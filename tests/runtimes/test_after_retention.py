"""Runs upon a store from which retention has removed something: sums, findings, and what comes new."""

from __future__ import annotations

import math
import shutil
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config, load
from pipeline.retention.planning import planned
from pipeline.retention.records import Who
from pipeline.runtimes import judge
from pipeline.runtimes.embedded import Summary
from pipeline.sinks.sqlite_retention import SqliteRetention
from pipeline.storage import Retention
from schemas.indices import DAY_MS
from tests.retention.year import NOW
from tests.runtimes.runs import nothing, rows, run

INCIDENT = Path(__file__).parents[2] / "pipeline/incident"
SHORT = Retention(name="short", days=1, sources=("support_session",))
LATER = NOW + 200 * DAY_MS


@pytest.fixture
def config(tmp_path: Path) -> Config:
    for file in INCIDENT.iterdir():
        shutil.copy(file, tmp_path)
    its = load(tmp_path / "auditstream.toml")
    inputs = tuple(i.model_copy(update={"path": str(tmp_path / i.path)}) for i in its.inputs)
    return its.model_copy(update={"inputs": inputs, "retention": (SHORT,)})


@pytest.fixture
def store(tmp_path: Path, config: Config) -> Path:
    path = tmp_path / "store.db"
    again(path, config)
    return path


def again(path: Path, config: Config) -> Summary:
    return run(path, *config.inputs, config=config)


def remove(path: Path, config: Config, now: int = LATER) -> int:
    """Remove what is due; how many events that are."""
    at = count(now)
    with closing(SqliteRetention(path, read_only=False)) as store:
        verdicts = planned(store.units(now), [], config.retention, now)
        due = [verdict for verdict in verdicts if verdict.state == "due"]
        for verdict in due:
            list(store.remove(verdict, Who("OS:alice"), at.__next__))
    return sum(verdict.unit.events for verdict in due)


def findings(path: Path) -> list[dict[str, Any]]:
    return rows(path, "SELECT * FROM findings ORDER BY id, version")


def test_the_sum_balances_and_says_what_was_removed(store: Path, config: Config) -> None:
    before = again(store, config).store
    assert before["removed"] == 0
    gone = remove(store, config)
    assert 0 < gone < before["events"]
    after = again(store, config).store
    assert after == before | {"events": before["events"] - gone, "removed": gone}
    rest = after["duplicates"] + after["filtered"] + after["dead_letters"]
    assert after["items"] == after["events"] + after["removed"] + rest


def test_findings_stand_as_they_were_said(store: Path, config: Config) -> None:
    """Approvals go before the deeds that they cover, and deeds before findings on them."""
    before = findings(store)
    assert len(before) > 15
    assert remove(store, config) > 10
    assert nothing(again(store, config))
    assert findings(store) == before
    # Half a year on nothing of it is left.
    everything = config.model_copy(update={"retention": (Retention(days=1), SHORT)})
    assert remove(store, everything) > 200
    assert nothing(again(store, config))
    assert findings(store) == before


def test_what_rests_on_removed_evidence_stands_however_old_it_is(
    store: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_unsure", lambda *_: -math.inf)
    before = findings(store)
    everything = config.model_copy(update={"retention": (Retention(days=1), SHORT)})
    assert remove(store, everything) > 200
    assert nothing(again(store, config))
    assert findings(store) == before


def acl(day: str) -> str:
    return (
        f"[{day} 23:52:44,144] INFO [QuorumController id=1] Replayed AccessControlEntryRecord "
        "for Z6aCTrZzQbiDuRSvNuIvYw, setting StandardAcl(resourceType=TOPIC, resourceName=*, "
        "patternType=LITERAL, principal=User:bob, host=*, operation=READ, permissionType=ALLOW) "
        "(org.apache.kafka.controller.AclControlManager)\n"
    )


def test_nothing_new_is_said_of_what_may_have_been_explained(
    store: Path, config: Config, tmp_path: Path
) -> None:
    """Removed were support records up to 2026-11-21: an approval may have been among them. What
    is more than the horizon of 35 days later is judged as ever."""
    remove(store, config)
    (tmp_path / "more").mkdir()
    log = tmp_path / "more" / "controller.log"
    log.write_text(acl("2026-11-30"))
    assert not run(store, tmp_path / "more", config=config).findings
    log.write_text(acl("2026-11-30") + acl("2026-12-31"))
    assert len(run(store, tmp_path / "more", config=config).findings) == 1


def test_the_doubt_never_reaches_up_to_the_removal() -> None:
    day, horizon = DAY_MS, 35 * DAY_MS
    late = {"estates_until": NOW - 400 * day, "at": NOW}
    soon = {"estates_until": NOW - 30 * day, "at": NOW}
    nothing_of_them = {"estates_until": None, "at": NOW}
    assert judge._unsure([late], horizon) == NOW - 365 * day
    assert judge._unsure([soon, late, nothing_of_them], horizon) == NOW - 15 * day
    assert judge._unsure([nothing_of_them], horizon) == judge._unsure([], horizon) == -math.inf
