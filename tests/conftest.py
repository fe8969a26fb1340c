"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis would fail what a busy machine lets wait for 200 ms.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


def pytest_configure() -> None:
    """Have commands that tests start hear an interrupt, also where the tests themselves run in a
    shell's background: a signal that is ignored is so in every process begun there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
