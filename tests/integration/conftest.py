"""Tests in this folder talk to real servers, so they alone may open sockets."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


# First, so that `-m "not integration"` already sees the mark.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this folder `integration`, and give it the network back."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.integration)
            item.add_marker(pytest.mark.enable_socket)
