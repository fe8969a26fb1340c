"""A worker's log: one line for each record, and levels that say whether anything was lost."""

from __future__ import annotations

import ast
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mode import Service

from pipeline.runtimes.kafka import workers
from pipeline.runtimes.kafka.logs import THEIRS, Json, Text

ROOT = Path(__file__).parents[3]


def record(
    level: int, said: str, *arguments: object, name: str = "pipeline.x"
) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "x.py", 1, said, arguments, None)
    made.created = 1_795_000_000.5
    return made


def test_a_line_of_text() -> None:
    line = Text().format(record(logging.WARNING, "waiting: %s", "429"))
    assert line == "2026-11-18T11:06:40.500Z WARNING pipeline.x: waiting: 429"


def test_what_clients_name_begins_no_line() -> None:
    hostile = "t\n2026-11-18 ERROR pipeline: LOST\x1b[2J\u2028"
    for form in (Text(), Json()):
        assert len(form.format(record(logging.WARNING, "%s", hostile)).splitlines()) == 1
    assert json.loads(Json().format(record(logging.WARNING, "%s", hostile)))["message"] == hostile


def test_a_traceback_is_kept() -> None:
    made = record(logging.CRITICAL, "The worker ends")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        made.exc_info = sys.exc_info()
    said = json.loads(Json().format(made))
    assert said.keys() == {"time", "level", "logger", "message", "error"}
    assert "ValueError: two" in said["error"]
    first, *more = Text().format(made).splitlines()
    assert first.endswith("The worker ends")
    assert more
    assert all(line.startswith("    ") for line in more)


@pytest.mark.parametrize(
    ("name", "level", "said"),
    [
        ("pipeline.sinks.opensearch", logging.ERROR, "ERROR"),
        ("pipeline", logging.CRITICAL, "CRITICAL"),
        ("aiokafka.conn", logging.ERROR, "WARNING"),
        ("faust.app.base", logging.CRITICAL, "WARNING"),
        ("pipelines.of.others", logging.ERROR, "WARNING"),
        ("aiokafka.conn", logging.INFO, "INFO"),
    ],
)
def test_only_we_say_what_was_lost(name: str, level: int, said: str) -> None:
    assert json.loads(Json().format(record(level, "x", name=name)))["level"] == said


BEGINNINGS = {
    "warning": ("waiting: ", "not answered: "),
    "error": ("LOST: ", "REFUSED: ", "%s[%s] ends before "),
    "critical": ("The worker ends: ",),
}
"""What a line of a level may begin with. Whoever adds one says which it is."""


def test_every_line_says_by_its_level_what_was_lost() -> None:
    offenders, seen = [], set()
    for path in [
        *(ROOT / "pipeline/runtimes/kafka").glob("*.py"),
        *(ROOT / "pipeline/sinks").glob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            level, on = node.func.attr, ast.unparse(node.func.value)
            if not on.endswith((".log", "_log")) or level not in (*BEGINNINGS, "exception"):
                continue
            text = ast.unparse(node.args[0]).strip("'")
            if not text.startswith(BEGINNINGS.get(level, ())):
                offenders.append(f"{path.name}:{node.lineno} {level}: {text}")
            seen.add(level)
    assert offenders == []
    assert seen == set(BEGINNINGS)


def services(kind: Any = Service) -> Iterator[Any]:
    for one in kind.__subclasses__():
        yield one
        yield from services(one)


def test_what_faust_says_of_our_services_it_does_not_say_in_our_name() -> None:
    # Loads all that extends Faust.
    assert workers.__name__
    ours = [one for one in services() if one.__module__.startswith("pipeline.")]
    assert len(ours) > 3
    named = [one.__qualname__ for one in ours if one.logger is not THEIRS]
    assert named == []
