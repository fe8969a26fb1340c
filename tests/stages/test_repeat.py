"""Repeat: what comes of moulds is what comes without them, to the byte, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any
from typing import cast as cast_to

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import Fact, Ingested, Record, State, Stream
from pipeline.config import Config
from pipeline.engine import Plan, ingest
from pipeline.registry import sources
from pipeline.stages import repeat
from pipeline.stages.repeat import MOST_BYTES, Moulds
from schemas.types import Event, Repeated
from schemas.wire import decoder, encoder
from tests import feed
from tests.logs import START, broker_lines, decision, login, stamp
from tests.sources.golden import load, paths, stream_of

WHERE = feed.stream("auto", cluster="c", host="b1", zone="UTC")
LINE = decision(START, "User:alice")
GOLDEN = [path for path in paths() if sources()[path.parent.name].repeats]


class Never(Moulds):
    """Works everything out."""

    def cast(self, *_: Any) -> list[Event]:
        return []


def plan(moulds: Moulds | None = None, more: Plan | None = None) -> Plan:
    return replace(more or Plan(sources()), moulds=moulds or Moulds())


def records(lines: Sequence[str | bytes], received: int = 0) -> list[Record]:
    return [one._replace(received=received) for one in feed.records(lines)]


def run(
    how: Plan, found: Sequence[Record], cuts: Sequence[int] = (), where: Stream = WHERE
) -> Ingested:
    """All that a stream leads to."""
    state: State = {}
    whole = Ingested()
    for begin, end in pairwise([0, *sorted(set(cuts) - {0, len(found)}), len(found)]):
        done = ingest(how, where, found[begin:end], state)
        whole.events += done.events
        whole.dead_letters += done.dead_letters
        whole.account.add(done.account)
    ended = ingest(how, where, [], state, final=True)
    whole.dead_letters += ended.dead_letters
    whole.events += ended.events
    whole.account.add(ended.account)
    whole.state = state
    return whole


def cast(done: Ingested) -> int:
    """How many events came of moulds."""
    return sum(isinstance(event, Repeated) for event in done.events)


def same(found: Sequence[Record], cuts: Sequence[int] | None = None, **more: Any) -> int:
    """Hold what comes with moulds against what comes without; how many came of moulds.

    Line by line, unless `cuts` say otherwise: what is together new is worked out together.
    """
    expected = run(plan(Never()), found, **more)
    made = plan()
    with_moulds = run(made, found, range(len(found)) if cuts is None else cuts, **more)
    assert with_moulds == expected
    # Somebody else's, or the same file's once more: what is known of its past is another thing.
    assert run(made, found, cuts or (), **more) == expected
    encode, decode = encoder("audit_event"), decoder("audit_event")
    for mine, other in zip(with_moulds.events, expected.events, strict=True):
        assert mine == other
        assert encode(mine) == encode(other)
        assert decode(encode(mine))["id"] == mine.id
    return cast(with_moulds)


def at(stamped: str, line: str = LINE) -> str:
    """The line at another time."""
    return stamped + line[len(stamp(START)) :]


def test_a_line_that_comes_again_is_cast() -> None:
    # Seen first, made a mould when it is seen again, and cast from then on.
    assert same(records([LINE] * 10)) == 8
    assert same(records([LINE] * 10, received=1_795_000_000_000)) == 8


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
@pytest.mark.parametrize("explicit", [False, True], ids=["auto", "explicit"])
def test_examples_that_come_again_lead_to_the_same(path: Path, explicit: bool) -> None:
    example = load(path)
    where = stream_of(example, path.parent.name if explicit else "auto")
    one_by_one = [line for line in example["lines"] for _ in range(6)]
    for lines in (example["lines"] * 6, one_by_one, [LINE, LINE, *example["lines"] * 6]):
        same(records(lines), where=where)


def test_every_source_that_repeats_has_examples_that_are_cast() -> None:
    names = {source.name for source in sources().values() if source.repeats}
    of_moulds = set()
    for path in GOLDEN:
        example = load(path)
        found = records(example["lines"] * 12)
        done = run(plan(), found, range(len(found)), stream_of(example))
        of_moulds |= {event.source for event in done.events if isinstance(event, Repeated)}
    assert of_moulds == names != set()


@settings(max_examples=30)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(0, 399), max_size=6),
    st.sampled_from([0, -1, 1_795_000_000_000]),
    st.data(),
)
def test_whatever_a_broker_says(seed: int, cuts: list[int], received: int, data: Any) -> None:
    # Few sentences, over and over, between all that disturbs: floods, forgery, noise, torn lines.
    said = list(broker_lines(120, seed=seed)) + [LINE, LINE.replace("alice", "bob")] * 10
    lines = data.draw(st.lists(st.sampled_from(said), min_size=400, max_size=400))
    same(records(lines, received), cuts)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(["a", "%", "%d", "%%b", "\t", "] ", " (", "é", "\\", '"', "\x00"])))
def test_whatever_a_name_holds(parts: list[str]) -> None:
    name = "".join(parts)
    line = decision(START, "User:x", resource=f"Group:LITERAL:{name}", allowed=False)
    same(records([LINE, line] * 5))


@pytest.mark.parametrize("word", [word.decode() for word in repeat._WORDS])
def test_words_of_ours_in_a_name_keep_it_from_becoming_a_mould(word: str) -> None:
    line = decision(START, "User:x", resource=f"Group:LITERAL:{word}", allowed=False)
    assert same(records([line] * 8, received=5)) == 0


TORN, TAIL = decision(START, "User:m", resource="Group:LITERAL:x\ty", allowed=False).split("\t")


@pytest.mark.parametrize(
    "between",
    [
        [TORN, TAIL],
        [TORN],
        [LINE[:200]],
        ["", "no beginning"],
        [LINE + "\r"],
        [LINE.encode()[:-30] + b"\xff" + LINE.encode()[-30:]],
        ["\tat org.apache.kafka.Some.method(Some.java:1)"],
        [at("[2026-02-30 10:00:00,000]")],
        [at("[2026-11-01 10:00:00,00x]")],
        [at("[2026-11-01 10:00:00.250]")],
        [at("[2026-11-01T10:00:00,250]")],
        [at("[2026-11-01 10:00:00]")],
        [at("[2026-11-01 10:00:00,000000]")],
        [at("[2026-11-01 10:00:0\u0661,000]")],
        [at("2026-11-01 10:00:00,000]")],
        [at("{2026-11-01 10:00:00,000]")],
        [at("")],
        [stamp(START) + " INFO Rolled new log segment (kafka.log.UnifiedLog)"],
        [
            stamp(START) + " ERROR oh (kafka.server.KafkaApis)",
            "java.lang.Oh: oh",
            "\tat a.b(C.java)",
        ],
        ['{"log":' + f'"{LINE}"' + "}"],
        [f"2026-11-20T23:52:44.297000000Z stdout F {LINE}"],
        ["\ufeff" + LINE],
        [LINE + "\n" + LINE],
        [login(START, "192.0.2.1")],
    ],
)
def test_what_comes_between_is_told_all_the_same(between: list[str | bytes]) -> None:
    known: list[str | bytes] = [LINE] * 5
    lines = [*known, *between, *known, *between, *between, *known * 20]
    # What is suspect after a forged line is worked out; behind its 32 KiB lines are cast again.
    lines += [stamp(START) + " INFO " + "x" * 900 + " (kafka.log.UnifiedLog)"] * 40
    assert same(records([*lines, *known])) > 0


def test_a_record_that_is_not_all_there_is_not_cast() -> None:
    found = records([LINE] * 9)
    found[5] = found[5]._replace(length=5_000, digest="00" * 32)
    found[7] = found[7]._replace(broken="the rest is gone")
    assert same(found) == 5


@pytest.mark.parametrize(
    "first",
    [
        "[INFO] 2026-11-01 10:00:00,000 [main] kafka.server.KafkaServer start - started",
        LINE[len(stamp(START)) + 1 :],
        LINE[len(stamp(START)) + 1 :].removeprefix("DEBUG "),
        f'{{"log": "{LINE}"}}',
        f"2026-11-20T23:52:44.297000000Z stdout F {LINE}",
        "2026-11-20T23:52:44.297000000Z stdout P [2026-11-01 10:00:00,000] DEBUG Princi",
        login(START, "192.0.2.1"),
        TORN,
        "",
    ],
)
def test_a_file_with_another_past_is_told_from_that_past(first: str) -> None:
    moulds = Moulds()
    run(plan(moulds), records([LINE] * 5))
    lines = [first, LINE, LINE, "no layout", LINE]
    for count in range(1, len(lines) + 1):
        found = records(lines[:count])
        assert run(plan(moulds), found, range(count)) == run(plan(Never()), found)


def test_a_time_that_the_clock_says_more_of_says_so() -> None:
    # The hour that comes twice in autumn.
    lines = [at(f"[2026-10-25 {hour:02d}:30:00,000]") for hour in range(6) for _ in range(4)]
    where = replace(WHERE, zone="Europe/Berlin")
    assert same(records(lines), where=where) > 0
    spots = {event.blind_spots for event in run(plan(), records(lines), where=where).events}
    assert len(spots) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"host": "b2", "origin": b"o", "carrier": "another.log"},
        {"host": "", "carrier": ""},
        {"host": 'b"2\\\t%d', "carrier": "\u00e9%s"},
        {"carrier": "\udcff.log"},
        {"cluster": "other"},
        {"zone": "Europe/Berlin"},
        {"zone": ""},
        {"source": "kafka_authorizer"},
        {"source": "kafka_authentication"},
    ],
    ids=str,
)
def test_what_one_broker_says_is_known_of_all_and_stays_theirs(other: dict[str, Any]) -> None:
    moulds, another, found = Moulds(), replace(WHERE, **other), records([LINE] * 6)
    for where in (WHERE, another, WHERE, another):
        expected = run(plan(Never()), found, where=where)
        assert run(plan(moulds), found, where=where) == expected
        assert run(plan(moulds), found, range(6), where=where) == expected
    of_one = cast(run(plan(moulds), found, range(6)))
    assert of_one == cast(run(plan(moulds), records([LINE] * 6), range(6))) == 5


def test_what_is_our_own_work_on_one_cluster_is_none_on_another() -> None:
    own = {
        "role": "ingest",
        "principal": "User:alice",
        "cluster": "c",
        "networks": ["192.0.2.0/24"],
    }
    config = Config.model_validate({"own": [own]})
    line = decision(START, "User:alice", resource=f"Topic:LITERAL:{config.kafka.topic('raw.auto')}")
    found, moulds = records([line] * 6), Moulds()
    for cluster, count in (("other", 6), ("c", 0), ("other", 6)):
        where = replace(WHERE, cluster=cluster)
        for _ in range(2):
            done = run(plan(moulds, config.plan()), found, range(6), where)
            assert len(done.events) == count
            assert done == run(plan(Never(), config.plan()), found, where=where)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeat, "MOST_MOULDS", 10)
    monkeypatch.setattr(repeat, "_MOST_MISSED", 80)
    some = [LINE.replace("alice", f"app-{number}") for number in range(15)]
    moulds = Moulds()
    lines = list(islice(cycle(some), 75))
    found = records(lines)
    each = range(len(found))
    assert run(plan(moulds), found, each).events == run(plan(Never()), found).events
    assert sum(len(file.moulds) for file in moulds._files.values()) == 10
    # The log goes on to other things: in the end those are cast.
    others = [LINE.replace("alice", f"other-{number}") for number in range(5)]
    found = records(list(islice(cycle(others), 200)))
    done = run(plan(moulds), found, range(len(found)))
    assert done.events == run(plan(Never()), found).events
    assert cast(done) > 50
    assert sum(len(file.moulds) for file in moulds._files.values()) <= 10


@pytest.mark.parametrize(
    "own", [{}, {"secrets": ("alice",)}, {"natural_key": ("k",)}, {"uid": "u"}], ids=str
)
def test_what_has_something_of_its_own_becomes_no_mould(own: dict[str, Any]) -> None:
    authorizer = sources()["kafka_authorizer"]

    def read(lines: Any, reading: Any, state: Any) -> Any:
        outcomes, state = authorizer.read(lines, reading, state)
        return [[replace(cast_to(Fact, fact), **own) for fact in of] for of in outcomes], state

    using = Plan({authorizer.name: replace(authorizer, read=read)})
    found = records([LINE] * 6)
    done = run(plan(more=using), found, range(6))
    assert done == run(plan(Never(), using), found)
    assert cast(done) == (0 if own else 4)


def test_a_long_line_becomes_no_mould() -> None:
    line = decision(START, "User:x", resource="Group:LITERAL:" + "g" * MOST_BYTES)
    assert same(records([line] * 6)) == 0
