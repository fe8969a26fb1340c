"""A worker: one process with one or more roles, each in a consumer group of its own."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import faust

from pipeline.config import Config
from pipeline.runtimes.kafka.application import Application, Timing
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.roles import ROLES, Setting

_COLLECTED_OBJECTS = 100_000


def work(config: Config, roles: Iterable[str], folder: Path) -> int:
    """Work until interrupted (SIGINT, SIGTERM), or until something fails; the exit status.

    Raises:
        AuditstreamError: the configuration, the cluster or its topics are not fit.
    """
    streaming = config.kafka
    session_s = streaming.session_s
    setting = Setting(
        config,
        folder,
        Timing(session_s=session_s, heartbeat_s=session_s / 6),
        Limits(batch_records=streaming.batch_records),
    )
    return run(setting, roles)


def run(setting: Setting, roles: Iterable[str]) -> int:
    """Work with these numbers; as :func:`work`."""
    apps = [ROLES[role](setting) for role in roles]
    worker = _Worker(*apps, loglevel=logging.WARNING)
    for app in apps[1:]:
        # What ends one ends all: who watches the process starts it anew.
        app.beacon.reattach(worker.beacon)
    # A batch makes many objects and no cycles: looking through them costs a third of the time.
    gc.set_threshold(_COLLECTED_OBJECTS, 50, 50)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return int(end.code or 0)


class _Worker(faust.Worker):
    """Faust's, without what it draws on a terminal."""

    def __init__(self, *apps: Application, **options: Any) -> None:
        super().__init__(*apps, **options)
        self.spinner = None
        self._groups = [app.conf.id for app in apps]

    async def on_startup_finished(self) -> None:
        """Say that the work has begun."""
        print(f"Working as {' and '.join(self._groups)} until interrupted.", flush=True)
