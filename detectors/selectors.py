"""Selectors: what a cloud trail records no more of what it recorded before.

Of both kinds, basic and advanced, which are held against each other by what they let through: kinds
of events, each as reads and as writes, each under restrictions all of which must hold.
Semantics: API reference of AWS CloudTrail, ``EventSelector`` and ``AdvancedFieldSelector``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from detectors.grants import Weakness, texts
from schemas.changes import Deed
from schemas.vocabulary import Severity

_MANAGEMENT: Final = "management"
_READS: Final = ("reads",)
_WRITES: Final = ("writes",)
_HALVES: Final = {"readonly": _READS, "writeonly": _WRITES, "true": _READS, "false": _WRITES}
_BOTH: Final = _READS + _WRITES


class _Restriction(NamedTuple):
    field: str
    operator: str
    values: frozenset[str]


_Restrictions = Sequence[_Restriction]
"""All of them must hold; none lets everything through."""
_Coverage = dict[tuple[str, str], list[_Restrictions]]
"""By kind of events and half: what is let through, by any of its selectors."""

_DEFAULT: Final[_Coverage] = {(_MANAGEMENT, half): [()] for half in _BOTH}
"""What a trail records whose selectors nobody ever set."""


def narrowed(deed: Deed) -> Iterator[Weakness]:
    """What a trail records no more. Where nobody says what it did before: of the default, and one
    level lower."""
    if deed.item:
        yield from _insights(deed)
        return
    rows = _rows(deed.after)
    if rows is None:
        says = "what is recorded from now on cannot be read"
        yield Weakness(Severity.LOW, "Trail's selectors set to what cannot be read", says)
        return
    known = _rows(deed.before)
    before = _DEFAULT if known is None else _coverage(known)
    after, unsure = _coverage(rows), known is None
    if before and not after:
        yield Weakness(Severity.HIGH, "Trail records nothing any more", "nothing is recorded")
        return
    for (kind, half), ways in before.items():
        left = after.get((kind, half), [])
        if any(not _let_through(way, left) for way in ways):
            grave = (kind, half) == (_MANAGEMENT, *_WRITES) and not left
            severity = (Severity.HIGH if grave else Severity.MEDIUM) - unsure
            lost = "recorded no more" if not left else "recorded in part only"
            title = f"Trail records fewer {kind} events"
            yield Weakness(severity, title, f"{kind} {half} are {lost}")


def _insights(deed: Deed) -> Iterator[Weakness]:
    before, after = _rows(deed.before), _rows(deed.after)
    if after is not None and (any(row not in after for row in before or ()) or not after):
        says = "unusual activity is told of less"
        yield Weakness(Severity.LOW, "Trail's insights narrowed", says)


def _rows(value: Any) -> list[Any] | None:
    rows = value.get("selectors") if isinstance(value, dict) else None
    return rows if isinstance(rows, list) else None


def _coverage(rows: Sequence[Any]) -> _Coverage:
    out: _Coverage = {}
    for row in rows:
        if not isinstance(row, dict):
            continue
        ways = _advanced(row["fields"]) if isinstance(row.get("fields"), dict) else _basic(row)
        for kind, halves, restrictions in ways:
            for half in halves:
                out.setdefault((kind, half), []).append(restrictions)
    return out


def _basic(row: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...], _Restrictions]]:
    halves = _HALVES.get(str(row.get("read_write")).lower(), _BOTH)
    if row.get("management"):
        excluded = texts(row.get("excluded"))
        but = (_Restriction("eventsource", "notequals", excluded),) if excluded else ()
        yield _MANAGEMENT, halves, but
    for resource in sorted(texts(row.get("data"))):
        kind, _, prefix = resource.partition(" ")
        # Without a resource it selects none; with no more of an ARN than the service, all.
        if prefix.rstrip(":").count(":") > 2:
            on = _Restriction("resources.arn", "startswith", frozenset((prefix,)))
            yield kind, halves, (on,)
        elif prefix:
            yield kind, halves, ()


def _advanced(
    fields: dict[str, Any],
) -> Iterator[tuple[str, tuple[str, ...], _Restrictions]]:
    stated = [
        _Restriction(field.lower(), operator.replace("_", "").lower(), texts(values))
        for field, operators in sorted(fields.items())
        for operator, values in sorted(operators.items() if isinstance(operators, dict) else ())
    ]
    one_of = {each.field: each.values for each in stated if each.operator == "equals"}
    halves: tuple[str, ...] = _BOTH
    for value in one_of.get("readonly", ()):
        halves = _HALVES.get(value.lower(), _BOTH)
    left = tuple(s for s in stated if s.field not in ("eventcategory", "readonly", _TYPE))
    for category in sorted(one_of.get("eventcategory", ())):
        for kind in sorted(one_of.get(_TYPE, (category,))):
            yield (_MANAGEMENT if kind == "Management" else kind), halves, left


_TYPE: Final = "resources.type"


def _let_through(way: _Restrictions, others: Sequence[_Restrictions]) -> bool:
    """Whether one of the others lets through all that this way does."""
    return any(all(any(_implies(mine, its) for mine in way) for its in other) for other in others)


def _implies(one: _Restriction, other: _Restriction) -> bool:
    """Whether the other holds wherever the one does."""
    if one.field != other.field:
        return False
    mine, its = (each.operator.removeprefix("not") for each in (one, other))
    if mine not in _OPERATORS or its not in _OPERATORS:
        return one == other
    keeps, lets = mine == one.operator, its == other.operator
    if lets:
        return keeps and _within(mine, one.values, its, other.values)
    if keeps:
        return _apart(mine, one.values, its, other.values)
    return _within(its, other.values, mine, one.values)


_OPERATORS: Final = ("equals", "startswith", "endswith")


def _fits(operator: str, values: frozenset[str]) -> Callable[[str], bool]:
    """What says of a text whether one of the values is enough for it."""
    if operator == "equals":
        return values.__contains__
    ends, fits = tuple(values), str.startswith if operator == "startswith" else str.endswith
    return lambda text: fits(text, ends)


def _within(one: str, values: frozenset[str], other: str, others: frozenset[str]) -> bool:
    """Whether all that one operator and its values let through, the other does."""
    return one in ("equals", other) and all(map(_fits(other, others), values))


def _apart(one: str, values: frozenset[str], other: str, others: frozenset[str]) -> bool:
    """Whether nothing is let through by both."""
    if one != other and "equals" not in (one, other):
        # A text may have the beginning and the end.
        return False
    both = (one in ("equals", other) and any(map(_fits(other, others), values))) or (
        other in ("equals", one) and any(map(_fits(one, values), others))
    )
    return not both
