"""What flows between the stages: records in, lines, facts, and what became of each item.

A *record* is what came in physically. Decoding it yields *items*; each item ends as an event, a
duplicate, something filtered by a rule with a name, or a dead letter with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.errors import Reason, Unreadable
from schemas.types import DeadLetter, Event
from schemas.vocabulary import BlindSpot, TimePrecision

State = dict[str, Any]
"""State of one stream or of one detector key: JSON and nothing else."""


HEAD_BYTES = 4096
"""Of what is too long, so much is kept, whoever finds that it is: it is read for how it begins."""


class Record(NamedTuple):
    """Bytes and where they stood.

    ``length`` and ``digest`` are set where ``value`` is only the head of something too long;
    ``broken`` says why a carrier could not deliver the rest. ``received``: when Kafka was given it,
    epoch milliseconds; not above 0 where nobody says.
    """

    value: bytes
    position: int
    length: int = -1
    digest: str = ""
    broken: str = ""
    received: int = 0


class Origin(NamedTuple):
    """Where a shipper says the line stood: host, file, and byte offset in it (-1: not said)."""

    host: str
    file: str
    offset: int


@dataclass(frozen=True, slots=True)
class Stream:
    """One ordered run of records: a file, or a partition's records of one key.

    Attributes:
        source: name of the source its lines belong to, or ``auto``.
        cluster: label of the cluster or cloud account.
        host: host that wrote it, or empty.
        origin: digest that names the file whatever it is called, or topic id and partition.
        carrier: path or topic, for people; no identity looks at it.
        zone: IANA time zone of stamps without an offset; empty: UTC, and the event says so.
    """

    source: str = "auto"
    cluster: str = "default"
    host: str = ""
    origin: bytes = b""
    carrier: str = ""
    zone: str = ""


@dataclass(slots=True)
class Line:
    """One logical line, out of its shipper's envelope and its layout.

    Attributes:
        raw: the line itself, without envelope or line break.
        text: ``raw`` decoded.
        record: the record it began in.
        origin: where the shipper says it stood, if it says so.
        logged: when the carrier wrote it down, epoch milliseconds, or None.
        stamp: the time as written in the line, or empty.
        level, logger, message: as the layout names them; ``logger`` is empty where the layout
            has none or the line's end is missing.
        suspect: the line stands where a client is known to have written into the log.
        forgery: how the line itself shows it.
        complete: the line ends as its layout demands.
        number: the item's number in its record.
        source: name of the source that claims it as a JSON object, or empty.
        document: that object, which is then the source's, or None.
    """

    raw: bytes
    text: str
    record: Record
    origin: Origin | None = None
    logged: int | None = None
    stamp: str = ""
    level: str = ""
    logger: str = ""
    message: str = ""
    suspect: bool = False
    forgery: str = ""
    complete: bool = True
    number: int = 0
    source: str = ""
    document: Any = None


@dataclass(slots=True)
class Fact:
    """An event as its source states it, with what the OCSF document says beside the columns.

    Attributes:
        event: columns the record states. The stages add the rest.
        stamp: the time as written, kept beside the time as understood.
        uid: the source's own id of the event, or empty.
        natural_key: parts that identify the event wherever it is read, or empty: its position does.
        document: additions to the OCSF document, by top-level name.
        extension: additions to its ``auditstream`` object.
        secrets: texts in the record that must not be stored; every occurrence is redacted.
    """

    event: Event
    stamp: str = ""
    uid: str = ""
    natural_key: tuple[str, ...] = ()
    document: dict[str, Any] = field(default_factory=dict)
    extension: dict[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


class Filtered(NamedTuple):
    """An item that states no audit fact, and the rule that says so."""

    rule: str


class Rejected(NamedTuple):
    """An item that cannot be read, before it has become a dead letter.

    ``source``: whose line it is, where that is known all the same.
    """

    reason: str
    detail: str
    source: str = ""


Outcome = Fact | Filtered | Rejected


class Item(NamedTuple):
    """One line and what became of it. ``number``: which of the line's outcomes this is."""

    line: Line
    outcome: Outcome
    source: str
    number: int = 0


Read = Callable[[Sequence[Line], "Reading", State], tuple[list[Sequence[Outcome]], State]]
"""A source's work: lines of one stream and its state, to outcomes for each line and new state."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source may know beside the line itself: pure functions, no clock.

    Attributes:
        time: stamp as written to (epoch milliseconds, blind spots).
        address: text to the address in its shortest form, or empty where it is none.
        stream: the stream the lines are of.
    """

    time: Callable[[str], tuple[int, tuple[str, ...]]]
    address: Callable[[str], str]
    stream: Stream


