"""Behind: SQL carried out in a thread of its own, in the order it was given.

SQLite works without the interpreter's lock. Whoever gives it a statement goes on at once, and the
engine makes what comes next while this one is carried out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from queue import Queue
from threading import Thread
from typing import Any

_MOST_WAITING = 24
"""Statements; of some hundred rows each, where there are many."""

_Given = tuple[str, Sequence[Any]]


class Behind:
    """The writing half of one connection, which must be open to several threads.

    After a statement that failed none is carried out, until :meth:`roll_back`.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._queue: Queue[_Given | None] = Queue(_MOST_WAITING)
        self._failed: Exception | None = None
        self._thread = Thread(target=self._work, name="store", daemon=True)
        self._thread.start()

    def give(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Have a statement carried out.

        Raises:
            sqlite3.Error: one that was given before failed.
        """
        self._raise()
        self._queue.put((sql, values))

    def wait(self) -> None:
        """Return when all that was given is carried out. The connection is then free.

        Raises:
            sqlite3.Error: something failed.
        """
        self._queue.join()
        self._raise()

    def roll_back(self) -> None:
        """Give up the open transaction, if there is one. What was committed before it stays."""
        self._queue.join()
        self._failed = None
        # Where the disk is full SQLite may have rolled back by itself.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """End the thread, after all that was given."""
        self._queue.put(None)
        self._thread.join()

    def _raise(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _work(self) -> None:
        while (given := self._queue.get()) is not None:
            if self._failed is None:
                try:
                    self._db.execute(*given)
                except Exception as error:
                    self._failed = error
            self._queue.task_done()
