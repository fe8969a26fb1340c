r"""Line layouts of Kafka's log4j configurations, split by hand in linear time.

===========  =====================================================================  ==============
layout       pattern                                                                seen in
===========  =====================================================================  ==============
``default``  ``[%d] %p %m (%c)%n``; also ``%-5p``, ``(%c:%L)``                       Apache Kafka
``strimzi``  ``%d %p %m (%c) [%t]%n``                                               Strimzi
``trailing`` ``[%p] %d [%t] %c %M - %m%n``                                          Confluent
\            ``%d %p [%t] %c:%L - %m%n``; also without ``[%t]``, with ``: %m``        log4j's habits
===========  =====================================================================  ==============

``default`` and ``strimzi`` may have ``[%t]`` at the end or before the message. The logger's name
ends them, so a line without it lacks its end. Names inside a message are clients' text: nothing
here looks for a word inside a message. The level is never trusted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LEVELS = frozenset(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
_LOGGER = re.compile(r"([A-Za-z_$][\w$.-]{0,199})(?::\d{1,6})?")
_LONGEST_STAMP = 40
_LONGEST_THREAD = 200
_LOGGER_FIRST = re.compile(
    r"(?:\[[^\]\n]{1,197}\] )?([A-Za-z_$][\w$-]{0,99}(?:\.[\w$-]{1,99}){0,20})(:\d{1,6})?(?: -|:) "
)
_MOST_KNOWN = 1024
_known: dict[str, str] = {}
"""Names that were found to be loggers', as written: a log holds few and repeats them."""


class Head(NamedTuple):
    """A line that begins as a layout does. ``ended``: it also ends so, and ``logger`` is known."""

    layout: str
    stamp: str
    level: str
    logger: str
    message: str
    ended: bool


def split(text: str) -> Head | None:
    """The line's parts, or None where it begins as no layout does."""
    first = text[:1]
    if first == "[":
        return _bracketed(text)
    if first.isdecimal():
        return _strimzi(text)
    return None


def _bracketed(text: str) -> Head | None:
    end = text.find("] ", 5, _LONGEST_STAMP + 3)
    if end < 0:
        return None
    year = text[1:6]
    if year[4:] != "-":
        level = text[1:end].strip()
        return _trailing(text, level, end) if level in LEVELS else None
    space = text.find(" ", end + 2, end + 8)
    level = text[end + 2 : space]
    if level not in LEVELS or not (year[:4].isdecimal() and year.isascii()):
        return None
    return _behind_level("default", text[1:end], level, text, space + 1)


def _strimzi(text: str) -> Head | None:
    if text[4:5] != "-" or not (text[:4].isdecimal() and text[:4].isascii()):
        return None
    space = text.find(" ", 18, _LONGEST_STAMP) if text[10:11] in (" ", "T") else -1
    if space < 0:
        return None
    stamp = text[:space]
    after = text.find(" ", space + 1, space + 7)
    level = text[space + 1 : after]
    if level not in LEVELS:
        return None
    return _behind_level("strimzi", stamp, level, text, after + 1)


def _behind_level(layout: str, stamp: str, level: str, text: str, start: int) -> Head:
    if text[start : start + 1] == " " and text[start + 1 : start + 2] not in (" ", "("):
        # `%-5p` fills up the shorter levels.
        start += 1
    behind = _behind_brackets(text, start)
    space = text.find(" ", behind)
    # First what costs little: hardly any line is one of these.
    if space > 0 and (text[space - 1] == ":" or text.startswith("- ", space + 1)):
        first = _LOGGER_FIRST.match(text, start)
        # Without either, a message could begin so.
        if first is not None and ("." in first[1] or first[2]):
            return Head("trailing", stamp, level, first[1], text[first.end() :], True)
    stop = len(text)
    if text.endswith("]"):
        stop = text.rfind(") [") + 1 or stop
    logger, place = logger_at_end(text, start, stop)
    if behind > start and _is_thread(text[start + 1 : behind - 2], text[behind : behind + 1]):
        start = behind
    if not logger:
        return Head(layout, stamp, level, "", text[start:], False)
    return Head(layout, stamp, level, logger, text[start:place], True)


def _behind_brackets(text: str, start: int) -> int:
    """What follows ``[…] `` where that stands at a place, else the place."""
    if text[start : start + 1] != "[":
        return start
    end = text.find("] ", start, start + _LONGEST_THREAD)
    return end + 2 if end > 0 else start


def _is_thread(name: str, follower: str) -> bool:
    """Whether what stands in brackets before a message is a thread's name.

    What a message itself begins with has a blank in it, as ``[SocketServer brokerId=1]``, and no
    message begins with two of these.
    """
    return follower == "[" or ("-" in name and " " not in name)


def logger_at_end(text: str, start: int, stop: int) -> tuple[str, int]:
    """The logger named at the end of ``text[start:stop]`` as ``… (a.b.C)``, and where that begins.

    Returns an empty name and ``stop`` where there is none.
    """
    place = text.rfind(" (", start, stop)
    if place < 0 or text[stop - 1] != ")":
        return "", stop
    written = text[place + 2 : stop - 1]
    name = _known.get(written) or _logger(written)
    return name, place if name else stop


def _logger(written: str) -> str:
    """The logger's name without its line number, or empty where it is none."""
    found = _LOGGER.fullmatch(written)
    if not found:
        return ""
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[written] = found[1]
    return found[1]


def without_level(text: str) -> str:
    """A line without the level it begins with, where it has neither time nor bracket."""
    level, _, rest = text.partition(" ")
    return rest if level in LEVELS else text


def _trailing(text: str, level: str, end: int) -> Head | None:
    stamp = text[end + 2 : end + 25]
    if text[end + 1 : end + 2] != " " or text[end + 25 : end + 27] != " [":
        return None
    thread = text.find("] ", end + 27)
    space = text.find(" ", thread + 2) if thread > 0 else -1
    if space < 0:
        return None
    logger = _logger(text[thread + 2 : space])
    dash = text.find(" - ", space, space + 200)
    if dash < 0 or not logger:
        return None
    return Head("trailing", stamp, level, logger, text[dash + 3 :], True)


def starts_process(message: str, logger: str) -> bool:
    """Whether this is among the first lines a Kafka process writes: what came before was cut."""
    return (
        (message.startswith("Registered") and "kafka:type=kafka.Log4jController" in message)
        or (message in ("starting", "Starting") and logger.startswith("kafka.server."))
        or (
            logger == "kafka.authorizer.logger"
            and message.startswith("Principal = ")
            and (
                " for request = ControllerRegistration with" in message
                or " for request = BrokerRegistration with" in message
            )
        )
    )
