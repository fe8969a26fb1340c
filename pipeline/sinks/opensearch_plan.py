"""What OpenSearch has of ours and what it lacks, and the way from the one to the other.

Nothing is deleted and no document is touched. What another release has made that is newer than this
one is left as it is, and said; so is what cannot be changed in an index that is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException, NotFoundError

from pipeline.errors import StoreError
from pipeline.sinks import opensearch_retention, opensearch_roles
from pipeline.sinks.opensearch_client import asked, reason, templated
from pipeline.sinks.opensearch_mapping import Difference, difference, flattened, plain
from pipeline.storage import Retention, Storage
from schemas import indices
from schemas.index_template import ANALYSIS, PRIORITY, templates

SECURITY: Final = "opensearch-security"
ISM: Final = "opensearch-index-management"

_EVERY: Final = {
    "expand_wildcards": "open,closed,hidden",
    "ignore_unavailable": "true",
    "allow_no_indices": "true",
}
_OF_A_MONTH: Final = re.compile(r"(\d{4}\.\d{2}|" + indices.UNDATED + r")")
_BLOCKS: Final = ("read_only", "read_only_allow_delete", "metadata")
_REINDEX: Final = "new indices have it, and this one would if it were reindexed"


@dataclass(frozen=True, slots=True)
class Deed:
    """One request that changes something; `todo` and `done` say it before and after."""

    todo: str
    done: str
    method: str
    path: str
    body: Any


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one thing.

    Attributes:
        what: template, index, policy or role.
        name: in OpenSearch.
        deeds: in order; none: it is as it should be, or is left.
        remarks: for a person.
    """

    what: str
    name: str
    deeds: tuple[Deed, ...] = ()
    remarks: tuple[str, ...] = ()


def plan(client: OpenSearch, storage: Storage, retention: Sequence[Retention]) -> list[Step]:
    """What is to be done, in order. Changes nothing. Raises `StoreError`."""
    ask = _Asker(client)
    plugins = {one["component"] for one in ask("GET", "/_cat/plugins", format="json")}
    wanted = _wanted(storage)
    steps = [*_templates(ask, wanted), *_indices(ask, wanted, storage)]
    steps += _policies(ask, retention, ISM in plugins, storage.index_management)
    if SECURITY in plugins:
        steps += _roles(ask)
    return steps


def apply(
    client: OpenSearch,
    storage: Storage,
    retention: Sequence[Retention],
    say: Callable[[str], None],
) -> int:
    """Do what `plan` says, tell each deed and remark, and return how many deeds there were.

    Raises:
        StoreError: OpenSearch refuses; what was told until then is done.
    """
    ask, deeds = _Asker(client), 0
    for step in plan(client, storage, retention):
        for deed in step.deeds:
            ask(deed.method, deed.path, deed.body, doing=f"take the {step.what} {step.name}")
            say(f"{step.what} {step.name}: {deed.done}")
            deeds += 1
        for remark in step.remarks:
            say(f"{step.what} {step.name}: {remark}")
    return deeds


def missing(client: OpenSearch) -> list[str]:
    """Names of templates without which OpenSearch would make indices by guesswork.

    Raises:
        OpenSearchException: it cannot be asked, or this login may not.
    """
    there = templated(client)
    return [name for name, body in templates().items() if there.isdisjoint(body["index_patterns"])]


Ask = Callable[[str, str], Any]
"""Asks with a method and a path; {} where there is no such thing."""


class _Asker:
    """Asks OpenSearch; errors are StoreErrors that say what was tried."""

    def __init__(self, client: OpenSearch) -> None:
        self._client = client

    def __call__(
        self, method: str, path: str, body: Any = None, *, doing: str = "", **params: str
    ) -> Any:
        return asked(
            self._client,
            doing or f"answer {method} {path}",
            lambda: self._ask(method, path, body, params),
        )

    def _ask(self, method: str, path: str, body: Any, params: Mapping[str, str]) -> Any:
        try:
            return self._client.transport.perform_request(
                method, path, params=dict(params), body=body
            )
        except NotFoundError:
            # Of what is asked for, there is none.
            if method == "GET":
                return {}
            raise


def _put(new: bool, path: str, body: Any) -> Deed:
    return Deed(*(("make", "made") if new else ("change", "changed")), "PUT", path, body)


