"""What a replay shows, applies, and leaves alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.config import Config, Input, Redaction
from pipeline.errors import StoreError
from pipeline.retention.terms import Period
from pipeline.runtimes.replay.comparing import Asked
from pipeline.sinks.sqlite import SqliteStore
from pipeline.sinks.sqlite_replay import SqliteReplay
from tests.logs import START, decision, write
from tests.replay.replays import (
    HUMAN,
    LONG,
    NOW,
    SHORT,
    TODAY,
    alike,
    documents,
    letters,
    log,
    own,
    reasons,
    replay,
)
from tests.runtimes.runs import balanced, contents, nothing, rows, run, settled
from tests.stages.carriers import filebeat

REASON = Asked(reasons=("too_long",))


@pytest.fixture
def fresh(tmp_path: Path, broker: Path) -> Path:
    run(tmp_path / "fresh.db", broker)
    return tmp_path / "fresh.db"


# Showing and applying.


def test_showing_writes_nothing(store: Path, broker: Path) -> None:
    before = contents(store)
    bytes_before = hashlib.sha256(store.read_bytes()).digest()
    outcome = replay(store, TODAY, [broker])
    assert outcome.changes
    assert hashlib.sha256(store.read_bytes()).digest() == bytes_before
    assert contents(store) == before
    # And nobody who writes is in its way.
    with closing(SqliteStore(store)):
        assert replay(store, TODAY, [broker]).counts() == outcome.counts()


def test_dead_letters_become_events_and_findings(store: Path, broker: Path, fresh: Path) -> None:
    long = reasons(store)["too_long"]
    assert long > 5
    outcome = replay(store, TODAY, [broker], apply=True)
    assert outcome.comparison.reasons == {"too_long": long}
    assert outcome.counts()["events"] == {"new": long, "changed": 0, "gone": 0}
    assert outcome.counts()["dead_letters"] == {"new": 0, "changed": 0, "gone": long}
    alike(store, fresh)
    assert reasons(store)["too_long"] == 0


def test_only_the_reason_that_was_asked_for(store: Path, broker: Path, fresh: Path) -> None:
    """A rule that changed too is not applied to what was no dead letter."""
    before = documents(store)
    outcome = replay(store, HUMAN, [broker], REASON, apply=True)
    assert outcome.counts()["events"]["changed"] == 0
    assert outcome.comparison.count("event", "changed", "outside") > 10
    after = documents(store)
    assert {name: after[name] for name in before} == before
    assert after.keys() == documents(fresh).keys()
    assert letters(store) == letters(fresh)
    assert not replay(store, HUMAN, [broker], Asked(reasons=("torn",))).comparison.applies()


def test_the_borders_of_a_range(store: Path, broker: Path) -> None:
    sql = "SELECT time FROM events WHERE actor GLOB 'User:app-1*' ORDER BY time"
    times = [row["time"] for row in rows(store, sql)]
    first, second, last = times[0], times[1], times[-1]
    assert first < second < last

    def changed(since: int | None, until: int | None) -> int:
        asked = Asked(Period(since, until))
        return replay(store, HUMAN, [broker], asked).counts()["events"]["changed"]

    assert changed(None, first) == 0
    assert changed(None, first + 1) == 1
    assert changed(first, second) == 1
    assert changed(first + 1, second) == 0
    assert changed(last, None) == 1
    assert changed(last + 1, None) == 0
    assert changed(first, last) == len(times) - 1
    assert changed(None, None) == len(times)


def test_a_record_whose_time_was_read_wrongly_is_of_both_times(tmp_path: Path) -> None:
    """By its old time or by its new one it is found, and is there once."""
    broker = write(tmp_path / "server.log", [decision(START, "User:alice")])
    at = int(START.timestamp() * 1000)
    berlin = Input(path=str(broker), zone="Europe/Berlin")
    hour = 3_600_000
    for time in (at, at - hour):
        store = tmp_path / f"{time}.db"
        run(store, broker)
        replay(store, TODAY, [berlin], Asked(Period(time, time + 1)), apply=True)
        assert [row["time"] for row in rows(store, "SELECT time FROM events WHERE seq >= 0")] == [
            at - hour
        ]


def test_an_event_stays_carried_as_it_was(store: Path, broker: Path) -> None:
    """Its record is in a file of another name today; how it came here is history."""
    renamed = broker.rename(broker.with_name("server.log.1"))
    replay(store, HUMAN, [renamed], REASON, apply=True)
    replay(store, HUMAN, [renamed], apply=True)
    carriers = Counter[str]()
    for row in rows(store, "SELECT * FROM events WHERE seq >= 0"):
        said = json.loads(row["ocsf"])["auditstream"]["carriage"]
        assert said == {name: row[name] for name in ("carrier", "position", "late")}
        carriers[row["carrier"]] += 1
    # What was a dead letter was taken in today.
    assert carriers == {str(broker): len(documents(store)) - 36, str(renamed): 36}


def test_what_changes_is_counted_by_attribute(store: Path, broker: Path) -> None:
    outcome = replay(store, HUMAN, [broker], Asked(Period(None, None)))
    (name,) = (n for n in outcome.comparison.attributes if n == "actor_kind")
    attribute = outcome.comparison.attributes[name]
    assert attribute.events == outcome.counts()["events"]["changed"]
    assert attribute.pairs == {("unknown", "human"): attribute.events}
    # What the document says as the column does is said once.
    assert "auditstream.actor_kind" not in outcome.comparison.attributes


def test_twice_changes_nothing(store: Path, broker: Path) -> None:
    replay(store, HUMAN, [broker], apply=True)
    after = contents(store)
    again = replay(store, HUMAN, [broker], apply=True)
    assert not again.changes
    assert contents(store) == after


def test_what_was_done_is_an_event(store: Path, broker: Path) -> None:
    outcome = replay(store, HUMAN, [broker], Asked(Period(0, NOW), ("too_long",)), apply=True)
    (event,) = own(store)
    assert event["metadata"]["log_name"] == "auditstream.replay"
    assert event["actor"]["user"]["uid"] == "OS:alice"
    said = event["auditstream"]["replay"]
    assert said["inputs"] == [f"auto={broker}"]
    assert (said["since"], said["until"], said["reasons"]) == (0, NOW, ["too_long"])
    assert said["events"] == outcome.counts()["events"]
    assert said["findings"] == outcome.counts()["findings"]
    assert said["resolved"] == {"too_long": said["dead_letters"]["gone"]}
    assert len(said["config_sha256"]) == 64
    assert event["auditstream"]["retention"] == "auditstream"


def test_runs_go_on_after_it(tmp_path: Path) -> None:
    """What counters remember is as if they had seen today's events all along: an episode goes on."""
    broker, store, fresh = (tmp_path / name for name in ("server.log", "store.db", "fresh.db"))

    def denials(first: int) -> list[str]:
        return [
            decision(
                START + timedelta(seconds=n), LONG, allowed=False, resource=f"Topic:LITERAL:t{n}"
            )
            for n in range(first, first + 10)
        ]

    write(broker, [decision(START, "User:alice"), *denials(0)])
    run(store, broker, config=SHORT)
    assert not settled(store)
    replay(store, TODAY, [broker], apply=True)
    assert nothing(run(store, broker))
    (found,) = settled(store)
    with broker.open("a") as file:
        file.writelines(f"{line}\n" for line in denials(10))
    for path in (store, fresh):
        assert balanced(run(path, broker))
    alike(store, fresh)
    assert len(settled(store)) == 1
    assert settled(store) != {found}


