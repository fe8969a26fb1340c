"""What is in a topic of rows and in the indices of them, as the two sides of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from pipeline.retention.holds import HOLD
from pipeline.retention.records import REMOVE, RETENTION
from pipeline.runtimes.kafka.comparing import Rule
from pipeline.runtimes.kafka.sides import Id, Kept, Numbers
from pipeline.sinks.opensearch_documents import account_id
from pipeline.sinks.opensearch_scan import Hit
from schemas import indices
from schemas.types import AccountOf, columns, row_of
from schemas.wire import Decode, columns_of

_ID_BYTES: Final = 16

Facts = tuple[Id, int, int | None, str, str]
"""The first attributes of :class:`Told`."""
Taken = Callable[[Sequence[Any], int], Facts]
"""The facts of a row, by its columns and when it was carried."""


class Kind(NamedTuple):
    """One kind of row and its documents.

    Attributes:
        name: for people.
        topic: as the contract calls it.
        schema: of the rows.
        columns: of a row, in the schema's order; empty: all of them, decoded.
        told: facts of a row.
        pattern: of the indices.
        fields, dates: what is wanted of a document.
        kept: the document's side.
        whole: the document itself is looked at, too.
        day: a date to look for a period by, or empty.
        besides: a query that finds what no topic ever held, or None.
    """

    name: str
    rule: Rule
    topic: str
    schema: str
    columns: tuple[str, ...]
    told: Taken
    pattern: str
    kept: Callable[[Hit], Kept]
    fields: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    whole: bool = False
    day: str = ""
    besides: dict[str, Any] | None = None


def reader(kind: Kind, decode: Decode) -> Callable[[bytes], Sequence[Any]]:
    """Reads the columns that a kind is about out of its rows; where it names none, the row.

    What it gives raises `Undecodable` for what is no such row, and `RegistryAway` where the
    registry has to be asked, and cannot be.
    """
    if kind.columns:
        return columns_of(kind.schema, kind.columns, decode)
    return lambda value: (decode(value),)


def id_taken_back(kind: Kind, key: bytes | None) -> Id:
    """The id that a record without a value takes back, in a compacted topic."""
    if kind.columns:
        return key or b""
    # TOPIC NUL PARTITION NUL START
    return (key or b"").replace(b"\0", b":").decode("utf-8", "backslashreplace")


def id_of(name: str) -> Id:
    """The id that a document is kept under."""
    try:
        found = bytes.fromhex(name)
    except ValueError:
        return name
    return found if len(found) == _ID_BYTES and found.hex() == name else name


def _first(hit: Hit, name: str) -> str:
    said = hit.fields.get(name)
    return str(said[0]) if said else ""


def _moment(hit: Hit, name: str) -> int | None:
    try:
        return int(_first(hit, name))
    except ValueError:
        return None


def _from_id(id_: Id) -> int | None:
    return int.from_bytes(id_[:6], "big") if isinstance(id_, bytes) else None


OWN_INDICES: Final = f"{indices.EVENTS}-{indices.OWN}-*"
_OWN_EVENTS: Final[dict[str, Any]] = {
    "bool": {
        "filter": [
            {"prefix": {"_index": OWN_INDICES.removesuffix("*")}},
            {"terms": {"metadata.log_name": [HOLD, RETENTION]}},
        ]
    }
}
"""What auditstream says of itself, straight into its own indices."""
REMOVALS: Final[dict[str, Any]] = {
    "bool": {
        "filter": [
            {"term": {"metadata.log_name": RETENTION}},
            {"term": {"api.operation": REMOVE}},
            {"exists": {"field": "entity.name"}},
        ]
    }
}
"""What says that an index was removed."""


def events(longest_days: int) -> Kind:
    """Events: one document of each id."""

    def told(row: Sequence[Any], carried: int) -> Facts:
        id_, at, retention, source = row
        return id_, 0, at, source, indices.of_event(retention, at, carried, longest_days)

    def kept(hit: Hit) -> Kept:
        return Kept(
            id_of(hit.id), 0, _moment(hit, "time"), _first(hit, "metadata.log_name"), hit.home
        )

    return Kind(
        "events", "once", "events", "audit_event", ("id", "time", "retention", "source"), told,
        indices.searched(indices.EVENTS), kept, ("metadata.log_name",), ("time",), day="time",
        besides=_OWN_EVENTS,
    )  # fmt: skip


def dead_letters(longest_days: int, reasons: Numbers) -> Kind:
    """Dead letters: one document of each id. What is said of one is its reason's number."""

    def told(row: Sequence[Any], carried: int) -> Facts:
        id_, at, reason, source, *_ = row
        home = indices.of_letter(at, carried, longest_days)
        return id_, reasons.number(reason), at or None, source, home

    def kept(hit: Hit) -> Kept:
        said = reasons.number(_first(hit, "reason"))
        at = _moment(hit, "time") or None
        return Kept(id_of(hit.id), said, at, _first(hit, "source"), hit.home)

    return Kind(
        "dead letters", "once", "dead-letters", "dead_letter",
        ("id", "time", "reason", "source", "carrier", "position"), told,
        indices.searched(indices.DEAD_LETTERS), kept,
        ("reason", "source", "carrier", "position"), ("time",),
    )  # fmt: skip


