"""Router: which source reads which line: by its logger, by its wording, or as a JSON object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline import layouts
from pipeline.batch import Filtered, Rejected, Source
from pipeline.errors import Reason

MOST_LOGGERS = 1024
"""Loggers whose route is kept: a client's text can look like one."""
UNREAD_LOGGERS = (
    "io.confluent.rest-utils.requests",
    "org.apache.kafka.connect.runtime.rest.RestServer",
)
"""Loggers that state audit facts which this release has no source for: named, never silent."""

Ending = Literal["whole", "broken", "forged"]
"""A message that is all there; one that a line break cut; one that shows by itself that a client
wrote it or into it, which is read as it stands."""


@dataclass(slots=True)
class Router:
    """Which source reads which line, made once from the active sources."""

    sources: Mapping[str, Source]
    only: str = "auto"
    _routes: dict[str, tuple[str | Filtered, Source | None]] = field(default_factory=dict)
    _claimers: list[tuple[str, Callable[[Mapping[str, Any]], bool]]] = field(init=False)

    def __post_init__(self) -> None:
        self._claimers = [
            (source.name, source.claims)
            for source in self.sources.values()
            if source.claims is not None and self.only in ("auto", source.name)
        ]

    def by_logger(self, logger: str) -> str | Filtered:
        """The name of the logger's source, or the rule that filters it."""
        return (self._routes.get(logger) or self._find(logger))[0]

    def _find(self, logger: str) -> tuple[str | Filtered, Source | None]:
        rule = "unread" if self.only == "auto" and logger.startswith(UNREAD_LOGGERS) else "logger"
        found: tuple[str | Filtered, Source | None] = Filtered(f"{rule}:{logger}"), None
        for source in self.sources.values():
            if logger in source.loggers and self.only in ("auto", source.name):
                found = source.name, source
                break
        if len(self._routes) < MOST_LOGGERS:
            self._routes[logger] = found
        return found

    def by_text(self, text: str) -> str:
        """The name of the source that recognises a line without a layout, or empty."""
        for source in self.sources.values():
            if self.only == source.name and source.recognise is None:
                return source.name
            if self.only in ("auto", source.name) and source.recognise and source.recognise(text):
                return source.name
        return ""

    def by_document(self, document: Mapping[str, Any]) -> str:
        """The name of the source that claims a JSON object, or empty."""
        for name, claims in self._claimers:
            if claims(document):
                return name
        return ""

    def by_head(self, head: layouts.Head) -> tuple[str | Filtered, Ending]:
        """Where an ended line goes, and how its message ends.

        One in a source's words under a foreign logger was broken, and ended by a client; not where
        the logger stands before the message: there it is another's.
        """
        layout, _, _, logger, message, _ = head
        route, source = self._routes.get(logger) or self._find(logger)
        if source is not None and source.recognise is not None and source.recognise(message):
            return route, _ending(source, message)
        owner = self.by_text(message)
        if not owner or owner == route or not self.sources[owner].loggers:
            return route, _ending(source, message)
        if self._is_short(logger, owner):
            return owner, self.ending(owner, message)
        return (route, _ending(source, message)) if layout == "trailing" else (owner, "broken")

    def by_named(self, logger: str, message: str) -> str | Filtered | Rejected:
        """Where a message goes whose logger a JSON layout names: no client can write into that."""
        route = self.by_logger(logger)
        if isinstance(route, str) or not (owner := self.by_text(message)):
            return route
        if self._is_short(logger, owner):
            return owner
        detail = f"in the words of {owner}, but by the logger {logger[:200]}"
        return Rejected(Reason.UNKNOWN_LAYOUT, detail, owner)

    def _is_short(self, logger: str, source: str) -> bool:
        """Whether it is the last part of a source's logger, which `%c{1}` writes alone."""
        return any(name.endswith("." + logger) for name in self.sources[source].loggers)

    def several_lines(self, message: str) -> str:
        """The name of the source that reads the lines which go on from this one, or empty."""
        for source in self.sources.values():
            asked = source.several_lines if self.only in ("auto", source.name) else None
            if asked is not None and asked(message):
                return source.name
        return ""

    def ending(self, source: str, message: str) -> Ending:
        """How a message ends, by its source's lights."""
        return _ending(self.sources[source], message)

    def one_line(self, route: str | Filtered, message: str) -> bool:
        """Whether a message of this route never has a second line."""
        if isinstance(route, Filtered):
            return route.rule.endswith(":kafka.request.logger")
        return bool(route) and self.sources[route].one_line(message)


def _ending(source: Source | None, message: str) -> Ending:
    if source is None or source.whole is None or source.whole(message):
        return "whole"
    return "forged" if source.forged is not None and source.forged(message) else "broken"
