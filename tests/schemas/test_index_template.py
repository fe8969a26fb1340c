"""The index templates: derived, closed, and no value makes a document fail."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatch
from itertools import permutations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.query import tokens
from pipeline.sinks.sqlite_schema import WORDS
from schemas.avro import schema
from schemas.index_template import ANALYSIS, TYPES, column_paths, mappings, templates

AVRO = {"events": "audit_event", "findings": "finding", "dead-letters": "dead_letter"}
TEMPLATES = templates()


def objects(mapping: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The mapping and every object in it."""
    yield mapping
    for said in mapping["properties"].values():
        if "properties" in said:
            yield from objects(said)


def leaves(mapping: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every indexed path, in dots, with its definition."""
    for name, said in mapping["properties"].items():
        if "properties" in said:
            yield from leaves(said, f"{above}{name}.")
        else:
            yield f"{above}{name}", said


def mapping_of(name: str) -> dict[str, Any]:
    """The mapping of a template."""
    found: dict[str, Any] = TEMPLATES[name]["template"]["mappings"]
    return found


def test_there_is_one_for_each_schema() -> None:
    assert {name: said["_meta"]["schema"] for name, said in TEMPLATES.items()} == AVRO
    assert json.loads(json.dumps(TEMPLATES)) == TEMPLATES


def test_no_index_is_two_templates() -> None:
    patterns = {
        "audit-standard-2026.11": "events",
        "audit-findings-undated": "events",
        "auditstream-findings-2026.11": "findings",
        "auditstream-dead-letters-2026.11": "dead-letters",
    }
    for index, name in patterns.items():
        matching = [n for n, t in TEMPLATES.items() if fnmatch(index, t["index_patterns"][0])]
        assert matching == [name]
    for one, other in permutations(TEMPLATES.values(), 2):
        assert not fnmatch(one["index_patterns"][0], other["index_patterns"][0])


@pytest.mark.parametrize("name", AVRO)
def test_every_object_is_closed(name: str) -> None:
    for said in objects(mapping_of(name)):
        assert said["dynamic"] is False


@pytest.mark.parametrize("name", AVRO)
def test_every_path_is_indexed_as_the_schema_says(name: str) -> None:
    of = schema(AVRO[name])
    expected = {}
    for column in (*of.columns, *of.beside):
        if column.index:
            words = {"copy_to": "words"} if column.words else {}
            for path in column_paths(column):
                expected[path] = TYPES[column.index] | words
    assert dict(leaves(mapping_of(name))) == expected | {"words": TYPES["text"]}


def test_no_value_makes_a_document_fail() -> None:
    for name, said in TYPES.items():
        assert name == said["type"]
        assert said.get("ignore_malformed") or name in ("keyword", "text", "boolean")
    # Lucene takes terms of up to 32,766 bytes, and a character has up to four.
    assert TYPES["keyword"]["ignore_above"] * 4 <= 32_766
    assert TYPES["ip"]["fields"]["keyword"] == TYPES["keyword"]


def test_full_text_is_over_the_same_columns_in_both_stores() -> None:
    assert {c.name for c in schema("audit_event").columns if c.words} == set(WORDS)


@pytest.mark.parametrize("path", ["time", "time.zone", "auditstream"])
def test_a_path_is_stated_once(path: str) -> None:
    of = schema("audit_event")
    with pytest.raises(ValueError, match=re.escape(path)):
        mappings(replace(of, beside=(*of.beside, replace(of.beside[0], path=path))))


def analysed(text: str) -> list[str]:
    """The tokens that OpenSearch makes of a text, by `ANALYSIS` read as its manual says."""
    analyzer = ANALYSIS["analyzer"]["words"]
    (char_filter,) = analyzer["char_filter"]
    for rule in ANALYSIS["char_filter"][char_filter]["mappings"]:
        found, stead = (side.encode().decode("unicode_escape") for side in rule.split(" => "))
        text = text.replace(found, stead)
    tokenizer = ANALYSIS["tokenizer"][analyzer["tokenizer"]]
    assert (tokenizer["type"], tokenizer["group"]) == ("pattern", 0)
    split = re.findall(tokenizer["pattern"], text, re.ASCII)
    lowercase, cut = analyzer["filter"]
    assert lowercase == "lowercase"
    length = ANALYSIS["filter"][cut]["length"]
    return [token.lower()[:length] for token in split]


def test_tokens_of_every_character_are_those_of_the_embedded_store() -> None:
    # Only what is, or in lower case holds, an ASCII letter or digit can be part of a token.
    part = [c for c in map(chr, range(0x110000)) if re.search("[a-z0-9]", c.lower())]
    assert len(part) == 64
    for character in part:
        for text in (character, f"a{character}b"):
            assert analysed(text) == tokens(text)


@given(st.text())
@example("payments.orders İstanbul Kelvin 3 ΑΣ Straße")
def test_tokens_of_any_text_are_those_of_the_embedded_store(text: str) -> None:
    assert analysed(text) == tokens(text)
