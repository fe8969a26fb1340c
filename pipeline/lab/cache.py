"""Where the test servers keep what is dear to make, and how test runs share it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def cache_folder(name: str) -> Path:
    """A folder of that name in the user's cache, made where it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "auditstream" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(path: Path, mode: int = fcntl.LOCK_EX) -> Iterator[IO[str]]:
    """Hold a lock on a file against the other test runs of this machine; yields the file.

    `mode` is `fcntl.LOCK_EX` or `fcntl.LOCK_SH`. Waits for as long as it takes.
    """
    with path.open("w") as file:
        fcntl.flock(file, mode)
        yield file
