"""Which store a command works on: a file of SQLite, or OpenSearch by its address."""

from __future__ import annotations

import os
import pwd
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from pipeline.cli.present import notice
from pipeline.config import Config
from pipeline.errors import ArgumentError
from pipeline.sinks.reading import Reader
from pipeline.sinks.sqlite_query import SqliteReader
from pipeline.storage import Dashboards, Storage

USERNAME: Final = "AUDITSTREAM_OPENSEARCH_USERNAME"
PASSWORD: Final = "AUDITSTREAM_OPENSEARCH_PASSWORD"
CA: Final = "AUDITSTREAM_OPENSEARCH_CA"

HELP: Final = "file, or https://HOST:PORT of OpenSearch; default: the configuration's"
LOGIN: Final = (
    "As whom OpenSearch is read, [opensearch] of the configuration says, or the environment: "
    f"{USERNAME}, {PASSWORD} and, where the system does not trust its certificate, {CA}: "
    "a file of the authorities to trust."
)


def is_address(store: str) -> bool:
    """Whether a store is one of OpenSearch."""
    return store.lower().startswith(("https://", "http://"))


def named(store: str | None, config: Config) -> str:
    """The store that is meant: as an argument says, else the configuration's.

    Raises:
        ArgumentError: an argument is there, and empty: a variable that was not set, maybe.
    """
    if store is None:
        return config.store
    if not store:
        raise ArgumentError("--store is empty; name a file or an address, or leave it out")
    return store


def file_of(store: str) -> Path:
    """The file of SQLite that is to be written.

    Raises:
        ArgumentError: it is an address.
    """
    if is_address(store):
        raise ArgumentError(
            f"the store {store} is not written here: name a file with --store, "
            "or have `auditstream worker` index a stream"
        )
    return Path(store)


def login(url: str, config: Config) -> Storage:
    """How OpenSearch at that address is reached: as the configuration says, else as the
    environment does."""
    said = config.opensearch
    found = of_environment(said, USERNAME, PASSWORD, CA)
    return said.model_copy(update={"url": url, **found})


def of_environment(
    said: Storage | Dashboards, username: str, password: str, ca: str
) -> dict[str, object]:
    """What these variables say of how to log in, as far as the configuration says nothing."""
    found: dict[str, object] = {}
    if not (said.username or said.tls.certificate_file) and os.environ.get(username):
        found |= {"username": os.environ[username], "password_env": password}
    if not said.tls.ca_file and os.environ.get(ca):
        found["tls"] = said.tls.model_copy(update={"ca_file": os.environ[ca]})
    return found


def system_user() -> str:
    """Who runs this process, by the system's word and not by the environment's."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        # In a container nobody need be known by name.
        return str(number)


def reader_of(store: str, config: Config) -> Reader:
    """The store, to be read and then closed.

    Raises:
        ConfigError: what is said of OpenSearch contradicts itself.
        StoreError: the file is no store of ours.
    """
    if not is_address(store):
        return SqliteReader(Path(store))
    from pipeline.sinks.opensearch_client import connect
    from pipeline.sinks.opensearch_query import OpenSearchReader

    return OpenSearchReader(connect(login(store, config)), notice)


@contextmanager
def reading(store: str, config: Config) -> Iterator[Reader]:
    """The store, which at the end, whatever that is, is left with nothing under way.

    Raises:
        AuditstreamError: as :func:`reader_of`.
    """
    with closing(reader_of(store, config)) as reader, _asked_to_end():
        yield reader


@contextmanager
def _asked_to_end() -> Iterator[None]:
    """Whoever ends this process by a signal ends it in good order."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
