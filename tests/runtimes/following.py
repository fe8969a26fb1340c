"""A follower that polls when a test lets it: what it meets at a poll is no matter of timing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from pipeline.config import Config, Input
from pipeline.engine import Plan
from pipeline.runtimes.embedded import Embedded, Summary
from pipeline.runtimes.follow import follow
from pipeline.sinks.sqlite import SqliteStore
from tests.runtimes.runs import rows

_PATIENCE_S = 60
"""For what takes long on a machine that falters; nothing waits so long where all is well."""


class Follow:
    """A follower in a thread of its own, stopped at the end of the block.

    It has polled once when the block begins, and after that polls only as ``polls``, ``has`` and
    ``until`` tell it, and four times more at the end.
    """

    def __init__(
        self, store: Path, *paths: Path, config: Config | None = None, plan: Plan | None = None
    ) -> None:
        self.store = store
        self.config = config or Config(inputs=tuple(Input(path=str(path)) for path in paths))
        self.plan = plan
        self.summary = Summary()
        self.error: BaseException | None = None
        self._runtime: Embedded | None = None
        self._go, self._polled = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        store = SqliteStore(self.store)
        try:
            self._runtime = Embedded(self.config, self.config.inputs, store, lambda *_: None)
            if self.plan is not None:
                self._runtime.plan = self.plan
            self.summary = self._runtime.summary

            def between() -> None:
                # The store writes in a thread of its own.
                store.wait()
                self._polled.release()
                self._go.acquire()

            self.summary = follow(self._runtime, between)
        except BaseException as error:
            self.error = error
        finally:
            store.close()
            self._polled.release()

    def __enter__(self) -> Follow:
        self._thread.start()
        self._await_poll()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        try:
            if kind is None and self.error is None:
                self.polls(4)
        finally:
            if self._runtime is not None:
                self._runtime.stop = True
            self._go.release()
            self._thread.join()
        if kind is None and self.error is not None:
            raise self.error

    def polls(self, count: int = 1) -> None:
        """Have it poll so often, and wait until it has."""
        for _ in range(count):
            self._go.release()
            self._await_poll()
            assert self.error is None, self.error

    def _await_poll(self) -> None:
        assert self._polled.acquire(timeout=_PATIENCE_S), "the follower hangs"

    def until(self, holds: Callable[[], bool]) -> None:
        """Have it poll until something holds, which may take time to pass as well."""
        deadline = time.monotonic() + _PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"{self.count()} events"
            self.polls()
            time.sleep(0.01)

    def count(self) -> int:
        """How many events the store holds."""
        return int(rows(self.store, "SELECT count(*) AS n FROM events")[0]["n"])

    def has(self, events: int, polls: int = 3) -> None:
        """Have it poll as often as a file takes that must settle first: so many events are there."""
        for _ in range(polls):
            if self.count() >= events:
                break
            self.polls()
        found = self.count()
        assert found == events, f"{found} events, not {events}"
