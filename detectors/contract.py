"""What a detector is. See CONTRIBUTING.md, "A new detector". There are two shapes.

A *counter* says which events concern which key (*sightings*), and which reasons a run of evidence
can give to raise a finding. Everything else (order, repetition, late events, joining and amending
findings, forgetting) is :mod:`detectors.episodes`, the same for all.

An *estate* detector looks at all there is of a whole estate and says what of it is a finding
(*judgements*); what became of those it said before is :mod:`detectors.estates`, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schemas.support import Picture
from schemas.types import Event

STATE_CAP = 10_000
"""Evidence kept per key. Above it the oldest gives way: what comes late for it is turned away, a
count that may lack some is a lower bound and its finding says so, and a finding whose evidence is
all gone is amended no more."""


class Settings(BaseModel):
    """What can be set of every detector. One adds its own; all are configuration.

    ``[detectors.NAME]`` in the configuration file sets them; seconds are event time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(True, description="Whether the detector runs at all.")


class EpisodeSettings(Settings):
    """Numbers every counter has."""

    gap_s: int = Field(
        600,
        ge=1,
        le=86_400,
        description="Longest pause inside one episode, or window_s where that is longer.",
    )
    horizon_s: int = Field(
        86_400, ge=600, description="How far behind its key's newest event evidence may come."
    )

    @property
    def span_s(self) -> int:
        """The longest time that any reason looks across."""
        return self.gap_s


class WindowSettings(EpisodeSettings):
    """Numbers of a counter with :func:`crowded` or :func:`varied` among its reasons."""

    window_s: int = Field(300, ge=1, le=86_400, description="Length of the sliding window.")
    threshold: int = Field(
        10, ge=1, le=STATE_CAP, description="Deeds within one window that raise a finding."
    )

    @property
    def span_s(self) -> int:
        """The longest time that any reason looks across."""
        return max(self.gap_s, self.window_s)


class EstateSettings(Settings):
    """Numbers every estate detector has."""

    horizon_s: int = Field(
        35 * 86_400,
        ge=600,
        description="How far behind its estate's newest evidence may come, at the least. "
        "The embedded store forgets nothing.",
    )


class Sighting(NamedTuple):
    """One event as one key of a detector sees it.

    Attributes:
        key: what is grouped by, as ``name=value``.
        success: it is no evidence, but may raise the severity of what came before.
        tag: what distinctness is counted over, or empty.
        grave: enough by itself.
    """

    key: str
    success: bool = False
    tag: str = ""
    grave: bool = False


class Evidence(NamedTuple):
    """One event kept as evidence. ``id`` is hexadecimal, ``time`` epoch milliseconds."""

    time: int
    id: str
    weight: int
    suspect: bool
    tag: str
    grave: bool


Pieces = Sequence[Evidence]
"""In order of (time, id)."""


class Reason(NamedTuple):
    """One reason to raise a finding.

    Attributes:
        name: short, for the state.
        severity_id: of a finding it raises alone; of several reasons the gravest counts.
        title: in a few words, beginning in lower case.
        holds: whether evidence gives it, by the detector's settings; more evidence never takes it
            away.
    """

    name: str
    severity_id: int
    title: str
    holds: Callable[[Pieces, Any], bool]


class Attack(NamedTuple):
    """A MITRE ATT&CK technique, with its tactic; ``ATTACK_VERSION`` is the version of all."""

    technique: str
    name: str
    tactic: str
    tactic_name: str


@dataclass(frozen=True, slots=True)
class Detector:
    """What a counter's module states as its ``DETECTOR``.

    Attributes:
        name: the module's name, and ``finding_info.analytic.uid`` of its findings.
        title: one line for people.
        documentation: what it finds and why that matters.
        sight: sightings of one event; must not raise. Runs on every event: be quick to say (). Says
            the same whenever and on whatever host an event was, unless it is suspect or forged: of
            those in which nothing else differs it is shown one.
        deeds: what is counted, for people.
        reasons: why an episode raises a finding.
        settings: its numbers.
        shape: ``counter``: re-keyed by (detector, cluster, key).
        follow_s: how long after an episode's last evidence a success raises it one level; 0: never.
        attacks, triage, false_positives, blind_spots: for people.
    """

    name: str
    title: str
    documentation: str
    sight: Callable[[Event, Any], Iterable[Sighting]]
    deeds: str
    reasons: tuple[Reason, ...]
    settings: type[EpisodeSettings] = EpisodeSettings
    shape: Literal["counter"] = "counter"
    follow_s: int = 0
    attacks: tuple[Attack, ...] = ()
    triage: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()


class Judgement(NamedTuple):
    """One finding that the events amount to, as an estate detector sees it.

    Attributes:
        key: what it is about, as ``name=value``. Judgements of one key and one earliest piece of
            evidence are one finding.
        title: in a few words, beginning in upper case.
        message: in a sentence or two; no secret in it.
        evidence: ids of events, hexadecimal, in order of (time, id).
        first_time, last_time: of the evidence, epoch milliseconds.
        actor, address: whom it is about, or empty.
        suspect: it rests on nothing but what a client may have written.
        details: more of it, as JSON, by name; under ``auditstream`` in the finding's document.
    """

    key: str
    severity_id: int
    title: str
    message: str
    evidence: tuple[str, ...]
    first_time: int
    last_time: int
    actor: str = ""
    address: str = ""
    suspect: bool = False
    details: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class EstateDetector:
    """What an estate detector's module states as its ``DETECTOR``.

    Attributes:
        judge: what the picture of one estate amounts to, by the detector's settings. Must be
            pure, and must not raise.
        shape: ``estate``: one order over a whole estate.

    All else is as in :class:`Detector`.
    """

    name: str
    title: str
    documentation: str
    judge: Callable[[Picture, Any], Iterable[Judgement]]
    settings: type[EstateSettings] = EstateSettings
    shape: Literal["estate"] = "estate"
    attacks: tuple[Attack, ...] = ()
    triage: tuple[str, ...] = ()
    false_positives: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()


def grave(evidence: Pieces, _: Settings) -> bool:
    """Whether one piece of evidence is enough by itself."""
    return any(e.grave for e in evidence)


def crowded(evidence: Pieces, settings: WindowSettings) -> bool:
    """Whether some window, ends included, holds ``threshold`` deeds."""
    window_ms, held, start = settings.window_s * 1000, 0, 0
    for last in evidence:
        held += last.weight
        while last.time - evidence[start].time > window_ms:
            held -= evidence[start].weight
            start += 1
        if held >= settings.threshold:
            return True
    return False


def varied(evidence: Pieces, window_s: int, least: int) -> bool:
    """Whether some window of ``window_s`` seconds holds ``least`` different tags."""
    if len({e.tag for e in evidence}) < least:
        return False
    window_ms, start = window_s * 1000, 0
    held: dict[str, int] = {}
    for last in evidence:
        held[last.tag] = held.get(last.tag, 0) + 1
        while last.time - evidence[start].time > window_ms:
            tag = evidence[start].tag
            held[tag] -= 1
            if not held[tag]:
                del held[tag]
            start += 1
        if len(held) - ("" in held) >= least:
            return True
    return False
