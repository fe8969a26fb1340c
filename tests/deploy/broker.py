"""The broker of docker-compose.yml, without Docker: its configuration, its start script and the
identities that its set-up makes, on the jars of the lab. Only places differ: paths, and the ports."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from pipeline.lab import jars
from pipeline.lab.addresses import free_ports
from pipeline.lab.java import java
from pipeline.lab.leash import Leash
from pipeline.lab.server import Server
from tests.test_house import ROOT

DEPLOY: Final = ROOT / "deploy"
_HEAP_MIB: Final = 256
PARTITIONS: Final = 2
"""Of each topic, where deploy/auditstream.toml says more."""
_STARTED: Final = "Kafka Server started"
_PROGRAMS: Final = {
    "kafka-storage.sh": "kafka.tools.StorageTool",
    "kafka-server-start.sh": "kafka.Kafka",
}


def make_identities(folder: Path) -> str:
    """Run the set-up of docker-compose.yml into a folder, as whoever the tests are; what it said."""
    folder.mkdir(exist_ok=True)
    # Root would give files to the services' users.
    command: list[str] = ["sh", str(DEPLOY / "setup" / "identities.sh"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def placed(text: str, places: Mapping[str, object]) -> str:
    """A file of deploy/ with what stands for a place in a container put elsewhere."""
    for there, here in places.items():
        assert there in text, f"{there} is not named any more"
        text = text.replace(there, str(here))
    return text


class Broker(Server):
    """It runs in `folder`; `identities` holds what :func:`make_identities` made."""

    def __init__(self, folder: Path, identities: Path) -> None:
        super().__init__(folder, "the broker of docker-compose.yml")
        self.identities = identities
        self.port, self._controller = free_ports(2)

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.port}"

    @property
    def logs(self) -> Path:
        """The folder of its logs, as the product's configuration of logging fills it."""
        return self.folder / "logs"

    def configuration(self, name: str, identity: str) -> Path:
        """A configuration of deploy/ for this broker alone, as that identity."""
        text = placed((DEPLOY / name).read_text(), {
            "kafka:9092": self.address,
            "/run/identity": self.identities / identity,
            "/var/lib/auditstream": self.folder / f"work-{identity}",
        })  # fmt: skip
        # Without registry, OpenSearch and its dashboards, which run elsewhere.
        text = "\n".join(line for line in text.splitlines() if not line.startswith("url = "))
        text = text.replace(
            "[kafka.registry.tls]\nenabled = true\nca_file", "[kafka.registry.tls]\n# "
        )
        text = text.replace("partitions = 8", f"partitions = {PARTITIONS}")
        path = self.folder / f"{identity}-{name}"
        path.write_text(text)
        return path

    def _prepare(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._java = self._java or java(jars.ensure())
        self._recording = None
        text = placed((DEPLOY / "kafka" / "server.properties").read_text(), {
            "CLIENTS://kafka:9092": f"CLIENTS://{self.address}",
            "CLIENTS://:9092": f"CLIENTS://{self.address}",
            "localhost:9093": f"localhost:{self._controller}",
            "/run/identity": self.identities / "kafka",
            "/var/lib/kafka/data": self.folder / "data",
        })  # fmt: skip
        (self.folder / "server.properties").write_text(text + "offsets.topic.num.partitions=1\n")
        self._install()

    def _install(self) -> None:
        """A Kafka as start.sh expects it: its programs, started from the lab's jars."""
        programs = self.folder / "kafka" / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        logging = ROOT / "pipeline" / "broker_logging" / "log4j2.yaml"
        properties = {"kafka.logs.dir": str(self.logs), "log4j2.configurationFile": str(logging)}
        assert self._java is not None
        for name, main_class in _PROGRAMS.items():
            command = self._java.command(main_class, properties=properties, heap_mib=_HEAP_MIB)
            path = programs / name
            path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            path.chmod(0o755)

    def _command(self) -> Sequence[str]:
        home = f"KAFKA_HOME={self.folder / 'kafka'}"
        start = DEPLOY / "kafka" / "start.sh"
        return ["env", home, "bash", str(start), str(self.folder / "server.properties")]

    def _serves(self) -> bool:
        log = self.logs / "server.log"
        return log.exists() and _STARTED in log.read_text(errors="replace")


class Shipper:
    """A shipper with its configuration of deploy/shippers, for as long as it is entered.

    Args:
        command: the program and its arguments.
        files: what it reads, from the beginning.
    """

    def __init__(
        self, folder: Path, command: Sequence[str], broker: Broker, host: str, files: str
    ) -> None:
        self.folder, self._command = folder, command
        (folder / "spool").mkdir(parents=True)
        self._environment = os.environ | {
            "AUDITSTREAM_BROKERS": broker.address,
            "AUDITSTREAM_FILES": files,
            "AUDITSTREAM_HOST": host,
            "AUDITSTREAM_IDENTITY": str(broker.identities / "shipper"),
            "AUDITSTREAM_SPOOL": str(folder / "spool"),
        }

    def __enter__(self) -> Self:
        output = self.folder / "output.log"
        self._leash = Leash(
            self._command, output=output, grace_s=60, environment=self._environment
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._leash.stop()

    @property
    def said(self) -> str:
        """What it wrote, for whoever looks into a failure."""
        return (self.folder / "output.log").read_text(errors="replace")[-2_000:]


def rsyslog(folder: Path, program: str) -> list[str]:
    """The command line of rsyslog with our configuration."""
    configuration = str(DEPLOY / "shippers" / "rsyslog.conf")
    return [program, "-n", "-f", configuration, "-i", str(folder / "pid")]


def filebeat(folder: Path, program: str) -> list[str]:
    """The command line of Filebeat with our configuration."""
    configuration = str(DEPLOY / "shippers" / "filebeat.yml")
    where = ["--path.home", str(folder), "--path.data", str(folder / "spool")]
    return [program, "-e", "--strict.perms=false", "-c", configuration, *where]
