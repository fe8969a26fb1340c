"""What a store can be asked, whichever it is, and which rows are an answer.

The embedded store and OpenSearch give the same rows in the same order. Each looks for them in its
own way; what a row must be like to be an answer is said here once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from pipeline.errors import ArgumentError
from pipeline.query import Query, tokens
from pipeline.sinks.sqlite_schema import WORDS
from schemas.networks import within
from schemas.patterns import matches

Row = dict[str, Any]
"""Columns of the Avro schema by name: ids are bytes, truth is 0 or 1, lists of ids stand end to
end, lists of words with a comma between them."""

_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}")


class Reader(Protocol):
    """A store, read.

    Iterators raise `StoreError` where the store cannot be read (on). ``limit`` is how many rows
    there are at the most; no more than those are fetched. What an iterator holds of a store is let
    go at its end, when it is closed, or with the reader.
    """

    def close(self) -> None:
        """Let go of the store."""

    def events(self, query: Query, limit: int | None = None) -> Iterator[Row]:
        """Events in order of (time, id)."""

    def legs(self) -> Iterator[tuple[str, bytes]]:
        """Cluster and OCSF document of what may be part of a change, by cluster, time and id."""

    def by_id(self, ids: Sequence[str]) -> list[Row]:
        """Events of these ids (hexadecimal), in order of (time, id)."""

    def strangers(self) -> list[str]:
        """Principals of unknown kind, by name."""

    def findings(
        self, query: Query, history: bool = False, named: str = "", limit: int | None = None
    ) -> Iterator[Row]:
        """Findings in order of (first time, id, version).

        Args:
            query: of text the finding's own words are meant, of all else but the time the events
                that it rests on.
            history: every version, not the settled view.
            named: how their ids begin, hexadecimal.
        """

    def dead_letters(self, query: Query, limit: int | None = None) -> Iterator[Row]:
        """Dead letters in order of (carrier, position, id). Those without a time are in every
        period.

        What could not be read has no actor, resource or address: its words are looked at.

        Raises:
            ArgumentError: asked for a class or an outcome: what cannot be read has none.
        """


def fitting(query: Query) -> Callable[[Mapping[str, Any]], bool]:
    """Whether an event's row is asked for."""
    checks: list[Callable[[Mapping[str, Any]], bool]] = []
    if query.since is not None or query.until is not None:
        checks.append(_in_period(query))
    if query.actor is not None:
        checks.append(_named("actor", *actors(query.actor)))
    if query.resource is not None:
        checks.append(_named("resource", query.resource))
    if query.address is not None:
        checks.append(_at(query.address))
    for column, value in (
        ("source", query.source), ("class_uid", query.class_uid), ("outcome", query.outcome),
    ):  # fmt: skip
        if value is not None:
            checks.append(_is(column, value))
    if query.text is not None:
        wanted = set(tokens(query.text))
        checks.append(lambda row: wanted.issubset(tokens(" ".join(row[w] for w in WORDS))))
    return lambda row: all(check(row) for check in checks)


def actors(said: str) -> tuple[str, str]:
    """The principals that somebody means: a full one, or of a user's name."""
    return said, f"User:{said}"


def like(pattern: str, name: str) -> bool:
    """Whether ``*`` for anything, nothing too, makes the pattern the name."""
    return matches(pattern, name) or not (name or pattern.strip("*"))


def _in_period(query: Query) -> Callable[[Mapping[str, Any]], bool]:
    since = -math.inf if query.since is None else query.since
    until = math.inf if query.until is None else query.until
    return lambda row: since <= row["time"] < until


def _is(column: str, value: Any) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: bool(row[column] == value)


def _named(column: str, *wanted: str) -> Callable[[Mapping[str, Any]], bool]:
    if "*" in wanted[0]:
        return lambda row: any(like(pattern, row[column]) for pattern in wanted)
    return lambda row: row[column] in wanted


def _at(wanted: str) -> Callable[[Mapping[str, Any]], bool]:
    if "/" in wanted:
        return lambda row: within(row["address"], wanted)
    return _is("address", wanted)


def says(row: Mapping[str, Any], text: str | None) -> bool:
    """Whether a finding says all these words: itself, not the names of its document's fields."""
    if text is None:
        return True
    document = orjson.loads(row["ocsf"])
    title = document.get("finding_info", {}).get("title", "")
    named = [row[name] for name in ("detector", "key", "cluster", "actor", "address")]
    said = tokens(" ".join([*named, document.get("message", ""), title]))
    return set(said).issuperset(tokens(text))


def readable(query: Query) -> None:
    """Raises `ArgumentError` where dead letters are asked for what only an event has."""
    if query.class_uid is not None or query.outcome is not None:
        raise ArgumentError("dead letters have no class and no outcome: they were not read")


def mentions(row: Mapping[str, Any], query: Query) -> bool:
    """Whether what is left of an unreadable record has the names, address and words asked for."""
    said = f"{row['head']} {row['raw'].decode('utf-8', 'replace')}"
    for name in (query.actor, query.resource):
        if name is not None and not matches(f"*{name}*", said):
            return False
    if query.address is not None and not any(
        within(found.strip(".:"), query.address) for found in _ADDRESS.findall(said)
    ):
        return False
    words = tokens(query.text or "")
    return not words or set(tokens(f"{said} {row['detail']} {row['reason']}")).issuperset(words)
