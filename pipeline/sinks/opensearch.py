"""Documents into OpenSearch, many a request, as many requests at once as it takes.

What is written is given as bytes. Requests that OpenSearch has no room for are sent again after a
pause, with fewer at once; whoever writes waits for it. A document that it refuses for what is in it
is reported back, and holds up none of its neighbours.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from opensearchpy import OpenSearch
from opensearchpy.exceptions import (
    ConnectionError,  # noqa: A004  # as the library calls it
    SSLError,
    TransportError,
)

from pipeline.errors import StoreError
from pipeline.sinks.opensearch_client import AHEAD, failure, reason
from schemas import indices

_log = logging.getLogger(__name__)

PIECE_BYTES: Final = 512 * 1024
"""Of one request, about: of four times that OpenSearch writes 4 % more a second, and what is urgent
waits as much longer behind it."""
_SLOW_S: Final = 0.25
_SLOW: Final = 4
"""Times as long as what is urgent takes at its quickest, and `_SLOW_S` at the least: it waits."""
_CALM_S: Final = 2.0
"""How long the rest then goes one by one: a refresh, a second later, is to get through as well."""
_FORGOTTEN: Final = 1.001
"""By how much the quickest is forgotten with each that was not as quick."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_SAID_EACH_S: Final = 30.0
_LONGEST_REASON: Final = 300
_LARGE: Final = 3
"""Failures in a row until a request that may be too large is halved."""
_TOO_LARGE: Final = 413
_SAME: Final = 409
"""It is there already, or a later version of it."""
_BUSY: Final = 429
_REACH_S: Final = 5

_NOT_ITS_FAULT: Final = (
    "cluster_block_exception", "index_closed_exception", "validation_exception",
)  # fmt: skip
"""A read-only index, a closed one, no room for another shard: for people to see to, meanwhile the
documents wait."""

EVENTS_LISTED: Final = f"/_resolve/index/{indices.searched(indices.EVENTS)}"
"""Where OpenSearch lists the indices of events."""
Document = tuple[bytes, bytes]
"""The line that says what to do with it, and the document; each on one line."""
Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds; may raise, to give up."""
Wait = Callable[[int, str], Awaitable[None]]
"""Waits, after so many failures, for what the last one said."""


class Refused(NamedTuple):
    """A document that OpenSearch does not take. ``number`` of those given; ``why`` in its words,
    without the document's."""

    number: int
    why: str


class Sent(NamedTuple):
    """What came of one bulk request: ``took_s`` seconds, and how many documents were what.
    ``failed``: it had no answer, or was refused as a whole."""

    took_s: float
    indexed: int = 0
    rejected: int = 0
    refused: int = 0
    failed: bool = False


