"""What is in an OpenSearch, read without our reader: to be held against an embedded run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
from opensearchpy import OpenSearch as Client
from opensearchpy.exceptions import TransportError
from opensearchpy.helpers import scan

from pipeline.lab.opensearch import OpenSearch
from schemas import indices
from schemas.index_template import templates
from tests.streams import Document, View, uncarried

NAMES = (
    indices.EVENTS, indices.FINDINGS, indices.VERSIONS, indices.CHANGES, indices.DEAD_LETTERS,
    indices.ACCOUNTS,
)  # fmt: skip


def put_templates(client: Client) -> None:
    """Make the index templates, without copies that one node cannot hold."""
    for name, body in templates().items():
        body["template"]["settings"]["index.number_of_replicas"] = 0
        client.indices.put_index_template(name=f"test-{name}", body=body)


def clear(client: Client) -> None:
    """Delete all that is ours."""
    patterns = [indices.searched(name) for name in NAMES]
    client.indices.delete(index=",".join(patterns), params={"ignore_unavailable": "true"})


def each(client: Client, name: str) -> Iterator[dict[str, Any]]:
    """Every document of one of the names in `schemas.indices`, with what is said about it."""
    pattern = indices.searched(name)
    client.indices.refresh(index=pattern, params={"ignore_unavailable": "true"})
    yield from scan(
        client, index=pattern, size=2_000, params={"ignore_unavailable": "true", "version": "true"}
    )


def begun(client: Client) -> bool:
    """Whether there are events; an index that is just being made cannot be searched."""
    with suppress(TransportError):
        return next(each(client, indices.EVENTS), None) is not None
    return False


def indexed(client: Client, document: Document = uncarried) -> View:
    """What an index holds, as far as it must be what the embedded store holds."""
    events: dict[bytes, Any] = {}
    for hit in each(client, indices.EVENTS):
        said = hit["_source"]
        id_ = bytes.fromhex(hit["_id"])
        assert said["metadata"]["uid"] == hit["_id"]
        assert id_ not in events, f"{hit['_id']} is in two indices"
        said.pop("raw_data", None)
        said["auditstream"].pop("raw_base64", None)
        events[id_] = document(orjson.dumps(said))
    findings = {bytes.fromhex(h["_id"]): h["_source"] for h in each(client, indices.FINDINGS)}
    changes = {bytes.fromhex(h["_id"]): h["_source"] for h in each(client, indices.CHANGES)}
    return View(
        events,
        {i: _finding(said) for i, said in findings.items() if _status(said) == "open"},
        {
            i: (said["kind"], said["target"], said["outcome"], list(map(_bytes, said["legs"])))
            for i, said in changes.items()
            if said["status"] == "open"
        },
        {_bytes(hit["_id"]) for hit in each(client, indices.DEAD_LETTERS)},
        {},
    )


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text)


def _status(said: dict[str, Any]) -> str:
    return str(said["auditstream"]["status"])


def _finding(said: dict[str, Any]) -> tuple[Any, ...]:
    ours, info = said["auditstream"], said["finding_info"]
    return (
        info["analytic"]["uid"], ours["key"], ours["cluster"], said["severity_id"],
        info["first_seen_time"], info["last_seen_time"], said["count"], ours["status"],
        ours["suspect"], ours["lower_bound"], ours.get("actor", ""), ours.get("address", ""),
        list(map(_bytes, ours["evidence"])),
    )  # fmt: skip


def section(opensearch: OpenSearch, **more: Any) -> str:
    """TOML of `[opensearch]` that names a node."""
    said = opensearch.storage(**more).model_dump()
    tls = said.pop("tls")
    lines = ["[opensearch]", *(f"{name} = {orjson.dumps(v).decode()}" for name, v in said.items())]
    lines += ["[opensearch.tls]", *(f"{n} = {orjson.dumps(v).decode()}" for n, v in tls.items())]
    return "\n".join(lines) + "\n"
