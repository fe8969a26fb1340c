"""Estate detectors in the embedded runtime: judged at each run's end, and now and then meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import Config, Input
from pipeline.runtimes import judge
from pipeline.runtimes.judge import Judge
from pipeline.sinks.sqlite import SqliteStore
from tests.logs import write
from tests.runtimes.following import Follow
from tests.runtimes.runs import contents, nothing, rows, run, settled

ACL = (
    "[2026-11-20 23:52:44,144] INFO [QuorumController id=1] Replayed AccessControlEntryRecord for "
    "Z6aCTrZzQbiDuRSvNuIvYw, setting StandardAcl(resourceType=TOPIC, resourceName=*, "
    "patternType=LITERAL, principal=User:alice, host=*, operation=READ, permissionType=ALLOW) "
    "(org.apache.kafka.controller.AclControlManager)"
)
DECISION = (
    "[2026-11-20 23:52:44,124] DEBUG Principal = User:admin is Allowed operation = ALTER from "
    "host = 192.0.2.7 on resource = Cluster:LITERAL:kafka-cluster for request = CreateAcls with "
    "resourceRefCount = 1 based on rule SuperUser (kafka.authorizer.logger)"
)
LEVEL = (
    "[2026-11-20 23:55:00,000] INFO Updated the log level of kafka.authorizer.logger to WARN "
    "(kafka.server.logger.RuntimeLoggerManager)"
)


def started(minute: int, users: str) -> str:
    return (
        f"[2026-11-20 23:{minute}:00,000] INFO [StandardAuthorizer 1] set super.users={users}, "
        "default result=DENIED (org.apache.kafka.metadata.authorizer.StandardAuthorizerData)"
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    write(folder / "controller.log", [ACL])
    write(folder / "kafka-authorizer.log", [DECISION])
    lines = [started(50, "User:admin"), LEVEL, started(58, "User:admin;User:mallory")]
    write(folder / "server.log", lines)
    return folder


def found(store: Path) -> list[tuple[str, int, str]]:
    """Detector, severity and actor of each finding of the settled view."""
    sql = (
        "SELECT detector, severity_id, actor FROM findings AS f WHERE status = 'open' AND version "
        "= (SELECT max(version) FROM findings AS o WHERE o.id = f.id) ORDER BY detector, actor, key"
    )
    return [tuple(row.values()) for row in rows(store, sql)]


ALL = [("acl_change", 4, "User:admin"), ("audit_weakened", 4, ""), ("audit_weakened", 4, "")]


def test_changes_and_lives_are_judged_at_the_end_and_once(logs: Path, store: Path) -> None:
    summary = run(store, logs)
    assert found(store) == ALL
    assert len(summary.findings) == summary.store["findings"] == 3
    before = contents(store)
    assert nothing(run(store, logs))
    assert contents(store) == before


def test_one_file_after_the_other_settles_on_the_same(
    logs: Path, store: Path, tmp_path: Path
) -> None:
    run(store, logs)
    other = tmp_path / "other.db"
    for name in ("controller.log", "server.log", "kafka-authorizer.log"):
        run(other, logs / name)
    assert settled(other) == settled(store)
    statuses = {row["status"] for row in rows(other, "SELECT status FROM findings")}
    assert statuses == {"open", "superseded"}


def test_a_run_that_died_before_judging_is_made_good_by_the_next(
    logs: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Judge, "now", lambda _: set())
        run(store, logs)
    assert found(store) == []
    assert len(run(store, logs).findings) == 3
    assert found(store) == ALL


def test_what_is_switched_off_says_nothing(logs: Path, store: Path) -> None:
    off = {"acl_change": {"enabled": False}, "audit_weakened": {"enabled": False}}
    assert not run(store, logs, config=Config(detectors=off)).findings


def test_clusters_are_judged_apart(logs: Path, store: Path) -> None:
    run(store, *(Input(path=str(logs), cluster=name) for name in ("east", "west")))
    assert sorted(found(store)) == sorted(ALL * 2)
    assert len({row["id"] for row in rows(store, "SELECT id FROM findings")}) == 6


@pytest.fixture
def opened(logs: Path, store: Path) -> Iterator[SqliteStore]:
    run(store, logs, config=Config(detectors={"acl_change": {"enabled": False}}))
    held = SqliteStore(store)
    yield held
    held.close()


def test_meanwhile_it_judges_where_there_is_news_and_not_all_the_time(
    opened: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    at_work = Judge(Config().active_estates(), opened, Config().estate_of)
    assert at_work.soon() == set()
    at_work.news = True
    assert len(at_work.soon()) == 1
    assert not at_work.news
    at_work.news = True
    clock += judge.PAUSE_S - 0.1
    assert at_work.soon() == set()
    assert at_work.news
    clock += 0.2
    assert at_work.soon() == set()
    assert not at_work.news


def test_what_is_followed_is_judged_before_it_ends(
    logs: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "kafka-authorizer.log").unlink()
    with Follow(store, logs) as follower:
        follower.until(lambda: store.exists() and len(found(store)) == 3)
        events = follower.count()
        write(logs / "kafka-authorizer.log", [DECISION])
        follower.has(events + 1)
    assert follower.error is None
    assert found(store) == ALL
    assert len(follower.summary.findings) == 4
