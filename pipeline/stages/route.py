"""Route: framed lines to their sources, a batch for each, and the outcomes back in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline.batch import Item, Line, Outcome, Reading, Rejected, Source, State
from pipeline.errors import Reason
from pipeline.stages.frame import Framed


def route(
    framed: Framed, sources: Mapping[str, Source], reading: Reading, state: State
) -> list[Item]:
    """Items in the order of their lines. ``state["sources"]`` is read and changed.

    A source that raises, or does not answer for every line, costs its lines of this batch a dead
    letter each, and nobody else anything.
    """
    kept: dict[str, State] = state.setdefault("sources", {})
    lines: dict[str, list[Line]] = {}
    for line, where in framed:
        if isinstance(where, str):
            lines.setdefault(where, []).append(line)
    results: dict[str, Iterator[Sequence[Outcome]]] = {}
    for name, batch in lines.items():
        results[name] = iter(_read(sources[name], batch, reading, kept))
    items: list[Item] = []
    for line, where in framed:
        if isinstance(where, str):
            for number, outcome in enumerate(next(results[where])):
                items.append(Item(line, outcome, where, number))
        else:
            known = where.source if isinstance(where, Rejected) else ""
            items.append(Item(line, where, known or "auto"))
    return items


def _read(
    source: Source, batch: list[Line], reading: Reading, kept: dict[str, State]
) -> Sequence[Sequence[Outcome]]:
    try:
        outcomes, after = source.read(batch, reading, kept.get(source.name, {}))
    except Exception as error:
        fault = Rejected(Reason.FAULT, f"{type(error).__name__} in the source: report it")
        return [(fault,)] * len(batch)
    if len(outcomes) != len(batch):
        said = f"{len(outcomes)} answers for {len(batch)} lines from the source: report it"
        return [(Rejected(Reason.FAULT, said),)] * len(batch)
    if after:
        kept[source.name] = after
    return outcomes
