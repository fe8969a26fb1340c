"""The format of support session records: schema, model and page say the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from pipeline.support.kept import INSIDE, names
from pipeline.support.statement import DEMANDS, Statement, instant
from schemas.support import KINDS
from tests.feed import feed_lines
from tests.sources.support_statements import (
    ODD_TIMES,
    PLAIN,
    SCHEMA,
    TIMES,
    WINDOW,
    demanded,
    fits,
    in_order,
    is_time,
    mutated,
)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "support-sessions.md"
AGREED = ROOT.parent / "shared" / "support-session.schema.json"


@pytest.mark.skipif(not AGREED.exists(), reason="the agreed schema is not there: ../shared")
def test_the_schema_is_the_one_that_was_agreed() -> None:
    ours = ROOT / "schemas" / "support_session.schema.json"
    assert ours.read_bytes() == AGREED.read_bytes()


def resolved(node: Any, defs: dict[str, Any]) -> Any:
    """A generated schema without references, titles and what a constant's type is."""
    if isinstance(node, list):
        return [resolved(item, defs) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**defs[node["$ref"].rpartition("/")[2]], **node}
    typed = not {"const", "enum"} & node.keys()
    about = {"title", "description", "examples", "default", "$ref", "$defs", "$schema", "allOf"}
    return {
        name: {key: resolved(inside, defs) for key, inside in value.items()}
        if name == "properties"
        else sorted(value)
        if name == "required"
        else resolved(value, defs)
        for name, value in node.items()
        if name not in about and (typed or name != "type")
    }


def test_the_model_has_the_schemas_fields_and_conditions() -> None:
    made = Statement.model_json_schema()
    assert resolved(made, made["$defs"]) == resolved(SCHEMA, {})
    assert SCHEMA["properties"]["kind"]["enum"] == list(KINDS)
    for kind in KINDS:
        assert demanded(kind, made) == demanded(kind)
        assert set(DEMANDS.get(kind, ())) == demanded(kind) - set(SCHEMA["required"])
    assert Statement.model_fields["payload_access"].get_default() is False


@settings(max_examples=120)
@given(mutated())
@example({**PLAIN, "v": 1.0})
@example({**PLAIN, "v": True})
@example({**PLAIN, "window": None})
@example({**PLAIN, "kind": []})
def test_model_and_schema_accept_the_same(document: dict[str, Any]) -> None:
    try:
        Statement.model_validate(document)
        accepted = True
    except ValidationError:
        accepted = False
    assert accepted == (fits(document, SCHEMA) and in_order(document, instant))


def test_every_example_that_errors_show_is_right() -> None:
    right = {name: (field.examples or [None])[0] for name, field in Statement.model_fields.items()}
    Statement.model_validate({**right, "window": WINDOW})
    for model in INSIDE.values():
        model.model_validate(
            {f.alias or n: (f.examples or [None])[0] for n, f in model.model_fields.items()}
        )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t01:00:00.0019999999999z", 3_600_001),
        ("1970-01-01T01:00:00.5+01:00", 500),
        ("1969-12-31T19:00:00-05:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2016-12-31T23:59:60Z", 1_483_228_799_999),
        ("2017-01-01T00:59:60.75+01:00", 1_483_228_799_999),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139_000),
    ],
)
def test_times_are_rfc_3339(text: str, at: int) -> None:
    assert is_time(text)
    assert instant(text) == at


@given(TIMES | ODD_TIMES | st.text("0123456789-:.TtZz+", min_size=20, max_size=26))
def test_what_is_a_time_both_ways_of_reading_say(text: str) -> None:
    try:
        instant(text)
        read = True
    except PydanticCustomError:
        read = False
    assert read == is_time(text)


# The page.

BLOCKS = re.findall(r"```json\n(.*?)```(?:\n\n```text\n(.*?)```)?", PAGE.read_text("utf-8"), re.DOTALL)  # fmt: skip


def test_the_pages_examples_are_read_and_its_mistakes_told_as_it_says() -> None:
    right = [line for text, mistake in BLOCKS if not mistake for line in text.splitlines()]
    done = feed_lines(right)
    assert (len(done.events), done.reasons()) == (len(right), [])
    kinds = {orjson.loads(event.ocsf)["auditstream"]["support"]["kind"] for event in done.events}
    assert kinds == set(KINDS)
    wrong = [(text, mistake) for text, mistake in BLOCKS if mistake]
    assert len(wrong) >= 5
    for text, mistake in wrong:
        (letter,) = feed_lines([text.strip()]).dead_letters
        assert letter.detail == mistake.strip().replace(";\n", "; ")


def test_the_page_names_every_field_and_every_demand() -> None:
    page = PAGE.read_text("utf-8")
    models: tuple[type[BaseModel], ...] = (Statement, *INSIDE.values())
    assert not [name for model in models for name in names(model) if f"`{name}`" not in page]
    table = page.partition("## The kinds of records")[2].partition("## The other fields")[0]
    for kind in KINDS:
        (row,) = re.findall(rf"^\| `{kind}` \|[^|]*\| ([^|]*) \|$", table, re.MULTILINE)
        named = re.findall("`([a-z_]+)`", row) if kind in DEMANDS else []
        assert sorted(named) == sorted(DEMANDS.get(kind, ()))
