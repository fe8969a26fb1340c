"""Every estate detector's examples: what fires, and what is like it and stays silent.

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
    ``at``, and the fields of :class:`schemas.changes.Lifecycle`.
``records``
    ``at``, and the fields of :class:`schemas.support.SupportRecord`; ``window`` is
    ``{"from": 0, "to": 3600}`` in seconds, ``scope`` and ``action`` objects as in the schema.
    Without an ``id``, it is one of its own.
``activity``
    ``at``, and the fields of :class:`schemas.support.Activity`.
``newest``
    of the estate's events, in seconds: something else happened then. Where it is left out, the
    latest of all that the example has.
``findings``
    the settled view, by first time and key, as counters' examples have it; ``count`` and
    ``evidence`` are 1 where left out. ``title``: words that are in it. ``violations``: how many
    pieces of evidence each of those that the document names has. ``suspect``: where it is stated.

At least one of the first four is there. Each is settled at once, and again with one piece more each
time, in several orders.
"""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from detectors.contract import EstateDetector
from detectors.estates import settle
from pipeline.registry import detectors
from schemas.changes import Change, Deed, LegId, Lifecycle
from schemas.support import Action, Activity, Picture, Scope, SupportRecord, Window
from schemas.types import Finding
from tests.detectors.worker import T0, stated

EXAMPLES = Path(__file__).parent.parent / "examples" / "detectors"
ESTATES = [name for name, d in detectors().items() if isinstance(d, EstateDetector)]
FILES = sorted(path for name in ESTATES for path in (EXAMPLES / name).glob("*.json"))
PARTS = {"changes", "lifecycle", "records", "activity"}

Piece = Change | Lifecycle | SupportRecord | Activity


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


def record(number: int, at: float, **fields: Any) -> SupportRecord:
    time = T0 + round(at * 1000)
    given: dict[str, Any] = {"id": f"r{number}", "addresses": tuple(fields.pop("addresses", ()))}
    if "window" in fields:
        stated = fields.pop("window")
        given["window"] = Window(*(T0 + round(stated[end] * 1000) for end in ("from", "to")))
    if "scope" in fields:
        given["scope"] = tuple(
            Scope(row["resource_type"], row["resource"], tuple(row.get("operations", ())))
            for row in fields.pop("scope")
        )
    if "action" in fields:
        given["action"] = Action(**fields.pop("action"))
    return SupportRecord(name(time, number), time, **given | fields)


def activity(number: int, at: float, **fields: Any) -> Activity:
    time = T0 + round(at * 1000)
    return Activity(name(time, number), time, **fields)


def pieces(example: dict[str, Any]) -> list[Piece]:
    """All that an example has, part by part."""
    return [
        *(change(n, **row) for n, row in enumerate(example.get("changes", ()))),
        *(life(1000 + n, **row) for n, row in enumerate(example.get("lifecycle", ()))),
        *(record(2000 + n, **row) for n, row in enumerate(example.get("records", ()))),
        *(activity(3000 + n, **row) for n, row in enumerate(example.get("activity", ()))),
    ]


def picture(held: Iterable[Piece], newest: float | None = None) -> Picture:
    """What is held of one estate, in order.

    Args:
        newest: in seconds, as in an example.
    """
    ordered = sorted(held, key=lambda one: (one.time, event_id(one)))
    latest = ordered[-1].time if ordered else 0
    return Picture(
        [one for one in ordered if isinstance(one, Change)],
        [one for one in ordered if isinstance(one, Lifecycle)],
        [one for one in ordered if isinstance(one, SupportRecord)],
        [one for one in ordered if isinstance(one, Activity)],
        latest if newest is None else T0 + round(newest * 1000),
    )


def event_id(one: Piece) -> str:
    return one.event if isinstance(one, SupportRecord | Activity) else one.id


def told(found: Finding, wanted: dict[str, Any]) -> dict[str, Any]:
    """A finding as the example states it."""
    said = orjson.loads(found.ocsf)
    assert said["severity_id"] == found.severity_id
    title = said["finding_info"]["title"]
    row = stated(found)
    if "title" in wanted:
        row["title"] = wanted["title"] if wanted["title"] in title else title
    if "violations" in wanted:
        told_of = said["auditstream"]["violations"]
        row["violations"] = {one["name"]: len(one["evidence"]) for one in told_of}
    if "suspect" in wanted:
        row["suspect"] = found.suspect
    return row


def settled(
    detector: EstateDetector, settings: Any, seen: Picture, last: dict[bytes, Finding]
) -> list[Finding]:
    """Judge once more; ``last`` has the last versions, and is kept."""
    new = settle(detector, "", detector.judge(seen, settings), last.values())
    last.update((found.id, found) for found in new)
    return sorted(
        (found for found in last.values() if found.status == "open"),
        key=lambda f: (f.first_time, f.key),
    )


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_example(path: Path) -> None:
    example = orjson.loads(path.read_bytes())
    assert set(example) <= {"settings", "why", "findings", "newest", *PARTS}
    assert {"why", "findings"} < set(example)
    fires = path.name.startswith("fires_")
    assert fires or path.name.startswith("silent_")
    assert fires == bool(example["findings"])
    detector = detectors()[path.parent.name]
    assert isinstance(detector, EstateDetector)
    settings = detector.settings(**example.get("settings", {}))
    everything = pieces(example)
    assert everything
    expected = [{"count": 1, "evidence": 1, **row} for row in example["findings"]]
    for seed in range(4):
        arrivals = random.Random(seed).sample(everything, len(everything)) if seed else everything
        for steps in ([len(arrivals)], range(1, len(arrivals) + 1)):
            last: dict[bytes, Finding] = {}
            found: list[Finding] = []
            for size in steps:
                seen = picture(arrivals[:size], example.get("newest"))
                found = settled(detector, settings, seen, last)
            assert len(found) == len(expected), example["why"]
            assert [told(*pair) for pair in zip(found, expected, strict=True)] == expected
