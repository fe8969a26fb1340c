"""Redact: secrets go before anything is stored, sealed or identified.

Structural: a source names the texts that are secret (:attr:`pipeline.batch.Fact.secrets`), and each
occurrence in the event and in its raw record gives way to ``[redacted:KEYID:HASH]``, a keyed hash
(HMAC-SHA-256, 64 bits), so that the same secret can be recognised again; without a configured key
to ``[redacted]``, with no hash. Dead letters, whose structure is unknown, pass a byte-level
redactor over known ways to write a secret.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from pipeline.batch import Fact
from schemas.types import Event

BLANK = "[redacted]"
_TEXT_COLUMNS = tuple(
    f.name for f in fields(Event) if f.type == "str" and f.name not in ("id", "time")
)

_QUOTED = rb'"(?:[^"\\]|\\.){0,65536}"?'
_SECRETS = re.compile(
    rb"(?i)"
    rb'("[\w.-]{0,60}(?:password|passwd|secret|token|hmac|salt|authbytes|auth_bytes|apikey'
    rb'|api_key|accesskey|private_key|credential|jaas[\w.]{0,20})[\w.-]{0,60}"\s{0,8}:\s{0,8})'
    rb"(?:" + _QUOTED + rb"|[^\s,}\]]{1,65536})"
    rb"|((?:password|passwd|secret|token|hmac|salt|sig|authorization|api[_-]?key)"
    rb"[\w.-]{0,60}\s{0,4}[=:]\s{0,4}(?:bearer |basic )?)(?:" + _QUOTED + rb"|[^\s,;&)}\]]{1,65536})"
)
_BARE = re.compile(
    rb"AKIA[0-9A-Z]{16}|ASIA[0-9A-Z]{16}"
    rb"|eyJ[\w-]{8,4096}\.[\w-]{8,8192}(?:\.[\w-]{0,4096})?"
    rb"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]{0,16384}"
)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secrets.

    Attributes:
        key: HMAC key, or empty: then no hash is kept.
        key_id: name of the key, kept in the event.
    """

    key: bytes = b""
    key_id: str = ""

    def token(self, secret: str) -> str:
        """What stands in a secret's place."""
        if not self.key:
            return BLANK
        digest = hmac.digest(self.key, secret.encode(), "sha256")[:8].hex()
        return f"[redacted:{self.key_id}:{digest}]"

    def redact(self, fact: Fact, raw: bytes) -> tuple[bytes, bytes]:
        """Redact ``fact`` in place.

        Returns the raw record to keep, and the one identity is taken from: that one holds no
        trace of key or secret, so ids stay the same whatever key is configured.
        """
        if not fact.secrets:
            return raw, raw
        text = raw.decode("utf-8", "surrogateescape")
        # The longest first: a secret may hold another.
        found = sorted({s for s in fact.secrets if s}, key=len, reverse=True)
        pairs = [(secret, self.token(secret)) for secret in found]

        def replace(value: str) -> str:
            for secret, token in pairs:
                value = value.replace(secret, token)
            return value

        for name in _TEXT_COLUMNS:
            setattr(fact.event, name, replace(getattr(fact.event, name)))
        fact.uid = replace(fact.uid)
        fact.document = _walk(fact.document, replace)
        fact.extension = _walk(fact.extension, replace)
        blank = text
        for secret in found:
            blank = blank.replace(secret, BLANK)
        return replace(text).encode("utf-8", "surrogateescape"), blank.encode(
            "utf-8", "surrogateescape"
        )


def _walk(value: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return replace(value)
    if isinstance(value, dict):
        return {k: _walk(v, replace) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_walk(v, replace) for v in value]
    return value


def scrub(value: bytes) -> bytes:
    """Bytes of unknown structure without what is written as a secret. Linear time."""
    blank = BLANK.encode()
    value = _SECRETS.sub(lambda m: (m[1] or m[2] or b"") + blank, value)
    return _BARE.sub(blank, value)
