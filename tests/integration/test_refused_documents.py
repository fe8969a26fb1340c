"""Documents made to be rejected are indexed in a safe form, or are dead letters with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer
from opensearchpy import OpenSearch as Client

from pipeline.batch import Stream
from pipeline.lab.kafka import Kafka
from pipeline.lab.opensearch import OpenSearch
from schemas import indices
from schemas.types import Event
from schemas.wire import encoder
from tests.feed import feed_lines
from tests.logs import authorizer_lines
from tests.stores import each, put_templates, section
from tests.streams import StreamOn

pytestmark = pytest.mark.integration

DEEP: Any = "the end"
for _ in range(1_500):
    DEEP = {"in": DEEP}
LONG = "x" * 40_000

HOSTILE: dict[str, dict[str, Any]] = {
    "a network as an address": {"src_endpoint": {"ip": "192.0.2.0/24"}},
    "a name as an address": {"src_endpoint": {"ip": LONG}},
    "a leaf of 40 KB": {"resources": [{"name": LONG, "type": LONG}]},
    "a principal of 40 KB": {"actor": {"user": {"uid": LONG}}},
    "a message of 3 MB in one word": {"message": "x" * 3_000_000},
    "text where an object is": {"actor": "User:app"},
    "an object where text is": {"message": {"said": "no"}},
    "an object where a name is": {"resources": [{"name": {"of": "what"}}]},
    "a number where an object is": {"auditstream": 7},
    "text where a number is": {
        "class_uid": "none",
        "severity_id": "x",
        "auditstream": {"weight": ""},
    },
    "a list where a truth is": {"auditstream": {"suspect": [True, "maybe", 3]}},
    "a number of 40 digits": {"class_uid": "9" * 40, "activity_id": 1e300},
    "10,000 distinct keys": {"unmapped": {f"key {n}": n for n in range(10_000)}},
    "10,000 distinct keys in what is mapped": {
        "actor": {f"k{n}": {"uid": n} for n in range(10_000)}
    },
    "depth 50": {"unmapped": orjson.loads('{"in":' * 50 + "1" + "}" * 50)},
    "depth 50 in what is mapped": {"actor": orjson.loads('{"user":' * 50 + "1" + "}" * 50)},
    "names with dots": {"actor.user.uid": "User:x", "..": 1, "": 2, "a..b": {"": ""}},
    "the year 9999": {
        "time": 253_402_300_799_999,
        "metadata": {"logged_time": 253_402_300_799_999},
    },
    "a time beyond any calendar": {"time": 2**63 - 1},
    "a time before 1970": {"time": -62_135_596_800_000},
}


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSearch]:
    with OpenSearch(tmp_path_factory.mktemp("opensearch"), security=False) as node:
        yield node


def events() -> list[tuple[str, Event]]:
    """A hostile document beside each of as many harmless ones."""
    plain = feed_lines(authorizer_lines(2 * len(HOSTILE)), Stream("kafka_authorizer")).events
    out: list[tuple[str, Event]] = []
    for name, document in HOSTILE.items():
        out.append(("", plain.pop()))
        event = plain.pop()
        said = orjson.loads(event.ocsf)
        for key, value in document.items():
            both = isinstance(value, dict) and isinstance(said.get(key), dict)
            said[key] = {**said[key], **value} if both else value
        out.append((name, replace(event, ocsf=orjson.dumps(said))))
    return out


def test_what_is_made_to_be_rejected_costs_no_neighbour_anything(
    kafka: Kafka, opensearch: OpenSearch, tmp_path: Path
) -> None:
    client: Client = opensearch.client()
    put_templates(client)
    stream = StreamOn(kafka, tmp_path / "s", "hostile", section(opensearch), partitions=1)
    encode = encoder("audit_event")
    producer = Producer(stream.settings | {"message.max.bytes": 4_000_000})
    made = events()
    for _, event in made:
        producer.produce("hostile.events", encode(event), event.id)
    producer.flush()
    with stream.worker("index") as worker:
        stream.finish(roles=("index",))
        assert worker.stop() == 0, worker.said
    there = {hit["_id"]: hit for hit in each(client, indices.EVENTS)}
    letters = {row["digest"]: row for row in stream.rows("dead-letters", "dead_letter")}
    known = {bytes(row["raw"]): row for row in letters.values()}
    fate = {}
    for name, event in made:
        refused = known.get(event.raw)
        assert (event.id.hex() in there) != (refused is not None), name
        if not name:
            assert refused is None
            continue
        fate[name] = "indexed" if refused is None else f"{refused['reason']}: {refused['detail']}"
        if refused is None:
            # Safe: nothing of it is a field that no schema names, and it is kept as it was.
            assert there[event.id.hex()]["_source"] | {"raw_data": 0} == orjson.loads(
                event.ocsf
            ) | {"raw_data": 0}
        else:
            assert refused["reason"] == "refused"
            assert LONG[:100] not in refused["detail"]
    print(*(f"{name}: {what}" for name, what in fate.items()), sep="\n")
    assert sum(what == "indexed" for what in fate.values()) >= 14, fate
    # What is refused is itself to be found.
    found = {hit["_id"] for hit in each(client, indices.DEAD_LETTERS)}
    assert found == {row["id"].hex() for row in letters.values()}
    names = {name for index in client.indices.get_mapping().values() for name in _fields(index)}
    assert not [name for name in names if "key 1" in name or name.startswith("in")]
    client.close()


def _fields(index: dict[str, Any]) -> Iterator[str]:
    yield from index["mappings"].get("properties", {})
