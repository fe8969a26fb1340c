"""Retain: the first rule that an event fits says its class, and the event carries it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.storage import longest_days
from tests.feed import feed_lines
from tests.logs import START, decision

RULES: list[dict[str, Any]] = [
    {"name": "long", "days": 2555, "access_paths": ["control", "support"]},
    {"name": "short", "days": 30, "sources": ["kafka_authorizer"], "outcomes": ["success"]},
    {"name": "long", "days": 2555, "classes": [3002]},
    {"name": "standard", "days": 90},
]


def classes(rules: list[dict[str, Any]]) -> list[str]:
    """Classes of an allowed read, a denied read and an allowed alteration."""
    lines = [
        decision(START, "User:app", allowed=True, resource="Topic:LITERAL:orders"),
        decision(START, "User:app", allowed=False, resource="Topic:LITERAL:orders"),
        decision(
            START, "User:root", allowed=True, resource="Topic:LITERAL:orders", operation="ALTER"
        ),
    ]
    fed = feed_lines(lines, plan=Config.model_validate({"retention": rules}).plan())
    for event in fed.events:
        assert orjson.loads(event.ocsf)["auditstream"]["retention"] == event.retention
    return [event.retention for event in fed.events]


def test_the_first_rule_that_fits_says_the_class() -> None:
    assert classes(RULES) == ["short", "standard", "long"]


def test_without_rules_all_is_standard() -> None:
    assert classes([]) == classes([{"name": "standard", "days": 7}]) == ["standard"] * 3


def test_the_longest_class_bounds_what_is_dated() -> None:
    config = Config.model_validate({"retention": RULES})
    assert longest_days(config.retention) == 2555
    assert longest_days(()) == 400
    assert longest_days(config.retention[3:]) == 90


@pytest.mark.parametrize(
    "rules",
    [
        [{"name": "a", "days": 1}, {"name": "a", "days": 2}],
        [{"name": "A"}],
        [{"name": "a.b"}],
        [{"name": "a", "sources": ["no_such_source"]}],
        [{"name": "a", "outcomes": ["maybe"]}],
    ],
)
def test_what_means_nothing_is_refused(rules: list[dict[str, Any]]) -> None:
    with pytest.raises((ConfigError, ValueError)):
        Config.model_validate({"retention": rules})
