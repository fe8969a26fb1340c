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
from schemas import indices
from schemas.avro import schema
from schemas.index_template import ANALYSIS, PREFIX, TYPES, column_paths, mappings, templates

AVRO = {
    "auditstream-events": "audit_event",
    "auditstream-findings": "finding",
    "auditstream-versions": "finding",
    "auditstream-changes": "change",
    "auditstream-dead-letters": "dead_letter",
    "auditstream-accounts": "account",
}
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
    time, finding = 1_795_218_764_297, (1_795_218_764_297).to_bytes(6, "big") + bytes(10)
    names = {
        indices.of_event("standard", time, time, 400): "events",
        indices.of_event("findings", 0, time, 400): "events",
        indices.of_finding(indices.FINDINGS, finding): "findings",
        indices.of_finding(indices.VERSIONS, finding): "versions",
        indices.CHANGES: "changes",
        indices.of_letter(time, time, 400): "dead-letters",
        indices.of_letter(0, time, 400): "dead-letters",
        indices.ACCOUNTS: "accounts",
    }
    for index, name in names.items():
        matching = [n for n, t in TEMPLATES.items() if fnmatch(index, t["index_patterns"][0])]
        assert matching == [f"{PREFIX}{name}"]
    assert set(names.values()) == {name.removeprefix(PREFIX) for name in TEMPLATES}
    for one, other in permutations(TEMPLATES.values(), 2):
        assert not fnmatch(one["index_patterns"][0], other["index_patterns"][0])


def test_a_name_finds_all_of_a_kind() -> None:
    for name, said in TEMPLATES.items():
        (pattern,) = said["index_patterns"]
        assert pattern == name or list(said["template"]["aliases"]) == [name]
        # An alias that the pattern matched would be searched as well, and find everything twice.
        assert pattern == name or not fnmatch(name, pattern)


def test_shards_are_of_events_and_copies_of_all() -> None:
    for name, said in templates(shards=6, replicas=2).items():
        settings = said["template"]["settings"]["index"]
        assert settings["number_of_shards"] == (6 if name == "auditstream-events" else 1)
        assert settings["number_of_replicas"] == 2
    for said in TEMPLATES.values():
        assert "number_of_replicas" not in said["template"]["settings"]["index"]


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
    if any(column.words for column in (*of.columns, *of.beside)):
        expected["words"] = TYPES["text"]
    assert dict(leaves(mapping_of(name))) == expected


def test_no_value_makes_a_document_fail() -> None:
    for name, said in TYPES.items():
        assert said["type"] == ("match_only_text" if name == "text" else name)
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
    assert tokenizer["type"] == "simple_pattern"
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
