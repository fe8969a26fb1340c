"""``make chaos``: kill a run over a million lines at twenty random moments, and compare."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.kills import Kill, differences, killed, make_logs, run


def main() -> int:
    """Returns 1 where the killed run's store differs from the undisturbed one's."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="auditstream-chaos-") as name:
        logs, whole, store = Path(name, "logs"), Path(name, "whole.db"), Path(name, "killed.db")
        print(f"Writing {given.lines:,} lines, seed {given.seed} …", flush=True)
        make_logs(logs, given.lines)
        print("Running undisturbed …", flush=True)
        began = time.monotonic()
        expected = run(logs, whole)
        seconds = time.monotonic() - began
        print(f"{seconds:.0f} s: {expected['store']}\n")
        print(f"{'kill':>6}{'after':>10}{'records':>14}{'findings':>12}", flush=True)
        done = killed(logs, store, given.kills, seconds, given.seed, _tell)
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
    if done < given.kills:
        print(f"only {done} of {given.kills} kills came before the end")
    print("\n".join(found) or f"killed {done} times: no difference")
    return 1 if found or not done else 0


def _tell(kill: Kill) -> None:
    print(
        f"{kill.number:>6}{kill.after_s:>8.1f} s{kill.records:>14,}{kill.findings:>12,}", flush=True
    )


if __name__ == "__main__":
    sys.exit(main())
