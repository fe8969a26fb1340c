"""Notices: what the stream says of itself, as findings that are open until they are over.

They rest on clocks, and on no events: so they have a ``metadata.log_name`` of their own, and stand
outside what must be the same however the same events are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from pipeline.stages.identify import digest, timed
from schemas.findings import document
from schemas.types import Finding
from schemas.vocabulary import FindingStatus, Severity

_HASHED_BYTES: Final = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of notice: what all of its findings say.

    Attributes:
        name: ``analytic.uid``, and behind ``auditstream.`` the ``metadata.log_name``.
        title: the kind in a line.
        attacks: as :func:`schemas.findings.document` takes them.
        triage: what to do, step by step.
    """

    name: str
    title: str
    severity_id: int
    attacks: tuple[tuple[str, ...], ...]
    triage: tuple[str, ...]

    @property
    def log_name(self) -> str:
        """``metadata.log_name`` of its findings."""
        return f"auditstream.{self.name}"


SILENCE: Final = Kind(
    "silence",
    "A source fell silent",
    Severity.MEDIUM,
    (("T1562", "Impair Defenses", "TA0005", "Defense Evasion"),),
    (
        "See whether its shipper runs, and reaches the brokers.",
        "See whether what it ships is still written: who attacks may turn the logging off first.",
        "See who changed what before the silence: `auditstream changes`.",
        "If it may be silent for so long, give it an entry of its own in [[silence]].",
    ),
)
LAG: Final = Kind(
    "lag",
    "What waits to be read nears the end of its retention",
    Severity.HIGH,
    (),
    (
        "Raise the topic's retention.ms (retention.bytes) now: what is deleted unread is lost.",
        "See what the workers of the group wait for: /ready, and their logs.",
        "Add workers where they wait for nothing.",
    ),
)
KINDS: Final = (SILENCE, LAG)
LOG_NAMES: Final = frozenset(kind.log_name for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of something.

    Attributes:
        cluster: label of the cluster, or empty: it is of none.
        key: what it is about, as ``topic=audit.raw.auto``.
        first, last: since when and up to when, epoch milliseconds.
        count: how much there is of it.
        title: what happened, in a few words.
        message: what happened, in a sentence or two.
        details: more, in JSON.
    """

    cluster: str
    key: str
    first: int
    last: int
    count: int
    title: str
    message: str
    details: Mapping[str, Any]


class Notice(NamedTuple):
    """A version of a finding that is to be said. `kept`: it is to be known later on, too."""

    name: bytes
    finding: Finding
    kept: bool


def name_of(kind: Kind, *about: str) -> bytes:
    """What the last version said is kept under."""
    return "\0".join((kind.name, *about)).encode()


def opened(kind: Kind, told: Told, before: Finding | None = None) -> Finding:
    """A finding; `before`: its last version, where it is raised again.

    The id is of kind, cluster, key and beginning: the same, whichever worker says it.
    """
    about = (kind.log_name, told.cluster, told.key, str(told.first))
    hashed = digest(_HASHED_BYTES, [part.encode() for part in about])
    name = before.id if before else timed(told.first, hashed)
    return _version(kind, told, name, FindingStatus.OPEN, before.version + 1 if before else 1)


def over(kind: Kind, told: Told, before: Finding, status: FindingStatus) -> Finding:
    """The last version of what is over (`CLOSED`), or was nothing after all (`WITHDRAWN`)."""
    told = replace(told, first=before.first_time, count=before.count)
    return _version(kind, told, before.id, status, before.version + 1)


def _version(kind: Kind, told: Told, name: bytes, status: FindingStatus, version: int) -> Finding:
    found = Finding(
        id=name,
        version=version,
        status=status.value,
        detector=kind.name,
        key=told.key,
        cluster=told.cluster,
        severity_id=kind.severity_id,
        first_time=told.first,
        last_time=max(told.first, told.last),
        count=told.count,
        lower_bound=False,
        suspect=False,
        actor="",
        address="",
        evidence=(),
        supersedes=(),
    )
    found.ocsf = document(
        found,
        title=told.title,
        message=told.message,
        analytic=kind.title,
        attacks=kind.attacks,
        triage=kind.triage,
        details={kind.name: dict(told.details)},
        log_name=kind.log_name,
    )
    return found


def span(ms: int) -> str:
    """A length of time in words: ``40 s``, ``12 min``, ``3.5 h``, ``6.2 days``."""
    seconds = ms / 1000
    for unit, size, most in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < most:
            return f"{round(seconds / size, 1 if unit == 'h' else None):g} {unit}"
    return f"{seconds / 86_400:.1f} days"
