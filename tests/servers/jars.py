"""The jars of the real servers: fetched once, and checked against `jars.lock` on every use.

The lock names every jar by its exact coordinates and its SHA-256, so nothing is resolved
when tests run and a registry cannot hand out another file under the same name. `python -m
tests.servers.jars` fetches and checks; with `--relock` it resolves `ROOTS` anew and writes
the lock, which is then to be read and committed like any other change of a dependency.
Servers that come as one archive are in `archives.lock`, and are treated alike.

Errors: everything here raises `JarError`, whose text says what to do.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from tests.servers.cache import cache_folder, locked

LOCK = Path(__file__).with_name("jars.lock")

ROOTS = (
    "org.apache.kafka:kafka_2.13:4.1.1",
    "org.apache.kafka:kafka-tools:4.1.1",
    "org.apache.logging.log4j:log4j-core:2.25.5",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
)

ARCHIVES = Path(__file__).with_name("archives.lock")
REGISTRY = "io.apicurio:apicurio-registry-app:3.3.3:all:tar.gz"

_HEADER = """\
# group:artifact:version[:classifier[:packaging]] sha256, written by `python -m tests.servers.jars --relock`.
"""
_DOWNLOADS_AT_ONCE = 4
_ATTEMPTS = 3
_TIMEOUT_S = 60

Stamp: TypeAlias = dict[str, list[int]]
T = TypeVar("T")


class JarError(RuntimeError):
    """A jar is missing, cannot be fetched, or is not the one that the lock names."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of the lock."""

    coordinate: str
    sha256: str

    @property
    def relative_path(self) -> Path:
        """Where the jar lies in a folder laid out as a Maven repository."""
        group, artifact, version, *more = self.coordinate.split(":")
        packaging = more[1] if more[1:] else "jar"
        name = "-".join([artifact, version, *more[:1]]) + f".{packaging}"
        return Path(*group.split("."), artifact, version, name)


