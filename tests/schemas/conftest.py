"""What several tests of the schemas need."""

import resource
from collections.abc import Iterator

import pytest


@pytest.fixture
def limited_memory() -> Iterator[None]:
    """No more than two gigabytes of addresses, so that a size that is believed is an error."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
