"""Listening from look to look: when a silence is told of, when it is over, and that nothing of it
is told twice, whoever goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtimes.kafka.notices import Notice
from pipeline.runtimes.kafka.silence import (
    AHEAD_MS,
    HEARD_WITHIN_MS,
    LONGEST_LABEL,
    LONGEST_MS,
    MOST_VOICES,
    Clocked,
    Heard,
    Listening,
    unheard_of,
)
from pipeline.streaming import RawTopic, Silence, Streaming
from schemas.types import Finding

NOW = 1_763_700_000_000
RAW = "audit.raw.kafka_authorizer"
STREAMING = Streaming()
AFTER_S = 60
SILENCES = (Silence(topic="audit.raw.*", after_s=AFTER_S),)
STEP_MS = 10_000


class Told:
    """What was said, as it is kept: what is to be known, and all versions in order."""

    def __init__(self, silences: Iterable[Silence] = SILENCES) -> None:
        self.said: dict[bytes, Finding] = {}
        self.looked: bytes | None = None
        self.versions: list[Finding] = []
        self.silences = tuple(silences)
        self.listening = self.next()

    def next(self) -> Listening:
        """Whoever goes on, with what was kept."""
        self.listening = Listening(self.silences, STREAMING, dict(self.said), self.looked)
        return self.listening

    def look(self, heard: Heard) -> list[str]:
        """A look, and what was said of it kept; the statuses said."""
        notices = self.listening.look(heard)
        self.keep(notices, self.listening.frozen())
        return [one.finding.status for one in notices]

    def keep(self, notices: Sequence[Notice], looked: bytes) -> None:
        for name, finding, kept in notices:
            self.said.pop(name, None)
            if kept:
                self.said[name] = finding
            self.versions.append(finding)
        self.looked = looked


def heard(
    at_s: float, came: int = 1, stamp_s: float = 0, read: int | None = None, **others: float
) -> Heard:
    """A look so many seconds after the beginning, at one partition of one topic.

    `came` records are there, of which `read` are read; `others` are clusters with the stamps of
    their clocks beside `prod`.
    """
    stamps = {"prod": stamp_s, **others}
    return Heard(
        NOW + round(at_s * 1000),
        {
            (cluster, RAW): Clocked(NOW + round(stamp * 1000), NOW)
            for cluster, stamp in stamps.items()
        },
        {RAW: {0: came}},
        {RAW: {0: came if read is None else read}},
    )


def until(told: Told, last_s: float, first_s: float = 0, **more: float) -> list[tuple[float, str]]:
    """Look every ten seconds; what was said, and when."""
    out, at = [], first_s
    while at <= last_s:
        out += [(at, status) for status in told.look(heard(at, **more))]  # type: ignore[arg-type]
        at += STEP_MS / 1000
    return out


def test_it_is_told_of_once_and_when_it_is_over() -> None:
    told = Told()
    assert until(told, AFTER_S - 10) == []
    assert until(told, 200, AFTER_S) == [(AFTER_S, "open")]
    assert told.look(heard(210, came=2)) == ["closed"]
    assert until(told, 400, 220, came=2) == [(210 + AFTER_S, "open")]
    first, over, second = told.versions
    assert (first.id, first.version, over.id, over.version) == (first.id, 1, first.id, 2)
    assert second.version == 1
    assert second.id != first.id
    assert (first.first_time, first.last_time) == (NOW, NOW + AFTER_S * 1000)
    assert (over.first_time, over.last_time) == (NOW, NOW + 210_000)
    assert (first.cluster, first.key) == ("prod", f"topic={RAW}")


@pytest.mark.parametrize(("after_s", "fires"), [(49, True), (50, True), (51, False)])
def test_both_sides_of_the_threshold(after_s: int, fires: bool) -> None:
    told = Told([Silence(topic=RAW, after_s=after_s)])
    assert bool(until(told, 50)) == fires


def test_a_newer_clock_is_heard_as_well_as_a_record() -> None:
    told = Told()
    until(told, 50)
    assert told.look(heard(55, stamp_s=52)) == []
    assert until(told, 110, 60, stamp_s=52) == []
    assert until(told, 120, 115, stamp_s=52) == [(115, "open")]


def test_what_nobody_saw_is_no_silence() -> None:
    """The brokers were away for an hour, or no worker was there: no second of it counts."""
    told = Told()
    until(told, 50)
    assert told.look(heard(3_600)) == []
    assert told.look(heard(3_609)) == []
    assert told.look(heard(3_610)) == ["open"]


@pytest.mark.parametrize(
    ("gap_ms", "counts"), [(LONGEST_MS, True), (LONGEST_MS + 1, False), (-5_000, False)]
)
def test_both_sides_of_the_longest_step(gap_ms: int, counts: bool) -> None:
    told = Told([Silence(topic=RAW, after_s=LONGEST_MS // 1000)])
    told.look(heard(0))
    assert bool(told.look(heard(gap_ms / 1000))) == counts


def test_time_before_a_look_that_failed_does_not_count() -> None:
    told = Told()
    until(told, 50)
    told.listening.blink()
    assert told.look(heard(70)) == []
    assert told.look(heard(79)) == []
    assert told.look(heard(80)) == ["open"]


def test_the_long_gone_are_not_missed() -> None:
    day_s = HEARD_WITHIN_MS / 1000
    told = Told()
    assert until(told, 120, stamp_s=-day_s - 1) == []
    told = Told()
    assert until(told, 120, stamp_s=-day_s + 1) == [(AFTER_S, "open")]
    assert told.versions[0].first_time == NOW - round(day_s * 1000) + 1000


def test_of_clusters_that_share_a_topic_each_is_heard_by_its_clock() -> None:
    told, said = Told(), []
    for at in range(0, 130, 10):
        # Records come in all the time, all of them the other's.
        said += [(at, s) for s in told.look(heard(at, came=at, stamp_s=0, other=at))]
    # What was there at a look is read by the next: the first interval proves nothing less.
    assert said == [(AFTER_S, "open")]
    assert [one.cluster for one in told.versions] == ["prod"]


def test_a_cluster_of_long_ago_shares_nothing() -> None:
    """Its clock stays in the topic for good. Another's records are none of it."""
    day_s = HEARD_WITHIN_MS / 1000
    told = Told()
    told.look(heard(0, other=0))
    for at in range(0, 130, 10):
        # It was known before, and is silent since; the one that is there makes no events.
        told.look(heard(day_s + at, came=at, stamp_s=day_s, other=0))
    assert [(one.cluster, one.status) for one in told.versions] == [("other", "open")]


