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
