"""What a worker logs, and what its levels mean: they say whether anything was lost.

========  ==========================================================================================
INFO      What goes on.
WARNING   Nothing was lost. Something waits, or is tried again.
ERROR     Something was lost or refused; the line says what, and where it is.
CRITICAL  The worker ends. What it was at is done again by whoever takes over; nothing was lost.
========  ==========================================================================================

Libraries have levels of their own: what they say is at most a warning, for what was lost is said by
us. A line of JSON has ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message`` and, where there
is one, ``error`` (the traceback).
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final, Literal

Format = Literal["text", "json"]
FORMATS: Final[tuple[Format, ...]] = ("text", "json")
_OURS: Final = "pipeline"
THEIRS: Final = logging.getLogger("faust")
"""For services of Faust's that we extend: Faust would have them say all it says under our name."""


def _ours(name: str) -> bool:
    return name == _OURS or name.startswith(f"{_OURS}.")


def _level(record: logging.LogRecord) -> str:
    """By what was lost, whoever said it."""
    level = record.levelno if _ours(record.name) else min(record.levelno, logging.WARNING)
    return logging.getLevelName(level)


def _at(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    """No line of a log is begun by what somebody else wrote: names are anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Text(logging.Formatter):
    """For people: time, level, logger, message; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record."""
        said = _one_line(record.getMessage())
        line = f"{_at(record)} {_level(record)} {record.name}: {said}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {_one_line(each)}" for each in trace.splitlines())
        return line


class Json(logging.Formatter):
    """For machines: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record."""
        said = {
            "time": _at(record),
            "level": _level(record),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said)


_FORMATTERS: Final = {"text": Text, "json": Json}


def configuration(form: Format) -> dict[str, Any]:
    """As `logging.config.dictConfig` takes it: all goes to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"worker": {"()": _FORMATTERS[form]}},
        "handlers": {"worker": {"class": "logging.StreamHandler", "formatter": "worker"}},
        # Of all that goes on, what a worker as a whole does.
        "loggers": {f"{_OURS}.runtimes.kafka.workers": {"level": "INFO"}},
        "root": {"level": "WARNING", "handlers": ["worker"]},
    }
