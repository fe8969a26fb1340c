"""One deed, one change: whatever overlaps, repeats, is withheld, or comes in another order."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from pipeline.changes.join import join
from pipeline.changes.legs import OneLeg
from schemas.changes import Change, Deed
from schemas.vocabulary import Leg
from tests.changes.deeds import ADDRESSES, Done, deeds, legs_of

SEEDS = range(40)


def told(changes: list[Change]) -> Counter[object]:
    """What changes say was done, by whom, from where."""
    return Counter(
        (c.actor, c.address, c.deed.subject, c.deed.action, repr(c.deed.after), c.outcome)
        for c in changes
    )


def truth(done: list[Done]) -> Counter[object]:
    """The same of the deeds themselves."""
    return Counter(
        (d.actor, ADDRESSES[d.actor], d.deed.subject, d.deed.action, repr(d.deed.after), d.outcome)
        for d in done
    )


def scene(seed: int, count: int = 60) -> tuple[list[Done], list[OneLeg]]:
    random = Random(seed)
    done = list(deeds(random, count))
    legs = [leg for n, d in enumerate(done) for leg in legs_of(d, random, n % 5)]
    return done, legs


@pytest.mark.parametrize("seed", SEEDS)
def test_every_deed_is_one_change(seed: int) -> None:
    done, legs = scene(seed)
    changes = join("c", legs)
    assert told(changes) == truth(done)
    assert {c.confidence for c in changes} == {"high"}
    held = [leg.id for change in changes for leg in change.legs]
    assert sorted(held) == sorted(leg.id for leg in legs)


@pytest.mark.parametrize("seed", SEEDS)
def test_order_and_repetition_mean_nothing(seed: int) -> None:
    _, legs = scene(seed)
    expected = join("c", legs)
    again = [*legs, *legs[::3]]
    Random(seed).shuffle(again)
    assert join("c", again) == expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("without", [Leg.FORWARDED, Leg.AUTHORIZER, Leg.EFFECT])
def test_without_one_file_nothing_is_lost_and_nothing_invented(seed: int, without: Leg) -> None:
    done, legs = scene(seed)
    changes = join("c", [leg for leg in legs if leg.leg != without])
    assert told(changes) == truth(done)
    for change in changes:
        gone = without != Leg.EFFECT or change.outcome == "success"
        assert change.missing == ((without.value,) if gone else ())
        assert change.confidence == ("medium" if gone else "high")


@pytest.mark.parametrize("seed", SEEDS)
def test_without_the_request_log_nobody_is_named_who_did_not_do_it(seed: int) -> None:
    done, legs = scene(seed)
    rest = [leg for leg in legs if leg.leg not in (Leg.REQUEST, Leg.FORWARDED)]
    changes = join("c", rest)
    assert {c.confidence for c in changes} == {"low"}
    made = Counter((d.deed.subject, d.deed.action) for d in done if d.outcome == "success")
    assert (
        Counter((c.deed.subject, c.deed.action) for c in changes if c.outcome == "success") == made
    )
    # Decisions on the cluster do not say on what: what is refused is known by kind.
    refused = Counter((d.actor, d.deed.kind) for d in done if d.outcome == "failure")
    assert Counter((c.actor, c.deed.kind) for c in changes if c.outcome == "failure") == refused
    truly = {(d.actor, d.deed.subject, d.deed.action) for d in done}
    for change in changes:
        if change.outcome == "success" and change.actor:
            assert (change.actor, change.deed.subject, change.deed.action) in truly


@pytest.mark.parametrize("seed", SEEDS)
def test_the_controllers_log_alone_tells_of_effects_without_actors(seed: int) -> None:
    done, legs = scene(seed)
    changes = join("c", [leg for leg in legs if leg.leg == Leg.EFFECT])
    assert Counter(c.deed.subject for c in changes) == Counter(
        d.deed.subject for d in done if d.outcome == "success"
    )
    assert {c.actor for c in changes} == {""}


def test_three_clients_with_equal_ids_at_once() -> None:
    random = Random(1)
    acl = {"principal": "User:x"}
    done = [
        Done(1_700_000_000_000 + n, actor, Deed("acl", "create", f"Topic:t{n}", "i", after=acl))
        for n, actor in enumerate(("User:ann", "User:ann", "User:ben"))
    ]
    legs = [leg for d in done for leg in legs_of(d, random, 6)]
    assert told(join("c", legs)) == truth(done)


def test_the_same_value_twice_is_two_changes_and_the_second_has_no_effect() -> None:
    random = Random(1)
    first = Done(
        1_700_000_000_000, "User:ann", Deed("config", "set", "Topic:t", "retention.ms", after="1")
    )
    legs = legs_of(first, random, 1)
    second = legs_of(replace(first, time=first.time + 5000), random, 2)
    changes = join("c", [*legs, *(leg for leg in second if leg.leg != Leg.EFFECT)])
    assert [(c.deed.before, c.deed.after) for c in changes] == [(None, "1"), ("1", "1")]
    assert [c.missing for c in changes] == [(), ("effect",)]


def test_replays_of_what_is_known_are_no_changes() -> None:
    random = Random(3)
    done = [
        Done(
            1_700_000_000_000 + n * 1000, "User:ann", Deed("config", "set", "Topic:t", "r", after=v)
        )
        for n, v in enumerate("121")
    ]
    legs = [leg for n, d in enumerate(done) for leg in legs_of(d, random, n)]
    again = [
        replace(leg, id=f"{n:032x}", leg=Leg.REPLAYED, time=start + n, start=start + n)
        for start in (1_700_000_100_000, 1_700_000_200_000)
        for n, leg in enumerate(leg for leg in legs if leg.leg == Leg.EFFECT)
    ]
    again = [replace(leg, id=f"{n + 10**6:032x}") for n, leg in enumerate(again)]
    assert join("c", legs + again) == join("c", legs)
    alone = join("c", again)
    assert [c.deed.after for c in alone] == ["1", "2", "1"]
    assert {(c.confidence, c.timely) for c in alone} == {("low", False)}


def standby(legs: list[OneLeg], behind: int) -> list[OneLeg]:
    """What another controller writes of the same effects, by a clock that is behind."""
    return [
        replace(
            leg, id=f"{10**6 + n:032x}", leg=Leg.REPLAYED, host="c2", time=leg.time - behind,
            start=leg.time - behind,
        )
        for n, leg in enumerate(legs)
        if leg.leg == Leg.EFFECT
    ]  # fmt: skip


@pytest.mark.parametrize("withheld", [(), (Leg.REQUEST, Leg.FORWARDED, Leg.AUTHORIZER)])
@pytest.mark.parametrize("behind", [-400, 0, 2, 20, 400])
@pytest.mark.parametrize("seed", range(10))
def test_a_standby_tells_of_nothing_new_whatever_its_clock(
    seed: int, behind: int, withheld: tuple[Leg, ...]
) -> None:
    random = Random(seed)
    legs = [
        leg
        for n, d in enumerate(deeds(random, 40))
        for leg in legs_of(d, random, n % 5)
        if leg.leg not in withheld
    ]
    together = [*legs, *standby(legs, behind)]
    random.shuffle(together)
    assert join("c", together) == join("c", legs)


def test_a_replay_long_before_the_deed_is_of_an_older_one() -> None:
    (effect,) = (
        leg
        for leg in legs_of(
            Done(1_700_000_000_000, "User:ann", Deed("acl", "create", "Topic:t", "i", after={})),
            Random(1),
            1,
        )
        if leg.leg == Leg.EFFECT
    )
    for behind, times in ((1000, 1), (1001, 2)):
        changes = join("c", [effect, *standby([effect], behind)])
        assert [c.timely for c in changes] == [False, True][-times:]


def test_no_legs_are_joined_across_clusters() -> None:
    _, legs = scene(1, 5)
    assert not {c.id for c in join("a", legs)} & {c.id for c in join("b", legs)}
