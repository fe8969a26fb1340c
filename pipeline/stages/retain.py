"""Retain: the retention class of an event, by the first rule that it fits.

Written into the event once and carried with it: who indexes it, and who later deletes it, go by
what it says and not by what the rules then are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.types import Event
from schemas.vocabulary import RETENTION_STANDARD

Retain = Callable[[Event], str]
"""The class of an enriched event."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; what is empty fits anything. ``name`` is the class."""

    name: str
    classes: frozenset[int] = frozenset()
    access_paths: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()

    def fits(self, event: Event) -> bool:
        """Whether the event is of this class."""
        return (
            (not self.classes or event.class_uid in self.classes)
            and (not self.access_paths or event.access_path in self.access_paths)
            and (not self.sources or event.source in self.sources)
            and (not self.outcomes or event.outcome in self.outcomes)
        )


def retain(rules: Sequence[Rule]) -> Retain | None:
    """What says the class of each event; None: all are `standard`."""
    if not rules:
        return None

    def of(event: Event) -> str:
        for rule in rules:
            if rule.fits(event):
                return rule.name
        return RETENTION_STANDARD

    return of
