"""Frame: physical lines to logical ones, each sent to its source, filtered or given up.

A client can write line breaks into a broker's log: every name in a line is its text. What keeps
the log readable all the same:

- A line that begins as its layout does and ends without its logger's name is *open*. Loggers that
  write several lines close it later. An authorizer, request or Selector line never has a second
  line: when anything follows it, a client broke it, and its 32 KiB of text may hold whole forged
  lines. The broken head is an event of its own that says so; every event in the next 32 KiB of
  that file is marked ``suspect``.
- An open line at the end of the input, or before a process's first lines, is *torn*. Since a
  client can also imitate a process's first line, the next 32 KiB are suspect there, too.
- Where lines have dates, one without is never an authorizer's or a Selector's.

State, per file of a stream: layout seen, whether any line ended with its logger, the open line,
whether a further line continues the last one, bytes still suspect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import layouts
from pipeline.batch import Filtered, Line, Origin, Record, Rejected, Source, State
from pipeline.errors import Reason
from pipeline.stages.unwrap import Unwrapped
from schemas.vocabulary import Forgery

SUSPECT_BYTES = 32 * 1024
"""Kafka limits a client's string to 32,767 bytes: what one injects ends within this."""
MOST_FILES = 512
"""Files of one carrier whose state is kept; the one longest unseen is given up first."""
UNREAD_LOGGERS = ("kafka.request.logger", "org.apache.kafka.controller.")
"""Loggers that state audit facts which this release has no source for: named, never silent."""

Framed = list[tuple[Line, str | Filtered | Rejected]]


@dataclass(slots=True)
class Router:
    """Which source reads which line, made once from the active sources."""

    sources: Mapping[str, Source]
    only: str = "auto"

    def by_logger(self, logger: str) -> str | Filtered:
        """The name of the logger's source, or the rule that filters it."""
        for source in self.sources.values():
            if logger in source.loggers:
                if self.only in ("auto", source.name):
                    return source.name
                return Filtered(f"logger:{logger}")
        if self.only == "auto" and logger.startswith(UNREAD_LOGGERS):
            return Filtered(f"unread:{logger}")
        return Filtered(f"logger:{logger}")

    def by_text(self, text: str) -> str:
        """The name of the source that recognises a line without a layout, or empty."""
        for source in self.sources.values():
            if self.only == source.name and source.recognise is None:
                return source.name
            if self.only in ("auto", source.name) and source.recognise and source.recognise(text):
                return source.name
        return ""

    def whole(self, source: str, message: str) -> bool:
        """Whether a message ends as its source's messages end."""
        ends = self.sources[source].whole
        return ends is None or ends(message)

    def one_line(self, route: str | Filtered, message: str) -> bool:
        """Whether a message of this route never has a second line."""
        if isinstance(route, Filtered):
            return route.rule.endswith(":kafka.request.logger")
        return self.sources[route].one_line(message)


def frame(lines: Unwrapped, state: State, router: Router, final: bool) -> Framed:
    """Logical lines in order, each with its source's name or why it has none.

    ``state["files"]`` is read and changed. ``final``: nothing follows.
    """
    out: Framed = []
    files: dict[str, dict[str, Any]] = state.setdefault("files", {})
    known: dict[tuple[str, str] | None, _File] = {}
    for line, refused in lines:
        name = (line.origin.host, line.origin.file) if line.origin else None
        file = known.get(name)
        if file is None:
            key = "\0".join(name) if name else ""
            file = known[name] = _File(router, out, files.pop(key, {}), key)
        if refused is None:
            file.take(line)
        else:
            file.refuse(line, refused)
    if final:
        for key, kept in files.items():
            if kept.get("open"):
                known[None if not key else (key, "")] = _File(router, out, kept, key)
        for file in known.values():
            file.end()
    for file in known.values():
        files[file.key] = file.snapshot()
    while len(files) > MOST_FILES:
        oldest = next(iter(files))
        _File(router, out, files.pop(oldest), oldest).end()
    return out


