"""Retention policies, as documents: no artifact holds the plugin that carries them out."""

from __future__ import annotations

import json
from copy import deepcopy
from fnmatch import fnmatch

from pipeline.sinks.opensearch_plan import _policies
from pipeline.sinks.opensearch_retention import by_hand, policies, same
from pipeline.storage import Retention
from schemas import indices

NOW = 1_795_218_764_297
CLASSES = (
    Retention(name="short", days=30, outcomes=("success",)),
    Retention(name="short-lived", days=7),
    Retention(name="short", days=30),
)


def test_there_is_one_for_each_class() -> None:
    assert list(policies(())) == ["auditstream-standard"]
    found = policies(CLASSES)
    assert list(found) == ["auditstream-short", "auditstream-short-lived", "auditstream-standard"]
    assert json.loads(json.dumps(found)) == found


def test_an_index_is_deleted_when_its_last_event_may_go() -> None:
    policy = policies(CLASSES)["auditstream-short"]["policy"]
    kept, deleted = policy["states"]
    assert policy["default_state"] == kept["name"]
    (transition,) = kept["transitions"]
    assert transition == {
        "state_name": deleted["name"], "conditions": {"min_index_age": "62d"},
    }  # fmt: skip
    assert deleted["actions"] == [{"delete": {}}]


def test_every_month_has_the_policy_of_its_class_and_undated_ones_have_none() -> None:
    found = policies(CLASSES)
    for name in ("standard", "short", "short-lived"):
        index = indices.of_event(name, NOW, NOW, 400)
        matching = [
            (template["priority"], policy)
            for policy, body in found.items()
            for template in body["policy"]["ism_template"]
            if any(fnmatch(index, pattern) for pattern in template["index_patterns"])
        ]
        assert max(matching)[1] == f"auditstream-{name}"
        # Two of one priority would be refused.
        assert len({priority for priority, _ in matching}) == len(matching)
        undated = indices.of_event(name, 0, NOW, 400)
        assert not any(
            fnmatch(undated, pattern)
            for body in found.values()
            for pattern in body["policy"]["ism_template"][0]["index_patterns"]
        )


def test_one_that_came_back_with_more_is_the_same() -> None:
    (wanted,) = policies(()).values()
    found = deepcopy(wanted["policy"]) | {"policy_id": "auditstream-standard", "schema_version": 21}
    found["states"][1]["actions"][0]["retry"] = {"count": 3, "backoff": "exponential"}
    found["ism_template"][0]["last_updated_time"] = NOW
    assert same(wanted, found)
    for other in (
        found | {"default_state": "deleted"},
        found | {"states": found["states"][:1]},
        found | {"ism_template": None},
    ):
        assert not same(wanted, other)
    (longer,) = policies([Retention(days=401)]).values()
    assert not same(longer, found)


def test_what_nobody_carries_out_is_said() -> None:
    assert by_hand(policies(CLASSES)["auditstream-short"]) == (
        "Events of the retention class short are kept for 30 days: `auditstream retention apply` "
        "removes audit-short-*.*, once the month is past that"
    )


def test_a_policy_is_made_only_where_that_is_wanted() -> None:
    """No artifact holds the plugin: what it answers is told here."""
    none = list(_policies(lambda *_: {}, CLASSES[:1], True, False))
    assert [step.deeds for step in none] == [(), ()]
    assert all("`auditstream retention apply`" in step.remarks[0] for step in none)
    there = list(_policies(lambda *_: {"policy": {}}, CLASSES[:1], True, False))
    assert [step.deeds for step in there] == [(), ()]
    assert "DELETE _plugins/_ism/policies/auditstream-short;" in there[0].remarks[0]
    wanted = list(_policies(lambda *_: {}, CLASSES[:1], True, True))
    assert [[deed.method for deed in step.deeds] for step in wanted] == [["PUT"], ["PUT"]]
