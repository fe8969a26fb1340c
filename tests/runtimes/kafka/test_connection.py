"""What the connection's settings become, and which of them are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

from pipeline.errors import ConfigError
from pipeline.lab.certificates import PASSWORD, Certificates
from pipeline.runtimes.kafka.connection import client, credentials
from pipeline.streaming import Sasl, Streaming, Tls

SECRET = "zaphod-42"
OAUTH: dict[str, Any] = {
    "mechanism": "OAUTHBEARER",
    "token_url": "https://login.example.com/token",
    "client_id": "audit",
    "client_secret_env": "SECRET",
}
PLAIN: dict[str, Any] = {"mechanism": "PLAIN", "username": "audit", "password_env": "SECRET"}
SCRAM = PLAIN | {"mechanism": "SCRAM-SHA-512"}
REMOTE = "kafka.example.com:9092"
TLS = Tls(enabled=True)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", SECRET)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"), ["127.0.0.1"])


def mutual(made: Certificates, **more: str) -> Tls:
    """TLS with a certificate of our own; its key's password is in $KEY."""
    files = {
        "ca_file": str(made.ca),
        "certificate_file": made.path("client.pem"),
        "key_file": made.path("client.key"),
    }
    return Tls(enabled=True, key_password_env="KEY", **(files | more))


@pytest.mark.parametrize(
    ("protocol", "tls", "sasl", "kind"),
    [
        ("PLAINTEXT", Tls(), Sasl(), None),
        ("SSL", TLS, Sasl(), SSLCredentials),
        ("SASL_SSL", TLS, Sasl(**PLAIN), SASLCredentials),
        ("SASL_PLAINTEXT", Tls(), Sasl(**SCRAM), SASLCredentials),
        ("SASL_SSL", TLS, Sasl(**OAUTH), OAuthCredentials),
    ],
)
def test_both_libraries_are_told_the_same(
    protocol: str, tls: Tls, sasl: Sasl, kind: type[Any] | None
) -> None:
    streaming = Streaming(brokers=REMOTE, tls=tls, sasl=sasl)
    settings, found = client(streaming), credentials(streaming)
    assert settings["security.protocol"] == protocol
    assert settings.get("sasl.mechanism", "") == sasl.mechanism
    assert settings.get("enable.ssl.certificate.verification", True) is True
    assert settings.get("ssl.endpoint.identification.algorithm", "https") == "https"
    if kind is None:
        assert found is None
        return
    assert isinstance(found, kind)
    assert found.protocol.value == protocol
    context = found.context if isinstance(found, SSLCredentials) else getattr(found, "ssl_context")  # noqa: B009
    assert (context is not None) == tls.enabled
    assert context is None or context.check_hostname
    assert SECRET not in repr(found) + repr(vars(getattr(found, "oauth_cb", object)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"brokers": "kafka.example.com"}, "is not HOST:PORT"),
        ({"brokers": "https://kafka.example.com:9092"}, "is not HOST:PORT"),
        ({"tls": Tls(ca_file="ca.pem")}, "set enabled = true"),
        ({"tls": Tls(enabled=True, key_file="a")}, "set both or neither"),
        ({"tls": Tls(enabled=True, certificate_file="a")}, "set both or neither"),
        ({"tls": Tls(enabled=True, ca_file="nowhere.pem")}, "ca_file nowhere.pem holds no PEM"),
        ({"sasl": Sasl(username="audit")}, "not by which mechanism"),
        ({"sasl": Sasl(mechanism="PLAIN")}, "needs a username, and a password"),
        ({"sasl": Sasl(mechanism="SCRAM-SHA-256", username="a")}, "needs a username, and a pass"),
        ({"sasl": Sasl(**(SCRAM | {"password_env": "NONE"}))}, r"\$NONE is empty"),
        ({"sasl": Sasl(**(SCRAM | {"password_file": "none"}))}, "none cannot be read"),
        ({"sasl": Sasl(**PLAIN), "brokers": REMOTE}, "set kafka.tls.enabled = true, or use SCRAM"),
        ({"sasl": Sasl(**OAUTH), "brokers": f"127.0.0.1:1,{REMOTE}"}, "readably to"),
        ({"sasl": Sasl(mechanism="OAUTHBEARER")}, "needs token_url and client_id"),
        ({"sasl": Sasl(**(OAUTH | {"token_url": "http://login.example.com/"}))}, "is not https"),
        ({"sasl": Sasl(**(OAUTH | {"token_url": "https://a:b@c.example.com"}))}, "holds a login"),
    ],
)
def test_what_contradicts_itself_or_gives_secrets_away_is_refused(
    settings: dict[str, Any], said: str
) -> None:
    for make in (client, credentials):
        with pytest.raises(ConfigError, match=said) as raised:
            make(Streaming(**settings))
        assert SECRET not in str(raised.value)


@pytest.mark.parametrize("brokers", ["127.0.0.1:9092", "localhost:9092,[::1]:9092"])
def test_secrets_may_go_to_this_machine(brokers: str) -> None:
    assert client(Streaming(brokers=brokers, sasl=Sasl(**PLAIN)))["sasl.password"] == SECRET


def test_keys_are_tried_before_anything_starts(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", PASSWORD)
    settings = client(Streaming(tls=mutual(certificates)))
    assert settings["ssl.key.password"] == PASSWORD
    other = mutual(certificates, key_file=certificates.path("server.key"))
    (tmp_path / "empty.pem").touch()
    empty = mutual(certificates, ca_file=str(tmp_path / "empty.pem"))
    for tls, said in ((other, "no certificate with its key"), (empty, "holds no PEM")):
        with pytest.raises(ConfigError, match=said):
            client(Streaming(tls=tls))
    # Not asked for at the terminal either.
    without = mutual(certificates).model_copy(update={"key_password_env": ""})
    with pytest.raises(ConfigError, match="password is another"):
        client(Streaming(tls=without))
