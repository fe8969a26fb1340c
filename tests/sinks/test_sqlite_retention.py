"""Retention in the embedded store: months go, records match, kills and neighbours change nothing."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count, pairwise
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.query import Query
from pipeline.retention.holds import Hold, holds
from pipeline.retention.planning import Verdict, planned
from pipeline.retention.records import Who, added, released, removals
from pipeline.retention.stores import Withheld
from pipeline.retention.terms import ALWAYS, Period, period
from pipeline.sinks import sqlite_retention
from pipeline.sinks.sqlite import SqliteStore
from pipeline.sinks.sqlite_query import SqliteReader
from pipeline.sinks.sqlite_retention import SqliteRetention
from schemas import indices
from tests.retention.year import HOSTILE, NOW, RETENTION, event, written, year

ME = Who("OS:alice", "human", "alice")
EACH_DAY = 9


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_retention, "_PAUSE_S", 0)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A store with a year of events, as bytes of its file."""
    path = written(tmp_path_factory.mktemp("year") / "s.db", year(EACH_DAY))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


@pytest.fixture
def path(filled: bytes, tmp_path: Path) -> Path:
    (tmp_path / "s.db").write_bytes(filled)
    return tmp_path / "s.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteRetention]:
    with closing(SqliteRetention(path, read_only=False, at_once=100)) as opened:
        yield opened


def plan(store: SqliteRetention, now: int = NOW) -> list[Verdict]:
    return planned(store.units(now), holds(store.own()), RETENTION, now)


def apply(store: SqliteRetention) -> None:
    at = count(NOW)
    for verdict in plan(store):
        if verdict.state == "due":
            list(store.remove(verdict, ME, at.__next__))


def there(path: Path) -> Counter[str]:
    """How many events of the input are in each month of each class."""
    with closing(SqliteReader(path)) as reader:
        rows = reader.events(Query(source="kafka_authorizer"))
        return Counter(f"audit-{row['retention']}-{indices.month(row['time'])}" for row in rows)


def recorded(store: SqliteRetention) -> Counter[str]:
    told: Counter[str] = Counter()
    for one in removals(store.own()):
        told[f"audit-{one['class']}-{one['month']}"] += one["events"]
    return told


def sound(path: Path) -> None:
    """File and full text hold what the table does."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        in_table = {seq for (seq,) in db.execute("SELECT seq FROM events")}
        found = {
            seq
            for (seq,) in db.execute(
                "SELECT rowid FROM words WHERE words MATCH 'was OR retention OR held OR orders OR stanbul OR quo OR topic'"
            )
        }
        assert found == in_table


def test_what_plan_says_is_what_apply_removes(store: SqliteRetention, path: Path) -> None:
    before = there(path)
    verdicts = plan(store)
    assert {v.unit.name: v.unit.events for v in verdicts} == before
    goes = {v.unit.name: v.unit.events for v in verdicts if v.state == "due"}
    assert len(goes) == 29
    apply(store)
    assert there(path) == Counter({n: c for n, c in before.items() if n not in goes})
    assert recorded(store) == goes
    assert [v.state for v in plan(store) if v.unit.retention != indices.OWN] == ["later"] * 10
    sound(path)


def test_parts_of_a_month_are_recorded_each(store: SqliteRetention) -> None:
    verdict = next(v for v in plan(store) if v.unit.name == "audit-standard-2026.01")
    with closing(SqliteRetention(store._path, read_only=False, at_once=40)) as small:
        steps = list(small.remove(verdict, ME, count(NOW).__next__))
    assert [(step.events, step.of) for step in steps] == [(40, 93), (80, 93), (93, 93)]
    said = removals(store.own())
    assert [(one["events"], one["at"] - NOW) for one in said] == [(40, 0), (40, 1), (13, 2)]
    # One after the other, from the first event of the month to its last.
    assert said[0]["first_time"] == verdict.unit.first
    assert all(a["last_time"] < b["first_time"] for a, b in pairwise(said))
    assert said[-1]["last_time"] == verdict.unit.last
    assert {one["days"] for one in said} == {90}


def test_a_hold_keeps_its_months_and_its_class_until_it_is_released(
    store: SqliteRetention, path: Path
) -> None:
    month = period("2026.03")
    assert month is not None
    assert month.until is not None
    # The last millisecond of March, and the first of April.
    said = added(
        Hold("", Period(month.until - 1, month.until + 1), "short", "CASE-1", "legal"), ME, NOW
    )
    store.write(said)
    before = there(path)
    apply(store)
    kept = {"audit-short-2026.03", "audit-short-2026.04"}
    gone = set(before) - set(there(path))
    assert kept <= set(there(path))
    assert {"audit-standard-2026.03", "audit-short-2026.02", "audit-short-2026.05"} <= gone
    (hold,) = holds(store.own())
    store.write(released(hold, ME, NOW + 1, "closed"))
    apply(store)
    assert set(before) - set(there(path)) == gone | kept


def test_a_hold_that_comes_between_two_steps_is_heard(store: SqliteRetention, path: Path) -> None:
    before = there(path)
    verdict = next(v for v in plan(store) if v.unit.name == "audit-standard-2026.01")
    with closing(SqliteRetention(path, read_only=False, at_once=40)) as small:
        steps = small.remove(verdict, ME, count(NOW).__next__)
        assert next(steps).events == 40
        store.write(added(Hold("", ALWAYS, "", "CASE-1", "legal"), ME, NOW))
        with pytest.raises(Withheld) as withheld:
            next(steps)
    assert [hold.reason for hold in withheld.value.holds] == ["CASE-1"]
    assert recorded(store) == {verdict.unit.name: 40}
    assert there(path)[verdict.unit.name] == before[verdict.unit.name] - 40


_KILLED = """
import os, signal, sys
from itertools import count
from pathlib import Path
from threading import Timer
from tests.sinks.test_sqlite_retention import ME, plan
from pipeline.sinks import sqlite_retention
from pipeline.sinks.sqlite_retention import SqliteRetention
sqlite_retention._PAUSE_S = 0
store = SqliteRetention(Path(sys.argv[1]), read_only=False, at_once=7)
last, steps = int(sys.argv[2]), count(1)
# Not between two steps, but somewhere in one.
kill = Timer(0.005 * last % 0.03, os.kill, (os.getpid(), signal.SIGKILL))
for verdict in plan(store):
    if verdict.state == "due":
        for _ in store.remove(verdict, ME, count(1_795_219_200_000).__next__):
            if next(steps) == last:
                kill.start()
