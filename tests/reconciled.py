"""What `auditstream reconcile` says, and what is changed by hand in an index meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch as Client

from schemas import indices
from tests.commands import exit_status
from tests.stores import each

Hit = dict[str, Any]


@dataclass
class Said:
    """What `reconcile` said, by type; and the differences in short."""

    by_type: dict[str, list[dict[str, Any]]]

    @property
    def differences(self) -> list[tuple[str, str, str]]:
        found = self.by_type.get("difference", [])
        return sorted((d["what"], d["kind"], d["id"]) for d in found)

    def total(self, kind: str, name: str) -> int:
        return sum(day[name] for day in self.by_type["day"] if day["kind"] == kind)

    def topic(self, name: str) -> dict[str, Any]:
        return next(t for t in self.by_type["topic"] if t["topic"].endswith(name))


@dataclass
class Reconcile:
    """The command on a stream."""

    config: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *more: str) -> Said:
        status, out = self.run("--format", "jsonl", *more)
        by_type: dict[str, list[dict[str, Any]]] = {}
        for line in out.splitlines():
            said = json.loads(line)
            by_type.setdefault(said.pop("type"), []).append(said)
        [result] = by_type["result"]
        assert result["differences"] == len(by_type.get("difference", []))
        assert (status, result["clean"]) in ((0, True), (1, False))
        return Said(by_type)

    def run(self, *arguments: str) -> tuple[int, str]:
        status = exit_status("reconcile", "--config", self.config, *arguments)
        said = self.capsys.readouterr()
        assert said.out, said.err
        return status, said.out


def some(client: Client, name: str, number: int = 7) -> Hit:
    hits = sorted(each(client, name), key=lambda hit: str(hit["_id"]))
    return hits[number % len(hits)]


@contextmanager
def without(client: Client, *hits: Hit) -> Iterator[None]:
    for hit in hits:
        remove(client, hit["_index"], hit["_id"])
    try:
        yield
    finally:
        for hit in hits:
            # Not to be found by a search for a second: it is there all the same.
            put(client, hit["_index"], hit["_id"], hit["_source"], hit["_version"], refresh="false")


def remove(client: Client, index: str, name: str) -> None:
    client.delete(index=index, id=name, params={"refresh": "true"})


def put(
    client: Client,
    index: str,
    name: str,
    document: Mapping[str, Any],
    version: int = 0,
    refresh: str = "true",
) -> None:
    ours = index.startswith((indices.FINDINGS, indices.CHANGES))
    more = {"version": version, "version_type": "external_gte"} if ours else {}
    client.index(index=index, id=name, body=document, params={"refresh": refresh, **more})
