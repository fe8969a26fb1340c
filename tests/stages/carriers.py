"""One line as each shipper carries it. Field names as the shippers' documentation has them."""

from __future__ import annotations

from typing import Any

import orjson

HOST = "broker-1"
FILE = "/var/log/kafka/server.log"
AT = "2026-11-20T23:52:45.001Z"
NANOS = "2026-11-20T23:52:45.001000000Z"
PIECE = 16 * 1024


def filebeat(line: str, offset: int = 0, **more: Any) -> bytes:
    """Elastic Filebeat 7 and later, JSON output."""
    return orjson.dumps(
        {
            "@timestamp": AT,
            "@metadata": {"beat": "filebeat", "type": "_doc"},
            "log": {"offset": offset, "file": {"path": FILE}},
            "message": line,
            "input": {"type": "filestream"},
            "host": {"name": HOST},
            "agent": {"type": "filebeat", "hostname": HOST},
            **more,
        }
    )


def vector(line: str, offset: int = 0, **more: Any) -> bytes:
    """Vector's file source with ``offset_key``."""
    return orjson.dumps(
        {
            "file": FILE,
            "host": HOST,
            "message": line,
            "offset": offset,
            "source_type": "file",
            "timestamp": NANOS,
            **more,
        }
    )


def fluent_bit(line: str, offset: int = 0, **more: Any) -> bytes:
    """Fluent Bit's tail input with ``Path_Key`` and ``Offset_Key``, host by a modify filter."""
    return orjson.dumps(
        {"date": 1795218765.001, "path": FILE, "offset": offset, "hostname": HOST, "log": line}
        | more
    )


def kubernetes(line: str, tag: str = "F", pod: str = "kafka-0", **more: Any) -> bytes:
    """Fluent Bit with the CRI parser and the kubernetes filter."""
    return orjson.dumps(
        {
            "date": 1795218765.001,
            "stream": "stdout",
            "logtag": tag,
            "log": line,
            "kubernetes": {
                "pod_name": pod,
                "namespace_name": "kafka",
                "host": "node-1",
                "container_name": "kafka",
            },
            **more,
        }
    )


def docker(line: str, stream: str = "stdout", **more: Any) -> bytes:
    """Docker's json-file driver. A line without its line break is a piece."""
    return orjson.dumps({"log": line, "stream": stream, "time": NANOS, **more})


def docker_pieces(line: str) -> list[bytes]:
    """A long line as Docker writes it: 16 KiB at a time, a line break behind the last."""
    parts = [line[at : at + PIECE] for at in range(0, len(line), PIECE)]
    return [docker(part) for part in parts[:-1]] + [docker(parts[-1] + "\n")]


def cri(line: str | bytes, tag: str = "F", stream: str = "stdout") -> bytes:
    """Kubernetes' container runtime interface."""
    value = line.encode() if isinstance(line, str) else line
    return f"{NANOS} {stream} {tag} ".encode() + value


def cri_pieces(line: str, size: int = PIECE) -> list[bytes]:
    """A long line as a container runtime writes it: in bytes, wherever a character ends."""
    value = line.encode()
    parts = [value[at : at + size] for at in range(0, len(value), size)]
    return [cri(part, "P") for part in parts[:-1]] + [cri(parts[-1], "F")]
