"""Rows held against documents: whatever is made wrong is named, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtimes.kafka.comparing import Comparison, Difference, Period, Rule, judge
from pipeline.runtimes.kafka.sides import Id, Kept, Place, Sides, Told
from schemas.indices import DAY_MS

HOMES = ("audit-long-2026.10", "audit-standard-2026.10", "audit-standard-2026.11")
NOW = 1_795_000_000_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sides") / "sides.db"


def told(id_: Id, home: str = HOMES[1], **more: Any) -> Told:
    row = Told(id_, 0, NOW, "kafka_authorizer", home, 0, 0, NOW, False)
    return row._replace(**more)


def kept(id_: Id, home: str = HOMES[1], **more: Any) -> Kept:
    return Kept(id_, 0, NOW, "kafka_authorizer", home)._replace(**more)


def compared(
    file: Path, rule: Rule, rows: Sequence[Told], documents: Sequence[Kept], **more: Any
) -> tuple[Comparison, list[Difference]]:
    sides = Sides(file)
    # Whichever comes first, and in any order.
    sides.keep(documents)
    sides.tell(rows)
    comparison = Comparison(rule, "events", "t", **more)
    found = list(comparison.differences(sides.groups()))
    sides.close()
    return comparison, found


def ids() -> st.SearchStrategy[bytes]:
    return st.integers(0, 30).map(lambda number: number.to_bytes(16, "big"))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Told], list[Kept]]:
    """Rows, waiting or not, some more than once; documents of any ids in any indices."""
    rows = [
        told(
            draw(ids()),
            draw(st.sampled_from(HOMES[1:])),
            offset=offset,
            waiting=draw(st.booleans()),
            time=draw(st.sampled_from((NOW, NOW - 40 * DAY_MS, None))),
        )
        for offset in range(draw(st.integers(0, 40)))
    ]
    places = draw(st.sets(st.tuples(ids(), st.sampled_from(HOMES)), max_size=40))
    return rows, [kept(id_, home) for id_, home in sorted(places)]


@given(worlds())
def test_one_document_of_each_id(file: Path, world: tuple[list[Told], list[Kept]]) -> None:
    rows, documents = world
    homes: dict[Id, set[str]] = {}
    due = {row.id for row in rows if not row.waiting}
    there: dict[Id, list[str]] = {}
    for row in rows:
        homes.setdefault(row.id, set()).add(row.home)
    for one in documents:
        there.setdefault(one.id, []).append(one.home)
    expected = [("missing", id_) for id_ in due - there.keys()]
    expected += [("surplus", one.id) for one in documents if one.id not in homes]
    for id_ in homes.keys() & there.keys():
        if len(there[id_]) > 1:
            expected.append(("twice", id_))
        elif there[id_][0] not in homes[id_]:
            expected.append(("elsewhere", id_))
    comparison, found = compared(file, "once", rows, documents)
    assert sorted((d.what, bytes.fromhex(d.id)) for d in found) == sorted(expected)
    days = comparison.days.values()
    assert sum(day["topic"] for day in days) == len(homes)
    assert sum(day["index"] for day in days) == len(documents)
    assert sum(day["waiting"] for day in days) == len(homes.keys() - due - there.keys())
    assert comparison.rows.total() == len(rows)
    assert comparison.ids.total() == len(homes)


@given(
    st.lists(st.tuples(ids(), st.integers(1, 5), st.booleans())),
    st.sets(st.tuples(ids(), st.integers(1, 6))),
)
def test_each_version_and_the_last(
    file: Path, versions: list[tuple[bytes, int, bool]], indexed: set[tuple[bytes, int]]
) -> None:
    rows = [
        told(id_, said=version, waiting=waiting, offset=offset)
        for offset, (id_, version, waiting) in enumerate(versions)
    ]
    newest: dict[Id, int] = {}
    due: dict[Id, int] = {}
    for row in rows:
        assert row.said is not None
        newest[row.id] = max(row.said, newest.get(row.id, 0))
        if not row.waiting:
            due[row.id] = max(row.said, due.get(row.id, 0))
    have = {(row.id, row.said) for row in rows}
    expected = {
        ("missing", f"{id_.hex()}-{version}")
        for id_, version, waiting in versions
        if not waiting and (id_, version) not in indexed
    } | {
        # What a compacted topic keeps no more is no surplus.
        ("surplus", f"{id_.hex()}-{version}")
        for id_, version in indexed
        if (id_, version) not in have and version > newest.get(id_, 0)
    }
    documents = [kept(id_, said=version) for id_, version in sorted(indexed)]
    _, found = compared(file, "each", rows, documents)
    assert {(d.what, d.id) for d in found} == expected
    assert len(found) == len(expected)

    last = dict(sorted(indexed))
    documents = [kept(id_, said=version) for id_, version in last.items()]
    expected = {("missing", id_.hex()) for id_ in due.keys() - last.keys() if id_}  # type: ignore[union-attr]
    expected |= {("surplus", id_.hex()) for id_ in last.keys() - newest.keys()}
    expected |= {
        ("differs", id_.hex())
        for id_, version in last.items()
        if id_ in newest and not due.get(id_, 0) <= version <= newest[id_]
    }
    _, found = compared(file, "version", rows, documents)
    assert {(d.what, d.id) for d in found} == expected


def test_what_the_topic_holds_no_more_is_not_surplus(file: Path) -> None:
    since = NOW - DAY_MS
    old, new, undated = bytes(16), b"\1" * 16, b"\2" * 16
    documents = [
        kept(old, time=since - 1), kept(new, time=since), kept(undated, "audit-x-undated", time=None)
    ]  # fmt: skip
    comparison, found = compared(file, "once", [], documents, since=since)
    assert [(d.what, d.id) for d in found] == [("surplus", new.hex())]
    assert comparison.verdicts == {"surplus": 1, "older": 2}
    assert comparison.days["kafka_authorizer", None]["older"] == 1
    # Nor is it known where it was to be: its first row may have said so.
    elsewhere = [kept(old, HOMES[2], time=since - 1)]
    assert compared(file, "once", [told(old, time=since - 1)], elsewhere, since=since)[1] == []


def test_what_was_written_a_moment_ago_is_looked_up(file: Path) -> None:
    here, gone, behind = (bytes([n]) * 16 for n in range(3))
    there: dict[Place, int] = {(HOMES[1], here.hex()): 1, (HOMES[1], behind.hex()): 3}
    asked: list[Place] = []

    def look(places: Sequence[Place]) -> Mapping[Place, int]:
        asked.extend(places)
        return {place: there[place] for place in places if place in there}

    rows = [told(here, said=1), told(gone, said=1), told(behind, said=3)]
    _, found = compared(file, "version", rows, [kept(behind, said=2)], look=look)
    assert [(d.what, d.id) for d in found] == [("missing", gone.hex())]
    assert asked == [(HOMES[1], id_.hex()) for id_ in (here, gone, behind)]


def test_what_a_dead_letter_answers_for_is_not_missing(file: Path) -> None:
    rows = [told(bytes([n]) * 16, offset=n) for n in range(4)]
    why = {1: "refused", 2: "dropped"}
    comparison, found = compared(file, "once", rows, [], excuse=lambda row: why.get(row.offset, ""))
    assert [(d.what, d.place) for d in found] == [("missing", "t[0] 0"), ("missing", "t[0] 3")]
    assert comparison.verdicts == {"missing": 2, "refused": 1, "dropped": 1}


def test_the_period_is_of_the_time_that_the_topic_says(file: Path) -> None:
    rows = [told(bytes([n]) * 16, time=NOW + n) for n in range(4)]
    rows.append(told(b"\7" * 16, time=None))
    comparison, found = compared(file, "once", rows, [], period=Period(NOW + 1, NOW + 3))
    assert [d.id[:2] for d in found] == ["01", "02", "07"]
    assert comparison.ids.total() == 5


def test_an_id_that_was_taken_back_is_not_in_the_topic(file: Path) -> None:
    rows = [
        told("a:0:0", offset=1, said=5),
        told("a:0:0", offset=2, said=None, time=None),
        told("b:0:0", offset=3, said=None, time=None),
        told("b:0:0", offset=4, said=6),
        told("c:0:0", offset=5, said=None, time=None),
    ]
    documents = [kept("a:0:0", said=5), kept("b:0:0", said=6)]
    comparison, found = compared(file, "exact", rows, documents)
    assert [(d.what, d.id) for d in found] == [("surplus", "a:0:0")]
    assert comparison.ids.total() == 1


@pytest.mark.parametrize(
    ("rows", "said", "what"),
    [
        ([(1, False)], 1, "same"),
        ([(1, False)], 2, "differs"),
        ([(1, False), (2, False)], 2, "same"),
        ([(1, False), (2, False)], 1, "differs"),
        # Nobody can tell yet which of them is indexed.
        ([(1, False), (2, True)], 1, "same"),
        ([(1, False), (2, True)], 2, "same"),
    ],
)
def test_a_document_says_exactly_what_the_last_row_does(
    rows: list[tuple[int, bool]], said: int, what: str
) -> None:
    several = [told("x", said=one, waiting=waiting) for one, waiting in rows]
    assert [verdict.what for verdict in judge("exact", several, [kept("x", said=said)])] == [what]


def test_names_that_are_no_ids_of_ours_are_told_apart(file: Path) -> None:
    odd: list[Id] = ["0" * 32 + "x", "", "é\0", "A" * 16, bytes(16)]
    _, found = compared(file, "once", [told(b"A" * 16)], [kept(one) for one in odd])
    surplus = {d.id for d in found if d.what == "surplus"}
    assert surplus == {one if isinstance(one, str) else one.hex() for one in odd}
    assert [d.id for d in found if d.what == "missing"] == [(b"A" * 16).hex()]
