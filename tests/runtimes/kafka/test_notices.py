"""What the stream says of itself: findings as OCSF has them, under a name of their own."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from pipeline.runtimes.kafka.notices import KINDS, LAG, SILENCE, Kind, Told, opened, over, span
from schemas.findings import FINDINGS
from schemas.types import Finding, row_of
from schemas.vocabulary import FindingStatus
from schemas.wire import decoder, encoder
from tests.schemas.ocsf import needs_ocsf, validator

NOW = 1_763_700_000_000
TOLD = Told("prod", "topic=t", NOW, NOW + 60_000, 1, "Title", "Message.", {"topic": "t"})


def versions(kind: Kind) -> list[Finding]:
    """One that is raised, over, and one that is taken back and raised again."""
    first = opened(kind, TOLD)
    withdrawn = over(kind, TOLD, first, FindingStatus.WITHDRAWN)
    return [
        first, over(kind, TOLD, first, FindingStatus.CLOSED), withdrawn,
        opened(kind, TOLD, withdrawn),
    ]  # fmt: skip


@needs_ocsf
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_ocsf(kind: Kind) -> None:
    for found in versions(kind):
        document = orjson.loads(found.ocsf)
        document.pop("auditstream")
        assert validator().problems(document) == []


@pytest.mark.parametrize("kind", KINDS)
def test_it_stands_apart_from_what_detectors_conclude(kind: Kind) -> None:
    names = {orjson.loads(found.ocsf)["metadata"]["log_name"] for found in versions(kind)}
    assert names == {f"auditstream.{kind.name}"}
    assert FINDINGS not in names


def test_its_versions() -> None:
    said = [(v.version, v.status) for v in versions(SILENCE)]
    assert said == [(1, "open"), (2, "closed"), (2, "withdrawn"), (3, "open")]
    documents = [orjson.loads(v.ocsf) for v in versions(SILENCE)]
    assert [(d["activity_id"], d["status"]) for d in documents] == [
        (1, "New"), (3, "Resolved"), (3, "Archived"), (2, "New"),
    ]  # fmt: skip
    assert len({v.id for v in versions(SILENCE)}) == 1
    assert int.from_bytes(versions(SILENCE)[0].id[:6], "big") == NOW


def test_an_id_is_of_what_it_is_about_and_since_when() -> None:
    others = [
        replace(TOLD, cluster="test"), replace(TOLD, key="topic=u"), replace(TOLD, first=NOW + 1),
    ]  # fmt: skip
    ids = {opened(kind, told).id for kind in KINDS for told in (TOLD, *others)}
    assert len(ids) == 8
    # When it was looked, how much there is and how it is worded are not in it.
    later = replace(TOLD, last=NOW + 61_000, count=7, title="Another", message="Another.")
    assert opened(LAG, later).id == opened(LAG, TOLD).id


def test_it_comes_back_from_its_topic() -> None:
    encode, decode = encoder("finding"), decoder("finding")
    for found in versions(LAG):
        assert row_of(Finding, decode(encode(found))) == found


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (0, "0 s"), (40_400, "40 s"), (119_000, "119 s"), (120_000, "2 min"),
        (7_199_000, "120 min"), (7_200_000, "2 h"), (9_000_000, "2.5 h"),
        (172_800_000, "2.0 days"), (604_800_000, "7.0 days"),
    ],
)  # fmt: skip
def test_lengths_of_time(ms: int, said: str) -> None:
    assert span(ms) == said
