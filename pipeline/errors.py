"""What can go wrong, as a tree.

::

    AuditstreamError              has a message that says what happened, where, and what to do
    ├── ArgumentError             wrong arguments or filter values: exit status 2
    └── UnusableError             an input or a store cannot be used: exit status 1
        ├── ConfigError           a configuration that cannot be read or means nothing
        ├── InputError            a file, folder or stream that cannot be read
        ├── StoreError            a store that cannot be opened, is another release's, or is full
        ├── ClusterError          brokers that cannot be reached, or topics that are not fit
        ├── RegistryError         a schema registry that cannot be asked, or lacks our schemas
        ├── StreamError           a batch that could not be carried through: it is done again
        └── LabError              the lab lacks something, or a server of its own did not start
    Unreadable                    one line its source cannot read: becomes a dead letter

``Unreadable`` never leaves the engine. Nothing else is raised on account of what a record holds.
"""

from __future__ import annotations

from enum import StrEnum


class AuditstreamError(Exception):
    """Base of what this package raises on purpose. ``str()`` of it is fit for a person."""

    exit_status = 1


class ArgumentError(AuditstreamError):
    """An argument or a filter value that cannot be meant."""

    exit_status = 2


class UnusableError(AuditstreamError):
    """Something outside that the run needs and cannot use."""


class ConfigError(UnusableError):
    """A configuration that cannot be read, or whose values contradict each other."""


class InputError(UnusableError):
    """An input that cannot be read."""


class StoreError(UnusableError):
    """A store that cannot be opened, written or understood."""


class StreamError(UnusableError):
    """A batch could not be carried through. Nobody sees any of it; it is done again."""


class LabError(UnusableError):
    """The lab lacks a part, or something of its own does not do what it should."""


class Reason(StrEnum):
    """Why a record is a dead letter. The list is closed: queries and replays go by it."""

    UNKNOWN_LAYOUT = "unknown_layout"
    """No layout the source knows."""
    TORN = "torn"
    """The beginning of a line whose end was never written."""
    NOT_UTF8 = "not_utf8"
    TOO_LONG = "too_long"
    """Over ``max_record_bytes``."""
    BAD_TIME = "bad_time"
    """A time that is on no calendar."""
    ORPHAN = "orphan"
    """A line that continues one that is never continued."""
    AMBIGUOUS = "ambiguous"
    """It can be read as more than one actor's deed."""
    CUT_SHORT = "cut_short"
    """The carrier ends in the middle: a truncated gzip, a last piece that never came."""
    FOREIGN = "foreign"
    """In a topic of the stream's own: no row of that topic's schema."""
    REFUSED = "refused"
    """OpenSearch does not take the document, for what is in it."""
    RESOLVED = "resolved"
    """It was one, until a replay sent into the stream what it is read as now."""
    FAULT = "fault"
    """The source itself failed on it: a fault of ours, to be reported."""


class Unreadable(Exception):
    """A source cannot read this line.

    Args:
        reason: one of :class:`Reason`.
        detail: what was expected, for a person. No text of the record: it may hold a secret.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
