"""Tally: what a batch came to, for those who watch.

Counted by whoever works on the batch, told when its transaction has committed; of a batch that is
given up nothing is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from schemas.types import AccountOf, Event, Finding

_WHENCE, _TIME = attrgetter("source", "cluster"), attrgetter("time")


class Said(NamedTuple):
    """What versions of findings are counted by. ``first``: nothing was said of it before."""

    detector: str
    severity_id: int
    status: str
    first: bool


@dataclass(slots=True)
class Tally:
    """Figures of one batch.

    Attributes:
        account: of a batch of raw records.
        events: how many, by source and cluster.
        times: of its events, epoch milliseconds; 0: not known.
        findings: versions of findings.
        letters: dead letters by reason, those in `account` left out.
        state: by topic and partition, entries and bytes that are known of it behind the batch.
    """

    account: AccountOf | None = None
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    times: list[int] = field(default_factory=list)
    findings: Counter[Said] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    state: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def see(self, events: Iterable[Event]) -> None:
        """Count events. It may cost little: it is done to all there are."""
        self.events.update(map(_WHENCE, events))
        self.times.extend(map(_TIME, events))

    def say(self, finding: Finding, before: int = 0) -> None:
        """Count a version of a finding; `before` is the last that an earlier generation may have
        given."""
        first = finding.version == before + 1
        self.findings[Said(finding.detector, finding.severity_id, finding.status, first)] += 1

    def clear(self) -> None:
        """Begin anew: the batch is worked on once more."""
        self.account = None
        for counted in (self.events, self.times, self.findings, self.letters, self.state):
            counted.clear()