class Bulk:
    """Writes to one OpenSearch, for one event loop.

    Args:
        client: not to be used for anything else at the same time.
        most: requests under way, at the most, besides those that go first.
        pause: how to wait.
        told: is told of each bulk request.
    """

    def __init__(
        self,
        client: OpenSearch,
        most: int,
        pause: Pause = asyncio.sleep,
        told: Callable[[Sent], None] = lambda _: None,
    ) -> None:
        self.client, self._pause, self._told_of = client, pause, told
        self._waiting: dict[object, str] = {}
        self._gates = {False: _Gate(most), True: _Gate(AHEAD)}
        self._threads = ThreadPoolExecutor(most + AHEAD, "opensearch")
        self._quickest = _Quickest()
        self._said = -_SAID_EACH_S

    @property
    def waiting(self) -> str:
        """Why something waits to be sent again; empty: nothing does."""
        return next(iter(list(self._waiting.values())), "")

    def reach(self) -> str:
        """Why OpenSearch does not answer, whatever it may answer; empty: it does. Blocks for 5 s at
        most; from any thread."""
        # What role `index` may ask: anything else would be a line in OpenSearch's own audit log.
        params = {"request_timeout": _REACH_S, "filter_path": "none"}
        try:
            self.client.transport.perform_request("GET", EVENTS_LISTED, params=params)
        except TransportError as error:
            return reason(error) if _passes(error) or isinstance(error, SSLError) else ""
        return ""

    def close(self) -> None:
        """Wait for requests under way, and let go."""
        self._threads.shutdown()
        self.client.close()

    async def ask(self, doing: str, ask: Callable[[], Any]) -> Any:
        """What `ask` returns, a request that may be sent twice; as patient as :meth:`write`.

        Raises:
            StoreError: OpenSearch refuses, and would again.
        """
        loop, failures = asyncio.get_running_loop(), 0
        with self._waits() as wait:
            while True:
                try:
                    return await loop.run_in_executor(self._threads, ask)
                except TransportError as error:
                    if not _passes(error):
                        raise failure(self.client, doing, error) from error
                    failures += 1
                    await wait(failures, reason(error))

    async def write(self, documents: Sequence[Document], first: bool = False) -> list[Refused]:
        """Write documents; returns when all are indexed, but for those returned.

        What goes `first` waits for none of the rest.

        Raises:
            StoreError: OpenSearch takes none from us: a login that fails, a right that is missing.
        """
        gate = self._gates[first]
        tasks = [
            asyncio.create_task(self._piece(documents, part, gate)) for part in _pieces(documents)
        ]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return sorted(refused for several in found for refused in several)

    async def _piece(
        self, documents: Sequence[Document], open_: Sequence[int], gate: _Gate
    ) -> list[Refused]:
        with self._waits() as wait:
            return await self._until_taken(documents, open_, gate, wait)

    async def _until_taken(
        self, documents: Sequence[Document], open_: Sequence[int], gate: _Gate, wait: Wait
    ) -> list[Refused]:
        refused: list[Refused] = []
        failures = 0
        while open_:
            async with gate.turn():
                began = time.monotonic()
                answer = await self._send(documents, open_)
            if gate is self._gates[True] and self._quickest.is_far_from(time.monotonic() - began):
                # OpenSearch knows no urgency: what is under way besides stands before it.
                self._gates[False].narrow(_CALM_S)
            if isinstance(answer, _Split):
                if len(open_) == 1:
                    return [*refused, Refused(open_[0], answer.why)]
                return refused + await self._halves(documents, open_, gate)
            refused += answer.refused
            if answer.again:
                failures += 1
                if answer.large and failures % _LARGE == 0 and len(open_) > 1:
                    return refused + await self._halves(documents, open_, gate)
                gate.smaller()
                await wait(failures, answer.why)
            else:
                gate.larger()
            open_ = answer.again
        return refused

    async def _halves(
        self, documents: Sequence[Document], numbers: Sequence[int], gate: _Gate
    ) -> list[Refused]:
        half = len(numbers) // 2
        parts = numbers[:half], numbers[half:]
        return [one for part in parts for one in await self._piece(documents, part, gate)]

    @contextmanager
    def _waits(self) -> Iterator[Wait]:
        """How something waits to be sent again; known as waiting until it need not any more."""
        this = object()
        try:
            yield partial(self._wait, this)
        finally:
            self._waiting.pop(this, None)

    async def _wait(self, this: object, failures: int, why: str) -> None:
        self._waiting[this] = why
        now = time.monotonic()
        if now - self._said >= _SAID_EACH_S:
            self._said = now
            _log.warning("waiting: OpenSearch does not take documents now: %s", why)
        longest = min(_FIRST_PAUSE_S * 2 ** min(failures, 10), _LONGEST_PAUSE_S)
        await self._pause(random.uniform(longest / 2, longest))

    async def _send(
        self, documents: Sequence[Document], numbers: Sequence[int]
    ) -> _Answer | _Split:
        body = b"".join([part for n in numbers for part in (*documents[n], b"\n")])

        def send() -> Any:
            # Of what went well no more than that it did: the rest is half of the answer.
            return self.client.transport.perform_request(
                "POST",
                "/_bulk",
                params={"filter_path": "errors,items.*.status,items.*.error"},
                body=body,
                headers=_NDJSON,
            )

        began = time.monotonic()
        try:
            loop = asyncio.get_running_loop()
            said = await loop.run_in_executor(self._threads, send)
        except TransportError as error:
            again = len(numbers) if _passes(error) else 0
            self._told_of(Sent(time.monotonic() - began, rejected=again, failed=True))
            if _passes(error):
                return _Answer(numbers, [], reason(error), _maybe_large(error))
            if error.status_code in (400, _TOO_LARGE):
                return _Split(reason(error))
            raise failure(self.client, "index documents", error) from error
        took_s = time.monotonic() - began
        answer = self._told(numbers, said["items"]) if said["errors"] else _Answer([], [], "")
        again, refused = len(answer.again), len(answer.refused)
        self._told_of(Sent(took_s, len(numbers) - again - refused, again, refused))
        return answer

    def _told(self, numbers: Sequence[int], items: Sequence[dict[str, Any]]) -> _Answer:
        again, refused, why = [], [], ""
        for number, item in zip(numbers, items, strict=True):
            (said,) = item.values()
            status = said["status"]
            if status < 300 or status == _SAME:
                continue
            error = said.get("error", {})
            text = f"{error.get('type', '')}: {error.get('reason', '')}"
            if status == _BUSY or status >= 500 or error.get("type") in _NOT_ITS_FAULT:
                again.append(number)
                why = why or f"{status} {text}"
            elif status in (401, 403, 404):
                raise StoreError(
                    f"OpenSearch takes no documents from us: {status} {text}; `auditstream "
                    "opensearch plan` prints what the role must be allowed, `apply` makes the rest"
                )
            else:
                refused.append(Refused(number, _in_short(error)))
        return _Answer(again, refused, why)


