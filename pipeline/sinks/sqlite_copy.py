"""Copy: what any store holds, in a throw-away embedded one: for what only that can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import Any, Final

from pipeline.query import Query
from pipeline.sinks.reading import Reader, Row
from pipeline.sinks.sqlite import StreamRow
from pipeline.sinks.sqlite_schema import DEAD_LETTER_COLUMNS, EVENT_COLUMNS, FINDING_COLUMNS
from pipeline.sinks.sqlite_scratch import Scratch
from schemas import indices

_AT_ONCE: Final = 5_000


class Copy(Scratch):
    """A new store. Full text finds nothing in it, and how far streams were read it does not know.

    Raises:
        StoreError: as :class:`pipeline.sinks.sqlite.SqliteStore`.
    """

    def take(self, reader: Reader, progress: Callable[[str, int], None]) -> None:
        """Take all events, findings with every version, and dead letters of a store.

        Args:
            progress: is told what is being copied, and how many rows more there are.
        """
        everything = Query()
        clusters: set[str] = set()
        numbered = _numbered(reader.events(everything), clusters)
        self._take("events", ("seq", *EVENT_COLUMNS), numbered, progress)
        with self.transaction():
            for label in sorted(clusters):
                # Of a stream that nobody reads: which labels there are, streams say.
                self.write_stream(_stream(label))
        versions = reader.findings(everything, history=True)
        self._take("findings", FINDING_COLUMNS, versions, progress)
        self._take("dead_letters", DEAD_LETTER_COLUMNS, reader.dead_letters(everything), progress)
        self.wait()

    def _take(
        self, table: str, names: tuple[str, ...], rows: Iterable[Row],
        progress: Callable[[str, int], None],
    ) -> None:  # fmt: skip
        source = iter(rows)
        while part := list(islice(source, _AT_ONCE)):
            values: list[Any] = [row[name] for row in part for name in names]
            with self.transaction():
                self._insert(f"INTO {table} ({', '.join(names)})", values, len(names))
            progress(table, len(part))


def _numbered(rows: Iterable[Row], clusters: set[str]) -> Iterator[Row]:
    """As the embedded store numbers them: what auditstream says of itself counts downwards.

    Args:
        clusters: gets the labels of all others.
    """
    read, own = count(1), count(-1, -1)
    for row in rows:
        ours = row["retention"] == indices.OWN
        if not ours:
            clusters.add(row["cluster"])
        yield {**row, "seq": next(own if ours else read)}


def _stream(label: str) -> StreamRow:
    return StreamRow(label.encode(), "auto", label, "", "", 0, b"", "", b"{}", b"", b"")
