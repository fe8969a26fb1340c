"""What of a mapping can be changed in place; what OpenSearch says of it is in tests/integration."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from pipeline.sinks.opensearch_mapping import Stuck, difference, flattened, plain
from schemas.index_template import TYPES, templates

WORDS = frozenset({"words"})
WANTED = templates()["auditstream-events"]["template"]["mappings"]


def given_back(said: Any) -> Any:
    """A mapping as OpenSearch gives it back."""
    if isinstance(said, dict):
        return {
            name: [value] if name == "copy_to" else given_back(value)
            for name, value in said.items()
            if not (name == "properties" and value == {})
        }
    return "false" if said is False else said


@pytest.mark.parametrize("name", templates())
def test_nothing_differs_from_itself(name: str) -> None:
    wanted = templates()[name]["template"]["mappings"]
    for found in (wanted, given_back(wanted)):
        differing = difference(wanted, found, WORDS)
        assert (differing.body, differing.stuck, differing.unknown) == ({}, [], [])


@pytest.mark.parametrize("name", templates())
def test_all_of_it_is_what_is_not_there(name: str) -> None:
    wanted = templates()[name]["template"]["mappings"]
    differing = difference(wanted, {"dynamic": "false"}, WORDS)
    assert differing.body == {"properties": wanted["properties"]}
    assert not differing.stuck


def changed(path: str, **said: Any) -> dict[str, Any]:
    """The mapping of events with another field at a path; of a parameter None: without it."""
    out = deepcopy(WANTED)
    *above, last = path.split(".")
    node = out
    for name in above:
        node = node["properties"][name]
    field = node["properties"].get(last, {}) | said
    node["properties"][last] = {k: v for k, v in field.items() if v is not None}
    found: dict[str, Any] = given_back(out)
    return found


@pytest.mark.parametrize(
    ("found", "path"),
    [
        (changed("actor.user.uid", ignore_above=100), "actor.user.uid"),
        (changed("actor.user.uid", copy_to=None), "actor.user.uid"),
        (changed("time", ignore_malformed=None), "time"),
        (changed("service.name", copy_to="words"), "service.name"),
    ],
)
def test_a_parameter_is_changed_in_place(found: dict[str, Any], path: str) -> None:
    differing = difference(WANTED, found, WORDS)
    assert (differing.changed, differing.added, differing.stuck) == ([path], [], [])
    assert path in flattened_paths(differing.body)


def test_a_field_in_a_field_is_added() -> None:
    found = changed("src_endpoint.ip", fields=None)
    differing = difference(WANTED, found, WORDS)
    assert (differing.added, differing.changed) == (["src_endpoint.ip.keyword"], [])
    (put,) = [differing.body["properties"]["src_endpoint"]["properties"]["ip"]]
    assert put == TYPES["ip"] | {"copy_to": "words"}


@pytest.mark.parametrize(
    ("found", "stuck"),
    [
        (
            changed("class_uid", type="long"),
            Stuck("class_uid", "is of type long there, not integer"),
        ),
        (
            changed("message", analyzer="standard"),
            Stuck("message", "analyzer is standard there, not words"),
        ),
        (
            changed("message", analyzer=None),
            Stuck("message", "analyzer is not set there, not words"),
        ),
        (
            changed("time", format="epoch_millis"),
            Stuck("time", "format is epoch_millis there, not epoch_millis||strict_date_optional_time"),
        ),
        (
            changed("service.name", normalizer="lowercase"),
            Stuck("service.name", "normalizer is lowercase there, not set"),
        ),
        (
            changed("src_endpoint.ip", fields={"keyword": {"type": "text"}}),
            Stuck("src_endpoint.ip.keyword", "is of type text there, not keyword"),
        ),
        (
            changed("service", type="keyword", properties=None, dynamic=None),
            Stuck("service", "is a field there, not an object"),
        ),
        (
            changed("status", type=None, ignore_above=None, properties={"x": {"type": "long"}}),
            Stuck("status", "is an object there, not a field"),
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_said_and_left(found: dict[str, Any], stuck: Stuck) -> None:
    differing = difference(WANTED, found, WORDS)
    assert differing.stuck == [stuck]
    assert differing.body == {}


def test_without_our_analyser_text_cannot_be_added() -> None:
    differing = difference(WANTED, {"dynamic": "false", "properties": {}}, frozenset())
    texts = {path for path, said in leaves(WANTED) if "analyzer" in said}
    assert {stuck.path for stuck in differing.stuck} == texts
    assert set(differing.added).isdisjoint(texts)


def test_what_only_the_index_has_is_told_and_stays() -> None:
    found = changed("actor.badge", type="keyword")
    found["properties"]["extra"] = {"properties": {"a": {"type": "long"}, "b": {"type": "long"}}}
    differing = difference(WANTED, found, WORDS)
    assert differing.unknown == ["actor.badge", "extra.a", "extra.b"]
    assert differing.body == {}


def test_an_open_object_is_closed() -> None:
    found = given_back(deepcopy(WANTED))
    found["dynamic"] = "true"
    del found["properties"]["actor"]["dynamic"]
    differing = difference(WANTED, found, WORDS)
    assert differing.changed == ["(all)", "actor"]
    assert differing.body == {"dynamic": False, "properties": {"actor": {"dynamic": False}}}


def test_values_are_as_opensearch_gives_them_back() -> None:
    assert plain({"a": [True, 1, 0.5, "x"]}) == {"a": ["true", "1", "0.5", "x"]}
    assert flattened({"index": {"a": 1, "b": {"c": [False]}}}) == {
        "index.a": "1", "index.b.c": ["false"],
    }  # fmt: skip


def leaves(said: dict[str, Any], above: str = "") -> list[tuple[str, dict[str, Any]]]:
    out = []
    for name, inner in said.get("properties", {}).items():
        if "type" in inner:
            out.append((above + name, inner))
        out += leaves(inner, f"{above}{name}.")
    return out


def flattened_paths(body: dict[str, Any]) -> list[str]:
    return [path for path, _ in leaves(body)]
