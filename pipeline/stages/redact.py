"""Redact: secrets go before anything is stored, sealed or identified.

Structural: a source names the texts that are secret (:attr:`pipeline.batch.Fact.secrets`), and each
occurrence in the event and in its raw record, JSON-escaped or not, gives way to
``[redacted:KEYID:HASH]``, a keyed hash (HMAC-SHA-256, 64 bits), so that the same secret can be
recognised again; without a configured key to ``[redacted]``, with no hash. Dead letters, whose
structure is unknown, pass a byte-level redactor over known ways to write a secret; it takes more
rather than less.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from pipeline.batch import Fact
from schemas.types import Event
from schemas.vocabulary import BLANK

_TEXT_COLUMNS = tuple(f.name for f in fields(Event) if f.type == "str")

_STEMS = (
    "password", "passwd", "passphrase", "secret", "token", "hmac", "salt", "authbytes",
    "auth_bytes", "auth-bytes", "authorization", "credential", "apikey", "api_key", "api-key",
    "access_key", "accesskey", "private_key", "privatekey", "jaas", "stored_key", "storedkey",
    "server_key", "serverkey", "cookie", "signature", "pwd", "value",
    "errormessage", "sig",
)  # fmt: skip
_ENCODED_STEMS = tuple(stem.encode() for stem in _STEMS)
"""Whatever is called so is secret: in JSON, ``key=value``, JAAS, headers, XML, query strings."""
_NAMED = re.compile(
    rf"""
    (
        (?: {"|".join(_STEMS[:-1])} | \bsig(?=[=:"'\\]) ) [\w.-]{{0,60}}+
        (?:\\*+["'])?+ \s{{0,8}}+ (?:=>|[=:>]) \s{{0,8}}+
    )
    (?:
        "(?:[^"\\]++|\\.)*+"?+
      | '(?:[^'\\]++|\\.)*+'?+
      | (?P<quote>\\++["']) (?: .*? (?<!\\)(?P=quote) | .*+ )
      | [\[{{] [^\]}}]*+ [\]}}]?+
      | (?:(?:bearer|basic|digest|negotiate)\s++)?+ (?:[^\s,;&"'<\\]|\\[^"'nrt])++
    )
    """.encode(),
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_BY_LOOK = re.compile(
    rb"""
    -----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z0-9 ]{0,40}-----|\Z)
  | (?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?+
  | (?:AKIA|ASIA)[0-9A-Z]{16}
  | gh[pousr]_\w{20,255}+ | xox[a-z]-[\w-]{10,255}+
  | (?i:\bbearer)\s++[\w.~+/=-]{8,}+
  | (?<=://)[^\s/@:]{0,256}+:[^\s/@]{1,256}+(?=@)
  | \A\s*+(?=[^0-9]*+[0-9])(?=[^A-Z]*+[A-Z])[A-Za-z0-9+/]{40,128}+={0,2}+\s*+\Z
    """,
    re.DOTALL | re.VERBOSE,
)
_REST = re.compile(
    rb"""
    \A (?: [\w.]{0,60}+ (?:\\*+["'])? \s*+ : \s*+ )? (?:\\*+["'])?
    (?: [^"\\]++ | \\. )*+ " (?= \s*+ [,}\]] )
    """,
    re.DOTALL | re.VERBOSE,
)
"""A text, or a name and a text, that a cut left the end of: what it belonged to nobody can see."""
_OPTION = re.compile(
    rb"(?i)(--[\w-]{0,40}(?:password|passwd|secret|token)[\w-]{0,40}\s++)[^\s-]\S*+"
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
        tokens = {form: self.token(s) for s in fact.secrets for form in _forms(s)}
        # The longest first: a secret may hold another.
        found = "|".join(map(re.escape, sorted(tokens, key=len, reverse=True)))
        if not found:
            return raw, raw
        pattern = re.compile(found)

        def replace(value: str) -> str:
            return pattern.sub(lambda m: tokens[m[0]], value)

        for name in _TEXT_COLUMNS:
            setattr(fact.event, name, replace(getattr(fact.event, name)))
        fact.uid = replace(fact.uid)
        fact.document = _walk(fact.document, replace)
        fact.extension = _walk(fact.extension, replace)
        text = raw.decode("utf-8", "surrogateescape")
        kept, blank = replace(text), pattern.sub(BLANK, text)
        return kept.encode("utf-8", "surrogateescape"), blank.encode("utf-8", "surrogateescape")


def _forms(secret: str) -> Iterable[str]:
    """A secret as it may stand in a record: as it is, and as JSON writes it."""
    if secret:
        yield secret
        yield json.dumps(secret)[1:-1]
        yield json.dumps(secret, ensure_ascii=False)[1:-1]


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
    lowered = value.lower()
    if any(stem in lowered for stem in _ENCODED_STEMS):
        value = _NAMED.sub(lambda m: m[1] + blank, value)
        value = _OPTION.sub(lambda m: m[1] + blank, value)
    value = _REST.sub(blank, value)
    return _BY_LOOK.sub(blank, value)
