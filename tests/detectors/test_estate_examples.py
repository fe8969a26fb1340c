"""Every estate detector's examples: changes that fire, and changes like them that stay silent.

``tests/examples/detectors/NAME/fires_*.json`` and ``silent_*.json`` are found by folder::

    {
      "why": "a grant on every topic opens wide",
      "settings": {},
      "changes": [
        {"at": 0, "kind": "acl", "action": "create", "target": "Topic:*",
         "item": "LITERAL|User:alice|*|READ|ALLOW", "actor": "User:admin"}
      ],
      "lifecycle": [],
      "findings": [
        {"key": "acl=Topic:* LITERAL|User:alice|*|READ|ALLOW", "severity": "High", "from": 0, "to": 0}
      ]
    }

``settings``
    those that are not the default; may be left out.
``changes``
    ``at``: seconds. ``outcome`` is ``success`` and ``timely`` true where they are left out. All else:
    fields of :class:`schemas.changes.Deed` and :class:`schemas.changes.Change`.
``lifecycle``
    may be left out. ``at``, and the fields of :class:`schemas.changes.Lifecycle`.
``findings``
    the settled view, by first time and key, as counters' examples have it; ``count`` and
    ``evidence`` are 1 where left out. ``title``: words that are in it.

Each is settled at once, and again with one change or line more each time, in several orders.
"""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from detectors.contract import EstateDetector
from detectors.estates import settle
from pipeline.registry import detectors
from schemas.changes import Change, Deed, LegId, Lifecycle
from schemas.types import Finding
from schemas.vocabulary import SEVERITY_NAMES
from tests.detectors.worker import T0

EXAMPLES = Path(__file__).parent.parent / "examples" / "detectors"
ESTATES = [name for name, d in detectors().items() if isinstance(d, EstateDetector)]
FILES = sorted(path for name in ESTATES for path in (EXAMPLES / name).glob("*.json"))


def name(time: int, number: int) -> str:
    """An event's id, hexadecimal, as real ones are: its time, then what tells it from others."""
    return f"{time:012x}{number:020x}"


def change(number: int, at: float, **fields: Any) -> Change:
    time = T0 + round(at * 1000)
    deed = Deed(**{key: fields.pop(key) for key in Deed._fields if key in fields})
    given: dict[str, Any] = {
        "cluster": "", "actor": "", "address": "", "outcome": "success", "confidence": "high",
        "missing": (),
    }  # fmt: skip
    legs = (LegId(name(time, number), "request"),)
    return Change(id=f"{number:032x}", time=time, deed=deed, legs=legs, **given | fields)


def life(number: int, at: float, **fields: Any) -> Lifecycle:
    time = T0 + round(at * 1000)
    given: dict[str, Any] = {"host": "broker-1", "kind": "Configure", "settings": {}, "message": ""}
    return Lifecycle(id=name(time, number), time=time, **given | fields)


def told(found: Finding, wanted: dict[str, Any]) -> dict[str, Any]:
    """A finding as the example states it."""
    said = orjson.loads(found.ocsf)
    assert said["severity_id"] == found.severity_id
    title = said["finding_info"]["title"]
    row = {
        "key": found.key,
        "severity": SEVERITY_NAMES[found.severity_id],
        "count": found.count,
        "from": (found.first_time - T0) / 1000,
        "to": (found.last_time - T0) / 1000,
        "evidence": len(found.evidence),
    }
    if "title" in wanted:
        row["title"] = wanted["title"] if wanted["title"] in title else title
    return row


def settled(
    detector: EstateDetector, settings: Any, changes: list[Change], lives: list[Lifecycle],
    last: dict[bytes, Finding],
) -> list[Finding]:  # fmt: skip
    """Judge once more; ``last`` has the last versions, and is kept."""
    changes = sorted(changes, key=lambda c: (c.time, c.id))
    lives = sorted(lives, key=lambda line: (line.time, line.id))
    new = settle(detector, "", detector.judge(changes, lives, settings), last.values())
    last.update((found.id, found) for found in new)
    return sorted(
        (found for found in last.values() if found.status == "open"),
        key=lambda f: (f.first_time, f.key),
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_example(path: Path) -> None:
    example = orjson.loads(path.read_bytes())
    assert set(example) - {"settings", "lifecycle"} == {"why", "changes", "findings"}
    fires = path.name.startswith("fires_")
    assert fires or path.name.startswith("silent_")
    assert fires == bool(example["findings"])
    detector = detectors()[path.parent.name]
    assert isinstance(detector, EstateDetector)
    settings = detector.settings(**example.get("settings", {}))
    everything: list[Change | Lifecycle] = [
        *(change(n, **row) for n, row in enumerate(example["changes"])),
        *(life(1000 + n, **row) for n, row in enumerate(example.get("lifecycle", ()))),
    ]
    expected = [{"count": 1, "evidence": 1, **row} for row in example["findings"]]
    for seed in range(4):
        arrivals = random.Random(seed).sample(everything, len(everything)) if seed else everything
        for steps in ([len(arrivals)], range(1, len(arrivals) + 1)):
            last: dict[bytes, Finding] = {}
            found: list[Finding] = []
            for size in steps:
                changes = [a for a in arrivals[:size] if isinstance(a, Change)]
                lives = [a for a in arrivals[:size] if isinstance(a, Lifecycle)]
                found = settled(detector, settings, changes, lives, last)
            assert len(found) == len(expected), example["why"]
            assert [told(*pair) for pair in zip(found, expected, strict=True)] == expected
