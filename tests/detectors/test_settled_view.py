"""Whatever the order, the repetition and the split, a counter settles on what its reference says.

Every detector that has a reference is tested; a counter without a reference and a detector without
examples fail here. Estate detectors have properties instead: ``test_estates.py``.
"""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import detectors
from detectors.contract import Detector, EpisodeSettings, Evidence
from detectors.episodes import hold_back, merge
from pipeline.registry import detectors as known
from tests.detectors.random_sets import (
    NAMES,
    a_set,
    load,
    numbers,
    repeated,
    set_to,
    shuffled,
    split,
)
from tests.detectors.worker import Worker, event, sound
from tests.references import View

SETS = 1000
EXAMPLES = Path(__file__).parent.parent / "examples" / "detectors"
HERE = Path(next(iter(detectors.__path__)))


def ours() -> list[str]:
    """Detectors of this repository, without those that plugins add."""
    return [name for name in known() if (HERE / f"{name}.py").exists()]


def test_every_detector_has_examples_and_every_counter_a_reference() -> None:
    counters = {name for name, detector in known().items() if isinstance(detector, Detector)}
    offenders = [
        f"{name}: {missing}"
        for name in ours()
        for missing, there in (
            ("tests/references/NAME.py", name in NAMES or name not in counters),
            ("fires_*.json", any((EXAMPLES / name).glob("fires_*.json"))),
            ("silent_*.json", any((EXAMPLES / name).glob("silent_*.json"))),
        )
        if not there
    ]
    assert not offenders
    assert set(NAMES) <= set(ours()) & counters, "a reference without its counter"


def test_every_detector_says_what_people_need() -> None:
    offenders = [
        f"{name}: {what}"
        for name in ours()
        for what in ("documentation", "attacks", "triage", "false_positives", "blind_spots")
        if not getattr(known()[name], what)
    ]
    assert not offenders


@pytest.mark.parametrize("name", NAMES)
def test_random_sets(name: str) -> None:
    detector, reference = load(name)
    seen: Counter[str] = Counter()
    for seed in range(SETS):
        rng = random.Random(f"{name} {seed}")
        chosen = numbers(rng, detector, reference)
        events = a_set(rng, chosen, reference.EVENTS, rng.randint(1, 45))
        expected = reference.reference(events, chosen)
        arrivals = repeated(rng, shuffled(rng, events, chosen.horizon_s))
        worker = Worker([(detector, chosen)]).feed(split(rng, arrivals))
        assert worker.view() == expected, f"seed {seed}"
        sound(worker.history)
        once = {id for id, times in Counter(e.id for e in arrivals).items() if times == 1}
        assert not worker.late & once, f"seed {seed}"
        before = len(worker.history)
        worker.feed(split(rng, arrivals))
        assert worker.history[before:] == [], f"seed {seed}: a replay changed something"
        seen.update(f"severity {f.severity_id}" for f in worker.settled())
        seen.update(f.status for f in worker.history)
        seen["horizon"] += max(e.time for e in events) - events[0].time > chosen.horizon_s * 1000
        seen["suspect"] += any(f.suspect for f in worker.settled())
    # The sets reach what they are for.
    assert seen["horizon"] > SETS / 10
    assert min(seen["open"], seen["superseded"], seen["suspect"], seen["severity 2"]) > SETS / 40
    assert seen["severity 3"] + seen["severity 4"] > SETS / 4
    assert seen["withdrawn"] == 0


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, derandomize=True, database=None)
@given(data=st.data())
def test_small_sets(name: str, data: st.DataObject) -> None:
    """As above, with hypothesis choosing, so that what fails is small."""
    detector, reference = load(name)
    rng = data.draw(st.randoms(use_true_random=False))
    small = {"gap_s": 60, "window_s": 30, "threshold": 3, "horizon_s": 600}
    chosen = set_to(detector, small | reference.NUMBERS)
    drawn = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(reference.EVENTS),
                st.sampled_from((0, 1, 10_000, 30_000, 30_001, 60_000, 60_001, 600_000, 2_000_000)),
            ),
            max_size=12,
        )
    )
    # As long after 1970 as nothing joins what has no time, which stands at 0.
    events, time = [], 10**9
    for number, (fields, pause) in enumerate(drawn):
        time += pause
        where = {"actor": "User:alice", "address": "192.0.2.7"}
        events.append(event(number, time, **where | dict(fields)))
    arrivals = shuffled(rng, events, chosen.horizon_s)
    worker = Worker([(detector, chosen)]).feed(split(rng, arrivals))
    assert worker.view() == reference.reference(events, chosen)
    sound(worker.history)


@pytest.mark.parametrize("name", NAMES)
def test_several_detectors_do_not_mix(name: str) -> None:
    """All at work on one stream give what each gives alone."""
    loaded = {other: load(other) for other in NAMES}
    rng = random.Random(name)
    active = [(d, numbers(rng, d, r)) for d, r in loaded.values()]
    horizon = min(s.horizon_s for _, s in active)
    kinds = [fields for _, r in loaded.values() for fields in r.EVENTS]
    for _ in range(20):
        events = a_set(rng, loaded[name][0].settings(horizon_s=horizon), kinds, 80)
        arrivals = shuffled(rng, events, horizon)
        worker = Worker(active).feed(split(rng, arrivals))
        expected: View = {}
        for (_, reference), (_, chosen) in zip(loaded.values(), active, strict=True):
            expected |= reference.reference(events, chosen)
        assert worker.view() == expected


@pytest.mark.parametrize("name", NAMES)
def test_what_two_kept_of_a_key_becomes_one(name: str) -> None:
    """As where a topic of counters was grown in place, and parted a key's events."""
    detector, reference = load(name)
    retired: Counter[str] = Counter()
    for seed in range(SETS // 2):
        rng = random.Random(f"parted {name} {seed}")
        chosen = numbers(rng, detector, reference)
        events = a_set(rng, chosen, reference.EVENTS, rng.randint(1, 45))
        # What one of them has forgotten the other cannot bring back.
        events = [e for e in events if e.time - events[0].time <= chosen.horizon_s * 1000]
        arrivals = shuffled(rng, events, chosen.horizon_s)
        cut = rng.randint(0, len(arrivals))
        one, other = Worker([(detector, chosen)]), Worker([(detector, chosen)])
        for batch in split(rng, arrivals[:cut]):
            rng.choice((one, other)).take(batch)
        held_back = {piece.id for piece in _merged(one, other, chosen)}
        one.history += other.history
        one.take([e for e in arrivals[:cut] if e.id.hex() in held_back])
        one.feed(split(rng, arrivals[cut:]))
        assert one.view() == reference.reference(events, chosen), f"seed {seed}"
        sound(one.history)
        retired.update(f.status for f in one.history)
    assert retired["superseded"] > SETS / 100


def _merged(one: Worker, other: Worker, chosen: EpisodeSettings) -> Iterator[Evidence]:
    """Give `one` what `other` kept; what was held back of it."""
    [(detector, _)] = one.active
    for key, kept in other.states.items():
        state = orjson.loads(one.states.get(key, b"{}"))
        merge(detector, chosen, state, orjson.loads(kept))
        newest = hold_back(state)
        one.states[key] = orjson.dumps(state, default=list)
        if newest is not None:
            yield newest
