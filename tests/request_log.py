"""Lines of Kafka's request log, as `RequestConvertToJson` writes them."""

from __future__ import annotations

import json
from typing import Any

from pipeline.kafka.protocol import APIS

Body = dict[str, Any]
LOGGER = "kafka.request.logger"


def constant(api: str) -> str:
    """The API's name as Kafka's code writes it."""
    return "".join(f"_{c}" if c.isupper() else c.upper() for c in api).lstrip("_")


def message(
    api: str,
    request: Any,
    response: Any,
    *,
    key: int | None = None,
    principal: Any = "User:admin",
    client_id: Any = "adminclient-1",
    correlation: int = 7,
    forwarded: bool = False,
    connection: str = "192.0.2.1:9092-192.0.2.9:51234-17",
    **more: Any,
) -> str:
    """What the logger is given. ``more`` replaces fields of the record."""
    number = APIS.index(api) if key is None else key
    said: Body = {
        "isForwarded": forwarded,
        "requestHeader": {
            "requestApiKey": number, "requestApiVersion": 1, "correlationId": correlation,
            "clientId": client_id, "requestApiKeyName": constant(api),
        },
        "request": request,
        "response": response,
        "connection": "192.0.2.2:9093-192.0.2.1:38488-2-0" if forwarded else connection,
        "totalTimeMs": 12.345, "requestQueueTimeMs": 0.1, "localTimeMs": 1.2,
        "remoteTimeMs": 10.7, "throttleTimeMs": 0, "responseQueueTimeMs": 0.1, "sendTimeMs": 0.2,
        "securityProtocol": "PLAINTEXT" if forwarded else "SASL_SSL",
        "principal": principal,
        "listener": "CONTROLLER" if forwarded else "EXTERNAL",
        "clientInformation": {"softwareName": "apache-kafka-java", "softwareVersion": "4.1.1"},
    }  # fmt: skip
    said |= more
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return f"Completed request:{text}"


def line(api: str, request: Any, response: Any, *, second: int = 0, **how: Any) -> str:
    """The same in Kafka's default layout."""
    stamp = f"[2026-11-20 23:52:{second:02d},297]"
    return f"{stamp} DEBUG {message(api, request, response, **how)} ({LOGGER})"
