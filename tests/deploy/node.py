"""The OpenSearch of docker-compose.yml, without Docker: its configuration, its users and roles, and
the identities that its set-up makes, on the jars of the lab. Only places differ: paths, and the port."""

from __future__ import annotations

import http.client
import shutil
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from pipeline.lab.opensearch import OpenSearch
from tests.deploy.broker import DEPLOY, placed
from tests.deploy.stack import services

_CONFIGURATION: Final = DEPLOY / "opensearch"


class Node(OpenSearch):
    """It runs in `folder`; `identities` holds what `make_identities` made. Nobody has a password."""

    def __init__(self, folder: Path, identities: Path) -> None:
        super().__init__(folder)
        self.users = {}
        self.identities = identities

    def configuration(self, identity: str) -> Path:
        """deploy/auditstream.toml for this node, as that identity."""
        text = placed((DEPLOY / "auditstream.toml").read_text(), {
            "https://opensearch:9200": self.url,
            "/run/identity/redaction.key": self.identities / "ingest" / "redaction.key",
            "/run/identity": self.identities / identity,
        })  # fmt: skip
        path = self.folder / f"{identity}.toml"
        path.write_text(f'store = "{self.url}"\n{text}')
        return path

    def _prepare(self) -> None:
        super()._prepare()
        config = self.folder / "config"
        for name, source in (
            ("opensearch-security", _CONFIGURATION / "security"),
            ("identity", self.identities / "opensearch"),
        ):
            shutil.rmtree(config / name, ignore_errors=True)
            shutil.copytree(source, config / name)
        (self.folder / "snapshots").mkdir(exist_ok=True)

    def _configuration(self) -> dict[str, Any]:
        text = placed((_CONFIGURATION / "opensearch.yml").read_text(), {
            "0.0.0.0": "127.0.0.1",
            "/var/lib/opensearch-snapshots": self.folder / "snapshots",
        })  # fmt: skip
        lab = super()._configuration()
        places = ("http.port", "transport.port", "path.data", "path.logs")
        machine = (
            "bootstrap.system_call_filter",
            "cluster.routing.allocation.disk.threshold_enabled",
        )
        said: dict[str, Any] = yaml.safe_load(text)
        return said | {name: lab[name] for name in (*places, *machine)}

    def _serves(self) -> bool:
        """What its health check in docker-compose.yml asks, and as whom."""
        asked = urlsplit(services()["opensearch"]["healthcheck"]["test"][-1])
        ca = self.identities / "opensearch" / "ca.pem"
        connection = http.client.HTTPSConnection(
            str(asked.hostname), self._ports[0], timeout=10,
            context=ssl.create_default_context(cafile=str(ca)),
        )  # fmt: skip
        try:
            connection.request("GET", asked.path)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
