"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder that the test, now nobody in particular, may use."""
    with tempfile.TemporaryDirectory() as name:
        user = os.geteuid()
        if user == 0:
            Path(name).chmod(0o777)
            os.seteuid(65534)
        yield Path(name)
        os.seteuid(user)