def test_a_shared_topic_that_ingest_does_not_read_says_nothing() -> None:
    told = Told()
    for at in range(0, 300, 10):
        assert told.look(heard(at, came=5, read=4, other=0)) == []
    # Alone in its topic it is listened to all the same.
    assert until(Told(), 100, came=5, read=4) == [(AFTER_S, "open")]


@pytest.mark.parametrize(("ahead_ms", "fires"), [(0, True), (AHEAD_MS * 10, False)])
def test_a_clock_that_is_ahead_says_nothing_by_standing_still(ahead_ms: int, fires: bool) -> None:
    told, said = Told(), []
    for at in range(0, 100, 10):
        look = heard(at, other=at)
        ahead = Clocked(NOW, NOW + ahead_ms)
        said += told.look(look._replace(clocks={**look.clocks, ("prod", RAW): ahead}))
    assert bool(said) == fires


def test_a_topic_that_is_not_seen_says_nothing() -> None:
    told = Told()
    for at in range(0, 100, 10):
        assert told.look(heard(at)._replace(ends={}, read={})) == []


def test_whom_nobody_asks_for_may_be_silent() -> None:
    never = Silence(topic=RAW, after_s=0)
    assert until(Told([never, *SILENCES]), 300) == []
    assert until(Told([Silence(topic=RAW, source="auto"), *SILENCES]), 300) == [(AFTER_S, "open")]
    assert until(Told([Silence(cluster="test-*", after_s=20)]), 300) == []
    assert until(Told([Silence(source="kafka_authorizer", after_s=20)]), 300) == [(20, "open")]


def test_a_silence_is_withdrawn_when_it_may_be_and_raised_again_when_not() -> None:
    told = Told()
    until(told, 100)
    told.silences = ()
    told.next()
    assert until(told, 130, 110) == [(110, "withdrawn")]
    told.silences = SILENCES
    told.next()
    assert until(told, 160, 140) == [(140, "open")]
    assert {one.id for one in told.versions} == {told.versions[0].id}
    assert [one.version for one in told.versions] == [1, 2, 3]
    # One that was withdrawn and is heard again is forgotten without a word.
    told.silences = ()
    told.next()
    assert until(told, 170, 170) == [(170, "withdrawn")]
    assert until(told, 180, 180, came=2) == []


