"""What a key remembers: its cap, its horizon, and clocks that are wrong."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest

from detectors.auth_failure_spike import DETECTOR
from detectors.contract import STATE_CAP
from detectors.episodes import MOST_SUSPECT
from detectors.runs import MOST_EVIDENCE
from schemas.types import Event
from schemas.vocabulary import AUTHENTICATION, Severity
from tests.detectors.random_sets import NAMES, a_set, load, numbers, shuffled, split
from tests.detectors.worker import T0, Worker, event, sound

DAY = 86_400_000
MINUTE = 60_000
Y1970 = 1000
Y2100 = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000)

numbered = iter(range(10**9))


def login(time: int, success: bool = False, suspect: bool = False) -> Event:
    outcome = "success" if success else "failure"
    return event(
        next(numbered),
        time,
        class_uid=AUTHENTICATION,
        outcome=outcome,
        address="192.0.2.7",
        suspect=suspect,
    )


def burst(time: int, size: int = 12, suspect: bool = False) -> list[Event]:
    return [login(time + 1000 * n, suspect=suspect) for n in range(size)]


def alone() -> Worker:
    return Worker([(DETECTOR, DETECTOR.settings())])


def state_of(worker: Worker) -> dict[str, list[list[object]]]:
    (state,) = worker.states.values()
    return orjson.loads(state)  # type: ignore[no-any-return]


def batches(events: list[Event], size: int) -> Iterator[list[Event]]:
    for place in range(0, len(events), size):
        yield events[place : place + size]


# The cap.


def test_above_the_cap_a_count_stays_exact_while_nothing_is_turned_away() -> None:
    events = [login(T0 + 100 * n) for n in range(STATE_CAP + 2500)]
    worker = alone().feed(batches(events, 700))
    (found,) = worker.settled()
    assert (found.count, found.lower_bound) == (len(events), False)
    assert (found.first_time, found.last_time) == (events[0].time, events[-1].time)
    assert found.evidence == tuple(e.id for e in events[:MOST_EVIDENCE])
    assert len(state_of(worker)["evidence"]) == STATE_CAP
    sound(worker.history)


def test_above_the_cap_what_comes_late_is_turned_away_and_the_finding_says_so() -> None:
    events = [login(T0 + 100 * n) for n in range(STATE_CAP + 2500)]
    late = events.pop(40)
    worker = alone().feed(batches(events, 900))
    worker.take([late])
    (found,) = worker.settled()
    assert found.lower_bound
    assert found.count == len(events) < len(events) + 1
    assert orjson.loads(found.ocsf)["message"].startswith("At least ")
    # A replay cannot be told from news by then: nothing is counted twice, and it is still so said.
    worker.feed(batches(events, 900))
    (found,) = worker.settled()
    assert (found.count, found.lower_bound) == (len(events), True)
    assert len(state_of(worker)["evidence"]) == STATE_CAP
    # An episode that begins afterwards has lost nothing.
    worker.take(burst(events[-1].time + 20 * MINUTE))
    assert [f.lower_bound for f in worker.settled()] == [True, False]


def test_in_any_order_above_the_cap_no_count_is_above_the_truth() -> None:
    events = [login(T0 + 50 * n) for n in range(STATE_CAP + 3000)]
    random.Random(7).shuffle(events)
    worker = alone().feed(batches(events, 1300))
    (found,) = worker.settled()
    assert found.lower_bound
    assert STATE_CAP <= found.count <= len(events)
    assert len(state_of(worker)["evidence"]) == STATE_CAP
    sound(worker.history)


def test_findings_stay_when_their_evidence_gives_way() -> None:
    worker = alone()
    worker.take(burst(T0))
    worker.feed(batches([login(T0 + 60 * MINUTE + 100 * n) for n in range(STATE_CAP)], 3000))
    assert [f.count for f in worker.settled()] == [12, STATE_CAP]


def test_many_failures_in_one_millisecond() -> None:
    events = [login(T0) for _ in range(STATE_CAP + 10)]
    worker = alone().feed(batches(events, 4000))
    (found,) = worker.settled()
    assert STATE_CAP <= found.count <= len(events)
    assert found.lower_bound == (found.count < len(events))


def test_suspect_events_push_out_no_others() -> None:
    worker = alone().feed([burst(T0), *batches(burst(T0, 3 * MOST_SUSPECT, suspect=True), 500)])
    (found,) = worker.settled()
    assert found.severity_id == Severity.MEDIUM
    evidence = state_of(worker)["evidence"]
    assert sum(1 for _, _, _, suspect, *_ in evidence if suspect) == MOST_SUSPECT
    assert sum(1 for _, _, _, suspect, *_ in evidence if not suspect) == 12


def test_a_threshold_above_the_cap_is_refused() -> None:
    with pytest.raises(ValueError, match="less than or equal to 10000"):
        DETECTOR.settings.model_validate({"threshold": STATE_CAP + 1})


# The horizon.


def test_what_comes_later_than_the_horizon_is_late() -> None:
    worker = alone().feed([[login(T0)], [login(T0 + DAY)]])
    on_time, late = login(T0), login(T0 - 1)
    worker.feed([[on_time], [late]])
    assert worker.late == {late.id}


def test_an_episode_longer_than_the_horizon_is_one() -> None:
    events = [login(T0 + 5 * MINUTE * n) for n in range(3 * 288)]
    spike = burst(events[100].time + 1000)
    worker = alone().feed(batches(sorted(events + spike, key=lambda e: e.time), 50))
    (found,) = worker.settled()
    assert (found.count, found.first_time) == (len(events) + len(spike), T0)
    assert len(state_of(worker)["evidence"]) < 400
    worker.take([login(events[-1].time + 1000, success=True)])
    assert worker.settled()[0].severity_id == Severity.HIGH


def test_what_is_forgotten_changes_nothing_said() -> None:
    worker = alone().feed([burst(T0), [login(T0 + MINUTE, success=True)]])
    before = worker.view()
    worker.feed([burst(T0 + 3 * DAY), burst(T0 + 6 * DAY), burst(T0 + 40 * DAY)])
    assert before.items() <= worker.view().items()
    assert len(worker.view()) == 4


def test_a_success_once_seen_is_not_unseen() -> None:
    """A suspect event keeps its episode remembered longer than the success that followed it."""
    start = T0 + 20 * MINUTE
    worker = alone().feed([burst(start), [login(start + 5000, suspect=True)]])
    worker.take([login(start + 25 * MINUTE, success=True)])
    worker.feed([[login(start + n * DAY // 2)] for n in range(1, 5)])
    (found,) = worker.settled()
    assert (found.severity_id, found.version) == (Severity.HIGH, 3)


# Clocks.


@pytest.mark.parametrize("suspect", [False, True], ids=["trusted", "suspect"])
@pytest.mark.parametrize("wrong", [Y1970, Y2100, T0 + 2 * DAY], ids=["1970", "2100", "tomorrow"])
def test_one_wrong_clock_does_not_blind_a_key(wrong: int, suspect: bool) -> None:
    odd = login(wrong, suspect=suspect)
    for arrivals in (
        [[odd], burst(T0)],
        [burst(T0)[:5], [odd], burst(T0 + 9000)],
        [burst(T0), [odd]],
    ):
        worker = alone().feed(arrivals)
        assert not worker.late
        assert [f.severity_id for f in worker.settled()] == [Severity.MEDIUM]


def test_what_a_wrong_clock_says_is_found_as_well() -> None:
    for first, second in ((Y2100, T0), (T0, Y2100), (Y1970, T0), (T0, Y1970)):
        worker = alone().feed([burst(first), burst(second)])
        assert {f.first_time for f in worker.settled()} == {first, second}


def test_a_clock_that_jumps_again_and_again_does_not_blind_a_key() -> None:
    jumps = [login(Y2100 + n * 30 * DAY) for n in range(20)]
    worker = alone().feed([jumps[:10], burst(T0), jumps[10:], burst(T0 + 5000)])
    assert [f.count for f in worker.settled()] == [24]
    assert not worker.late


def test_a_broken_clock_full_of_failures_does_not_push_out_the_present() -> None:
    worker = alone().feed(batches(burst(Y2100, STATE_CAP + 50), 4000))
    worker.feed([[e] for e in burst(T0)])
    assert T0 in {f.first_time for f in worker.settled()}
    assert len(state_of(worker)["evidence"]) == STATE_CAP


def test_two_clocks_side_by_side() -> None:
    """Two hosts, one of them two days ahead, for as long as it takes to meet the other's past."""
    pairs = [
        pair
        for hour in range(0, 24 * 8, 6)
        for start in [T0 + hour * 60 * MINUTE]
        for pair in (burst(start), burst(start + 2 * DAY))
    ]
    worker = alone().feed(pairs)
    assert not worker.late
    # From the third day on the bursts of one host fall into those of the other two days before.
    assert {f.first_time for f in worker.settled()} == {b[0].time for b in pairs}


@pytest.mark.parametrize("name", NAMES)
def test_random_sets_beside_wrong_clocks(name: str) -> None:
    detector, reference = load(name)
    for seed in range(200):
        rng = random.Random(f"{name} {seed}")
        chosen = numbers(rng, detector, reference)
        events = a_set(rng, chosen, reference.EVENTS, 40)
        arrivals = shuffled(rng, events, chosen.horizon_s)
        for wrong in rng.sample((DAY * 3650, Y2100), rng.randint(1, 2)):
            odd = a_set(rng, chosen, reference.EVENTS[:4], 8)
            for number, moved in enumerate(odd):
                stranger = event(rng.getrandbits(80), wrong + 5000 * number)
                moved.time, moved.id = stranger.time, stranger.id
                arrivals.insert(rng.randint(0, len(arrivals)), moved)
        worker = Worker([(detector, chosen)]).feed(split(rng, arrivals))
        assert worker.view() == reference.reference(arrivals, chosen), f"seed {seed}"
        sound(worker.history)
