"""Pipes to bytes: standard input, whose beginning can be looked at before it is read."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from pipeline.collectors.documents import CutShort, Documents

_LOOKED_AT_BYTES = 8 * 1024 * 1024
_WAIT_S = 0.25


class Pipe:
    """What comes through a file descriptor, until its end or until ``stopped()``; of JSON
    documents the elements.

    Until :meth:`rewind`, what is read is kept, up to 8 MiB, and then given out again.
    """

    def __init__(self, descriptor: int, stopped: Callable[[], bool]) -> None:
        self._stopped = stopped
        self._kept = _Kept(descriptor, stopped)
        self._file = Documents(self._kept)

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes: what is there, or else what comes first; none at the end.

        Raises:
            CutShort: what comes is a document that ends in the middle.
            OSError: the descriptor cannot be read.
        """
        try:
            return self._file.read(size)
        except CutShort:
            if self._stopped():
                return b""
            raise

    def rewind(self) -> bool:
        """Give out again what was looked at. Whether more may follow than could be looked at."""
        self._file = Documents(self._kept)
        return self._kept.rewind()


class _Kept:
    """The bytes of a descriptor, whose beginning is kept until :meth:`rewind`."""

    def __init__(self, descriptor: int, stopped: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._stopped = stopped
        self._head = bytearray()
        self._looking = True

    def read(self, size: int, /) -> bytes:
        if self._looking:
            data = self._fresh(min(size, _LOOKED_AT_BYTES - len(self._head)))
            self._head += data
            return data
        if self._head:
            data = bytes(self._head[:size])
            del self._head[:size]
            return data
        return self._fresh(size)

    def rewind(self) -> bool:
        self._looking = False
        return len(self._head) >= _LOOKED_AT_BYTES

    def _fresh(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size and not self._stopped():
            # Signals must be heard, and a slow writer's lines must not wait for a full batch.
            if not select.select([self._descriptor], [], [], 0 if parts else _WAIT_S)[0]:
                if parts:
                    break
                continue
            data = os.read(self._descriptor, size)
            if not data:
                break
            parts.append(data)
            size -= len(data)
        return b"".join(parts)
