"""A stream on a real broker, its workers, and what is in it: to be held against an embedded run."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from pipeline.changes.join import joined
from pipeline.config import Config, load
from pipeline.lab.kafka import Kafka
from pipeline.lab.leash import complaints
from pipeline.rights import READS
from pipeline.runtimes.kafka.connection import client
from pipeline.runtimes.kafka.notices import LOG_NAMES
from pipeline.runtimes.kafka.states import read_whole
from pipeline.runtimes.kafka.topics import Layout, check
from pipeline.runtimes.kafka.watermarks import watermarks
from pipeline.runtimes.kafka.wires import wires
from pipeline.sinks.sqlite import SqliteStore
from pipeline.sinks.sqlite_query import SqliteReader
from tests.commands import auditstream, summary
from tests.runtimes.kafka.running import eventually
from tests.worker_process import Running

QUICK = {
    # A worker that was killed is missed soon, and its transaction ended for it.
    "group.min.session.timeout.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
    "group.initial.rebalance.delay.ms": "0",
}
"""Properties of a broker on which workers die often."""

Ids = set[bytes]


@dataclass
class View:
    """What a run came to, as far as it must be the same wherever it ran.

    `events` has each event's document without what says how it was carried; `findings` and
    `changes` are the settled view.
    """

    events: dict[bytes, Any]
    findings: dict[bytes, tuple[Any, ...]]
    changes: dict[bytes, tuple[Any, ...]]
    dead_letters: Ids
    account: dict[str, Any]

    def differences(self, other: View) -> list[str]:
        """What is not the same, in words; empty: all is."""
        out = []
        for name in ("events", "findings", "changes"):
            mine, theirs = getattr(self, name), getattr(other, name)
            unlike = [i for i in mine.keys() & theirs.keys() if mine[i] != theirs[i]]
            for what, ids in (
                ("only here", mine.keys() - theirs.keys()),
                ("only there", theirs.keys() - mine.keys()),
                ("unlike", unlike),
            ):
                if ids:
                    some = [(mine.get(i), theirs.get(i)) for i in sorted(ids)[:2]]
                    out.append(f"{name} {what}: {len(ids)}, such as {some}"[:3_000])
        if self.dead_letters != other.dead_letters:
            out.append(f"dead letters: {len(self.dead_letters)} and {len(other.dead_letters)}")
        if self.account != other.account:
            out.append(f"accounts: {self.account} and {other.account}")
        return out


def uncarried(document: bytes) -> Any:
    """An event's document without what says how it was carried."""
    said = orjson.loads(document)
    del said["auditstream"]["carriage"]
    return said


def digested(document: bytes) -> bytes:
    """The same in few bytes, where there are very many."""
    said = orjson.dumps(uncarried(document), option=orjson.OPT_SORT_KEYS)
    return sha256(said).digest()[:16]


Document = Callable[[bytes], Any]
"""What is kept of an event's document in a view: `uncarried` or `digested`."""


def embedded(config: Path, folder: Path, *more: str, document: Document = uncarried) -> View:
    """What one undisturbed run of the embedded runtime comes to, over the inputs of `config`."""
    store = folder / "embedded.db"
    arguments = ("run", "--config", str(config), "--store", str(store), "--summary", "json")
    done = auditstream(*arguments, *more, cwd=folder, timeout_s=3600)
    assert done.returncode == 0, done.stderr
    said = summary(done.stdout)
    database = sqlite3.connect(store)
    events = {i: document(o) for i, o in database.execute("SELECT id, ocsf FROM events")}
    dead_letters = {i for (i,) in database.execute("SELECT id FROM dead_letters")}
    database.close()
    reader = SqliteReader(store)
    changes = {bytes.fromhex(c.id): c for _, found in joined(reader.legs()) for c in found}
    reader.close()
    writer = SqliteStore(store)
    names = {row[0] for row in writer._all("SELECT DISTINCT detector FROM findings")}
    findings = {f.id: f for name in names for f in writer.said(name) if f.status == "open"}
    writer.close()
    return View(
        events,
        {i: _settled(vars_of(f)) for i, f in findings.items()},
        {
            i: (c.deed.kind, c.deed.target, c.outcome, [bytes.fromhex(leg.id) for leg in c.legs])
            for i, c in changes.items()
        },
        dead_letters,
        {
            "items": said["items"],
            "events": said["events"] + said["duplicates"],
            "filtered": said["filtered_by_rule"],
            "dead_letters": said["dead_letters_by_reason"],
        },
    )


