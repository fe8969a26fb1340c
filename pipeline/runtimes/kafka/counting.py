"""Count: observations of counters, re-keyed, to findings.

What is known of a partition is the position behind it and the state of each key, which is sent in
the same transaction as the findings it led to. An observation that comes twice changes nothing: a
key's state knows events by their ids (:mod:`detectors.episodes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import orjson

from detectors.episodes import KeyState
from pipeline.runtimes.kafka.foreign import foreign
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.remembered import Remembered
from pipeline.runtimes.kafka.states import PARTITION, States
from pipeline.runtimes.kafka.transport import Batch
from pipeline.stages.detect import Active, Key, count, key_name, observed
from pipeline.streaming import Streaming
from schemas.types import Finding, Observation
from schemas.wire import Decode, Encode, Undecodable

MOST_KEYS = 200_000
"""Of a partition, that are remembered; the one longest unseen is forgotten first. Evidence of one
that comes after that is a new episode."""
_VERSIONS = 1_000_000
"""That one generation may give a finding."""


class CountedPartition:
    """What is known of one partition of observations, from assignment to revocation.

    Args:
        kept: what `States.load` gave.
    """

    def __init__(self, kept: Mapping[bytes, bytes]) -> None:
        self.position: int = orjson.loads(kept.get(PARTITION, b"{}")).get("position", 0)
        self.keys: Remembered[KeyState] = Remembered(kept, orjson.loads, frozen, MOST_KEYS)

    def state_of(self, key: Key) -> KeyState:
        """The state of a key, to be changed in place."""
        return self.keys.of(key_name(key), dict)


def frozen(state: KeyState) -> bytes:
    """A key's state as it is kept."""
    return orjson.dumps(state, default=list)


class Counting:
    """The work of role `detect` upon observations, for all partitions.

    Args:
        generation: of the topic of counters, from 1. Versions of findings go on above those that
            an earlier one can have given, also where it forgot that it did.
    """

    def __init__(
        self,
        active: Active,
        streaming: Streaming,
        states: States,
        encode: Mapping[str, Encode],
        decode: Decode,
        generation: int = 1,
    ) -> None:
        self._above = (generation - 1) * _VERSIONS
        self._active, self._states = active, states
        self._encode, self._decode = encode, decode
        self._findings = streaming.topic("findings")
        self._dead_letters = streaming.topic("dead-letters")

    def work(self, part: CountedPartition, batch: Batch) -> Iterator[Outgoing]:
        """All that a batch leads to; `part` is then as it stands behind the batch."""
        if batch.end <= part.position:
            return
        seen: list[Observation] = []
        for record in batch.records:
            if record.offset < part.position:
                continue
            try:
                seen.append(Observation(**self._decode(record.value or b"")))
            except Undecodable as error:
                letter = foreign(record, str(error))
                batch.tally.letters[letter.reason] += 1
                yield Outgoing(self._dead_letters, self._encode["dead_letter"](letter), letter.id)
        for finding in count(self._active, observed(seen), part.state_of).findings:
            if self._above:
                _raise_version(finding, self._above)
            batch.tally.say(finding, self._above)
            yield Outgoing(self._findings, self._encode["finding"](finding), finding.id)
        part.position = batch.end
        for name, _ in part.keys.superfluous():
            yield self._states.record(batch.topic, batch.partition, name, None)
        for name, state in part.keys.freeze():
            yield self._states.record(batch.topic, batch.partition, name, state)
        behind = orjson.dumps({"position": part.position})
        yield self._states.record(batch.topic, batch.partition, PARTITION, behind)
        batch.tally.state[batch.topic, batch.partition] = part.keys.size


def _raise_version(finding: Finding, above: int) -> None:
    finding.version += above
    document = orjson.loads(finding.ocsf)
    document["auditstream"]["version"] = finding.version
    finding.ocsf = orjson.dumps(document)