# Where the records are.


def test_renamed_compressed_and_relabelled(store: Path, broker: Path, tmp_path: Path) -> None:
    """What a file was called then says little: an event is known by its id, or by its record."""
    rotated = write(tmp_path / "server.log.2026-11-01.gz", broker.read_text().splitlines())
    broker.unlink()
    # The name is another file's now.
    log(broker, seed=99)
    today = Input(path=str(rotated), cluster="prod", host="broker-1")
    outcome = replay(store, TODAY, [today], apply=True)
    assert not outcome.comparison.left
    run(tmp_path / "fresh.db", today)
    alike(store, tmp_path / "fresh.db")


def test_records_that_are_gone_stay_as_they_were_read(
    store: Path, broker: Path, tmp_path: Path
) -> None:
    before = contents(store)
    (tmp_path / "other").mkdir()
    other = log(tmp_path / "other" / "server.log", seed=99)
    outcome = replay(store, HUMAN, [other], apply=True)
    assert not outcome.changes
    # That file was never taken in: a run does that.
    assert outcome.comparison.count("event", "new", "unread") > 50
    (counted,) = outcome.comparison.left.values()
    assert counted["event"] == len(before["events"])
    assert counted["letter"] == len(before["dead_letters"])
    assert contents(store) == before


def test_a_file_that_was_cut(store: Path, broker: Path) -> None:
    """What stood behind its end now is not there to be read again, and stays."""
    lines = broker.read_text().splitlines(keepends=True)
    broker.write_text("".join(lines[:40]))
    before = documents(store)
    outcome = replay(store, HUMAN, [broker], apply=True)
    assert 0 < outcome.counts()["events"]["changed"] < 40
    assert outcome.counts()["events"]["gone"] == 0
    assert documents(store).keys() >= before.keys()
    assert sum(c["event"] for c in outcome.comparison.left.values()) > 40


