"""Whether all that the stream took in is where it should be: accounts, topics and index compared.

What may change meanwhile is asked for in this order: how far the groups have committed, what the
index holds, what the topic holds. So whatever is committed must be indexed, whatever is indexed
must be in the topic, and a stream at work is no difference.
"""

from __future__ import annotations

import math
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.config import Config
from pipeline.errors import StoreError
from pipeline.retention.terms import expired
from pipeline.rights import READS
from pipeline.runtimes.kafka import kinds
from pipeline.runtimes.kafka.adding import accounted
from pipeline.runtimes.kafka.answers import ANSWERING, Answers
from pipeline.runtimes.kafka.balance import Books, Sum, faults, sums, total
from pipeline.runtimes.kafka.chains import Bounds, Chain
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.comparing import Comparison, Day, Difference, Period
from pipeline.runtimes.kafka.kinds import Kind
from pipeline.runtimes.kafka.reading import reading
from pipeline.runtimes.kafka.sides import Group, Numbers, Offsets, Place, Sides, Told
from pipeline.runtimes.kafka.telling import Held, Telling
from pipeline.runtimes.kafka.topics import COMPACTED
from pipeline.runtimes.kafka.watermarks import watermarks
from pipeline.runtimes.kafka.wires import wires
from pipeline.sinks.opensearch_client import connect
from pipeline.sinks.opensearch_scan import Hit, Scan
from pipeline.storage import longest_days
from schemas import indices

ROLE: Final = "reconcile"
_PATIENCE_S: Final = 100.0
"""Longer than anybody's transaction stays open."""
_CALL_S: Final = 30.0
_TOLD_EACH: Final = 5_000
_AHEAD_KIB: Final = 16 * 1024
"""Of a partition, that is fetched before it is asked for."""

Progress = Callable[[str, int, int], None]
"""Told what is read, how much of it, and how much there is."""
Say = Callable[[Difference], None]


@dataclass(slots=True)
class Report:
    """What was compared. Differences were told as they were found.

    Attributes:
        days: by kind, counts by source and day.
        differences: how many there are, by what and kind.
        remarks: what is worth knowing, and not wrong.
    """

    chains: list[Chain] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)
    topics: list[Held] = field(default_factory=list)
    days: dict[str, dict[Day, Counter[str]]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    differences: Counter[tuple[str, str]] = field(default_factory=Counter)


def reconcile(config: Config, period: Period, say: Say, progress: Progress) -> Report:
    """Compare accounts, topics and index.

    Args:
        period: of events, and of all else that has a time; sums are compared whole.
        say: told each difference.

    Raises:
        AuditstreamError: brokers, registry or OpenSearch cannot be used.
    """
    with _folder(config.kafka.folder) as folder, Scan(connect(config.opensearch)) as scan:
        work = _Reconciling(config, period, say, progress, folder, scan)
        try:
            return work.run()
        except sqlite3.Error as error:
            raise _not_kept(folder, error) from error
        finally:
            work.close()


@contextmanager
def _folder(above: str) -> Iterator[Path]:
    try:
        if above:
            Path(above).mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix="auditstream-", dir=above or None)
    except OSError as error:
        raise _not_kept(above or tempfile.gettempdir(), error) from error
    with made as name:
        yield Path(name)


def _not_kept(folder: Path | str, error: Exception) -> StoreError:
    return StoreError(
        f"what is compared cannot be kept in {folder}: {error}; make room, or name a folder with "
        "more of it in kafka.folder"
    )


