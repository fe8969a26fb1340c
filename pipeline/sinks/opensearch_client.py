"""OpenSearch, reached: over TLS that is verified, with a login that nobody can read on the way."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
from opensearchpy import OpenSearch, Urllib3HttpConnection
from opensearchpy.exceptions import (
    AuthenticationException,
    AuthorizationException,
    ConnectionError,  # noqa: A004  # as the library calls it
    NotFoundError,
    OpenSearchException,
    SSLError,
    TransportError,
)
from opensearchpy.serializer import JSONSerializer

from pipeline.errors import ConfigError, StoreError
from pipeline.storage import Storage
from pipeline.streaming import password
from pipeline.tls import loopback, tls_context

_T = TypeVar("_T")
_LONGEST = 500
AHEAD = 4
"""Bulk requests under way of what goes first, at the most; besides the others."""
_ASKING = 2
"""Connections of whoever asks meanwhile."""


class Json(JSONSerializer):
    """JSON by orjson: an answer may hold thousands of documents."""

    def loads(self, s: str) -> Any:
        """Of a document that orjson refuses (a lone surrogate), what the standard library says."""
        try:
            return orjson.loads(s)
        except ValueError:
            return json.loads(s)


def connect(settings: Storage) -> OpenSearch:
    """A client. It tries nothing again by itself; nothing is asked yet. Methods raise
    `opensearchpy.OpenSearchException`: see :func:`failure`.

    Raises:
        ConfigError: there is no address, settings contradict each other, a file cannot be read, or
            the password would travel readably.
    """
    if not settings.url:
        raise ConfigError("opensearch.url is empty; say where OpenSearch is")
    hosts = [url.strip().rstrip("/") for url in settings.url.split(",")]
    schemes = {_checked(url, settings) for url in hosts}
    if len(schemes) != 1:
        raise ConfigError("opensearch.url: some are https and others are not")
    secret = password(settings, "opensearch")
    if secret and schemes == {"http"} and not all(_is_here(url) for url in hosts):
        raise ConfigError(
            f"opensearch.url {settings.url} is not https: the password would be readable"
        )
    # It would write whole requests into the log, at WARNING; what failed is said by us.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL)
    secure: Any = {"ssl_context": tls_context(settings.tls)} if schemes == {"https"} else {}
    return OpenSearch(
        hosts,
        http_auth=(settings.username, secret) if secret else None,
        connection_class=Urllib3HttpConnection,
        serializer=Json(),
        timeout=settings.timeout_s,
        max_retries=0,
        pool_maxsize=settings.at_once + AHEAD + _ASKING,
        **secure,
    )


def _is_here(url: str) -> bool:
    return loopback(urlsplit(url).hostname or "")


def _checked(text: str, settings: Storage) -> str:
    """The scheme of an address."""
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"opensearch.url {text!r} is no address of http or https")
    if url.username or url.password:
        raise ConfigError("opensearch.url holds a login; use username and password_file")
    if url.scheme == "http" and any((settings.tls.ca_file, settings.tls.certificate_file)):
        raise ConfigError("opensearch.tls names files, but opensearch.url is not https")
    return url.scheme


def asked(client: OpenSearch, doing: str, ask: Callable[[], _T]) -> _T:
    """What `ask` returns; where OpenSearch refuses, a `StoreError` that says in what doing."""
    try:
        return ask()
    except OpenSearchException as error:
        raise failure(client, doing, error) from error


def templated(client: OpenSearch) -> set[str]:
    """Patterns of indices that there is a template for. Raises `OpenSearchException`."""
    said = client.transport.perform_request("GET", "/_index_template")
    made = said.get("index_templates", ())
    return {pattern for one in made for pattern in one["index_template"]["index_patterns"]}


def failure(client: OpenSearch, doing: str, error: OpenSearchException) -> StoreError:
    """What went wrong, where, and what to do about it.

    Args:
        doing: what was tried: ``search audit-*``.
    """
    where = ", ".join(
        str(connection.host) for connection in client.transport.connection_pool.connections
    )
    said = f"OpenSearch at {where} cannot {doing}: {reason(error)}"
    advice = _advice(error)
    return StoreError(f"{said}; {advice}" if advice else said)


def reason(error: OpenSearchException) -> str:
    """What OpenSearch, or the way to it, said; in short, without the request."""
    if not isinstance(error, TransportError):
        return str(error)[:_LONGEST]
    if isinstance(error, ConnectionError):
        return str(error.error)[:_LONGEST]
    info: Any = error.info
    said = info.get("error", info) if isinstance(info, dict) else info
    if isinstance(said, dict):
        root = said.get("root_cause") or [said]
        said = f"{root[0].get('type', '')}: {root[0].get('reason') or said.get('reason', '')}"
    return f"{error.status_code} {said or error.error}"[:_LONGEST]


def _advice(error: OpenSearchException) -> str:
    if isinstance(error, SSLError):
        return "see opensearch.tls.ca_file, and whether the certificate is for that name"
    if isinstance(error, ConnectionError):
        return "see whether it runs, and opensearch.url"
    if isinstance(error, AuthenticationException):
        return "see opensearch.username and its password"
    if isinstance(error, AuthorizationException):
        return "`auditstream opensearch plan` prints what each role must be allowed"
    if isinstance(error, NotFoundError):
        return "`auditstream opensearch apply` makes what must be there"
    return ""
