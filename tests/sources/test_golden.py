"""Every shape of every source: what its lines become, however they are split and addressed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.batch import Record
from pipeline.registry import sources
from tests.feed import Fed, feed, records
from tests.schemas.ocsf import needs_ocsf, validator
from tests.sources.golden import document, items, load, paths, stream_of

PATHS = paths()
NAMES = [f"{path.parent.name}/{path.stem}" for path in PATHS]

each_golden = pytest.mark.parametrize("path", PATHS, ids=NAMES)


def splits(found: list[Record], seed: int) -> list[list[list[Record]]]:
    """The same records whole, one by one, and in random batches, empty ones among them."""
    chance = random.Random(seed)
    ways = [[found], [[record] for record in found]]
    for _ in range(5):
        cuts = sorted(chance.choices(range(len(found) + 1), k=3))
        edges = [0, *cuts, len(found)]
        ways.append([found[a:b] for a, b in pairwise(edges)])
    return ways


def same(fed: Fed, expected: Sequence[dict[str, object]]) -> None:
    """What came out is what was expected: events and reasons in order, filtered by rule."""
    assert [document(event) for event in fed.events] == [
        item["event"] for item in expected if "event" in item
    ]
    assert fed.reasons() == [item["dead_letter"] for item in expected if "dead_letter" in item]
    assert fed.account.filtered == Counter(
        str(item["filtered"]) for item in expected if "filtered" in item
    )
    assert fed.account.items == len(expected)


def test_every_shape_has_a_golden_example_and_every_example_a_shape() -> None:
    shapes = {f"{name}/{shape}" for name, source in sources().items() for shape in source.shapes}
    assert {
        "shapes without an example": shapes - set(NAMES),
        "examples without a shape": set(NAMES) - shapes,
    } == {"shapes without an example": set(), "examples without a shape": set()}


@each_golden
def test_lines_become_what_the_example_says(path: Path) -> None:
    example = load(path)
    assert example["why"]
    assert items(example) == example["expected"]


@each_golden
@pytest.mark.parametrize("explicit", [False, True], ids=["auto", "explicit"])
def test_no_split_and_no_way_of_addressing_changes_it(path: Path, explicit: bool) -> None:
    example = load(path)
    where = stream_of(example, path.parent.name if explicit else "auto")
    for batches in splits(records(example["lines"]), seed=len(example["lines"])):
        same(feed(batches, where), example["expected"])


@each_golden
def test_line_breaks_as_windows_writes_them_change_no_deed(path: Path) -> None:
    example = load(path)
    fed = feed([records(line + "\r" for line in example["lines"])], stream_of(example))
    plain = feed([records(example["lines"])], stream_of(example))
    assert fed.deeds() == plain.deeds()
    assert fed.reasons() == plain.reasons()


@needs_ocsf
def test_every_event_is_valid_ocsf() -> None:
    for path in PATHS:
        for item in load(path)["expected"]:
            if "event" in item:
                assert validator().problems(item["event"]) == []
