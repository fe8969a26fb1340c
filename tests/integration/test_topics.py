"""`auditstream topics` against a real broker: what is made, what is changed, what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from pipeline.config import Config
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.connection import client
from pipeline.runtimes.kafka.topics import check, wanted
from pipeline.stages.detect import sighted
from pipeline.streaming import RawTopic, Streaming
from schemas.types import Event
from schemas.vocabulary import AUTHENTICATION
from schemas.wire import decoder, encoder
from tests.awaited import alter, delete, grow
from tests.commands import exit_status
from tests.runtimes.kafka.running import eventually
from tests.runtimes.kafka.secured import actions, as_user, done, secured, values

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with secured(tmp_path_factory.mktemp("topics")) as broker:
        yield broker


@pytest.fixture
def streaming(kafka: Kafka, tmp_path: Path, request: pytest.FixtureRequest) -> Streaming:
    """As the super user, with a prefix and a group of the test's own."""
    name = request.node.name.removeprefix("test_").partition("[")[0][:60]
    return as_user(kafka, tmp_path, "admin", Streaming(prefix=name, group=name))


def configuration(streaming: Streaming, path: Path) -> Path:
    """The same settings as a file."""
    said = streaming.model_dump(exclude_defaults=True)
    tls, sasl = said.pop("tls"), said.pop("sasl")
    lines = [
        f"[kafka]\n{_toml(said)}",
        f"[kafka.tls]\n{_toml(tls)}",
        f"[kafka.sasl]\n{_toml(sasl)}",
    ]
    path.write_text("\n".join(lines))
    return path


def _toml(section: dict[str, Any]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in section.items())


def altered(streaming: Streaming, name: str, **settings: str) -> None:
    named = {setting.replace("_", "."): value for setting, value in settings.items()}
    alter(Cluster(streaming), streaming.topic(name), named)


def failures(count: int) -> Iterator[Event]:
    """Failed logins of a few principals."""
    for number in range(count):
        event = Event(
            1_795_000_000_000 + number * 1000, AUTHENTICATION, 1, "failure", "kafka_authentication"
        )
        event.id, event.cluster = b"%016d" % number, "default"
        event.actor, event.address = f"User:u{number % 7}", f"192.0.2.{number % 9}"
        yield event


def test_an_empty_cluster_gets_all_topics_once(streaming: Streaming) -> None:
    everything = {want.name for want in wanted(streaming)}
    assert actions(streaming) == dict.fromkeys(everything, "make")
    said = done(streaming)
    assert sum("made, with 2 partitions" in line for line in said) == len(everything)
    assert actions(streaming) == {}
    assert done(streaming) == []
    layout = check(streaming)
    assert layout.counters_topic == streaming.topic("counters")
    assert set(layout.partitions) == {streaming.topic(name) for name in everything}
    assert set(layout.partitions.values()) == {2}
    assert streaming.topic("raw.auto") in layout.raw
    assert streaming.topic("events") not in layout.raw


def test_settings_that_drifted_are_set_back(streaming: Streaming) -> None:
    done(streaming)
    altered(streaming, "events", retention_ms="1000", cleanup_policy="compact")
    assert actions(streaming) == {"events": "alter"}
    said = done(streaming)
    assert f"{streaming.topic('events')}: retention.ms was 1000, is 604800000 now" in said
    eventually(lambda: actions(streaming) == {}, "the settings to be as they should be")


def test_only_topics_that_bear_it_are_given_partitions(streaming: Streaming) -> None:
    done(streaming)
    more = streaming.model_copy(update={"partitions": 3})
    found = actions(more)
    assert {name for name in found if found[name] == "alter"} == {"events", "dead-letters"}
    assert found["counters.2"] == "re-key"
    said = "\n".join(done(more))
    assert f"{more.topic('events')}: 2 partitions are 3 now" in said
    assert f"{more.topic('control')}: stays at 2 partitions: growing it would part its" in said
    assert f"{more.topic('raw.auto')}: stays at 2 partitions: growing it would part files" in said
    layout = check(more)
    assert layout.partitions[more.topic("control")] == 2
    assert layout.partitions[more.topic("events")] == 3
    assert layout.counters_topic == more.topic("counters.2")
    fewer = streaming.model_copy(update={"partitions": 1})
    assert actions(fewer) == {}


def test_what_was_grown_in_place_is_refused(streaming: Streaming) -> None:
    done(streaming)
    topic = streaming.topic("control")
    grow(Cluster(streaming), topic, 3)
    wrong = f"{topic} has 3 partitions but was made with 2: growing it in place.*delete {topic}"
    with pytest.raises(ClusterError, match=wrong):
        check(streaming)
    assert actions(streaming) == {"control": "refuse"}
    assert any("left as it is" in line and wrong[:40] in line for line in done(streaming))


