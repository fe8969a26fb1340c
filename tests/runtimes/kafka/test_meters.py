"""What a batch counts, and that counting is cheap and its labels are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from pipeline.runtimes.kafka import ingesting
from pipeline.runtimes.kafka.counting import CountedPartition
from pipeline.runtimes.kafka.health import Watch
from pipeline.runtimes.kafka.ingesting import RawPartition
from pipeline.runtimes.kafka.meters import (
    DELAYS_S,
    MOST_CLUSTERS,
    MOST_REASONS,
    Delays,
    Meters,
)
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.tally import Tally
from pipeline.sinks.opensearch import Sent
from schemas.types import AccountOf
from tests.runtimes.kafka.test_ingesting import (
    COUNTING,
    INGESTING,
    LINES,
    TOPIC,
    WHOLE,
    batch,
    kept,
    records,
    rows,
)

NOW_MS = 1_795_000_000_000


def value(meters: Meters, name: str, **labels: str) -> float | None:
    return meters.registry.get_sample_value(f"auditstream_{name}", labels)


def account(filtered: dict[str, int], events: int = 0) -> AccountOf:
    items = events + sum(filtered.values())
    return AccountOf(TOPIC, 0, 0, items, 0, items, 2, items, events, filtered, {})


def test_a_batch_counts_what_its_account_says() -> None:
    done, watch = batch(list(records(LINES, 3))), Watch("ingest")
    [said] = rows(list(INGESTING.work(RawPartition({}), done)), "audit.accounts", "account")
    assert value(watch.meters, "items_total", outcome="event", reason="") is None
    watch.done("ingest", (TOPIC, 0), len(done.records), 0, 0.25, done.tally)
    assert value(watch.meters, "items_total", outcome="event", reason="") == said["events"] > 0
    for reason, count in said["dead_letters"].items():
        labels = {"outcome": "dead_letter", "reason": reason}
        assert value(watch.meters, "items_total", **labels) == count
        assert value(watch.meters, "dead_letters_total", work="ingest", reason=reason) == count
    assert said["dead_letters"]
    logged = sum(n for rule, n in said["filtered"].items() if rule.startswith("logger:"))
    assert value(watch.meters, "items_total", outcome="filtered", reason="logger") == logged > 0
    assert value(watch.meters, "records_total", work="ingest", topic=TOPIC) == len(LINES)
    assert value(watch.meters, "batch_records_sum", work="ingest") == len(LINES)
    assert value(watch.meters, "batch_seconds_sum", work="ingest") == 0.25
    assert value(watch.meters, "event_delay_seconds_count", work="ingest") == said["events"]


def test_what_is_given_up_counts_nothing() -> None:
    done = batch(list(records(LINES, 3)))
    list(INGESTING.work(RawPartition({}), done))
    done.tally.clear()
    assert done.tally == Tally()


def test_a_worker_killed_and_the_next_count_no_item_twice() -> None:
    """Of what is read again, the next worker counts only what is behind the position."""
    taken, meters = list(records(LINES, 3)), Meters()
    part = RawPartition({})
    first, again = batch(taken[:500]), batch(taken[300:])
    for one in (first, batch(taken[:500]), again):
        list(INGESTING.work(part, one))
        meters.done("ingest", TOPIC, 0, 0, 0, one.tally)
    whole = batch(taken)
    list(INGESTING.work(RawPartition({}), whole))
    assert whole.tally.account is not None
    assert value(meters, "items_total", outcome="event", reason="") == whole.tally.account.events


def test_labels_are_few_whatever_clients_write() -> None:
    meters = Meters()
    loggers = {f"logger:com.example.L{number}": 1 for number in range(1_000)}
    loggers |= {f"unread:kafka.{number}": 1 for number in range(1_000)}
    foreign = {f"theirs{number}": 1 for number in range(MOST_REASONS * 2)}
    known = {"kafka_request:nothing_asked": 7, "own:ingest": 3}
    for filtered in (loggers, known, foreign):
        meters.done("ingest", TOPIC, 1, 0, 0, Tally(account(filtered)))
    assert value(meters, "items_total", outcome="filtered", reason="logger") == 1_000
    assert value(meters, "items_total", outcome="filtered", reason="unread") == 1_000
    labels = {"outcome": "filtered", "reason": "kafka_request:nothing_asked"}
    assert value(meters, "items_total", **labels) == 7
    assert value(meters, "items_total", outcome="filtered", reason="own") == 3
    said = generate_latest(meters.registry).decode()
    assert said.count('outcome="filtered"') == MOST_REASONS + 1
    assert "_created" not in said
    assert "com.example" not in said


def test_bulk_requests() -> None:
    meters = Meters()
    meters.sent(Sent(0.2, indexed=7, rejected=2, refused=1))
    meters.sent(Sent(5.0, rejected=10, failed=True))
    assert value(meters, "bulk_documents_total", outcome="indexed") == 7
    assert value(meters, "bulk_documents_total", outcome="rejected") == 12
    assert value(meters, "bulk_documents_total", outcome="refused") == 1
    assert value(meters, "bulk_seconds_sum", outcome="answered") == 0.2
    assert value(meters, "bulk_seconds_count", outcome="failed") == 1


def delays(batches: Iterable[list[int]]) -> tuple[list[float], float]:
    found = Delays()
    for times in batches:
        found.see("ingest", times, NOW_MS)
    [family] = found.collect()
    buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
    [total] = [sample.value for sample in family.samples if sample.name.endswith("_sum")]
    return buckets, total


AROUND = st.one_of(
    st.just(0),
    st.integers(NOW_MS - 10**9, NOW_MS + 10**6),
    st.sampled_from([NOW_MS - int(bound * 1000) + off for bound in DELAYS_S for off in (-1, 0, 1)]),
)


@given(st.lists(st.lists(AROUND, min_size=1), min_size=1))
def test_delays_are_those_of_single_observations(batches: list[list[int]]) -> None:
    ages = [max(0.0, (NOW_MS - at) / 1000) for times in batches for at in times if at > 0]
    expected = [float(sum(age <= bound for age in ages)) for bound in DELAYS_S]
    buckets, total = delays(batches)
    assert buckets == [*expected, float(len(ages))]
    assert total == pytest.approx(sum(ages))


def test_state_is_as_large_as_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingesting, "MOST_STREAMS", 3)
    sent: list[Outgoing] = []
    part = RawPartition({})
    for number, line in enumerate(LINES[:20]):
        [record] = records([line], first=number)
        # Five hosts by turns, of which three are remembered.
        record.headers, record.key = (), b"%d" % (number % 5)
        done = batch([record])
        sent += INGESTING.work(part, done)
        held = [state for name, state in kept(sent).items() if name]
        assert done.tally.state == {(TOPIC, 0): (len(held), sum(map(len, held)))}
        # Whoever takes it over knows as much.
        assert RawPartition(kept(sent)).streams.size == (len(held), sum(map(len, held)))
    assert len(held) == 3


def test_findings_are_counted_as_they_are_said() -> None:
    values = [one.value for one in WHOLE if one.topic == "audit.counters"]
    observed = [
        SimpleNamespace(value=value, offset=offset, topic="t", partition=0, timestamp=0)
        for offset, value in enumerate(values)
    ]
    meters, part = Meters(), CountedPartition({})
    sent: list[Outgoing] = []
    for begin in range(0, len(observed), 10):
        done = batch(observed[begin : begin + 10])
        sent += COUNTING.work(part, done)
        meters.done("count", "t", 0, 0, 0, done.tally)
    said = rows(sent, "audit.findings", "finding")
    assert len({row["id"] for row in said}) < len(said)
    total: Counter[str] = Counter()
    for name in ("findings_total", "finding_versions_total"):
        for family in meters.registry.collect():
            for sample in family.samples:
                if sample.name == f"auditstream_{name}":
                    total[name] += int(sample.value)
    assert total == {
        "findings_total": len({row["id"] for row in said}), "finding_versions_total": len(said),
    }  # fmt: skip


def test_clusters_are_few_whatever_is_sent() -> None:
    meters = Meters()
    names = ["c" * 101, *(f"cluster-{number}" for number in range(MOST_CLUSTERS * 2))]
    for name in names * 2:
        tally = Tally()
        tally.events["kafka_authorizer", name] += 3
        meters.done("ingest", TOPIC, 1, 0, 0, tally)
    source = {"source": "kafka_authorizer"}
    assert value(meters, "events_total", cluster="cluster-0", **source) == 6
    assert value(meters, "events_total", cluster="(other)", **source) == 6 * (MOST_CLUSTERS + 1)
    said = generate_latest(meters.registry).decode()
    assert said.count("auditstream_events_total{") == MOST_CLUSTERS + 1
    assert said.count("auditstream_source_last_event_timestamp_seconds{") == MOST_CLUSTERS + 1
