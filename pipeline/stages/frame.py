"""Frame: physical lines to logical ones, each sent to its source, filtered or given up.

A client can write line breaks into a broker's log: every name in a line is its text. What keeps
the log readable all the same:

- A line that begins as its layout does and ends without its logger's name is *open*. Loggers that
  write several lines close it later. An authorizer, request or Selector line never has a second
  line: when anything follows it, a client broke it, and its 32 KiB of text may hold whole forged
  lines. The broken head is an event of its own that says so; every event in the next 32 KiB of
  that file is marked ``suspect``. So it is behind a line that contradicts itself, imitates the
  log's words in a name, or stands in a source's words under another logger: someone is at work.
- An open line at the end of the input, or before a process's first lines, is *torn*. Since a
  client can also imitate a process's first line, the next 32 KiB are suspect there, too.
- Where lines have dates, one without is never an authorizer's or a Selector's.
- A message that its source says goes on over several lines is read with them, as one.

State, per file of a stream: layout seen, whether any line ended with its logger, the open line,
whether a further line continues the last one, bytes still suspect.
"""

from __future__ import annotations

from typing import Any

from pipeline import layouts
from pipeline.batch import Filtered, Line, Origin, Record, Rejected, State
from pipeline.errors import Reason
from pipeline.stages.router import Ending, Router
from pipeline.stages.unwrap import Unwrapped
from schemas.vocabulary import Forgery

