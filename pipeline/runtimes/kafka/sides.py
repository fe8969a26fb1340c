"""Both sides of a comparison, rows of a topic and documents of an index, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

Id = bytes | str
"""Sixteen bytes; text where it is no id of such a kind."""
Place = tuple[str, str]
"""Index and ``_id``."""

_AT_ONCE: Final = 5_000
_CACHE_KIB: Final = 16 * 1024
_TABLE: Final = """
CREATE TABLE seen (
    id, side INTEGER, said INTEGER, time INTEGER, source INTEGER, home INTEGER,
    partition INTEGER, position INTEGER, carried INTEGER, waiting INTEGER
)"""


class Told(NamedTuple):
    """A row in a topic.

    Attributes:
        said: what its document must say, as a number: a version, or a digest; None: the id was
            taken back here (a record without a value in a compacted topic).
        time: epoch milliseconds; None: nobody knows.
        source: what it is counted under.
        home: index that its document belongs in.
        carried: when it was written to the topic, epoch milliseconds.
        waiting: the index is not committed behind it.
    """

    id: Id
    said: int | None
    time: int | None
    source: str
    home: str
    partition: int
    offset: int
    carried: int
    waiting: bool


class Kept(NamedTuple):
    """A document in an index. Attributes as of :class:`Told`."""

    id: Id
    said: int
    time: int | None
    source: str
    home: str


Offsets = Mapping[tuple[str, int], int]
"""By topic and partition."""
Group = tuple[Id, list[Told], list[Kept]]
"""All there is of an id."""


def scratch(path: Path, *statements: str) -> sqlite3.Connection:
    """A database for what may be lost with the process. Raises `sqlite3.Error`."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", *statements):
        db.execute(statement)
    return db


class Numbers:
    """Numbers for names, as they are met, from 0 on.

    Attributes:
        names: by number.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a name."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.names)
            self.names.append(name)
        return found


class Sides:
    """Both sides of one comparison, in a temporary file. Methods raise `sqlite3.Error`."""

    def __init__(self, path: Path) -> None:
        cached = f"PRAGMA cache_size = -{_CACHE_KIB}"
        self._db = scratch(path, cached, "DROP TABLE IF EXISTS seen", _TABLE)
        self._sort_in(str(path.parent))
        self._names = Numbers()

    def close(self) -> None:
        """Let go of the file."""
        self._sort_in("")
        self._db.close()

    def _sort_in(self, folder: str) -> None:
        """Where what is sorted is put meanwhile; empty: wherever SQLite likes.

        SQLite advises against this, since it concerns all of a process. Else a small /var/tmp would
        be full, whatever room there is where the file lies.
        """
        quoted = folder.replace("'", "''")
        self._db.execute(f"PRAGMA temp_store_directory = '{quoted}'")

    def tell(self, rows: Iterable[Told]) -> None:
        """Take rows of the topic."""
        number = self._names.number
        self._insert(
            (id_, 0, said, at, number(source), number(home), partition, offset, carried, waiting)
            for id_, said, at, source, home, partition, offset, carried, waiting in rows
        )

    def keep(self, documents: Iterable[Kept]) -> None:
        """Take documents of the index."""
        number = self._names.number
        self._insert(
            (id_, 1, said, at, number(source), number(home), 0, 0, 0, 0)
            for id_, said, at, source, home in documents
        )

    def _insert(self, rows: Iterable[tuple[object, ...]]) -> None:
        rows = iter(rows)
        sql = f"INSERT INTO seen VALUES ({','.join('?' * 10)})"
        while several := list(islice(rows, _AT_ONCE)):
            self._db.execute("BEGIN")
            self._db.executemany(sql, several)
            self._db.execute("COMMIT")

    def groups(self) -> Iterator[Group]:
        """Both sides of each id, in the order in which they came."""
        names = self._names.names
        last: Id | None = None
        rows: list[Told] = []
        documents: list[Kept] = []
        found = self._db.execute("SELECT * FROM seen ORDER BY id, rowid")
        for id_, side, said, at, source, home, partition, offset, carried, waiting in found:
            if id_ != last:
                if last is not None:
                    yield last, rows, documents
                last, rows, documents = id_, [], []
            if side:
                documents.append(Kept(id_, said, at, names[source], names[home]))
            else:
                where = names[source], names[home], partition, offset, carried
                rows.append(Told(id_, said, at, *where, bool(waiting)))
        if last is not None:
            yield last, rows, documents