@pytest.mark.parametrize("how", ["in place", "by setting"])
def test_counters_of_the_next_generation_are_those_of_the_first(
    streaming: Streaming, how: str
) -> None:
    streaming = streaming.model_copy(update={"prefix": how.replace(" ", "-")})
    done(streaming)
    events, active = failures(3_000), Config().active()
    first, second = (streaming.topic(name) for name in ("counters", "counters.2"))
    producer = Producer(client(streaming) | {"partitioner": "murmur2_random"})
    event, observation = encoder("audit_event"), encoder("observation")
    for one in events:
        producer.produce(streaming.topic("events"), event(one), one.id)
        for seen in sighted(active, [one]):
            key = f"{seen.detector}\0{seen.cluster}\0{seen.key}".encode()
            producer.produce(first, observation(seen), key)
    producer.flush()
    if how == "in place":
        grow(Cluster(streaming), first, 5)
        with pytest.raises(ClusterError, match=r"was made with 2.*it makes their next generation"):
            check(streaming)
    more = streaming.model_copy(update={"partitions": 5})
    said = done(more)
    assert check(more).counters_topic == second
    assert any("observations; the counters are here now" in line for line in said)
    before, after = values(more, first), values(more, second)
    assert len(after) == 5
    assert sorted(chain(*after)) == sorted(chain(*before))
    assert sum(map(len, after)) > 3_000
    decode = decoder("observation")
    keys = [{(r["detector"], r["cluster"], r["key"]) for r in map(decode, p)} for p in after]
    assert sum(map(len, keys)) == len(set.union(*keys))
    assert actions(more) == {}


def test_one_that_was_begun_is_completed(streaming: Streaming) -> None:
    done(streaming)
    more = streaming.model_copy(update={"partitions": 3})
    cluster = Cluster(more)
    cluster.make(more.topic("counters.2"), 3, 1, {})
    assert check(more).counters_topic == more.topic("counters")
    assert not any("made, with" in line for line in done(more))
    assert check(more).counters_topic == more.topic("counters.2")
    even_more = more.model_copy(update={"partitions": 4})
    cluster.make(more.topic("counters.3"), 3, 1, {})
    done(even_more)
    assert check(more).counters_topic == more.topic("counters.4")


def test_counters_are_not_re_keyed_under_workers(streaming: Streaming) -> None:
    done(streaming)
    worker = Consumer(client(streaming) | {"group.id": f"{streaming.group}-detect"})
    worker.subscribe([streaming.topic("counters")])
    while not worker.assignment():
        worker.poll(0.2)
    more = streaming.model_copy(update={"partitions": 3})
    with pytest.raises(ClusterError, match=r"1 workers are in the group .*-detect.*Stop all"):
        done(more)
    assert check(more).partitions[more.topic("events")] == 2
    worker.close()
    done(more)
    assert check(more).counters_topic == more.topic("counters.2")


def test_check_says_what_is_wrong_and_what_to_do(streaming: Streaming) -> None:
    with pytest.raises(ClusterError, match=r"missing.*run `auditstream topics apply`"):
        check(streaming)
    done(streaming)
    altered(streaming, "events", max_message_bytes="1000000")
    with pytest.raises(ClusterError, match=r"events takes records of 1,000,000 bytes only"):
        check(streaming)
    check(streaming, "detect")
    altered(streaming, "events", max_message_bytes="4194304")
    cluster, topic = Cluster(streaming), streaming.topic("clocks")
    delete(AdminClient(client(streaming)), cluster, topic)
    with pytest.raises(ClusterError, match=rf"{topic}; run"):
        check(streaming)
    assert actions(streaming) == {"clocks": "refuse"}
    cluster.make(topic, 2, 1, {"max.message.bytes": "4194304"})
    with pytest.raises(ClusterError, match=rf"{topic} was deleted and made anew"):
        check(streaming)


def test_a_killed_workers_transaction_is_not_waited_for(streaming: Streaming) -> None:
    done(streaming)
    long = {"transaction.timeout.ms": 300_000}
    producer = Producer(client(streaming) | long | {"transactional.id": "killed"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(streaming.topic("state"), b"x", b"k", partition=0)
    producer.flush(60)
    grow(Cluster(streaming), streaming.topic("counters"), 3)
    done(streaming.model_copy(update={"partitions": 3}))
    assert check(streaming).counters_topic == streaming.topic("counters.2")
    producer.abort_transaction(60)


def test_topics_of_others_are_read_as_the_configuration_says(streaming: Streaming) -> None:
    done(streaming)
    cluster = Cluster(streaming)
    for name in ("connect-logs-1", "connect-logs-2", "orders"):
        cluster.make(name, 1, 1, {})
    entries = (RawTopic(topic="connect-logs-*"), RawTopic(topic=f"{streaming.prefix}.*"))
    layout = check(streaming.model_copy(update={"raw": entries}))
    ours = [topic for topic in layout.raw if topic.startswith(streaming.prefix)]
    assert [t for t in layout.raw if t not in ours] == ["connect-logs-1", "connect-logs-2"]
    assert all(".raw." in topic for topic in ours)


def test_the_command_plans_and_applies(
    streaming: Streaming, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configuration(streaming, tmp_path / "auditstream.toml")
    assert exit_status("topics", "plan", "--config", file) == 0
    told = capsys.readouterr().out
    assert f"{streaming.topic('counters')} " in told
    assert "to be done: auditstream topics apply" in told
    assert exit_status("topics", "apply", "--config", file) == 0
    assert "made, with 2 partitions" in capsys.readouterr().out
    assert exit_status("topics", "apply", "--config", file) == 0
    assert capsys.readouterr().out == "All was as it should be; nothing done.\n"
    assert exit_status("topics", "plan", "--json", "--config", file) == 0
    found = json.loads(capsys.readouterr().out)
    assert {topic["action"] for topic in found["topics"]} == {"nothing"}