def release() -> str:
    """This release, as it is written into what it makes."""
    return version("auditstream")


def _newer(said: Mapping[str, Any] | None) -> str:
    """The release that made it, where that is later than this one; else empty."""
    made = str((said or {}).get("release", ""))
    return made if _numbers(made) > _numbers(release()) else ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _left(made: str) -> str:
    return f"made by release {made}, and this is {release()}: left as it is"


def _wanted(storage: Storage) -> dict[str, dict[str, Any]]:
    """The templates, with who made them."""
    found = templates(storage.shards, storage.replicas)
    for body in found.values():
        body["_meta"]["release"] = release()
        body["template"]["mappings"]["_meta"] = {"release": release()}
    return found


# Templates.


def _templates(ask: _Asker, wanted: Mapping[str, dict[str, Any]]) -> Iterator[Step]:
    said = ask("GET", "/_index_template").get("index_templates", ())
    there = {one["name"]: one["index_template"] for one in said}
    for name, body in wanted.items():
        (pattern,) = body["index_patterns"]
        remarks = tuple(
            f"the template {other} ({' '.join(found['index_patterns'])}, priority "
            f"{found.get('priority', 0)}) stands in the way: make its priority less than {PRIORITY}"
            for other, found in there.items()
            if other != name
            and found.get("priority", 0) >= PRIORITY
            and any(_overlap(pattern, one) for one in found["index_patterns"])
        )
        now = there.get(name)
        put = _put(now is None, f"/_index_template/{name}", body)
        if now is not None and _comparable(now) == _comparable(body):
            yield Step("template", name, remarks=remarks)
        elif now is not None and (made := _newer(now.get("_meta"))):
            yield Step("template", name, remarks=(*remarks, _left(made)))
        else:
            yield Step("template", name, (put,), remarks)


def _comparable(body: Mapping[str, Any]) -> Any:
    """What matters of a template: who made it does not."""
    inner = body["template"]
    mappings = {k: v for k, v in inner.get("mappings", {}).items() if k != "_meta"}
    settings = flattened(inner.get("settings", {}))
    return plain([
        body["index_patterns"], body.get("priority", 0), body.get("composed_of", []), settings,
        mappings, inner.get("aliases", {}),
    ])  # fmt: skip


def _overlap(one: str, other: str) -> bool:
    """Whether a name can be of both patterns (`*`: anything)."""
    if not one or not other:
        return not (one or other).strip("*")
    if one[0] == "*":
        return _overlap(one[1:], other) or _overlap(one, other[1:])
    if other[0] == "*":
        return _overlap(other, one)
    return one[0] == other[0] and _overlap(one[1:], other[1:])


# Indices.


def _indices(ask: _Asker, wanted: Mapping[str, dict[str, Any]], storage: Storage) -> Iterator[Step]:
    for name, body in wanted.items():
        (pattern,) = body["index_patterns"]
        there = ask("GET", f"/{pattern}", **_EVERY)
        for index, found in sorted(there.items()):
            if not _ours(index, pattern):
                said = "is not named as ours are: left as it is, but searched with them"
                yield Step("index", index, remarks=(said,))
            else:
                yield _index(index, name, body["template"], found, storage)


def _ours(index: str, pattern: str) -> bool:
    return index == pattern or _OF_A_MONTH.fullmatch(index.rpartition("-")[2]) is not None


