"""Access tokens for Faust's consumers: OAuth 2.0 client credentials (RFC 6749, section 4.4).

librdkafka fetches its own (`sasl.oauthbearer.method=oidc`); aiokafka has to be handed them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from aiokafka.abc import AbstractTokenProvider

_TIMEOUT_S = 15
_LARGEST = 1024 * 1024
_UNSAID_S = 300
"""How long a token is taken to live whose issuer does not say."""
_USED = 0.8
"""The part of its life for which a token is used: librdkafka renews its own then, too."""


class NoToken(ConnectionError):
    """The issuer gave no token. Says why; never what was sent."""


class _SameIssuer(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the client's secret to wherever it points."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Issuer:
    """Where tokens are had, and as whom. ``secret`` is in no repr."""

    url: str
    client_id: str
    secret: str = field(repr=False)
    scope: str
    context: ssl.SSLContext | None = field(repr=False)

    def ask(self) -> tuple[str, float]:
        """A token and the seconds it lives. Raises `NoToken`."""
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        # As librdkafka does: RFC 6749, section 2.3.1, without the encoding that few issuers undo.
        login = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        request = urllib.request.Request(
            self.url,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"Basic {login}", "Accept": "application/json"},
        )
        secure = urllib.request.HTTPSHandler(context=self.context)
        opener = urllib.request.build_opener(secure, _SameIssuer())
        try:
            with opener.open(request, timeout=_TIMEOUT_S) as response:
                said = json.loads(response.read(_LARGEST))
            return str(said["access_token"]), float(said.get("expires_in", _UNSAID_S))
        except urllib.error.HTTPError as error:
            error.close()
            raise NoToken(f"{self.url} gave no token: status {error.code}") from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise NoToken(f"{self.url} gave no token: {reason}") from None
        except (ValueError, KeyError, TypeError):
            raise NoToken(f"{self.url} answered something else than a token") from None


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is without types
    """Tokens of one issuer, each asked for once and used until shortly before it ends."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._token, self._until = "", 0.0

    async def token(self) -> str:
        """A token that is still good. Raises `NoToken`."""
        # Faust's consumer lives on an event loop in a thread of its own: no lock of asyncio is
        # shared with it, and a token asked for twice does no harm.
        if time.monotonic() >= self._until:
            asked = time.monotonic()
            self._token, lives_s = await asyncio.to_thread(self._issuer.ask)
            self._until = asked + lives_s * _USED
        return self._token
