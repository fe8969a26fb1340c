"""A worker: one process with one or more roles, each in a consumer group of its own."""

from __future__ import annotations

import gc
import logging
import logging.config
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faust

from pipeline.config import Config
from pipeline.errors import AuditstreamError
from pipeline.runtimes.kafka.application import Application, Timing
from pipeline.runtimes.kafka.asking import Asking
from pipeline.runtimes.kafka.connection import client
from pipeline.runtimes.kafka.endpoint import Endpoint
from pipeline.runtimes.kafka.fetching import Limits
from pipeline.runtimes.kafka.gauges import Gauges
from pipeline.runtimes.kafka.health import Health, Watch
from pipeline.runtimes.kafka.logs import THEIRS, Format, configuration
from pipeline.runtimes.kafka.meters import Meters
from pipeline.runtimes.kafka.roles import ROLES, Setting
from pipeline.runtimes.kafka.topics import kept_s

_log = logging.getLogger(__name__)
_COLLECTED_OBJECTS = 100_000


def work(config: Config, roles: Iterable[str], folder: Path, form: Format = "text") -> int:
    """Work until interrupted (SIGINT, SIGTERM), or until something fails; the exit status.

    Args:
        form: of what is logged.

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
    logging.config.dictConfig(configuration(form))
    try:
        return run(setting, roles, form)
    except AuditstreamError as error:
        if form == "text":
            raise
        _log.critical("The worker ends: %s", error)
        return error.exit_status


def run(setting: Setting, roles: Iterable[str], form: Format = "text") -> int:
    """Work with these numbers; as :func:`work`."""
    meters, health = Meters(), Health()
    with _said(setting, roles, meters, health):
        for role in roles:
            health.watches.append(Watch(role, meters))
        apps = [ROLES[watch.role](setting, watch) for watch in health.watches]
        worker = _Worker(*apps, form=form)
        for app in apps[1:]:
            # What ends one ends all: who watches the process starts it anew.
            app.beacon.reattach(worker.beacon)
        # A batch makes many objects and no cycles: looking through them costs a third of the time.
        gc.set_threshold(_COLLECTED_OBJECTS, 50, 50)
        try:
            worker.execute_from_commandline()
        except SystemExit as end:
            return int(end.code or 0)


@contextmanager
def _said(setting: Setting, roles: Iterable[str], meters: Meters, health: Health) -> Iterator[None]:
    """While whoever watches is answered, where that is wanted."""
    config = setting.config
    if not config.metrics.listen:
        yield
        return
    meters.registry.register(Gauges(health, kept_s(config.kafka)))
    endpoint = Endpoint(config.metrics.listen, meters.registry, health)
    _log.info("Metrics and health are served at http://%s", endpoint.address)
    try:
        # A group is named because librdkafka wants one; nobody joins it.
        group = setting.group(next(iter(roles)))
        asking = Asking({**client(config.kafka), "group.id": group}, health)
        try:
            yield
        finally:
            asking.close()
    finally:
        endpoint.close()


class _Worker(faust.Worker):
    """Faust's, without what it draws on a terminal."""

    logger = THEIRS

    def __init__(self, *apps: Application, form: Format, **options: Any) -> None:
        logged = configuration(form)
        super().__init__(*apps, loglevel=logging.WARNING, logging_config=logged, **options)
        self.spinner = None
        self._form = form
        self._groups = [app.conf.id for app in apps]

    async def on_startup_finished(self) -> None:
        """Say that the work has begun."""
        said = f"Working as {' and '.join(self._groups)} until interrupted."
        if self._form == "text":
            print(said, flush=True)
        else:
            _log.info(said)
