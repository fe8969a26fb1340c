"""The jars of the real servers: fetched once, and checked against their lock on every use.

A lock names every jar by its exact coordinates and its SHA-256, so nothing is resolved when
servers are started and a registry cannot hand out another file under the same name. `python -m
pipeline.lab.jars` fetches and checks; with `--relock` it resolves `ROOTS` anew and writes the
locks, or those named behind it, which are then to be read and committed like any other change of a
dependency. What comes as an archive is in a lock like a jar.

Errors: everything here raises `JarError`, whose text says what to do.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pipeline.lab.cache import cache_folder, locked

LOCK = Path(__file__).with_name("jars.lock")
"""Kafka's."""
ARCHIVES = Path(__file__).with_name("archives.lock")
"""The schema registry."""
OPENSEARCH = Path(__file__).with_name("opensearch.lock")

_LIB = "lib"
_OPENSEARCH = "3.4.0"

ROOTS: Mapping[Path, Mapping[str, tuple[str, ...]]] = {
    LOCK: {
        "": (
            "org.apache.kafka:kafka_2.13:4.1.1",
            "org.apache.kafka:kafka-tools:4.1.1",
            "org.apache.logging.log4j:log4j-core:2.25.5",
            "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
        )
    },
    ARCHIVES: {"": ("io.apicurio:apicurio-registry-app:3.3.3:all:tar.gz",)},
    OPENSEARCH: {
        _LIB: (
            f"org.opensearch:opensearch:{_OPENSEARCH}",
            f"org.opensearch:opensearch-plugin-classloader:{_OPENSEARCH}",
            f"org.opensearch:opensearch-agent-policy:{_OPENSEARCH}",
            f"org.opensearch:opensearch-agent-bootstrap:{_OPENSEARCH}",
            "org.apache.logging.log4j:log4j-core:2.21.0",
            # OpenSearch tries its Thai analyser on every index, and the JRE knows no Thai.
            "com.ibm.icu:icu4j-localespi:77.1",
        ),
        **{
            f"modules/{name}": (f"org.opensearch.plugin:{name}:{_OPENSEARCH}",)
            for name in (
                "analysis-common",
                "ingest-common",
                "lang-painless",
                "mapper-extras-client",
                "parent-join-client",
                "reindex-client",
                "transport-netty4-client",
            )
        },
        "plugins/opensearch-security": (
            f"org.opensearch.plugin:opensearch-security:{_OPENSEARCH}.0::zip",
            "org.apache.commons:commons-collections4:4.4",
        ),
    },
}
"""What each lock is resolved from, by the folder of the server in which it lies. A folder lacks
what `lib` has: the server's own classes are seen from everywhere."""

_HEADER = """\
# group:artifact:version[:classifier[:packaging]] sha256 [folder]
# written by `python -m pipeline.lab.jars --relock`
"""
_STAGING = ".fetching-"
_DOWNLOADS_AT_ONCE = 4
_ATTEMPTS = 3
_TIMEOUT_S = 60

Stamp: TypeAlias = dict[str, list[int]]
T = TypeVar("T")


