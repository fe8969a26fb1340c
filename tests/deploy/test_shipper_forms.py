"""What each shipper writes as it is configured here: whichever carries a line, it is the same event.

Fluent Bit and Vector cannot be had from any package registry: their records are made of the names
that their configuration sets, in the form that their documentation gives. So are those of rsyslog and
Filebeat, which tests/integration/test_shippers.py runs where they are installed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
import yaml

from tests.deploy.broker import DEPLOY
from tests.feed import Fed, feed, records, stream
from tests.logs import START, decision, login
from tests.stages import carriers
from tests.stages.carriers import FILE, HOST, NANOS

Writer = Callable[[str, int], bytes]
"""A line and its offset to the record that is sent."""
KEY = f"{HOST}{FILE}"


def text(name: str) -> str:
    return (DEPLOY / "shippers" / name).read_text()


def configuration(name: str) -> Any:
    return yaml.safe_load(text(name))


def fluent_bit(line: str, offset: int) -> bytes:
    """docs.fluentbit.io: the tail input's keys, what the Lua filter adds, the output's time."""
    pipeline = configuration("fluent-bit.yaml")["pipeline"]
    (given,), (lua,), (sent,) = pipeline["inputs"], pipeline["filters"], pipeline["outputs"]
    record = {given["path_key"]: FILE, given["offset_key"]: offset, given["key"]: line}
    added = dict(re.findall(r'record\["(\w+)"\] = (.+)', lua["code"]))
    assert added == {
        "host": 'os.getenv("AUDITSTREAM_HOST")',
        sent["message_key_field"]: f'record["host"] .. record["{given["path_key"]}"]',
    }
    record |= {"host": HOST, sent["message_key_field"]: KEY}
    return orjson.dumps({sent["timestamp_key"]: NANOS} | record)


def vector(line: str, offset: int) -> bytes:
    """vector.dev: the file source's keys, what the remap transform adds, encoded as JSON."""
    said = configuration("vector.yaml")
    source, sink = said["sources"]["kafka_logs"], said["sinks"]["raw"]
    remap = said["transforms"]["keyed"]["source"]
    assert f".{sink['key_field']} = string!(.host) + string!(.{source['file_key']})" in remap
    record = {
        source["file_key"]: FILE, source["host_key"]: HOST, source["offset_key"]: offset,
        "message": line, "source_type": "file", "timestamp": NANOS, sink["key_field"]: KEY,
    }  # fmt: skip
    return orjson.dumps(record)


def filebeat(line: str, offset: int) -> bytes:
    """elastic.co: the fields of a filestream event; `name` is the host's."""
    said = configuration("filebeat.yml")
    assert said["output.kafka"]["key"] == "%{[host.name]}%{[log.file.path]}"
    return carriers.filebeat(line, offset, ecs={"version": "1.12.0"}, host={"name": HOST})


def rsyslog(line: str, offset: int) -> bytes:
    """rsyslog.com: the template's constants and properties, one behind the other."""
    (template,) = re.findall(r'template\(name="record".*?\n\}', text("rsyslog.conf"), re.DOTALL)
    values = {
        "hostname": HOST,
        "$!metadata!filename": FILE,
        "$!metadata!fileoffset": str(offset),
        "timegenerated": "2026-11-20T23:52:45.001000+00:00",
        "msg": line,
    }
    out = ""
    for kind, said, more in re.findall(
        r'(constant|property)\(\w+="((?:\\.|[^"\\])*)"(.*)\)', template
    ):
        if kind == "constant":
            out += said.replace('\\"', '"')
        elif 'format="json"' in more:
            # rsyslog writes slashes so, and all else as JSON asks for.
            out += orjson.dumps(values[said]).decode()[1:-1].replace("/", "\\/")
        else:
            out += values[said]
    return out.encode()


WRITERS: dict[str, Writer] = {
    "fluent-bit.yaml": fluent_bit,
    "vector.yaml": vector,
    "filebeat.yml": filebeat,
    "rsyslog.conf": rsyslog,
}

LINES = [
    decision(START, "User:alice"),
    decision(START + timedelta(seconds=1), 'User:"quoted" \\ and\ttabbed', allowed=False),
    login(START + timedelta(seconds=2), "192.0.2.9"),
    decision(START + timedelta(seconds=3), "User:ünïcödé ✓", resource="Topic:LITERAL:a/b"),
]


def carried(writer: Writer) -> Fed:
    sent = [writer(line, at.position) for line, at in zip(LINES, records(LINES), strict=True)]
    return feed([records(sent[:2]), records(sent[2:])])


@pytest.mark.parametrize("name", WRITERS)
def test_a_line_is_what_it_was_and_where_it_was(name: str) -> None:
    fed = carried(WRITERS[name])
    assert not fed.dead_letters
    assert [event.raw.decode() for event in fed.events] == LINES
    assert {event.host for event in fed.events} == {HOST}


def test_it_is_the_same_event_whichever_brings_it() -> None:
    found = {
        name: [event.id for event in carried(writer).events] for name, writer in WRITERS.items()
    }
    assert len(found["rsyslog.conf"]) == len(LINES)
    assert all(ids == found["rsyslog.conf"] for ids in found.values()), found


def test_another_host_file_or_offset_is_another_event() -> None:
    line, ids = LINES[0], set()
    for host, file, offset in (
        (HOST, FILE, 0),
        ("broker-2", FILE, 0),
        (HOST, "/b", 0),
        (HOST, FILE, 9),
    ):
        record = carriers.vector(line, offset, host=host, file=file)
        ids |= {event.id for event in feed([records([record])], stream()).events}
    assert len(ids) == 4


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_given_up_or_cut(name: str) -> None:
    """Every copy acknowledged, no time-out, and records as large as our topics take."""
    said = re.sub(r"(?m)^\s*#.*", "", text(name))
    assert "audit.raw.auto" in said
    assert "4194304" in said
    assert re.search(r'required[_.]acks["\w]*[=:] ?"?-1', said)
    assert re.search(r"message[_.]timeout[_.]ms[=:] ?0|max_retries: -1", said)
    if name != "filebeat.yml":
        assert re.search(r"enable\.idempotence[=:] ?\"?true", said)
    # Lines that belong together are the engine's to join.
    assert not re.search(r"multiline|startmsg|readMode|parser", said)


@pytest.mark.parametrize("name", WRITERS)
def test_what_comes_twice_is_the_same_and_what_is_rotated_is_not(name: str) -> None:
    writer = WRITERS[name]
    sent = [writer(line, at.position) for line, at in zip(LINES, records(LINES), strict=True)]
    # A shipper that was killed begins again where it last knew; then the file is written anew.
    later = decision(START + timedelta(hours=1), "User:alice")
    fed = feed([records([*sent, *sent[1:], writer(later, 0)])])
    assert not fed.dead_letters
    ids = [event.id for event in fed.events]
    assert len(ids) == len(LINES) * 2
    assert len(set(ids)) == len(LINES) + 1
    assert not any(event.forgery for event in fed.events)
