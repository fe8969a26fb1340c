"""Every counter's examples: what fires, and what looks like it and stays silent.

``tests/examples/detectors/NAME/fires_*.json`` and ``silent_*.json`` are found by folder. One holds a
sequence of events on one side of a number, and what the detector is to settle on::

    {
      "why": "ten failures within 300 s, both ends included, are enough",
      "numbers": {"threshold": 10},
      "events": [
        {"at": 0, "times": 9, "every": 30, "class": "Authentication", "outcome": "failure",
         "address": "192.0.2.7"},
        {"at": 300, "class": "Authentication", "outcome": "failure", "address": "192.0.2.7"}
      ],
      "findings": [
        {"key": "address=192.0.2.7", "severity": "Medium", "count": 10, "from": 0, "to": 300}
      ]
    }

``why``
    what the example shows, in a sentence.
``numbers``
    settings that are not the default; may be left out.
``events``
    ``at``: seconds, to the millisecond. ``times`` and ``every``: so many of them, so many seconds
    apart; ``{n}`` in a text is then the number, from 0. ``class``: the OCSF class. All else: fields
    of :class:`schemas.types.Event`, with its defaults.
``findings``
    the settled view, by first time, cluster and key: severity in OCSF's words, count by weight,
    first and last time in seconds.
    ``evidence``: how many ids it lists (as many as it counts, where left out). ``suspect`` and
    ``cluster`` where they are not false and empty. Empty for ``silent_*``.

Each is run forwards, backwards and shuffled, event by event and all at once, and held against the
reference. So it spans no more than the detector's horizon (24 hours). Estate detectors' examples,
in the same folders, are of changes: ``test_estate_examples.py``.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.config import Config
from schemas.types import Carriage, Event, Finding
from schemas.vocabulary import CLASS_NAMES
from tests.detectors.random_sets import NAMES, load
from tests.detectors.worker import T0, Worker, event, sound, stated

EXAMPLES = Path(__file__).parent.parent / "examples" / "detectors"
FILES = sorted(path for name in NAMES for path in (EXAMPLES / name).glob("*.json"))
CLASSES = {words: number for number, words in CLASS_NAMES.items()}


def events_of(example: dict[str, Any]) -> list[Event]:
    out: list[Event] = []
    for row in example["events"]:
        fields = {
            name: value for name, value in row.items() if name not in ("at", "times", "every")
        }
        fields["class_uid"] = CLASSES[fields.pop("class")]
        for number in range(row.get("times", 1)):
            told = {
                name: value.replace("{n}", str(number)) if isinstance(value, str) else value
                for name, value in fields.items()
            }
            time = T0 + round((row["at"] + number * row.get("every", 0)) * 1000)
            out.append(event(len(out), time, **told))
    return out


def told(found: Finding) -> dict[str, Any]:
    """A finding as examples state it."""
    extra = {"suspect": found.suspect, "cluster": found.cluster}
    return stated(found) | {name: value for name, value in extra.items() if value}


def orders(events: Sequence[Event]) -> list[list[Event]]:
    """Forwards, backwards, and three times shuffled."""
    rng = random.Random(0)
    shuffled = [rng.sample(events, len(events)) for _ in range(3)]
    return [list(events), list(reversed(events)), *shuffled]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_example(path: Path) -> None:
    example = orjson.loads(path.read_bytes())
    assert set(example) - {"numbers"} == {"why", "events", "findings"}
    fires = path.name.startswith("fires_")
    assert fires or path.name.startswith("silent_")
    assert fires == bool(example["findings"])
    detector, reference = load(path.parent.name)
    settings = detector.settings(**example.get("numbers", {}))
    events = events_of(example)
    expected = [{"evidence": row["count"], **row} for row in example["findings"]]
    for arrivals in orders(events):
        for batches in ([arrivals], [[e] for e in arrivals]):
            worker = Worker([(detector, settings)]).feed(batches)
            found = sorted(worker.settled(), key=lambda f: (f.first_time, f.cluster, f.key))
            assert [told(f) for f in found] == expected, example["why"]
            assert worker.view() == reference.reference(events, settings)
            sound(worker.history)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_seen_in_an_event_hangs_on_no_time_and_no_place(path: Path) -> None:
    # Of events that say the same the stream shows a detector one (`stages/detect.py`, `Sighter`).
    detector, _ = load(path.parent.name)
    config = Config.model_validate({"own": [{"role": "ingest", "networks": ["192.0.2.0/24"]}]})
    [settings] = [numbers for one, numbers in config.active() if one.name == detector.name]
    elsewhere = {"id": bytes(16), "ocsf": b"", "raw": b"", "carriage": Carriage("other.log", 7)}
    for seen in events_of(orjson.loads(path.read_bytes())):
        if seen.suspect or seen.forgery:
            continue
        other = replace(seen, time=seen.time + 40_000_000, host="elsewhere", **elsewhere)  # type: ignore[arg-type]
        assert list(detector.sight(other, settings)) == list(detector.sight(seen, settings))