def _always(_message: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Source:
    """What a source module's ``SOURCE`` states. See CONTRIBUTING.md, "A new source".

    Attributes:
        name: the module's name, and ``metadata.log_name`` of its events.
        title: one line for people.
        documentation: what it reads, from where, in which versions.
        product: OCSF ``metadata.product``.
        read: lines to outcomes.
        loggers: Java logger names whose lines are this source's, in any of the known layouts.
        recognise: for lines without a layout: is this one ours? Cheap; must not raise.
        claims: for lines that are JSON objects, asked before ``recognise``: is this one ours? Then
            the line has it as its ``document``, and nobody parses it again. Must not raise.
        whole: does this message end as this source's messages end, and hold no second reading? One
            that does not was broken, or is ``forged``.
        forged: asked of one that is not whole: does its text show by itself that a client wrote it,
            or into it? Then it is read as it stands, and what follows it is suspect.
        dated: does this line hold a time? Default: its layout has a stamp.
        shapes: names of the shapes it reads; each has a golden example of that name.
        blind_spots: what this source cannot show, for people.
        bears_secrets: what cannot be parsed keeps only length, digest and a redacted head.
        secrets_from: text before which a record of such a source has none; its head ends there.
        one_line: is this message never followed by a second line? Then one that follows is no
            continuation of it. Stack traces are the exception; say so only for messages that
            carry no audit fact.
        repeats: does it say the same of a whole message whenever and wherever it stands: one
            outcome, in which only the stamp differs (:mod:`pipeline.stages.repeat`)?
        several_lines: does a message that begins so go on over lines with a tab before them, up to
            one that ends with this source's logger? Then it is read as one. Cheap; must not raise.
    """

    name: str
    title: str
    documentation: str
    product: Mapping[str, str]
    read: Read
    loggers: tuple[str, ...] = ()
    recognise: Callable[[str], bool] | None = None
    claims: Callable[[Mapping[str, Any]], bool] | None = None
    whole: Callable[[str], bool] | None = None
    forged: Callable[[str], bool] | None = None
    dated: Callable[[str], bool] | None = None
    shapes: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    bears_secrets: bool = False
    secrets_from: str = ""
    one_line: Callable[[str], bool] = _always
    repeats: bool = False
    several_lines: Callable[[str], bool] | None = None


def moment(line: Line, reading: Reading) -> tuple[int, TimePrecision, tuple[str, ...]]:
    """When the line's deed was: its own stamp, else when a carrier wrote it down, else unknown.

    Returns epoch milliseconds (0 where unknown), how well it is known, and blind spots. Raises
    :class:`Unreadable` (``bad_time``) where the stamp is on no calendar.
    """
    if line.stamp:
        at, spots = reading.time(line.stamp)
        return at, TimePrecision.EXACT, spots
    if line.logged is not None:
        return line.logged, TimePrecision.WRITTEN, ()
    return 0, TimePrecision.UNKNOWN, (BlindSpot.NO_TIME.value,)


def each(read_line: Callable[[Line, Reading], Outcome | Sequence[Outcome]]) -> Read:
    """Make a stateless reader of single lines into a source's ``read``, as :func:`in_turn` does."""
    return in_turn(lambda line, reading, _: read_line(line, reading))


def in_turn(read_line: Callable[[Line, Reading, State], Outcome | Sequence[Outcome]]) -> Read:
    """Make a reader of single lines, which changes the stream's state, into a source's ``read``.

    ``read_line`` may raise :class:`pipeline.errors.Unreadable`; anything else it raises is a fault
    of ours and becomes a dead letter that says so.
    """

    def read(
        lines: Sequence[Line], reading: Reading, state: State
    ) -> tuple[list[Sequence[Outcome]], State]:
        state = dict(state)
        results: list[Sequence[Outcome]] = []
        for line in lines:
            try:
                outcome = read_line(line, reading, state)
            except Unreadable as error:
                outcome = Rejected(error.reason, error.detail)
            except Exception as error:
                outcome = Rejected(Reason.FAULT, f"{type(error).__name__} in the source")
            results.append(
                (outcome,) if isinstance(outcome, (Fact, Filtered, Rejected)) else outcome
            )
        return results, state

    return read


@dataclass(slots=True)
class Account:
    """Where every item went. ``items == events + duplicates + filtered + dead_letters``."""

    records: int = 0
    items: int = 0
    events: int = 0
    duplicates: int = 0
    filtered: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)

    MOST_RULES = 500
    """Rule names hold loggers, and those can be a client's text: the rest is counted as one."""
    OTHER_RULES = "logger:(other)"

    def add(self, other: Account) -> None:
        """Add another account's figures to this one's. Only here rules can be too many: counted in
        a batch, they would depend on its size."""
        self.records += other.records
        self.items += other.items
        self.events += other.events
        self.duplicates += other.duplicates
        for rule, count in other.filtered.items():
            if rule not in self.filtered and len(self.filtered) >= self.MOST_RULES:
                rule = self.OTHER_RULES
            self.filtered[rule] = self.filtered.get(rule, 0) + count
        for reason, count in other.dead_letters.items():
            self.dead_letters[reason] = self.dead_letters.get(reason, 0) + count

    def subtract(self, other: Account) -> None:
        """Take another account's figures out of this one's."""
        self.records -= other.records
        self.items -= other.items
        self.events -= other.events
        self.duplicates -= other.duplicates
        for mine, theirs in (
            (self.filtered, other.filtered), (self.dead_letters, other.dead_letters),
        ):  # fmt: skip
            for name, count in theirs.items():
                name = name if name in mine else self.OTHER_RULES
                mine[name] = mine.get(name, 0) - count
                if not mine[name]:
                    del mine[name]

    def count_filtered(self, rule: str) -> None:
        """Count one item of a batch under ``rule``."""
        self.filtered[rule] = self.filtered.get(rule, 0) + 1

    def balances(self) -> bool:
        """Whether every item is accounted for."""
        gone = sum(self.filtered.values()) + sum(self.dead_letters.values())
        return self.items == self.events + self.duplicates + gone


@dataclass(slots=True)
class Ingested:
    """What one batch of records became."""

    events: list[Event] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    state: State = field(default_factory=dict)
