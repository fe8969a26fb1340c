"""Runs: evidence of one key, cut where the gap between two pieces is too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from detectors.contract import Pieces

MOST_EVIDENCE = 1_000
"""Ids that a finding lists."""

Reasons = frozenset[str]
"""Names of reasons that hold."""

Why = Callable[[Pieces], Reasons]


@dataclass(slots=True)
class Run:
    """One episode, or what is left of the forgotten part of one.

    Attributes:
        first: (time, id) of its earliest evidence.
        last: time of its latest evidence, epoch milliseconds.
        last_trusted: of its latest that is not suspect.
        total: deeds, by weight.
        ids: (time, id) of its evidence, the first 1,000.
        reasons: what all of it gives.
        trusted: what it gives without suspect events.
    """

    first: tuple[int, str]
    last: int
    last_trusted: int | None
    total: int
    ids: list[tuple[int, str]]
    reasons: Reasons
    trusted: Reasons

    @classmethod
    def of(cls, evidence: Pieces, gap_ms: int, why: Why) -> Run:
        """The run of a piece of evidence without long gaps."""
        reasons = trusted = why(evidence)
        last_trusted: int | None = evidence[-1].time
        if any(e.suspect for e in evidence):
            rest = [e for e in evidence if not e.suspect]
            trusted = Reasons().union(*(why(part) for part in split(rest, gap_ms)))
            last_trusted = rest[-1].time if rest else None
        return cls(
            first=evidence[0][:2],
            last=evidence[-1].time,
            last_trusted=last_trusted,
            total=sum(e.weight for e in evidence),
            ids=[e[:2] for e in evidence[:MOST_EVIDENCE]],
            reasons=reasons,
            trusted=trusted,
        )

    @classmethod
    def thawed(cls, said: Mapping[str, Any]) -> Run:
        """The run as JSON had it."""
        run = cls(**said)
        run.first = run.first[0], run.first[1]
        run.ids = [(time, id) for time, id in run.ids]
        run.reasons, run.trusted = Reasons(run.reasons), Reasons(run.trusted)
        return run

    def outline(self, gone: Pieces, outlines: Iterable[Run]) -> Run:
        """What is left of this run's evidence that is ``gone``, and of what went before."""
        out = Run.of(gone, 0, lambda _: Reasons())
        for outline in outlines:
            out = out.joined(outline)
        out.reasons, out.trusted = self.reasons, self.trusted
        return out

    def joined(self, other: Run) -> Run:
        """Both as one."""
        known = [t for t in (self.last_trusted, other.last_trusted) if t is not None]
        return Run(
            first=min(self.first, other.first),
            last=max(self.last, other.last),
            last_trusted=max(known, default=None),
            total=self.total + other.total,
            ids=sorted(self.ids + other.ids)[:MOST_EVIDENCE],
            reasons=self.reasons | other.reasons,
            trusted=self.trusted | other.trusted,
        )


def split(evidence: Pieces, gap_ms: int) -> list[Pieces]:
    """Maximal parts with gaps of at most ``gap_ms``; ``evidence`` is sorted."""
    cuts = [0]
    before = evidence[0].time if evidence else 0
    for place, piece in enumerate(evidence):
        if piece.time - before > gap_ms:
            cuts.append(place)
        before = piece.time
    ends = [*cuts[1:], len(evidence)]
    return [evidence[i:j] for i, j in zip(cuts, ends, strict=True) if j > i]


def join(runs: Iterable[Run], gap_ms: int) -> list[Run]:
    """Runs that overlap, or lie no more than ``gap_ms`` apart, as one."""
    out: list[Run] = []
    for run in sorted(runs, key=lambda r: r.first):
        if out and run.first[0] - out[-1].last <= gap_ms:
            out[-1] = out[-1].joined(run)
        else:
            out.append(run)
    return out
