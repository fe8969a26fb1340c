"""Both libraries log in to a real broker in every way there is, and to no broker that lies."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaConnectionError
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imports them, lists none
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from pipeline.lab.certificates import PASSWORD, Certificates
from pipeline.lab.kafka import Kafka
from pipeline.runtimes.kafka.cluster import Cluster, ClusterError
from pipeline.runtimes.kafka.connection import client, credentials
from pipeline.runtimes.kafka.tokens import Issuer, NoToken, Tokens
from pipeline.streaming import Sasl, Streaming
from tests.chaos.door import Door
from tests.runtimes.kafka.secured import HOSTS, USERS, as_user

pytestmark = pytest.mark.integration

MODULES = "org.apache.kafka.common.security"
PROPERTIES = {
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    "listener.name.client0.plain.sasl.jaas.config": (
        f'{MODULES}.plain.PlainLoginModule required user_admin="{USERS["admin"]}";'
    ),
    "listener.name.client0.scram-sha-512.sasl.jaas.config": (
        f"{MODULES}.scram.ScramLoginModule required;"
    ),
    "listener.name.client0.oauthbearer.sasl.jaas.config": (
        f"{MODULES}.oauthbearer.OAuthBearerLoginModule required;"
    ),
}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    folder = tmp_path_factory.mktemp("connection")
    tls = Certificates(folder / "tls", HOSTS)
    with Kafka(folder / "kafka", USERS, tls=tls, properties=PROPERTIES) as broker:
        yield broker


@pytest.fixture
def streaming(kafka: Kafka, tmp_path: Path) -> Streaming:
    """As the super user."""
    return as_user(kafka, tmp_path, "admin", Streaming())


def faust_reads(streaming: Streaming) -> bool:
    """Whether aiokafka gets in, as Faust would set it up. Raises `KafkaConnectionError`."""

    async def read() -> bool:
        how = credentials_to_aiokafka_auth(credentials(streaming), None)
        consumer = AIOKafkaConsumer(bootstrap_servers=streaming.brokers, **how)
        try:
            await consumer.start()
            return bool(await consumer.topics() is not None)
        finally:
            await consumer.stop()

    return asyncio.run(read())


def works(streaming: Streaming) -> bool:
    """Whether both libraries get in."""
    return Cluster(streaming).topics() is not None and faust_reads(streaming)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_passwords(streaming: Streaming, mechanism: str) -> None:
    admin = AdminClient(client(streaming))
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    upsertion = UserScramCredentialUpsertion("admin", info, USERS["admin"].encode())
    admin.alter_user_scram_credentials([upsertion])["admin"].result(60)
    sasl = streaming.sasl.model_copy(update={"mechanism": mechanism})
    assert works(streaming.model_copy(update={"sasl": sasl}))


@contextmanager
def issuer(folder: Path, asked: list[str], status: int = 200) -> Iterator[str]:
    """Where tokens are had, over TLS; yields its address. `asked` gets what clients send."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append(f"{self.headers['Authorization']} {body}")
            said = json.dumps({"access_token": unsecured(), "expires_in": 3600}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key", PASSWORD)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    thread.join()
    server.server_close()


def unsecured() -> str:
    """An unsecured JWT (RFC 7519, section 6), which a broker of tests takes."""
    now = int(time.time())
    parts = {"alg": "none"}, {"sub": "admin", "iat": now, "exp": now + 3600}
    coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(part.rstrip("=") for part in coded) + "."


def test_tokens(kafka: Kafka, streaming: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of-the-client")
    folder = kafka.folder.parent / "tls"
    asked: list[str] = []
    with issuer(folder, asked) as url:
        sasl = Sasl(
            mechanism="OAUTHBEARER",
            token_url=url,
            client_id="audit",
            client_secret_env="SECRET",
            scope="kafka",
            token_ca_file=str(folder / "ca.pem"),
        )
        assert works(streaming.model_copy(update={"sasl": sasl}))
    login = base64.b64encode(b"audit:of-the-client").decode()
    assert len(asked) == 2
    assert all(said.startswith(f"Basic {login} ") for said in asked)
    assert all("scope=kafka" in said for said in asked)


def test_a_token_is_asked_for_once_and_refusals_tell_no_secret(kafka: Kafka) -> None:
    folder = kafka.folder.parent / "tls"
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    asked: list[str] = []
    with issuer(folder, asked) as url:
        tokens = Tokens(Issuer(url, "audit", "of-the-client", "", context))
        first, second = asyncio.run(tokens.token()), asyncio.run(tokens.token())
        assert first == second
        assert len(asked) == 1
    with issuer(folder, asked, 401) as url, pytest.raises(NoToken, match="status 401") as raised:
        Issuer(url, "audit", "of-the-client", "", context).ask()
    assert "of-the-client" not in str(raised.value)
    with issuer(folder, asked) as url, pytest.raises(NoToken, match="CERTIFICATE_VERIFY_FAILED"):
        Issuer(url, "audit", "of-the-client", "", ssl.create_default_context()).ask()


def test_a_broker_of_another_authority_is_refused(
    streaming: Streaming, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Certificates(tmp_path_factory.mktemp("other"), HOSTS)
    tls = streaming.tls.model_copy(update={"ca_file": str(other.ca)})
    wrong = streaming.model_copy(update={"tls": tls})
    with pytest.raises(ClusterError, match="certificate verify failed"):
        Cluster(wrong).topics()
    with pytest.raises(KafkaConnectionError):
        faust_reads(wrong)


def test_a_broker_of_another_name_is_refused(kafka: Kafka, streaming: Streaming) -> None:
    # Whatever address it is reached by, this name for it is in no certificate of its.
    host, _, port = kafka.bootstrap().rpartition(":")
    with Door(int(port), host, at="127.0.0.2") as door:
        wrong = streaming.model_copy(update={"brokers": f"127.0.0.2:{door.port}"})
        with pytest.raises(ClusterError, match="certificate verify failed"):
            Cluster(wrong).topics()
        with pytest.raises(KafkaConnectionError):
            faust_reads(wrong)


def test_without_a_certificate_of_our_own_nobody_gets_in(streaming: Streaming) -> None:
    files = {"certificate_file": "", "key_file": "", "key_password_file": ""}
    wrong = streaming.model_copy(update={"tls": streaming.tls.model_copy(update=files)})
    with pytest.raises(ClusterError, match="can be used: "):
        Cluster(wrong).topics()


def test_a_wrong_password_is_said_and_not_told(streaming: Streaming, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong-password")
    sasl = streaming.sasl.model_copy(update={"password_file": str(tmp_path / "wrong")})
    with pytest.raises(ClusterError, match="uthentication failed") as raised:
        Cluster(streaming.model_copy(update={"sasl": sasl})).topics()
    assert "wrong-password" not in str(raised.value)