class JarError(RuntimeError):
    """A jar is missing, cannot be fetched, or is not the one that the lock names."""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One line of a lock. `folder`: in which of the server it lies, where that matters."""

    coordinate: str
    sha256: str
    folder: str = ""

    @property
    def relative_path(self) -> Path:
        """Where the jar lies in a folder laid out as a Maven repository."""
        group, artifact, version, *more = self.coordinate.split(":")
        packaging = more[1] if more[1:] else "jar"
        name = "-".join(filter(None, [artifact, version, *more[:1]])) + f".{packaging}"
        return Path(*group.split("."), artifact, version, name)


def read_lock(lock: Path = LOCK) -> tuple[LockedJar, ...]:
    """The jars that a lock names. Raises `JarError` for a line that is not one."""
    jars = []
    for number, line in enumerate(lock.read_text("ascii").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        coordinate, _, said = line.partition(" ")
        sha256, _, where = said.partition(" ")
        if coordinate.count(":") not in (2, 3, 4) or len(sha256) != 64:
            raise JarError(f"{lock.name}:{number}: expected group:artifact:version sha256")
        jars.append(LockedJar(coordinate, sha256, where))
    if not jars:
        raise JarError(f"{lock.name} names no jars: run python -m pipeline.lab.jars --relock")
    return tuple(jars)


def ensure(
    lock: Path = LOCK, fetched: Callable[[int, int], None] = lambda _n, _of: None
) -> tuple[Path, ...]:
    """The paths of all jars of a lock, in its order, fetched where missing and all verified.

    `fetched` is told how many of how many missing ones are there: first none, then each.

    Raises `JarError` where a jar cannot be fetched or is not the one in the lock.
    """
    jars = read_lock(lock)
    folder = cache_folder("jars")
    with locked(folder / ".lock"):
        missing = {j.coordinate: j for j in jars if not (folder / j.relative_path).exists()}
        _fetch(list(missing.values()), folder, fetched)
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


def _fetch(jars: list[LockedJar], folder: Path, told: Callable[[int, int], None]) -> None:
    """Fetch by exact coordinates; only what matches the lock gets into the folder."""
    if not jars:
        return
    told(0, len(jars))
    for left in folder.glob(f"{_STAGING}*"):
        # By one that was killed: whoever fetches holds the lock.
        shutil.rmtree(left)
    # A download that was cut short must never lie where a later run takes it for the jar.
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=_STAGING) as staging,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool,
    ):
        fetch_one = _download_into(Path(staging))
        fetched = pool.map(fetch_one, [jar.coordinate for jar in jars])
        try:
            for number, (jar, path) in enumerate(zip(jars, fetched, strict=True), 1):
                if (actual := _sha256(path)) != jar.sha256:
                    raise JarError(
                        f"the registry's {jar.coordinate} is not the jar in the lock: its SHA-256 "
                        f"is {actual}, expected {jar.sha256}. Find out why before relocking"
                    )
                target = folder / jar.relative_path
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
                told(number, len(jars))
        finally:
            # Whoever interrupts waits for those under way, and not for all the others.
            pool.shutdown(wait=False, cancel_futures=True)


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


def relock(lock: Path) -> None:
    """Resolve a lock's roots with all that they need at run time, and write it."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as staging:
        context = MavenContext(repo_cache=Path(staging), timeout=_TIMEOUT_S)
        found = list(_resolved(context, ROOTS[lock]))
        coordinates = sorted({coordinate for coordinate, _ in found})
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            paths = pool.map(_download_into(Path(staging)), coordinates)
            digests = {name: _sha256(path) for name, path in zip(coordinates, paths, strict=True)}
    lines = [f"{name} {digests[name]} {folder}".rstrip() + "\n" for name, folder in sorted(found)]
    lock.write_text(_HEADER + "".join(lines), "ascii")


def _resolved(context: Any, roots: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    """Coordinates and their folder, each jar once in a folder and never where `lib` has it."""
    from jgo.maven import PythonResolver

    everywhere: set[str] = set()
    for folder, wanted in roots.items():
        for archive in (root for root in wanted if root.count(":") > 2):
            # It brings all it needs.
            yield archive, folder
        # "!": not as a bill of materials, or log4j's would bring an older Kafka client.
        jars = [context.create_dependency(f"{r}!") for r in wanted if r.count(":") == 2]
        inputs, transitive = PythonResolver().resolve(jars) if jars else ([], [])
        for artifact in (dependency.artifact for dependency in inputs + transitive):
            name = f"{artifact.groupId}:{artifact.artifactId}"
            if name not in everywhere:
                parts = (name, artifact.version, artifact.classifier)
                yield ":".join(part for part in parts if part), folder
            if folder == _LIB:
                everywhere.add(name)


def main(arguments: list[str]) -> None:
    """The command line: see the head of this file."""
    locks = {lock.name: lock for lock in ROOTS}
    parser = argparse.ArgumentParser(prog="python -m pipeline.lab.jars", description=__doc__)
    parser.add_argument(
        "--relock", nargs="*", choices=locks, metavar="LOCK", help="resolve anew, write the locks"
    )
    wanted = parser.parse_args(arguments).relock
    if wanted is not None:
        for name in wanted or locks:
            relock(locks[name])
    for lock in ROOTS:
        sys.stdout.write(f"{len(ensure(lock))} fetched, all as in {lock.name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