kill.join()
"""


@pytest.mark.parametrize("steps", [1, 20, 60])
def test_killed_at_any_moment_it_says_what_is_gone(
    store: SqliteRetention, path: Path, steps: int
) -> None:
    before = there(path)
    command = [sys.executable, "-c", _KILLED, str(path), str(steps)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    gone = before - there(path)
    assert gone
    assert recorded(store) == gone
    sound(path)
    goes = {v.unit.name for v in plan(store) if v.state == "due"} | set(gone)
    apply(store)
    assert recorded(store) == Counter({name: before[name] for name in goes})
    sound(path)


def test_a_run_that_writes_meanwhile_disturbs_nothing(store: SqliteRetention, path: Path) -> None:
    before = there(path)
    done = threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        try:
            with closing(SqliteStore(path)) as running:
                for number in count(10_000):
                    with running.transaction():
                        running.write_events([event(NOW - number, number)])
                    running.wait()
                    if done.is_set():
                        break
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    store.write(added(Hold("", ALWAYS, "other", "CASE-1", "legal"), ME, NOW))
    apply(store)
    done.set()
    thread.join()
    assert failed == []
    gone = before - there(path)
    assert len(gone) == 29
    assert recorded(store) == gone
    sound(path)
    with closing(SqliteStore(path)) as again, again.transaction():
        again.write_events([event(NOW + 1, 9_999)])
    sound(path)


def test_two_who_add_holds_at_once_both_stand(path: Path) -> None:
    def add(number: int) -> None:
        with closing(SqliteRetention(path, read_only=False)) as own:
            own.write(added(Hold("", ALWAYS, "", f"CASE-{number}", "legal"), ME, NOW))

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(SqliteRetention(path, read_only=True)) as store:
        assert {hold.reason for hold in holds(store.own())} == {f"CASE-{n}" for n in range(8)}


def test_times_that_nobody_can_have_meant_are_undated_and_stay(tmp_path: Path) -> None:
    day = indices.DAY_MS
    times = (-5, 0, NOW + day, NOW + day + 1, NOW + 9_000 * day, 1, NOW - 2_000 * day)
    path = written(tmp_path / "s.db", [event(at, n) for n, at in enumerate(times)])
    with closing(SqliteRetention(path, read_only=False)) as store:
        found = {v.unit.month: (v.unit.events, v.state) for v in plan(store)}
        assert found == {
            "1970.01": (1, "due"), indices.month(NOW - 2_000 * day): (1, "due"),
            indices.month(NOW + day): (1, "later"), "undated": (4, "kept"),
        }  # fmt: skip
        apply(store)
        left = {v.unit.month: v.unit.events for v in plan(store) if v.unit.retention != indices.OWN}
        assert left == {indices.month(NOW + day): 1, "undated": 4}


def test_reading_commands_find_records_and_no_word_of_what_is_gone(
    store: SqliteRetention, path: Path
) -> None:
    apply(store)
    store.write(added(Hold("", ALWAYS, "", "CASE-77", "legal"), ME, NOW))
    with closing(SqliteReader(path)) as reader:
        assert len(list(reader.events(Query(source="auditstream.retention")))) == 29
        (found,) = reader.events(Query(text="case 77"))
        assert found["operation"] == "HOLD_ADD"
        left = there(path).total()
        assert len(list(reader.events(Query(text="was read")))) == left
        assert reader.by_id([found["id"].hex()])[0]["id"] == found["id"]
        assert list(reader.events(Query(resource=HOSTILE[1])))


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for read_only in (True, False):
        with pytest.raises(StoreError, match="auditstream run --store"):
            SqliteRetention(tmp_path / "s.db", read_only=read_only)
    assert list(tmp_path.iterdir()) == []
