"""Tests in this folder talk to real servers, so they alone may open sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.lab.kafka import Kafka
from tests.streams import QUICK

HERE = Path(__file__).parent


# First, so that `-m "not integration"` already sees the mark.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this folder `integration`, and give it the network back."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker that groups settle on quickly, for all tests of a file that needs no other one."""
    folder = tmp_path_factory.mktemp("broker")
    with Kafka(folder, {"admin": "admin-password"}, properties=QUICK) as broker:
        yield broker
