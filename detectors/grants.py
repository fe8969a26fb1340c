"""Grants: what a policy, an ACL or a trust opens that was not open before, as far as the deed says.

Words are those of ``fact.extension["deed"]`` (docs of the cloud sources): a grant has ``effect``,
``to``, ``reach``, ``actions``, ``resources`` and ``conditional``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from schemas.changes import Deed
from schemas.patterns import matches
from schemas.vocabulary import ANOTHER_ACCOUNT, EVERYONE, Severity


class Weakness(NamedTuple):
    """One thing that a change takes from what guards an estate. ``title`` begins in upper case,
    ``says`` in lower; neither ends in a full stop."""

    severity_id: int
    title: str
    says: str


class Grant(NamedTuple):
    """One statement of a policy, one entry of an ACL."""

    effect: str
    to: str
    reach: str
    actions: frozenset[str]
    resources: frozenset[str]
    conditional: bool

    def __str__(self) -> str:
        on = f" on {_few(self.resources)}" if self.resources else ""
        to = f" to {self.to}" if self.to else ""
        condition = " under conditions" if self.conditional else ""
        return f"{self.effect} {_few(self.actions)}{on}{to}{condition}"


_REACHES: Final = {
    EVERYONE: Severity.HIGH,
    ANOTHER_ACCOUNT: Severity.MEDIUM,
    # An id that does not say whose it is, such as a canonical one.
    "unknown": Severity.LOW,
}
_BUT: Final = "* but "
"""What any action, or any resource, but some begins with."""
_WHOLE: Final = frozenset(("*", "full_control"))
_MOST_CHARACTERS: Final = 10_000_000
"""To hold names against patterns, each against each: more than for a policy that AWS takes."""
_RULING: Final = (
    "*", "full_control", "write_acp", "putbucketpolicy", "putbucketacl", "putkeypolicy",
    "creategrant", "putresourcepolicy", "putclusterpolicy",
)  # fmt: skip
"""With each of them one can come by all the rest."""
_ALL_RIGHTS: Final = re.compile(r":policy/(?:.*/)?(AdministratorAccess|IAMFullAccess)$")
_ACCOUNT: Final = re.compile(r"(?<!\d)\d{12}(?!\d)")
_NAMES: Final = {
    "EndpointService": "Endpoint service", "MskCluster": "MSK cluster",
    "AccessPoint": "Access point", "EventDataStore": "Event data store",
}  # fmt: skip


def grants(value: Any) -> tuple[Grant, ...] | None:
    """The grants of a policy; None where nobody says, or nobody could read it."""
    if not isinstance(value, dict) or value.get("unread") or "grants" not in value:
        return None
    rows = value["grants"] if isinstance(value["grants"], list) else []
    return tuple(_grant(row) for row in rows if isinstance(row, dict))


def _grant(row: dict[str, Any]) -> Grant:
    effect, to, reach = (str(row.get(name) or "") for name in ("effect", "to", "reach"))
    actions, resources = (texts(row.get(name)) for name in ("actions", "resources"))
    return Grant(effect, to, reach, actions, resources, bool(row.get("conditional")))


def texts(value: Any) -> frozenset[str]:
    """The texts of a list; of anything else none."""
    return frozenset(t for t in value if isinstance(t, str)) if isinstance(value, list) else _NONE


_NONE: Final[frozenset[str]] = frozenset()


def of_policy(deed: Deed, trusted: frozenset[str]) -> Iterator[Weakness]:
    """What a deed upon a policy opens, by the grants that it states.

    Args:
        trusted: accounts that may be let in.
    """
    before, after = grants(deed.before), grants(deed.after)
    name = _name(deed)
    if deed.action == "remove" or (deed.action == "delete" and deed.item != "policy"):
        return
    if deed.action == "delete":
        if before is None:
            says = "nobody says whether it denied anything"
            yield Weakness(Severity.LOW, f"{name} deleted", says)
        after = ()
    if after is None and deed.after is not None:
        says = "what it opens cannot be read"
        yield Weakness(Severity.LOW, f"{name} set to what cannot be read", says)
        return
    gone = _Held.of("Deny", after or (), before or ())
    for grant in before or ():
        if grant.effect == "Deny" and not gone.cover(grant):
            yield Weakness(Severity.MEDIUM, f"{name} denies less", f"gone: {grant}")
    yield from opened(name, deed, before or (), after or (), trusted)


def opened(
    name: str,
    deed: Deed,
    before: Sequence[Grant],
    after: Sequence[Grant],
    trusted: frozenset[str],
) -> Iterator[Weakness]:
    """What is open from now on and was not. ``name``: of the policy, in words."""
    allowed = _Held.of("Allow", before, after)
    for grant in after:
        severity = _severity(deed, grant, trusted)
        if grant.effect == "Allow" and severity and not allowed.cover(grant):
            yield Weakness(severity, _title(name, deed, grant), f"new: {grant}")


def of_attachment(deed: Deed) -> Iterator[Weakness]:
    """Rights over everything given to a user, a group or a role by a policy of its own, or by one
    of the cloud's that amounts to it."""
    if deed.action != "attach":
        return
    found = _ALL_RIGHTS.search(deed.item)
    if found and deed.before is None:
        title = f"All rights given to {deed.target}"
        yield Weakness(Severity.HIGH, title, f"new: {found[1]}")
    yield from opened("", deed, grants(deed.before) or (), grants(deed.after) or (), _NONE)