def _index(
    index: str, name: str, wanted: Mapping[str, Any], found: Mapping[str, Any], storage: Storage
) -> Step:
    settings = flattened(found["settings"])
    if made := _newer(found["mappings"].get("_meta")):
        return Step("index", index, remarks=(_left(made),))
    # An alias that a closed index has cannot be searched.
    if settings.get("index.verified_before_close") == "true":
        return Step("index", index, remarks=("is closed: left as it is",))
    if blocked := [one for one in _BLOCKS if settings.get(f"index.blocks.{one}") == "true"]:
        return Step("index", index, remarks=(f"is blocked ({blocked[0]}): left as it is",))
    deeds: list[Deed] = []
    if name in wanted["aliases"] and name not in found["aliases"]:
        add = {"actions": [{"add": {"index": index, "alias": name}}]}
        todo, done = f"add alias {name}", f"alias {name} added"
        deeds.append(Deed(todo, done, "POST", "/_aliases", add))
    now = settings.get("index.number_of_replicas")
    if now != str(storage.replicas) and "index.auto_expand_replicas" not in settings:
        todo, done = f"copies {now}→{storage.replicas}", f"{now} copies are {storage.replicas} now"
        setting = {"index": {"number_of_replicas": storage.replicas}}
        deeds.append(Deed(todo, done, "PUT", f"/{index}/_settings", setting))
    differing = difference(wanted["mappings"], found["mappings"], _analysers(settings))
    if differing.body:
        body = differing.body | {"_meta": wanted["mappings"]["_meta"]}
        todo, done = _fields(differing, "add", "change"), _fields(differing, "added", "changed")
        deeds.append(Deed(todo, done, "PUT", f"/{index}/_mapping", body))
    return Step("index", index, tuple(deeds), tuple(_remarks(differing)))


def _analysers(settings: Mapping[str, Any]) -> frozenset[str]:
    """Those of ours that an index has, made of the same parts."""
    parts = flattened({"index": {"analysis": ANALYSIS}})
    same = all(settings.get(name) == value for name, value in parts.items())
    return frozenset(ANALYSIS["analyzer"]) if same else frozenset()


def _fields(differing: Difference, add: str, change: str) -> str:
    parts = ((add, differing.added), (change, differing.changed))
    return "; ".join(f"{verb} fields {', '.join(paths)}" for verb, paths in parts if paths)


def _remarks(differing: Difference) -> Iterator[str]:
    if differing.added:
        yield f"what is there already is not found by what is added; {_REINDEX}"
    why: dict[str, list[str]] = {}
    for stuck in differing.stuck:
        why.setdefault(stuck.why, []).append(stuck.path)
    for reason_, paths in why.items():
        yield f"cannot be changed: {', '.join(paths)} ({reason_}); {_REINDEX}"
    if differing.unknown:
        yield f"fields that this release does not know are left: {', '.join(differing.unknown)}"


# Retention.


def _policies(
    ask: Ask, retention: Sequence[Retention], manages: bool, wanted: bool
) -> Iterator[Step]:
    for name, body in opensearch_retention.policies(retention).items():
        by_hand = opensearch_retention.by_hand(body)
        if not manages:
            said = f"there is no Index Management plugin. {by_hand}"
            yield Step("policy", name, remarks=(said,))
            continue
        path = f"/_plugins/_ism/policies/{name}"
        now = ask("GET", path)
        if not wanted:
            yield Step(
                "policy", name, remarks=(opensearch_retention.unwanted(path) if now else by_hand,)
            )
        elif not now:
            said = "an index that is there already is given it by POST _plugins/_ism/add/INDEX"
            yield Step("policy", name, (_put(True, path, body),), (said,))
        elif opensearch_retention.same(body, now["policy"]):
            yield Step("policy", name)
        else:
            at = f"?if_seq_no={now['_seq_no']}&if_primary_term={now['_primary_term']}"
            yield Step("policy", name, (_put(False, path + at, body),))


# Roles.


def _roles(ask: _Asker) -> Iterable[Step]:
    wanted = opensearch_roles.roles()
    api = "/_plugins/_security/api"
    try:
        there, users = ask("GET", f"{api}/roles"), ask("GET", f"{api}/rolesmapping")
    except StoreError as error:
        # Others may keep the rights: then the rest can be done without.
        if not isinstance(error.__cause__, AuthorizationException):
            raise
        said = f"this login may not see or set roles ({reason(error.__cause__)})"
        return [Step("role", name, remarks=(said,)) for name in wanted]
    steps = []
    for name, body in wanted.items():
        now = there.get(name)
        put = _put(now is None, f"{api}/roles/{name}", body)
        todo = () if now is not None and opensearch_roles.same(body, now) else (put,)
        mapped = users.get(name, {})
        nobody = not any(mapped.get(kind) for kind in ("users", "backend_roles", "hosts"))
        said = f'nobody has it: PUT {api.lstrip("/")}/rolesmapping/{name} {{"users": ["…"]}}'
        steps.append(Step("role", name, todo, (said,) if nobody else ()))
    return steps
