"""`auditstream retention` and `auditstream hold` upon an embedded store, as a person uses them."""

from __future__ import annotations

import json
import os
import pwd
import time
from pathlib import Path

import pytest

from schemas.indices import DAY_MS, month
from tests.commands import exit_status
from tests.retention.year import RETENTION, event, written

ME = f"OS:{pwd.getpwuid(os.getuid()).pw_name}"
NOW = int(time.time() * 1000)
OLD = NOW - 300 * DAY_MS


@pytest.fixture
def given(tmp_path: Path) -> tuple[str, ...]:
    """Options that name a store with an old event of each of two classes, and a new one."""
    store = tmp_path / "s.db"
    written(
        store, [event(OLD, 1), event(OLD, 2, "short"), event(OLD + 1, 3, "short"), event(NOW, 4)]
    )
    config = tmp_path / "auditstream.toml"
    classes = "".join(f'[[retention]]\nname = "{r.name}"\ndays = {r.days}\n' for r in RETENTION)
    config.write_text(
        f'store = "{store}"\n{classes}\n[[principals]]\npattern = "OS:*"\nkind = "human"\n'
    )
    return ("--config", str(config))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert exit_status(*arguments) == 0
    return capsys.readouterr().out


def test_plan_hold_apply_release_apply(
    given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    planned = told(capsys, "retention", "plan", *given)
    assert "3 events of 2 months: auditstream retention apply" in planned
    assert "Findings, dead letters and what was counted are kept for ever." in planned
    added = told(capsys, "hold", "add", *given, "--class", "short", "--reason", "CASE-1",
                 "--owner", "legal@example.com")  # fmt: skip
    hold = added.split()[1].rstrip(":")
    assert "Events of the class short of all time." in added
    assert "It keeps 2 events. Months: 1, of which past their days: 1." in added
    planned = told(capsys, "retention", "plan", *given)
    assert f"held   hold {hold} of legal@example.com: CASE-1" in planned
    assert "what auditstream says of itself, holds among it, is never removed" in planned
    assert "1 events of 1 months" in planned
    applied = told(capsys, "retention", "apply", *given)
    assert applied == f"audit-standard-{month(OLD)}: 1 events removed\n1 events removed.\n"
    assert told(capsys, "retention", "apply", *given) == "Nothing is due.\n"
    assert f"{hold} " in told(capsys, "hold", "list", *given)
    told(capsys, "hold", "release", *given, hold[:6], "--reason", "closed")
    assert told(capsys, "hold", "list", *given) == "no holds\n"
    (listed,) = json.loads(told(capsys, "hold", "list", "--all", "--json", *given))
    assert listed["released"] >= listed["added"] >= NOW
    assert (listed["class"], listed["owner"], listed["by"]) == ("short", "legal@example.com", ME)
    done = json.loads(told(capsys, "retention", "apply", "--json", *given))
    assert done["months"] == [{"name": f"audit-short-{month(OLD)}", "events": 2, "held": []}]
    events = told(capsys, "events", *given, "--format", "jsonl").splitlines()
    assert [json.loads(line)["metadata"]["log_name"] for line in events] == [
        "kafka_authorizer", "auditstream.hold", "auditstream.retention", "auditstream.hold",
        "auditstream.retention",
    ]  # fmt: skip
    last = json.loads(events[-1])
    assert (last["actor"]["user"]["uid"], last["count"]) == (ME, 2)
    assert last["auditstream"]["actor_kind"] == "human"


def test_plan_for_programs_says_all_of_it(
    given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(told(capsys, "retention", "plan", "--json", *given))
    assert [(one["name"], one["events"], one["state"], one["days"]) for one in found["months"]] == [
        (f"audit-short-{month(OLD)}", 2, "due", 30),
        (f"audit-standard-{month(OLD)}", 1, "due", 90),
        (f"audit-standard-{month(NOW)}", 1, "later", 90),
    ]
    assert found["months"][2]["due"] > NOW
    assert len(found["keeps"]) == 2


def test_timeline_and_changes_read_a_store_with_records(
    given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "retention", "apply", *given)
    lines = told(capsys, "timeline", *given).splitlines()
    removed = [line.partition("Retention removed ")[2] for line in lines if "Retention" in line]
    assert [line.partition(" of the class")[0] for line in removed] == ["2 events", "1 events"]
    told(capsys, "changes", *given)
    assert "OS:" not in told(capsys, "doctor", *given)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("hold", "add", "--owner", "x"), 2, "--reason"),
        (("hold", "add", "--reason", "x"), 2, "--owner"),
        (("hold", "add", "--reason", " ", "--owner", "x"), 2, "--reason is empty"),
        (("hold", "add", "--reason", "x", "--owner", ""), 2, "--owner is empty"),
        (("hold", "add", "--reason", "x", "--owner", "\udcff"), 2, "is not UTF-8"),
        (("hold", "add", "--reason", "x", "--owner", "y", "--since", "soon"), 2, "is no time"),
        (("hold", "add", "--reason", "x", "--owner", "y", "--since", "2026-01-02", "--until",
          "2026-01-02"), 2, "is not before"),
        (("hold", "add", "--reason", "x", "--owner", "y", "--class", "standrad"), 2,
         "there is short, standard"),
        (("hold", "release", "abcd", "--reason", "x"), 2, "`auditstream hold list` has them"),
        (("hold", "release", "a", "--reason", "x"), 2, "at least 4 digits"),
        (("retention",), 2, "VERB"),
        (("hold",), 2, "VERB"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said(
    given: tuple[str, ...], capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...], status: int, said: str,
) -> None:  # fmt: skip
    complete = (*arguments, *given) if len(arguments) > 1 else arguments
    assert exit_status(*complete) == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [("retention", "plan"), ("retention", "apply"), ("hold", "list"),
     ("hold", "add", "--reason", "x", "--owner", "y"), ("hold", "release", "abcd", "--reason", "x")],
)  # fmt: skip
def test_without_a_store_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert exit_status(*command) == 1
    said = "no store at auditstream.db; `auditstream run --store auditstream.db` makes one"
    assert capsys.readouterr() == ("", f"auditstream: {said}\n")
    assert list(tmp_path.iterdir()) == []


def test_the_class_of_our_own_records_cannot_be_configured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text('[[retention]]\nname = "auditstream"\ndays = 1\n')
    assert exit_status("retention", "plan", "--config", tmp_path / "c.toml") == 1
    assert "the class of auditstream's own records" in capsys.readouterr().err
