"""Questions to the store: what full text means, and what times and networks are."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ArgumentError
from pipeline.query import Query, event_class, instant, make, network, tokens
from pipeline.sinks.sqlite_query import SqliteReader
from pipeline.sinks.sqlite_schema import WORDS, keyed
from tests.logs import START, decision, write
from tests.runtimes.runs import run

NAMES = (
    "payments.orders", "PAYMENTS_orders-v2", "caférouge", "Straße", "İstanbul", "\u212aelvin",
    "ｆｕｌｌ", "a\0b", "٣٤", "x" * 300, "orders/2026", "naïve.orders", "ÀÉ", "emoji😀orders", "42",
)  # fmt: skip
PIECES = (*NAMES, "user", "app", "topic", "Denied", "orders", "caf", "rouge", "stra", "e", "k", "K",
          "stanbul", "i", "b", "denied 192", "…", "na", "ve")  # fmt: skip


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteReader]:
    folder = tmp_path_factory.mktemp("query")
    lines = [
        decision(START, f"User:app-{n}", allowed=n % 2 == 0, resource=f"Topic:LITERAL:{name}")
        for n, name in enumerate(NAMES)
    ]
    run(folder / "s.db", write(folder / "a.log", lines))
    reader = SqliteReader(folder / "s.db")
    yield reader
    reader.close()


def means(event: dict[str, str]) -> set[str]:
    """Tokens of the lowercased text, by the book."""
    return set(re.findall("[a-z0-9]+", " ".join(event[w] for w in WORDS).lower()))


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(" ".join))
def test_full_text_is_all_tokens_of_the_lowercased_text(reader: SqliteReader, text: str) -> None:
    wanted = set(re.findall("[a-z0-9]+", text.lower()))
    if not wanted:
        with pytest.raises(ArgumentError):
            make(text=text)
        return
    everything = list(reader.events(Query()))
    expected = [event["id"] for event in everything if wanted <= means(event)]
    assert [event["id"] for event in reader.events(make(text=text))] == expected
    assert set(tokens(text)) == wanted


def test_many_words_are_one_question(reader: SqliteReader) -> None:
    text = " ".join(f"word{n}" for n in range(3000))
    assert list(reader.events(make(text=text))) == []
    assert len(list(reader.events(make(text="orders " * 3000)))) == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1000),
        ("1970-01-01T01:00:00.5+01:00", 500),
        ("1969-12-31T23:59:59Z", -1000),
        ("1795176003000", 1795176003000),
        ("-100000000", -100000000),
        ("0001-01-01T00:00:00+23:00", -62135679600000),
        ("9999-12-31T23:59:59-23:00", 253402383599000),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert instant(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "12345678901234567890", "--1", "2026-13-01", "٢٠٢٦-١١-٢٠"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ArgumentError, match="is no time"):
        instant(text)


def test_networks_and_classes_have_one_form() -> None:
    assert network("192.0.2.7/24") == "192.0.2.0/24"
    assert network("2001:DB8:0::1") == "2001:db8::1"
    assert (
        event_class("API Activity") == event_class("api-activity") == event_class(" 6003") == 6003
    )


def test_looking_up_ids_is_looking_into_an_index(reader: SqliteReader) -> None:
    plan = reader.all(f"EXPLAIN QUERY PLAN {keyed(2)}", 1, b"", 2, b"")
    assert plan[-1]["detail"] == (
        "SEARCH events USING COVERING INDEX events_by_time (time=? AND id=?)"
    )
