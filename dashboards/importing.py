"""Saved objects into OpenSearch Dashboards, over HTTP.

``POST /api/saved_objects/_import?overwrite=true`` takes ``multipart/form-data`` with a file whose
name ends in ``.ndjson``, and wants the header ``osd-xsrf``; the header ``securitytenant`` names the
tenant, where ``opensearch.requestHeadersAllowlist`` lets it through. An answer of 200 does not mean
that all went in: ``success`` and ``errors`` say so (OpenSearch documentation, "Saved Objects
APIs"; ``src/core/server/saved_objects/routes/import.ts`` of OpenSearch-Dashboards).
"""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import orjson

from pipeline.errors import ConfigError, UnusableError
from pipeline.storage import Dashboards
from pipeline.streaming import password
from pipeline.tls import loopback, tls_context

FILE: Final = "auditstream.ndjson"
_PATH: Final = "/api/saved_objects/_import?overwrite=true"
_AGAIN_S: Final = 2.0
_LONGEST: Final = 500
_MOST_SAID: Final = 5
_READ: Final = 16 * 1024 * 1024
_PORTS: Final = {"https": 443, "http": 80}


class _NotReady(UnusableError):
    """It may be a matter of seconds: it starts, or does not answer yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to import, and as whom. Make one by :func:`place`."""

    url: SplitResult
    headers: dict[str, str]
    context: ssl.SSLContext | None
    timeout_s: int

    def __str__(self) -> str:
        return self.url.geturl()


def place(settings: Dashboards) -> Place:
    """OpenSearch Dashboards, as the configuration has it; nothing is asked yet.

    Raises:
        ConfigError: there is no address, settings contradict each other, a file cannot be read, or
            the password would travel readably.
    """
    if not settings.url:
        raise ConfigError(
            "dashboards.url is empty; say where OpenSearch Dashboards is: --url https://HOST:5601"
        )
    url = _address(settings)
    secret = password(settings, "dashboards")
    if secret and url.scheme == "http" and not loopback(url.hostname or ""):
        raise ConfigError(f"dashboards.url {url.geturl()} is not https: the password is readable")
    headers = {"osd-xsrf": "true", "Accept": "application/json"}
    if secret:
        login = b64encode(f"{settings.username}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    if settings.tenant:
        headers["securitytenant"] = _tenant(settings.tenant)
    context = tls_context(settings.tls) if url.scheme == "https" else None
    return Place(url, headers, context, settings.timeout_s)


def _address(settings: Dashboards) -> SplitResult:
    if "@" in settings.url:
        raise ConfigError("dashboards.url holds a login; use username and password_file")
    try:
        url = urlsplit(settings.url.strip().rstrip("/"))
        there = url.scheme in _PORTS and bool((url.hostname or "").encode("idna")) and url.port != 0
    except ValueError:
        there = False
    if not there or url.query or url.fragment or not url.path.isascii() or " " in url.path:
        raise ConfigError(f"dashboards.url {settings.url!r} is no address of http or https")
    if url.scheme == "http" and any((settings.tls.ca_file, settings.tls.certificate_file)):
        raise ConfigError("dashboards.tls names files, but dashboards.url is not https")
    return url


def _tenant(name: str) -> str:
    if not (name.isascii() and name.isprintable() and name == name.strip()):
        raise ConfigError(f"dashboards.tenant {name!r} cannot be a header; rename the tenant")
    return name


def put(
    where: Place, objects: bytes, wait_s: float = 0, say: Callable[[str], None] = lambda _: None
) -> int:
    """Import saved objects, over those of the same ids; returns how many there are now.

    Args:
        objects: NDJSON.
        wait_s: how long to try again where it is not there yet, seconds.
        say: told once what is waited for.

    Raises:
        UnusableError: it cannot be reached, refuses, or does not take all of them.
    """
    boundary = f"auditstream-{sha256(objects).hexdigest()}"
    body = _form(objects, boundary)
    until, told = time.monotonic() + wait_s, False
    while True:
        try:
            return _counted(where, _asked(where, body, boundary))
        except _NotReady as error:
            if time.monotonic() + _AGAIN_S > until:
                raise
            if not told:
                say(f"waiting: {error}")
                told = True
            time.sleep(_AGAIN_S)


def _form(objects: bytes, boundary: str) -> bytes:
    """The file as ``multipart/form-data`` (RFC 7578)."""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{FILE}"\r\n'
        "Content-Type: application/x-ndjson\r\n\r\n"
    )
    return head.encode() + objects + f"\r\n--{boundary}--\r\n".encode()


