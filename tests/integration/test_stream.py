"""Workers on a real broker come to what one embedded run comes to, whatever happens to them."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka import Producer

from pipeline.lab.kafka import Kafka
from schemas.wire import encoder
from tests.cli.test_hostile_files import FILES
from tests.logs import authorizer_lines, broker_lines, write
from tests.runtimes.kafka.dying import POINTS
from tests.schemas.made import dead_letters, events
from tests.streams import StreamOn, View, embedded

pytestmark = pytest.mark.integration

INCIDENT = Path(__file__).parents[2] / "pipeline" / "incident"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The incident, and beside it two brokers' logs that somebody else's trouble is in."""
    folder = tmp_path_factory.mktemp("inputs")
    said = (INCIDENT / "auditstream.toml").read_text("utf-8")
    said = said.replace('path = "', f'path = "{INCIDENT}/')
    for number in (1, 2):
        path = folder / f"broker-{number}.log"
        write(path, broker_lines(2_000, seed=number))
        path.write_bytes(path.read_bytes() + b"\xff not UTF-8\n[2026-11-21 10:00:00,000] INFO torn")
        said += f'\n[[inputs]]\npath = "{path}"\ncluster = "kafka-{number}"\nzone = "UTC"\n'
    return said


@pytest.fixture(scope="module")
def expected(inputs: str, tmp_path_factory: pytest.TempPathFactory) -> View:
    folder = tmp_path_factory.mktemp("expected")
    config = folder / "auditstream.toml"
    config.write_text(inputs, "utf-8")
    view = embedded(config, folder)
    assert len(view.events) > 3_000
    assert len(view.findings) > 17
    assert len(view.changes) > 30
    assert view.dead_letters
    return view


def test_one_worker_comes_to_the_same(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path
) -> None:
    stream = StreamOn(kafka, tmp_path / "s", "plain", inputs)
    stream.collect()
    with stream.worker("ingest", "detect") as worker:
        stream.finish()
        assert stream.view().differences(expected) == []
        # Each event is there once: what a worker commits, it commits once.
        assert len(stream.rows("events", "audit_event")) == len(expected.events)
        assert worker.stop() == 0, worker.said
    # Sent again, everything is known.
    stream.collect("--progress", str(tmp_path / "forgotten.db"))
    with stream.worker("ingest", "detect"):
        stream.finish()
    assert stream.view().differences(expected) == []
    assert len(stream.rows("events", "audit_event")) == len(expected.events)
    assert sum(row["redelivered"] for row in stream.rows("accounts", "account")) > 3_000


def test_batches_of_any_size_and_workers_of_any_number(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path
) -> None:
    stream = StreamOn(kafka, tmp_path / "s", "small", inputs, partitions=5, batch_records=37)
    with (
        stream.worker("ingest"),
        stream.worker("detect"),
        stream.worker("ingest", "detect") as last,
    ):
        stream.collect()
        stream.finish()
        assert last.stop() == 0, last.said
        assert stream.view().differences(expected) == []


@pytest.mark.parametrize("role", ["ingest", "detect"])
def test_killed_at_every_point_of_a_batch(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path, role: str
) -> None:
    name = f"killed-{role}"
    stream = StreamOn(kafka, tmp_path / "s", name, inputs, batch_records=60)
    stream.collect()
    other = "detect" if role == "ingest" else "ingest"
    # These are to live, however long a busy machine lets them wait.
    with stream.worker(other, session_s=30):
        for turn, point in enumerate(POINTS):
            stream.dies(role, point, 1 + turn % 2)
        with stream.worker(role, session_s=30):
            stream.finish()
    assert stream.view().differences(expected) == []
    if role == "ingest":
        assert len(stream.rows("events", "audit_event")) == len(expected.events)


def test_a_zombie_says_nothing_more(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path
) -> None:
    stream = StreamOn(kafka, tmp_path / "s", "zombie", inputs, batch_records=40)
    stream.collect()
    # Long enough that the zombie finds its transaction open when it comes back. All workers have
    # the same: by it they know how long one of a worker that is gone may hold them up.
    both = {"transaction_ms": 60_000, "session_s": 10}
    with stream.worker("ingest", "detect", **both) as zombie:

        def has_begun() -> bool:
            return not zombie.ended() and stream.holds("findings") > 10

        stream.eventually(has_begun, "its first batches")
        zombie.signal(signal.SIGSTOP)
        with stream.worker("ingest", "detect", **both):
            time.sleep(15)
            zombie.signal(signal.SIGCONT)
            stream.finish()
            assert stream.view().differences(expected) == []


