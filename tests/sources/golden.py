"""Golden examples of every source: lines, and what they become. They are the contract.

``tests/examples/sources/SOURCE/SHAPE.json``, one for each of the source's shapes::

    {
      "why": "what the example shows, in a sentence",
      "stream": {"cluster": "prod-eu", "host": "broker-1", "zone": "Europe/Berlin"},
      "lines": ["[2026-11-20 23:52:01,297] INFO …"],
      "expected": [{"event": {…}}, {"filtered": "logger:x"}, {"dead_letter": "torn"}]
    }

``stream`` may be left out. ``expected`` lists every item in order of its lines: the OCSF document
of an event without its carriage, the rule of what was filtered, the reason of a dead letter.

``python -m tests.sources.golden --write`` writes what the engine makes of the lines into
``expected``; without ``--write`` it names the files that differ. Read what it wrote, line by line,
against the format's documentation before it is committed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from pipeline.batch import Record, State, Stream
from pipeline.engine import Plan, ingest
from pipeline.registry import sources
from schemas.types import Event
from tests.feed import records, stream

EXAMPLES = Path(__file__).parent.parent / "examples" / "sources"

Item = dict[str, Any]


def paths() -> list[Path]:
    """Every golden example."""
    return sorted(EXAMPLES.glob("*/*.json"))


def load(path: Path) -> dict[str, Any]:
    """One golden example."""
    example: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return example


def stream_of(example: dict[str, Any], source: str = "auto") -> Stream:
    """The stream an example's lines are of."""
    return stream(source, **example.get("stream", {}))


def document(event: Event) -> dict[str, Any]:
    """An event's OCSF document without what says how it came here."""
    out: dict[str, Any] = orjson.loads(event.ocsf)
    del out["auditstream"]["carriage"]
    return out


def items(example: dict[str, Any], source: str = "auto") -> list[Item]:
    """What becomes of an example's lines, in order: line by line, so that each answers for itself."""
    where, plan = stream_of(example, source), Plan(sources())
    state: State = {}
    out: list[Item] = []
    for record in records(example["lines"]):
        out += _answers(plan, where, [record], state)
    out += _answers(plan, where, [], state, final=True)
    return out


def _answers(
    plan: Plan, where: Stream, batch: Sequence[Record], state: State, final: bool = False
) -> Iterator[Item]:
    done = ingest(plan, where, batch, state, final)
    answers: list[tuple[int, Item]] = [
        (event.carriage.position, {"event": document(event)}) for event in done.events
    ]
    answers += [(d.position, {"dead_letter": d.reason}) for d in done.dead_letters]
    yield from (item for _, item in sorted(answers, key=lambda answer: answer[0]))
    for rule, count in done.account.filtered.items():
        yield from [{"filtered": rule}] * count


def main() -> int:
    """Write or compare the expected halves. Exit status 1 where some differ and stay so."""
    parser = argparse.ArgumentParser(description="golden examples of the sources")
    parser.add_argument("--write", action="store_true", help="write what the engine makes of them")
    write = parser.parse_args().write
    differing = 0
    for path in paths():
        example = load(path)
        made = items(example)
        if made == example.get("expected"):
            continue
        differing += 1
        print(f"{'wrote' if write else 'differs'}: {path.relative_to(EXAMPLES)}")
        if write:
            example["expected"] = made
            path.write_text(json.dumps(example, indent=2) + "\n", encoding="utf-8")
    return 1 if differing and not write else 0


if __name__ == "__main__":
    raise SystemExit(main())
