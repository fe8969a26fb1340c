"""Route: framed lines to their sources, a batch for each, and the outcomes back in order."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.batch import Item, Line, Outcome, Reading, Rejected, Source, State
from pipeline.errors import Reason
from pipeline.stages.frame import Framed

FaultyResults = list[tuple[Outcome, ...]]


def route(
    framed: Framed, sources: Mapping[str, Source], reading: Reading, state: State
) -> list[Item]:
    """Items in the order of their lines. ``state["sources"]`` is read and changed."""
    kept: dict[str, State] = state.setdefault("sources", {})
    lines: dict[str, list[Line]] = {}
    for line, where in framed:
        if type(where) is str:
            lines.setdefault(where, []).append(line)
    results = {}
    for name, batch in lines.items():
        try:
            outcomes, after = sources[name].read(batch, reading, kept.get(name, {}))
            if after:
                kept[name] = after
        except Exception as error:
            fault = Rejected(Reason.FAULT, f"{type(error).__name__} in the source: report it")
            outcomes = [(fault,)] * len(batch)
        results[name] = iter(outcomes)
    items: list[Item] = []
    for line, where in framed:
        if type(where) is not str:
            items.append(Item(line, where, "auto"))  # type: ignore[arg-type]
            continue
        for outcome in next(results[where]):
            items.append(Item(line, outcome, where))
    return items
