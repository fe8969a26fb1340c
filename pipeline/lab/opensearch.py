"""One real OpenSearch 3.4 node, without Docker, for as long as a test or a lab runs.

    with OpenSearch(tmp_path) as opensearch:
        client = opensearch.client()      # as `admin`, over TLS that is verified

It asks for a login over TLS, as its security plugin does; `security=False` leaves the plugin out,
and anybody on this machine may do anything. It listens on the loopback interface alone. Data,
users and roles are kept over a stop or a kill.

OpenSearch does not run as root. Root starts it as nobody, who may write into its folder only but
read all files: Python, the jars and the folder are likely to lie where nobody else may look.
"""

import http.client
import json
import os
import secrets
import shutil
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from opensearchpy import OpenSearch as Client

from pipeline.lab.addresses import free_ports
from pipeline.lab.certificates import Certificates
from pipeline.lab.java import java
from pipeline.lab.opensearch_home import home
from pipeline.lab.opensearch_security import ADMIN, settings, write
from pipeline.lab.server import NotStarted, Server
from pipeline.sinks.opensearch_client import connect
from pipeline.storage import Storage
from pipeline.streaming import Tls

_HOST: Final = "127.0.0.1"
_MAIN: Final = "org.opensearch.bootstrap.OpenSearch"
_OPTIMISED: Final = ("-XX:TieredStopAtLevel=4",)

_NOBODY: Final = 65534
_LEAVE_TO_READ: Final = {"dac_read_search": 2, "dac_override": 1}
"""Capabilities of Linux that open any file, and their bits: one to read, or else to write too."""

_LOGGING: Final = {
    "appender.console.type": "Console",
    "appender.console.name": "console",
    "appender.console.layout.type": "PatternLayout",
    "appender.console.layout.pattern": "%d{ISO8601} %p %c %m%n",
    "rootLogger.level": "warn",
    "rootLogger.appenderRef.console.ref": "console",
    # Says at every attempt to reach it that it is not ready yet.
    "logger.backend.name": "org.opensearch.security.auth.BackendRegistry",
    "logger.backend.level": "fatal",
}