class _Reconciling:
    """One comparison under way."""

    def __init__(
        self,
        config: Config,
        period: Period,
        say: Say,
        progress: Progress,
        folder: Path,
        scan: Scan,
    ) -> None:
        self._streaming, self._period = config.kafka, period
        self._say, self._progress = say, progress
        self._folder, self._scan = folder, scan
        self._cluster = Cluster(config.kafka)
        self._cluster.settings |= {"queued.max.messages.kbytes": _AHEAD_KIB}
        self._wires = wires(config.kafka)
        self._answers = Answers(folder / "answers.db")
        self._books = Books(folder / "accounts.db")
        self._reasons = Numbers()
        self._longest_days = longest_days(config.retention)
        self._retention = config.retention
        self._gone: set[str] | None = None
        self._partitions: dict[str, int] = {}
        self._committed: Offsets = {}
        self._names: dict[str, str] = {}
        self._report = Report()

    def close(self) -> None:
        """Let go of what was kept."""
        self._answers.close()
        self._books.close()

    def run(self) -> Report:
        """Compare everything."""
        report, topic = self._report, self._streaming.topic
        ours = [topic(name) for name in READS["index"]]
        raw = self._find(ours)
        self._committed = self._offsets("index", ours)
        ingested = self._offsets("ingest", raw)
        # Dead letters first: they answer for what is not there.
        letters = self._compare(kinds.dead_letters(self._longest_days, self._reasons))
        self._compare(kinds.findings(), kinds.versions())
        self._compare(kinds.changes())
        events = self._compare(kinds.events(self._longest_days))
        # Accounts last: whatever was read until now is in one of them.
        self._compare(kinds.accounts())
        since = {held.topic: held.since for held in report.topics}
        bounds = Bounds(since[topic("events")], since[topic("dead-letters")])
        for place in self._offsets("ingest", raw):
            # Of a partition that was not begun, nothing was sure then.
            ingested.setdefault(place, 0)
        report.chains += self._books.chains(ingested, self._ends(raw), bounds)
        self._settle(events, letters, bounds)
        self._tell_unanswered(bounds.letters)
        return report

    # Where things are.

    def _find(self, ours: Sequence[str]) -> list[str]:
        """Check that our topics are there; returns the raw ones."""
        found = self._cluster.topics()
        self._partitions = {name: one.partitions for name, one in found.items()}
        missing = [name for name in ours if name not in found]
        if missing:
            said = ", ".join(missing)
            raise ClusterError(
                f"missing, or not ours to see: {said}; `auditstream topics plan` says what is "
                "needed"
            )
        return sorted(name for name in found if self._streaming.raw_topic(name))

    def _places(self, topics: Iterable[str]) -> list[tuple[str, int]]:
        return [(topic, number) for topic in topics for number in range(self._partitions[topic])]

    def _offsets(self, role: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """How far a role has committed, where it has."""
        group = f"{self._streaming.group}-{role}"
        asked = [TopicPartition(*place) for place in self._places(topics)]
        consumer = Consumer(self._cluster.settings | {"group.id": group, "log_level": 0})
        try:
            found = consumer.committed(asked, _CALL_S) if asked else []
            for one in found:
                if one.error is not None:
                    raise KafkaException(one.error)
        except KafkaException as error:
            raise ClusterError(f"group {group} cannot be asked: {error.args[0].str()}") from None
        finally:
            consumer.close()
        return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    def _ends(self, topics: Iterable[str]) -> dict[tuple[str, int], tuple[int, int]]:
        """First position, and the one behind the last, of each partition."""
        settings = {**self._cluster.settings, "group.id": f"{self._streaming.group}-{ROLE}"}
        try:
            return watermarks(settings, self._places(topics))
        except KafkaException as error:
            raise ClusterError(f"topics cannot be asked: {error.args[0].str()}") from None

    # One topic, and the indices of its rows.

    def _compare(self, *several: Kind) -> Comparison:
        """Compare a topic with one kind of documents or more; the first one's comparison."""
        pairs: list[tuple[Kind, Sides]] = []
        with ExitStack() as stack:
            for kind in several:
                path = self._folder / f"{kind.name}.db"
                stack.callback(path.unlink, missing_ok=True)
                pairs.append((kind, Sides(path)))
                stack.callback(pairs[-1][1].close)
                self._keep(*pairs[-1])
            held = self._tell(pairs)
            self._report.topics.append(held)
            found = [self._judged(*pair, held) for pair in pairs]
        return found[0]

    def _keep(self, kind: Kind, side: Sides) -> None:
        """Read the indices."""
        read = 0
        what = f"documents of {kind.name}"
        for hits, there in self._scan.each(
            kind.pattern, kind.fields, kind.dates, only=self._only(kind), whole=kind.whole
        ):
            side.keep(map(kind.kept, hits))
            if kind.topic == "dead-letters":
                self._note_answers(hits)
            read += len(hits)
            self._progress(what, read, there)

    def _only(self, kind: Kind) -> dict[str, Any] | None:
        """What documents fit the period, by a date, and are of the stream."""
        said: dict[str, Any] = {}
        if kind.day and self._period.since != -math.inf:
            said["gte"] = int(self._period.since)
        if kind.day and self._period.until != math.inf:
            said["lt"] = int(self._period.until)
        period = [{"range": {kind.day: {"format": "epoch_millis", **said}}}] if said else []
        besides = [kind.besides] if kind.besides else []
        wanted = {"filter": period, "must_not": besides}
        return {"bool": wanted} if period or besides else None

    def _note_answers(self, letters: Iterable[Hit]) -> None:
        for hit in letters:
            if hit.fields.get("reason", [""])[0] in ANSWERING:
                carrier = hit.fields.get("carrier", [""])[0]
                position = hit.fields.get("position", [-1])[0]
                self._answers.answer(kinds.id_of(hit.id), carrier, position)

    def _tell(self, pairs: Sequence[tuple[Kind, Sides]]) -> Held:
        """Read the topic to its end."""
        kind = pairs[0][0]
        topic = self._streaming.topic(kind.topic)
        self._names[topic] = kind.name
        decode = self._wires.decoder(kind.schema)
        telling = Telling(
            topic, pairs, decode, kind.topic in COMPACTED, self._committed, self._answers,
            self._books,
        )  # fmt: skip
        with reading(self._cluster, self._streaming, topic, _PATIENCE_S, role=ROLE) as records:
            for number, (message, read, there) in enumerate(records):
                telling.take(message)
                if number % _TOLD_EACH == 0:
                    self._progress(topic, read, there)
        telling.flush()
        # Only now: what retention takes while we read is not missed by us.
        lows = {number: low for (_, number), (low, _) in self._ends([topic]).items()}
        return telling.held(lows, self._streaming.retention_days)

    def _judged(self, kind: Kind, side: Sides, held: Held) -> Comparison:
        """Hold both sides against each other, and tell what differs."""
        comparison = Comparison(
            kind.rule,
            kind.name,
            held.topic,
            # An event is carried after it happened; a clock may be ahead so far.
            since=held.since + indices.DAY_MS,
            counted_from=held.since,
            period=self._period,
            look=lambda places: self._look(kind, places),
            excuse=lambda row: self._excuse(kind, held.topic, row),
        )
        for difference in comparison.differences(self._watched(kind, side, held.rows)):
            self._differ(difference)
        self._report.days[kind.name] = comparison.days
        return comparison

    def _watched(self, kind: Kind, side: Sides, there: int) -> Iterator[Group]:
        for number, group in enumerate(side.groups(), 1):
            if number % _TOLD_EACH == 0:
                self._progress(f"{kind.name} compared", number, max(number, there))
            yield group

    def _look(self, kind: Kind, places: Sequence[Place]) -> dict[Place, int]:
        found = self._scan.look(places, kind.whole)
        return {place: kind.kept(hit).said for place, hit in found.items()}

    def _excuse(self, kind: Kind, topic: str, row: Told) -> Literal["", "refused", "dropped"]:
        """Why the document of a row need not be there."""
        if self._answers.refused(topic, row):
            return "refused"
        if kind.topic != "events":
            return ""
        # Whether its index is there or not: what comes late makes a removed one anew.
        over = expired(row.home, self._retention, time.time())
        return "dropped" if over or row.home in self._removed() else ""

    def _removed(self) -> set[str]:
        """Indices that retention says it removed, by whatever policy that then was."""
        if self._gone is None:
            pages = self._scan.each(kinds.OWN_INDICES, ("entity.name",), only=kinds.REMOVALS)
            self._gone = {n for hits, _ in pages for hit in hits for n in hit.fields["entity.name"]}
        return self._gone

    # The end.

    def _settle(self, events: Comparison, letters: Comparison, bounds: Bounds) -> None:
        """Hold sums against topics, and tell what is wrong with them and with the accounts."""
        report = self._report
        by_reason = {
            self._reasons.names[said]: (rows, letters.ids[said])
            for said, rows in letters.rows.items()
            if said is not None
        }
        found = events.rows.total(), events.ids.total()
        missing = sum(chain.missing for chain in report.chains)
        report.sums += sums(total(report.chains), missing, found, by_reason, bounds)
        unseen = {
            chain.topic
            for chain in report.chains
            if chain.unread is None and not accounted(chain.topic)
        }
        report.remarks += [
            f"{topic} is not there, or not ours to see: nobody knows what of it is not read yet"
            for topic in sorted(unseen)
        ]
        if not self._committed:
            report.remarks.append("nothing is indexed yet: does a worker of role `index` run?")
        for chain in report.chains:
            report.remarks += chain.remarks
            for difference in chain.differences:
                if self._period.has(difference.time):
                    self._differ(difference)
        for difference in faults(report.sums):
            self._differ(difference)

    def _tell_unanswered(self, since: float) -> None:
        """Records that are no rows, and that no dead letter tells of."""
        for topic, found in self._answers.unanswered(self._names, since):
            if self._period.has(found.carried):
                place, said = (
                    f"{found.place} {found.offset}",
                    f"{found.why}; no dead letter says so",
                )
                kind = self._names[topic]
                self._differ(Difference("unanswered", kind, "", found.carried, "", "", place, said))

    def _differ(self, difference: Difference) -> None:
        self._report.differences[difference.what, difference.kind] += 1
        self._say(difference)
