"""What all servers of a lab have in common: how they start, stop and are killed."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from pipeline.lab.java import Java
from pipeline.lab.leash import Leash, complaints

_LOOK_EACH_S = 0.02


class NotStarted(RuntimeError):
    """A server did not start; the text holds what it complained of."""


class Server(ABC):
    """A server in `folder`, where `output.log` lies. It may be started again after a stop or kill.

    Args:
        name: for messages.
        start_s: how long it may take to start.

    What `_prepare` enters into `_claims` is left when the server has ended.
    """

    def __init__(self, folder: Path, name: str, start_s: float = 240) -> None:
        self.folder = folder
        self._name, self._start_s = name, start_s
        self._java: Java | None = None
        self._recording: Path | None = None
        self._leash: Leash | None = None
        self._claims = ExitStack()

    @property
    def output(self) -> Path:
        """What it says."""
        return self.folder / "output.log"

    @property
    def is_recording(self) -> bool:
        """Whether it writes an archive of its classes when it stops, which takes a while."""
        return self._recording is not None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._leash is not None, "not started"
        return self._leash.pid

    def start(self) -> None:
        """Start it and wait until it serves. Raises `NotStarted` where it does not."""
        try:
            self._prepare()
            # Writing the archive of classes is part of stopping.
            grace_s = 90 if self._recording else 30
            self._leash = Leash(self._command(), output=self.output, grace_s=grace_s)
            deadline = time.monotonic() + self._start_s
            while not self._serves():
                if not self._leash.running or time.monotonic() > deadline:
                    raise NotStarted(f"{self._name} is not up: {complaints(self.output)}")
                time.sleep(_LOOK_EACH_S)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop in good order; killed if that takes too long."""
        if self._leash is not None:
            self._leash.stop()
            self._leash = None
            if self._java:
                self._java.keep(self._recording)
        self._claims.close()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash of the machine would end it."""
        if self._leash is not None:
            self._leash.kill()
            self._leash = None
        if self._java:
            self._java.keep(None)
        self._claims.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self) -> None:
        """Make ready what it needs to start."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The command line that starts it."""

    @abstractmethod
    def _serves(self) -> bool:
        """Whether it is up."""
