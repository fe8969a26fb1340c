"""Support access across inputs: the ticket system's records, brokers' logs, in any order."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config, Estate, Input, PrincipalRule
from schemas.vocabulary import ActorKind
from tests.logs import START, decision, write
from tests.runtimes.following import Follow
from tests.runtimes.runs import rows, run, settled

VENDOR = PrincipalRule(pattern="User:vendor-*", kind=ActorKind.PROVIDER_HUMAN)
PROD = Estate(name="prod", clusters=("kafka-1", "kafka-2"))
CONFIG = Config(principals=(VENDOR,), estates=(PROD,))


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def record(kind: str, minute: float, **said: Any) -> str:
    time = at(minute).isoformat()
    given = {"v": 1, "kind": kind, "id": f"{kind}-{minute}", "time": time, "estate": "prod"}
    if kind in ("session_opened", "session_closed", "break_glass"):
        given |= {"session": "S-1", "principal": "User:vendor-1"}
    return json.dumps(given | said)


def approval(minute: float, **said: Any) -> str:
    scope = [{"resource_type": "topic", "resource": "payments.*"}]
    window = {"from": at(10).isoformat(), "to": at(20).isoformat()}
    given = {
        "approves": "S-1", "approved_by": "oscar@example.com", "window": window, "scope": scope,
        "ticket": "CASE-1",
    }  # fmt: skip
    return record("approval", minute, **given | said)


def touched(minute: float, resource: str = "payments.orders", operation: str = "DESCRIBE") -> str:
    named = f"Topic:LITERAL:{resource}"
    return decision(at(minute), "User:vendor-1", operation=operation, resource=named)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Input]:
    """Two clusters and a ticket system, each with a file of its own."""

    def given(name: str, lines: list[str], cluster: str) -> Input:
        return Input(path=str(write(tmp_path / name, lines)), cluster=cluster)

    support = [approval(5), record("session_opened", 10), record("session_closed", 20)]
    return {
        "desk": given("desk.jsonl", support, "desk"),
        "one": given("one.log", [touched(11), touched(12, "hr.salaries")], "kafka-1"),
        "two": given("two.log", [touched(15), touched(16, operation="READ")], "kafka-2"),
    }


def found(store: Path) -> dict[str, tuple[int, dict[str, int]]]:
    """Severity, and pieces of evidence of each violation, by key; of what is open."""
    sql = (
        "SELECT key, severity_id, ocsf FROM findings AS f WHERE status = 'open' AND detector = "
        "'unapproved_support_access' AND version = "
        "(SELECT max(version) FROM findings AS o WHERE o.id = f.id)"
    )
    return {
        row["key"]: (row["severity_id"], {
            each["name"]: len(each["evidence"])
            for each in json.loads(row["ocsf"])["auditstream"]["violations"]
        })
        for row in rows(store, sql)
    }  # fmt: skip


def test_what_was_done_in_two_clusters_is_one_session(
    inputs: dict[str, Input], tmp_path: Path
) -> None:
    store = tmp_path / "s.db"
    summary = run(store, *inputs.values(), config=CONFIG)
    assert found(store) == {"session=S-1": (5, {"payload": 1, "outside_scope": 1})}
    assert not summary.complaints
    assert {row["cluster"] for row in rows(store, "SELECT cluster FROM findings")} == {"prod"}


def test_any_order_of_arrival_ends_the_same(inputs: dict[str, Input], tmp_path: Path) -> None:
    views = []
    for number, order in enumerate(permutations(inputs)):
        store = tmp_path / f"{number}.db"
        for name in order:
            run(store, inputs[name], config=CONFIG)
        views.append(settled(store))
    assert all(view == views[0] for view in views)


def test_an_approval_that_comes_late_withdraws_what_it_covers(
    inputs: dict[str, Input], tmp_path: Path
) -> None:
    store = tmp_path / "s.db"
    run(store, inputs["two"], config=CONFIG)
    ((key, (severity, violations)),) = found(store).items()
    assert (key, severity) == ("principal=User:vendor-1 day=2026-11-01", 5)
    assert violations == {"no_approval": 2, "payload": 1}
    desk = write(
        tmp_path / "late.jsonl", [approval(5, payload_access=True), record("session_opened", 10)]
    )
    run(store, Input(path=str(desk), cluster="desk"), config=CONFIG)
    assert found(store) == {}
    statuses = [row["status"] for row in rows(store, "SELECT status FROM findings")]
    assert statuses == ["open", "withdrawn"]


def test_without_estates_a_record_is_of_the_label_it_names(
    inputs: dict[str, Input], tmp_path: Path
) -> None:
    store = tmp_path / "s.db"
    lines = [approval(5, estate="kafka-1"), record("session_opened", 10, estate="kafka-1")]
    desk = Input(path=str(write(tmp_path / "desk2.jsonl", lines)))
    config = Config(principals=(VENDOR,))
    summary = run(store, inputs["one"], inputs["two"], desk, config=config)
    assert not summary.complaints
    assert found(store) == {
        "session=S-1": (4, {"outside_scope": 1}),
        "principal=User:vendor-1 day=2026-11-01": (5, {"no_approval": 2, "payload": 1}),
    }


def test_an_estate_that_nobody_has_is_named(inputs: dict[str, Input], tmp_path: Path) -> None:
    lines = [record("session_opened", 10, estate="pord")]
    desk = Input(path=str(write(tmp_path / "desk2.jsonl", lines)))
    summary = run(tmp_path / "s.db", inputs["one"], desk, config=CONFIG)
    (complaint,) = summary.complaints
    assert "'pord'" in complaint
    assert "[[estates]]" in complaint


def test_another_configuration_of_estates_takes_back_what_the_old_one_led_to(
    inputs: dict[str, Input], tmp_path: Path
) -> None:
    store = tmp_path / "s.db"
    run(store, *inputs.values(), config=CONFIG)
    renamed = Estate(name="production", clusters=(*PROD.clusters, "prod"))
    run(store, *inputs.values(), config=Config(principals=(VENDOR,), estates=(renamed,)))
    assert found(store) == {"session=S-1": (5, {"payload": 1, "outside_scope": 1})}
    said = rows(store, "SELECT cluster, status FROM findings ORDER BY rowid")
    assert sorted(tuple(row.values()) for row in said) == [
        ("prod", "open"), ("prod", "withdrawn"), ("production", "open"),
    ]  # fmt: skip


def test_time_that_passes_raises_a_break_glass_while_files_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No support record and no provider's deed comes: an event of the estate's is enough."""
    monkeypatch.setattr("pipeline.runtimes.judge.PAUSE_S", 0.05)
    day = 24 * 60
    desk = write(tmp_path / "desk.jsonl", [record("break_glass", 0)])
    log = write(tmp_path / "a.log", [decision(at(day), "User:app")])
    config = CONFIG.model_copy(
        update={"inputs": (Input(path=str(desk)), Input(path=str(log), cluster="kafka-1"))}
    )
    store = tmp_path / "s.db"
    with Follow(store, config=config) as follower:
        low = {"session=S-1": (2, {"break_glass": 1})}
        follower.until(lambda: store.exists() and found(store) == low)
        with log.open("a") as file:
            file.write(decision(at(day + 0.1), "User:app") + "\n")
        high = {"session=S-1": (4, {"break_glass_unreviewed": 1})}
        follower.until(lambda: found(store) == high)
        with desk.open("a") as file:
            file.write(record("review", day, approves="S-1") + "\n")
        follower.until(lambda: found(store) == {})
    assert follower.error is None
