"""A small run killed with ``kill -9``; ``make chaos`` is the large one."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.kills import Kill, differences, killed, make_logs, run


def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    logs, whole, store = tmp_path / "logs", tmp_path / "whole.db", tmp_path / "killed.db"
    make_logs(logs, 20_000)
    expected = run(logs, whole)
    told: list[Kill] = []
    killed(logs, store, 4, 20_000, 1, told.append, commit_events=500)
    # Killed before it had kept anything, it would prove nothing.
    assert len({kill.records for kill in told} - {0}) > 1, told
    assert run(logs, store)["store"] == expected["store"]
    assert differences(whole, store) == []
    assert run(logs, store)["records"] == 0


def test_a_difference_would_be_seen(tmp_path: Path) -> None:
    for name, lines in (("one", 1200), ("other", 1201)):
        make_logs(tmp_path / name, lines)
        run(tmp_path / name, tmp_path / f"{name}.db")
    assert len(differences(tmp_path / "one.db", tmp_path / "other.db")) >= 3
