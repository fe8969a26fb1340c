"""What most replays are upon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.replay.replays import SHORT, log
from tests.runtimes.runs import run


@pytest.fixture
def broker(tmp_path: Path) -> Path:
    return log(tmp_path / "server.log")


@pytest.fixture
def store(tmp_path: Path, broker: Path) -> Path:
    """A store in which what is long stands as dead letters."""
    run(tmp_path / "store.db", broker, config=SHORT)
    return tmp_path / "store.db"
