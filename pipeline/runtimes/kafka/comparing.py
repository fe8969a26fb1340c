"""Rows of a topic held against documents of an index, id by id: what is missing, what is surplus.

A row counts as due where the index is committed behind it; what lies beyond is not indexed yet,
and no difference.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from pipeline.runtimes.kafka.sides import Group, Id, Kept, Place, Told
from schemas.indices import DAY_MS, UNDATED

Rule = Literal["once", "version", "exact", "each"]
"""What must be there of an id: one document; one of the last version; one that says exactly what
the last row does; one of each version."""
What = Literal[
    "missing", "surplus", "twice", "elsewhere", "differs",
    "same", "waiting", "older", "refused", "dropped",
]  # fmt: skip
"""The first row are differences. ``twice``: in several indices; ``elsewhere``: in another index
than it belongs in; ``waiting``: not indexed yet; ``older``: in the index alone, and from before
what the topic still holds; ``refused``: a dead letter says that OpenSearch did not take it;
``dropped``: its whole index is gone, as its retention has it."""
DIFFERENCES: Final = ("missing", "surplus", "twice", "elsewhere", "differs")

_LOOKED_UP: Final = 500
_OTHER: Final = "says something else than the topic"
_UNSURE: Final = ("missing", "differs")


Look = Callable[[Sequence[Place]], Mapping[Place, int]]


class Verdict(NamedTuple):
    """What is to be said of an id, or of a version of it.

    Attributes:
        indices: where it is, or should be.
        row: the one it is about; None: of a document alone.
    """

    what: What
    indices: tuple[str, ...]
    row: Told | None
    why: str = ""
    said: int | None = None


class Difference(NamedTuple):
    """Something missing, surplus or wrong.

    Attributes:
        what: in a word.
        kind: of what: ``events``, ``dead letters`` …
        id: in hexadecimal, or empty.
        time: epoch milliseconds; None: nobody knows.
        home: index it is in, or should be; or empty.
        place: where in the topics, or empty.
        why: more, for a person.
    """

    what: str
    kind: str
    id: str = ""
    time: int | None = None
    source: str = ""
    home: str = ""
    place: str = ""
    why: str = ""


class Period(NamedTuple):
    """Epoch milliseconds, ``since`` ≤ time < ``until``."""

    since: float = -math.inf
    until: float = math.inf

    def has(self, time: int | None) -> bool:
        """Whether a time is in it; one that nobody knows is in every period."""
        return time is None or self.since <= time < self.until


ALWAYS: Final = Period()


# Judging one id.


def judge(
    rule: Rule, rows: Sequence[Told], documents: Sequence[Kept], since: float = -math.inf
) -> list[Verdict]:
    """What is to be said of one id, given all there is of it on both sides.

    Args:
        rows: in the order in which they were written.
        since: from this time on the topic holds all there was.
    """
    if rule != "each":
        return _judged(rule, rows, documents, since)
    told: dict[int | None, list[Told]] = defaultdict(list)
    kept: dict[int | None, list[Kept]] = defaultdict(list)
    for row in rows:
        told[row.said].append(row)
    for document in documents:
        kept[document.said].append(document)
    newest = max((row.said or 0 for row in rows), default=-1)
    out: list[Verdict] = []
    for said in sorted({*told, *kept}, key=lambda said: said or 0):
        for verdict in _judged("once", told[said], kept[said], since):
            if verdict.what == "surplus" and (said or 0) < newest:
                # A compacted topic keeps the last of an id.
                verdict = verdict._replace(what="older")
            out.append(verdict._replace(said=said))
    return out


def _standing(rows: Sequence[Told]) -> list[Told]:
    """Rows that were not taken back."""
    ends: dict[int, int] = {}
    for row in rows:
        if row.said is None:
            ends[row.partition] = max(row.offset, ends.get(row.partition, row.offset))
    return [row for row in rows if row.offset > ends.get(row.partition, -1)]


def _judged(
    rule: Rule, rows: Sequence[Told], documents: Sequence[Kept], since: float
) -> list[Verdict]:
    if not rows:
        return [
            Verdict("surplus" if _holds(since, one.time) else "older", (one.home,), None)
            for one in documents
        ]
    homes = tuple(dict.fromkeys(row.home for row in rows))
    due = [row for row in rows if not row.waiting]
    row = (due or rows)[-1]
    if not documents:
        return [Verdict("missing" if due else "waiting", homes, row)]
    places = tuple(sorted(one.home for one in documents))
    if len(documents) > 1:
        return [Verdict("twice", places, row)]
    if documents[0].home not in homes and _holds(since, row.time):
        return [Verdict("elsewhere", places, row, f"belongs in {' or '.join(homes)}")]
    why = _unlike(rule, rows, due, documents[0])
    return [Verdict("differs", places, row, why) if why else Verdict("same", places, row)]


def _holds(since: float, time: int | None) -> bool:
    return since == -math.inf or (time is not None and time >= since)


def _unlike(rule: Rule, rows: Sequence[Told], due: Sequence[Told], document: Kept) -> str:
    """In what a document is not what the rows say; empty: it is."""
    if rule == "version":
        least = max((row.said or 0 for row in due), default=0)
        most = max(row.said or 0 for row in rows)
        if not least <= document.said <= most:
            return f"version {document.said} is indexed, {most} is the last"
    elif rule == "exact" and len(due) == len(rows):
        return _OTHER if document.said != rows[-1].said else ""
    return ""


# Judging all.

FIELDS: Final = ("topic", "index", *DIFFERENCES, "waiting", "older", "refused", "dropped")
"""What is counted by source and day: ids in the topic, documents in the index, then verdicts."""
Day = tuple[str, int | None]
"""Source, and days since the epoch (UTC); None: undated."""


class Comparison:
    """Judges ids, one after the other.

    Args:
        kind: what they are of, for people.
        topic: the rows' topic.
        since: from this time on the topic holds all there was.
        counted_from: rows carried from then on are counted.
        period: of ids that are looked at.
        look: says of places (index and ``_id``) which there are by now, and what is said there;
            default: what was read stands.
        excuse: why a row's document need not be there; empty: it must be.

    Attributes:
        days: counts by source and day, under :data:`FIELDS`.
        rows, ids: rows, and ids, by what is said of them.
        verdicts: how many there are of each.
    """

    def __init__(
        self,
        rule: Rule,
        kind: str,
        topic: str,
        *,
        since: float = -math.inf,
        counted_from: float = -math.inf,
        period: Period = ALWAYS,
        look: Look | None = None,
        excuse: Callable[[Told], Literal["", "refused", "dropped"]] = lambda _: "",
    ) -> None:
        self._rule: Rule = rule
        self._kind, self._topic = kind, topic
        self._since, self._counted_from, self._period = since, counted_from, period
        self._look, self._excuse = look, excuse
        self.days: dict[Day, Counter[str]] = defaultdict(Counter)
        self.rows: Counter[int | None] = Counter()
        self.ids: Counter[int | None] = Counter()
        self.verdicts: Counter[str] = Counter()

    def differences(self, groups: Iterable[Group]) -> Iterator[Difference]:
        """What is not as it should be, as it is found."""
        unsure: list[Group] = []
        for group in groups:
            if any(row.said is None for row in group[1]):
                group = group[0], _standing(group[1]), group[2]
            id_, rows, documents = group
            if not (rows or documents):
                continue
            self._count(rows)
            if not self._period.has(rows[-1].time if rows else documents[0].time):
                continue
            verdicts = judge(self._rule, rows, documents, self._since)
            if self._look and any(verdict.what in _UNSURE for verdict in verdicts):
                unsure.append(group)
                if len(unsure) >= _LOOKED_UP:
                    yield from self._looked_up(unsure, self._look)
                    unsure = []
            else:
                yield from self._told(id_, rows, documents, verdicts)
        if self._look and unsure:
            yield from self._looked_up(unsure, self._look)

    def _count(self, rows: Sequence[Told]) -> None:
        counted = [row.said for row in rows if row.carried >= self._counted_from]
        self.rows.update(counted)
        if counted:
            self.ids[counted[0]] += 1

    def _looked_up(self, unsure: Sequence[Group], look: Look) -> Iterator[Difference]:
        """Judge again by what is in the places now: a search finds what was written a moment ago
        only after the next refresh."""
        asked: dict[Place, None] = {}
        for id_, rows, documents in unsure:
            for row in rows:
                asked[row.home, self._name(id_, row.said)] = None
            for one in documents:
                asked[one.home, self._name(id_, one.said)] = None
        found = look(list(asked))
        for id_, rows, documents in unsure:
            now = list(self._now(id_, rows, documents, found))
            yield from self._told(id_, rows, now, judge(self._rule, rows, now, self._since))

    def _now(
        self,
        id_: Id,
        rows: Sequence[Told],
        documents: Sequence[Kept],
        found: Mapping[Place, int],
    ) -> Iterator[Kept]:
        places: dict[Place, Kept | Told] = {}
        several: list[Told | Kept] = [*rows, *documents]
        for one in several:
            places[one.home, self._name(id_, one.said)] = one
        for place, one in places.items():
            if place in found:
                yield Kept(id_, found[place], one.time, one.source, one.home)

    def _name(self, id_: Id, said: int | None) -> str:
        if isinstance(id_, str):
            return id_
        return f"{id_.hex()}-{said}" if self._rule == "each" else id_.hex()

    def _told(
        self,
        id_: Id,
        rows: list[Told],
        documents: list[Kept],
        verdicts: Iterable[Verdict],
    ) -> Iterator[Difference]:
        one: Told | Kept = rows[-1] if rows else documents[0]
        day = None if one.home.endswith(f"-{UNDATED}") or one.time is None else one.time // DAY_MS
        counts = self.days[one.source, day]
        counts["index"] += len(documents)
        for verdict in verdicts:
            what, indices, row, why, said = verdict
            if row is not None:
                counts["topic"] += 1
                if what in _UNSURE:
                    what = self._excuse(row) or what
            counts[what] += 1
            self.verdicts[what] += 1
            if what in DIFFERENCES:
                place = f"{self._topic}[{row.partition}] {row.offset}" if row else ""
                name = self._name(id_, said)
                yield Difference(
                    what, self._kind, name, one.time, one.source, ", ".join(indices), place, why
                )
