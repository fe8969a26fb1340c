"""Remembered: what a partition's worker knows by name, most of it as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from pipeline.runtimes.kafka.states import PARTITION

_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """Streams, or keys of detectors: looked at by name, in a batch, and then frozen again.

    Args:
        kept: what `States.load` gave.
        thaw, freeze: from bytes, and to bytes.
        most: of how many is known; those longest unseen are superfluous.
    """

    def __init__(
        self,
        kept: Mapping[bytes, bytes],
        thaw: Callable[[bytes], _T],
        freeze: Callable[[_T], bytes],
        most: int,
    ) -> None:
        self._thaw, self._freeze, self._most = thaw, freeze, most
        # From the one longest unseen to the one seen last.
        self._kept = {name: state for name, state in kept.items() if name != PARTITION}
        self._live: dict[bytes, _T] = {}
        self._bytes = sum(map(len, self._kept.values()))

    @property
    def size(self) -> tuple[int, int]:
        """How much is known, once all is frozen: names, and bytes of states."""
        return len(self._kept), self._bytes

    def of(self, name: bytes, new: Callable[[], _T]) -> _T:
        """What is known under a name, to be changed; `new` where that is nothing."""
        known = self._live.get(name)
        if known is None:
            kept = self._kept.pop(name, None)
            self._bytes -= len(kept or b"")
            known = self._live[name] = self._thaw(kept) if kept else new()
        return known

    def superfluous(self) -> Iterator[tuple[bytes, _T]]:
        """Those longest unseen, where there are too many. They are known no more."""
        while len(self._live) + len(self._kept) > self._most and self._kept:
            name = next(iter(self._kept))
            kept = self._kept.pop(name)
            self._bytes -= len(kept)
            yield name, self._thaw(kept)

    def freeze(self) -> Iterator[tuple[bytes, bytes]]:
        """Name and bytes of each that was looked at since the last time."""
        for name, known in self._live.items():
            # As objects they would take several times the memory.
            frozen = self._kept[name] = self._freeze(known)
            self._bytes += len(frozen)
            yield name, frozen
        self._live.clear()
