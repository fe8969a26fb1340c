"""Scopes: is a deed within what an approval is for?

One thing has many names: Kafka's authorizer says READ, its request Fetch, a cloud GetObject, OCSF
Read. Names are compared without case, and spellings of one thing are equal; whoever may read may
describe, as Kafka's own authorizer has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from schemas.patterns import matches
from schemas.support import Scope

_NO_NAME: Final = re.compile(r"[^a-z0-9*]")
_TYPES: Final[Mapping[str, str]] = {
    "consumergroup": "group", "kafkacluster": "cluster", "mskcluster": "cluster",
    "kafkatopic": "topic", "s3bucket": "bucket", "object": "bucket", "s3object": "bucket",
    "kmskey": "key",
}  # fmt: skip
_EQUAL: Final = (
    frozenset(("read", "fetch", "getobject", "consume", "readdata")),
    frozenset(("write", "produce", "putobject", "writedata")),
    frozenset(("createtopics", "createtopic")),
    frozenset(("deletetopics", "deletetopic")),
    frozenset(("alterconfigs", "incrementalalterconfigs", "altertopicdynamicconfiguration",
               "alterclusterdynamicconfiguration")),
    frozenset(("describeconfigs", "describetopicdynamicconfiguration",
               "describeclusterdynamicconfiguration")),
)  # fmt: skip
_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "alter": frozenset(("createpartitions", "createacls", "deleteacls", "alteruserscramcredentials",
                        "alterpartitionreassignments", "electleaders", "updatefeatures",
                        "altertopic")),
    "alterconfigs": frozenset(("alterclientquotas",)),
    "describe": frozenset(("metadata",)),
}  # fmt: skip
"""What is a kind of what, where its name does not begin so."""
_BEGINNINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "create": ("create",), "delete": ("delete",), "describe": ("describe", "list"),
}  # fmt: skip
_OF_ANOTHER: Final = frozenset(("createacls", "createpartitions", "deleteacls"))
"""To Kafka these are ways to alter."""
_IMPLIED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("read", "fetch", "consume", "write", "produce", "delete", "alter"),
                    "describe"),
    "alterconfigs": "describeconfigs",
}  # fmt: skip
_KAFKA: Final = frozenset(("describe", *_IMPLIED, *_KINDS, *_OF_ANOTHER)).union(
    *_KINDS.values(), *_EQUAL
)
_TWO_MEANINGS: Final = frozenset(("create", "read", "delete"))
"""Words of Kafka's and of OCSF's that mean less to Kafka: of its operations they mean Kafka's."""


class Thing(NamedTuple):
    """What a deed was done to. ``uid``: its full name, as an ARN, or empty."""

    type: str
    name: str
    uid: str = ""
    cluster: str = ""


class Done(NamedTuple):
    """What was done: Kafka's or a cloud's operation, on whose behalf, and OCSF's word for it."""

    operation: str
    request: str = ""
    activity: str = ""


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A name of an operation without case, punctuation, and the service before it."""
    return _NO_NAME.sub("", name.lower().rpartition(":")[2])


@lru_cache(maxsize=4096)
def kind(name: str) -> str:
    """A type of resources, however it is spelt: ``AWS::S3::Bucket`` is ``bucket``."""
    found = plain(name.rpartition("::")[2])
    found = found[:-1] if found.endswith("s") and not found.endswith("ss") else found
    return _TYPES.get(found, found)


def bucket(thing: Thing) -> str:
    """The bucket that a bucket or an object is or is in, or empty."""
    if kind(thing.type) != "bucket":
        return ""
    return (thing.name or thing.uid).rpartition(":::")[2].partition("/")[0]


@lru_cache(maxsize=65_536)
def fits(scope: Scope, thing: Thing) -> bool:
    """Whether a scope is for this resource."""
    wanted, what = kind(scope.resource_type), kind(thing.type)
    if wanted not in ("*", what):
        return False
    if what == "bucket":
        # An object's own name may end like another bucket's.
        names = {bucket(thing), f"arn:aws:s3:::{bucket(thing)}", thing.name, thing.uid}
    else:
        names = {thing.name, thing.uid, re.split("[/:]", thing.uid)[-1]}
    if what == "cluster":
        names.add(thing.cluster)
    pattern = scope.resource.lower()
    # What is about nothing in particular is within everything, and within nothing else.
    return pattern == "*" or any(matches(pattern, name.lower()) for name in names)


@lru_cache(maxsize=65_536)
def allows(operations: tuple[str, ...], done: Done) -> bool:
    """Whether one of these operations covers what was done; none: any does."""
    if not operations:
        return True
    said, request, activity = map(plain, done)
    return any(_allows(plain(name), said, request, activity) for name in operations)


def _allows(allowed: str, said: str, request: str, activity: str) -> bool:
    if said in _KAFKA and allowed in _TWO_MEANINGS:
        activity = ""
    if not allowed:
        return False
    if allowed == "*" or any(matches(allowed, name) for name in (said, request, activity)):
        return True
    return (
        _covers(allowed, said)
        or _equal(allowed, request)
        or (allowed in _IMPLIED and _covers(_IMPLIED[allowed], said))
    )


def _equal(one: str, other: str) -> bool:
    return one == other or any(one in equal and other in equal for equal in _EQUAL)


def _covers(allowed: str, said: str) -> bool:
    if _equal(allowed, said) or said in _KINDS.get(allowed, ()):
        return True
    return said not in _OF_ANOTHER and said.startswith(_BEGINNINGS.get(allowed, "\0"))
