"""One line as each shipper carries it. Field names as the shippers' documentation has them."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Sequence
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


# Cloud services: texts in, one document out that holds them all.

ACCOUNT = "111122223333"
QUEUE = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:example-queue"
TOPIC = f"arn:aws:sns:eu-central-1:{ACCOUNT}:example-topic"
AT_MS = 1795218765001


def base64(text: str, pack: bool = False) -> str:
    """Text in base64, gzip inside where asked for."""
    data = text.encode()
    return b64encode(gzip.compress(data) if pack else data).decode()


def sqs(texts: Sequence[str]) -> str:
    """What SQS ReceiveMessage returns."""
    attributes = {"SentTimestamp": str(AT_MS), "ApproximateReceiveCount": "1"}
    several = [
        {"MessageId": f"m-{n}", "ReceiptHandle": "AQEB", "Body": text, "Attributes": attributes}
        for n, text in enumerate(texts)
    ]
    return orjson.dumps({"Messages": several}).decode()


def sqs_to_lambda(texts: Sequence[str]) -> str:
    """What Lambda gets from a queue."""
    said = {"eventSource": "aws:sqs", "eventSourceARN": QUEUE, "awsRegion": "eu-central-1"}
    attributes = {"SentTimestamp": str(AT_MS)}
    several = [
        {"messageId": f"m-{n}", "body": text, "attributes": attributes, **said}
        for n, text in enumerate(texts)
    ]
    return orjson.dumps({"Records": several}).decode()


def sns(text: str) -> str:
    """An SNS notification."""
    said = {"Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Subject": "x"}
    return orjson.dumps(said | {"Message": text, "Timestamp": AT}).decode()


def sns_to_lambda(texts: Sequence[str]) -> str:
    """What Lambda gets from a topic."""
    said = {"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": TOPIC}
    several = [{**said, "Sns": orjson.loads(sns(text))} for text in texts]
    return orjson.dumps({"Records": several}).decode()


def event_bridge(text: str) -> str:
    """An EventBridge event around a JSON object."""
    said = {"version": "0", "id": "e-1", "detail-type": "AWS API Call via CloudTrail"}
    said |= {"source": "aws.iam", "account": ACCOUNT, "time": AT, "region": "eu-central-1"}
    return orjson.dumps(said | {"resources": [], "detail": orjson.loads(text)}).decode()


def firehose(texts: Sequence[str], pack: bool = False) -> str:
    """What Data Firehose hands to a transformation."""
    several = [
        {"recordId": f"r-{n}", "approximateArrivalTimestamp": AT_MS, "data": base64(text, pack)}
        for n, text in enumerate(texts)
    ]
    said = {"invocationId": "i-1", "deliveryStreamArn": "arn:example", "region": "eu-central-1"}
    return orjson.dumps(said | {"records": several}).decode()


def firehose_to_http(texts: Sequence[str], pack: bool = False) -> str:
    """What Data Firehose sends to an HTTP endpoint."""
    several = [{"data": base64(text + "\n", pack)} for text in texts]
    said = {"requestId": "q-1", "timestamp": AT_MS}
    return orjson.dumps(said | {"records": several}).decode()


def kinesis_to_lambda(texts: Sequence[str], pack: bool = False) -> str:
    """What Lambda gets from a stream."""
    said = {
        "eventSource": "aws:kinesis",
        "eventID": "shardId-0:1",
        "eventName": "aws:kinesis:record",
    }
    several = [
        said
        | {"kinesis": {"data": base64(text, pack), "approximateArrivalTimestamp": AT_MS / 1000}}
        for text in texts
    ]
    return orjson.dumps({"Records": several}).decode()


def cloud_watch(texts: Sequence[str], kind: str = "DATA_MESSAGE", stream: str = "broker-1") -> str:
    """A batch of a CloudWatch Logs subscription, as it is inside base64 and gzip."""
    events = [{"id": str(n), "timestamp": AT_MS, "message": text} for n, text in enumerate(texts)]
    said = {"messageType": kind, "owner": ACCOUNT, "logGroup": "/example/kafka"}
    said |= {"logStream": stream}
    return orjson.dumps(said | {"subscriptionFilters": ["all"], "logEvents": events}).decode()


def cloud_watch_to_lambda(texts: Sequence[str]) -> str:
    """What Lambda gets from a CloudWatch Logs subscription."""
    return orjson.dumps({"awslogs": {"data": base64(cloud_watch(texts), True)}}).decode()


def looked_up(texts: Sequence[str]) -> str:
    """What ``aws cloudtrail lookup-events`` prints."""
    several = [{"EventId": "e", "EventTime": AT, "CloudTrailEvent": text} for text in texts]
    return orjson.dumps({"Events": several, "NextToken": "x"}).decode()


def trail_file(texts: Sequence[str]) -> str:
    """A CloudTrail log file."""
    return orjson.dumps({"Records": [orjson.loads(text) for text in texts]}).decode()


def queue_notice(key: str = "AWSLogs/file.json.gz") -> str:
    """S3's notice of a new file."""
    where = {"bucket": {"name": "example-logs"}, "object": {"key": key, "size": 1}}
    said = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    return orjson.dumps({"Records": [said | {"s3": where}]}).decode()
