"""A year of events, written into a store directly: some each day, of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pipeline.batch import Fact
from pipeline.sinks.sqlite import SqliteStore
from pipeline.stages.identify import timed
from pipeline.stages.project import project
from pipeline.storage import Retention
from schemas.indices import DAY_MS
from schemas.types import Event
from schemas.vocabulary import API_ACTIVITY

NOW = 1_795_219_200_000
"""2026-11-21T00:00Z."""
CLASSES = ("standard", "short", "bygone")
RETENTION = (Retention(name="standard", days=90), Retention(name="short", days=30))
"""Of `bygone` nothing is said any more."""
HOSTILE = ("naïve\0.orders", "İstanbul Kelvin", 'quo"te')
_PRODUCT = {"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"}


def event(time: int, number: int, retention: str = "standard") -> Event:
    """One of many; its names are an attacker's now and then."""
    name = f"topic-{number % 7}" if number % 5 else HOSTILE[number % len(HOSTILE)]
    made = Event(
        time, API_ACTIVITY, 2, "success", "kafka_authorizer",
        timed(time, number.to_bytes(10, "big")), actor=f"User:app-{number % 11}",
        actor_kind="workload", address="192.0.2.7", cluster="prod", resource_type="Topic",
        resource=name, operation="READ", rule="DefaultDeny", retention=retention,
        message=f"{name} was read",
    )  # fmt: skip
    project(Fact(made), _PRODUCT, None)
    return made


def year(each_day: int, now: int = NOW, days: int = 366) -> list[Event]:
    """So many events of each of these days, up to now; classes take turns."""
    start, step = now - days * DAY_MS, DAY_MS // each_day
    return [
        event(start + number * step, number, CLASSES[number % len(CLASSES)])
        for number in range(days * each_day)
    ]


def written(path: Path, events: Sequence[Event]) -> Path:
    """A store of these events; its path."""
    with closing(SqliteStore(path)) as store:
        for start in range(0, len(events), 10_000):
            with store.transaction():
                store.write_events(events[start : start + 10_000])
        store.wait()
    return path