_NDJSON: Final = {"content-type": "application/x-ndjson"}


class _Answer(NamedTuple):
    """What came of a request. ``again``: to be sent once more, because of ``why``; ``large``:
    perhaps it is too large."""

    again: Sequence[int]
    refused: list[Refused]
    why: str
    large: bool = False


class _Split(NamedTuple):
    """The request is refused as a whole: one of its documents may be why."""

    why: str


def _passes(error: TransportError) -> bool:
    """Whether it may go well another time."""
    if isinstance(error, ConnectionError):
        return not isinstance(error, SSLError)
    status = error.status_code
    blocked = status == 403 and "cluster_block_exception" in reason(error)
    return status == _BUSY or (isinstance(status, int) and status >= 500) or blocked


def _maybe_large(error: TransportError) -> bool:
    """Over a request that is too large some connections are cut; and one that would fill the memory
    for requests by itself is told to come again, for ever."""
    said = str(error.error) if isinstance(error, ConnectionError) else reason(error)
    return "aborted" in said or "coordinating operation" in said


def _in_short(error: dict[str, Any]) -> str:
    """Why a document was refused, down to the first cause, without what the document says."""
    # "… Preview of field's value: '…'", "… immense term … The prefix of the first …: '…'"
    text = re.split(r" Preview of| The prefix of", str(error.get("reason", "")))[0]
    said = [f"{error.get('type', '')}: {text}"]
    while error := error.get("caused_by", {}):
        # Here any quotation may be of the document.
        text = re.split(r"""["'\[]""", str(error.get("reason", "")))[0].rstrip(" :")
        said.append(f"{error.get('type', '')}: {text}")
    return "; ".join(said)[:_LONGEST_REASON]


def _pieces(documents: Sequence[Document]) -> list[range]:
    """Which documents go together."""
    out, start, size = [], 0, 0
    for number, (line, document) in enumerate(documents):
        size += len(line) + len(document) + 1
        if size >= PIECE_BYTES:
            out.append(range(start, number + 1))
            start, size = number + 1, 0
    if start < len(documents):
        out.append(range(start, len(documents)))
    return out


class _Quickest:
    """How quick an answer can be, from what it was lately (as TCP Vegas knows how long a path is
    that it has to itself: Brakmo and Peterson, 1995)."""

    def __init__(self) -> None:
        self._took_s = math.inf

    def is_far_from(self, took_s: float) -> bool:
        """Whether an answer took much longer; it is one of those to come to know."""
        self._took_s = min(took_s, self._took_s * _FORGOTTEN)
        return took_s > max(_SLOW_S, _SLOW * self._took_s)


class _Gate:
    """Lets so many through at once: one more for as many as went well, half where it was too much
    (Chiu and Jain's additive increase, multiplicative decrease)."""

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = min(2.0, self._most)
        self._under_way = 0
        self._narrow_until = 0.0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A place inside, for as long as it is held."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._under_way < int(self._limit))
            self._under_way += 1
        try:
            yield
        finally:
            async with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def larger(self) -> None:
        """It went well."""
        if time.monotonic() >= self._narrow_until:
            self._limit = min(self._most, self._limit + 1 / self._limit)

    def narrow(self, seconds: float) -> None:
        """One at a time, for so long."""
        self._limit, self._narrow_until = 1.0, time.monotonic() + seconds

    def smaller(self) -> None:
        """It was too much."""
        self._limit = max(1.0, self._limit / 2)
