"""What of a Kafka request is secret, and what the request is without it.

Kafka's request log hides the values of sensitive broker settings and nothing else: SCRAM salts and
salted passwords, tokens' HMACs, and what a topic is created with stand in it as they were sent.
Here each such value goes twice, from the parsed document, which is all that events are made of,
and from the text, in exactly the places where it stands: a value may be as short as a letter, or a
principal's name, and must not take that letter or that name out of all the rest.

Kafka's generated converters write ``name``, ``configOperation`` and ``value`` in this order and
without blanks. A secret whose place is not found in the text makes the line unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from pipeline.errors import Reason, Unreadable
from schemas.vocabulary import BLANK

_HIDDEN: Final = frozenset(("", BLANK, "[hidden]"))
"""No secrets: nothing, and what Kafka writes in the place of one."""
_KEYS: Final = frozenset(("salt", "saltedPassword", "hmac", "authBytes"))
_SENSITIVE: Final = re.compile(
    "pass(?:word|wd|phrase)|pwd|secret|token|jaas|credential|key|hmac|salt|cookie|signature"
    "|user\\.?info|connection\\.string",
    re.IGNORECASE,
)
_HARMLESS: Final = (
    "ssl.keystore.type", "ssl.keystore.location", "ssl.keymanager.algorithm",
    "delegation.token.max.lifetime.ms", "delegation.token.expiry.time.ms",
    "delegation.token.expiry.check.interval.ms", "password.encoder.iterations",
    "password.encoder.key.length", "password.encoder.cipher.algorithm",
    "password.encoder.keyfactory.algorithm",
)  # fmt: skip
"""Settings that are called as secrets are, with or without a listener before them."""
_BEARING: Final = re.compile(
    r"LoginModule|(?:password|passwd|secret|token|apikey)\w{0,20}\s{0,4}[=:]"
    r"|-----BEGIN |://[^\s/@:]{0,256}:[^\s/@]{1,256}@",
    re.IGNORECASE,
)
"""Values that bear a secret whatever their setting is called."""
_TEXT: Final = r'"(?:[^"\\]++|\\.)*+"'
_PLACES: Final = re.compile(
    rf"""
    "(?:
        name":(?P<name>{_TEXT}),(?:"configOperation":-?[0-9]{{1,4}},)?"value
      | (?P<key>salt|saltedPassword|hmac|authBytes)
      | errorMessage
    )":(?P<value>{_TEXT})
    """,
    re.DOTALL | re.VERBOSE,
)
"""Inside a JSON text a quote is escaped, so none of this can stand within a client's name."""
_PIECE: Final = 6
_CREDENTIAL_APIS: Final = frozenset(
    (
        "AlterUserScramCredentials", "CreateDelegationToken", "RenewDelegationToken",
        "ExpireDelegationToken", "SaslAuthenticate",
    )
)  # fmt: skip
_KNOWN_TEXTS: Final = _KEYS | {
    "name", "user", "mechanism", "errorMessage", "tokenId", "principalType", "principalName",
    "ownerPrincipalType", "ownerPrincipalName", "tokenRequesterPrincipalType",
    "tokenRequesterPrincipalName",
}  # fmt: skip


class Cleaned(NamedTuple):
    """A line's text without its secrets, and the secrets."""

    text: str
    secrets: frozenset[str]


def is_sensitive(name: str, value: str) -> bool:
    """Whether a setting's value is secret, by its name or by its look."""
    if value in _HIDDEN:
        return False
    return bool(
        (_SENSITIVE.search(name) and not name.endswith(_HARMLESS)) or _BEARING.search(value)
    )


def clean(api: str, document: dict[str, Any], text: str) -> Cleaned:
    """Blank every secret in ``document``, which is changed, and in the text it was read from.

    Raises:
        Unreadable: ``unknown_layout`` where a secret stands as Kafka writes none.
    """
    if api in _CREDENTIAL_APIS:
        for node in _objects(document):
            # A text under another name may be a secret that nobody has heard of.
            if any(isinstance(v, str) for k, v in node.items() if k not in _KNOWN_TEXTS):
                raise Unreadable(Reason.UNKNOWN_LAYOUT, "a text of unknown name beside secrets")
    secrets = frozenset(_take(document))
    if not secrets:
        return Cleaned(text, secrets)
    pieces = _pieces(secrets)
    _withhold(document, pieces)
    out: list[str] = []
    place, found = 0, set[str]()
    for match in _PLACES.finditer(text):
        value = _decoded(match["value"])
        if match["name"] is not None:
            secret = is_sensitive(_decoded(match["name"]), value)
        else:
            secret = value not in _HIDDEN if match["key"] else _repeats(value, pieces)
        if secret:
            out += (text[place : match.start("value")], f'"{BLANK}"')
            place = match.end("value")
            found.add(value)
    if secrets - found:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "a secret where Kafka writes none")
    out.append(text[place:])
    return Cleaned("".join(out), secrets)


def without_bodies(text: str) -> str:
    """The text of a request whose shape nobody knows, without request and response."""
    start, end = text.find(',"request":'), text.rfind(',"connection":"')
    if not 0 < start < end:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "request and connection were expected, in order")
    return f'{text[:start]},"request":"{BLANK}","response":"{BLANK}"{text[end:]}'


def skeleton(value: Any) -> Any:
    """A copy of a JSON value in which every text is blanked."""
    copies: list[Any] = [None]
    stack: list[tuple[Any, Any, Any]] = [(copies, 0, value)]
    while stack:
        target, key, node = stack.pop()
        if isinstance(node, dict):
            target[key] = made = dict.fromkeys(node)
            stack += [(made, k, v) for k, v in node.items()]
        elif isinstance(node, list):
            target[key] = listed = [None] * len(node)
            stack += [(listed, i, v) for i, v in enumerate(node)]
        else:
            target[key] = BLANK if isinstance(node, str) else node
    return copies[0]


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document, however deep."""
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack += node.values()
        elif isinstance(node, list):
            stack += node


def _take(document: dict[str, Any]) -> Iterator[str]:
    for node in _objects(document):
        for key in _KEYS & node.keys():
            yield from _blank(node, key)
        name = node.get("name")
        value = node.get("value")
        if isinstance(name, str) and isinstance(value, str) and is_sensitive(name, value):
            yield from _blank(node, "value")


def _blank(node: dict[str, Any], key: str) -> Iterator[str]:
    value = node[key]
    if value is None or value == "":
        return
    if not isinstance(value, str):
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "a secret that is no text")
    if value not in _HIDDEN:
        node[key] = BLANK
        yield value


def _withhold(document: dict[str, Any], pieces: frozenset[str]) -> None:
    for node in _objects(document):
        message = node.get("errorMessage")
        if isinstance(message, str) and _repeats(message, pieces):
            node["errorMessage"] = BLANK


def _pieces(secrets: Iterable[str]) -> frozenset[str]:
    """What gives a secret away: six of its characters in a row, or all where it is shorter."""
    return frozenset(
        secret[i : i + _PIECE]
        for secret in secrets
        for i in range(max(1, len(secret) - _PIECE + 1))
    )


def _repeats(message: str, pieces: frozenset[str]) -> bool:
    """Whether an error's message quotes what was refused."""
    return any(
        message[i : i + size] in pieces
        for i in range(len(message))
        for size in range(1, min(_PIECE, len(message) - i) + 1)
    )


def _decoded(literal: str) -> str:
    value = orjson.loads(literal)
    return value if isinstance(value, str) else ""
