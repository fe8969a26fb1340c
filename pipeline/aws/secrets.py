"""What of a CloudTrail record is secret. CloudTrail hides most of it, and not all.

Found by the names of keys, in whatever object, also in JSON that stands in a text, and by the look
of a text: presigned addresses, private keys, passwords in addresses. A secret that stands nowhere
else is named to the redactor, which puts its keyed hash there; one that is short, or also stands
where it is none (whoever takes his own name for a password), is blanked in its place alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

from pipeline.errors import Reason, Unreadable
from schemas.vocabulary import BLANK

_SHORTEST: Final = 8
_LONGEST_KEY: Final = 128
_SECRET: Final = re.compile(
    r"""
    (?: password | passwd | passphrase | pwd | tokens? | assertion | plaintext | secret(?:string
      | binary | key | accesskey | hash | value | code )? | privatekey | presharedkey | customerkey
      | sessionkey | apikey | signature | userdata | authorization | cookie | connectionstring
      | authenticationcode[12]? | tokencode | mfacode | otp ) $
  | ^ (?: keymaterial | base32stringseed | qrcodepng ) $
    """,
    re.VERBOSE,
)
_HARMLESS: Final = re.compile(
    r"(?:client|request|next|pagination|page|continuation|idempotency|creation|starting|marker"
    r"|evaluation|lock|change|update|forward|backward|http|export|subjectfromwebidentity)tokens?$"
)
"""Called like a secret, and an id, a page or a mode."""
_HIDDEN: Final = ("hidden_due_to_security_reasons", "sensitivedataremoved", "redacted")
_PLAIN: Final = dict.fromkeys(map(ord, "-_. :"))
_IN_TEXTS: Final = (
    "password", "passwd", "passphrase", "pwd", "token", "secret", "signature", "api-key",
    "secret-key", "secret-access-key", "private-key",
)  # fmt: skip
"""What the name of a secret ends with that a text gives, in whatever case and spelling."""
_MARKS: Final = tuple(name.replace("-", "") for name in _IN_TEXTS)
_LONGEST_MARK: Final = 40
"""Characters before a ``=`` in which such a name stands, with blanks and a quotation mark."""
_LONGEST_LOGIN: Final = 520
"""Characters of name and password before the ``@`` of an address, as :data:`_LOOK` has them."""
_GIVEN: Final = r"""
    (?: "[^"]*+"?+ | '[^']*+'?+ | [^&\s"'\\]++
      | (?P<quote>\\++["']) (?: .*? (?<!\\)(?P=quote) | .*+ ) )
"""
_LOOK: Final = re.compile(
    rf"""
    (?P<name> (?i: {"|".join(name.replace("-", "[-_.]?") for name in _IN_TEXTS)} )
      (?:\\*+["'])?+ \s{{0,8}}+ = \s{{0,8}}+ ) {_GIVEN}
  | (?<=Bearer[ ])[\w.~+/=-]{{8,}}
  | -----BEGIN[ ][A-Z0-9 ]{{0,40}}PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z0-9 ]{{0,40}}-----|\Z)
  | (?<=://)[^\s/@:]{{0,256}}:[^\s/@]{{1,256}}(?=@)
    """,
    re.DOTALL | re.VERBOSE,
)
_OPTION: Final = re.compile(r"(?<![\w-])--[\w.-]{1,128}+(?=[\s\"'\\])")
_ITS_VALUE: Final = re.compile(rf"\s++(?!-){_GIVEN}", re.DOTALL | re.VERBOSE)
_OWN_KEYS: Final = frozenset(
    (
        "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion",
        "sourceIPAddress", "eventID", "readOnly", "eventType", "managementEvent", "requestID",
        "recipientAccountId", "eventCategory", "sharedEventID", "apiVersion", "vpcEndpointId",
        "tlsDetails", "resources", "errorCode", "sessionCredentialFromConsole",
    )
)  # fmt: skip
"""What CloudTrail itself says, and no caller."""
_IDENTITY_KEYS: Final = frozenset(
    (
        "type", "principalId", "arn", "accountId", "accessKeyId", "userName", "sessionContext",
        "invokedBy", "identityProvider", "onBehalfOf", "credentialId", "inScopeOf",
    )
)  # fmt: skip
_NAMING: Final = (
    "name", "Name", "key", "Key", "optionName", "OptionName", "parameterKey", "ParameterKey",
    "parameterName", "ParameterName", "path",
)  # fmt: skip
"""Keys under which lists of settings name each; ``path``: patches of API Gateway."""
_VALUES: Final = ("value", "Value", "parameterValue", "ParameterValue")
"""Keys under which they have what each is set to."""
_VALUED: Final = frozenset(_VALUES)
_PARAMETERS: Final = "ssm.amazonaws.com"
"""Whose parameters have their secret under ``value``."""
_harmless: set[str] = set()
"""Keys that were found to be no secret's: records have few and repeat them."""
_MOST_KNOWN: Final = 4096


def is_secret_key(key: str) -> bool:
    """Whether what stands under this key is secret, whatever its spelling."""
    plain = key[-_LONGEST_KEY:].lower().translate(_PLAIN)
    if _SECRET.search(plain) and not _HARMLESS.search(plain):
        return True
    if len(key) <= _LONGEST_KEY:
        if len(_harmless) >= _MOST_KNOWN:
            _harmless.clear()
        _harmless.add(key)
    return False


def clean(record: dict[str, Any], text: str) -> tuple[tuple[str, ...], bytes | None]:
    """Take the secrets out of a record, which is changed.

    Returns those that the redactor has to replace, and the record's bytes as they then are; None
    where nothing was secret.

    Raises:
        Unreadable: there are secrets, and it is nested too deep to be written again.
    """
    # JSON within a text has its quotation marks escaped.
    nested = "\\" in text
    looks = "PRIVATE KEY" in text or "Bearer " in text or _is_marked(text, nested)
    if not looks and not nested and _is_plain(record):
        return (), None
    found = _Found(looks, nested)
    found.search(record)
    asked = record.get("requestParameters")
    if record["eventSource"] == _PARAMETERS and isinstance(asked, dict):
        found.take(asked, "value", asked.get("value"))
    if not found.places and not found.changed:
        return (), None
    for node, key, _ in found.places:
        node[key] = BLANK
    try:
        return _named(record, found.places), orjson.dumps(record)
    except orjson.JSONEncodeError:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "secrets, nested too deep") from None


def _is_plain(record: dict[str, Any]) -> bool:
    """Whether all keys in a record are known to be harmless. Written out at length: it runs over
    every record, and most are so."""
    known, stack = _harmless, list[Any]()
    for key in record.keys() - _OWN_KEYS:
        if key not in known:
            return False
        value = record[key]
        if value.__class__ is dict or value.__class__ is list:
            stack.append(value)
    who = record.get("userIdentity")
    if who.__class__ is not dict or not who.keys() <= _IDENTITY_KEYS:
        return False
    for node in stack:
        parts: Iterable[Any] = node
        if node.__class__ is dict:
            if not known.issuperset(node) or (len(node) > 1 and not _VALUED.isdisjoint(node)):
                return False
            parts = node.values()
        for part in parts:
            if part.__class__ is dict or part.__class__ is list:
                stack.append(part)
    asked = record.get("requestParameters")
    if record["eventSource"] != _PARAMETERS or asked.__class__ is not dict:
        return True
    return "value" not in asked


def _is_marked(text: str, nested: bool) -> bool:
    """Whether a secret may be given in a text: by name, as an option, or before the ``@`` of an
    address. ``nested``: it has characters escaped."""
    place = text.find("=")
    while place >= 0:
        before = text[max(0, place - _LONGEST_MARK) : place].rstrip(" \t\"'\\")
        if before.lower().translate(_PLAIN).endswith(_MARKS):
            return True
        place = text.find("=", place + 1)
    if nested and ("\\u003d" in text or "\\u003D" in text):
        return True
    if "--" in text and any(is_secret_key(found[0]) for found in _OPTION.finditer(text)):
        return True
    place = text.find("@")
    while place >= 0:
        if text.find("://", max(0, place - _LONGEST_LOGIN), place) >= 0:
            return True
        place = text.find("@", place + 1)
    return False


def _named(record: dict[str, Any], places: list[tuple[Any, Any, Any]]) -> tuple[str, ...]:
    """The secrets that are known by their text: put back, for the redactor."""
    rest = orjson.dumps({key: record[key] for key in record if key != "errorMessage"})
    out: list[str] = []
    for node, key, value in places:
        known = isinstance(value, str) and len(value) >= _SHORTEST
        if known and orjson.dumps(value)[1:-1] not in rest:
            node[key] = value
            out.append(value)
    return tuple(out)


class _Found:
    """What is secret in a document.

    Attributes:
        places: object or list, key or index, and value of each secret.
        changed: a text was changed that holds one.
        looks: texts are searched for what looks like one; ``texts``: and for JSON.
    """

    __slots__ = ("changed", "looks", "places", "texts")

    def __init__(self, looks: bool, nested: bool) -> None:
        self.places: list[tuple[Any, Any, Any]] = []
        self.changed, self.looks, self.texts = False, looks, looks or nested

    def search(self, record: dict[str, Any]) -> None:
        """Find all of them in a record, but for where CloudTrail itself says what stands there."""
        for key in record.keys() - _OWN_KEYS:
            value = record[key]
            if key not in _harmless and is_secret_key(key):
                self.take(record, key, value)
            elif value.__class__ is dict or value.__class__ is list:
                self.walk(value)
            elif self.texts and value.__class__ is str:
                self.read(record, key, value)
        who = record.get("userIdentity")
        if who.__class__ is not dict or not who.keys() <= _IDENTITY_KEYS:
            self.walk(who)

    def walk(self, document: Any) -> None:
        """Find all of them in a document."""
        stack = [document]
        for node in stack:
            if isinstance(node, dict):
                self.look(node)
                self.setting(node)
                parts = list(node.values())
            elif isinstance(node, list):
                parts = list(node)
                self.arguments(node)
            else:
                continue
            stack += [part for part in parts if isinstance(part, (dict, list))]

    def look(self, node: dict[str, Any]) -> None:
        """One object's keys and texts."""
        for key, value in node.items():
            if key not in _harmless and is_secret_key(key):
                self.take(node, key, value)
            elif self.texts and value.__class__ is str:
                self.read(node, key, value)

    def arguments(self, node: list[Any]) -> None:
        """One list's texts; of a program's arguments the one that follows a secret's option."""
        option = False
        for place, value in enumerate(node if self.texts else ()):
            if isinstance(value, str):
                if option and value[:1] != "-":
                    self.take(node, place, value)
                else:
                    self.read(node, place, value)
                option = value[:2] == "--" and is_secret_key(value)

    def take(self, node: Any, key: Any, value: Any) -> None:
        """What stands under a secret's name: all of it, but for what says that it was removed."""
        if isinstance(value, str):
            plain = value.strip("*<>[]() \n").lower()
            if not plain or plain in _HIDDEN:
                return
        elif isinstance(value, bool) or value in (None, {}, []):
            return
        self.places.append((node, key, value))

    def setting(self, node: dict[str, Any]) -> None:
        """``{"name": "DB_PASSWORD", "value": "…"}``"""
        if _VALUED.isdisjoint(node):
            return
        for name in _NAMING:
            said = node.get(name)
            if isinstance(said, str) and is_secret_key(said):
                for key in _VALUES:
                    self.take(node, key, node.get(key))

    def read(self, node: Any, key: Any, value: str) -> None:
        """A text that is JSON, or holds what looks like a secret: blanked where it stands."""
        if value[:1] == "{" or value[:2] == "[{":
            try:
                document = orjson.loads(value)
            except orjson.JSONDecodeError:
                document = {}
            within = _Found(self.looks, True)
            within.walk(document)
            for place, name, _ in within.places:
                place[name] = BLANK
            if within.places or within.changed:
                self.changed = True
                try:
                    node[key] = orjson.dumps(document).decode()
                except orjson.JSONEncodeError:
                    node[key] = BLANK
                return
        if self.looks and (clean := _without(value)) != value:
            self.changed = True
            node[key] = clean


def _without(text: str) -> str:
    """A text without what looks like a secret."""
    text = _LOOK.sub(lambda found: f"{found['name'] or ''}{BLANK}", text)
    kept, place = [], 0
    for found in _OPTION.finditer(text):
        if found.start() >= place and is_secret_key(found[0]):
            given = _ITS_VALUE.match(text, found.end())
            if given is not None:
                kept += [text[place : found.end()], " ", BLANK]
                place = given.end()
    return "".join((*kept, text[place:]))
