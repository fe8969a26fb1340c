"""Questions as OpenSearch takes them: never narrower than asked, never larger than it takes."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.query import Query, make, tokens
from pipeline.sinks.opensearch_filters import events
from pipeline.sinks.reading import like

TEXT = st.text("ab*?\\é😀", max_size=200)


def said(found: Any, kind: str) -> list[Any]:
    """Every condition of a kind, however deep."""
    if isinstance(found, list):
        return [one for each in found for one in said(each, kind)]
    if not isinstance(found, dict):
        return []
    here = [found[kind]] if kind in found else []
    return here + [one for value in found.values() for one in said(value, kind)]


def pattern(wildcard: str) -> re.Pattern[str]:
    """What OpenSearch's manual says that a `wildcard` fits."""
    parts = re.findall(r"\\(.)|([*?])|([^\\*?]+)", wildcard, re.DOTALL)
    sense = {"*": ".*", "?": "."}
    return re.compile(
        "".join(sense.get(special) or re.escape(plain or text) for plain, special, text in parts),
        re.DOTALL,
    )


@given(TEXT.filter(lambda text: "*" in text and text.strip("*")), TEXT, st.randoms())
@example("a" * 100 + "*" + "b" * 100, "a" * 100 + "b" * 100, None)
def test_a_pattern_finds_every_name_that_it_fits(asked: str, name: str, random: Any) -> None:
    if random is not None:
        # One that it fits.
        name = re.sub(r"\*", lambda _: random.choice(("", "x", "*", "a\\")), asked)
    assert like(asked, name)
    (found, *_) = said(events(Query(resource=asked)), "wildcard")
    ((wildcard,),) = (one.values() for one in found.values())
    assert pattern(wildcard).fullmatch(name)
    assert len(wildcard) < 500


@pytest.mark.parametrize("query", [Query(actor="*"), Query(resource="**"), Query()])
def test_what_anything_fits_is_not_asked(query: Query) -> None:
    assert events(query) == []


@given(st.text())
def test_names_are_asked_for_as_they_are(name: str) -> None:
    for one in said(events(Query(actor=name)), "terms"):
        assert set(one.get("actor.user.uid", [name])) <= {name, f"User:{name}"}


def test_what_is_too_long_to_be_indexed_is_looked_for_otherwise() -> None:
    for name in ("x" * 8_192, "😀" * 4_096):
        found = events(Query(resource=name))
        assert not any("resources.name" in one for one in said(found, "terms"))
        assert {"field": "resources.name"} in said(found, "exists")
    assert said(events(Query(resource="x" * 8_191)), "exists") == []


def test_so_many_words_as_there_is_room_for() -> None:
    words = [f"word{n}" for n in range(3_000)]
    found = events(make(text=" ".join(words * 2)))
    assert [one["words"] for one in found and said(found, "terms")] == [[w] for w in words[:256]]
    (long,) = said(events(make(text="x" * 40_000)), "terms")
    assert long["words"] == ["x" * 32_766]
    assert tokens("x" * 40_000) == ["x" * 40_000]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", "::fffe:0:0/95"),
        ("::/0", "::/0"),
    ],
)
def test_networks_are_said_as_java_reads_them(asked: str, expected: str) -> None:
    (found, _) = said(events(make(ip=asked)), "terms")
    assert found == {"src_endpoint.ip": [expected]}
    assert str(ip_network(expected)) == expected


def test_an_address_is_its_name() -> None:
    assert said(events(make(ip="2001:DB8:0::1")), "terms") == [
        {"src_endpoint.ip.keyword": ["2001:db8::1"]}
    ]


def test_times_are_said_as_they_stand_in_documents() -> None:
    (found,) = events(make(since="1969-12-31T23:59:59", until="1970-01-01"))
    # `gt` and `lte` are a millisecond out before 1970.
    assert found == {"range": {"time": {"gte": -1_000, "lt": 0, "format": "epoch_millis"}}}
