"""Index: what the stream holds for people, as documents in OpenSearch.

A batch is done when all its documents are indexed; only then its position is committed. Which index
a row is in, and under which id, follows from the row, so that doing a batch again changes nothing.
What OpenSearch refuses for what is in it becomes a dead letter, in the transaction that commits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson

from pipeline.errors import Reason, StoreError
from pipeline.runtimes.kafka.foreign import foreign, place, refused, refused_id
from pipeline.runtimes.kafka.producing import Outgoing
from pipeline.runtimes.kafka.transport import Batch
from pipeline.sinks import opensearch_documents as documents
from pipeline.sinks.opensearch import EVENTS_LISTED, Bulk, Document, Refused
from pipeline.sinks.opensearch_plan import missing
from pipeline.streaming import Streaming
from schemas import indices
from schemas.types import AccountOf, ChangeVersion, DeadLetter, Event, row_of
from schemas.wire import Columns, Decode, Encode, Undecodable

_log = logging.getLogger(__name__)
_SEEN_S: Final = 60.0
"""How long the indices that were seen are taken for all there are."""
COLUMNS: Final = ("id", "time", "retention", "ocsf", "raw")
"""What an index holds of an event."""
_HEAD: Final = 200


class _Row(NamedTuple):
    """A row on its way: the record it came in, and what is written of it, one or two documents."""

    record: Any
    documents: tuple[Document, ...]


class Indexing:
    """The role's work, for all partitions.

    Args:
        columns: how :data:`COLUMNS` of events are read.
        decode: by name of schema, how rows are read.
        encode: how dead letters are written.
        longest_days: that any retention class keeps what is in it.
        clock: seconds, from anywhere.
    """

    def __init__(
        self,
        bulk: Bulk,
        streaming: Streaming,
        columns: Columns,
        decode: Mapping[str, Decode],
        encode: Encode,
        longest_days: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bulk, self._columns, self._decode, self._encode = bulk, columns, decode, encode
        self._ready = False
        self._homes = _Homes(bulk, clock)
        self._longest_days = longest_days
        self._dead_letters = streaming.topic("dead-letters")
        self._rows: dict[str, Callable[[Any], tuple[Document, ...]]] = {
            streaming.topic("findings"): self._finding,
            streaming.topic("changes"): self._change,
            streaming.topic("dead-letters"): self._letter,
            streaming.topic("accounts"): self._account,
        }
        #: What people wait for, however many events there are before it.
        self.urgent = [streaming.topic(name) for name in ("findings", "changes")]
        self.patient = [streaming.topic(name) for name in ("events", "dead-letters", "accounts")]

    async def index(self, batch: Batch) -> list[Outgoing]:
        """Index a batch; returns what is to be sent with the commit.

        Raises:
            StoreError: OpenSearch takes nothing from us, or would not know what to make of it.
        """
        batch.tally.clear()
        if not self._ready:
            await self._check()
        letters: list[DeadLetter] = []
        made = self._rows.get(batch.topic)
        if made is None:
            rows = await self._events(batch, letters)
        else:
            rows = list(_readable(batch.records, made, letters))
        flat = [document for row in rows for document in row.documents]
        untaken = await self._bulk.write(flat, first=batch.topic in self.urgent)
        if untaken:
            whose = [row for row in rows for _ in row.documents]
            letters += [self._refused(whose[one.number].record, one) for one in untaken]
        for letter in letters:
            batch.tally.letters[letter.reason] += 1
        if untaken:
            _log.error(
                "REFUSED: OpenSearch does not take %d documents of %s[%s] offsets %s to %s; they "
                "are in %s with its reason; the first: %s",
                *(len(untaken), batch.topic, batch.partition, batch.start, batch.end - 1),
                *(self._dead_letters, untaken[0].why),
            )
        return [Outgoing(self._dead_letters, self._encode(letter), letter.id) for letter in letters]

    async def _check(self) -> None:
        """Without its template OpenSearch would make an index by guesswork, for good."""
        names = await self._bulk.ask("list its templates", partial(missing, self._bulk.client))
        if names:
            raise StoreError(
                f"OpenSearch has no index template {', '.join(names)}; "
                "run `auditstream opensearch apply`"
            )
        self._ready = True

    # Events.

    async def _events(self, batch: Batch, letters: list[DeadLetter]) -> list[_Row]:
        lines: dict[str, Callable[[str], bytes]] = {}
        found: list[tuple[str, str, _Row]] = []
        times = batch.tally.times
        for record in batch.records:
            try:
                id_, at, retention, ocsf, raw = self._columns(record.value or b"")
            except Undecodable as error:
                letters.append(foreign(record, str(error)))
                continue
            index = indices.of_event(retention, at, record.timestamp, self._longest_days)
            line = lines.get(index)
            if line is None:
                line = lines[index] = documents.action("create", index)
            times.append(at)
            name = id_.hex()
            row = _Row(record, ((line(name), documents.event(ocsf, raw)),))
            found.append((index, name, row))
        first: dict[str, str] = {}
        # Twice in a batch, and of two classes: it is where the first says.
        found = [one for one in found if first.setdefault(one[1], one[0]) == one[0]]
        elsewhere = await self._homes.elsewhere([(index, name) for index, name, _ in found])
        return [row for _, name, row in found if name not in elsewhere]

    # All else.

    def _finding(self, record: Any) -> tuple[Document, ...]:
        row = self._decode["finding"](record.value or b"")
        name, version = row["id"].hex(), row["version"]
        latest = indices.of_finding(indices.FINDINGS, row["id"])
        each = indices.of_finding(indices.VERSIONS, row["id"])
        return (
            (_versioned(latest, name, version), row["ocsf"]),
            (documents.action("create", each)(f"{name}-{version}"), row["ocsf"]),
        )

    def _change(self, record: Any) -> tuple[Document, ...]:
        row = row_of(ChangeVersion, self._decode["change"](record.value or b""))
        line = _versioned(indices.CHANGES, row.id.hex(), row.version)
        return ((line, documents.change(row)),)

    def _letter(self, record: Any) -> tuple[Document, ...]:
        row = row_of(DeadLetter, self._decode["dead_letter"](record.value or b""))
        index = indices.of_letter(row.time, record.timestamp, self._longest_days)
        # Of one that is none any more there is a document already.
        action = "index" if row.reason == Reason.RESOLVED else "create"
        line = documents.action(action, index)(row.id.hex())
        return ((line, documents.dead_letter(row)),)

    def _account(self, record: Any) -> tuple[Document, ...]:
        row = row_of(AccountOf, self._decode["account"](record.value or b""))
        line = documents.action("index", indices.ACCOUNTS)(documents.account_id(row))
        return ((line, documents.account(row)),)

    def _refused(self, record: Any, one: Refused) -> DeadLetter:
        """The dead letter of a row that OpenSearch does not take."""
        if record.topic == self._dead_letters:
            said = self._decode["dead_letter"](record.value)["reason"]
            if said == Reason.REFUSED:
                # Else its dead letter would be refused next, and so on for ever.
                at = place(record)
                raise StoreError(f"OpenSearch does not take the dead letter at {at} {one.why}")
        letter = refused(record, one.why)
        if record.topic in self._rows:
            return letter
        event = row_of(Event, self._decode["audit_event"](record.value))
        letter.id = refused_id(event.id)
        letter.time, letter.source = event.time, event.source
        letter.cluster, letter.host = event.cluster, event.host
        letter.carrier, letter.position = event.carriage.carrier, event.carriage.position
        letter.length, letter.digest = len(event.raw), sha256(event.raw).hexdigest()
        letter.head = event.raw[:_HEAD].decode("utf-8", "backslashreplace")
        letter.raw = event.raw
        return letter


def _readable(
    records: Iterable[Any],
    made: Callable[[Any], tuple[Document, ...]],
    letters: list[DeadLetter],
) -> Iterator[_Row]:
    for record in records:
        try:
            yield _Row(record, made(record))
        except Undecodable as error:
            letters.append(foreign(record, str(error)))


def _versioned(index: str, name: str, version: int) -> bytes:
    """Only ever forward: an earlier version than the one that is there changes nothing."""
    more = ('"version_type":"external"', f'"version":{version}')
    return documents.action("index", index, more)(name)


class _Homes:
    """Whether an event is in another index already than the one it would go to now.

    It would be where the rules of retention changed in between, or the time at which it was
    carried. Those are found by a look at the indices of the other classes and the undated ones;
    where there is one class and nothing undated there is nothing to look at.
    """

    def __init__(self, bulk: Bulk, clock: Callable[[], float]) -> None:
        self._bulk, self._clock = bulk, clock
        self._known: frozenset[str] = frozenset()
        self._looked = -_SEEN_S

    async def elsewhere(self, placed: Sequence[tuple[str, str]]) -> set[str]:
        """Ids among those placed, as pairs of index and id, that another index has."""
        targets = {index for index, _ in placed}
        if self._clock() - self._looked >= _SEEN_S or not targets <= self._known:
            self._known = frozenset(await self._there())
            self._looked = self._clock()
        others = {index: self._others(index) for index in targets}
        # What is made in this batch is there by the next.
        asked = [
            {"_index": other, "_id": name, "_source": False}
            for index, name in placed
            for other in others[index]
        ]
        return await self._held(asked) if asked else set()

    def _others(self, index: str) -> list[str]:
        month = index.rpartition("-")[2]
        ends = (f"-{month}", f"-{indices.UNDATED}")
        return sorted(one for one in self._known if one != index and one.endswith(ends))

    async def _there(self) -> list[str]:
        def ask() -> Any:
            return self._bulk.client.transport.perform_request("GET", EVENTS_LISTED)

        said = await self._bulk.ask("list the indices of events", ask)
        return [one["name"] for one in said["indices"]]

    async def _held(self, asked: list[dict[str, Any]]) -> set[str]:
        body = orjson.dumps({"docs": asked})

        def ask() -> Any:
            return self._bulk.client.transport.perform_request(
                "POST",
                "/_mget",
                params={"filter_path": "docs.found,docs._id"},
                body=body,
                headers={"content-type": "application/json"},
            )

        said = await self._bulk.ask("look for events in other indices", ask)
        return {one["_id"] for one in said.get("docs", ()) if one.get("found")}