def test_what_is_not_taken_in_yet_is_a_runs_to_read(
    store: Path, broker: Path, tmp_path: Path
) -> None:
    more = [decision(START + timedelta(days=1, seconds=n), f"{LONG}-9") for n in range(5)]
    with broker.open("a") as file:
        file.writelines(f"{line}\n" for line in more)
    outcome = replay(store, TODAY, [broker], apply=True)
    assert outcome.comparison.count("event", "new", "unread") >= 5
    assert reasons(store)["too_long"] == 0
    assert balanced(run(store, broker))
    run(tmp_path / "fresh.db", broker)
    alike(store, tmp_path / "fresh.db")


@pytest.mark.parametrize("grown", [False, True])
def test_an_unfinished_end(tmp_path: Path, grown: bool) -> None:
    """A run takes back what the end of an input led to, once it goes on: a replay knows of it."""
    lines = [decision(START + timedelta(seconds=n), f"{LONG}-{n}") for n in range(1, 5)]
    lines.insert(0, decision(START, "User:alice"))
    whole = "\n".join(lines)
    broker = tmp_path / "server.log"
    broker.write_text(whole)
    store, fresh = tmp_path / "store.db", tmp_path / "fresh.db"
    run(store, broker, config=SHORT)
    assert reasons(store) == {"too_long": 4}
    if grown:
        broker.write_text(whole + "\n" + lines[1].replace("-1 ", "-7 ") + "\n")
    replay(store, TODAY, [broker], apply=True)
    broker.write_text(whole + "\n" + lines[1].replace("-1 ", "-7 ") + "\n" + lines[1] + "\n")
    assert balanced(run(store, broker))
    run(fresh, broker)
    alike(store, fresh)
    assert nothing(run(store, broker))


def test_what_a_rule_leaves_out_today_is_made_no_more(tmp_path: Path) -> None:
    """Also of a line that ended the file, which a run takes back when the file goes on."""
    own = {"role": "ingest", "networks": ["192.0.2.0/29"]}
    today = Config.model_validate({"own": [own]})
    ours = [
        decision(
            START + timedelta(seconds=n), "User:auditstream-ingest",
            resource="Topic:LITERAL:audit.raw.auto",
        )
        for n in range(3)
    ]  # fmt: skip
    broker, store, fresh = (tmp_path / name for name in ("server.log", "store.db", "fresh.db"))
    whole = "\n".join([decision(START, "User:alice"), *ours])
    broker.write_text(whole)
    run(store, broker)
    assert len(documents(store)) == 4
    outcome = replay(store, today, [broker], apply=True)
    assert outcome.counts()["events"] == {"new": 0, "changed": 0, "gone": 3}
    assert nothing(run(store, broker, config=today))
    broker.write_text(f"{whole}\n{decision(START, 'User:bob')}\n")
    assert balanced(run(store, broker, config=today))
    run(fresh, broker, config=today)
    alike(store, fresh)


def test_lines_in_envelopes_and_secrets(tmp_path: Path) -> None:
    """Shipped as JSON, with another key for what is redacted, and labelled anew."""
    source = Path(__file__).parents[2] / "pipeline/incident/kafka-request.log"
    lines = [
        filebeat(line, 1000 * number).decode()
        for number, line in enumerate(source.read_text().splitlines())
    ]
    shipped = write(tmp_path / "shipped.jsonl", lines)
    store, fresh = tmp_path / "store.db", tmp_path / "fresh.db"
    key = tmp_path / "key"
    key.write_text("0123456789abcdef")
    keyed = Config(redaction=Redaction(key_file=str(key), key_id="7"))
    run(store, shipped, config=keyed)
    today = Input(path=str(shipped), cluster="prod")
    run(fresh, today)
    assert len(documents(fresh)) > 10
    replay(store, TODAY, [today], apply=True)
    alike(store, fresh)


# Who else is there, and what goes wrong.


def test_a_run_and_an_apply_exclude_each_other(store: Path, broker: Path) -> None:
    with closing(SqliteStore(store)), pytest.raises(StoreError, match="another run is writing"):
        replay(store, TODAY, [broker], apply=True)
    held = SqliteReplay(store, read_only=False)
    with closing(held), pytest.raises(StoreError, match="another run is writing"):
        SqliteStore(store)


def test_killed_at_any_moment_it_has_done_nothing_and_goes_on(
    store: Path, broker: Path, fresh: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.replay.killed", str(store), str(broker)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 10
    alike(store, fresh)
    assert not replay(store, TODAY, [broker]).changes


def test_a_copy_of_a_file_changes_nothing(store: Path, broker: Path, fresh: Path) -> None:
    copy = Path(shutil.copy(broker, broker.with_name("copy.log")))
    replay(store, TODAY, [copy, broker], apply=True)
    alike(store, fresh)
