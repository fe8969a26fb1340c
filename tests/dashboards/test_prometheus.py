"""Grafana's dashboard and Prometheus' rules name only what workers say, and the page says it all."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.runtimes.kafka.gauges import Gauges
from pipeline.runtimes.kafka.health import Ends, Health, Watch
from pipeline.runtimes.kafka.tally import Said, Tally
from pipeline.sinks.opensearch import Sent
from schemas.types import AccountOf

ROOT = Path(__file__).parents[2]
BOARDS = sorted((ROOT / "dashboards/grafana").glob("*.json"))
RULES = sorted((ROOT / "dashboards/prometheus").glob("*.yml"))
PAGE = ROOT / "docs/metrics.md"

PLACE = ("audit.raw.auto", 0)
NAME = re.compile(r"\bauditstream_[a-z0-9_]+")
SELECTED = re.compile(r"\b(auditstream_[a-z0-9_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|on|group_left)\s*\(([^)]*)\)")
FROM_PROMETHEUS = {"job", "instance", "le", "__name__"}


def said() -> dict[str, frozenset[str]]:
    """By name of each sample that a worker can say, its labels: all of them said once."""
    watch, health = Watch("ingest"), Health()
    health.watches.append(watch)
    watch.begins("ingest", [PLACE[0]])
    watch.begins("index", [PLACE[0]])
    watch.share([PLACE])
    watch.beat({})
    watch.found(PLACE, Ends(0, 1))
    account = AccountOf(*PLACE, 0, 1, 0, 1, 0, 1, 0, {"blank": 1}, {})
    tally = Tally(account, times=[1], state={PLACE: (1, 1)})
    tally.events["kafka_authorizer", "kafka-1"] += 1
    tally.findings[Said("acl_change", 4, "open", True)] += 1
    watch.done("ingest", PLACE, 1, 0, 0.1, tally)
    watch.meters.sent(Sent(0.1))
    watch.meters.registry.register(Gauges(health, {PLACE[0]: 1.0}))
    return {
        sample.name: frozenset(sample.labels)
        for family in watch.meters.registry.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


SAID = said()


def board_expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def expressions() -> Iterator[tuple[str, str]]:
    """Where each stands, and what it says."""
    for path in BOARDS:
        for where, text in board_expressions(json.loads(path.read_text("utf-8"))):
            yield f"{path.name}, {where}", text
    for path in RULES:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                yield f"{path.name}, {rule['alert']}", rule["expr"]


ALL = list(expressions())


def offences(text: str) -> Iterator[str]:
    """What an expression names that no worker says."""
    for name in NAME.findall(text):
        if name not in SAID:
            yield f"no metric {name}"
    for name, matchers in SELECTED.findall(text):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            if label not in SAID.get(name, ()) and label not in FROM_PROMETHEUS:
                yield f"{name} has no label {label}"
    known = {label for name in NAME.findall(text) for label in SAID.get(name, ())}
    for labels in GROUPED.findall(text):
        for label in filter(None, re.split(r"[,\s]+", labels)):
            if label not in known and label not in FROM_PROMETHEUS:
                yield f"no metric here has a label {label}"


def test_there_is_something_to_look_at() -> None:
    assert BOARDS
    assert RULES
    assert len(ALL) > 30


def test_boards_and_rules_name_only_what_workers_say() -> None:
    assert [f"{where}: {said}" for where, text in ALL for said in offences(text)] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rate(auditstream_evnts_total[5m])", "no metric auditstream_evnts_total"),
        (
            'auditstream_items_total{principal="x"}',
            "auditstream_items_total has no label principal",
        ),
        ("sum by (host) (auditstream_events_total)", "no metric here has a label host"),
    ],
)
def test_a_name_that_is_no_more_is_found(text: str, said: str) -> None:
    assert list(offences(text)) == [said]


def test_every_metric_is_of_use_to_somebody() -> None:
    """It is on the board or in a rule, and the page says what it is."""
    used = {name for _, text in ALL for name in NAME.findall(text)}
    page = PAGE.read_text("utf-8")
    for name in SAID:
        if not name.startswith("auditstream_"):
            continue
        family = re.sub(r"_(bucket|count|sum)$", "", name)
        assert any(one.startswith(family) for one in used), f"{name} is on no panel"
        assert f"`{family}`" in page, f"{name} is not in {PAGE.name}"


def test_names_follow_prometheus() -> None:
    """https://prometheus.io/docs/practices/naming: base units, and what counts ends with _total."""
    for name in SAID:
        assert not re.search(r"_(ms|millis|minutes|kb|mb|count_total)(_|$)", name), name


