"""`auditstream reconcile` as far as it needs no server: its words, what it refuses, what it prints."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.cli import reconcile
from pipeline.runtimes.kafka.balance import Sum
from pipeline.runtimes.kafka.chains import Chain
from pipeline.runtimes.kafka.comparing import Difference
from pipeline.runtimes.kafka.reconciling import Report
from pipeline.runtimes.kafka.telling import Held
from tests.commands import exit_status


def test_help_says_what_the_statuses_mean(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status("reconcile", "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("usage: auditstream reconcile")
    assert "0: nothing is missing and nothing surplus" in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--since", "yesterday"), "is no time"),
        (("--since", "2026-11-02", "--until", "2026-11-01"), "is not before"),
    ],
)
def test_times_that_cannot_be_meant(
    given: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status("reconcile", *given) == 2
    assert said in capsys.readouterr().err


def test_without_a_store_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "auditstream.toml"
    file.write_text("")
    assert exit_status("reconcile", "--config", file) == 1
    assert "opensearch.url is empty" in capsys.readouterr().err


def _report(missing: int) -> Report:
    report = Report()
    report.chains += [Chain("t", 0, 0, 9, accounts=1, unread=0), Chain("idle", 0, unread=0)]
    report.sums.append(Sum("events", 9, 9, 9, 9))
    report.topics.append(Held("audit.events", 9, 0, 0, 1_795_000_000_000))
    report.days["events"] = {
        ("s", 0): Counter(topic=9, index=9 - missing, missing=missing),
        ("s", None): Counter(topic=1, index=1),
    }
    report.remarks.append("worth \x1b[31mknowing")
    if missing:
        report.differences["missing", "events"] = missing
    return report


@pytest.mark.parametrize("missing", [0, 25])
def test_what_is_printed(missing: int, capsys: pytest.CaptureFixture[str]) -> None:
    report = _report(missing)
    found = [Difference("missing", "events", f"{n:032x}", n, "s", "i") for n in range(missing)]
    for shown in (reconcile._Tables(), reconcile._Lines()):
        for one in found:
            shown.differ(one)
        shown.end(report)
    out = capsys.readouterr().out
    tables, lines = out.split('{"type"', 1)[0], '{"type"' + out.split('{"type"', 1)[1]
    assert "idle" not in tables
    assert "1970-01-01" in tables
    assert "undated" in tables
    assert "worth \\x1b[31mknowing" in tables
    listed = [line for line in tables.splitlines() if line.startswith("missing ")]
    said = [json.loads(line) for line in lines.splitlines()]
    assert sum(one["type"] == "difference" for one in said) == missing
    assert said[-1]["clean"] == (not missing)
    if missing:
        assert len(listed) == 20
        assert "5 more of events missing: --format jsonl lists all" in tables
        assert tables.endswith("25 differences: 25 events missing.\n")
    else:
        assert tables.endswith("Nothing is missing and nothing is surplus.\n")
