"""A worker for tests that can be told to die at one point of its work.

    python dying.py '{"config": …, "roles": [...], "die": "commit:before", "turn": 2, …}'

`die` names a step of a batch's way and whether it is to die before it, after it, or (of `send`)
half way through; `turn` is which time. `session_s` and `transaction_ms` of one that is to die are
short by default, so that whoever takes over need not wait; those of others outlast the stalls of a
busy machine. A worker that is to die does so by `SIGKILL`: nothing is tidied up, no broker is told.
With `later` its observations have one more column, as those of a later release might.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.config import load
from pipeline.runtimes.kafka import counting, wires
from pipeline.runtimes.kafka.application import Timing
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.indexing import Indexing
from pipeline.runtimes.kafka.producing import Outgoing, Sending, Transactional
from pipeline.runtimes.kafka.roles import Setting, Worked
from pipeline.runtimes.kafka.workers import run
from schemas.avro import schema
from schemas.types import Observation

POINTS = (
    "load:before", "load:after", "begin:after", "send:half", "send:after", "flush:after",
    "offsets:after", "commit:after",
)  # fmt: skip
"""Between all steps of a batch's way, as `pipeline.runtimes.kafka.roles` has it: after one is before
the next."""


def doom(point: str, turn: int) -> None:
    """Have this process die at `point` when it comes there for the `turn`th time."""
    step, _, when = point.partition(":")
    seen: Counter[str] = Counter()

    def reached() -> None:
        seen[point] += 1
        if seen[point] == turn:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(call: Callable[..., Any]) -> Callable[..., Any]:
        async def doomed(*arguments: Any) -> Any:
            if when == "before":
                reached()
            result = await call(*arguments)
            if when == "after":
                reached()
            return result

        return doomed

    def halfway(records: Iterable[Outgoing]) -> Iterator[Outgoing]:
        several = list(records)
        half = len(several) // 2
        yield from several[:half]
        if several:
            reached()
        yield from several[half:]

    if step == "load":
        load_one = Worked._load_one
        Worked._load_one = around(load_one)  # type: ignore[method-assign]
    elif step == "index":
        Indexing.index = around(Indexing.index)  # type: ignore[method-assign]
    elif point == "send:half":
        send = Transactional.send

        async def sent(self: Transactional, records: Iterable[Outgoing]) -> None:
            await send(self, halfway(records))

        setattr(Transactional, "send", sent)  # noqa: B010  # mypy knows it as another's
    else:
        name = {"offsets": "_send_offsets", "commit": "_commit"}.get(step, step)
        setattr(Transactional, name, around(getattr(Transactional, name)))


LATER = {"name": "later", "type": "string", "default": "said by an earlier release"}
"""A column that a later release might add."""


def move_on() -> None:
    """Be a later release: observations have a column `later`."""
    schema("observation").avro["fields"].append(LATER)
    text = wires.registered

    def registered(name: str) -> str:
        said = json.loads(text(name))
        if name == "observation":
            said["fields"].append(LATER)
        return json.dumps(said, separators=(",", ":"))

    def observation(later: str, **row: Any) -> Observation:
        assert later
        return Observation(**row)

    setattr(Observation, "later", "said by a later release")  # noqa: B010  # no column of today's
    setattr(wires, "registered", registered)  # noqa: B010  # mypy knows it as cached
    setattr(counting, "Observation", observation)  # noqa: B010  # mypy knows it as a class


def main(options: dict[str, Any]) -> int:
    if options.get("later"):
        move_on()
    config = load(Path(options["config"]))
    if "die" in options:
        doom(options["die"], options.get("turn", 1))
        # On a batch's way, and not on that of what the stream says of itself.
        streaming = config.kafka.model_copy(update={"lag_left_percent": 0})
        config = config.model_copy(update={"kafka": streaming})
    session_s = options.get("session_s", 5.0 if "die" in options else 10.0)
    transaction_ms = options.get("transaction_ms", 5_000 if "die" in options else 30_000)
    setting = Setting(
        config,
        Path(config.kafka.folder),
        Timing(session_s=session_s, heartbeat_s=session_s / 6, rebalance_s=30, commit_s=0.2),
        Limits(batch_records=config.kafka.batch_records),
        Sending(transaction_ms=transaction_ms, linger_ms=5),
    )
    return run(setting, options["roles"])


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