def test_alerts_say_what_is_wrong_and_what_to_do() -> None:
    page = PAGE.read_text("utf-8")
    names = []
    for path in RULES:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                names.append(rule["alert"])
                assert rule["labels"]["severity"] in ("warning", "critical")
                assert rule["annotations"].keys() == {"summary", "description"}
                assert f"`{rule['alert']}`" in page, f"{rule['alert']} is not in {PAGE.name}"
    assert len(names) == len(set(names))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_prometheus_takes_the_rules(path: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_panel_asks_the_chosen_prometheus() -> None:
    for path in BOARDS:
        board = json.loads(path.read_text("utf-8"))
        assert board["templating"]["list"][0]["type"] == "datasource"
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        for panel in board["panels"]:
            if panel["type"] != "row":
                sources = [panel["datasource"], *(one["datasource"] for one in panel["targets"])]
                assert {one["uid"] for one in sources} == {"${datasource}"}, panel["title"]


HEARD = 'auditstream_source_last_event_timestamp_seconds{source="s",cluster="c"}'
LAG = 'auditstream_lag_seconds{role="ingest",topic="t",partition="0"}'
LOST = 'auditstream_lost_records_total{topic="t"}'
DAY_S = 86_400


@dataclass
class Case:
    """An alert over samples of each minute: at which minutes it fires, and at which not."""

    alert: str
    series: dict[str, str]
    fires: tuple[int, ...]
    silent: tuple[int, ...]

    def test(self) -> dict[str, Any]:
        def firing(minute: int, fires: bool) -> dict[str, Any]:
            samples = [{"labels": "{}", "value": 1}] if fires else []
            expr = f'sum(ALERTS{{alertname="{self.alert}",alertstate="firing"}})'
            return {"expr": expr, "eval_time": f"{minute}m", "exp_samples": samples}

        return {
            "interval": "1m",
            "input_series": [{"series": n, "values": v} for n, v in self.series.items()],
            "promql_expr_test": [
                *(firing(minute, True) for minute in self.fires),
                *(firing(minute, False) for minute in self.silent),
            ],
        }


CASES = [
    # A worker that starts, finds with its first batch what was lost, and loses no more.
    Case("AuditstreamRecordsLost", {LOST: "_x5 500x60"}, (6, 15), (4, 40)),
    Case("AuditstreamRecordsLost", {LOST: "0x30 500x60"}, (32,), (29, 60)),
    Case(
        "AuditstreamLagNearRetention",
        {
            LAG: f"0+60x{2 * DAY_S // 60}",
            'auditstream_retention_seconds{topic="t"}': f"{DAY_S}x3000",
        },
        (725, 1_000),
        (600, 715),
    ),
    # Heard at minute 1, and never again; a source never heard is not missed.
    Case("AuditstreamSourceSilent", {HEARD: "_ 60x60"}, (20, 50), (10, 15)),
    Case("AuditstreamSourceSilent", {HEARD: "_ 60x60", LAG: "0x18 300x60"}, (17,), (20, 50)),
    # Another cluster's is heard, at each minute.
    Case(
        "AuditstreamSourceSilent",
        {HEARD: "_ 60x60", HEARD.replace('"c"', '"d"'): "0+60x60"},
        (20, 50),
        (10, 15),
    ),
    # The worker that heard it is gone, and no other has.
    Case("AuditstreamSourceSilent", {HEARD: "_ 60x5"}, (30,), ()),
    Case("AuditstreamNoWorker", {'auditstream_build_info{version="1"}': "1x5 _x60"}, (20,), (3,)),
    Case(
        "AuditstreamNotReady", {'auditstream_ready{check="brokers"}': "1x5 0x5 1x5"}, (8,), (4, 13)
    ),
    Case(
        "AuditstreamMarginShrinks",
        {
            'auditstream_margin_records{role="ingest",topic="t",partition="0"}': "9000-60x120",
            'auditstream_lag_records{role="ingest",topic="t",partition="0"}': "5x120",
        },
        (60,),
        (10,),
    ),
]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not on the PATH")
def test_alerts_fire_and_end(tmp_path: Path) -> None:
    tests = [case.test() for case in CASES]
    path = tmp_path / "tests.json"
    said = {"rule_files": list(map(str, RULES)), "evaluation_interval": "1m", "tests": tests}
    path.write_text(json.dumps(said), "utf-8")
    command = ["promtool", "test", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
