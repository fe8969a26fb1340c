"""Estates without a broker: what was said outlives its evidence, and is not said again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.batch import Record, Stream
from pipeline.config import Config, load
from pipeline.engine import ingest
from pipeline.runtimes.judge import concerns_estates
from pipeline.runtimes.kafka.judging import Estates
from pipeline.runtimes.kafka.judging import _state_name as state_name
from pipeline.runtimes.kafka.leading import place
from schemas.types import ChangeVersion, Event, Finding, row_of
from schemas.wire import decoder, encoder

INCIDENT = Path(__file__).parents[3] / "pipeline" / "incident"
CONFIG: Config = load(INCIDENT / "auditstream.toml")
NUMBER = place("prod", 4)


def incident() -> Iterator[Event]:
    """What of the bundled incident estates are about."""
    plan = CONFIG.plan()
    for given in CONFIG.inputs[:1]:
        for path in sorted(INCIDENT.glob(given.path)):
            lines = path.read_bytes().splitlines()
            records = [Record(line, number * 1_000) for number, line in enumerate(lines)]
            stream = Stream(cluster=given.cluster, origin=path.name.encode(), zone="UTC")
            yield from filter(concerns_estates, ingest(plan, stream, records, {}, True).events)


EVENTS = sorted(incident(), key=lambda one: (one.time, one.id))


def judged(estates: Estates) -> tuple[list[Finding], list[ChangeVersion]]:
    findings, changes = estates.judged(), estates.changed()
    estates.remember(findings, changes)
    return findings, changes


def made(folder: Path) -> Estates:
    folder.mkdir()
    return Estates(CONFIG, folder, NUMBER, 4)


@pytest.fixture
def said(tmp_path: Path) -> tuple[list[Finding], list[ChangeVersion]]:
    estates = made(tmp_path / "first")
    estates.see(EVENTS)
    found = judged(estates)
    estates.close()
    assert len(found[0]) > 5
    assert len(found[1]) > 10
    return found


def test_rows_come_back_as_events() -> None:
    encode, decode = encoder("audit_event"), decoder("audit_event")
    assert [row_of(Event, decode(encode(one))) for one in EVENTS] == EVENTS


def test_whoever_takes_over_says_nothing_twice(
    tmp_path: Path, said: tuple[list[Finding], list[ChangeVersion]]
) -> None:
    estates = made(tmp_path / "second")
    estates.see(EVENTS[::-1])
    estates.see(EVENTS)
    estates.recall(*said)
    assert judged(estates) == ([], [])
    estates.close()


@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_what_retention_took_withdraws_nothing(
    tmp_path: Path, said: tuple[list[Finding], list[ChangeVersion]], kept: int
) -> None:
    left = EVENTS[len(EVENTS) - kept :] if kept >= 0 else EVENTS[1:]
    estates = made(tmp_path / "later")
    estates.see(left)
    estates.recall(*said)
    findings, changes = judged(estates)
    assert [one for one in findings if one.status != "open"] == []
    assert [one for one in changes if one.status != "open"] == []
    before = {i for one in said[0] for i in one.evidence}
    assert [one for one in findings if before & set(one.evidence)] == []
    held = {one.id for one in left}
    gone = [one for one in said[0] if one.evidence and held.isdisjoint(one.evidence)]
    gone += [one for one in said[1] if held.isdisjoint(one.legs)]  # type: ignore[misc]
    assert set(estates.forgotten) == {state_name(one) for one in gone}
    estates.close()
