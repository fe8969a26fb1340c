"""``make chaos``: kill what runs at random moments, and compare with what was left alone.

First an embedded run over a million lines, killed twenty times; then the stream over a million
records, whose workers are killed twenty times, and more (:mod:`tests.chaos.stream`); then the same
with all of it indexed, and the store away, read-only, slow, and never with room enough.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.kills import Kill, differences, killed, make_logs, run
from tests.chaos.stream import Plan, Told, disturbed


def main() -> int:
    """Returns 1 where what was killed differs from what was not."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stream", action="store_true", help="the stream alone")
    which.add_argument("--embedded", action="store_true", help="the embedded run alone")
    which.add_argument("--store", action="store_true", help="the stream with the store alone")
    parser.add_argument("--records", "--lines", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    given = parser.parse_args()
    how, status = (given.records, given.kills, given.seed), 0
    everything = not (given.embedded or given.stream or given.store)
    if given.embedded or everything:
        status = _embedded(*how)
    if given.stream or everything:
        status = _stream(*how, store=False) or status
    if given.store or everything:
        status = _stream(*how, store=True) or status
    return status


def _embedded(lines: int, kills: int, seed: int) -> int:
    with tempfile.TemporaryDirectory(prefix="auditstream-chaos-") as name:
        logs, whole, store = Path(name, "logs"), Path(name, "whole.db"), Path(name, "killed.db")
        print(f"Writing {lines:,} lines, seed {seed} …", flush=True)
        make_logs(logs, lines)
        print("Running undisturbed …", flush=True)
        began = time.monotonic()
        expected = run(logs, whole)
        seconds = time.monotonic() - began
        print(f"{seconds:.0f} s: {expected['store']}\n")
        print(f"{'kill':>6}{'after':>10}{'records':>14}{'findings':>12}", flush=True)
        done = killed(logs, store, kills, lines, seed, _tell)
        last = run(logs, store)
        print(
            f"{'end':>6}{'':>10}{last['store']['records']:>14,}{last['store']['findings']:>12,}\n"
        )
        found = differences(whole, store)
        if last["store"] != expected["store"]:
            found.append(f"totals: {last['store']}")
        again = run(logs, store)
        if again["records"]:
            found.append(f"a second run read {again['records']:,} records")
    if done < kills:
        print(f"only {done} of {kills} kills came before the end")
    print("\n".join(found) or f"killed {done} times: no difference")
    return 1 if found or not done else 0


def _tell(kill: Kill) -> None:
    print(f"{kill.number:>6}{kill.after:>10,}{kill.records:>14,}{kill.findings:>12,}", flush=True)


def _stream(records: int, kills: int, seed: int, store: bool) -> int:
    batch_records = max(100, min(10_000, records // 200))
    plan = Plan(records, kills, seed, batch_records=batch_records, store=store)
    # Kept where it ends badly: what was said, and the brokers' data, tell why.
    folder = Path(tempfile.mkdtemp(prefix="auditstream-chaos-"))
    what = "The stream and the store" if store else "The stream"
    print(f"\n{what}: {records:,} records, {kills} kills, seed {seed}, in {folder}")
    print(f"{'after':>8}{'collected':>12}{'ingested':>12}{'counted':>12}  what", flush=True)
    try:
        outcome = disturbed(folder, plan, _tell_stream)
    except BaseException:
        print(f"seed {seed}; what there is of it: {folder}")
        raise
    for said, times in outcome.deaths.items():
        print(f"ended by itself, {times} times: {said}")
    print(
        f"{outcome.seconds:.0f} s: {outcome.events:,} events and {outcome.duplicates:,} "
        f"duplicates, {outcome.findings:,} findings; "
        + ", ".join(f"{name} {times}" for name, times in outcome.happened.items())
    )
    if outcome.differences:
        print("\n".join(outcome.differences), f"\nseed {seed}; what there is of it: {folder}")
        return 1
    print("no difference")
    shutil.rmtree(folder)
    return 0


def _tell_stream(told: Told) -> None:
    print(
        f"{told.seconds:>6.0f} s{told.collected:>12,}{told.ingested:>12,}{told.counted:>12,}  "
        f"{told.what}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
