"""The OpenSearch of a disturbed stream, and what happens to it."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from opensearchpy.exceptions import OpenSearchException

from pipeline.lab.opensearch import OpenSearch
from schemas import indices
from tests.commands import auditstream
from tests.stores import each, indexed, put_templates, section
from tests.streams import StreamOn, View, digested

_CRAMPED = {"indexing_pressure.memory.limit": "3mb"}
"""Room for one request and a half: it answers 429 again and again, all the way through."""
_STALLS = 12


class Shelf:
    """One node; `away_s` is how long it is away, or an index read-only. `optimised`: for many."""

    def __init__(self, folder: Path, random: Random, away_s: float, optimised: bool) -> None:
        self._node = OpenSearch(folder, properties=_CRAMPED, heap_mib=768, optimised=optimised)
        self._random, self._away_s = random, away_s
        self._away = False

    def __enter__(self) -> Shelf:
        self._node.start()
        self.client = self._node.client()
        put_templates(self.client)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._node.kill()

    @property
    def section(self) -> str:
        """The configuration's, that names it."""
        return section(self._node)

    def stop(self) -> float:
        """Stop or kill it; seconds until it is to be back."""
        self._away = True
        self._random.choice((self._node.stop, self._node.kill))()
        return self._away_s

    def start(self) -> None:
        """Have it back."""
        self._node.start()
        self._away = False

    def block(self) -> tuple[str, float]:
        """Make an index of events read-only; which, and for how many seconds."""
        found = list(self.client.indices.get(index=indices.searched(indices.EVENTS)))
        if not found:
            return "", 0
        name = self._random.choice(sorted(found))
        self.client.indices.put_settings(index=name, body={"index.blocks.read_only": True})
        return name, self._away_s

    def release(self, name: str) -> bool:
        """Let the index be written to; whether anybody was there to do it."""
        with suppress(OpenSearchException):
            self.client.indices.put_settings(index=name, body={"index.blocks.read_only": None})
            return True
        return False

    def crawl(self) -> None:
        """Have it stand still most of the time for a while, as it does on a disk that is slow."""
        with suppress(ProcessLookupError):
            for _ in range(_STALLS):
                if self._away:
                    return
                pid = self._node.pid
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.4)
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.1)

    def differences(self, expected: View) -> list[str]:
        """What is not in it as it must be."""
        found = indexed(self.client, digested)
        found.account = expected.account
        return [f"index: {said}" for said in found.differences(expected)]

    def reconciled(self, stream: StreamOn) -> list[str]:
        """What `auditstream reconcile` says wrongly: there is nothing to say; then a document is
        deleted, and a dead letter hidden."""
        out = [f"reconcile: {said}" for said in _reconcile(stream)]
        removed = []
        for name in (indices.EVENTS, indices.DEAD_LETTERS):
            hit = next(iter(each(self.client, name)))
            self.client.delete(index=hit["_index"], id=hit["_id"], params={"refresh": "true"})
            removed.append(hit["_id"])
        named = [json.loads(said)["id"] for said in _reconcile(stream)]
        if sorted(named) != sorted(removed):
            out.append(f"reconcile: of {removed}, which were deleted, it named {named}")
        return out


def _reconcile(stream: StreamOn) -> list[str]:
    """The differences that are told, a line of JSON each."""
    arguments = ("reconcile", "--config", stream.path, "--format", "jsonl")
    done = auditstream(*arguments, cwd=stream.folder, timeout_s=900)
    assert done.returncode in (0, 1), done.stderr
    assert '"type":"result"' in done.stdout.replace(" ", ""), done.stderr
    lines = done.stdout.splitlines()
    return [line for line in lines if json.loads(line)["type"] == "difference"]
