"""The lab's story: a part for every detector, and a desk and a trail that record in the present."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from pipeline.lab.configured import DESK_TOPIC, TRAIL_TOPIC
from pipeline.lab.incident import desk, trail
from pipeline.lab.story import recorded

ENDED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def test_what_is_recorded_before_the_play_is_what_desk_and_trail_say() -> None:
    ended = int(ENDED.timestamp() * 1000)
    before = [orjson.loads(r.value) for r in recorded(ENDED) if r.time_ms <= ended]
    said = [*desk.records(ENDED), *trail.records(ENDED)]
    # But for the end of what is allowed, which is after the play.
    unchanged = [document for document in before if "window" not in document]
    assert len(before) > 15
    assert all(document in said for document in unchanged)


def test_what_is_recorded_after_it_does_not_keep_anybody_waiting() -> None:
    ended = int(ENDED.timestamp() * 1000)
    after = [record for record in recorded(ENDED) if record.time_ms > ended]
    assert {record.topic for record in after} == {DESK_TOPIC, TRAIL_TOPIC}
    assert max(record.time_ms for record in after) - ended < 15_000
    (close,) = [r for r in after if r.topic == DESK_TOPIC]
    approvals = [orjson.loads(r.value) for r in recorded(ENDED) if b'"approval"' in r.value]
    end = max(datetime.fromisoformat(document["window"]["to"]) for document in approvals)
    # It still closes too late.
    assert end < datetime.fromisoformat(orjson.loads(close.value)["time"])
    assert end - ENDED > timedelta(seconds=5)


@pytest.mark.parametrize("topic", [DESK_TOPIC, TRAIL_TOPIC])
def test_a_topic_of_the_story_is_one_that_a_source_reads(topic: str) -> None:
    from pipeline.registry import sources

    assert topic.rpartition(".")[2] in sources()
