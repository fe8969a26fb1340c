"""JSON that names a message's logger, and JSON in which single lines come: what is made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.layouts import split
from schemas.types import Event
from schemas.vocabulary import TimePrecision
from tests.feed import feed_lines
from tests.logs import START, decision

AT = "2026-11-20T23:52:44.297Z"
LINE = decision(START, "User:alice")
HEAD = split(LINE)
assert HEAD is not None
LOGGER, SAID = HEAD.logger, HEAD.message


def one(document: dict[str, Any]) -> Event:
    (event,) = feed_lines([orjson.dumps(document)]).events
    return event


CARRIED: dict[str, tuple[dict[str, Any], str]] = {
    "journald": (
        {"MESSAGE": LINE, "__REALTIME_TIMESTAMP": "1795218764297001", "_HOSTNAME": "broker-7"},
        "broker-7",
    ),
    "google": (
        {"textPayload": LINE, "logName": "projects/example/logs/stdout", "timestamp": AT},
        "",
    ),
    "splunk": ({"event": LINE, "time": 1795218764.297, "host": "broker-7"}, "broker-7"),
}


@pytest.mark.parametrize("name", CARRIED)
def test_a_carriers_line_is_the_line(name: str) -> None:
    document, host = CARRIED[name]
    event = one(document)
    assert (event.actor, event.host, event.raw.decode()) == ("User:alice", host, LINE)
    assert event.time_precision == TimePrecision.EXACT.value
    without = {key: value for key, value in document.items() if value != LINE}
    assert not feed_lines([orjson.dumps(without)]).events


def test_whose_time_it_is() -> None:
    named = {"@timestamp": AT, "logger_name": LOGGER, "message": SAID}
    at = int(datetime.fromisoformat(AT).timestamp() * 1000)
    exact, written = TimePrecision.EXACT.value, TimePrecision.WRITTEN.value
    assert (one(named).time, one(named).time_precision) == (at, exact)
    # A shipper may have put its own there.
    assert one(named | {"agent": {"hostname": "h"}}).time_precision == written
    assert one(named | {"log": {"file": {"path": "/l"}, "offset": 3}}).time_precision == written


def test_a_shippers_line_is_the_line_whatever_logger_stands_beside_it() -> None:
    """Fluent Bit, Docker: the line is under ``log``, and a filter may add what it likes."""
    for more in ({}, {"logger": "kafka"}, {"loggerName": "x.Y"}):
        event = one({"time": AT, "log": f"{LINE}\n", "stream": "stdout", **more})
        assert (event.actor, event.raw.decode()) == ("User:alice", LINE)


def test_a_programs_file_is_none_of_the_log() -> None:
    named = {"@timestamp": AT, "logger_name": LOGGER, "message": SAID}
    assert one(named | {"file": "Logging.scala"}).host == ""
    assert one(named | {"source_host": "broker-7", "file": "Logging.scala"}).host == "broker-7"


def test_the_same_message_again_is_another_event() -> None:
    said = [
        orjson.dumps({"timeMillis": 1795218764297 + n, "loggerName": LOGGER, "message": SAID})
        for n in range(3)
    ]
    assert len({event.id for event in feed_lines(said).events}) == 3


@pytest.mark.parametrize("logger", ["", 7, None, {"name": LOGGER}, "two words", "x" * 300, "ü.é"])
def test_what_is_no_logger_names_none(logger: object) -> None:
    event = one({"@timestamp": AT, "logger": logger, "message": SAID})
    assert event.time_precision == TimePrecision.WRITTEN.value


def test_a_text_log_takes_no_loggers_name_from_json() -> None:
    forged = {"@timestamp": AT, "loggerName": LOGGER, "message": SAID.replace("alice", "admin")}
    fed = feed_lines([LINE, orjson.dumps(forged), LINE])
    assert [event.actor for event in fed.events] == ["User:alice"] * 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["@timestamp", "timestamp", "time", "timeMillis", "instant", "epochSecond", "logger", "log",
     "loggerName", "log.logger", "level", "file", "host", "offset", "MESSAGE", "event",
     "__REALTIME_TIMESTAMP", "textPayload", "logName"]
)  # fmt: skip


@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)), st.sampled_from(["", SAID]))
def test_whatever_such_an_object_holds_is_accounted_for(said: dict[str, Any], text: str) -> None:
    try:
        value = orjson.dumps({**said, "message": text})
    except TypeError:
        return
    fed = feed_lines([value, value])
    assert fed.account.balances()
    assert "fault" not in fed.reasons()