def _asked(where: Place, body: bytes, boundary: str) -> tuple[int, bytes]:
    url = where.url
    host, port = url.hostname or "", url.port or _PORTS[url.scheme]
    connection = (
        HTTPConnection(host, port, timeout=where.timeout_s)
        if where.context is None
        else HTTPSConnection(host, port, timeout=where.timeout_s, context=where.context)
    )
    headers = {**where.headers, "Content-Type": f"multipart/form-data; boundary={boundary}"}
    with closing(connection):
        try:
            # Redirections are not followed: whoever is there would be given the password.
            connection.request("POST", f"{url.path}{_PATH}", body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_READ)
        except ssl.SSLError as error:
            raise UnusableError(
                f"OpenSearch Dashboards at {where} is not trusted: {error}; see "
                "dashboards.tls.ca_file, and whether the certificate is for that name"
            ) from error
        except (OSError, HTTPException) as error:
            said = str(error) or type(error).__name__
            raise _NotReady(
                f"OpenSearch Dashboards at {where} cannot be reached: {said}; see whether it runs, "
                "and dashboards.url"
            ) from error


def _counted(where: Place, answer: tuple[int, bytes]) -> int:
    status, body = answer
    try:
        said: Any = orjson.loads(body)
    except ValueError:
        said = body.decode("utf-8", "replace").strip()[:_LONGEST]
    if status != 200:
        told = said.get("message") or said.get("error") if isinstance(said, dict) else said
        wrong = f"OpenSearch Dashboards at {where} answers {status}: {str(told)[:_LONGEST]}"
        advice = _ADVICE.get(status, "")
        raise (_NotReady if status in _LATER else UnusableError)(
            f"{wrong}; {advice}" if advice else wrong
        )
    if not isinstance(said, dict) or "success" not in said:
        raise UnusableError(
            f"what is at {where} does not answer as OpenSearch Dashboards; see dashboards.url, "
            "with its base path"
        )
    if not said["success"]:
        wrong = _refused(said.get("errors"))[:_LONGEST]
        raise UnusableError(
            f"OpenSearch Dashboards at {where} did not take all of the saved objects: {wrong}"
        )
    return int(said.get("successCount", 0))


def _refused(errors: Any) -> str:
    """Of which objects why, as far as a person reads on."""
    told = [_why(one) for one in errors] if isinstance(errors, list) else []
    more = f" and {len(told) - _MOST_SAID} more" if len(told) > _MOST_SAID else ""
    return f"{', '.join(told[:_MOST_SAID])}{more}" or "it does not say which"


def _why(one: Any) -> str:
    if not isinstance(one, dict) or not isinstance(one.get("error"), dict):
        return str(one)
    # Errors of a type that it has no name for (`unknown`) have a message.
    error = one["error"]
    return f"{one.get('type')} {one.get('id')}: {error.get('message') or error.get('type')}"


_LATER: Final = frozenset((502, 503, 504))
_LOGIN: Final = "see dashboards.username and its password"
_ADVICE: Final = {
    301: "write that address as dashboards.url",
    302: "it wants a login: see dashboards.username, and whether basic authentication is enabled",
    307: "write that address as dashboards.url",
    308: "write that address as dashboards.url",
    401: _LOGIN,
    403: "the login needs the role kibana_user, and the right to write to that tenant; see "
    "dashboards.username and dashboards.tenant",
    404: "see dashboards.url, with its base path",
    413: "a proxy before it takes less; let it take 1 MB",
    503: "it may not have started yet: --wait 120",
}
