"""From a real broker's own log folder to findings, by the command: every deed, once."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load
from pipeline.lab import incident
from pipeline.lab.incident import DEEDS, Deed
from pipeline.lab.incident.capture import surround
from pipeline.lab.kafka import Kafka

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "pipeline" / "incident" / "auditstream.toml"
COMMAND = Path(sys.executable).with_name("auditstream")
OUTCOMES = {"allowed": "success", "denied": "failure", "failed": "failure", "forged": "failure"}

Document = dict[str, Any]


def auditstream(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def documents(folder: Path, *arguments: str) -> list[Document]:
    return [json.loads(line) for line in auditstream(folder, *arguments).splitlines()]


class Played:
    """A broker on which the incident was played, and what the command made of it all.

    The folder is that of the broker's logs, with the records around the play beside them.
    """

    def __init__(self, kafka: Kafka) -> None:
        self.kafka, self.folder = kafka, kafka.logs
        self.summary = self.run()
        self.events = documents(self.folder, "events", "--store", "s.db", "--format", "jsonl")
        self.findings = documents(self.folder, "findings", "--store", "s.db", "--format", "jsonl")

    def run(self) -> Document:
        """What a run over the folder says of itself."""
        said = auditstream(
            self.folder, "run", "--config", str(CONFIG), "--store", "s.db", "--summary", "json"
        )
        summary: Document = json.loads(said.splitlines()[-1])
        return summary

    def of(self, deed: Deed) -> list[Document]:
        """Events that tell of a deed."""
        kind, _, name = deed.resource.partition(":LITERAL:")
        return [
            e
            for e in self.events
            if e["actor"]["user"].get("uid") == deed.principal
            and e.get("src_endpoint", {}).get("ip") == self.kafka.seen_from(deed.address)
            and e["auditstream"]["outcome"] == OUTCOMES[deed.outcome]
            and (deed.operation == "LOGIN" or e["api"]["operation"] == deed.operation)
            and (not name or e["resources"][0] | {"type": kind, "name": name} == e["resources"][0])
        ]

    def lines(self, phrase: str) -> int:
        """Lines of the broker's own logs that begin as entries do and hold a phrase."""
        text = self.kafka.log("kafka-authorizer.log") + self.kafka.log("server.log")
        return sum(line.startswith("[") and phrase in line for line in text.splitlines())


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    home = tmp_path_factory.mktemp("kafka")
    with Kafka(home, incident.USERS, logging="debug", clients=incident.HOSTS) as kafka:
        incident.play(kafka, pause_s=0.3)
        ended = datetime.now(UTC)
    surround(kafka.logs, ended)
    return Played(kafka)


@pytest.mark.parametrize("deed", DEEDS, ids=lambda d: f"{d.principal}-{d.operation}-{d.resource}")
def test_every_deed_is_an_event(played: Played, deed: Deed) -> None:
    # The last deed comes soon after the forged lines, in the same file.
    last = deed == DEEDS[-1]
    found = [e for e in played.of(deed) if last or not e["auditstream"]["suspect"]]
    assert found if deed.times is None else len(found) == deed.times


def test_every_line_is_one_event_or_accounted_for(played: Played) -> None:
    summary = played.summary
    ends = summary["events"], summary["duplicates"], summary["filtered"], summary["dead_letters"]
    assert summary["items"] == sum(ends)
    assert summary["duplicates"] == 0
    assert summary["events"] == len({e["metadata"]["uid"] for e in played.events})
    said = [e for e in played.events if e["metadata"]["log_name"] == "kafka_authorizer"]
    assert len(said) == played.lines("Principal = ")
    logins = [e for e in played.events if e["metadata"]["log_name"] == "kafka_authentication"]
    assert len(logins) == played.lines("authentication with ")


def test_what_mallory_forged_is_not_believed(played: Played) -> None:
    broken = [e for e in played.events if e["auditstream"].get("forgery") == "broken_head"]
    assert {e["actor"]["user"]["uid"] for e in broken} == {"User:mallory"}
    believed = [
        e
        for e in played.events
        if e["actor"]["user"].get("uid") == "User:admin"
        and e["api"]["operation"] == "ALTER"
        and not e["auditstream"]["suspect"]
    ]
    # One line for each grant, and for each its twin in the controller; the forged one is not there.
    requests = {e["auditstream"]["request"] for e in believed}
    assert requests == {"CreateAcls"}
    assert len(believed) == sum(
        "User:admin is Allowed operation = ALTER " in line and "MatchingAcl" not in line
        for line in played.kafka.log("kafka-authorizer.log").splitlines()
    ) - len(
        [e for e in played.events if e["auditstream"]["suspect"] and "ALTER on" in e["message"]]
    )


def test_each_detector_finds_its_part(played: Played) -> None:
    by_detector: dict[str, list[Document]] = {}
    for finding in played.findings:
        by_detector.setdefault(finding["finding_info"]["analytic"]["uid"], []).append(finding)
    config = load(CONFIG)
    assert set(by_detector) == {
        *(counter.name for counter, _ in config.active()),
        *(estate.name for estate, _ in config.active_estates()),
    }
    outsider = played.kafka.seen_from(incident.OUTSIDER_HOST)
    (spike,) = by_detector["auth_failure_spike"]
    assert spike["auditstream"]["address"] == outsider
    assert spike["count"] == incident.FAILED_LOGINS
    assert spike["severity_id"] == 4
    assert [f["auditstream"]["actor"] for f in by_detector["authorization_denial_spike"]] == [
        "User:mallory"
    ]
    assert [f["auditstream"]["actor"] for f in by_detector["log_forgery"]] == ["User:mallory"]


def test_the_desk_s_session_is_held_against_the_broker_s_log(played: Played) -> None:
    (session,) = [f for f in played.findings if f["auditstream"]["key"] == "session=S-4711"]
    shown = {e["metadata"]["uid"]: e for e in played.events}
    payload, *_ = session["auditstream"]["violations"]
    assert payload["name"] == "payload"
    read = [shown[uid] for uid in payload["evidence"]]
    assert {e["metadata"]["log_name"] for e in read} == {"kafka_authorizer"}
    assert {(e["api"]["operation"], e["resources"][0]["name"]) for e in read} == {
        ("READ", "hr.salaries")
    }


def test_a_second_run_adds_nothing(played: Played) -> None:
    again = played.run()
    assert again["records"] == again["items"] == again["events"] == again["findings"] == 0
    assert again["store"] == played.summary["store"]
