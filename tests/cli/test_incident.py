"""The bundled incident: what `auditstream run` without inputs finds in it, and what it does not."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load
from pipeline.lab.incident import DEEDS, OUTSIDER_HOST
from pipeline.lab.incident.capture import surround
from pipeline.lab.incident.desk import PRINCIPAL
from pipeline.lab.incident.trail import FOREIGN_ACCOUNT, ROLE, SUPPORT_ROLE
from schemas.vocabulary import SEVERITY_NAMES
from tests.commands import auditstream, summary

FOLDER = Path(__file__).parents[2] / "pipeline" / "incident"

Document = dict[str, Any]


class Told:
    """What a run of the bundled incident says and keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        done = auditstream("run", "--store", "s.db", "--summary", "json", cwd=folder)
        assert done.returncode == 0, done.stderr
        self.notices = done.stderr
        self.summary = summary(done.stdout)
        self.findings = self.documents("findings")
        self.events = self.documents("events")

    def documents(self, *command: str) -> list[Document]:
        done = auditstream(*command, "--store", "s.db", "--format", "jsonl", cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def of(self, detector: str) -> list[Document]:
        return [f for f in self.findings if f["finding_info"]["analytic"]["uid"] == detector]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(tmp_path_factory.mktemp("incident"))


def violations(finding: Document) -> dict[str, list[str]]:
    return {v["name"]: v["evidence"] for v in finding["auditstream"]["violations"]}


def test_every_file_is_read_to_its_end_and_nothing_is_complained_of(told: Told) -> None:
    assert told.notices == ""
    assert told.summary["dead_letters"] == 0
    assert told.summary["duplicates"] == 0
    sources = {e["metadata"]["log_name"] for e in told.events}
    assert sources == {
        "aws_cloudtrail", "kafka_authentication", "kafka_authorizer", "kafka_broker",
        "kafka_controller", "kafka_request", "support_session",
    }  # fmt: skip


def test_every_detector_finds_its_part(told: Told) -> None:
    found = Counter(f["finding_info"]["analytic"]["uid"] for f in told.findings)
    config = load(FOLDER / "auditstream.toml")
    assert set(found) == {
        *(counter.name for counter, _ in config.active()),
        *(estate.name for estate, _ in config.active_estates()),
    }
    assert told.summary["findings"] == len(told.findings)
    gravest = {name: SEVERITY_NAMES[max(f["severity_id"] for f in told.of(name))] for name in found}
    assert gravest == {
        "acl_change": "High",
        "audit_weakened": "High",
        "auth_failure_spike": "High",
        "authorization_denial_spike": "Medium",
        "cloud_guardrail_change": "Critical",
        "log_forgery": "High",
        "unapproved_support_access": "Critical",
    }


def test_the_vendor_s_session_has_each_of_its_violations(told: Told) -> None:
    (session,) = [f for f in told.findings if f["auditstream"]["key"] == "session=S-4711"]
    assert SEVERITY_NAMES[session["severity_id"]] == "Critical"
    assert session["auditstream"]["actor"] == PRINCIPAL
    events = {e["metadata"]["uid"]: e for e in told.events}
    by_name = violations(session)
    assert list(by_name) == ["payload", "outside_scope", "over_stayed"]
    read = {events[uid]["resources"][0]["name"] for uid in by_name["payload"]}
    assert read == {"hr.salaries"}
    (close,) = by_name["over_stayed"]
    assert events[close]["auditstream"]["support"]["kind"] == "session_closed"
    # What it looked at with leave is evidence of nothing.
    looked = [e for e in told.events if e["api"]["operation"] == "DESCRIBE_CONFIGS"]
    mine = {e["metadata"]["uid"] for e in looked if e["actor"]["user"].get("uid") == PRINCIPAL}
    assert len(mine) == 2
    assert not mine & {uid for evidence in by_name.values() for uid in evidence}


def test_support_without_any_session_is_a_finding_and_approved_sessions_are_none(
    told: Told,
) -> None:
    others = [f for f in told.of("unapproved_support_access") if "S-4711" not in f["message"]]
    (aws,) = others
    assert SUPPORT_ROLE in aws["auditstream"]["actor"]
    assert set(violations(aws)) == {"no_approval"}
    assert len(violations(aws)["no_approval"]) == 2
    sessions = {e["auditstream"].get("support", {}).get("session") for e in told.events}
    assert sessions >= {"S-4690", "S-4698", "S-4711"}


def test_the_outsider_s_hand_in_the_cloud_account(told: Told) -> None:
    found = told.of("cloud_guardrail_change")
    assert {f["auditstream"]["address"] for f in found} == {OUTSIDER_HOST}
    assert {f["finding_info"]["title"]: SEVERITY_NAMES[f["severity_id"]] for f in found} == {
        "Bucket policy opened to another account": "Medium",
        "Role trust opened to another account": "High",
        "Key scheduled for deletion in 7 days": "Critical",
        "Trail stopped": "High",
    }
    (bucket,) = [f for f in found if f["finding_info"]["title"].startswith("Bucket")]
    before, after = bucket["message"].partition(" Before: ")[2].split(" After: ")
    assert ROLE in before
    assert FOREIGN_ACCOUNT not in before
    assert FOREIGN_ACCOUNT in after


def test_every_deed_upon_the_broker_is_an_event(told: Told) -> None:
    said = {
        (e["actor"]["user"].get("uid"), e.get("src_endpoint", {}).get("ip"), e["api"]["operation"])
        for e in told.events
    }
    missing = [
        deed
        for deed in DEEDS
        if deed.operation != "LOGIN" and (deed.principal, deed.address, deed.operation) not in said
    ]
    assert not missing


def test_secrets_are_withheld(told: Told) -> None:
    assert "-token-of-the-incident" in (FOLDER / "cloudtrail.json").read_text()
    assert b"-token-of-the-incident" not in (told.folder / "s.db").read_bytes()


def test_the_records_around_the_play_are_what_the_program_writes(tmp_path: Path) -> None:
    """Whoever changes the story captures it again."""
    bundled = (FOLDER / "support-sessions.jsonl").read_text().splitlines()
    close = json.loads(bundled[-1])
    assert close["kind"] == "session_closed"
    surround(tmp_path, datetime.fromisoformat(close["time"]) - timedelta(minutes=32))
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()
