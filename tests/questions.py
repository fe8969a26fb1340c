"""Random questions to a store, as people ask them on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from pipeline.query import tokens
from schemas.vocabulary import CLASS_NAMES
from tests.medley import LONG, SOURCES

FILTERS: Final = (
    "since", "until", "actor", "resource", "ip", "source", "class", "outcome", "text",
)  # fmt: skip
_NETWORKS = (
    "192.0.2.0/25", "0.0.0.0/0", "0.0.0.0/1", "127.0.0.1", "2001:db8::/48", "::/0", "::/1", "::/80",
    "::ffff:192.0.2.0/120", "::ffff:0:0/96", "::ffff:0:0/95", "::1", "fe80::/10", "198.51.100.1/0",
    "2001:0db8:0:0::7/128",
)  # fmt: skip
_TIMES = (
    "1970-01-01", "1969-12-31T23:59:59.999Z", "1970-01-01T00:00:00.001", "0001-01-01", "9999-12-31",
    "2026-11-01", "2026-11-01T00:00:00+01:00", "-999999999999999", "999999999999999",
)  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Questions:
    """Questions about what `rows` of events hold, and now and then about what nothing holds."""

    def __init__(self, seed: int | str, rows: Sequence[dict[str, Any]]) -> None:
        self.random = Random(seed)
        self._rows = rows

    def arguments(self, filters: int) -> list[str]:
        """Arguments with so many filters."""
        return [f"--{name}={value}" for name, value in self.filters(filters).items()]

    def filters(self, count: int) -> dict[str, str]:
        """So many filters, by name."""
        row = self.random.choice(self._rows)
        wanted = self.random.sample(FILTERS, count)
        return {name: self._value(name, row) for name in wanted}

    def _value(self, wanted: str, row: dict[str, Any]) -> str:
        if self.random.random() < 0.2:
            row = self.random.choice(self._rows)
        odd = self.random.random() < 0.15
        if wanted in ("since", "until"):
            return self._moment(row["time"], odd)
        if wanted in ("actor", "resource"):
            return self._name(row[wanted], wanted, odd)
        if wanted == "ip":
            return self._network(row["address"], odd)
        if wanted == "source":
            return self.random.choice((*SOURCES, "auto", "")) if odd else str(row["source"])
        if wanted == "class":
            return str(self.random.choice(list(CLASS_NAMES)) if odd else row["class_uid"])
        if wanted == "outcome":
            return str(row["outcome"])
        return self._words(row, odd)

    def _moment(self, time: int, odd: bool) -> str:
        if odd:
            return self.random.choice(_TIMES)
        around = time + self.random.choice((0, 0, 1, -1, 86_400_000, -86_400_000))
        try:
            return (_EPOCH + timedelta(milliseconds=around)).isoformat()
        except OverflowError:
            return "9999-12-31"

    def _name(self, said: str, wanted: str, odd: bool) -> str:
        """A name or a pattern, of what an argument can hold."""
        said = (self.random.choice(("", "nobody", *LONG)) if odd else said).replace("\0", "*")
        if wanted == "actor" and self.random.random() < 0.3:
            said = said.removeprefix("User:")
        for _ in range(self.random.choice((0, 0, 0, 1, 1, 2, 5))):
            start = self.random.randint(0, len(said))
            said = said[:start] + "*" + said[self.random.randint(start, len(said)) :]
        return said

    def _network(self, address: str, odd: bool) -> str:
        if odd or not address:
            return self.random.choice(_NETWORKS)
        longest = 128 if ":" in address else 32
        length = self.random.choice((longest, longest - 1, longest // 2, 0))
        return self.random.choice((address, f"{address}/{length}"))

    def _words(self, row: dict[str, Any], odd: bool) -> str:
        """One word or some, whole or in part, with any letter case."""
        found = tokens(f"{row['message']} {row['resource']} {row['operation']} {row['rule']}")
        words = self.random.choices([*found, "denied"], k=self.random.choice((1, 1, 2, 3)))
        if odd:
            words[0] = words[0][:-1] or "x"
        cased = [self.random.choice((word, word.upper())) for word in words]
        return self.random.choice((" ", ",", "…")).join(cased)