def of_creation(deed: Deed, trusted: frozenset[str]) -> Iterator[Weakness]:
    """What is open of a thing from the first: whom a role trusts, say."""
    facts = deed.after if isinstance(deed.after, dict) else {}
    for item, value in (("", facts), *facts.items()):
        name = _name(deed._replace(item=item))
        yield from opened(name, deed, (), grants(value) or (), trusted)


def _severity(deed: Deed, grant: Grant, trusted: frozenset[str]) -> int:
    """How grave it is that this is granted; 0: it is not."""
    if grant.reach == "holder":
        everywhere = not grant.resources or "*" in grant.resources
        whole = everywhere and any(map(_is_wide, grant.actions))
        return whole * (Severity.HIGH - grant.conditional)
    severity = _REACHES.get(grant.reach, 0)
    if severity <= Severity.LOW:
        return severity
    if grant.reach != EVERYONE and not trusted.isdisjoint((grant.to, *_accounts(grant.to))):
        return Severity.LOW
    ruling = _kind(deed) == "Role" or any(map(_rules, grant.actions))
    return severity + ruling - grant.conditional


def _accounts(principal: str) -> list[str]:
    return _ACCOUNT.findall(principal)


def _rules(action: str) -> bool:
    """Whether an action, which may hold ``*`` and ``?``, is one of :data:`_RULING`."""
    if _is_wide(action):
        return True
    pattern = action.lower().rpartition(":")[2].replace("[", "[[]")
    return any(fnmatchcase(name, pattern) for name in _RULING)


def _is_wide(action: str) -> bool:
    """Whether it is any action, or any but some."""
    return action == "*" or action.startswith(_BUT)


class _Names(NamedTuple):
    """Names of actions or resources, and those of them that are patterns."""

    stated: frozenset[str]
    patterns: tuple[str, ...]

    def hold(self, names: frozenset[str]) -> bool:
        """Whether all these names, which may be patterns, are among them."""
        return all(map(self._holds, names - self.stated))

    def _holds(self, name: str) -> bool:
        # A `?` is a letter like another here: what it might stand for is told as new.
        return not name.startswith(_BUT) and any(matches(each, name) for each in self.patterns)


class _Held(NamedTuple):
    """Grants of one effect, by what they are for, that others are held against."""

    rows: tuple[tuple[Grant, _Names, _Names], ...]

    @classmethod
    def of(cls, effect: str, stated: Sequence[Grant], others: Sequence[Grant]) -> _Held:
        """Those of these grants that are of this effect.

        Args:
            others: those that will be held against them. Against too many patterns is held by
                name alone, or whoever writes policies has a say in how long it takes.
        """
        mine = [(g, _low(g.actions)) for g in stated if g.effect == effect]
        wild = [name for g, actions in mine for name in (*_wild(actions), *_wild(g.resources))]
        held = [name for g in others for name in (*g.actions, *g.resources)]
        cost = len(wild) * sum(map(len, held)) + len(held) * sum(map(len, wild))

        def names(stated: frozenset[str]) -> _Names:
            return _Names(stated, _wild(stated) if cost <= _MOST_CHARACTERS else ())

        return cls(tuple((g, names(actions), names(g.resources)) for g, actions in mine))

    def cover(self, grant: Grant) -> bool:
        """Whether one of them says as much or more. What the conditions are, nobody knows."""
        names = _low(grant.actions)
        return any(
            (other.reach == EVERYONE or other.to == grant.to)
            and other.conditional <= grant.conditional
            and (not _WHOLE.isdisjoint(actions.stated) or actions.hold(names))
            and (not other.resources or "*" in other.resources
                 or bool(grant.resources and resources.hold(grant.resources)))
            for other, actions, resources in self.rows
        )  # fmt: skip


def _low(actions: frozenset[str]) -> frozenset[str]:
    """Actions as IAM takes them, which minds no case."""
    return frozenset(map(str.lower, actions))


def _wild(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in names if "*" in name and not name.startswith(_BUT))


def _title(name: str, deed: Deed, grant: Grant) -> str:
    if grant.reach == "holder":
        given = _kind(deed) != "Policy"
        return f"All rights given to {deed.target}" if given else "Policy gives all rights"
    whom = {"unknown": "somebody unknown"}.get(grant.reach, grant.reach)
    return f"{name} opened to {whom}"


def _kind(deed: Deed) -> str:
    return deed.target.partition(":")[0]


def _name(deed: Deed) -> str:
    item = {"acl": "ACL", "grants": "grant"}.get(deed.item, deed.item.replace("_", " "))
    kind = _kind(deed)
    return f"{_NAMES.get(kind, kind)} {item}".rstrip() if kind != "Policy" else kind


def _few(names: Collection[str]) -> str:
    first = sorted(names)[:3]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(first) + more) or "nothing named"
