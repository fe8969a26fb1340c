"""When names are of one thing: principals, networks, resources, operations."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

from schemas.support import Activity, Scope

ROLE = re.compile(r"arn:[^:]*:iam::([^:]*):role/(?:.*/)?([^/]+)")
ASSUMED = re.compile(r"arn:[^:]*:sts::([^:]*):assumed-role/([^/]+)(?:/.*)?")

ALIASES = {
    "consumergroup": "group", "kafkacluster": "cluster", "mskcluster": "cluster",
    "s3bucket": "bucket", "kafkatopic": "topic", "kmskey": "key", "object": "bucket",
}  # fmt: skip

SPELLINGS = (
    {"read", "fetch", "getobject", "consume", "readdata"},
    {"write", "produce", "putobject", "writedata"},
    {"createtopics", "createtopic"},
    {"deletetopics", "deletetopic"},
    {
        "alterconfigs", "incrementalalterconfigs", "altertopicdynamicconfiguration",
        "alterclusterdynamicconfiguration",
    },
    {
        "describeconfigs", "describetopicdynamicconfiguration",
        "describeclusterdynamicconfiguration",
    },
)  # fmt: skip
KINDS_OF = {
    "create": ("create*",),
    "delete": ("delete*",),
    "alter": (
        "createpartitions", "createacls", "deleteacls", "alteruserscramcredentials",
        "alterpartitionreassignments", "electleaders", "updatefeatures", "altertopic",
    ),
    "alterconfigs": (*SPELLINGS[4], "alterclientquotas"),
    "describe": ("describe*", "metadata", "list*"),
}  # fmt: skip
NO_KIND_OF = {"create": ("createacls", "createpartitions"), "delete": ("deleteacls",)}
IMPLIED = {
    "read": "describe", "write": "describe", "delete": "describe", "alter": "describe",
    "fetch": "describe", "consume": "describe", "produce": "describe",
    "alterconfigs": "describeconfigs",
}  # fmt: skip


def same(one: str, other: str) -> bool:
    """Whether two names are of one principal, which is somebody."""
    if not one or not other:
        return False
    if one == other:
        return True
    for role, session in ((one, other), (other, one)):
        of_role, of_session = ROLE.fullmatch(role), ASSUMED.fullmatch(session)
        if of_role and of_session and of_role.groups() == of_session.groups():
            return True
    return False


def known_as(name: str, principal: str) -> bool:
    """Whether somebody means a principal by a name, however short."""
    short = [principal, principal.partition(":")[2], re.split("[/:]", principal)[-1]]
    return same(name, principal) or name.lower() in [each.lower() for each in short if each]


def holds(network: str, address: str) -> bool:
    """Whether a network, or an address, holds an address."""
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern, with ``*`` for anything, is for a name; case is nothing."""
    parts = (re.escape(part) for part in pattern.lower().split("*"))
    return re.fullmatch(".*".join(parts), name.lower(), re.DOTALL) is not None


def canonical(kind: str) -> str:
    """A type of resources, however it is spelled."""
    plain = re.sub("[^a-z0-9]", "", kind.rsplit("::", 1)[-1].lower())
    plain = plain.removesuffix("s")
    return ALIASES.get(plain, plain)


def bucket(name: str) -> str:
    """The bucket of an object by its name, or by its ARN."""
    return name.rsplit(":::", 1)[-1].split("/", 1)[0]


def fits(entry: Scope, done: Activity) -> bool:
    """Whether a scope's entry is for the resource of what was done."""
    kind = canonical(done.resource_type)
    if entry.resource_type != "*" and canonical(entry.resource_type) != kind:
        return False
    names = [done.resource, done.uid]
    if kind == "bucket":
        own = bucket(done.resource or done.uid)
        names += [own, f"arn:aws:s3:::{own}"]
    elif done.uid:
        names += [re.split("[/:]", done.uid)[-1]]
    if kind == "cluster" and done.cluster:
        names.append(done.cluster)
    return any(matches(entry.resource, name) for name in names)


def plain(operation: str, keep: str = "") -> str:
    return re.sub(f"[^a-z0-9{keep}]", "", operation.rsplit(":", 1)[-1].lower())


def kafkas() -> set[str]:
    """Whatever is an operation of Kafka's, or a request."""
    words = {word for kinds in KINDS_OF.values() for word in kinds if "*" not in word}
    words |= {word for spelling in SPELLINGS for word in spelling}
    words |= {word for no_kind in NO_KIND_OF.values() for word in no_kind}
    return words | {*KINDS_OF, *IMPLIED}


def allows(entry: Scope, done: Activity) -> bool:
    """Whether a scope's entry allows the operation of what was done."""
    if not entry.operations:
        return True
    return any(allowed(plain(name, keep="*"), done) for name in entry.operations)


def allowed(name: str, done: Activity) -> bool:
    """Whether one word allows it. Kafka's own words mean what Kafka means by them."""
    said, request, activity = (
        plain(word) for word in (done.operation, done.request, done.activity)
    )
    if not name:
        return False
    if name in ("create", "read", "delete") and said in kafkas():
        activity = ""
    if name == "*" or any(word and matches(name, word) for word in (said, request, activity)):
        return True
    for spelling in SPELLINGS:
        if name in spelling and (said in spelling or request in spelling):
            return True
    return kind_of(name, said) or (name in IMPLIED and kind_of(IMPLIED[name], said))


def kind_of(name: str, said: str) -> bool:
    if name == said or any(name in spelling and said in spelling for spelling in SPELLINGS):
        return True
    if said in NO_KIND_OF.get(name, ()):
        return False
    return any(matches(kind, said) for kind in KINDS_OF.get(name, ()))


def reads_payloads(done: Activity, data_buckets: tuple[str, ...]) -> bool:
    """Whether record payloads are read, by operation and resource."""
    said, kind = plain(done.operation), canonical(done.resource_type)
    if kind == "topic":
        return said in SPELLINGS[0] and plain(done.request) not in (
            "offsetcommit",
            "txnoffsetcommit",
        )
    if kind == "bucket" and said in {*SPELLINGS[0], "selectobjectcontent"}:
        names = [bucket(done.resource)] + ([bucket(done.uid)] if ":::" in done.uid else [])
        return any(matches(pattern, name) for pattern in data_buckets for name in names)
    return False
