"""Logins at a Kafka broker, failed and successful, as the broker's network layer logs them.

Event: 3002 Authentication, Logon, one a line.

::

    [SocketServer …] Failed authentication with /192.0.2.7 (reason)
    [SocketServer …] Failed re-authentication with /192.0.2.7 (channelId=…) (reason)
    [SocketServer …] Failed authentication with /192.0.2.7 (channelId=…, userId=name) (reason)
    [SocketServer …] Successfully authenticated with /192.0.2.7

The channelId (``local:port-remote:port-n``) is there since 3.2 (KAFKA-13539); Confluent's builds
add a userId: what the client claimed to be, not who it is. Apache Kafka names no user at all. A
client library of the same process writes the same words behind another prefix
(``[Producer clientId=…]``, ``[NodeToControllerChannelManager …]``): not logins at this broker. A
reason may quote the client (``Unsupported SASL mechanism …``), so it names a user only where the
broker's own words begin it. Source of the format: ``org.apache.kafka.common.network.Selector``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pipeline.batch import Fact, Filtered, Line, Outcome, Reading, Source, each, moment
from pipeline.errors import Reason, Unreadable
from schemas.types import Event
from schemas.vocabulary import AUTHENTICATION, BlindSpot, Forgery

_SELECTOR = "org.apache.kafka.common.network.Selector"
_PHRASES = {
    "Failed authentication with ": (False, False),
    "Failed re-authentication with ": (False, True),
    "Successfully authenticated with ": (True, False),
    "Successfully re-authenticated with ": (True, True),
}
_WORDS = ("authentication with /", "authenticated with /")
_BROKER = "[SocketServer"
_LONGEST_PREFIX, _LONGEST_CHANNEL = 400, 300
_MECHANISM = re.compile(r"SASL mechanism (PLAIN|SCRAM-SHA-256|SCRAM-SHA-512|GSSAPI|OAUTHBEARER)\b")
_GROUPS = ("(channelId=", "(userId=")


class Login(NamedTuple):
    """What a message states. ``user`` is what the client claims to be, or empty.
    ``ambiguous``: brackets leave it open where that name ends.
    """

    success: bool
    again: bool
    host: str
    channel: str = ""
    user: str = ""
    reason: str = ""
    ambiguous: bool = False


def _phrase(message: str) -> tuple[str, str, str] | None:
    """Prefix, phrase and the rest, or None where it is no such message."""
    start = 0
    if message.startswith("["):
        start = message.find("] ", 0, _LONGEST_PREFIX) + 2
    for phrase in _PHRASES:
        if message.startswith(phrase, start):
            return message[:start], phrase, message[start + len(phrase) :]
    return None


def parse(message: str, complete: bool = True) -> Login | Filtered:
    """Read one message of the Selector.

    Raises:
        Unreadable: ``torn`` without its end, ``unknown_layout`` without an address or its prefix.
    """
    parts = _phrase(message)
    if parts is None:
        if any(words in message for words in _WORDS):
            raise Unreadable(Reason.UNKNOWN_LAYOUT, "a login behind text that no broker writes")
        return Filtered(f"logger:{_SELECTOR}")
    prefix, phrase, rest = parts
    success, again = _PHRASES[phrase]
    peer, _, details = rest.partition(" ")
    if not prefix.startswith(_BROKER) and (prefix or not peer.startswith("/")):
        return Filtered("kafka_authentication:client_side")
    host = peer.rpartition("/")[2]
    if not host or "/" not in peer:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "an address as /192.0.2.7 was expected")
    in_channel = details.startswith("(channelId=") and not re.search(r"\)|, userId=", details)
    if not complete and (success or in_channel or not details.startswith("(")):
        raise Unreadable(Reason.TORN, "cut where no client's text stands")
    if not complete:
        return Login(success, again, host, _details(details)[0])
    if success and not details:
        return Login(success, again, host)
    if success and details.startswith(_GROUPS):
        details += " ()"
    elif success:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "text behind the address of a successful login")
    if not (details.startswith("(") and details.endswith(")")):
        raise Unreadable(Reason.TORN, "the reason in brackets is missing at its end")
    channel, user, reason, ambiguous = _details(details[:-1])
    if not user and reason.startswith("Authentication failed"):
        user = reason.partition("userId=")[2]
    return Login(success, again, host, channel, user, reason, ambiguous)


def _details(text: str) -> tuple[str, str, str, bool]:
    """Channel, user, reason, and whether they can be read in more ways than one.

    A user's name is the client's text and may hold brackets: it ends at the last that fits.
    """
    channel = ""
    if text.startswith("(channelId="):
        end = min(p for p in (text.find(")", 11), text.find(", userId=", 11), len(text)) if p >= 0)
        channel = text[11:end][:_LONGEST_CHANNEL]
        text = text[end:].removeprefix(")").removeprefix(" ")
        text = "(" + text[2:] if text.startswith(", userId=") else text
    if text.startswith("(userId="):
        user, between, reason = text[8:].rpartition(") (")
        return channel, user, reason if between else "", ") (" in user
    return channel, "", text.removeprefix("("), False


def _read(line: Line, reading: Reading) -> Outcome:
    said = parse(line.message, line.complete)
    if isinstance(said, Filtered):
        return said
    at, precision, spots = moment(line, reading)
    outcome = "success" if said.success else "failure"
    event = Event(at, AUTHENTICATION, 1, outcome, SOURCE.name, address=reading.address(said.host))
    event.time_precision, event.suspect = precision, line.suspect or said.ambiguous
    event.operation = "RE_AUTHENTICATE" if said.again else "AUTHENTICATE"
    event.forgery = line.forgery
    if said.ambiguous:
        event.forgery = event.forgery or Forgery.IMITATION.value
        spots = (*spots, BlindSpot.AMBIGUOUS_PRINCIPAL.value)
    elif "\n" in line.message:
        event.forgery = event.forgery or Forgery.LINE_BREAK.value
    if said.user:
        event.actor = said.user if said.user.startswith("User:") else f"User:{said.user}"
    event.blind_spots = spots if said.user else (*spots, BlindSpot.NO_PRINCIPAL.value)
    event.message = (
        f"{'Successful' if said.success else 'Failed'} {'re-' * said.again}authentication"
    )
    event.message += f" from {said.host}" + (f": {said.reason}" if said.reason else "")
    extension: dict[str, Any] = {"channel": said.channel} if said.channel else {}
    if said.user:
        extension["claimed"] = True
    return Fact(event, line.stamp, document=_document(said, event, reading), extension=extension)


def _document(said: Login, event: Event, reading: Reading) -> dict[str, Any]:
    document: dict[str, Any] = {"service": {"name": "kafka"}}
    if said.reason:
        document["status_detail"] = said.reason
    if mechanism := _MECHANISM.search(said.reason[:400]):
        document["auth_protocol_id"] = 99
        document["auth_protocol"] = f"SASL/{mechanism[1]}"
    local, remote = (_endpoint(part, reading) for part in [*said.channel.split("-"), ""][:2])
    if local:
        document["dst_endpoint"] = local
    document["src_endpoint"] = {"ip": event.address} if event.address else {"name": said.host}
    if event.address and remote.get("ip") == event.address:
        document["src_endpoint"] = remote
    return document


def _endpoint(text: str, reading: Reading) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    ip = reading.address(host.strip("[]"))
    a_port = port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536
    return {"ip": ip, "port": int(port)} if ip and a_port else {}


def _whole(message: str) -> bool:
    parts = _phrase(message)
    if parts is None or _PHRASES[parts[1]][0]:
        return True
    details = parts[2].partition(" ")[2]
    return details.startswith("(") and details.endswith(")")


SOURCE = Source(
    name="kafka_authentication",
    title="Kafka broker log: failed and successful logins",
    documentation=__doc__,
    product={"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"},
    read=each(_read),
    loggers=(_SELECTOR,),
    recognise=lambda text: _phrase(text[: _LONGEST_PREFIX + 60]) is not None,
    whole=_whole,
    one_line=lambda message: _phrase(message) is not None,
    shapes=("failed", "failed_channel", "failed_user", "re_authentication", "successful",
            "ipv6", "client_side", "bare", "threads", "prefixed", "broken", "unreadable"),
    blind_spots=(
        "Apache Kafka names no user in a failed login: count by address, never by user.",
        "Successful logins are written at DEBUG only, and never name the principal.",
        "Behind a load balancer or NAT the address is the balancer's.",
    ),
)  # fmt: skip
