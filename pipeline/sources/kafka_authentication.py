"""Logins at a Kafka broker, failed and successful, as the broker's network layer logs them.

Event: 3002 Authentication, Logon, one a line.

::

    [SocketServer …] Failed authentication with /192.0.2.7 (reason)
    [SocketServer …] Failed re-authentication with /192.0.2.7 (channelId=local:port-remote:port-n) (reason)
    [SocketServer …] Failed authentication with /192.0.2.7 (channelId=…, userId=name) (reason)
    [SocketServer …] Successfully authenticated with /192.0.2.7

The channelId is there since 3.2 (KAFKA-13539); Confluent's builds add a userId, which is what the
client claimed to be, not who it is. Apache Kafka names no user at all. A client library of the
same process writes the same words behind another prefix (``[Producer clientId=…]``,
``[NodeToControllerChannelManager …]``): its failures are not logins at this broker. The reason
may quote a client's text. Source of the format: ``org.apache.kafka.common.network.Selector``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

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
_BROKER = "[SocketServer"
_LONGEST_PREFIX = 400
_CHANNEL = re.compile(r"\[?([0-9A-Fa-f.:%\w]+?)\]?:(\d{1,5})-\[?([0-9A-Fa-f.:%\w]+?)\]?:(\d{1,5})(-\d+)*")
_LONGEST_CHANNEL = 300
_MECHANISM = re.compile(r"SASL mechanism ([A-Z0-9_-]{1,40})")
_MOST_NAME = 1024


class Login(NamedTuple):
    """What a message states. ``user`` is what the client claims to be, or empty."""

    success: bool
    again: bool
    host: str
    channel: str
    user: str
    reason: str


def _phrase(message: str) -> tuple[str, str, str] | None:
    """Prefix, phrase and the rest, or None where it is no such message."""
    start = 0
    if message.startswith("["):
        close = message.find("] ", 0, _LONGEST_PREFIX)
        if close < 0:
            return None
        start = close + 2
    for phrase in _PHRASES:
        if message.startswith(phrase, start):
            return message[:start], phrase, message[start + len(phrase) :]
    return None


def parse(message: str, complete: bool = True) -> Login | Filtered:
    """Read one message of the Selector.

    Raises:
        Unreadable: ``torn`` where the end is missing, ``unknown_layout`` where no address stands.
    """
    parts = _phrase(message)
    if parts is None:
        return Filtered(f"logger:{_SELECTOR}")
    prefix, phrase, rest = parts
    success, again = _PHRASES[phrase]
    peer, _, details = rest.partition(" ")
    host = peer.rpartition("/")[2]
    if not prefix.startswith(_BROKER) and (prefix or not peer.startswith("/")):
        return Filtered("kafka_authentication:client_side")
    if not host or "/" not in peer:
        raise Unreadable(Reason.UNKNOWN_LAYOUT, "an address as /192.0.2.7 was expected")
    if not complete:
        channel, user, _ = _details(details)
        return Login(success, again, host, channel, user, "")
    if success:
        if details:
            raise Unreadable(Reason.UNKNOWN_LAYOUT, "text behind the address of a successful login")
        return Login(success, again, host, "", "", "")
    if not (details.startswith("(") and details.endswith(")")):
        raise Unreadable(Reason.TORN, "the reason in brackets is missing at its end")
    return Login(success, again, host, *_details(details[:-1]))


def _details(text: str) -> tuple[str, str, str]:
    """channelId, userId and reason out of ``(channelId=…, userId=…) (reason``."""
    channel = user = ""
    while text.startswith(("(channelId=", "(userId=", "(user=")):
        inside, between, rest = text[1:].partition(") (")
        if not between:
            break
        for part in inside.split(", "):
            name, _, value = part.partition("=")
            if name == "channelId":
                channel = value[:_LONGEST_CHANNEL]
            elif name in ("userId", "user"):
                user = value[:_MOST_NAME]
        text = "(" + rest
    reason = text.removeprefix("(")
    if not user:
        user = _user_in_reason(reason)
    return channel, user, reason


def _user_in_reason(reason: str) -> str:
    """The name in ``…, userId=name`` or ``… userId name`` at a reason's end."""
    _, found, name = reason.rpartition("userId=")
    return name.strip(" ,.)")[:_MOST_NAME] if found else ""


def _read(line: Line, reading: Reading) -> Outcome:
    said = parse(line.message, line.complete)
    if isinstance(said, Filtered):
        return said
    at, precision, spots = moment(line, reading)
    event = Event(at, AUTHENTICATION, 1, "success" if said.success else "failure", SOURCE.name)
    event.time_precision = precision
    event.address = reading.address(said.host)
    event.operation = "RE_AUTHENTICATE" if said.again else "AUTHENTICATE"
    event.forgery, event.suspect = line.forgery, line.suspect
    if "\n" in line.message:
        event.forgery = Forgery.LINE_BREAK.value
    if said.user:
        event.actor = said.user if said.user.startswith("User:") else f"User:{said.user}"
    else:
        spots = (*spots, BlindSpot.NO_PRINCIPAL.value)
    event.blind_spots = spots
    event.message = (
        f"{'Successful' if said.success else 'Failed'} "
        f"{'re-authentication' if said.again else 'authentication'} from {said.host}"
        + (f": {said.reason}" if said.reason else "")
    )
    return Fact(
        event,
        stamp=line.stamp,
        document=_document(said, event, reading),
        extension=_extension(said),
    )


def _document(said: Login, event: Event, reading: Reading) -> dict[str, object]:
    document: dict[str, object] = {"service": {"name": "kafka"}}
    if said.reason:
        document["status_detail"] = said.reason
    mechanism = _MECHANISM.search(said.reason[:400])
    if mechanism:
        document["auth_protocol_id"] = 99
        document["auth_protocol"] = f"SASL/{mechanism[1]}"
    ends = _CHANNEL.fullmatch(said.channel)
    source: dict[str, object] = {"ip": event.address} if event.address else {"name": said.host}
    if ends:
        local = reading.address(ends[1])
        if local and int(ends[2]) < 65536:
            document["dst_endpoint"] = {"ip": local, "port": int(ends[2])}
        if int(ends[4]) < 65536 and reading.address(ends[3]) == event.address:
            source["port"] = int(ends[4])
    document["src_endpoint"] = source
    return document


def _extension(said: Login) -> dict[str, object]:
    extension: dict[str, object] = {}
    if said.channel:
        extension["channel"] = said.channel
    if said.user:
        extension["claimed"] = True
    return extension


def _recognise(text: str) -> bool:
    return _phrase(text[: _LONGEST_PREFIX + 60]) is not None


def _whole(message: str) -> bool:
    parts = _phrase(message)
    if parts is None:
        return True
    details = parts[2].partition(" ")[2]
    if _PHRASES[parts[1]][0]:
        return not details
    return details.startswith("(") and details.endswith(")")


def _one_line(message: str) -> bool:
    return _phrase(message) is not None


SOURCE = Source(
    name="kafka_authentication",
    title="Kafka broker log: failed and successful logins",
    documentation=__doc__,
    product={"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"},
    read=each(_read),
    loggers=(_SELECTOR,),
    recognise=_recognise,
    whole=_whole,
    one_line=_one_line,
    shapes=("failed", "failed_channel", "failed_user", "re_authentication", "successful")
    + ("ipv6", "client_side", "bare"),
    blind_spots=(
        "Apache Kafka names no user in a failed login: count by address, never by user.",
        "Successful logins are written at DEBUG only, and never name the principal.",
        "Behind a load balancer or NAT the address is the balancer's.",
    ),
)
