"""Which rows are an answer: what SQLite finds, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import ArgumentError
from pipeline.query import Query, make
from pipeline.sinks.reading import Row, fitting, like, mentions
from pipeline.sinks.sqlite_query import SqliteReader
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY
from tests.medley import store
from tests.questions import Questions


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteReader]:
    with closing(SqliteReader(store(tmp_path_factory.mktemp("medley") / "s.db", 600))) as opened:
        yield opened


@pytest.fixture(scope="module")
def everything(reader: SqliteReader) -> list[Row]:
    return list(reader.events(Query()))


def asked(questions: Questions, filters: int) -> Query:
    """A question that can be asked."""
    while True:
        said: dict[str, Any] = questions.filters(filters)
        for word in ("class", "outcome"):
            if word in said:
                said[f"{word}_"] = said.pop(word)
        try:
            return make(**said)
        except ArgumentError:
            continue


def test_a_row_fits_where_sqlite_finds_it(reader: SqliteReader, everything: list[Row]) -> None:
    questions, found = Questions(3, everything), 0
    for number in range(400):
        query = asked(questions, number % 5)
        fits = fitting(query)
        expected = [row["id"] for row in reader.events(query)]
        assert [row["id"] for row in everything if fits(row)] == expected, query
        found += bool(expected)
    assert found > 200


@given(st.lists(st.text("ab\0\n?[é"), min_size=2).map("*".join), st.text("ab\0\n?[é"))
@example("**", "")
def test_a_star_is_anything_and_all_else_itself(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL)
    assert like(pattern, name) == bool(expected)


def test_events_are_found_by_id_whenever_they_were(reader: SqliteReader) -> None:
    rows = list(reader.events(Query()))
    assert rows[0]["time"] < 0
    ids = [row["id"].hex() for row in rows]
    assert reader.by_id([*ids[::-1], ids[0], "ff" * 16]) == rows


def test_how_many_there_are_at_the_most(reader: SqliteReader) -> None:
    for limit in (1, 3, 100_000):
        assert len(list(reader.events(Query(), limit))) == min(limit, 600)
        assert len(list(reader.findings(Query(), True, limit=limit))) <= limit
        assert len(list(reader.dead_letters(Query(), limit))) == min(limit, 3)


def test_findings_are_named_by_how_their_ids_begin(reader: SqliteReader) -> None:
    every = list(reader.findings(Query(), history=True))
    for row in every[:20]:
        name = row["id"].hex()
        for length in (1, 13, 32):
            expected = [r for r in every if r["id"].hex().startswith(name[:length])]
            assert list(reader.findings(Query(), True, name[:length])) == expected
    assert not list(reader.findings(Query(), True, "x"))


def test_strangers_are_named_once(reader: SqliteReader, everything: list[Row]) -> None:
    unknown = {row["actor"] for row in everything if row["actor_kind"] == "unknown"}
    assert reader.strangers() == sorted(unknown - {""}, key=str.encode)


@given(st.text("ab*\n", max_size=8), st.text("ab\n", max_size=12))
def test_a_dead_letter_mentions_what_a_pattern_fits_anywhere(pattern: str, said: str) -> None:
    row = {"head": said, "raw": b"", "detail": "", "reason": ""}
    expected = re.search(".*".join(map(re.escape, pattern.split("*"))), f"{said} ", re.DOTALL)
    assert mentions(row, Query(actor=pattern)) is bool(expected)


def test_a_row_without_names_has_empty_ones() -> None:
    event = Event(0, API_ACTIVITY, 1, "success", "a_source")
    row = {name: getattr(event, name) for name in ("actor", "resource", "address")}
    assert fitting(Query(actor="*", resource="**"))(row)
    assert fitting(Query(actor="", resource=""))(row)
    assert not fitting(Query(actor="?*"))(row)
    assert not fitting(Query(address="::/0"))(row)
