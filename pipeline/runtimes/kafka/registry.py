"""A client of a schema registry with Confluent's API ("Schema Registry API Reference", v7).

Nothing here registers anything but `Registry.register`, and only `auditstream registry apply` calls
that.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pipeline.errors import ConfigError, UnusableError
from pipeline.streaming import Registry as Section
from pipeline.streaming import password
from pipeline.tls import loopback, tls_context

PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0)
"""How long to wait before each further attempt, where the last one failed for no lasting reason."""
_TIMEOUT_S: Final = 10.0
_LARGEST: Final = 16 * 1024 * 1024
_SAID: Final = 300
_PASSING: Final = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that say nothing of what was asked: another time it may be answered."""
_KIND: Final = "application/vnd.schemaregistry.v1+json"


class RegistryError(UnusableError):
    """The registry refuses, or answers what no registry does. Says what to do."""


class RegistryAway(RegistryError):
    """The registry cannot be reached, or not now: whoever needs it waits and asks again."""


class Absent(RegistryError):
    """The registry has no such subject, schema or number."""


class _SameRegistry(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the login to wherever it points."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Registry:
    """A registry, and as whom it is asked. Its `repr` holds no secret. Methods block.

    Args:
        section: the configuration's ``[kafka.registry]``, with a url.
        timeout_s: how long one answer is waited for.
        pauses_s: see `PAUSES_S`; empty: one attempt is all.

    Raises:
        ConfigError: settings contradict each other, a secret cannot be read or would travel
            readably, or a certificate file is none.
    """

    def __init__(
        self,
        section: Section,
        timeout_s: float = _TIMEOUT_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._url = section.url.rstrip("/")
        self._timeout_s = timeout_s
        self._pauses_s = pauses_s
        self._headers = {"Accept": f"{_KIND}, application/json", "Content-Type": _KIND}
        self._login = _login(section)
        secure = urlsplit(section.url).scheme == "https"
        handlers: list[Any] = [_SameRegistry()]
        if secure:
            handlers.append(urllib.request.HTTPSHandler(context=tls_context(section.tls)))
        self._opener = urllib.request.build_opener(*handlers)

    def __repr__(self) -> str:
        return f"Registry({self._url})"

    def id_of(self, subject: str, schema: str) -> int:
        """The number of a schema (JSON) among those of a subject. Never registers it.

        Raises:
            Absent: the subject has no such schema.
            RegistryError: it cannot be asked.
        """
        said = self._ask("POST", f"/subjects/{_part(subject)}", {"schema": schema})
        return self._number(said, "id")

    def schema(self, number: int) -> str:
        """The schema (JSON) of a number. Raises as `id_of`; `Absent` too where it is no Avro."""
        said = self._ask("GET", f"/schemas/ids/{number}")
        # The API leaves the type out where it is Avro.
        if said.get("schemaType", "AVRO") != "AVRO" or not isinstance(said.get("schema"), str):
            raise Absent(f"schema {number} of {self._url} is no Avro")
        return str(said["schema"])

    def register(self, subject: str, schema: str) -> int:
        """Make a schema the subject's latest; its number. Raises `RegistryError`."""
        said = self._ask("POST", f"/subjects/{_part(subject)}/versions", {"schema": schema})
        return self._number(said, "id")

    def compatible(self, subject: str, schema: str) -> bool:
        """Whether the subject's level lets a schema follow those it has. Raises as `id_of`."""
        path = f"/compatibility/subjects/{_part(subject)}/versions/latest"
        said = self._ask("POST", path, {"schema": schema})
        return said.get("is_compatible") is True

    def level(self, subject: str) -> str:
        """The subject's own compatibility level; empty: it has none. Raises `RegistryError`."""
        try:
            said = self._ask("GET", f"/config/{_part(subject)}")
        except Absent:
            return ""
        return str(said.get("compatibilityLevel", ""))

    def compatibility(self, subject: str, level: str) -> None:
        """Set the subject's compatibility level. Raises `RegistryError`."""
        self._ask("PUT", f"/config/{_part(subject)}", {"compatibility": level})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        for pause_s in self._pauses_s:
            try:
                return self._once(method, path, body)
            except RegistryAway:
                time.sleep(pause_s)
        return self._once(method, path, body)

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, self._headers, method=method)
        if self._login:
            request.add_unredirected_header("Authorization", self._login)
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                said = json.loads(response.read(_LARGEST))
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, path, _message(error)) from None
        except (OSError, HTTPException) as error:
            raise self._unreachable(getattr(error, "reason", error)) from None
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise RegistryError(
                f"{self._url}{path} answers no JSON of a registry; is kafka.registry.url right, "
                "with the path under which Confluent's API is (/apis/ccompat/v7, for instance)?"
            )
        return said

    def _refusal(self, status: int, path: str, said: str) -> RegistryError:
        where = f"{self._url}{path}"
        if status in (401, 403):
            return RegistryError(
                f"the registry does not let us ({where}: status {status}); check "
                f"kafka.registry.username, its password and its rights{said}"
            )
        if status == 404:
            return Absent(f"{where}: not there{said}")
        if status in _PASSING:
            return RegistryAway(f"the registry is not well ({where}: status {status}){said}")
        if status == 409:
            return RegistryError(f"the registry refuses an incompatible schema ({where}){said}")
        return RegistryError(f"the registry refuses ({where}: status {status}){said}")

    def _unreachable(self, reason: object) -> RegistryError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return RegistryError(
                f"the certificate of {self._url} is not one to trust: {reason.verify_message}; "
                "name its authority in kafka.registry.tls.ca_file, and its host in the url"
            )
        return RegistryAway(
            f"the registry at {self._url} cannot be reached: {reason or type(reason).__name__}; "
            "check kafka.registry.url, and whether it is up"
        )

    def _number(self, said: dict[str, Any], name: str) -> int:
        number = said.get(name)
        if not isinstance(number, int) or not 0 <= number < 1 << 32:
            raise RegistryError(f"{self._url} answers without the number of a schema")
        return number


def _login(section: Section) -> str:
    """The header `Authorization` (RFC 7617); empty: none."""
    url = urlsplit(section.url)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"kafka.registry.url {section.url!r} is no address of http or https")
    if url.username or url.password:
        raise ConfigError("kafka.registry.url holds a login; use username and password_file")
    if url.scheme == "http" and section.tls.enabled:
        raise ConfigError("kafka.registry.tls is enabled, but kafka.registry.url is not https")
    secret = password(section, "kafka.registry")
    if not secret:
        return ""
    if url.scheme == "http" and not loopback(url.hostname):
        raise ConfigError(
            f"kafka.registry.url {section.url} is not https: the password would be readable"
        )
    return "Basic " + base64.b64encode(f"{section.username}:{secret}".encode()).decode()


def _part(subject: str) -> str:
    return quote(subject, safe="")


def _message(error: urllib.error.HTTPError) -> str:
    """What the registry said of a refusal, in short."""
    try:
        said = json.loads(error.read(_LARGEST))
        return f": {str(said['message'])[:_SAID]}"
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return ""
