"""The estate of the lab: a broker, an OpenSearch, and auditstream between them.

Each part is started as an operator would start it, by auditstream's own commands and with a login
of its own. Passwords are drawn anew each time. All of it is in one folder; the configurations there
serve whoever wants to ask the running estate something by hand.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from opensearchpy import OpenSearchException

from pipeline.errors import LabError, StoreError
from pipeline.lab import incident, jars, kafka, opensearch
from pipeline.lab.addresses import free_ports
from pipeline.lab.configured import ANALYST, AUDITOR, INDEXER, OWN, OWN_HOST, configuration
from pipeline.lab.leash import Leash, complaints, errors
from pipeline.lab.rights import grant
from pipeline.lab.server import NotStarted
from pipeline.sinks import opensearch_roles as roles
from pipeline.sinks.opensearch_client import connect, failure
from pipeline.storage import Storage
from schemas import indices

_ROLES: Final = {INDEXER: roles.INDEXER, ANALYST: roles.ANALYST, AUDITOR: roles.AUDITOR}
_MAIN: Final = "import sys; from pipeline.cli.entry import main; sys.exit(main())"
_SAID_READY: Final = "Working as "
_WORKER: Final = "worker"
_COLLECT: Final = "collect"
_SOME_JARS: Final = 20
_GRACE_S: Final = 5
_PATIENCE_S: Final = 120.0


def command(*arguments: str | Path) -> list[str]:
    """The command line of ``auditstream`` with these arguments, wherever it is installed."""
    # -P: whatever lies in the working directory is not ours.
    return [sys.executable, "-P", "-c", _MAIN, *map(str, arguments)]


class Estate:
    """All of it, in `folder`, which is there. Started and stopped by the context.

    Entering raises `LabError`: a part is missing or does not start.

    Attributes:
        kafka, opensearch: the servers.
        watched: HOST:PORT of the worker's metrics and health.
        seconds: how long each phase of the start took.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self._say = folder, say
        self.seconds: dict[str, float] = {}
        own = sorted(set(OWN.values()))
        self.kafka = kafka.Kafka(
            folder / "kafka",
            {name: secrets.token_urlsafe(18) for name in (*incident.USERS, *own)},
            logging="product",
            clients=(*incident.HOSTS, OWN_HOST),
        )
        users = {name: secrets.token_urlsafe(18) for name in _ROLES}
        self.opensearch = opensearch.OpenSearch(folder / "opensearch", users=users, optimised=True)
        self.watched = f"127.0.0.1:{free_ports(1)[0]}"
        self._opening: Future[None] | None = None
        self._running: dict[str, Leash] = {}
        self._arguments: dict[str, tuple[str, ...]] = {}
        self._begun: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, (jars.JarError, NotStarted)):
                raise LabError(str(error)) from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_first(self) -> bool:
        """Whether a server never ran here before: it leaves an archive when it stops."""
        return self.kafka.is_recording or self.opensearch.is_recording

    @property
    def has_addresses(self) -> bool:
        """Whether clients have addresses of their own."""
        return self.kafka.seen_from(OWN_HOST) == OWN_HOST

    def config(self, name: str) -> Path:
        """One of the configurations: see `pipeline.lab.configured`."""
        return self.folder / f"{name}.toml"

    def passwords(self, of: str) -> Path:
        """The folder in which the users of the `broker` or the `store` have a file each."""
        if of == "broker":
            return self.folder / "passwords"
        return self.opensearch.password_file().parent

    def storage(self) -> Storage:
        """OpenSearch as an analyst reaches it."""
        return self.opensearch.storage(ANALYST)

    def events(self) -> int:
        """How many events are indexed and can be found. Raises `StoreError`."""
        with closing(connect(self.storage())) as client:
            try:
                return int(client.count(index=indices.searched(indices.EVENTS))["count"])
            except OpenSearchException as error:
                raise failure(client, "count the events", error) from error

    def check(self) -> None:
        """Raises `LabError` if a part has ended that should not have."""
        for name, leash in self._running.items():
            if not leash.running:
                raise LabError(f"auditstream {name} has ended: {complaints(self._output(name))}")

    def pids(self) -> dict[str, int]:
        """Process ids of what runs, by name."""
        servers = {"Kafka": self.kafka.pid, "OpenSearch": self.opensearch.pid}
        return servers | {name: leash.pid for name, leash in self._running.items()}

    def revive(self) -> None:
        """Start again what has ended and should not have, as what runs services does; say so."""
        for name, leash in list(self._running.items()):
            if not leash.running:
                why = errors(self._output(name), self._begun[name])
                because = f": {why[0]}" if why else ""
                self._say(f"auditstream {name} has ended, and is started again{because}")
                self._keep_up(name, *self._arguments[name])

    def ask(self, *arguments: str) -> str:
        """What one of the reading commands prints, a document a line, asked by an analyst.

        Raises:
            LabError: it fails.
        """
        asked = command(*arguments, "--format", "jsonl", "--config", self.config(ANALYST))
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"auditstream {arguments[0]} failed: {done.stderr}")
        return done.stdout

    def stop(self) -> None:
        """End all of it."""
        # Nobody needs what they would still write.
        for leash in self._running.values():
            leash.kill()
        self._running.clear()
        while self._opening is not None and not self._opening.done():
            self.opensearch.kill()
            time.sleep(0.1)
        # In good order: only so the first ever leaves the archive of classes for all later ones.
        with ThreadPoolExecutor() as pool:
            for stopping in [pool.submit(self.kafka.stop), pool.submit(self.opensearch.stop)]:
                stopping.result()

    def _start(self) -> None:
        self._fetch()
        for folder in (self.kafka.folder, self.opensearch.folder, self.passwords("broker")):
            folder.mkdir()
        for name, password in self.kafka.users.items():
            (self.passwords("broker") / name).write_text(password)
        pool = ThreadPoolExecutor(1)
        self._opening = pool.submit(self.opensearch.start)
        pool.shutdown(wait=False)
        with self.phase("kafka", "starting Kafka, and OpenSearch beside it"):
            self.kafka.start()
        with self.phase("topics", "auditstream topics apply, and the rights that it prints"):
            grant(self.kafka)
            self._configure("topics", _COLLECT)
            self._do("topics", "apply")
            self._empty_logs()
        with self.phase("opensearch", "waiting for OpenSearch"):
            self._opening.result()
        self._configure("opensearch", _WORKER, ANALYST, AUDITOR)
        with self.phase("store", "auditstream opensearch apply"):
            self._do("opensearch", "apply")
            self._map_roles()
        with self.phase(_WORKER, "auditstream worker, in the roles ingest, detect and index"):
            self._keep_up(_WORKER, "--role", "ingest,detect,index")
            self._await_worker()
        with self.phase(_COLLECT, "auditstream collect --follow, over the broker's log folder"):
            progress = self.folder / "collect.db"
            self._keep_up(_COLLECT, "--follow", "--progress", str(progress))
            self._await_event()

    def _empty_logs(self) -> None:
        """The story begins here: each right that was given would be a finding, and is none of it.

        The broker appends to its files, so that it goes on at their new end.
        """
        for name in ("kafka-authorizer.log", "kafka-request.log", "controller.log"):
            with (self.kafka.logs / name).open("r+b") as file:
                file.truncate()

    def _fetch(self) -> None:
        """Have all jars, and say so where they are yet to come."""

        def telling(server: str) -> Callable[[int, int], None]:
            def tell(number: int, of: int) -> None:
                if number % _SOME_JARS == 0 or number == of:
                    self._say(f"fetching {server}, once and for all: {number} of {of} jars")

            return tell

        with self.phase("jars"):
            jars.ensure(jars.LOCK, telling("Kafka"))
            jars.ensure(jars.OPENSEARCH, telling("OpenSearch"))

    def _configure(self, *names: str) -> None:
        for name in names:
            passwords = self.passwords("broker")
            said = configuration(name, self.kafka, passwords, self.opensearch, self.watched)
            self.config(name).write_text(said, "utf-8")

    def _output(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _do(self, name: str, verb: str) -> None:
        """Run a command to its end. Raises `LabError` where it fails."""
        output = self._output(name)
        leash = Leash(command(name, verb, "--config", self.config(name)), output=output)
        if leash.wait(_PATIENCE_S):
            raise LabError(f"auditstream {name} {verb} failed: {complaints(output)}")

    def _keep_up(self, name: str, *arguments: str) -> None:
        """Start a command that goes on until it is stopped."""
        output = self._output(name)
        self._arguments[name] = arguments
        self._begun[name] = output.stat().st_size if output.exists() else 0
        self._running[name] = Leash(
            command(name, *arguments, "--config", self.config(name)),
            output=output,
            grace_s=_GRACE_S,
        )

    def _await_worker(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while _SAID_READY not in self._output(_WORKER).read_text("utf-8", "replace"):
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"the worker does not begin: {complaints(self._output(_WORKER))}")
            time.sleep(0.1)

    def _await_event(self) -> None:
        """Until the first line has come all the way, delays would be those of the start."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            self.check()
            # An index that is being made cannot be asked.
            with suppress(StoreError):
                if self.events():
                    return
            time.sleep(0.2)
        raise LabError(f"no event is indexed: {complaints(self._output(_WORKER))}")

    def _map_roles(self) -> None:
        """Give each user of OpenSearch the role that `opensearch apply` has made for it."""
        with closing(self.opensearch.client()) as client:
            for user, role in _ROLES.items():
                where = f"/_plugins/_security/api/rolesmapping/{role}"
                try:
                    client.transport.perform_request("PUT", where, body={"users": [user]})
                except OpenSearchException as error:
                    raise failure(client, f"map {user} to its role", error) from error

    @contextmanager
    def phase(self, name: str, said: str = "") -> Iterator[None]:
        """Say what begins, and keep how long it took."""
        if said:
            self._say(said)
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)
