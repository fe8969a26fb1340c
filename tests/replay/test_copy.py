"""What a reader gives, as a store of its own: what is shown of it is what would be of the other."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pipeline.config import Config, load
from pipeline.retention.holds import Hold
from pipeline.retention.records import added
from pipeline.retention.terms import ALWAYS
from pipeline.sinks.sqlite_copy import Copy
from pipeline.sinks.sqlite_query import SqliteReader
from pipeline.sinks.sqlite_retention import SqliteRetention
from tests.replay.replays import ME, NOW, replay
from tests.runtimes.runs import rows, run, settled

INCIDENT = Path(__file__).parents[2] / "pipeline" / "incident"


@pytest.fixture
def config() -> Config:
    its = load(INCIDENT / "auditstream.toml")
    inputs = [i.model_copy(update={"path": str(INCIDENT / i.path)}) for i in its.inputs]
    return its.model_copy(update={"inputs": tuple(inputs)})


@pytest.fixture
def store(tmp_path: Path, config: Config) -> Path:
    run(tmp_path / "store.db", *config.inputs, config=config)
    return tmp_path / "store.db"


def copied(store: Path) -> Path:
    path = store.with_name("copy.db")
    told = []
    with closing(Copy(path)) as copy, closing(SqliteReader(store)) as reader:
        copy.take(reader, lambda what, count: told.append((what, count)))
    assert sum(count for what, count in told if what == "events") > 300
    return path


def test_a_copy_holds_all_of_it(store: Path) -> None:
    copy = copied(store)
    for table, order in (("findings", "id, version"), ("dead_letters", "id")):
        sql = f"SELECT * FROM {table} ORDER BY {order}"
        assert rows(copy, sql) == rows(store, sql)
    for path in (store, copy):
        assert len(settled(path)) > 10
    found, there = (
        [{**row, "seq": 0} for row in rows(path, "SELECT * FROM events ORDER BY time, id")]
        for path in (copy, store)
    )
    assert found == there


def test_the_same_is_shown_of_both(store: Path, config: Config) -> None:
    """Also what a hold keeps, and what support records are held against."""
    event = added(Hold("", ALWAYS, "", "CASE-1", "legal@example.com"), ME, NOW)
    with closing(SqliteRetention(store, read_only=False)) as keeper:
        keeper.write(event)
    copy = copied(store)
    assert not replay(copy, config, config.inputs).changes
    other = config.model_copy(update={"principals": config.principals[2:]})
    for path in (store, copy):
        shown = replay(path, other, config.inputs)
        assert [one.id for one in shown.comparison.holds] == [event.resource]
        assert shown.comparison.count("event", "changed", "held") > 5
    lower = {"detectors": {"auth_failure_spike": {"threshold": 100}}}
    less = config.model_copy(update=lower)
    shown, there = replay(copy, less, config.inputs), replay(store, less, config.inputs)
    assert shown.counts()["findings"] == there.counts()["findings"]
    assert sum(shown.counts()["findings"].values()) > 0
