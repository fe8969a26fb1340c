"""Several logs at once: merged by time, so that none is late to another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from pipeline.config import Config, Input
from pipeline.runtimes.embedded import Embedded
from pipeline.runtimes.lanes import Chunk, Lane
from pipeline.sinks.sqlite import SqliteStore
from tests.logs import DAY, START, broker_lines, decision, write
from tests.runtimes.runs import balanced, run, settled, shape

BROKERS = 3


def brokers(count: int, step: timedelta) -> list[list[str]]:
    return [
        list(
            broker_lines(
                count, seed=n, start=START + n * timedelta(hours=1), step=step, forged=False
            )
        )
        for n in range(BROKERS)
    ]


def one_file(path: Path, logs: Iterable[list[str]]) -> Path:
    return write(path, sorted((line for log in logs for line in log), key=lambda line: line[:25]))


def check(tmp_path: Path, logs: list[list[str]], files: int = 1) -> None:
    """Files side by side, each in so many parts, against one sorted file."""
    paths = []
    for broker, lines in enumerate(logs):
        (tmp_path / f"broker-{broker}").mkdir()
        size = -(-len(lines) // files)
        for part in range(0, len(lines), size):
            # The newest has no number, as rotation names them.
            number = (len(lines) - 1 - part) // size
            name = f"server.log.{number}" if number else "server.log"
            paths.append(write(tmp_path / f"broker-{broker}" / name, lines[part : part + size]))
    sorted_file = one_file(tmp_path / "sorted.log", logs)
    apart = run(tmp_path / "apart.db", *(tmp_path / f"broker-{n}" for n in range(len(logs))))
    together = run(tmp_path / "together.db", sorted_file)
    assert apart.late == together.late == 0
    assert balanced(apart)
    assert apart.account.events == together.account.events
    assert shape(tmp_path / "apart.db") == shape(tmp_path / "together.db")
    backwards = tmp_path / "backwards.db"
    run(backwards, *reversed(paths))
    assert settled(backwards) == settled(tmp_path / "apart.db")


def test_brokers_of_several_days_are_not_late_to_each_other(tmp_path: Path) -> None:
    check(tmp_path, brokers(1500, 5 * DAY / 1500))


def test_nor_where_each_says_little(tmp_path: Path) -> None:
    logs = [
        [
            decision(
                START + day * DAY + broker * timedelta(hours=7),
                "User:eve",
                allowed=False,
                operation="ALTER",
                resource=f"Topic:LITERAL:topic-{day}",
            )
            for day in range(60)
        ]
        for broker in range(BROKERS)
    ]
    check(tmp_path, logs)


def test_nor_where_each_is_rotated_into_fifty_files(tmp_path: Path) -> None:
    check(tmp_path, brokers(1000, 30 * DAY / 1000), files=50)


class Interrupted(Embedded):
    """A run that is told to stop after its third chunk."""

    chunks = 0

    def apply(self, lane: Lane, chunk: Chunk) -> None:
        super().apply(lane, chunk)
        self.chunks += 1
        self.stop = self.chunks == 3


def test_an_interrupted_run_keeps_what_it_has_and_goes_on(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{n}.log", lines) for n, lines in enumerate(brokers(3200, DAY / 3200))
    ]
    whole = run(tmp_path / "whole.db", *paths)
    inputs = [Input(path=str(path)) for path in paths]
    runs, stopped = 0, True
    while stopped:
        store = SqliteStore(tmp_path / "stopped.db")
        summary = Interrupted(Config(), inputs, store, lambda *_: None).run()
        store.close()
        assert balanced(summary)
        runs, stopped = runs + 1, summary.stopped
    assert runs > 3
    assert summary.store == whole.store
    assert settled(tmp_path / "stopped.db") == settled(tmp_path / "whole.db")
