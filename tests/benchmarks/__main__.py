"""``make bench``: what an event costs, beside the floor in the same run.

Absolute figures differ from machine to machine and from hour to hour; the ratios are the point.
Each figure is from a process of its own, so that none pays for another's memory. The embedded
runtime takes some two minutes for a million lines, the stream some ten.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import store, stream
from tests.benchmarks.lines import controller_lines, request_lines
from tests.benchmarks.measures import MEASURES
from tests.benchmarks.trails import trail_lines
from tests.logs import authentication_lines, authorizer_lines, write

_SMALL = 100_000
_LINES, _STREAM_LINES = 1_000_000, 200_000


def _measure(name: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.measures", name, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _row(what: str, figures: dict[str, float]) -> None:
    print(
        f"{what:<56}{figures['rate']:>12,.0f}/s{figures['cpu_us']:>9.1f} µs"
        f"{figures['memory'] / 2**20:>8.0f} MB",
        flush=True,
    )


def main() -> int:
    """Measure, print, and say the ratios the project promises."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--lines", type=int, help=f"default: {_LINES:,} embedded, {_STREAM_LINES:,} through brokers"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--embedded", action="store_true", help="the embedded runtime alone")
    which.add_argument("--stream", action="store_true", help="the stream alone")
    which.add_argument("--store", action="store_true", help="OpenSearch alone")
    parser.add_argument(
        "--soak", type=float, default=5.0, metavar="MINUTES", help="how long memory is watched"
    )
    given = parser.parse_args()
    everything = not (given.embedded or given.stream or given.store)
    if given.embedded or everything:
        embedded(given.lines or _LINES)
    if given.stream or everything:
        with tempfile.TemporaryDirectory(prefix="auditstream-bench-") as folder:
            stream.measure(Path(folder), given.lines or _STREAM_LINES, given.soak)
    if given.store or everything:
        with tempfile.TemporaryDirectory(prefix="auditstream-bench-") as folder:
            store.measure(Path(folder), given.lines or _STREAM_LINES)
    return 0


def embedded(lines: int) -> None:
    """The parts of the embedded runtime, and all of it."""
    with tempfile.TemporaryDirectory(prefix="auditstream-bench-") as folder:
        large, small = Path(folder, "large.log"), Path(folder, "small.log")
        logins = Path(folder, "logins.log")
        requests, controller = Path(folder, "requests.log"), Path(folder, "controller.log")
        trail = Path(folder, "trail.jsonl")
        print(f"Writing {lines:,} authorizer lines, {_SMALL:,} again, and as many of other kinds …")
        write(large, authorizer_lines(lines))
        write(small, authorizer_lines(min(_SMALL, lines)))
        write(logins, authentication_lines(min(_SMALL, lines)))
        write(requests, request_lines(min(_SMALL, lines)))
        write(controller, controller_lines(min(_SMALL, lines)))
        write(trail, trail_lines(min(_SMALL, lines)))
        inputs = {
            "authentication": logins, "request": requests, "controller": controller,
            "trail": trail, "trail_parse": trail,
        }  # fmt: skip
        print(f"\n{'':<56}{'events':>13}{'CPU/event':>13}{'peak':>10}")
        for name, what in MEASURES.items():
            if name not in ("store", "run"):
                _row(what, _measure(name, inputs.get(name, small)))
        _row(f"whole embedded run, {_SMALL:,} lines", small_run := _measure("run", small))
        _row(f"SQLite alone, this schema, {lines:,} rows", alone := _measure("store", large))
        _row(f"whole embedded run, {lines:,} lines", run := _measure("run", large))
    print(f"\nwhole run / SQLite alone: {run['rate'] / alone['rate']:.0%} (promised: 60 %)")
    print(
        f"peak memory, {lines:,} lines / {_SMALL:,} lines: "
        f"{run['memory'] / small_run['memory']:.2f} (promised: does not grow with the input)"
    )


if __name__ == "__main__":
    sys.exit(main())
