"""The endpoint of a worker: `/metrics`, `/live` and `/ready`, for whoever watches it.

It is served by threads of its own, so that it answers when the event loop does not. There is no
login and no TLS: nothing is said there but figures and which part is missing. Listen on a loopback
address or a network of your own.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from pipeline.errors import ConfigError
from pipeline.runtimes.kafka.health import Health
from pipeline.streaming import listen_address

_log = logging.getLogger(__name__)
_AT_ONCE: Final = 16
"""Requests; more are turned away."""
_PATIENCE_S: Final = 3.0
"""With whoever says nothing: of those only so many can be there at once."""
_TEXT: Final = "text/plain; charset=utf-8"

Answer = tuple[int, str, bytes]
"""Status, content type and body."""


class Endpoint:
    """Serves until it is closed.

    Args:
        listen: HOST:PORT; port 0: any that is free.

    Attributes:
        address: HOST:PORT that it listens on.

    Raises:
        ConfigError: it cannot listen there.
    """

    def __init__(self, listen: str, registry: CollectorRegistry, health: Health) -> None:
        host, port = listen_address(listen)
        self._registry, self._health = registry, health
        pages: dict[str, Callable[[str], Answer]] = {
            "/metrics": self._metrics, "/live": self._live, "/ready": self._ready,
        }  # fmt: skip
        try:
            self._server = _Server(host, port, pages)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(
                f"cannot listen on {listen}: {why}; see metrics.listen or --metrics: each worker "
                "of a machine needs a port of its own"
            ) from None
        found, *_ = self._server.server_address, None
        where = found[0] if isinstance(found[0], str) else found[0].decode()
        self.address = f"[{where}]:{found[1]}" if ":" in where else f"{where}:{found[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _metrics(self, accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return 200, content_type, encode(self._registry)

    def _live(self, _: str) -> Answer:
        return _said("live", self._health.live())

    def _ready(self, _: str) -> Answer:
        return _said("ready", [why for _, why in self._health.ready()])


def _said(word: str, against: list[str]) -> Answer:
    lines = [f"not {word}", *against] if against else [word]
    return (503 if against else 200), _TEXT, "".join(f"{line}\n" for line in lines).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, pages: dict[str, Callable[[str], Answer]]) -> None:
        self.pages = pages
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Request)

    def server_bind(self) -> None:
        """As `HTTPServer`, without its look for the host's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Have a thread answer, if there is one."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, *_: Any) -> None:
        """Say what is a fault of ours; where whoever asked has gone, nobody is left to tell."""
        if not isinstance(sys.exception(), OSError):
            _log.warning("not answered: a request to %s", self.server_address, exc_info=True)


class _Request(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_S
    server_version = "auditstream"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the page."""
        path = urlsplit(self.path).path
        page = self.server.pages.get(path)
        if page is None:
            there = "".join(f"{name}\n" for name in self.server.pages)
            status, content_type, body = 404, _TEXT, f"there is\n{there}".encode()
        else:
            status, content_type, body = page(self.headers.get("accept", ""))
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815  # as the library calls it

    def log_message(self, *_: Any) -> None:
        """Who asks is of no interest."""
