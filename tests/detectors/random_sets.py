"""Random sets of events near the edges of a detector's numbers, and random ways to deliver them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from detectors.contract import Detector, EpisodeSettings, WindowSettings
from schemas.types import Event
from tests.detectors.worker import T0, event
from tests.references import Fields

EARLY = 10**9
"""A clock of January 1970; so far behind 0 that nothing joins what has no time, which stands there."""

REFERENCES = Path(__file__).parent.parent / "references"
NAMES = sorted(p.stem for p in REFERENCES.glob("*.py") if not p.stem.startswith("_"))

_SMALL = {"gap_s": 60, "window_s": 30, "threshold": 4, "horizon_s": 3600}
_ACTORS = ("User:alice", "User:alice", "User:alice", "User:bob", "User:ANONYMOUS", "")
_ADDRESSES = ("192.0.2.7", "192.0.2.7", "2001:db8::7", "")


def load(name: str) -> tuple[Detector, ModuleType]:
    """A detector and its reference."""
    module = import_module(f"detectors.{name}")
    return module.DETECTOR, import_module(f"tests.references.{name}")


def numbers(rng: random.Random, detector: Detector, reference: ModuleType) -> EpisodeSettings:
    """Settings whose numbers small sets cross, or the defaults."""
    if rng.random() < 0.2:
        return detector.settings()
    small = _SMALL | reference.NUMBERS
    if rng.random() < 0.3:
        # A window longer than the gap: what it holds is one episode.
        small |= {"window_s": 90}
    if rng.random() < 0.3:
        small |= {"horizon_s": 600}
    return set_to(detector, small)


def set_to(detector: Detector, wanted: Mapping[str, Any]) -> EpisodeSettings:
    """A detector's settings: of these numbers those that it has."""
    fields = detector.settings.model_fields
    return detector.settings(**{name: n for name, n in wanted.items() if name in fields})


def steps(settings: EpisodeSettings) -> list[int]:
    """Pauses in milliseconds, most of them short, around every number there is."""
    window_s = settings.window_s if isinstance(settings, WindowSettings) else settings.gap_s // 2
    edges = [window_s, settings.gap_s, 1800]
    near = [s * 1000 + d for s in edges for d in (-1, 0, 1)]
    brisk = [window_s * 1000 // n for n in (2, 3, 4, 5, 8, 10)]
    far = [settings.horizon_s * 1000 * n // 4 for n in (1, 2, 4, 5)]
    return [0, 1, *brisk * 5, *near, *far, settings.horizon_s * 4000]


def a_set(
    rng: random.Random, settings: EpisodeSettings, kinds: Sequence[Fields], size: int
) -> list[Event]:
    """Events of one or two keys, clustered in time."""
    pauses = steps(settings)
    clusters = ("",) if rng.random() < 0.8 else ("", "east")
    time = rng.choice((EARLY, T0))
    favourites = rng.sample(range(len(kinds)), min(3, len(kinds)))
    out = []
    for _ in range(size):
        time += rng.choice(pauses)
        kind = rng.choice(favourites) if rng.random() < 0.6 else rng.randrange(len(kinds))
        fields: dict[str, Any] = {
            "actor": rng.choice(_ACTORS),
            "address": rng.choice(_ADDRESSES),
            "cluster": rng.choice(clusters),
        }
        out.append(event(rng.getrandbits(80), time, **fields | dict(kinds[kind])))
    return out


def shuffled(rng: random.Random, events: Sequence[Event], horizon_s: int) -> list[Event]:
    """A random order in which none comes after one that is newer by more than the horizon.

    Undated events, which have no place in time, come anywhere.
    """
    dated = sorted((e for e in events if e.time_precision != "unknown"), key=lambda e: e.time)
    out: list[Event] = []
    while dated:
        limit = dated[0].time + horizon_s * 1000
        if rng.random() < 0.2:
            limit = dated[0].time
        out.append(dated.pop(rng.randrange(sum(e.time <= limit for e in dated))))
    for undated in (e for e in events if e.time_precision == "unknown"):
        out.insert(rng.randint(0, len(out)), undated)
    return out


def repeated(rng: random.Random, events: Sequence[Event]) -> list[Event]:
    """Some of them again, some time after they came first."""
    out = list(events)
    for place in sorted(rng.sample(range(len(out)), len(out) // 5), reverse=True):
        out.insert(rng.randint(place + 1, len(out)), out[place])
    return out


def split(rng: random.Random, events: Sequence[Event]) -> Iterator[list[Event]]:
    """Batches of random sizes, of one event up to all."""
    largest = rng.choice((1, 4, 16, len(events) + 1))
    place = 0
    while place < len(events):
        size = rng.randint(1, largest)
        yield list(events[place : place + size])
        place += size
