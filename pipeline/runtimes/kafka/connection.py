"""How the brokers are reached, said once and put both ways: to librdkafka, and to aiokafka.

Two libraries speak to the brokers: librdkafka writes and administers, aiokafka reads for Faust.
Certificates and the names in them are verified in both, and there is no setting against it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from faust.auth import Credentials, OAuthCredentials, SASLCredentials, SSLCredentials

from pipeline.errors import ConfigError
from pipeline.runtimes.kafka.tokens import Issuer, Tokens
from pipeline.streaming import Sasl, Streaming, Tls, secret
from pipeline.tls import key_password, loopback, tls_context

_LOG_LEVEL = 3
"""Errors alone (syslog's scale). librdkafka says settings only at 7, and none of ours."""


def client(streaming: Streaming) -> dict[str, Any]:
    """librdkafka's settings: where the brokers are, and who we are. Holds secrets: never log it.

    Raises:
        ConfigError: settings contradict each other, a file cannot be read, or a secret would
            travel unencrypted.
    """
    _check(streaming)
    settings: dict[str, Any] = {
        "bootstrap.servers": streaming.brokers,
        "security.protocol": _protocol(streaming),
        "client.id": streaming.group,
        "log_level": _LOG_LEVEL,
    }
    if streaming.tls.enabled:
        settings |= _librdkafka_tls(streaming.tls)
    sasl = streaming.sasl
    if sasl.mechanism == "OAUTHBEARER":
        settings |= _librdkafka_oidc(sasl)
    elif sasl.mechanism:
        settings["sasl.mechanism"] = sasl.mechanism
        settings["sasl.username"], settings["sasl.password"] = sasl.username, _password(sasl)
    return settings


def credentials(streaming: Streaming) -> Credentials | None:
    """The same for Faust and aiokafka; None: neither TLS nor a login.

    Raises:
        ConfigError: as `client`.
    """
    _check(streaming)
    tls = tls_context(streaming.tls) if streaming.tls.enabled else None
    sasl = streaming.sasl
    if sasl.mechanism == "OAUTHBEARER":
        https = sasl.token_url.startswith("https:")
        context = tls_context(Tls(ca_file=sasl.token_ca_file)) if https else None
        issuer = Issuer(sasl.token_url, sasl.client_id, _client_secret(sasl), sasl.scope, context)
        return OAuthCredentials(oauth_cb=Tokens(issuer), ssl_context=tls)
    if sasl.mechanism:
        return SASLCredentials(
            username=sasl.username,
            password=_password(sasl),
            ssl_context=tls,
            mechanism=sasl.mechanism,
        )
    return SSLCredentials(tls) if tls else None


def _librdkafka_tls(tls: Tls) -> dict[str, Any]:
    # librdkafka would say less of what is wrong with the files.
    tls_context(tls)
    settings: dict[str, Any] = {
        "enable.ssl.certificate.verification": True,
        "ssl.endpoint.identification.algorithm": "https",
    }
    if tls.ca_file:
        settings["ssl.ca.location"] = tls.ca_file
    if tls.certificate_file:
        settings["ssl.certificate.location"] = tls.certificate_file
        settings["ssl.key.location"] = tls.key_file
        if password := key_password(tls):
            settings["ssl.key.password"] = password
    return settings


def _librdkafka_oidc(sasl: Sasl) -> dict[str, Any]:
    settings = {
        "sasl.mechanism": sasl.mechanism,
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.token.endpoint.url": sasl.token_url,
        "sasl.oauthbearer.client.id": sasl.client_id,
        "sasl.oauthbearer.client.secret": _client_secret(sasl),
    }
    if sasl.scope:
        settings["sasl.oauthbearer.scope"] = sasl.scope
    if sasl.token_ca_file:
        tls_context(Tls(ca_file=sasl.token_ca_file))
        settings["https.ca.location"] = sasl.token_ca_file
    return settings


def _protocol(streaming: Streaming) -> str:
    if streaming.sasl.mechanism:
        return "SASL_SSL" if streaming.tls.enabled else "SASL_PLAINTEXT"
    return "SSL" if streaming.tls.enabled else "PLAINTEXT"


def _password(sasl: Sasl) -> str:
    return secret(sasl.password_file, sasl.password_env, "password (kafka.sasl)")


def _client_secret(sasl: Sasl) -> str:
    said = "client's secret (kafka.sasl)"
    return secret(sasl.client_secret_file, sasl.client_secret_env, said)


def _check(streaming: Streaming) -> None:
    """Raise `ConfigError` where settings contradict each other, or would give a secret away."""
    hosts = [_host(broker) for broker in streaming.brokers.split(",")]
    tls, sasl = streaming.tls, streaming.sasl
    if not tls.enabled and any((tls.ca_file, tls.certificate_file, tls.key_file)):
        raise ConfigError("kafka.tls names files, but is not enabled; set enabled = true")
    if not sasl.mechanism and any((sasl.username, sasl.client_id, sasl.token_url)):
        raise ConfigError("kafka.sasl says who we are, but not by which mechanism; set it")
    if sasl.mechanism == "OAUTHBEARER":
        _check_oauth(sasl)
    elif sasl.mechanism and not (sasl.username and (sasl.password_file or sasl.password_env)):
        raise ConfigError(
            f"kafka.sasl: {sasl.mechanism} needs a username, "
            "and a password in password_file or password_env"
        )
    # SCRAM sends no password; what a listener may do with its exchange is the documentation's.
    gives_away = sasl.mechanism in ("PLAIN", "OAUTHBEARER") and not tls.enabled
    if gives_away and not all(map(loopback, hosts)):
        raise ConfigError(
            f"kafka.sasl: {sasl.mechanism} without TLS would send the secret readably to "
            f"{streaming.brokers}; set kafka.tls.enabled = true, or use SCRAM"
        )


def _check_oauth(sasl: Sasl) -> None:
    if not (
        sasl.token_url and sasl.client_id and (sasl.client_secret_file or sasl.client_secret_env)
    ):
        raise ConfigError(
            "kafka.sasl: OAUTHBEARER needs token_url and client_id, "
            "and the secret in client_secret_file or client_secret_env"
        )
    url = urlsplit(sasl.token_url)
    if url.username or url.password:
        raise ConfigError(
            "kafka.sasl.token_url holds a login; use client_id and client_secret_file"
        )
    if url.scheme != "https" and not (url.scheme == "http" and loopback(url.hostname or "")):
        raise ConfigError(
            f"kafka.sasl.token_url {sasl.token_url} is not https: the secret would be readable"
        )


def _host(broker: str) -> str:
    host, _, port = broker.strip().rpartition(":")
    if not host or "/" in broker or not (port.isascii() and port.isdigit()):
        raise ConfigError(f"kafka.brokers: {broker!r} is not HOST:PORT")
    return host.strip("[]")
