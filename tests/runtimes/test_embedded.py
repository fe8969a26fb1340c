"""Bounded runs: what was read is not read twice, whatever it is called and however it grew."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.config import Config, Input
from pipeline.runtimes import lanes
from pipeline.runtimes.embedded import Embedded
from pipeline.runtimes.lanes import Chunk, Lane
from pipeline.sinks.sqlite import SqliteStore
from tests.logs import authorizer_lines, broker_lines, write
from tests.runtimes.runs import balanced, contents, events, nothing, rows, run, settled, words
from tests.trail import record

LINES = 3000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return write(tmp_path / "logs" / "server.log", broker_lines(LINES))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_every_line_is_accounted_for_and_every_detector_finds(log: Path, store: Path) -> None:
    summary = run(store, log)
    assert summary.account.records == LINES
    assert balanced(summary)
    assert summary.store["events"] == summary.account.events == len(events(store))
    found = {row["detector"] for row in rows(store, "SELECT detector FROM findings")}
    assert found == {"auth_failure_spike", "authorization_denial_spike", "log_forgery"}


def test_a_second_run_adds_nothing(log: Path, store: Path) -> None:
    first = run(store, log)
    before = contents(store)
    again = run(store, log)
    assert nothing(again)
    assert again.store == first.store
    assert contents(store) == before


def test_a_file_by_another_name_place_and_compression_adds_nothing(log: Path, store: Path) -> None:
    run(store, log)
    before = contents(store)
    other = log.parent.parent / "elsewhere"
    other.mkdir()
    shutil.copy(log, other / "a.log")
    (other / "b.log.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.rename(other / "c.log.3")
    assert nothing(run(store, other))
    assert contents(store) == before


def test_copies_in_one_folder_in_one_run_are_read_once(log: Path, store: Path) -> None:
    alone = run(store.with_name("alone.db"), log)
    shutil.copy(log, log.with_name("copy.log"))
    log.with_name("a.log.gz").write_bytes(gzip.compress(log.read_bytes()))
    summary = run(store, log.parent)
    assert summary.store == alone.store
    assert settled(store) == settled(store.with_name("alone.db"))


def test_a_shorter_older_copy_adds_nothing(log: Path, store: Path) -> None:
    first = run(store, log)
    before = contents(store)
    data = log.read_bytes()
    for size in (len(data) // 2, len(data) - 20):
        log.with_name("older.log").write_bytes(data[:size])
        log.with_name("older.gz").write_bytes(gzip.compress(data[: size // 2]))
        again = run(store, log.parent)
        assert again.account.events == 0
        assert again.account.dead_letters == {}
        assert again.account.balances()
        assert again.store == first.store
        assert contents(store) == before


def test_a_copy_that_went_another_way_is_read_and_counted(log: Path, store: Path) -> None:
    run(store, log)
    data = log.read_bytes().splitlines(keepends=True)
    other = list(broker_lines(100, seed=8))
    path = log.with_name("other.log")
    path.write_bytes(data[0] + "\n".join(other).encode())
    summary = run(store, path)
    assert summary.account.events > 80
    assert balanced(summary)
    position = rows(store, "SELECT position FROM streams")[0]["position"]
    assert position == len(log.read_bytes())


def test_a_file_that_was_written_over_is_read_again(log: Path, store: Path) -> None:
    run(store, log)
    data = log.read_bytes()
    first, _, rest = data.partition(b"\n")
    changed = first + b"\n" + rest.replace(b"User:app-", b"User:new-")
    log.write_bytes(changed)
    summary = run(store, log)
    assert summary.account.events > LINES / 2
    assert balanced(summary)
    assert nothing(run(store, log))


def test_a_file_that_grows_between_runs_gives_what_it_gives_at_once(
    log: Path, store: Path, tmp_path: Path
) -> None:
    whole = run(tmp_path / "whole.db", log)
    data = log.read_bytes()
    growing = tmp_path / "growing.log"
    for size in (*range(0, len(data), len(data) // 7 + 11), len(data)):
        growing.write_bytes(data[:size])
        assert balanced(run(store, growing))
    assert events(store) == events(tmp_path / "whole.db")
    assert settled(store) == settled(tmp_path / "whole.db")
    done = run(store, growing)
    assert nothing(done)
    assert done.store == whole.store


def test_what_the_torn_end_led_to_is_taken_back_at_every_byte(tmp_path: Path) -> None:
    # Bare lines: there an end may look whole that is not.
    log = write(tmp_path / "a.log", broker_lines(60, seed=3))
    start = len(log.read_bytes())
    more = [
        (
            "Principal = User:eve is Denied Operation = Alter from host = 192.0.2.7 on resource = "
            "Cluster:LITERAL:kafka-cluster"
        ),
        *broker_lines(2, seed=4),
    ]
    data = log.read_bytes() + "\n".join(more).encode() + b"\n"
    log.write_bytes(data)
    whole = run(tmp_path / "whole.db", log)
    growing, half = tmp_path / "growing.log", tmp_path / "half.db"
    for cut in range(start, len(data), 5):
        half.unlink(missing_ok=True)
        growing.write_bytes(data[:cut])
        assert balanced(run(half, growing))
        growing.write_bytes(data)
        assert run(half, growing).store == whole.store
        assert events(half) == events(tmp_path / "whole.db")
        assert settled(half) == settled(tmp_path / "whole.db")


def test_an_unfinished_line_that_looks_whole_is_taken_back_with_its_words(
    tmp_path: Path, store: Path
) -> None:
    log = tmp_path / "bare.json"
    line = (
        '{"@timestamp":"2026-11-01T00:00:01Z","message":"Principal = User:eve is Denied Operation'
        ' = Alter from host = 192.0.2.7 on resource = Topic:LITERAL:ord","log":{"offset":7,"file":'
        '{"path":"f"}},"host":{"name":"b1"}}'
    )
    longer = line.replace("Topic:LITERAL:ord", "Topic:LITERAL:orders")
    log.write_text(f"{line}\n{line}")
    first = run(store, log)
    assert (first.account.events, first.account.duplicates) == (1, 1)
    log.write_text(f"{line}\n{line}\n{longer}")
    second = run(store, log)
    assert (second.account.events, second.account.duplicates) == (1, 1)
    assert (words(store, "ord"), words(store, "orders")) == (1, 1)
    log.write_text(f"{line}\n{line}\n{longer}\n{longer[:-40]}")
    third = run(store, log)
    assert third.account.dead_letters
    log.write_text(f"{line}\n{line}\n{longer}\n{longer}\n")
    last = run(store, log)
    assert balanced(last)
    assert last.store["dead_letters"] == 0
    assert (words(store, "ord"), words(store, "orders")) == (1, 1)


def test_unfinished_bare_words_are_forgotten(tmp_path: Path, store: Path) -> None:
    start = "2026-11-01 00:00:01,000 INFO Principal = User:app is Allowed Operation = Read from "
    head = f"{start}host = 192.0.2.7 on resource = Topic:LITERAL:a (kafka.authorizer.logger) [t]\n"
    cut = head[:-5] + ")"
    log = tmp_path / "strimzi.log"
    log.write_text(head + head.replace("LITERAL:a", "LITERAL:Ümlaut.orders")[:-5])
    run(store, log)
    assert words(store, "orders") == 1
    log.write_text(head + head.replace("LITERAL:a", "LITERAL:Ümlaut.orders") + cut)
    summary = run(store, log)
    assert words(store, "orders") == 1
    assert len(events(store)) == summary.store["events"]
    assert balanced(summary)


class Overwritten(Embedded):
    """A run under which, after its first chunk, the log is truncated and filled anew."""

    done = False

    def apply(self, lane: Lane, chunk: Chunk) -> None:
        super().apply(lane, chunk)
        if not self.done:
            os.truncate(lane.files[0], 0)
            with lane.files[0].open("a") as file:
                file.writelines(line + "\n" for line in authorizer_lines(9000, seed=9))
        self.done = True


def test_a_file_that_is_written_over_while_it_is_read(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So little at a time that the file is longer than what is read ahead of what is written.
    monkeypatch.setattr(lanes, "CHUNK_BYTES", 64 * 1024)
    log = write(tmp_path / "a.log", authorizer_lines(9000, seed=8))
    opened = SqliteStore(store)
    first = Overwritten(Config(), [Input(path=str(log))], opened, lambda *_: None).run()
    opened.close()
    assert first.complaints == [
        f"{log}: was written over while it was read; run again for what it holds now"
    ]
    assert 0 < first.account.events < 9000
    second = run(store, log)
    assert (second.account.events, second.account.duplicates) == (9000, 0)
    assert second.account.dead_letters == {}


def test_inputs_in_any_order_give_the_same(tmp_path: Path) -> None:
    inputs = [write(tmp_path / f"{n}.log", broker_lines(400, seed=n)) for n in range(3)]
    stores = []
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        path = tmp_path / f"{order}.db"
        run(path, *(inputs[n] for n in order))
        stores.append(path)
    assert events(stores[0]) == events(stores[1]) == events(stores[2])
    assert settled(stores[0]) == settled(stores[1]) == settled(stores[2])


def test_auto_after_one_source_alone_loses_nothing(log: Path, store: Path, tmp_path: Path) -> None:
    run(tmp_path / "auto.db", log)
    first = run(store, Input(source="kafka_authorizer", path=str(log)))
    assert balanced(first)
    second = run(store, log)
    assert balanced(second)
    assert second.account.duplicates == first.account.events
    assert events(store) == events(tmp_path / "auto.db")
    assert settled(store) == settled(tmp_path / "auto.db")


class Smaller(Config):
    """An earlier release, which had one source less."""

    def plan(self):  # type: ignore[no-untyped-def]
        plan = super().plan()
        kept = {n: s for n, s in plan.sources.items() if n != "kafka_authentication"}
        return type(plan)(kept, plan.look, plan.redactor, plan.max_record_bytes)


REQUEST = (
    "[2026-11-01 00:00:02,000] INFO GET / HTTP/1.1 (io.confluent.rest-utils.requests)\n"
    "[2026-11-01 00:00:03,000] INFO [SocketServer listenerType=BROKER, nodeId=1] Failed authentication "
    "with /192.0.2.7 (reason) (org.apache.kafka.common.network.Selector)\n"
)


def test_a_source_that_was_not_there_reads_what_was_passed_over(
    store: Path, tmp_path: Path
) -> None:
    log = write(tmp_path / "a.log", broker_lines(20))
    log.write_text(log.read_text() + REQUEST + "[2026-11-01 00:00:04,000] INFO GET")
    first = run(store, log, config=Smaller())
    assert first.unread == {str(log): {"io.confluent.rest-utils.requests": 1}}
    second = run(store, log)
    assert second.account.events == 1 + sum("Selector" in line for line in broker_lines(20))
    assert balanced(second)
    assert second.store["filtered"] == second.account.filtered["unread:io.confluent.rest-utils.requests"] + sum(
        n for rule, n in (*first.account.filtered.items(), *second.account.filtered.items())
        if not rule.startswith("unread:")
    )  # fmt: skip
    assert run(store, log).unread == {str(log): {"io.confluent.rest-utils.requests": 1}}
    assert nothing(run(store, log))


def test_files_of_another_kind_are_named_and_not_counted(log: Path, store: Path) -> None:
    (log.parent / "picture.png").write_bytes(os.urandom(5000))
    (log.parent / "empty.log").touch()
    (log.parent / "cut.gz").write_bytes(gzip.compress(b"some text\n" * 9)[:15])
    summary = run(store, log.parent)
    assert summary.unrecognised == [str(log.parent / "cut.gz"), str(log.parent / "picture.png")]
    assert summary.complaints == [f"{log.parent / 'cut.gz'}: the gzip file ends in the middle"]
    assert summary.account.records == LINES


def test_what_cannot_be_read_does_not_keep_the_rest_from_being_read(log: Path, store: Path) -> None:
    (log.parent / "a.log").symlink_to("/proc/self/mem")
    summary = run(store, log.parent)
    assert summary.account.records == LINES
    assert summary.unrecognised or summary.unusable


def test_truncated_gzip_is_read_to_where_it_ends_and_gone_on_with(
    log: Path, store: Path, tmp_path: Path
) -> None:
    whole = run(tmp_path / "whole.db", log)
    packed = gzip.compress(log.read_bytes())
    path = log.with_name("server.log.gz")
    path.write_bytes(packed[: len(packed) // 2])
    log.unlink()
    first = run(store, path)
    assert first.account.dead_letters["cut_short"] == 1
    assert len(first.complaints) == 1
    assert balanced(first)
    assert nothing(run(store, path))
    path.write_bytes(packed)
    assert run(store, path).store == whole.store
    assert settled(store) == settled(tmp_path / "whole.db")


def test_a_name_that_is_not_utf8_does_no_harm(log: Path, store: Path) -> None:
    path = log.with_name(os.fsdecode(b"bad\xff.log"))
    log.rename(path)
    assert run(store, path.parent).account.events
    carriers = {row["carrier"] for row in rows(store, "SELECT carrier FROM events")}
    assert carriers == {str(log.parent / "bad\\xff.log")}


def test_times_before_1970_are_found_again(tmp_path: Path, store: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "[1969-12-31 23:59:59,000] INFO Principal = User:a is Denied operation = ALTER from host = "
        "192.0.2.7 on resource = Cluster:LITERAL:kafka-cluster for request = AlterConfigs with "
        "resourceRefCount = 1 based on rule DefaultDeny (kafka.authorizer.logger)"
    )
    assert run(store, log).account.events == 1
    log.write_text(log.read_text() + "\n")
    assert balanced(run(store, log))
    assert len(events(store)) == 1


def test_of_two_records_of_one_name_the_first_counts_however_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "trail.jsonl"
    first = json.dumps(record("iam", "CreateUser", eventID="id-1"))
    second = json.dumps(record("s3", "DeleteBucketPolicy", eventID="id-1"))
    write(path, [first, second])
    run(tmp_path / "at-once.db", path)
    write(path, [first])
    run(tmp_path / "grown.db", path)
    write(path, [first, second])
    run(tmp_path / "grown.db", path)
    for store in ("at-once.db", "grown.db"):
        found = rows(tmp_path / store, "SELECT operation FROM events")
        assert [row["operation"] for row in found] == ["CreateUser"], store
