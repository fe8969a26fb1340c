"""``unapproved_support_access`` is its reference: whatever happens, in whatever order it is known."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from detectors.contract import EstateDetector, EstateSettings, Judgement
from pipeline.registry import detectors
from schemas.support import Activity, Picture, Scope, SupportRecord, Window
from schemas.vocabulary import SEVERITY_NAMES
from tests.detectors import support
from tests.detectors.test_estate_examples import EXAMPLES, name, picture, pieces
from tests.detectors.test_estates import Estate, sound
from tests.detectors.worker import T0
from tests.references.estates import unapproved_support_access as plain
from tests.references.estates.cover import SEVERITY

NAME = "unapproved_support_access"
SEEDS = range(400)
FILES = sorted((EXAMPLES / NAME).glob("*.json"))


def detector() -> EstateDetector:
    found = detectors()[NAME]
    assert isinstance(found, EstateDetector)
    return found


def settings(seed: int = 0) -> EstateSettings:
    """The default, and now and then that some buckets alone hold payloads."""
    return detector().settings(**({"data_buckets": ("dat*", "x")} if seed % 3 == 1 else {}))


def made(seed: int) -> Picture:
    return support.picture(Random(seed))


def told(judgements: list[Judgement]) -> plain.Found:
    """Judgements as the reference gives them; each key has one."""
    found = {
        judged.key: (
            judged.severity_id,
            {one["name"]: tuple(one["evidence"]) for one in judged.details["violations"]},
            judged.suspect,
        )
        for judged in judgements
    }
    assert len(found) == len(judgements)
    return found


def both(seen: Picture) -> list[SupportRecord | Activity]:
    return [*seen.records, *seen.activity]


def judge(seen: Picture, seed: int = 0) -> list[Judgement]:
    return list(detector().judge(seen, settings(seed)))


def test_it_says_what_its_reference_says() -> None:
    for seed in range(2000):
        seen = made(seed)
        assert told(judge(seen, seed)) == plain.reference(seen, settings(seed)), f"seed {seed}"


@pytest.mark.parametrize("seed", range(100))
def test_a_judgement_is_whole(seed: int) -> None:
    seen = made(seed)
    times = {one.event: one.time for one in both(seen)}
    for judged in judge(seen, seed):
        violations = judged.details["violations"]
        ranks = [(-SEVERITY[one["name"]], one["name"]) for one in violations]
        assert ranks == sorted(ranks)
        assert all(one["says"] for one in violations)
        assert orjson.loads(orjson.dumps(dict(judged.details))) == judged.details
        shown = {event for one in violations for event in one["evidence"]}
        assert judged.evidence == tuple(sorted(shown, key=lambda event: (times[event], event)))
        assert judged.first_time == times[judged.evidence[0]]
        assert judged.last_time == times[judged.evidence[-1]]
        assert judged.title
        assert judged.message


def approved(scope: Scope) -> Picture:
    """One approval, and all that can be done."""
    window = Window(T0, T0 + 1000)
    approval = SupportRecord(
        name(T0, 1), T0, "approval", "a", approves="S-0", approved_by="dora", ticket="T-1",
        window=window, scope=(scope,), payload_access=True, approved_for="User:vendor",
    )  # fmt: skip
    done = [
        Activity(name(T0 + 9, n), T0 + 9, "prod", "kafka_authorizer", "User:vendor", "", "unknown",
                 "", *what)
        for n, what in enumerate(support.DONE, 2)
    ]  # fmt: skip
    return Picture(records=[approval], activity=done, newest=T0 + 9)


@pytest.mark.parametrize("kind", support.TYPES)
@pytest.mark.parametrize("resource", support.NAMES)
def test_every_scope_fits_what_it_fits_by_definition(kind: str, resource: str) -> None:
    seen = approved(Scope(kind, resource))
    assert told(judge(seen)) == plain.reference(seen, settings())


@pytest.mark.parametrize("operations", support.OPERATIONS, ids="+".join)
def test_every_scope_allows_what_it_allows_by_definition(operations: tuple[str, ...]) -> None:
    seen = approved(Scope("*", "*", operations))
    assert told(judge(seen)) == plain.reference(seen, settings())


def test_random_pictures_reach_everything() -> None:
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        world = made(seed)
        found = plain.reference(world, settings(seed))
        seen["silent"] += not found and len(world.records) > 2 and bool(world.activity)
        for key, (severity, violations, suspect) in found.items():
            seen.update((*violations, key.split("=")[0], SEVERITY_NAMES[severity]))
            seen["suspect"] += suspect
    often = {*SEVERITY, "silent", "suspect", "session", "principal"}
    assert min(seen[name] for name in often) > 18, seen
    assert min(seen[name] for name in ("Low", "Medium", "High", "Critical")) > 18, seen
    assert seen["address"] > 4


def settled(estate: Estate) -> plain.Found:
    """What stands in the end, as documents say it."""
    return {
        found.key: (
            found.severity_id,
            {
                one["name"]: tuple(one["evidence"])
                for one in orjson.loads(found.ocsf)["auditstream"]["violations"]
            },
            found.suspect,
        )
        for found in estate.last.values()
        if found.status == "open"
    }


@pytest.mark.parametrize("seed", range(200))
def test_any_order_of_arrival_settles_on_the_reference(seed: int) -> None:
    """Records come before and after what they approve, some of them again and again."""
    random, whole = Random(seed), made(seed)
    estate = Estate(NAME)
    arrivals = random.sample(both(whole), len(whole.records) + len(whole.activity))
    held: dict[str, SupportRecord | Activity] = {}
    for number, one in enumerate(arrivals):
        held[one.event] = one
        if random.random() < 0.6 or number + 1 == len(arrivals):
            estate.judge(held.values())
            again = random.sample(list(held.values()), len(held))
            assert estate.judge(again) == []
            sound(estate)
    final = picture(held.values(), (whole.newest - T0) / 1000)
    estate.take(detector().judge(final, estate.settings))
    assert estate.take(detector().judge(final, estate.settings)) == []
    sound(estate)
    assert settled(estate) == plain.reference(whole, estate.settings)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_reference_has_the_examples(path: Path) -> None:
    example = orjson.loads(path.read_bytes())
    chosen = detector().settings(**example.get("settings", {}))
    seen = picture(pieces(example), example.get("newest"))
    found = {
        key: (SEVERITY_NAMES[severity], {name: len(ids) for name, ids in violations.items()})
        for key, (severity, violations, _) in plain.reference(seen, chosen).items()
    }
    assert found == {
        row["key"]: (row["severity"], row["violations"]) for row in example["findings"]
    }


def test_every_violation_has_its_example() -> None:
    fired = {
        violation
        for path in FILES
        for row in orjson.loads(path.read_bytes())["findings"]
        for violation in row["violations"]
    }
    assert fired == set(SEVERITY)


ODD = (
    "", " ", "*", "/", ":", ":::", "arn:aws:iam::", "arn:aws:iam::1:role/", "a" * 5000, "\0", "((",
    "[", "192.0.2.7/33", "::/0", "K\u0130\u212a", "arn:aws:sts::1:assumed-role//",
)  # fmt: skip


def odd(random: Random, one: Any, names: tuple[str, ...]) -> Any:
    """The same with something odd, or something of another, in the place of a text or two."""
    texts = [f for f in names if isinstance(getattr(one, f), str) and f not in ("event", "kind")]
    return replace(one, **{f: random.choice(ODD) for f in random.sample(texts, 2)})


@pytest.mark.parametrize("seed", range(100))
def test_nothing_that_is_stated_makes_it_fail(seed: int) -> None:
    """Also approvals that approve one another, and windows that end before they begin."""
    random, seen = Random(seed), made(seed)
    ids = [record.id for record in seen.records]
    records = [
        odd(random, replace(r, approves=random.choice(ids)), ("id", "session", "principal", "person",
            "approved_by", "approved_for", "ticket", "provider"))
        for r in seen.records
    ]  # fmt: skip
    records = [
        replace(r, window=Window(r.window.end, r.window.start), addresses=(random.choice(ODD),))
        if r.window
        else r
        for r in records
    ]
    activity = [
        odd(random, one, ("actor", "address", "operation", "request", "resource_type", "resource", "uid"))
        for one in seen.activity
    ]  # fmt: skip
    told(judge(seen._replace(records=records, activity=activity)))


def test_nothing_is_nothing() -> None:
    assert judge(Picture()) == []
    assert judge(Picture(newest=T0)) == []
