"""The words an event may use: OCSF 1.8.0 numbers, and this project's own short lists.

Numbers are OCSF's (https://schema.ocsf.io/1.8.0). Where OCSF has no word, the word here goes into
the extension object ``auditstream`` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

OCSF_VERSION: Final = "1.8.0"
ATTACK_VERSION: Final = "17.1"
ID_RECIPE: Final = 1
"""Version of the recipe in :mod:`pipeline.stages.identify`. Golden ids never change under it."""

API_ACTIVITY: Final = 6003
ACCOUNT_CHANGE: Final = 3001
AUTHENTICATION: Final = 3002
AUTHORIZE_SESSION: Final = 3003
ENTITY_MANAGEMENT: Final = 3004
USER_ACCESS: Final = 3005
GROUP_MANAGEMENT: Final = 3006
APPLICATION_LIFECYCLE: Final = 6002
DETECTION_FINDING: Final = 2004

OTHER_ACTIVITY: Final = 99
"""``activity_id`` of what OCSF has no number for; ``activity_name`` then says it."""

CLASS_NAMES: Final = {
    API_ACTIVITY: "API Activity",
    ACCOUNT_CHANGE: "Account Change",
    AUTHENTICATION: "Authentication",
    AUTHORIZE_SESSION: "Authorize Session",
    ENTITY_MANAGEMENT: "Entity Management",
    USER_ACCESS: "User Access Management",
    GROUP_MANAGEMENT: "Group Management",
    APPLICATION_LIFECYCLE: "Application Lifecycle",
    DETECTION_FINDING: "Detection Finding",
}

REQUIRED: Final[Mapping[int, tuple[str, ...]]] = {
    API_ACTIVITY: ("actor", "api", "src_endpoint"),
    APPLICATION_LIFECYCLE: ("app",),
    AUTHENTICATION: ("user",),
    ENTITY_MANAGEMENT: ("entity",),
    ACCOUNT_CHANGE: ("user",),
    AUTHORIZE_SESSION: ("user",),
    USER_ACCESS: ("user", "privileges"),
    GROUP_MANAGEMENT: ("group",),
    DETECTION_FINDING: ("finding_info",),
}
"""What OCSF demands of the classes that are made so far, beside :data:`REQUIRED_OF_ALL`.

6003 marks ``actor`` and ``api`` as its own, not as a profile's.
"""

REQUIRED_OF_ALL: Final = (
    "activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid",
)  # fmt: skip
"""What OCSF demands of every class; of ``metadata``, in turn, ``product`` and ``version``."""


class Outcome(StrEnum):
    """What came of it, as far as the record says."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class AccessPath(StrEnum):
    """The three ways into an estate."""

    DATA = "data"
    CONTROL = "control"
    SUPPORT = "support"


class ActorKind(StrEnum):
    """Who acts, by configuration; ``unknown`` is reported, never guessed."""

    WORKLOAD = "workload"
    AUTOMATION = "automation"
    HUMAN = "human"
    PROVIDER_HUMAN = "provider_human"
    PROVIDER_AUTOMATION = "provider_automation"
    UNKNOWN = "unknown"


PROVIDER_KINDS: Final = frozenset(
    (ActorKind.PROVIDER_HUMAN.value, ActorKind.PROVIDER_AUTOMATION.value)
)
"""Kinds of actor whose every action is support access."""


class TimePrecision(StrEnum):
    """How well the event's time is known."""

    EXACT = "exact"
    WRITTEN = "written"
    """The record names no time of its own; this is when a carrier wrote it down."""
    WINDOW = "window"
    """The record stands for a span of time."""
    UNKNOWN = "unknown"
    """Nobody says when. ``time`` is 0, and no window counts the event."""


class Forgery(StrEnum):
    """How a record shows that a client wrote into the log."""

    NONE = ""
    BROKEN_HEAD = "broken_head"
    """A line whose end is missing while other lines follow: a line break was injected."""
    LINE_BREAK = "line_break"
    """A name in the record holds a line break."""
    IMITATION = "imitation"
    """A name in the record imitates the log's own wording."""


class BlindSpot(StrEnum):
    """What this one event cannot tell, stated on the event itself."""

    NO_PRINCIPAL = "no_principal"
    ZONE_ASSUMED = "zone_assumed"
    AMBIGUOUS_TIME = "ambiguous_time"
    NONEXISTENT_TIME = "nonexistent_time"
    NO_TIME = "no_time"
    NO_REQUEST = "no_request"
    PARTIAL_NAME = "partial_name"
    AMBIGUOUS_PRINCIPAL = "ambiguous_principal"


class Leg(StrEnum):
    """Which of several records about one deed an event is."""

    NONE = ""
    REQUEST = "request"
    FORWARDED = "forwarded"
    """The same request as the controller got it from the broker."""
    AUTHORIZER = "authorizer"
    """A decision on the way. Events of that source do not say it of themselves."""
    EFFECT = "effect"
    """What the controller wrote of the change itself."""
    REPLAYED = "replayed"
    """The same, read from the metadata log again: how old it is nobody says."""
    RECORD = "record"
    """A cloud's own record of a deed: who, what and what came of it, complete in itself."""


class Confidence(StrEnum):
    """How sure a change is: every leg it should have, some, or not even a request."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class FindingStatus(StrEnum):
    """Where a finding's version stands. The settled view has last versions that are open."""

    OPEN = "open"
    SUPERSEDED = "superseded"
    """Another finding, which names this one, took its place."""
    WITHDRAWN = "withdrawn"
    """Late evidence took its ground away."""
    CLOSED = "closed"
    """What it told of is over: a silence, a lag. Detectors say of nothing that it is over."""


class Severity:
    """OCSF ``severity_id``."""

    INFORMATIONAL: Final = 1
    LOW: Final = 2
    MEDIUM: Final = 3
    HIGH: Final = 4
    CRITICAL: Final = 5


SEVERITY_NAMES: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}

OUTCOME_STATUS: Final[Mapping[str, tuple[int, str]]] = {
    Outcome.SUCCESS: (1, "Success"),
    Outcome.FAILURE: (2, "Failure"),
    Outcome.UNKNOWN: (0, "Unknown"),
}

RETENTION_STANDARD: Final = "standard"

BLANK: Final = "[redacted]"
"""What stands where a secret was that nobody is to recognise again."""

EVERYONE: Final = "everyone"
ANOTHER_ACCOUNT: Final = "another account"
"""How far a grant of a cloud's policy reaches, where that is beyond the account."""

PUBLIC_ACCESS_BLOCKS: Final = (
    "BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets",
)  # fmt: skip
"""What keeps a bucket from being public: S3 ``PublicAccessBlockConfiguration``."""
