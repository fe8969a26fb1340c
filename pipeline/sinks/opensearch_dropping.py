"""Retention in OpenSearch: indices of events are dropped whole.

A removal goes in steps, each of which may be done again: a claim under the index's own id says who
removes it since when; nobody writes into the index any more; its events are counted; the event that
records the removal is written, its id derived from the claim; the index is deleted, then the claim.
Whoever comes after a kill finds the claim, and goes on to the same record. Two at the same time
find one claim, and write one record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConflictError, NotFoundError, RequestError

from pipeline.errors import StoreError
from pipeline.retention.holds import HOLD, covering, holds
from pipeline.retention.planning import Unit, Verdict, reason
from pipeline.retention.records import (
    RETENTION,
    Removal,
    Who,
    kept,
    record_id,
    removed,
    taken_back,
)
from pipeline.retention.stores import Clock, Removed, Withheld
from pipeline.retention.terms import parts
from pipeline.sinks import opensearch_filters as filters
from pipeline.sinks.opensearch_client import templated
from pipeline.sinks.opensearch_documents import event as document
from pipeline.sinks.opensearch_documents import event_row
from pipeline.sinks.opensearch_pages import Answers
from schemas import indices
from schemas.index_template import PREFIX
from schemas.types import Event

_EVERY: Final = {"expand_wildcards": "open,closed,hidden", "allow_no_indices": "true"}
_MOST: Final = 10_000
"""Indices. A cluster of default settings has a tenth of that for each of its nodes."""
_ALIAS: Final = f"{PREFIX}events"
_BLOCK: Final = "index.blocks.write"
_BLOCKS: Final = ("read_only", "metadata")
_BY_TIME: Final = (("time", "date"), ("metadata.uid", "keyword"))
_OWN: Final = indices.searched(f"{indices.EVENTS}-{indices.OWN}")
_FIRST_LAST: Final = {"first": {"min": {"field": "time"}}, "last": {"max": {"field": "time"}}}
_CLAIMS: Final = {
    "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1"}},
    "mappings": {"dynamic": False, "properties": {}},
}

Body = dict[str, Any]


class _Found(NamedTuple):
    """An index: its own id, when it was made, whether writing is blocked, why it cannot go."""

    uuid: str
    made: int
    blocked: bool
    stuck: str


class OpenSearchRetention:
    """OpenSearch, as :class:`pipeline.retention.stores.Keeper` promises.

    Args:
        client: closed in the end.
    """

    keeps: tuple[str, ...] = ("findings, changes, dead letters and accounts are kept for ever",)

    def __init__(self, client: OpenSearch) -> None:
        self._client = client
        self._answers = Answers(client, lambda _: None)

    def close(self) -> None:
        """Leave nothing under way, and close the connections."""
        self._answers.close()

    def _ask(
        self, doing: str, method: str, path: str, body: Any = None, **params: Any
    ) -> Any:  # fmt: skip
        """What OpenSearch answers; None: there is no such index or document."""

        def ask() -> Any:
            try:
                return self._client.transport.perform_request(
                    method, path, params=params, body=body
                )
            except NotFoundError:
                return None

        return self._answers.ask(doing, ask)

    # What there is.

    def own(self) -> list[Mapping[str, Any]]:
        """Events of ours, in order of (time, id)."""
        wanted = [filters.term("metadata.log_name", HOLD, RETENTION)]
        pages = self._answers.pages(_OWN, wanted, _BY_TIME, event_row)
        return [row for page in pages for row in page]

    def units(self, now_ms: int) -> list[Unit]:  # noqa: ARG002  # as of every store
        """Every index of events, of whatever month."""
        counted = self._counted(indices.searched(indices.EVENTS))
        out = []
        for name, found in self._indices(indices.searched(indices.EVENTS)).items():
            of = parts(name)
            if of is not None:
                events, first, last = counted.get(name, (0 if not found.stuck else -1, 0, 0))
                out.append(Unit(name, *of, events, first, last, found.stuck, found.made))
        return out

    def _indices(self, pattern: str) -> dict[str, _Found]:
        wanted = ("uuid", "creation_date", "blocks", "verified_before_close")
        path = ",".join(["*.aliases", *(f"*.settings.index.{name}" for name in wanted)])
        said = self._ask(
            f"look at {pattern}", "GET", f"/{pattern}", filter_path=path, **_EVERY
        )  # fmt: skip
        return {name: _found(one) for name, one in (said or {}).items()}

    def _counted(self, pattern: str) -> dict[str, tuple[int, int, int]]:
        """Events, first and last time, by index; of open ones."""
        by = {"terms": {"field": "_index", "size": _MOST}, "aggs": _FIRST_LAST}
        body = {"size": 0, "aggs": {"by": by}}
        said = self._ask(
            f"count {pattern}", "POST", f"/{pattern}/_search", body,
            expand_wildcards="open,hidden", ignore_unavailable="true",
            allow_partial_search_results="false",
        )  # fmt: skip
        buckets = (said or {}).get("aggregations", {}).get("by", {}).get("buckets", ())
        return {one["key"]: (one["doc_count"], *_first_last(one)) for one in buckets}

    # What is done.

    def write(self, event: Event) -> None:
        """Keep an event of ours; one that is there already stays."""
        self._must_be_set_up()
        index = f"{indices.EVENTS}-{indices.OWN}-{indices.month(event.time)}"
        self._create(index, event.id.hex(), document(event.ocsf, b""))

    def _must_be_set_up(self) -> None:
        """Of an index made by guesswork no hold would be found again."""
        there = self._answers.ask("say its templates", lambda: templated(self._client))
        if indices.searched(indices.EVENTS) not in there:
            raise StoreError("the store is not set up: `auditstream opensearch apply` does that")

    def _create(self, index: str, name: str, body: Any) -> bool:
        """Whether it was not there. Whoever searches from now on finds it."""

        def ask() -> bool:
            try:
                self._client.index(
                    index=index, id=name, body=body,
                    params={"op_type": "create", "refresh": "true"},
                )  # fmt: skip
            except ConflictError:
                return False
            return True

        return self._answers.ask(f"write into {index}", ask)

    def remove(self, verdict: Verdict, who: Who, clock: Clock) -> Iterator[Removed]:
        """Drop an index that is due, and record it."""
        unit = verdict.unit
        found = self._indices(unit.name).get(unit.name)
        if found is None:
            return
        claim = self._claim(unit.name, found, verdict.days or 0, who, clock())
        if several := covering(holds(self.own()), unit.retention, unit.month):
            why = "; ".join(map(reason, several))
            self._give_up(unit.name, found.uuid, claim, why, who, clock())
            raise Withheld(several)
        self._block(unit.name, blocked=True)
        counted = self._removal(unit.name, found.uuid, claim)
        if counted is None:
            # Somebody deleted it. If one of that name is there by now, it is not to stay blocked.
            self._block(unit.name, blocked=False)
            self._drop_claim(found.uuid)
            return
        self.write(removed(counted, _claimed_by(claim), claim["at"]))
        self._delete(unit.name, found.uuid)
        self._drop_claim(found.uuid)
        yield Removed(unit.name, counted.events, counted.events)

    def _claim(self, name: str, found: _Found, days: int, who: Who, now_ms: int) -> Body:
        """Who removes an index since when: we, unless somebody began already."""
        self._make_claims()
        claim: Body = {
            "index": name, "at": now_ms, "days": days, "actor": who.actor, "kind": who.kind,
            "os_user": who.user, "blocked": found.blocked,
        }  # fmt: skip
        while not self._create(indices.REMOVALS, found.uuid, claim):
            said = self._ask("read a claim", "GET", f"/{indices.REMOVALS}/_doc/{found.uuid}")
            if said and not self._taken_back(name, found.uuid, said["_source"]):
                return dict(said["_source"])
            if said:
                claim["blocked"] = said["_source"]["blocked"]
            self._drop_claim(found.uuid)
        return claim

    def _taken_back(self, name: str, uuid: str, claim: Mapping[str, Any]) -> bool:
        """Whether what the claim led to was given up since."""
        record = record_id(name, (uuid.encode(),), claim["at"])
        return record.hex() in taken_back(self.own())

    def _make_claims(self) -> None:
        def ask() -> None:
            try:
                self._client.indices.create(index=indices.REMOVALS, body=_CLAIMS)
            except RequestError as error:
                if error.error != "resource_already_exists_exception":
                    raise

        self._answers.ask(f"make {indices.REMOVALS}", ask)

    def _drop_claim(self, uuid: str) -> None:
        path = f"/{indices.REMOVALS}/_doc/{uuid}"
        self._ask("take a claim back", "DELETE", path, refresh="true")

    def _block(self, name: str, *, blocked: bool) -> None:
        """Have nobody write into an index: what is counted is what is deleted."""
        setting = {_BLOCK: True if blocked else None}
        self._ask(f"block {name}", "PUT", f"/{name}/_settings", setting)

    def _is(self, name: str, uuid: str) -> bool:
        found = self._indices(name).get(name)
        return found is not None and found.uuid == uuid

    def _delete(self, name: str, uuid: str) -> None:
        """Delete that index and no other of its name, however often it takes."""

        def ask() -> None:
            if self._is(name, uuid):
                with suppress(NotFoundError):
                    self._client.indices.delete(index=name)

        self._answers.ask(f"delete {name}", ask)

    def _removal(self, name: str, uuid: str, claim: Mapping[str, Any]) -> Removal | None:
        """What is removed with an index; None: it is not there any more."""
        self._ask(f"refresh {name}", "POST", f"/{name}/_refresh")
        events, first, last = self._counted(name).get(name, (0, 0, 0))
        of = parts(name)
        if of is None or not self._is(name, uuid):
            return None
        identity = (uuid.encode(),)
        return Removal(name, *of, events, first, last, claim["days"], identity)

    def settle(self, verdicts: Sequence[Verdict], who: Who, clock: Clock) -> list[str]:
        """Give up removals that were broken off and are not to be made any more: what the index
        was blocked for is undone, and where a record says that it is gone, another one follows."""
        due = {verdict.unit.name for verdict in verdicts if verdict.state == "due"}
        why = {verdict.unit.name: verdict.why for verdict in verdicts}
        done = []
        for uuid, claim in self._claims().items():
            name = claim["index"]
            if name in due:
                continue
            if self._is(name, uuid):
                because = why.get(name) or "it is not due"
                self._give_up(name, uuid, claim, because, who, clock())
                done.append(f"{name} is not removed after all: {because}")
            else:
                self._drop_claim(uuid)
        return done

    def _claims(self) -> dict[str, Body]:
        body = {"size": _MOST, "query": {"match_all": {}}}
        said = self._ask(
            f"search {indices.REMOVALS}", "POST", f"/{indices.REMOVALS}/_search", body
        )  # fmt: skip
        hits = said["hits"]["hits"] if said else ()
        return {hit["_id"]: hit["_source"] for hit in hits}

    def _give_up(
        self, name: str, uuid: str, claim: Mapping[str, Any], why: str, who: Who, now_ms: int
    ) -> None:
        counted = self._removal(name, uuid, claim)
        record = record_id(name, (uuid.encode(),), claim["at"])
        own = self.own()
        recorded = record in {row["id"] for row in own} and record.hex() not in taken_back(own)
        if counted is not None and recorded:
            self.write(kept(counted, who, now_ms, why, record))
        if not claim["blocked"]:
            self._block(name, blocked=False)
        self._drop_claim(uuid)


def _claimed_by(claim: Mapping[str, Any]) -> Who:
    return Who(claim["actor"], claim["kind"], claim["os_user"])


def _found(said: Mapping[str, Any]) -> _Found:
    settings = said["settings"]["index"]
    blocks = settings.get("blocks", {})
    stuck = ""
    if _ALIAS not in said.get("aliases", {}):
        stuck = f"it has no alias {_ALIAS}, as indices of ours have"
    elif settings.get("verified_before_close") == "true":
        stuck = "it is closed: open it, or delete it yourself"
    elif named := [name for name in _BLOCKS if blocks.get(name) == "true"]:
        stuck = f"it is blocked (index.blocks.{named[0]}): lift that, or delete it yourself"
    return _Found(
        settings["uuid"], int(settings["creation_date"]), blocks.get("write") == "true", stuck
    )


def _first_last(said: Mapping[str, Any]) -> tuple[int, int]:
    """First and last time of an answer, epoch milliseconds; 0 where no document has one."""
    first, last = (said[name]["value"] for name in ("first", "last"))
    return int(first or 0), int(last or 0)
