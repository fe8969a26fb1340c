"""A client wrote line breaks, or the log's own wording, into the broker's log.

Names that clients choose (group ids, topics) are written to the log as they are. With a line break
in one, a client without any right can write whole lines that look like the broker's: an
administrator's deed that never was, or noise to hide in. Nobody does this by accident.
"""

from detectors import contract as c
from schemas.types import Event
from schemas.vocabulary import Severity


def _sight(event: Event, _: c.Settings) -> tuple[c.Sighting, ...]:
    if not event.forgery:
        return ()
    who = f"address={event.address}" if event.address else f"host={event.host}"
    return (c.Sighting(f"principal={event.actor}" if event.actor else who, grave=True),)


DETECTOR = c.Detector(
    name="log_forgery",
    title="A client wrote line breaks or the log's wording into the log",
    documentation=__doc__,
    sight=_sight,
    deeds="records broken or imitated",
    reasons=(c.Reason("forgery", Severity.HIGH, "a client wrote into the broker's log", c.grave),),
    attacks=(
        c.Attack("T1565.001", "Stored Data Manipulation", "TA0040", "Impact"),
        c.Attack("T1070", "Indicator Removal", "TA0005", "Defense Evasion"),
    ),
    triage=(
        "Read the raw log around the evidence. A head without its end is real.",
        "What follows such a head, up to the next real line, is the client's own text.",
        "Events in the next 32 KiB are marked suspect: believe none until the request log does.",
        "Put the layout of `auditstream broker-logging` on the broker: it cannot be broken.",
        "Revoke the principal's credential; find out who holds it.",
    ),
    false_positives=(
        "A broker killed while it wrote, with no start line behind it in the same file.",
        "A shipper that cuts long lines without saying so.",
    ),
    blind_spots=(
        "A client that ends the head it breaks and swallows the real end in a line of its own.",
    ),
)
