"""`changes` and `timeline`: filters, one change and its legs, and what a terminal is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.commands import exit_status
from tests.logs import decision, write
from tests.request_log import line

GRANTED = {"throttleTimeMs": 0, "results": [{"errorCode": 0, "errorMessage": ""}]}
CONFIGURED = {
    "throttleTimeMs": 0,
    "responses": [
        {"errorCode": 0, "errorMessage": None, "resourceType": 2, "resourceName": "orders"}
    ],
}


def acl(principal: str) -> dict[str, Any]:
    said = {
        "resourceType": 2, "resourceName": "*", "resourcePatternType": 3, "principal": principal,
        "host": "*", "operation": 3, "permissionType": 3,
    }  # fmt: skip
    return {"creations": [said]}


def retention(value: str) -> dict[str, Any]:
    config = {"name": "retention.ms", "configOperation": 0, "value": value}
    resource = {"resourceType": 2, "resourceName": "orders", "configs": [config]}
    return {"resources": [resource], "validateOnly": False}


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    lines = [
        line("CreateAcls", acl("User:al\u001b[31mice"), GRANTED, second=1, correlation=1),
        line("IncrementalAlterConfigs", retention("1"), CONFIGURED, second=2, correlation=2),
        line("IncrementalAlterConfigs", retention("2"), CONFIGURED, second=3, correlation=3,
             principal="User:ops"),
    ]  # fmt: skip
    log, path = write(tmp_path / "kafka-request.log", lines), tmp_path / "s.db"
    assert exit_status("run", "--input", f"auto={log}", "--store", path) == 0
    capsys.readouterr()
    return path


def asked(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert exit_status(*arguments) == 0
    return capsys.readouterr().out


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in text.splitlines()]


def test_a_change_in_json(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = documents(asked(capsys, "changes", "--store", store, "--format", "jsonl"))
    assert [(c["target"], c["before"], c["after"]) for c in found[1:]] == [
        ("Topic:orders", None, {"retention.ms": "1"}),
        ("Topic:orders", {"retention.ms": "1"}, {"retention.ms": "2"}),
    ]
    assert found[0]["after"]["principal"] == "User:al\u001b[31mice"
    for change in found:
        assert change["time"] == 1795218720297 + 1000 * (found.index(change) + 1)
        assert (change["cluster"], change["outcome"]) == ("default", "success")
        assert (change["address"], change["confidence"]) == ("192.0.2.9", "medium")
        assert all(len(leg) == 32 for leg in change["legs"])


@pytest.mark.parametrize(
    ("arguments", "actors"),
    [
        (["--actor", "ops"], ["User:ops"]),
        (["--actor", "User:a*"], ["User:admin", "User:admin"]),
        (["--resource", "orders"], ["User:admin", "User:ops"]),
        (["--resource", "Topic:or*"], ["User:admin", "User:ops"]),
        (["--ip", "192.0.2.0/28", "--since", "2026-11-20T23:52:03"], ["User:ops"]),
        (["--ip", "192.0.2.10"], []),
        (["--outcome", "failure"], []),
        (["--limit", "1"], ["User:admin"]),
    ],
)
def test_filters(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], actors: list[str]
) -> None:
    text = asked(capsys, "changes", "--store", store, "--format", "jsonl", *arguments)
    assert [change["actor"] for change in documents(text)] == actors


def test_one_change_and_its_legs(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = documents(asked(capsys, "changes", "--store", store, "--format", "jsonl"))[-1]
    text = asked(capsys, "changes", "--store", store, "--change", last["id"][:12])
    assert "retention.ms=1 → retention.ms=2" in text
    assert "medium (no forwarded, authorizer, effect)" in text
    assert "kafka-request.log" in text
    assert "User:ops set retention.ms of Topic orders" in text
    assert "admin" not in text


def test_no_terminal_obeys_a_name(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("changes", "timeline"):
        text = asked(capsys, command, "--store", store)
        assert "\x1b" not in text
        assert "\\x1b[31m" in text


def test_nothing_found(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("changes", "timeline"):
        assert asked(capsys, command, "--store", store, "--actor", "nobody") == "nothing found\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["change"]),
        (["--until", "2026-11-20T23:52:00"], ["ALTER"]),
        (["--since", "2026-11-20T23:52:00"], ["change"]),
        (["--resource", "kafka-cluster"], ["ALTER"]),
        (["--resource", "Topic:*"], ["change"]),
    ],
)
def test_a_leg_of_a_change_that_is_not_in_the_answer_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: list[str]
) -> None:
    """The authorizer decided before, and on the cluster, what the request asked of a topic."""
    asked_for = line(
        "CreateAcls", acl("User:x"), GRANTED, second=3, correlation=1, totalTimeMs=5000.0
    )
    log = write(tmp_path / "kafka-request.log", [asked_for])
    decided = decision(
        datetime(2026, 11, 20, 23, 51, 59, tzinfo=UTC), "User:admin", operation="ALTER",
        address="192.0.2.9", resource="Cluster:LITERAL:kafka-cluster", request="CreateAcls",
    )  # fmt: skip
    other = write(tmp_path / "kafka-authorizer.log", [decided])
    store = tmp_path / "s.db"
    inputs = "--input", f"auto={log}", "--input", f"auto={other}"
    assert exit_status("run", *inputs, "--store", store) == 0
    capsys.readouterr()
    text = asked(capsys, "timeline", "--store", store, "--format", "jsonl", *arguments)
    rows = [row for row in documents(text) if row.get("class_uid") != 2004]
    assert [row["api"]["operation"] if "api" in row else "change" for row in rows] == told