_DETECTOR: Final = "finding_info.analytic.uid"


def _finding(index: str) -> Taken:
    def told(row: Sequence[Any], carried: int) -> Facts:  # noqa: ARG001  # as all are called
        id_, version, detector = row
        return id_, version, _from_id(id_), detector, indices.of_finding(index, id_)

    return told


def findings() -> Kind:
    """Findings: of each id the last version."""

    def kept(hit: Hit) -> Kept:
        id_ = id_of(hit.id)
        return Kept(id_, hit.version, _from_id(id_), _first(hit, _DETECTOR), hit.home)

    return Kind(
        "findings", "version", "findings", "finding", ("id", "version", "detector"),
        _finding(indices.FINDINGS), indices.searched(indices.FINDINGS), kept, (_DETECTOR,),
    )  # fmt: skip


def versions() -> Kind:
    """Versions of findings: one document of each."""

    def kept(hit: Hit) -> Kept:
        name, _, version = hit.id.rpartition("-")
        id_ = id_of(name)
        known = isinstance(id_, bytes) and version.isascii() and version.isdigit()
        known = known and len(version) < 10
        if not known:
            return Kept(hit.id, 0, None, _first(hit, _DETECTOR), hit.home)
        return Kept(id_, int(version), _from_id(id_), _first(hit, _DETECTOR), hit.home)

    return Kind(
        "versions of findings", "each", "findings", "finding", ("id", "version", "detector"),
        _finding(indices.VERSIONS), indices.searched(indices.VERSIONS), kept, (_DETECTOR,),
    )  # fmt: skip


def changes() -> Kind:
    """Changes: of each id the last version."""

    def told(row: Sequence[Any], carried: int) -> Facts:  # noqa: ARG001  # as all are called
        id_, version, at, kind = row
        return id_, version, at, kind, indices.CHANGES

    def kept(hit: Hit) -> Kept:
        return Kept(id_of(hit.id), hit.version, _moment(hit, "time"), _first(hit, "kind"), hit.home)

    return Kind(
        "changes", "version", "changes", "change", ("id", "version", "time", "kind"), told,
        indices.searched(indices.CHANGES), kept, ("kind",), ("time",),
    )  # fmt: skip


def accounts() -> Kind:
    """Accounts: one document of each partition and start, that says what the row does."""

    def told(row: Sequence[Any], carried: int) -> Facts:
        found = row_of(AccountOf, row[0])
        return account_id(found), _digest(columns(found)), carried, found.topic, indices.ACCOUNTS

    def kept(hit: Hit) -> Kept:
        topic = hit.id.rsplit(":", 2)[0]
        return Kept(hit.id, _digest(hit.source), None, topic, hit.home)

    return Kind(
        "accounts", "exact", "accounts", "account", (), told,
        indices.searched(indices.ACCOUNTS), kept, whole=True,
    )  # fmt: skip


def _digest(said: Mapping[str, Any] | None) -> int:
    document = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(document, digest_size=7).digest(), "big")
