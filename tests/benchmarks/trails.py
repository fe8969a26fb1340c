"""CloudTrail records, as many as a benchmark wants: of the usual mix, and of the usual length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_ACCOUNT = "111122223333"
_AGENT = (
    "APN/1.0 Example/1.0 Infrastructure/1.9.2 (+https://www.example.com/infrastructure) "
    "aws-sdk-go-v2/1.30.4 ua/2.1 os/linux lang/go#1.22.6 md/GOOS#linux md/GOARCH#amd64"
)


def _identity(number: int) -> dict[str, Any]:
    role, session = f"deploy-{number % 40}", f"run-{number % 400}"
    issuer = {
        "type": "Role", "principalId": f"AROAEXAMPLEROLE{number % 40:06d}",
        "arn": f"arn:aws:iam::{_ACCOUNT}:role/{role}", "accountId": _ACCOUNT, "userName": role,
    }  # fmt: skip
    attributes = {"creationDate": "2026-11-20T22:10:31Z", "mfaAuthenticated": "false"}
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLEROLE{number % 40:06d}:{session}",
        "arn": f"arn:aws:sts::{_ACCOUNT}:assumed-role/{role}/{session}",
        "accountId": _ACCOUNT,
        "accessKeyId": f"ASIAEXAMPLEKEY{number % 400:06d}",
        "sessionContext": {"sessionIssuer": issuer, "attributes": attributes},
    }


def _read(number: int) -> dict[str, Any]:
    """A data event: an object read."""
    bucket, key = f"example-logs-{number % 50}", f"2026/11/20/part-{number}.json.gz"
    return {
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "readOnly": True,
        "requestParameters": {
            "bucketName": bucket, "key": key, "Host": f"{bucket}.s3.eu-west-1.amazonaws.com",
        },
        "additionalEventData": {
            "SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": 0, "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": "EXAMPLEidEXAMPLEidEXAMPLEidEXAMPLEid", "bytesTransferredOut": 11342,
        },
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"},
            {"accountId": _ACCOUNT, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"},
        ],
        "managementEvent": False, "eventCategory": "Data",
    }  # fmt: skip


def _describe(number: int) -> dict[str, Any]:
    """A management event that reads, by far the commonest."""
    return {
        "eventSource": "ec2.amazonaws.com", "eventName": "DescribeInstances", "readOnly": True,
        "requestParameters": {
            "maxResults": 1000,
            "instancesSet": {"items": [{"instanceId": f"i-{number % 9000:017x}"}]},
            "filterSet": {"items": [
                {"name": "instance-state-name", "valueSet": {"items": [
                    {"value": "pending"}, {"value": "running"}, {"value": "stopping"}]}},
                {"name": "tag:environment", "valueSet": {"items": [{"value": "production"}]}},
                {"name": "vpc-id", "valueSet": {"items": [{"value": "vpc-0123456789abcdef0"}]}},
            ]},
        },
        "managementEvent": True, "eventCategory": "Management",
    }  # fmt: skip


def _decrypt(number: int) -> dict[str, Any]:
    key = f"1234abcd-12ab-34cd-56ef-{number % 100:012d}"
    arn = f"arn:aws:kms:eu-west-1:{_ACCOUNT}:key/{key}"
    return {
        "eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "readOnly": True,
        "requestParameters": {
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "encryptionContext": {"aws:s3:arn": f"arn:aws:s3:::example-logs-{number % 50}"},
        },
        "resources": [{"accountId": _ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}],
        "managementEvent": True, "eventCategory": "Management",
    }  # fmt: skip


def _attach(number: int) -> dict[str, Any]:
    """A change."""
    return {
        "eventSource": "iam.amazonaws.com", "eventName": "AttachRolePolicy", "readOnly": False,
        "requestParameters": {
            "roleName": f"reader-{number % 300}",
            "policyArn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
        },
        "managementEvent": True, "eventCategory": "Management",
    }  # fmt: skip


_MIX = (
    _describe,
    _read,
    _describe,
    _decrypt,
    _read,
    _describe,
    _read,
    _describe,
    _decrypt,
    _attach,
)


def trail_lines(count: int) -> Iterator[str]:
    """Records of some 1.7 KB: reads, data, keys used, and one change in ten."""
    for number in range(count):
        said = _MIX[number % len(_MIX)](number)
        record = {
            "eventVersion": "1.11", "userIdentity": _identity(number),
            "eventTime": f"2026-11-20T23:{number // 60 % 60:02d}:{number % 60:02d}Z",
            "awsRegion": "eu-west-1", "sourceIPAddress": f"198.51.100.{number % 250 + 1}",
            "userAgent": _AGENT, "responseElements": None, **said,
            "requestID": f"6ac9e3b7-7c1f-4f0c-8a55-{number:012d}",
            "eventID": f"0e1c5f2a-93d4-4b7e-b0a6-{number:012d}",
            "eventType": "AwsApiCall", "recipientAccountId": _ACCOUNT,
            "tlsDetails": {
                "tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": "service.eu-west-1.amazonaws.com",
            },
        }  # fmt: skip
        yield json.dumps(record, separators=(",", ":"))