class _File:
    """The state machine over one file's lines."""

    __slots__ = ("continues", "dated", "ended", "key", "open", "out", "router", "suspect")

    def __init__(self, router: Router, out: Framed, kept: dict[str, Any], key: str) -> None:
        self.router, self.out, self.key = router, out, key
        self.dated: bool = kept.get("dated", False)
        self.ended: bool = kept.get("ended", False)
        self.continues: bool = kept.get("continues", False)
        self.suspect: int = kept.get("suspect", 0)
        self.open: tuple[Line, str] | None = _thaw(kept.get("open"))

    def snapshot(self) -> dict[str, Any]:
        return {
            "dated": self.dated,
            "ended": self.ended,
            "continues": self.continues,
            "suspect": self.suspect,
            "open": _freeze(self.open),
        }

    def take(self, line: Line) -> None:
        head = layouts.split(line.text)
        if head is None:
            self._undated(line)
        else:
            if self.open is not None:
                self._give_up(head)
            self.dated = True
            self.ended = self.ended or (head.ended and head.layout != "trailing")
            self._dated(line, head)
        if self.suspect > 0:
            self.suspect -= len(line.raw) + 1

    def _dated(self, line: Line, head: layouts.Head) -> None:
        line.stamp, line.level, line.message = head.stamp, head.level, head.message
        line.logger = head.logger
        line.suspect = self.suspect > 0
        if not head.ended:
            self.open = line, self.router.by_text(head.message)
            return
        route = self.router.by_logger(head.logger)
        if isinstance(route, str) and not self.router.whole(route, head.message):
            self.open = line, route
            return
        self.continues = not self.router.one_line(route, head.message)
        self.out.append((line, route))

    def _undated(self, line: Line) -> None:
        if self.open is not None and not self.open[1]:
            self._continue(line)
            return
        if self.open is not None:
            self._give_up(None)
        line.suspect = self.suspect > 0
        if not self.dated:
            self._bare(line)
        elif not line.text:
            self.out.append((line, Filtered("blank")))
        elif self.continues:
            return
        else:
            logger, _ = layouts.logger_at_end(line.text, 0, len(line.text))
            if logger and not isinstance(self.router.by_logger(logger), Filtered):
                self.suspect = SUSPECT_BYTES
            detail = "a line without a beginning, after one that has no second line"
            self.out.append((line, Rejected(Reason.ORPHAN, detail)))

    def _bare(self, line: Line) -> None:
        """A line in a file whose lines have neither time nor logger."""
        text = layouts.without_level(line.text)
        logger, place = layouts.logger_at_end(text, 0, len(text))
        route: str | Filtered = self.router.by_text(text)
        if logger and route:
            text = text[:place]
            route = self.router.by_logger(logger)
        line.logger, line.message = logger, text
        if not line.text:
            self.out.append((line, Filtered("blank")))
        elif route:
            self.out.append((line, route))
        else:
            detail = "no layout and no source's wording; `auditstream sources` lists what is read"
            self.out.append((line, Rejected(Reason.UNKNOWN_LAYOUT, detail)))

    def _continue(self, line: Line) -> None:
        """A further line of an open one whose logger is not known yet."""
        if self.open is None:
            return
        logger, _ = layouts.logger_at_end(line.text, 0, len(line.text))
        if logger:
            opened = self.open[0]
            self.open = None
            opened.logger = logger
            route = self.router.by_logger(logger)
            if isinstance(route, Filtered) and not self.router.one_line(route, ""):
                self.ended = self.continues = True
                self.out.append((opened, route))
            else:
                self.suspect = SUSPECT_BYTES
                detail = "a line break in a line whose logger writes none: a client's text"
                self.out.append((opened, Rejected(Reason.TORN, detail)))
                self.continues = False

    def _give_up(self, follower: layouts.Head | None) -> None:
        """The open line will never end: something else has begun."""
        if self.open is None:
            return
        line, source = self.open
        self.open = None
        self.continues = False
        line.complete = False
        starts = follower is not None and layouts.starts_process(follower.message, follower.logger)
        endless = follower is not None and not follower.ended and not self.ended
        self.suspect = SUSPECT_BYTES
        if endless:
            detail = "a dated line without its logger's name at the end; see `broker-logging`"
            self.out.append((line, Rejected(Reason.UNKNOWN_LAYOUT, detail)))
            return
        if starts or not source:
            detail = "the beginning of a line whose end was never written"
            self.out.append((line, Rejected(Reason.TORN, detail)))
            return
        line.forgery = Forgery.BROKEN_HEAD.value
        self.out.append((line, source))

    def refuse(self, line: Line, refused: Rejected) -> None:
        """A line that could not even be decoded. It still stands between its neighbours."""
        head = layouts.split(line.text)
        if self.open is not None:
            self._give_up(head)
        self.dated = self.dated or head is not None
        self.continues = False
        self.out.append((line, refused))
        if self.suspect > 0:
            self.suspect -= max(line.record.length, len(line.raw)) + 1

    def end(self) -> None:
        """Nothing follows."""
        if self.open is not None:
            line = self.open[0]
            self.open = None
            detail = "the beginning of a line whose end is not in the input"
            self.out.append((line, Rejected(Reason.TORN, detail)))


def _freeze(opened: tuple[Line, str] | None) -> list[Any] | None:
    if opened is None:
        return None
    line, source = opened
    origin = list(line.origin) if line.origin else None
    return [
        line.raw.decode("latin-1"), line.record.position, origin, line.logged, line.number,
        line.suspect, source,
    ]  # fmt: skip


def _thaw(kept: list[Any] | None) -> tuple[Line, str] | None:
    if kept is None:
        return None
    raw, position, origin, logged, number, suspect, source = kept
    value = raw.encode("latin-1")
    line = Line(value, value.decode(), Record(value, position), number=number, suspect=suspect)
    line.origin, line.logged = Origin(*origin) if origin else None, logged
    head = layouts.split(line.text)
    if head is not None:
        line.stamp, line.level, line.logger, line.message = (
            head.stamp, head.level, head.logger, head.message,
        )  # fmt: skip
    return line, source