class OpenSearch(Server):
    """A node in `folder`: `config`, `data` and `output.log` lie in it.

    `users` maps names to passwords. `admin`, who may do anything, is among them, with a random
    password if none is given; the others may do nothing until somebody maps roles to them.
    `properties` are added to `opensearch.yml`. With `optimised` Java compiles for speed, which
    takes a processor for a minute: for whoever indexes for longer. It may be started again after a
    stop or a kill; a folder serves one object.
    """

    def __init__(
        self,
        folder: Path,
        *,
        security: bool = True,
        users: Mapping[str, str] | None = None,
        heap_mib: int = 512,
        properties: Mapping[str, Any] | None = None,
        optimised: bool = False,
    ) -> None:
        super().__init__(folder, "OpenSearch")
        self.security = security
        self.users = {ADMIN: secrets.token_urlsafe(24), **(users or {})} if security else {}
        self._heap_mib, self._optimised = heap_mib, optimised
        self._properties = dict(properties or {})
        self._ports: list[int] = []
        self._certificates: Certificates | None = None
        self._home = Path()

    @property
    def url(self) -> str:
        """Where it is; the same after another start."""
        return f"{'https' if self.security else 'http'}://{_HOST}:{self._ports[0]}"

    @property
    def certificates(self) -> Certificates:
        """By whose authority it is to be known; of a node with security alone."""
        assert self._certificates is not None, "not started, or without security"
        return self._certificates

    def password_file(self, user: str = ADMIN) -> Path:
        """A file that holds the user's password, for those who read it so."""
        return self.folder / "passwords" / user

    def storage(self, user: str = ADMIN, **more: Any) -> Storage:
        """The configuration's section ``[opensearch]`` that names this node, as that user."""
        said: dict[str, Any] = {"url": self.url, "replicas": 0}
        if self.security:
            said["username"], said["password_file"] = user, str(self.password_file(user))
            said["tls"] = Tls(ca_file=str(self.certificates.ca))
        return Storage(**{**said, **more})

    def client(self, user: str = ADMIN) -> Client:
        """A client, logged in as that user; to be closed by who asked for it."""
        return connect(self.storage(user))

    def _prepare(self) -> None:
        self._home = home(self.security)
        self._java = java(sorted((self._home / "lib").glob("*.jar")))
        self._recording = self._java.recording(self.folder)
        self._ports = self._ports or free_ports(2)
        config = self.folder / "config"
        for folder in (config, self.folder / "data", self.folder / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        if self.security and self._certificates is None:
            self._certificates = Certificates(config / "certificates", [_HOST, "localhost"])
            write(config / "opensearch-security", self.users)
            self._write_passwords()
        (config / "opensearch.yml").write_text(json.dumps(self._configuration()))
        lines = [f"{name} = {value}\n" for name, value in _LOGGING.items()]
        (config / "log4j2.properties").write_text("".join(lines))
        for path in (config, *config.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def _write_passwords(self) -> None:
        for user, password in self.users.items():
            path = self.password_file(user)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(password)

    def _configuration(self) -> dict[str, Any]:
        return {
            "cluster.name": "auditstream-lab",
            "discovery.type": "single-node",
            "network.host": _HOST,
            "http.port": self._ports[0],
            "transport.port": self._ports[1],
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder),
            # A disk that others have filled is no reason to refuse a few documents.
            "cluster.routing.allocation.disk.threshold_enabled": False,
            # Java writes its archive of classes in a process of its own, which OpenSearch forbids.
            "bootstrap.system_call_filter": self._recording is None,
            **(settings(self.certificates) if self.security else {}),
            **self._properties,
        }

    def _command(self) -> Sequence[str]:
        assert self._java is not None
        command = self._java.command(
            _MAIN,
            properties={
                "opensearch.path.home": str(self._home),
                "opensearch.path.conf": str(self.folder / "config"),
                "opensearch.distribution.type": "tar",
                # For what the JRE itself knows no words in: see the roots in jars.py.
                "java.locale.providers": "CLDR,SPI",
                "java.io.tmpdir": str(self.folder / "tmp"),
            },
            heap_mib=self._heap_mib,
            recording=self._recording,
            options=_OPTIMISED if self._optimised else (),
        )
        return [*_as_nobody(self.folder), *command]

    def _serves(self) -> bool:
        """Whether it serves, its users are known, and what it holds can be read."""
        headers = {}
        if self.security:
            login = b64encode(f"{ADMIN}:{self.users[ADMIN]}".encode()).decode()
            headers["Authorization"] = f"Basic {login}"
            context = ssl.create_default_context(cafile=str(self.certificates.ca))
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                _HOST, self._ports[0], timeout=10, context=context
            )
        else:
            connection = http.client.HTTPConnection(_HOST, self._ports[0], timeout=10)
        try:
            health = "/_cluster/health?wait_for_status=yellow&timeout=5s"
            connection.request("GET", health, headers=headers)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _as_nobody(folder: Path) -> list[str]:
    """What goes before a command that root must not run; the folder is given to who runs it.

    Raises:
        NotStarted: there is no `setpriv` (util-linux), or root is not allowed what it needs.
    """
    if os.geteuid() != 0:
        return []
    allowed = _capabilities()
    leave = next((name for name, bit in _LEAVE_TO_READ.items() if allowed >> bit & 1), None)
    if leave is None or shutil.which("setpriv") is None:
        raise NotStarted(
            "OpenSearch does not run as root, and root cannot start it as another here: "
            "that takes setpriv (util-linux) and CAP_DAC_OVERRIDE; run this as another user"
        )
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    return [
        "setpriv",
        f"--reuid={_NOBODY}",
        f"--regid={_NOBODY}",
        "--clear-groups",
        # Without this, access(2), which Java asks by, leaves capabilities out of account.
        "--securebits=+no_setuid_fixup",
        f"--inh-caps=-all,+{leave}",
        f"--ambient-caps=-all,+{leave}",
    ]


def _capabilities() -> int:
    """What this process may do, as bits; 0 where the kernel has no such thing."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
