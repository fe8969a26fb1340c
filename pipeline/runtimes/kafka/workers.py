"""A worker: one process with one or more roles, each in a consumer group of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import faust

from pipeline.config import Config
from pipeline.runtimes.kafka.application import Timing
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.roles import ROLES, Setting


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
    first, *others = [ROLES[role](setting) for role in roles]
    worker = faust.Worker(first, *others, loglevel=logging.WARNING)
    for app in others:
        # What ends one ends all: who watches the process starts it anew.
        app.beacon.reattach(worker.beacon)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return int(end.code or 0)