def vars_of(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def _settled(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("detector", "key", "cluster", "severity_id", "first_time", "last_time", "count")
    flags = ("status", "suspect", "lower_bound", "actor", "address")
    return (*(row[n] for n in (*names, *flags)), [bytes(i) for i in row["evidence"]])


class StreamOn:
    """One stream of its own on a broker.

    Args:
        config: TOML of inputs, estates and principals, or a file with a whole configuration.
        more: settings of the section `[kafka]`, where that is not in the file.
    """

    def __init__(
        self,
        kafka: Kafka,
        folder: Path,
        name: str,
        config: str | Path,
        partitions: int = 3,
        **more: Any,
    ) -> None:
        self.kafka, self.folder, self.name = kafka, folder, name
        folder.mkdir(exist_ok=True)
        self._workers = self.written = 0
        self._watched: list[Running] = []
        self._layout: Layout | None = None
        self.behind: list[tuple[str, int, int, int]] = []
        if isinstance(config, str):
            config = self._configured(config, {"partitions": partitions, **more})
        self.path = config
        self.config: Config = load(self.path)
        self.settings = {**client(self.config.kafka), "group.id": f"{name}-reader"}
        self.command("topics", "apply")

    def _configured(self, config: str, more: Mapping[str, Any]) -> Path:
        password, path = self.folder / "password", self.folder / "auditstream.toml"
        password.write_text(self.kafka.users["admin"])
        settings = {
            "brokers": self.kafka.bootstrap(), "prefix": self.name, "group": self.name,
            "replication": 1, "folder": str(self.folder / "work"), **more,
        }  # fmt: skip
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        login = [
            'mechanism = "SCRAM-SHA-256"', 'username = "admin"', f'password_file = "{password}"',
        ]  # fmt: skip
        path.write_text("\n".join([config, "[kafka]", *lines, "[kafka.sasl]", *login]), "utf-8")
        return path

    def command(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run one of our commands with this configuration; what it said."""
        done = auditstream(*arguments, "--config", self.path, cwd=self.folder, timeout_s=timeout_s)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def collect(self, *more: str) -> None:
        """Send the inputs to the raw topics."""
        self.command("collect", *more, timeout_s=600)

    def start(self, *roles: str, **options: Any) -> Running:
        """A worker; `options` are those of `dying.py`."""
        self._workers += 1
        folder = self.folder / f"worker{self._workers}"
        return Running(folder, {"config": str(self.path), "roles": roles, **options})

    @contextmanager
    def worker(self, *roles: str, **options: Any) -> Iterator[Running]:
        """The same, killed in the end if it still runs; watched over by `finish`."""
        running = self.start(*roles, **options)
        self._watched.append(running)
        try:
            yield running
        finally:
            self._watched.remove(running)
            running.process.kill()

    # What is in it.

    def layout(self) -> Layout:
        self._layout = check(self.config.kafka)
        return self._layout

    def rows(self, name: str, schema: str) -> list[dict[str, Any]]:
        """All committed rows of a topic there are now; of each partition in order."""
        found: list[dict[str, Any]] = []
        self.each(name, schema, found.append)
        return found

    def each(self, name: str, schema: str, see: Callable[[dict[str, Any]], object]) -> None:
        """The same, one by one."""
        decode = wires(self.config.kafka).decoder(schema)
        topic = name if name.startswith(f"{self.name}.") else self.config.kafka.topic(name)

        def take(_: bytes | None, value: bytes | None) -> None:
            if value is not None:
                see(decode(value))

        for partition in range((self._layout or self.layout()).partitions[topic]):
            read_whole(self.settings, topic, partition, take, patience_s=60)

    def events(self, document: Document = uncarried) -> dict[bytes, Any]:
        """The events by id; how many rows they are is then in `written`."""
        found: dict[bytes, Any] = {}
        self.written = 0

        def see(row: dict[str, Any]) -> None:
            self.written += 1
            found[row["id"]] = document(row["ocsf"])

        self.each("events", "audit_event", see)
        return found

    def holds(self, name: str) -> int:
        """How many positions a topic has, committed or not."""
        topic = self.config.kafka.topic(name)
        partitions = range((self._layout or self.layout()).partitions[topic])
        found = watermarks(self.settings, [(topic, partition) for partition in partitions])
        return sum(high - low for low, high in found.values())

    def view(self, document: Document = uncarried) -> View:
        """What the stream has come to."""
        dead_letters = {row["id"] for row in self.rows("dead-letters", "dead_letter")}
        return View(
            self.events(document),
            {
                i: _settled(row)
                for i, row in _open(self.rows("findings", "finding")).items()
                # What the stream says of itself goes by clocks, not by events.
                if orjson.loads(row["ocsf"])["metadata"]["log_name"] not in LOG_NAMES
            },
            {
                i: (row["kind"], row["target"], row["outcome"], row["legs"])
                for i, row in _open(self.rows("changes", "change")).items()
            },
            dead_letters,
            self.account(),
        )

    def account(self) -> dict[str, Any]:
        """The sum of the chained accounts; fails where they do not chain, or do not reach the end."""
        by_partition: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for row in self.rows("accounts", "account"):
            by_partition.setdefault((row["topic"], row["partition"]), []).append(row)
        filtered: Counter[str] = Counter()
        dead_letters: Counter[str] = Counter()
        items = events = 0
        for place, rows in by_partition.items():
            at = 0
            for row in sorted(rows, key=lambda row: row["start"]):
                assert row["start"] == at, f"{place} does not chain at {at}: {row}"
                at = row["end"]
                items, events = items + row["items"], events + row["events"]
                filtered.update(row["filtered"])
                dead_letters.update(row["dead_letters"])
            assert at == self._end(*place), f"{place} ends at {at}"
        return {
            "items": items, "events": events, "filtered": dict(filtered),
            "dead_letters": dict(dead_letters),
        }  # fmt: skip

    # How far it is.

    def sharing(self) -> int:
        """How many workers have partitions of the raw topics."""
        group = f"{self.name}-ingest"
        admin = AdminClient(self.settings)
        try:
            members = admin.describe_consumer_groups([group])[group].result(60).members
        except KafkaException:
            return 0
        return sum(bool(member.assignment.topic_partitions) for member in members)

    def _end(self, topic: str, partition: int) -> int:
        return watermarks(self.settings, [(topic, partition)])[topic, partition][1]

    def finished(self, roles: Sequence[str] = ("ingest", "detect")) -> bool:
        """Whether these roles have committed all there is for them."""
        layout, topic = self._layout or self.layout(), self.config.kafka.topic
        topics = {
            "ingest": layout.raw,
            "detect": [layout.counters_topic, topic("control"), topic("clocks")],
            "index": [topic(name) for name in READS["index"]],
        }
        with suppress(KafkaException):
            return all(
                self._all_committed(f"{self.config.kafka.group}-{role}", topics[role], layout)
                for role in roles
            )
        return False

    def _all_committed(self, group: str, topics: Any, layout: Layout) -> bool:
        consumer = Consumer(self.settings | {"group.id": group, "log_level": 0})
        self.behind = []
        try:
            asked = [TopicPartition(t, p) for t in topics for p in range(layout.partitions[t])]
            committed = consumer.committed(asked, 30)
            ends = watermarks(self.settings, [(tp.topic, tp.partition) for tp in committed])
            for tp in committed:
                _, end = ends[tp.topic, tp.partition]
                if end and tp.offset != end:
                    self.behind.append((tp.topic, tp.partition, tp.offset, end))
            return not self.behind
        finally:
            consumer.close()

    def dies(self, role: str, point: str, turn: int) -> None:
        """Have a worker of a role killed at such a point, a number of `POINTS`, of its work."""
        said = ""
        # What dies is soon to be missed: a stall may have put it out before it came there.
        for _ in range(4):
            with self.worker(role, die=point, turn=turn) as doomed:
                self.eventually(doomed.ended, f"death at {point}")
                if doomed.process.kill() == -signal.SIGKILL:
                    return
                said += doomed.said
        raise AssertionError(f"no death at {point}: {said}")

    def eventually(
        self, condition: Callable[[], bool], what: str, timeout_s: float = 240, pause_s: float = 0.3
    ) -> None:
        """Wait for something that workers do.

        A worker that was put out of its group by a stall of the machine ends, as it should, and is
        started again, as by whatever watches it.
        """

        def so() -> bool:
            for worker in self._watched:
                worker.keep_up()
            return condition()

        eventually(so, what, timeout_s, pause_s)

    def finish(self, timeout_s: float = 240, roles: Sequence[str] = ("ingest", "detect")) -> None:
        """Wait until all that is in the raw topics has led to all it leads to."""
        try:
            self.eventually(
                lambda: self.finished(roles), f"{self.name} to be worked off", timeout_s
            )
        except AssertionError as error:
            said = "\n".join(
                f"{path.parent.name}: {line}"
                for path in sorted(self.folder.glob("worker*/output.log"))
                for line in complaints(path).splitlines()
            )
            raise AssertionError(f"{error}; not committed: {self.behind}\n{said}") from None


def _open(rows: list[dict[str, Any]]) -> dict[bytes, dict[str, Any]]:
    """The settled view: of each id the last version, if it is open."""
    last: dict[bytes, dict[str, Any]] = {}
    for row in rows:
        if row["id"] not in last or row["version"] > last[row["id"]]["version"]:
            last[row["id"]] = row
    return {i: row for i, row in last.items() if row["status"] == "open"}
