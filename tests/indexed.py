"""An embedded store copied into OpenSearch, as the role `index` would have written it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import TransportError

from pipeline.sinks.opensearch_documents import action, dead_letter, event
from pipeline.sinks.sqlite_query import SqliteReader
from pipeline.sinks.sqlite_schema import DEAD_LETTER_COLUMNS
from pipeline.storage import STANDARD_DAYS
from schemas import indices
from schemas.types import DeadLetter
from tests.stores import NAMES, put_templates

_PIECE_BYTES = 2 * 1024 * 1024
_BUSY = 429


def fill(client: Client, store: Path, carried: int | None = None) -> None:
    """Make templates and documents of all events, findings and dead letters of a store.

    Args:
        carried: when the events were carried, epoch milliseconds; by default now.
    """
    put_templates(client)
    _write(client, documents(store, carried))
    pattern = ",".join(map(indices.searched, NAMES))
    client.indices.refresh(index=pattern, params={"ignore_unavailable": "true"})


def documents(store: Path, carried: int | None = None) -> Iterator[bytes]:
    """What :func:`fill` writes: each what is to be done, a line break, and the document."""
    now = int(time.time() * 1000) if carried is None else carried
    with closing(SqliteReader(store)) as reader:
        yield from _events(reader, now)
        yield from _findings(reader)
        yield from _dead_letters(reader, now)


def _events(reader: SqliteReader, now: int) -> Iterator[bytes]:
    for row in reader._rows("SELECT * FROM events", ()):
        index = indices.of_event(row["retention"], row["time"], now, STANDARD_DAYS)
        yield action("create", index)(row["id"].hex()) + event(row["ocsf"], row["raw"])


def _findings(reader: SqliteReader) -> Iterator[bytes]:
    for row in reader._rows("SELECT * FROM findings ORDER BY random()", ()):
        name, version = row["id"].hex(), row["version"]
        every = indices.of_finding(indices.VERSIONS, row["id"])
        yield action("create", every)(f"{name}-{version}") + row["ocsf"]
        last = indices.of_finding(indices.FINDINGS, row["id"])
        external = ('"version_type":"external"', f'"version":{version}')
        yield action("index", last, external)(name) + row["ocsf"]


def _dead_letters(reader: SqliteReader, now: int) -> Iterator[bytes]:
    for row in reader._rows("SELECT * FROM dead_letters", ()):
        letter = DeadLetter(**{name: row[name] for name in DEAD_LETTER_COLUMNS})
        index = indices.of_letter(letter.time, now, STANDARD_DAYS)
        yield action("create", index)(letter.id.hex()) + dead_letter(letter)


def _write(client: Client, lines: Iterable[bytes]) -> None:
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line)
        if size > _PIECE_BYTES:
            _send(client, waiting)
            waiting, size = [], 0
    if waiting:
        _send(client, waiting)


def _send(client: Client, lines: list[bytes]) -> None:
    body = b"\n".join(lines) + b"\n"
    while True:
        try:
            answer: Any = client.bulk(body=body)
            break
        except TransportError as error:
            # A small node has no room while it collects its garbage.
            if error.status_code != _BUSY:
                raise
            time.sleep(0.2)
    for item in answer["items"]:
        (done,) = item.values()
        # A later version of a finding is there already.
        assert done["status"] in (200, 201, 409), done
