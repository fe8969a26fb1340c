"""What a replay leaves as it is: what holds cover, and what retention removed."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.config import Config, Input
from pipeline.retention.holds import Hold
from pipeline.retention.records import added, released
from pipeline.retention.terms import ALWAYS, Period, period
from pipeline.sinks.sqlite_retention import SqliteRetention
from pipeline.storage import Retention
from schemas.indices import DAY_MS
from schemas.vocabulary import Outcome
from tests.logs import START, decision, login, stamp, write
from tests.replay.replays import (
    HUMAN,
    LONG,
    ME,
    NOW,
    SHORT,
    TODAY,
    documents,
    log,
    reasons,
    removed,
    replay,
)
from tests.runtimes.runs import balanced, run, settled


def hold(store: Path, time: Period, retention: str = "") -> str:
    """Add a hold; its id."""
    event = added(Hold("", time, retention, "CASE-1", "legal@example.com"), ME, NOW)
    with closing(SqliteRetention(store, read_only=False)) as keeper:
        keeper.write(event)
    return event.resource


def release(store: Path, name: str) -> None:
    """Release a hold of all time."""
    with closing(SqliteRetention(store, read_only=False)) as keeper:
        one = Hold(name, ALWAYS, "", "CASE-1", "legal@example.com")
        keeper.write(released(one, ME, NOW + 1, "over"))


def test_what_a_hold_covers_is_not_altered(store: Path, broker: Path) -> None:
    """Of its class and time; what was a dead letter becomes an event there all the same."""
    name = hold(store, ALWAYS)
    before = documents(store)
    outcome = replay(store, HUMAN, [broker], apply=True)
    assert [one.id for one in outcome.comparison.holds] == [name]
    assert outcome.comparison.count("event", "changed", "held") > 10
    assert outcome.counts()["events"]["changed"] == 0
    after = documents(store)
    assert {one: after[one] for one in before} == before
    assert reasons(store)["too_long"] == 0
    assert outcome.comparison.attributes["actor_kind"].applied == 0
    assert not replay(store, HUMAN, [broker]).changes


def test_no_second_event_stands_beside_one_that_is_held(store: Path, broker: Path) -> None:
    hold(store, ALWAYS)
    before = documents(store)
    relabelled = Input(path=str(broker), cluster="prod")
    outcome = replay(store, SHORT, [relabelled], apply=True)
    assert outcome.comparison.count("event", "new", "held") == len(before)
    assert outcome.comparison.count("event", "gone", "held") == len(before)
    assert documents(store) == before


def test_a_run_after_a_replay_by_another_label_reads_nothing_twice(
    store: Path, broker: Path
) -> None:
    """With a hold, which keeps all as it was, and without one."""
    relabelled = Input(path=str(broker), cluster="prod")
    name = hold(store, ALWAYS)
    before = documents(store)
    assert replay(store, SHORT, [relabelled], apply=True).moved
    summary = run(store, relabelled, config=SHORT)
    assert documents(store) == before
    assert summary.account.records == 0
    release(store, name)
    replay(store, SHORT, [relabelled], apply=True)
    after = documents(store)
    assert {said["cluster"] for said, _ in after.values()} == {"prod"}
    assert len(after) == len(before)
    summary = run(store, relabelled, config=SHORT)
    assert (summary.account.records, documents(store)) == (0, after)
    assert balanced(summary)
    assert not replay(store, SHORT, [relabelled]).changes


def test_a_hold_on_another_month_or_that_is_released_keeps_nothing(
    store: Path, broker: Path
) -> None:
    hold(store, Period(*(period("2026.10") or ALWAYS)))
    hold(store, ALWAYS, "other")
    with closing(SqliteRetention(store, read_only=False)) as keeper:
        gone = added(Hold("", ALWAYS, "", "CASE-2", "x@example.com"), ME, NOW + 1)
        keeper.write(gone)
        released_one = Hold(gone.resource, ALWAYS, "", "CASE-2", "x@example.com")
        keeper.write(released(released_one, ME, NOW + 2, "over"))
    outcome = replay(store, HUMAN, [broker], apply=True)
    assert outcome.counts()["events"]["changed"] > 10
    assert not outcome.comparison.holds


def test_a_dead_letter_that_would_become_nothing_is_held(tmp_path: Path) -> None:
    noise = f"{stamp(START)} INFO [Log partition={LONG}] Rolled a segment (kafka.log.UnifiedLog)"
    broker = write(tmp_path / "server.log", [decision(START, "User:a"), noise])
    store = tmp_path / "store.db"
    run(store, broker, config=SHORT)
    assert reasons(store) == {"too_long": 1}
    name = hold(store, ALWAYS)
    held = replay(store, TODAY, [broker], apply=True)
    assert held.comparison.count("letter", "gone", "held") == 1
    assert reasons(store) == {"too_long": 1}
    release(store, name)
    replay(store, TODAY, [broker], apply=True)
    assert not reasons(store)
    assert balanced(run(store, broker))


def test_what_retention_removed_does_not_come_back(tmp_path: Path) -> None:
    """Neither as it was nor under another label, nor does anything new in its months."""
    broker, store = log(tmp_path / "server.log", count=125), tmp_path / "store.db"
    run(store, broker, config=SHORT)
    policy = Config(retention=(Retention(days=1),))
    of_success = Retention(name="short", days=1, outcomes=(Outcome.SUCCESS,))
    findings = settled(store)
    assert removed(store, policy, NOW + 90 * DAY_MS) > 50
    left = documents(store)
    for config, given in (
        (SHORT, Input(path=str(broker))),
        (TODAY, Input(path=str(broker))),
        (HUMAN, Input(path=str(broker), cluster="prod")),
        (Config(retention=(of_success,)), Input(path=str(broker))),
    ):
        outcome = replay(store, config, [given], apply=True)
        assert outcome.counts()["events"] == {"new": 0, "changed": 0, "gone": 0}
        assert documents(store) == left
        # What was said of it stands.
        assert settled(store) == findings
    assert outcome.comparison.count("event", "new", "removed") > 50


def test_a_finding_stands_of_which_retention_removed_a_part(tmp_path: Path) -> None:
    """What is left of it would be another finding, of another first event."""
    begin = START - timedelta(seconds=60)
    lines = [login(begin + timedelta(seconds=5 * n), "192.0.2.7", channel=n) for n in range(26)]
    broker, store = write(tmp_path / "server.log", lines), tmp_path / "store.db"
    run(store, broker)
    (finding,) = settled(store)
    policy = Config(retention=(Retention(days=1),))
    assert removed(store, policy, int(START.timestamp() * 1000) + 2 * DAY_MS) == 12
    for asked in (Config(), HUMAN):
        assert not replay(store, asked, [broker], apply=True).detection.versions
    lower = Config(detectors={"auth_failure_spike": {"threshold": 3}})
    assert not replay(store, lower, [broker], apply=True).detection.versions
    assert settled(store) == {finding}


def test_what_is_left_of_a_month_is_read_anew(tmp_path: Path) -> None:
    """Of one class all is removed; an event of another takes its own place, at the same time."""
    broker, store = log(tmp_path / "server.log"), tmp_path / "store.db"
    of_success = Retention(name="short", days=1, outcomes=(Outcome.SUCCESS,))
    policy = Config(retention=(of_success,))
    run(store, broker, config=policy)
    gone = removed(store, policy, NOW + 90 * DAY_MS)
    left = documents(store)
    assert gone > 50 < len(left)
    relabelled = Input(path=str(broker), cluster="prod")
    outcome = replay(store, policy, [relabelled], apply=True)
    assert outcome.counts()["events"] == {"new": len(left), "changed": 0, "gone": len(left)}
    assert outcome.comparison.count("event", "new", "removed") == gone
    assert {said["cluster"] for said, _ in documents(store).values()} == {"prod"}


def test_a_dead_letter_that_stands_was_not_removed(tmp_path: Path) -> None:
    """Of another class all was removed, from before its time and from behind it."""
    of_success = Retention(name="short", days=1, outcomes=(Outcome.SUCCESS,))
    policy = Config(retention=(of_success,))
    unreadable = decision(START + timedelta(seconds=1), LONG, allowed=False)
    around = [decision(START + timedelta(seconds=2 * n), "User:a") for n in range(2)]
    broker = write(tmp_path / "server.log", [around[0], unreadable, around[1]])
    store = tmp_path / "store.db"
    run(store, broker, config=policy.model_copy(update={"max_record_bytes": 1024}))
    assert removed(store, policy, NOW + 90 * DAY_MS) == 2
    outcome = replay(store, policy, [broker], apply=True)
    assert outcome.counts()["events"]["new"] == 1
    assert not reasons(store)


def test_what_was_removed_does_not_come_back_by_another_zone(tmp_path: Path) -> None:
    """Its last hours would be of a month that nothing was removed of."""
    month = [datetime(2026, 9, 10, tzinfo=UTC), datetime(2026, 9, 30, 23, 30, tzinfo=UTC)]
    month.append(datetime(2026, 10, 20, tzinfo=UTC))
    broker = write(tmp_path / "server.log", [decision(at, "User:a") for at in month])
    store = tmp_path / "store.db"
    run(store, broker)
    now = int(datetime(2026, 11, 5, tzinfo=UTC).timestamp() * 1000)
    assert removed(store, Config(retention=(Retention(days=30),)), now) == 2
    west = Input(path=str(broker), zone="America/New_York")
    outcome = replay(store, TODAY, [west], apply=True, now=now)
    assert outcome.counts()["events"] == {"new": 1, "changed": 0, "gone": 1}
    assert outcome.comparison.count("event", "new", "removed") == 2