def test_who_names_clusters_at_will_makes_us_remember_few() -> None:
    told = Told()
    names = {f"c{number}": 0.0 for number in range(2 * MOST_VOICES)}
    told.look(heard(0, **names, **{"x" * (LONGEST_LABEL + 1): 0.0}))  # type: ignore[arg-type]
    assert len(orjson.loads(told.looked or b"")["voices"]) == MOST_VOICES
    strange = "a\0b\ttopic=x\n"
    told = Told()
    clocks = {(strange, RAW): Clocked(NOW, NOW)}
    said = [told.look(heard(at)._replace(clocks=clocks)) for at in range(0, 70, 10)]
    assert said[-1] == ["open"]
    told.silences = ()
    told.next()
    assert told.look(heard(70)._replace(clocks=clocks)) == ["withdrawn"]
    assert {one.cluster for one in told.versions} == {strange}


def test_what_is_mistyped_is_known() -> None:
    meant = [
        Silence(topic="audit.raw.*", cluster="nowhere"),
        Silence(source="kafka_authorizer"),
        Silence(topic="audit.raw.auto"),
    ]
    mistyped = [
        Silence(topic="audit.row.*"),
        Silence(topic="audit.raw.auto", source="kafka_request"),
        Silence(topic="audit.events"),
    ]
    topics = [RAW, "audit.raw.auto", "audit.events"]
    assert unheard_of([*meant, *mistyped], STREAMING, topics) == mistyped


def test_a_finding_names_the_source_that_reads_the_topic() -> None:
    raw = RawTopic(topic="audit.raw.*", source="kafka_authorizer")
    streaming = Streaming(raw=(raw,))
    listening = Listening(SILENCES, streaming, {})
    notices = [n for at in range(0, 70, 10) for n in listening.look(heard(at))]
    said = orjson.loads(notices[0].finding.ocsf)
    assert said["auditstream"]["silence"] == {
        "topic": RAW, "source": "kafka_authorizer", "after_s": AFTER_S,
    }  # fmt: skip


STEPS = st.lists(
    st.tuples(
        st.integers(1, 45),
        st.sampled_from(["listen", "listen", "listen", "speak", "speak", "fail", "lose", "leave"]),
    ),
    max_size=80,
)


@given(STEPS)
def test_each_silence_is_told_of_once_whoever_goes_on(steps: list[tuple[int, str]]) -> None:
    """`fail`: a look fails; `lose`: what was said of it is not committed, another goes on; `leave`:
    another goes on. Who goes on knows of the last look that was kept, and of none that failed."""
    told, at, came, quiet = Told(), 0, 1, 0
    seen, expected = 1, []
    looked_at: int | None = None
    kept_at: int | None = None
    is_open = False
    for wait_s, what in steps:
        at += wait_s
        came += what == "speak"
        if what == "fail":
            told.listening.blink()
            looked_at = None
            continue
        if what == "lose":
            told.listening.look(heard(at, came))
        if what in ("lose", "leave"):
            told.next()
            looked_at = kept_at
        if what == "lose":
            continue
        counts = looked_at is not None and at - looked_at <= LONGEST_MS / 1000
        passed = at - looked_at if looked_at is not None and counts else 0
        quiet = 0 if came > seen else quiet + passed
        if is_open and came > seen:
            expected.append("closed")
            is_open = False
        if quiet >= AFTER_S and not is_open:
            expected.append("open")
            is_open = True
        seen, looked_at, kept_at = came, at, at
        told.look(heard(at, came))
    assert [one.status for one in told.versions] == expected
    opened = [one.id for one in told.versions if one.status == "open"]
    closed = [one.id for one in told.versions if one.status == "closed"]
    assert len(set(opened)) == len(opened)
    assert closed == opened[: len(closed)]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 29)), min_size=2, max_size=6),
    st.lists(st.integers(5, 29), min_size=20, max_size=20),
)
def test_what_is_told_does_not_hang_on_when_it_is_looked(
    pauses: list[tuple[bool, int]], cuts: list[int]
) -> None:
    """Silences well over and well under what may be; looks as they fall."""
    speaks, at = [0], 0
    for long, more in pauses:
        at += AFTER_S + 2 * 29 + more if long else more
        speaks.append(at)
    counts = []
    for steps in (cuts, [STEP_MS // 1000]):
        told, now, number = Told(), 0, 0
        while now <= at + 29:
            told.look(heard(now, came=sum(when <= now for when in speaks)))
            now += steps[number % len(steps)]
            number += 1
        counts.append([one.status for one in told.versions])
    assert counts[0] == counts[1]
    assert counts[0].count("open") == sum(long for long, _ in pauses)
