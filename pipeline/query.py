"""Questions that people ask of a store, the same whichever store it is.

Full text means: all tokens ``[a-z0-9]+`` of the lowercased text, in any order. Results are in
order of (time, id).
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.errors import ArgumentError
from schemas.vocabulary import CLASS_NAMES, Outcome

_TOKEN = re.compile(r"[a-z0-9]+")
# Of fewer digits they may be meant as seconds.
_EPOCH_MS = re.compile(r"-[0-9]{9,15}|[0-9]{12,15}")
_LONGEST_NAME = 40_000
"""Bytes of a name that is asked for: SQLite takes no pattern of more than 50,000."""
_CLASSES = {name.lower().replace(" ", "_"): uid for uid, name in CLASS_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Query:
    """Filters; None is no filter. Times are epoch milliseconds, ``since`` ≤ time < ``until``.

    ``actor`` is a full principal (``User:alice``) or its name; ``actor`` and ``resource`` may hold
    ``*``. ``address`` is an IP address or a CIDR.
    """

    since: int | None = None
    until: int | None = None
    actor: str | None = None
    resource: str | None = None
    address: str | None = None
    source: str | None = None
    class_uid: int | None = None
    outcome: str | None = None
    text: str | None = None


def tokens(text: str) -> list[str]:
    """Tokens that full text looks for."""
    return _TOKEN.findall(text.lower())


def instant(text: str) -> int:
    """Epoch milliseconds of a date, an ISO 8601 time (UTC unless it says otherwise), or epoch ms.

    Raises:
        ArgumentError: it is none of these.
    """
    if _EPOCH_MS.fullmatch(text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentError(
            f"{text!r} is no time; write 2026-11-20, 2026-11-20T23:52, 2026-11-20T23:52:44+01:00, "
            "or milliseconds since 1970"
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def network(text: str) -> str:
    """The address or CIDR in its shortest form, as events have it: IPv4 inside IPv6 is IPv4, and a
    zone index is left out.

    Raises:
        ArgumentError: it is neither.
    """
    try:
        if "/" in text:
            found = ipaddress.ip_network(text, strict=False)
            inside = getattr(found.network_address, "ipv4_mapped", None)
            return f"{inside}/{found.prefixlen - 96}" if inside else str(found)
        at = ipaddress.ip_address(text.partition("%")[0] if ":" in text else text)
        return str(getattr(at, "ipv4_mapped", None) or at)
    except ValueError:
        raise ArgumentError(f"{text!r} is neither an IP address nor a network (CIDR)") from None


def glob(text: str) -> str:
    """A pattern of SQLite's GLOB in which ``*`` alone is special."""
    return "".join(f"[{c}]" if c in "[?" else c for c in text)


def event_class(text: str) -> int:
    """Class number of ``3002``, ``authentication`` or ``"API Activity"``.

    Raises:
        ArgumentError: no class of that number or name.
    """
    wanted = text.strip().lower().replace(" ", "_").replace("-", "_")
    numbers = {str(uid): uid for uid in CLASS_NAMES}
    if wanted in numbers:
        return numbers[wanted]
    if wanted in _CLASSES:
        return _CLASSES[wanted]
    raise ArgumentError(f"no class {text!r}; there is {', '.join(sorted(_CLASSES))}")


def outcome(text: str) -> str:
    """One of success, failure, unknown.

    Raises:
        ArgumentError: none of them.
    """
    if text.lower() in set(Outcome):
        return text.lower()
    raise ArgumentError(f"no outcome {text!r}; there is {', '.join(Outcome)}")


def _said_in_utf8(value: str | None) -> None:
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{value!r} is not UTF-8: no name that was read is so") from None


def make(
    *,
    since: str | None = None,
    until: str | None = None,
    actor: str | None = None,
    resource: str | None = None,
    ip: str | None = None,
    source: str | None = None,
    class_: str | None = None,
    outcome_: str | None = None,
    text: str | None = None,
) -> Query:
    """A query from words as people write them.

    Raises:
        ArgumentError: a value means nothing, or the times exclude each other.
    """
    for value in (actor, resource, source, text):
        _said_in_utf8(value)
    for option, name in (("--actor", actor), ("--resource", resource)):
        if name is not None and len(name.encode()) > _LONGEST_NAME:
            raise ArgumentError(f"{option} is longer than {_LONGEST_NAME:,} bytes: use *")
    query = Query(
        instant(since) if since is not None else None,
        instant(until) if until is not None else None,
        actor,
        resource,
        network(ip) if ip is not None else None,
        source,
        event_class(class_) if class_ is not None else None,
        outcome(outcome_) if outcome_ is not None else None,
        text,
    )
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise ArgumentError(f"--since {since} is not before --until {until}")
    if text is not None and not tokens(text):
        raise ArgumentError(f"--text {text!r} holds no letter or digit to look for")
    return query
