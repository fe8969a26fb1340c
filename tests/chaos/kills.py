"""A run killed at random moments and resumed each time, against one left alone."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from pipeline.runtimes.embedded import COMMIT_EVENTS
from tests.commands import auditstream, summary
from tests.logs import broker_lines, write

_KILLED = """
import os, sys, threading
from pipeline.cli.main import main
from pipeline.runtimes.embedded import Embedded
from pipeline.runtimes import embedded
apply, left = Embedded.apply, int(sys.argv[1])
timer = threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), 9))
timer.daemon = True

def applied(self, lane, chunk):
    global left
    left -= chunk.result.account.records
    if left <= 0:
        Embedded.apply = apply
        timer.start()
    apply(self, lane, chunk)
Embedded.apply = applied
embedded.COMMIT_EVENTS = int(sys.argv[3])
sys.exit(main(sys.argv[4:]))
"""
"""The command, killed so many seconds after it came to so many records, whatever the machine does."""
_LONGEST_S = 0.1


class Kill(NamedTuple):
    """One process that was killed: about how many records it came to, and what the store then had."""

    number: int
    after: int
    records: int
    findings: int


Tell = Callable[[Kill], None]


def make_logs(folder: Path, lines: int) -> None:
    """Two brokers' logs, one of them compressed."""
    folder.mkdir()
    write(folder / "broker-1.log", broker_lines(lines - lines // 3, seed=1))
    write(folder / "broker-2.log.gz", broker_lines(lines // 3, seed=2))


def run(folder: Path, store: Path) -> dict[str, Any]:
    """A run to its end; its summary."""
    done = auditstream(*_arguments(folder, store), cwd=folder, timeout_s=3600)
    assert done.returncode == 0, done.stderr
    return summary(done.stdout)


def _arguments(folder: Path, store: Path) -> tuple[str, ...]:
    return "run", "--input", f"auto={folder}", "--store", str(store), "--summary", "json"


def killed(
    folder: Path, store: Path, kills: int, lines: int, seed: int, tell: Tell,
    commit_events: int = COMMIT_EVENTS,
) -> int:  # fmt: skip
    """Start a run that is killed at a random moment of its work, again and again; how often it came
    to that.

    Args:
        lines: that there are in all.
        commit_events: after how many events a run commits.
    """
    random, number = Random(seed), 0
    while number < kills:
        # Mostly behind a commit: what is killed before its first has nothing to go on from.
        after = int(commit_events / 2 + random.random() * 2 * lines / (kills + 1))
        command = [sys.executable, "-c", _KILLED, str(after), str(random.random() * _LONGEST_S)]
        done = subprocess.run(
            [*command, str(commit_events), *_arguments(folder, store)],
            check=False, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode != -signal.SIGKILL:
            assert done.returncode == 0, done.stderr
            break
        number += 1
        tell(Kill(number, after, *_progress(store)))
    return number


def _progress(store: Path) -> tuple[int, int]:
    if not store.exists():
        return 0, 0
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
        try:
            accounts = "SELECT coalesce(sum(account ->> 'records'), 0) FROM streams"
            (records,) = db.execute(accounts).fetchone()
            (findings,) = db.execute("SELECT count(DISTINCT id) FROM findings").fetchone()
        except sqlite3.OperationalError:
            # Killed before its first transaction.
            return 0, 0
    return int(records), int(findings)


def differences(one: Path, other: Path) -> list[str]:
    """What two stores differ in: nothing, if nothing was lost and nothing told twice."""
    with closing(sqlite3.connect(f"file:{one}?mode=ro", uri=True)) as db:
        db.execute("ATTACH ? AS other", (f"file:{other}?mode=ro",))
        found = []
        for name, question in _QUESTIONS.items():
            for here, there in (("main", "other"), ("other", "main")):
                sql = question.format(db=here) + " EXCEPT " + question.format(db=there)
                (count,) = db.execute(f"SELECT count(*) FROM ({sql})").fetchone()
                if count:
                    found.append(f"{name}: {count} only in {one if here == 'main' else other}")
        for word in ("denied", "alice", "orders", "re"):
            sql = "SELECT count(*) FROM {}.words WHERE words MATCH ?"
            counts = {db.execute(sql.format(d), (word,)).fetchone() for d in ("main", "other")}
            if len(counts) > 1:
                found.append(f"full text: {word!r} is in {counts}")
        for name in ("main", "other"):
            (sound,) = db.execute(f"PRAGMA {name}.quick_check(1)").fetchone()
            if sound != "ok":
                found.append(f"{name}: {sound}")
    return found


_LAST = "version = (SELECT max(version) FROM {db}.findings AS o WHERE o.id = f.id)"
_QUESTIONS = {
    "events": "SELECT time, id, actor, address, resource, operation, outcome, suspect, forgery, late, "
    "raw, ocsf FROM {db}.events",
    "dead letters": "SELECT id, reason, carrier, position, digest FROM {db}.dead_letters",
    "settled view": "SELECT id, evidence, severity_id, first_time, last_time, count, key, detector, "
    f"lower_bound, suspect FROM {{db}}.findings AS f WHERE status = 'open' AND {_LAST}",
    "streams": "SELECT key, position, digest, account, ending FROM {db}.streams",
    "number of events": "SELECT count(*) FROM {db}.events",
}
