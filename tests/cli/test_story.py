"""`timeline` as a story, and one finding whole: what people read first."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.cli.story import SPAN_MS, Entry, told
from tests.cli.test_changes import GRANTED, acl, asked
from tests.logs import START, decision, login, write
from tests.request_log import line
from tests.runtimes.runs import run

SECOND = timedelta(seconds=1)


def event(time: int, **said: object) -> Entry:
    row = {
        "time": time, "cluster": "c", "actor": "User:a", "address": "", "outcome": "success",
        "source": "s", "leg": "", "suspect": 0, "session": "", "class_uid": 6003,
        "operation": "READ", "resource_type": "Topic", "resource": "t", "ocsf": b"{}",
    }  # fmt: skip
    return time, f"{time:032x}", row | said


def story(*entries: Entry) -> list[tuple[int, int, str]]:
    lines = told(entries, lambda row: {"when": row["time"], "said": "as it was said"})
    return [(line["when"], line["count"], line["said"]) for line in lines]


def test_the_same_again_is_one_line_for_as_long_as_a_span() -> None:
    times = [0, 1000, SPAN_MS, SPAN_MS + 1]
    assert story(*map(event, times)) == [
        (0, 3, "as it was said"),
        (SPAN_MS + 1, 1, "as it was said"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"actor": "User:b"}, {"address": "192.0.2.1"}, {"outcome": "failure"}, {"cluster": "d"},
        {"suspect": 1}, {"session": "S-1"},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_what_differs_in_anything_people_go_by_stands_apart(other: dict[str, object]) -> None:
    assert [count for _, count, _ in story(event(1), event(2, **other), event(3))] == [2, 1]


def test_what_was_done_to_what_is_summed_up() -> None:
    topics = [event(n, resource=f"t{n}") for n in range(5)]
    ((_, count, said),) = story(*topics, event(9, operation="WRITE", resource="t0"))
    assert count == 6
    assert said == "READ 5×, WRITE 1× on Topic t0, Topic t1, Topic t2 and 2 more"


def test_lines_stand_where_they_begin_and_little_is_kept() -> None:
    """An endless stream of others does not hold back what is over."""
    seen = []

    def endless() -> object:
        yield event(0, actor="User:first")
        for n in range(1, 10_000):
            seen.append(n)
            yield event(n * 1000)

    lines = told(endless(), lambda row: {"who": row["actor"]})  # type: ignore[arg-type]
    assert next(lines)["who"] == "User:first"
    assert len(seen) == SPAN_MS // 1000 + 1


@pytest.fixture
def store(tmp_path: Path) -> Path:
    lines = [login(START + n * SECOND, "198.51.100.9") for n in range(12)]
    lines += [decision(START + (20 + n) * SECOND, "User:app") for n in range(30)]
    run(tmp_path / "s.db", write(tmp_path / "a.log", lines))
    grant = write(tmp_path / "b.log", [line("CreateAcls", acl("User:x"), GRANTED)])
    run(tmp_path / "s.db", grant)
    return tmp_path / "s.db"


def test_the_timeline_tells_findings_among_what_they_rest_on(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(capsys, "timeline", "--store", store).splitlines()
    assert len(lines) == 6
    assert [re.split(r"  +", row)[1] for row in lines[1:]] == [
        "FINDING", "kafka_authentic…", "kafka_authorizer", "FINDING", "acl.create",
    ]  # fmt: skip
    assert "Many failed logins" in lines[1]
    assert " 12 " in lines[2]
    each = asked(capsys, "timeline", "--store", store, "--each").splitlines()
    assert len(each) == 1 + 12 + 30 + 1
    assert "FINDING" not in "".join(each)
    jsonl = asked(capsys, "timeline", "--store", store, "--format", "jsonl").splitlines()
    assert len(jsonl) == 12 + 30 + 1 + 2
    assert sum(json.loads(line).get("class_uid") == 2004 for line in jsonl) == 2


def test_the_timeline_of_somebody_has_the_findings_about_them(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = asked(capsys, "timeline", "--store", store, "--ip", "198.51.100.9").splitlines()
    assert len(lines) == 3


def test_one_finding_whole(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, "findings", "--store", store, "--format", "jsonl").splitlines()
    name = json.loads(found[0])["metadata"]["uid"]
    whole = asked(capsys, "findings", "--store", store, "--id", name[:12].upper())
    head, message, which, *rest = whole.splitlines()
    assert head.endswith("Many failed logins")
    assert message.startswith("12 failed logins")
    assert name in which
    assert sum("198.51.100.9" in row for row in rest) == 12
    assert "1. " in whole
    same = asked(capsys, "findings", "--store", store, "--id", name, "--format", "jsonl")
    assert same.splitlines() == found[:1]
    assert asked(capsys, "findings", "--store", store, "--id", "ffff") == "nothing found\n"
