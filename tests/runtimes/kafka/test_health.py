"""When a worker is live, when ready, how far behind it is; and what is answered to whoever asks."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pipeline.errors import ConfigError
from pipeline.runtimes.kafka.endpoint import Endpoint
from pipeline.runtimes.kafka.gauges import Gauges
from pipeline.runtimes.kafka.health import STALLED_S, Ends, Health, Watch
from pipeline.runtimes.kafka.tally import Tally

PLACE = ("audit.raw.auto", 3)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Away:
    """An OpenSearch as a role sees it."""

    waiting: str = ""

    def reach(self) -> str:
        return ""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Watch:
    """A role at work on one partition."""
    found = Watch("ingest", clock=clock, monotonic=clock)
    found.begins("ingest", [PLACE[0]])
    found.share([PLACE])
    found.beat({PLACE: 5})
    return found


@pytest.fixture
def health(watch: Watch) -> Health:
    found = Health()
    found.watches.append(watch)
    found.brokers = ""
    return found


def why(health: Health) -> list[str]:
    return [said for _, said in health.ready()]


def test_a_worker_at_work_is_live_and_ready(health: Health) -> None:
    assert (health.live(), health.ready()) == ([], [])


def test_a_worker_that_has_not_begun_is_live_and_not_ready(clock: Clock) -> None:
    health = Health()
    assert why(health)[0] == "the worker is starting"
    health.watches.append(Watch("ingest", clock=clock, monotonic=clock))
    clock.now += 10 * STALLED_S
    assert health.live() == []
    assert why(health) == [
        "ingest: it is starting", "the brokers do not answer: nobody has asked them yet",
    ]  # fmt: skip


def test_a_loop_that_stands_still_is_dead(health: Health, watch: Watch, clock: Clock) -> None:
    clock.now += STALLED_S
    assert health.live() == []
    clock.now += 1
    assert health.live() == ["ingest: its loop has not turned for 31 s"]
    watch.beat({})
    assert health.live() == []
    # Nobody needs to hurry one that ends.
    watch.stopping = True
    clock.now += 2 * STALLED_S
    assert health.live() == []
    assert why(health) == ["ingest: it was asked to stop"]


def test_it_says_what_it_waits_for(health: Health, watch: Watch, clock: Clock) -> None:
    watch.share(None)
    assert health.ready() == [("partitions", "ingest: it waits for its share of the partitions")]
    # More workers than partitions: it has none, and is ready to take over.
    watch.share([])
    assert health.ready() == []
    with watch.loading(PLACE):
        clock.now += 7
        said = "ingest: it loads what is known of audit.raw.auto[3], for 7 s"
        assert health.ready() == [("state", said)]
    health.brokers = "Broker transport failure"
    assert health.ready() == [("brokers", "the brokers do not answer: Broker transport failure")]


def test_one_that_waits_for_opensearch_is_live_and_not_ready(health: Health, watch: Watch) -> None:
    store = Away()
    watch.store = store
    assert health.ready() == [
        ("opensearch", "ingest: OpenSearch does not answer: nobody has asked it yet")
    ]
    watch.away = store.reach()
    assert health.ready() == []
    store.waiting = "429 too busy"
    assert why(health) == ["ingest: OpenSearch does not take documents now: 429 too busy"]
    assert health.live() == []


def test_lag_is_what_is_not_done_and_its_age_that_of_the_oldest(watch: Watch, clock: Clock) -> None:
    assert watch.places() == []  # nobody has said yet where it ends
    watch.found(PLACE, Ends(2, 5))
    assert (watch.lag(PLACE), watch.age_s(PLACE)) == (0, 0.0)
    watch.found(PLACE, Ends(2, 9))
    clock.now += 4
    assert (watch.lag(PLACE), watch.age_s(PLACE)) == (4, 4.0)
    # In hand, its own time is known.
    watch.begin(PLACE, int((clock.now - 60) * 1000))
    assert watch.age_s(PLACE) == 60.0
    watch.done("ingest", PLACE, 4, 0, 0.1, Tally())
    assert watch.age_s(PLACE) == 4.0
    watch.beat({PLACE: 9})
    assert (watch.lag(PLACE), watch.age_s(PLACE)) == (0, 0.0)
    # Nothing was ever committed: it begins at the beginning.
    watch.beat({PLACE: None})
    assert watch.lag(PLACE) == 7


def test_after_a_rebalance_nothing_is_said_of_lag_until_the_position_is_known(watch: Watch) -> None:
    """Else each rebalance would look like a lag of all that the topic holds."""
    watch.found(PLACE, Ends(2, 9))
    watch.share([PLACE])
    watch.found(PLACE, Ends(2, 9))
    assert watch.places() == []
    watch.beat({PLACE: 9})
    assert watch.places() == [PLACE]
    assert (watch.lag(PLACE), watch.age_s(PLACE)) == (0, 0.0)
    watch.share([("audit.raw.auto", 4)])
    watch.beat({})
    assert watch.places() == []


def test_gauges(health: Health, watch: Watch) -> None:
    watch.found(PLACE, Ends(2, 9))
    watch.states["ingest", PLACE] = (3, 400)
    watch.states["ingest", (PLACE[0], 4)] = (9, 900)  # another worker's by now
    registry = CollectorRegistry()
    registry.register(Gauges(health, {PLACE[0]: 604_800.0, "audit.events": 1.0}))
    at = {"role": "ingest", "topic": PLACE[0], "partition": "3"}
    get = registry.get_sample_value
    assert get("auditstream_lag_records", at) == 4
    assert get("auditstream_margin_records", at) == 3
    assert get("auditstream_state_entries", {"work": "ingest"}) == 3
    assert get("auditstream_state_bytes", {"work": "ingest"}) == 400
    assert get("auditstream_ready", {"check": "partitions"}) == 1
    assert get("auditstream_retention_seconds", {"topic": PLACE[0]}) == 604_800
    # Of others' topics it says nothing.
    assert get("auditstream_retention_seconds", {"topic": "audit.events"}) is None
    health.brokers = "gone"
    assert get("auditstream_ready", {"check": "brokers"}) == 0


@pytest.fixture
def endpoint(health: Health, watch: Watch) -> Iterator[Endpoint]:
    found = Endpoint("127.0.0.1:0", watch.meters.registry, health)
    yield found
    found.close()


def ask(endpoint: Endpoint, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(endpoint.address, timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    said = answer.status, answer.headers["content-type"], answer.read().decode()
    connection.close()
    return said


@pytest.mark.enable_socket
def test_what_is_answered(endpoint: Endpoint, health: Health, watch: Watch) -> None:
    text = "text/plain; charset=utf-8"
    assert ask(endpoint, "/live") == (200, text, "live\n")
    assert ask(endpoint, "/ready?verbose=1") == (200, text, "ready\n")
    watch.share(None)
    health.brokers = "gone"
    said = "ingest: it waits for its share of the partitions\nthe brokers do not answer: gone\n"
    assert ask(endpoint, "/ready") == (503, text, f"not ready\n{said}")
    assert ask(endpoint, "/ready", "HEAD") == (503, text, "")
    assert ask(endpoint, "/") == (404, text, "there is\n/metrics\n/live\n/ready\n")
    assert ask(endpoint, "/live", "POST")[0] == 501


@pytest.mark.enable_socket
def test_metrics_are_answered_in_either_form(endpoint: Endpoint, watch: Watch) -> None:
    status, kind, body = ask(endpoint, "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    names = {family.name for family in text_string_to_metric_families(body)}
    assert "auditstream_build_info" in names
    assert "process_start_time_seconds" in names
    asked = {"Accept": "application/openmetrics-text; version=1.0.0"}
    status, kind, body = ask(endpoint, "/metrics", **asked)
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert body.endswith("# EOF\n")


@pytest.mark.enable_socket
def test_who_says_nothing_keeps_nobody_else_waiting(endpoint: Endpoint) -> None:
    host, port = endpoint.address.split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(5)]
    assert ask(endpoint, "/live")[0] == 200
    for one in idle:
        one.sendall(b"\0 no request at all\r\n\r\n")
        one.close()
    assert ask(endpoint, "/live")[0] == 200


@pytest.mark.enable_socket
def test_a_port_that_is_taken(endpoint: Endpoint, health: Health) -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on .*in use; see metrics\.listen"):
        Endpoint(endpoint.address, CollectorRegistry(), health)


@pytest.mark.enable_socket
def test_a_fault_of_ours_is_said(
    endpoint: Endpoint, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Collector):
        def collect(self) -> Iterator[Metric]:
            raise LookupError("a metric that cannot be made")

        def describe(self) -> Iterator[Metric]:
            return iter(())

    watch.meters.registry.register(Broken())
    with pytest.raises(http.client.RemoteDisconnected):
        ask(endpoint, "/metrics")
    assert ask(endpoint, "/live")[0] == 200
    assert "a metric that cannot be made" in caplog.text