def read_lock(lock: Path = LOCK) -> tuple[LockedJar, ...]:
    """The jars that a lock names. Raises `JarError` for a line that is not one."""
    jars = []
    for number, line in enumerate(lock.read_text("ascii").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        coordinate, _, sha256 = line.partition(" ")
        if coordinate.count(":") not in (2, 3, 4) or len(sha256) != 64:
            raise JarError(f"{lock.name}:{number}: expected group:artifact:version sha256")
        jars.append(LockedJar(coordinate, sha256))
    if not jars:
        raise JarError(f"{lock.name} names no jars: run python -m tests.servers.jars --relock")
    return tuple(jars)


def ensure(lock: Path = LOCK) -> tuple[Path, ...]:
    """The paths of all jars of a lock, in its order, fetched where missing and all verified.

    Raises `JarError` where a jar cannot be fetched or is not the one in the lock.
    """
    jars = read_lock(lock)
    folder = cache_folder("jars")
    with locked(folder / ".lock"):
        _fetch([jar for jar in jars if not (folder / jar.relative_path).exists()], folder)
        _verify(jars, folder, lock)
    return tuple(folder / jar.relative_path for jar in jars)


def _verify(jars: Iterable[LockedJar], folder: Path, lock: Path) -> None:
    """Hash every jar whose size or time is not as it was when it last matched this lock."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp_path = folder / f".verified-{digest[:16]}.json"
    seen = _read_stamp(stamp_path)
    stamp: Stamp = {}
    for jar in jars:
        path = folder / jar.relative_path
        stat = path.stat()
        stamp[jar.coordinate] = [stat.st_size, stat.st_mtime_ns]
        if seen.get(jar.coordinate) != stamp[jar.coordinate] and _sha256(path) != jar.sha256:
            raise JarError(
                f"{path} is not the jar that {lock.name} names: its SHA-256 is {_sha256(path)}, "
                f"expected {jar.sha256}. Delete the file, and it is fetched again"
            )
    if stamp != seen:
        stamp_path.write_text(json.dumps(stamp))


def _read_stamp(path: Path) -> Stamp:
    """What was verified before; a damaged stamp only costs the hashing."""
    try:
        stamp = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _fetch(jars: list[LockedJar], folder: Path) -> None:
    """Fetch by exact coordinates; only what matches the lock gets into the folder."""
    if not jars:
        return
    # A download that was cut short must never lie where a later run takes it for the jar.
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as staging,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool,
    ):
        fetch_one = _download_into(Path(staging))
        fetched = pool.map(fetch_one, [jar.coordinate for jar in jars])
        for jar, path in zip(jars, fetched, strict=True):
            if (actual := _sha256(path)) != jar.sha256:
                raise JarError(
                    f"the registry's {jar.coordinate} is not the jar in the lock: its SHA-256 is "
                    f"{actual}, expected {jar.sha256}. Find out why before relocking"
                )
            target = folder / jar.relative_path
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def _download_into(staging: Path) -> Callable[[str], Path]:
    """A function that fetches one coordinate into the staging folder and says where it is."""
    # Imported late: runs that have all their jars need neither jgo nor the half second.
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=staging, timeout=_TIMEOUT_S)

    def download(coordinate: str) -> Path:
        group, artifact, version, *more = coordinate.split(":")
        wanted = context.project(group, artifact).at_version(version).artifact(*more)
        return _attempted(lambda: Path(wanted.resolve()), f"cannot fetch {coordinate}")

    return download


def _attempted(action: Callable[[], T], failure: str) -> T:
    """Try a few times, for registries have bad seconds. Raises `JarError` after the last."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return action()
        # jgo raises RuntimeError for what no registry has; the network's errors are OSErrors.
        except (OSError, RuntimeError) as error:
            if attempt == _ATTEMPTS:
                raise JarError(
                    f"{failure}: {error}. Is the package registry reachable from here?"
                ) from error
            time.sleep(attempt)
    raise AssertionError("unreachable")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def relock(lock: Path = LOCK, roots: Iterable[str] = ROOTS) -> None:
    """Resolve the roots with all that they need at run time, and write the lock."""
    from jgo.maven import MavenContext, PythonResolver

    with tempfile.TemporaryDirectory() as staging:
        context = MavenContext(repo_cache=Path(staging), timeout=_TIMEOUT_S)
        # "!": not as a bill of materials, or log4j's would bring an older Kafka client.
        wanted = [context.create_dependency(f"{root}!") for root in roots]
        inputs, transitive = PythonResolver().resolve(wanted)
        found = [dependency.artifact for dependency in inputs + transitive]
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            paths = pool.map(
                lambda a: _attempted(lambda: Path(a.resolve()), f"cannot fetch {a}"), found
            )
            lines = sorted(
                f"{_coordinate(a.groupId, a.artifactId, a.version, a.classifier)} {_sha256(path)}\n"
                for a, path in zip(found, paths, strict=True)
            )
    lock.write_text(_HEADER + "".join(lines), "ascii")


def relock_archives(lock: Path = ARCHIVES, archives: Iterable[str] = (REGISTRY,)) -> None:
    """Fetch the archives, and write their lock. They bring all they need."""
    with tempfile.TemporaryDirectory() as staging:
        fetch_one = _download_into(Path(staging))
        lines = [f"{archive} {_sha256(fetch_one(archive))}\n" for archive in archives]
    lock.write_text(_HEADER + "".join(lines), "ascii")


def _coordinate(*parts: str) -> str:
    return ":".join(part for part in parts if part)


def main(arguments: list[str]) -> None:
    """The command line: see the head of this file."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.jars", description=__doc__)
    parser.add_argument("--relock", action="store_true", help="resolve anew, write the lock")
    if parser.parse_args(arguments).relock:
        relock()
        relock_archives()
    for lock in (LOCK, ARCHIVES):
        sys.stdout.write(f"{len(ensure(lock))} fetched, all as in {lock.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
