"""A small stream whose workers are killed; ``make chaos`` is the large one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.stream import Plan, Told, disturbed

pytestmark = [pytest.mark.integration, pytest.mark.enable_socket]


def test_a_stream_whose_workers_die_comes_to_what_one_run_does(tmp_path: Path) -> None:
    steps = ("collector", "grow")
    told: list[Told] = []
    plan = Plan(4_000, 3, 7, steps, partitions=2, grown=3, batch_records=100)
    outcome = disturbed(tmp_path, plan, told.append)
    assert outcome.differences == []
    assert outcome.happened["kill"] == 3
    assert outcome.happened["grow"] == 1
    assert outcome.events > 3_000
    assert outcome.duplicates > 0
    assert outcome.findings > 17


def test_a_store_in_trouble_comes_to_what_one_run_does(tmp_path: Path) -> None:
    told: list[Told] = []
    plan = Plan(2_000, 2, 11, (), 2, 3, batch_records=100, store=True, away_s=4)
    outcome = disturbed(tmp_path, plan, told.append)
    assert outcome.differences == []
    assert outcome.happened["kill"] == 2
    assert outcome.happened["store_away"] == 1
    assert outcome.findings > 17
