"""A worker as the runtimes are one: batches in, findings out, each key's state kept as bytes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from detectors.contract import Detector, EpisodeSettings
from pipeline.stages.detect import Key, detect
from schemas.types import Event, Finding
from schemas.vocabulary import SEVERITY_NAMES
from tests.references import View

T0 = 1_764_000_000_000
"""Where tests begin, epoch milliseconds."""


def event(number: int, time: int, **fields: Any) -> Event:
    """An event with an id as real ones have it: its time, then what tells it from others.

    Args:
        number: 0 to 2**80 - 1.
        time: epoch milliseconds; 0, as sources set it, where ``time_precision`` is unknown.
        fields: of :class:`schemas.types.Event`.
    """
    if fields.get("time_precision") == "unknown":
        time = 0
    given: dict[str, Any] = {
        "class_uid": 0, "activity_id": 0, "outcome": "", "source": "kafka_authorizer",
    }  # fmt: skip
    name = min(max(time, 0), 2**48 - 1).to_bytes(6, "big") + number.to_bytes(10, "big")
    return Event(time, id=name, **given | fields)


def stated(found: Finding) -> dict[str, Any]:
    """A finding as every example states it."""
    return {
        "key": found.key,
        "severity": SEVERITY_NAMES[found.severity_id],
        "count": found.count,
        "from": (found.first_time - T0) / 1000,
        "to": (found.last_time - T0) / 1000,
        "evidence": len(found.evidence),
    }


@dataclass
class Worker:
    """One worker with its detectors.

    Attributes:
        states: each key's state, as a store or a changelog keeps it.
        history: every version of every finding, in order.
        late: ids of events that came too late.
    """

    active: Sequence[tuple[Detector, EpisodeSettings]]
    states: dict[Key, bytes] = field(default_factory=dict)
    history: list[Finding] = field(default_factory=list)
    late: set[bytes] = field(default_factory=set)

    def take(self, batch: Sequence[Event]) -> list[Finding]:
        """Detect upon one batch; what is new."""
        held: dict[Key, dict[str, Any]] = {}

        def state_of(key: Key) -> dict[str, Any]:
            return held.setdefault(key, orjson.loads(self.states.get(key, b"{}")))

        detected = detect(self.active, batch, state_of)
        for key in detected.touched:
            self.states[key] = orjson.dumps(held[key], default=list)
        self.history += detected.findings
        self.late |= detected.late
        return detected.findings

    def feed(self, batches: Iterable[Sequence[Event]]) -> "Worker":
        """Take batch after batch."""
        for batch in batches:
            self.take(batch)
        return self

    def settled(self) -> list[Finding]:
        """The last version of each id, without those superseded and withdrawn."""
        last = {found.id: found for found in self.history}
        return [found for found in last.values() if found.status == "open"]

    def view(self) -> View:
        """The settled view as references give it."""
        return {
            f.id: (f.evidence, f.severity_id, f.first_time, f.last_time, f.status, f.count)
            for f in self.settled()
        }


def sound(history: Sequence[Finding]) -> None:
    """Assert what every history keeps to: versions without holes, and heirs that name whom they
    took the place of."""
    versions: dict[bytes, int] = {}
    ended: set[bytes] = set()
    for found in history:
        assert found.id not in ended, "a finding goes on after its end"
        assert found.version == versions.get(found.id, 0) + 1
        versions[found.id] = found.version
        if found.status != "open":
            ended.add(found.id)
    last = {found.id: found for found in history}
    named = {old for found in last.values() if found.status == "open" for old in found.supersedes}
    assert {f.id for f in last.values() if f.status == "superseded"} <= named
    for found in history:
        said = orjson.loads(found.ocsf)["auditstream"]
        assert said["version"] == found.version
        assert said["status"] == found.status
        assert said["supersedes"] == [old.hex() for old in found.supersedes]
