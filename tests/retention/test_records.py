"""Records: valid OCSF, found by every reading command, and with ids that say what they are about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.retention.holds import Hold, holds
from pipeline.retention.records import (
    Removal,
    Who,
    added,
    kept,
    record_id,
    released,
    removals,
    removed,
    spelt,
    taken_back,
)
from pipeline.retention.terms import ALWAYS, Period
from pipeline.sinks.opensearch_documents import event_row
from schemas.types import Event
from tests.retention.year import NOW
from tests.schemas.ocsf import needs_ocsf, validator

ME = Who("OpenSearch:retention", "automation", "root")
REMOVAL = Removal("audit-short-2026.01", "short", "2026.01", 7, NOW - 9, NOW - 5, 30, (b"uuid",), 3)


def several() -> list[Event]:
    """One of every kind, and one about nothing."""
    hold = Hold("0123456789ab", Period(NOW - 5, None), "", "CASE-1\0\u2028", "legal")
    return [
        removed(REMOVAL, ME, NOW),
        removed(Removal("audit-x-undated", "x", "undated", 0, 0, 0, 5, (b"u",)), ME, NOW),
        kept(REMOVAL, ME, NOW + 1, "a hold", removed(REMOVAL, ME, NOW).id),
        added(hold, ME, NOW),
        released(hold, ME, NOW, "closed"),
    ]


def rows(events: list[Event]) -> list[dict[str, Any]]:
    """As both stores give them."""
    return [event_row(json.loads(event.ocsf)) for event in events]


@needs_ocsf
def test_every_record_is_valid_ocsf() -> None:
    for event in several():
        assert validator().problems(json.loads(event.ocsf)) == []


def test_columns_and_document_say_the_same() -> None:
    for event in several():
        (row,) = rows([event])
        assert row["id"] == event.id
        for name in ("time", "actor", "actor_kind", "operation", "resource", "resource_type",
                     "source", "retention", "outcome", "message", "class_uid", "activity_id",
                     "access_path", "cluster"):  # fmt: skip
            assert row[name] == getattr(event, name), name
        assert row["retention"] == "auditstream"
        assert row["cluster"] == ""


def test_what_is_said_of_a_removal() -> None:
    said = json.loads(removed(REMOVAL, ME, NOW).ocsf)
    assert said["message"] == (
        "Retention removed 7 events of the class short of 2026.01, which is kept for 30 days"
    )
    assert (said["count"], said["start_time"], said["end_time"]) == (7, NOW - 9, NOW - 5)
    assert said["actor"]["user"]["uid"] == "OpenSearch:retention"
    ours = said["auditstream"]
    assert ours["by"] == {"actor": "OpenSearch:retention", "os_user": "root"}
    assert ours["removal"] == {
        "class": "short", "month": "2026.01", "events": 7, "first_time": NOW - 9,
        "last_time": NOW - 5, "days": 30, "estates_until": 3,
    }  # fmt: skip


def test_the_id_is_of_what_is_removed_and_since_when() -> None:
    first = removed(REMOVAL, ME, NOW)
    assert first.id == record_id("audit-short-2026.01", (b"uuid",), NOW)
    # Whoever finishes it, and whatever was counted: one record.
    assert removed(REMOVAL, Who("OS:bob"), NOW).id == first.id
    assert record_id("audit-short-2026.01", (b"another",), NOW) != first.id
    assert record_id("audit-short-2026.02", (b"uuid",), NOW) != first.id
    assert int.from_bytes(first.id[:6], "big") == NOW


def test_a_removal_that_was_taken_back_is_none() -> None:
    first, second = removed(REMOVAL, ME, NOW), removed(REMOVAL, ME, NOW + 5)
    back = kept(REMOVAL, ME, NOW + 1, "hold 1 of legal: CASE-1", first.id)
    assert [one["at"] for one in removals(rows([first, back, second]))] == [NOW + 5]
    assert taken_back(rows([first, back, second])) == {first.id.hex()}
    assert [one["at"] for one in removals(rows([first, second]))] == [NOW, NOW + 5]
    assert "did not remove audit-short-2026.01 after all" in back.message


def test_a_hold_is_read_back_from_its_document() -> None:
    hold = Hold("", Period(None, NOW), "short", "naïve\0 CASE", "legal")
    (found,) = holds(rows([added(hold, ME, NOW)]))
    assert (found.period, found.retention, found.reason) == (hold.period, "short", "naïve\0 CASE")


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (ALWAYS, "of all time"),
        (Period(0, None), "from 1970-01-01"),
        (Period(None, 1_735_689_600_000), "before 2025-01-01"),
        (Period(1_735_689_600_001, 1_735_689_661_000), "from 2025-01-01T00:00:00.001 before 2025-01-01T00:01:01"),
        (Period(10**17, None), f"from {10**17} ms"),
    ],
)  # fmt: skip
def test_a_period_in_words(time: Period, said: str) -> None:
    assert spelt(time) == said