SUSPECT_BYTES = 32 * 1024
"""Kafka limits a client's string to 32,767 bytes: what one injects ends within this."""
MOST_FILES = 512
"""Files of one carrier whose state is kept; the one longest unseen is given up first."""
MOST_GATHERED = 64 * 1024
"""Bytes of a message over several lines; Kafka's own configuration takes 15 KiB."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
Framed = list[tuple[Line, str | Filtered | Rejected]]


def frame(lines: Unwrapped, state: State, router: Router, final: bool) -> Framed:
    """Logical lines in order, each with its source's name or why it has none.

    ``state["files"]`` is read and changed: from the file longest unseen to the one seen last.
    ``final``: nothing follows.
    """
    out: Framed = []
    kept: dict[str, dict[str, Any]] = state.setdefault("files", {})
    live: dict[str, _File] = {}
    file: _File | None = None
    name: tuple[str, str] | None = None
    for line, refused in lines:
        origin = line.origin
        here = (origin.host, origin.file) if origin is not None else None
        if file is None or here != name:
            name = here
            file = _switch("\0".join(here) if here else "", kept, live, router, out)
        if refused is None:
            file.take(line)
        else:
            file.refuse(line, refused)
    if final:
        for key, snapshot in kept.items():
            if snapshot["open"] is not None:
                ended = _File(router, out, snapshot)
                ended.end()
                kept[key] = ended.snapshot()
        for file in live.values():
            file.end()
    for key, file in live.items():
        kept[key] = file.snapshot()
    return out


def _switch(
    key: str, kept: dict[str, dict[str, Any]], live: dict[str, _File], router: Router, out: Framed
) -> _File:
    """The file of this key, now the one seen last. Whoever is too many is given up at once, so
    that no split into batches can tell."""
    file = live.pop(key, None) or _File(router, out, kept.pop(key, {}))
    live[key] = file
    if len(live) + len(kept) > MOST_FILES:
        if kept:
            oldest = _File(router, out, kept.pop(next(iter(kept))))
        else:
            oldest = live.pop(next(iter(live)))
        oldest.end()
    return file


class _File:
    """The state machine over one file's lines."""

    __slots__ = ("continues", "dated", "ended", "open", "out", "router", "suspect")

    def __init__(self, router: Router, out: Framed, kept: dict[str, Any]) -> None:
        self.router, self.out = router, out
        self.dated: bool = kept.get("dated", False)
        self.ended: bool = kept.get("ended", False)
        self.continues: bool = kept.get("continues", False)
        self.suspect: int = kept.get("suspect", 0)
        self.open: tuple[Line, str] | None = _thaw(kept.get("open"), kept.get("received", 0))

    def snapshot(self) -> dict[str, Any]:
        return {
            "dated": self.dated,
            "ended": self.ended,
            "continues": self.continues,
            "suspect": self.suspect,
            "open": _freeze(self.open),
            "received": self.open[0].record.received if self.open else 0,
        }

    def take(self, line: Line) -> None:
        alone = self.open is None and not self.dated
        if line.source and alone:
            self._by_itself(line, line.source)
            return
        head = layouts.split(line.text)
        if head is None:
            if line.logger and alone:
                self._by_itself(line, self.router.by_named(line.logger, line.text))
                return
            ending = self._undated(line)
        else:
            if self.open is not None:
                self._give_up(head)
            ending = self._dated(line, head)
        if self.suspect > 0:
            self._spend(len(line.raw), line.raw)
        if ending == "forged":
            self.suspect = SUSPECT_BYTES

    def _by_itself(self, line: Line, route: str | Filtered | Rejected) -> None:
        """A JSON object of a source's, or the message out of a JSON layout: nobody can break one,
        or write into its structure."""
        line.message, line.suspect = line.text, self.suspect > 0
        self.continues = False
        self.out.append((line, route))
        if line.suspect:
            self._spend(len(line.raw), line.raw)

    def _spend(self, length: int, raw: bytes) -> None:
        """Bytes of the log to bytes a client sent: what was not UTF-8 is written as U+FFFD."""
        self.suspect -= length + 1 - 2 * raw.count(_REPLACEMENT)

    def _dated(self, line: Line, head: layouts.Head) -> Ending:
        layout, line.stamp, line.level, line.logger, line.message, ended = head
        line.suspect = self.suspect > 0
        self.dated = True
        if not ended:
            self.open = line, self.router.by_text(line.message)
            return "broken"
        if layout != "trailing":
            self.ended = True
        route, ending = self.router.by_head(head)
        self._send(line, route, ending)
        return ending

    def _send(self, line: Line, route: str | Filtered, ending: Ending) -> None:
        if ending == "broken" and isinstance(route, str):
            self.open = line, route
        else:
            self.continues = not self.router.one_line(route, line.message)
            self.out.append((line, route))

    def _undated(self, line: Line) -> Ending:
        line.stamp = line.level = line.logger = ""
        if self.open is not None and self._gather(*self.open, line):
            return "whole"
        if self.open is not None and not self.open[1]:
            self._continue(line)
            return "whole"
        if self.open is not None:
            self._give_up(None)
        line.suspect = self.suspect > 0
        if not line.text:
            self.out.append((line, Filtered("blank")))
        elif not self.dated:
            return self._bare(line)
        elif not self.continues:
            logger, _ = layouts.logger_at_end(line.text, 0, len(line.text))
            if self.suspect <= 0 and isinstance(self.router.by_logger(logger), str):
                self.suspect = SUSPECT_BYTES
            detail = "a line without a beginning, after one that has no second line"
            self.out.append((line, Rejected(Reason.ORPHAN, detail)))
        return "whole"

    def _bare(self, line: Line) -> Ending:
        """A line in a file whose lines have no time."""
        text = layouts.without_level(line.text)
        logger, place = layouts.logger_at_end(text, 0, len(text))
        route = self.router.by_logger(logger)
        if isinstance(route, str):
            text, line.logger, self.ended = text[:place], logger, True
        elif source := self.router.by_text(text):
            route = source
        elif not logger or text is line.text:
            detail = "no layout and no source's wording; `auditstream sources` lists what is read"
            self.out.append((line, Rejected(Reason.UNKNOWN_LAYOUT, detail)))
            return "whole"
        line.message = text
        ending: Ending = "whole"
        if isinstance(route, str):
            cut = self.ended and not line.logger
            ending = "broken" if cut else self.router.ending(route, text)
        self._send(line, route, ending)
        return ending

    def _gather(self, opened: Line, _: str, line: Line) -> bool:
        """Add a line to the open one, which goes on over several. False: it is none of those."""
        source, text = self.router.several_lines(opened.message), line.text
        if not source:
            return False
        stop = text.rfind(") [") + 1 if text.endswith("]") else len(text)
        logger, place = layouts.logger_at_end(text, 0, stop)
        last = bool(logger) and self.router.by_logger(logger) == source
        if not last and not text.startswith("\t"):
            return False
        if len(opened.raw) + len(line.raw) > MOST_GATHERED:
            self.open, self.continues = None, True
            detail = f"a message over several lines of more than {MOST_GATHERED} bytes"
            self.out.append((opened, Rejected(Reason.TOO_LONG, detail, source)))
            return True
        opened.message += "\n" + (text[:place] if last else text)
        opened.text += "\n" + text
        opened.raw += b"\n" + line.raw
        if last:
            self.open, self.continues, self.ended = None, False, True
            opened.logger = logger
            self.out.append((opened, source))
        return True

    def _continue(self, line: Line) -> None:
        """A further line of an open one whose logger is not known yet."""
        logger, _ = layouts.logger_at_end(line.text, 0, len(line.text))
        if not logger or self.open is None:
            return
        opened = self.open[0]
        self.open = None
        opened.logger = logger
        route = self.router.by_logger(logger)
        self.continues = isinstance(route, Filtered) and not self.router.one_line(route, "")
        if self.continues:
            self.ended = True
            self.out.append((opened, route))
        else:
            self.suspect = SUSPECT_BYTES
            detail = "a line break in a line whose logger writes none: a client's text"
            self.out.append((opened, Rejected(Reason.TORN, detail)))

    def _give_up(self, follower: layouts.Head | None) -> None:
        """The open line will never end: something else has begun."""
        if self.open is None:
            return
        line, source = self.open
        self.open = None
        self.continues = False
        self.suspect = SUSPECT_BYTES
        line.complete = False
        starts = follower is not None and layouts.starts_process(follower.message, follower.logger)
        endless = follower is not None and not follower.ended and not self.ended
        if endless and (not source or self.router.ending(source, line.message) == "whole"):
            detail = "a dated line without its logger's name at the end; see `broker-logging`"
            self.out.append((line, Rejected(Reason.UNKNOWN_LAYOUT, detail, source)))
        elif starts or not source:
            detail = "the beginning of a line whose end was never written"
            self.out.append((line, Rejected(Reason.TORN, detail, source)))
        else:
            line.forgery = Forgery.BROKEN_HEAD.value
            self.out.append((line, source))

    def refuse(self, line: Line, refused: Rejected) -> None:
        """A line that could not even be decoded. It still stands between its neighbours."""
        head = layouts.split(line.text)
        source = ""
        if self.open is not None and (head is not None or self.open[1]):
            self._give_up(head)
        ending: Ending = "whole"
        if head is not None:
            route: str | Filtered = self.router.by_text(head.message)
            ending = "broken"
            if head.ended:
                route, ending = self.router.by_head(head)
            source = route if isinstance(route, str) else ""
            self.dated = True
            self.continues = not (source or self.router.one_line(route, head.message))
        self.out.append((line, refused._replace(source=source)))
        if self.suspect > 0:
            self._spend(max(line.record.length, len(line.raw)), line.raw)
        if source and ending != "whole":
            # Nobody can see where it ends: a client may have broken it.
            self.suspect = SUSPECT_BYTES

    def end(self) -> None:
        """Nothing follows."""
        if self.open is not None:
            line, source = self.open
            self.open = None
            detail = "the beginning of a line whose end is not in the input"
            self.out.append((line, Rejected(Reason.TORN, detail, source)))


def _freeze(opened: tuple[Line, str] | None) -> list[Any] | None:
    if opened is None:
        return None
    line, source = opened
    origin = list(line.origin) if line.origin else None
    # Else both follow from the bytes.
    said = "\n" in line.message or (line.logger and not line.stamp)
    return [
        line.raw.decode("latin-1"), line.record.position, origin, line.logged, line.number,
        line.suspect, source, *([line.message, line.logger] if said else ()),
    ]  # fmt: skip


def _thaw(kept: list[Any] | None, received: int) -> tuple[Line, str] | None:
    if kept is None:
        return None
    raw, position, origin, logged, number, suspect, source, *gathered = kept
    value = raw.encode("latin-1")
    record = Record(value, position, received=received)
    line = Line(value, value.decode(), record, number=number, suspect=suspect)
    line.origin, line.logged = Origin(*origin) if origin else None, logged
    head = layouts.split(line.text)
    if head is not None:
        _, line.stamp, line.level, line.logger, line.message, _ = head
    else:
        line.message = layouts.without_level(line.text)
    if gathered:
        line.message, line.logger = gathered
    return line, source
