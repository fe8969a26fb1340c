"""Secrets that people write into free text: a password in a reason, a token in a link.

A record's own fields name no secret, but its reason, the link to its recording and the fields that
it adds are anybody's text. Each value is looked at for itself, and only what is written as a secret
gives way: whoever writes a principal's name behind ``password:`` must not take it out of the
fields that say who it was.
"""

from __future__ import annotations

import re
from typing import Any, Final

from schemas.vocabulary import BLANK

DEEPEST: Final = 32
"""Levels of a value that are kept; what is nested deeper nobody looks through."""
_NAME: Final = (
    r"passwor[dt]|passwd|passphrase|passcode|pwd|secret|token|credential|cookie|authorization"
    r"|signature|jaas|(?:api|access|account|private|shared)[ _-]?key"
)
_BEARING: Final = re.compile(_NAME, re.IGNORECASE)
_NAMED: Final = re.compile(
    rf"""
    (
        (?: {_NAME} | \bsig(?==) ) [\w.-]{{0,40}}+ [\\"']{{0,4}}+
        \s{{0,8}}+ (?: => | [=:] | \bis\b | \bwas\b ) \s{{0,8}}+
    )
    (?:
        "[^"]*+"?+
      | '[^']*+'?+
      | (?: (?:bearer|basic|digest|negotiate)\s++ )?+ (?: [^\s&] | &(?![\w.-]+=) )++
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_BY_LOOK: Final = re.compile(
    r"""
    -----BEGIN[ ][A-Z0-9 ]{0,40}PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z0-9 ]{0,40}-----|\Z)
  | (?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?+
  | (?:AKIA|ASIA)[0-9A-Z]{16}
  | \bgh[pousr]_\w{20,255}+ | \bxox[a-z]-[\w-]{10,255}+
  | (?i:\bbearer)\s++[\w.~+/=-]{8,}+
  | (?<=://)[^\s/@:]{0,256}+:[^\s/@]{1,256}+(?=@)
    """,
    re.DOTALL | re.VERBOSE,
)


def clean(value: Any, name: str = "", depth: int = 0) -> Any:
    """A JSON value without what is written as a secret in it. ``name``: what the value is called.

    Linear time in the length of the value.
    """
    if isinstance(value, str):
        return BLANK if _BEARING.search(name) else _text(value)
    if not isinstance(value, dict | list):
        return BLANK if isinstance(value, int | float) and _BEARING.search(name) else value
    if depth == DEEPEST:
        return BLANK
    if isinstance(value, list):
        return [clean(item, name, depth + 1) for item in value]
    inside = name if _BEARING.search(name) else ""
    return {_text(key): clean(item, inside or key, depth + 1) for key, item in value.items()}


def _text(text: str) -> str:
    if _BEARING.search(text) or "sig=" in text:
        text = _NAMED.sub(lambda m: m[1] + BLANK, text)
    return _BY_LOOK.sub(BLANK, text)
