"""Planning: what is due, held, kept or not due yet, and why."""

from __future__ import annotations

from pipeline.retention.holds import Hold
from pipeline.retention.planning import Unit, planned
from pipeline.retention.terms import ALWAYS, Period
from schemas.indices import DAY_MS
from tests.retention.year import NOW, RETENTION

HOLD = Hold("0123456789ab", ALWAYS, "short", "CASE-1", "legal")


def unit(retention: str, month: str, **more: object) -> Unit:
    return Unit(f"audit-{retention}-{month}", retention, month, 5, **more)  # type: ignore[arg-type]


def states(*units: Unit, holds: tuple[Hold, ...] = (), undated: int = 0) -> dict[str, str]:
    return {v.unit.name: v.state for v in planned(units, holds, RETENTION, NOW, undated)}


def test_months_past_their_days_are_due() -> None:
    assert states(
        unit("short", "2026.09"), unit("short", "2026.10"), unit("standard", "2026.07"),
        unit("standard", "2026.08"), unit("bygone", "2026.07"), unit("bygone", "2026.08"),
    ) == {
        "audit-short-2026.09": "due", "audit-short-2026.10": "later",
        "audit-standard-2026.07": "due", "audit-standard-2026.08": "later",
        "audit-bygone-2026.07": "due", "audit-bygone-2026.08": "later",
    }  # fmt: skip


def test_a_hold_keeps_what_is_due_and_is_said_of_what_is_not() -> None:
    first, second, other = planned(
        [unit("short", "2026.09"), unit("short", "2026.10"), unit("standard", "2026.07")],
        [HOLD], RETENTION, NOW,
    )  # fmt: skip
    assert (first.state, first.why) == ("held", "hold 0123456789ab of legal: CASE-1")
    assert (second.state, second.holds) == ("later", (HOLD,))
    assert (other.state, other.holds) == ("due", ())


def test_of_several_holds_all_are_said() -> None:
    more = Hold("ba9876543210", Period(None, NOW), "", "CASE-2", "soc")
    (found,) = planned([unit("short", "2026.09")], [HOLD, more], RETENTION, NOW)
    assert found.holds == (HOLD, more)
    assert found.why == "hold 0123456789ab of legal: CASE-1; hold ba9876543210 of soc: CASE-2"


def test_what_auditstream_says_of_itself_is_kept() -> None:
    (found,) = planned([unit("auditstream", "2020.01")], [], RETENTION, NOW)
    assert (found.state, found.days) == ("kept", None)


def test_undated_is_kept_unless_a_rule_of_its_own_says_otherwise() -> None:
    old, new = NOW - 11 * DAY_MS, NOW - 10 * DAY_MS + 1
    for made, undated, state in (
        (old, 0, "kept"), (old, 10, "due"), (new, 10, "later"), (0, 10, "kept"),
    ):  # fmt: skip
        assert states(unit("short", "undated", made=made), undated=undated) == {
            "audit-short-undated": state
        }
    (found,) = planned([unit("short", "undated", made=old)], [HOLD], RETENTION, NOW, 10)
    assert (found.state, found.days) == ("held", 10)


def test_what_the_store_cannot_let_go_is_kept_with_its_reason() -> None:
    (found,) = planned([unit("short", "2026.09", stuck="it is closed")], [HOLD], RETENTION, NOW)
    assert (found.state, found.why) == ("kept", "it is closed")
    assert states(unit("short", "2026.10", stuck="it is closed")) == {
        "audit-short-2026.10": "later"
    }


def test_without_configuration_all_is_kept_for_400_days() -> None:
    found = planned([unit("standard", "2025.09"), unit("standard", "2025.10")], [], (), NOW)
    assert [(v.state, v.days, v.why) for v in found] == [("due", 400, ""), ("later", 400, "")]


def test_the_order_is_that_of_class_and_month() -> None:
    units = [unit("b", "2026.01"), unit("a", "2026.02"), unit("a", "2025.12"), unit("a", "undated")]
    assert [v.unit.name for v in planned(units, [], (), NOW)] == [
        "audit-a-2025.12", "audit-a-2026.02", "audit-a-undated", "audit-b-2026.01",
    ]  # fmt: skip
