"""A client wrote line breaks, or the log's own wording, into the broker's log.

Names that clients choose (group ids, topics) are written to the log as they are. With a line break
in one, a client without any right can write whole lines that look like the broker's: an
administrator's deed that never was, or noise to hide in. Nobody does this by accident.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from detectors.contract import (
    Attack, Detector, Episode, Evidence, Reasons, Settings, Sighting, Verdict,
)  # fmt: skip
from schemas.types import Event
from schemas.vocabulary import Severity


def sight(event: Event, _: Settings) -> Iterable[Sighting]:
    """Events that show it themselves, by principal, else by address."""
    if event.forgery:
        who = f"principal={event.actor}" if event.actor else f"address={event.address}"
        yield Sighting(who, grave=True)


def reasons(evidence: Sequence[Evidence], _: Settings) -> Reasons:
    """Every one is enough."""
    return frozenset(("forgery",)) if evidence else frozenset()


def judge(episode: Episode, _: Settings) -> Verdict:
    """High, however often."""
    who = episode.key.replace("=", " ", 1)
    return Verdict(
        Severity.HIGH,
        "A client wrote into the broker's log",
        f"{episode.count} records that {who} broke or imitated. Events in the 32 KiB behind each "
        "are marked suspect.",
    )


DETECTOR = Detector(
    name="log_forgery",
    title="A client wrote line breaks or the log's wording into the log",
    documentation=__doc__,
    sight=sight,
    reasons=reasons,
    judge=judge,
    attacks=(
        Attack("T1565.001", "Stored Data Manipulation", "TA0040", "Impact"),
        Attack("T1070", "Indicator Removal", "TA0005", "Defense Evasion"),
    ),
    triage=(
        "Read the raw log around the evidence: the head without its end is real, what follows it "
        "up to the next real line is the client's text.",
        "Believe nothing marked suspect until the request log confirms it.",
        "Put the layout of `auditstream broker-logging` on the broker: it cannot be broken.",
        "Revoke the principal's credential; find out who holds it.",
    ),
    false_positives=(
        "A broker killed while it wrote, with no start line behind it in the same file.",
        "A shipper that cuts long lines without saying so.",
    ),
    blind_spots=(
        "A client that completes the head it breaks and lets its own last line swallow the real "
        "end leaves no trace in the text.",
    ),
)