def test_what_waits_for_anothers_transaction_can_be_taken_away(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path
) -> None:
    stream = StreamOn(kafka, tmp_path / "s", "held-up", inputs)
    stream.collect()
    # Of somebody who neither commits nor takes back, where all must read to the end.
    more = {"transactional.id": "held-up-by", "transaction.timeout.ms": 300_000}
    other = Producer(stream.settings | more)
    other.init_transactions(120)
    other.begin_transaction()
    state = stream.config.kafka.topic("state")
    for partition in range(stream.layout().partitions[state]):
        other.produce(state, None, b"of nobody", partition)
    assert other.flush(120) == 0
    with stream.worker("ingest", transaction_ms=200_000) as first:
        stream.eventually(lambda: stream.sharing() == 1, "one to have all")
        with stream.worker("ingest", "detect"):
            # Else it would go on waiting until the group does without it, and end for that.
            stream.eventually(lambda: stream.sharing() == 2, "both to have a share")
            assert first.stop() == 0, first.said
            assert stream.holds("events") == 0
            other.abort_transaction(120)
            stream.finish()
            assert stream.view().differences(expected) == []


def test_a_second_set_of_workers_is_what_a_stream_would_be_today(
    kafka: Kafka, inputs: str, expected: View, tmp_path: Path
) -> None:
    """As docs/replay.md has it: another prefix, and the raw topics of the first."""
    # Then nobody was known: other findings, and actors of no kind.
    then = "\n[[".join(one for one in inputs.split("\n[[") if not one.startswith("principals"))
    first = StreamOn(kafka, tmp_path / "first", "then", then)
    first.collect()
    with first.worker("ingest", "detect"):
        first.finish()
        assert len(first.view().differences(expected)) > 1
    raw = '[[kafka.raw]]\ntopic = "then.raw.*"\n'
    second = StreamOn(kafka, tmp_path / "second", "today", raw + inputs)
    with second.worker("ingest", "detect"):
        second.finish()
    assert second.view().differences(expected) == []


GARBAGE = (
    b"", b"\0" * 40, b"\xc3\x01", b"\xc3\x01" + b"\xff" * 30, b'{"json": true}',
    Random(4).randbytes(900), encoder("dead_letter")(dead_letters()[0]),
    encoder("audit_event")(events()[0])[:-3],
)  # fmt: skip


def test_poison_stops_nothing(kafka: Kafka, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for make in FILES:
        make(files / f"{make.__name__}{'.gz' if 'gzip' in make.__name__ else ''}")
    inputs = "".join(
        f'[[inputs]]\npath = "{path}"\nsource = "kafka_authorizer"\ncluster = "c"\nzone = "UTC"\n'
        for path in sorted(files.iterdir())
    )
    stream = StreamOn(kafka, tmp_path / "s", "poison", inputs)
    stream.collect()
    _send_poison(stream)
    recorded = stream.folder / "recorded.toml"
    whole = stream.path.read_text("utf-8")
    lines = f'[[inputs]]\npath = "kafka:poison.raw.*"\n{whole[whole.index("[kafka]") :]}'
    recorded.write_text(lines, "utf-8")
    expected = embedded(recorded, tmp_path)
    assert len(expected.dead_letters) > 500
    with stream.worker("ingest", "detect"):
        stream.finish(120)
        foreign = {
            row["id"]
            for row in stream.rows("dead-letters", "dead_letter")
            if row["reason"] == "foreign"
        }
        # What has no value is no clock any more: a compacted topic forgets so.
        assert len(foreign) == 3 * len(GARBAGE)
        view = stream.view()
        view.dead_letters -= foreign
        assert view.differences(expected) == []


def _send_poison(stream: StreamOn) -> None:
    """Records that no collector sends, and some in topics that are none of theirs."""
    producer = Producer(stream.settings | {"message.max.bytes": 2_000_000})
    line = next(authorizer_lines(1)).encode()
    headers: list[list[tuple[str, Any]]] = [
        [],
        [("audit-stream", b"{"), ("audit-offset", b"-1")],
        [("audit-stream", b'{"origin": "zz", "source": 7}'), ("audit-end", b"1")],
        [("audit-stream", None), ("audit-offset", b"9" * 40), ("audit-length", b"x")],
        [("x" * 1_000, b"\xff" * 1_000)],
    ]
    for number, said in enumerate(headers):
        for value in (None, b"", line, b"\xff\xfe" + line, Random(number).randbytes(700_000)):
            producer.produce("poison.raw.auto", value, b"%d" % number, headers=said)
    for topic in ("control", "clocks", "counters"):
        for number, value in enumerate(GARBAGE):
            producer.produce(f"poison.{topic}", value, b"%d" % number)
    producer.flush()
