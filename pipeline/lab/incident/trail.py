"""The cloud account's trail of the day: CloudTrail records, made up around the time of the play.

Their shape is that of event version 1.08 and later: the user guide's "CloudTrail record contents",
with parameters as S3, IAM, KMS, STS, MSK and CloudTrail itself record them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pipeline.lab.incident.cast import ADMIN_HOST, OUTSIDER_HOST

Document = dict[str, Any]

ACCOUNT = "111122223333"
FOREIGN_ACCOUNT = "444455556666"
BUCKET = "example-kafka-data"
ROLE = "kafka-backup"
KEY = "0a1b2c3d-0000-4000-8000-00000000cafe"
TRAIL = "example-audit"
SUPPORT_ROLE = "AWSServiceRoleForSupport"

_REGION = "eu-central-1"
_CI_HOST = "192.0.2.40"
_FOREIGN_HOST = "203.0.113.77"
_SUPPORT = "support.amazonaws.com"
_CLUSTER = f"arn:aws:kafka:{_REGION}:{ACCOUNT}:cluster/prod/5f0c7a52-0000-4000-8000-000000000001-2"
_KEY = f"arn:aws:kms:{_REGION}:{ACCOUNT}:key/{KEY}"
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
_TOOL = "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.7"


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who calls: `userIdentity`, and from where with what."""

    identity: Mapping[str, Any]
    address: str
    agent: str = _TOOL


def records(ended: datetime) -> list[Document]:
    """The day's records, in order; the play on the broker ended at `ended` (UTC)."""
    calls = (*_ordinary(ended), *_outsiders(ended))
    return [_completed(call, ended) for call in calls]


def _ordinary(ended: datetime) -> Iterator[Document]:
    """What the account sees every day, and a support that nobody asked for."""
    admin = _Caller(_user("admin", keys=""), ADMIN_HOST, _BROWSER)
    with_mfa = {"attributes": {"creationDate": _at(ended, -95), "mfaAuthenticated": "true"}}
    console = _Caller(
        _user("admin", keys="ASIA", sessionContext=with_mfa), ADMIN_HOST, f"[{_BROWSER}]"
    )
    yield _signed_in(admin, -95)
    yield _policy_put(console, -93, _OWN_BACKUP)
    yield _role_assumed(_Caller(_user("ci"), _CI_HOST), -60, "kafka-deploy", "build-1042")
    build = _Caller(_session("kafka-deploy", "build-1042", _at(ended, -60)), _CI_HOST)
    yield _call(build, -59, "kafka", "DescribeClusterV2", _cluster(), readOnly=True)
    yield _call(build, -58, "kms", "DescribeKey", {"keyId": KEY}, readOnly=True, resources=_key())
    role = _session(SUPPORT_ROLE, "support-case", _at(ended, -40), f"aws-service-role/{_SUPPORT}/")
    support = _Caller(role | {"invokedBy": _SUPPORT}, _SUPPORT, _SUPPORT)
    yield _call(support, -39, "kafka", "DescribeClusterV2", _cluster(), readOnly=True)
    yield _call(
        support, -38, "s3", "GetBucketPolicy", _bucket(policy=""), readOnly=True,
        resources=_things("AWS::S3::Bucket", f"arn:aws:s3:::{BUCKET}"),
    )  # fmt: skip


def _outsiders(ended: datetime) -> Iterator[Document]:
    """Whoever guessed the application's password has a key of the user `deploy` too."""
    deploy = _Caller(_user("deploy"), OUTSIDER_HOST)
    yield _call(deploy, 4, "sts", "GetCallerIdentity", None, readOnly=True)
    yield _policy_put(deploy, 6, _OWN_BACKUP, _statement(f"arn:aws:iam::{FOREIGN_ACCOUNT}:root"))
    trusted = {"Effect": "Allow", "Action": "sts:AssumeRole",
               "Principal": {"AWS": f"arn:aws:iam::{FOREIGN_ACCOUNT}:root"}}  # fmt: skip
    trust = {"roleName": ROLE, "policyDocument": json.dumps(_policy(trusted))}
    yield _call(deploy, 7, "iam", "UpdateAssumeRolePolicy", trust, awsRegion="us-east-1")
    foreign = {"type": "AWSAccount", "principalId": _unique("AIDA", "foreign"),
               "accountId": FOREIGN_ACCOUNT}  # fmt: skip
    # The other account has a record of this one too.
    shared = {"sharedEventID": str(uuid5(NAMESPACE_URL, _at(ended, 8)))}
    yield _role_assumed(_Caller(foreign, _FOREIGN_HOST), 8, ROLE, "copy", **shared)
    until = (ended + timedelta(days=7)).strftime("%b %-d, %Y, %-I:%M:%S %p")
    yield _call(
        deploy, 10, "kms", "ScheduleKeyDeletion", {"keyId": KEY, "pendingWindowInDays": 7},
        responseElements={"keyId": _KEY, "deletionDate": until, "keyState": "PendingDeletion",
                          "pendingWindowInDays": 7},
        resources=_key(),
    )  # fmt: skip
    # The last that the trail delivers.
    yield _call(deploy, 11, "cloudtrail", "StopLogging", {"name": TRAIL})


def _call(
    caller: _Caller, minutes: int, service: str, name: str, parameters: Document | None, **more: Any
) -> Document:
    """A record but for its time and ids, so many `minutes` after the play."""
    return {
        "eventVersion": "1.11",
        "userIdentity": dict(caller.identity),
        "eventTime": minutes,
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": _REGION,
        "sourceIPAddress": caller.address,
        "userAgent": caller.agent,
        "requestParameters": parameters,
        "responseElements": None,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **more,
    }


def _completed(call: Document, ended: datetime) -> Document:
    """The record with its time, with ids that are the same each time, and with its encryption."""
    at = _at(ended, call["eventTime"])
    unique = uuid5(NAMESPACE_URL, f"{call['eventName']} {at}")
    asked = uuid5(unique, "request")
    is_bucket = call["eventSource"].startswith("s3.")
    host = call["eventSource"]
    if host != "iam.amazonaws.com":
        host = host.replace(".", f".{_REGION}.", 1)
    tls = {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
           "clientProvidedHostHeader": f"{BUCKET}.{host}" if is_bucket else host}  # fmt: skip
    ids = {"requestID": asked.hex[:16].upper() if is_bucket else str(asked)}
    return {
        **call,
        "eventTime": at,
        **(ids if call["eventType"] == "AwsApiCall" else {}),
        "eventID": str(unique),
        **({} if call["sourceIPAddress"] == _SUPPORT else {"tlsDetails": tls}),
    }


def _at(ended: datetime, minutes: int) -> str:
    return (ended + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _unique(kind: str, name: str) -> str:
    """An id as IAM gives to users (AIDA), roles (AROA) and access keys (AKIA, ASIA)."""
    return f"{kind}{name.upper().replace('-', '')[:9]:0<9}EXAMPLE"


def _user(name: str, keys: str = "AKIA", **more: Any) -> Document:
    return {
        "type": "IAMUser",
        "principalId": _unique("AIDA", name),
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        **({"accessKeyId": _unique(keys, name)} if keys else {}),
        "userName": name,
        **more,
    }


def _session(role: str, name: str, since: str, path: str = "") -> Document:
    unique = _unique("AROA", role)
    issuer = {"type": "Role", "principalId": unique, "accountId": ACCOUNT, "userName": role,
              "arn": f"arn:aws:iam::{ACCOUNT}:role/{path}{role}"}  # fmt: skip
    return {
        "type": "AssumedRole",
        "principalId": f"{unique}:{name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": _unique("ASIA", role),
        "sessionContext": {
            "sessionIssuer": issuer,
            "attributes": {"creationDate": since, "mfaAuthenticated": "false"},
        },
    }


def _signed_in(caller: _Caller, minutes: int) -> Document:
    return _call(
        caller, minutes, "signin", "ConsoleLogin", None,
        responseElements={"ConsoleLogin": "Success"},
        additionalEventData={
            "LoginTo": f"https://{_REGION}.console.aws.amazon.com/console/home",
            "MobileVersion": "No",
            "MFAIdentifier": f"arn:aws:iam::{ACCOUNT}:mfa/admin",
            "MFAUsed": "Yes",
        },
        eventType="AwsConsoleSignIn",
    )  # fmt: skip


def _role_assumed(
    caller: _Caller, minutes: int, role: str, name: str, **more: Any
) -> Document:  # fmt: skip
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    session = _session(role, name, "")
    taken = {"assumedRoleId": session["principalId"], "arn": session["arn"]}
    return _call(
        caller, minutes, "sts", "AssumeRole", {"roleArn": arn, "roleSessionName": name},
        responseElements={
            "credentials": {"accessKeyId": session["accessKeyId"],
                            "sessionToken": f"{name}-token-of-the-incident"},
            "assumedRoleUser": taken,
        },
        readOnly=True,
        resources=_things("AWS::IAM::Role", arn),
        **more,
    )  # fmt: skip


def _policy_put(caller: _Caller, minutes: int, *statements: Document) -> Document:
    return _call(
        caller, minutes, "s3", "PutBucketPolicy",
        _bucket(policy="", bucketPolicy=_policy(*statements)),
        resources=_things("AWS::S3::Bucket", f"arn:aws:s3:::{BUCKET}"),
        additionalEventData={"SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader",
                             "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredOut": 0},
    )  # fmt: skip


def _policy(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _statement(principal: str) -> Document:
    everything = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    return {"Effect": "Allow", "Principal": {"AWS": principal},
            "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": everything}  # fmt: skip


_OWN_BACKUP = _statement(f"arn:aws:iam::{ACCOUNT}:role/{ROLE}")


def _bucket(**more: Any) -> Document:
    return {"bucketName": BUCKET, "Host": f"{BUCKET}.s3.{_REGION}.amazonaws.com", **more}


def _cluster() -> Document:
    return {"clusterArn": _CLUSTER.replace(":", "%3A").replace("/", "%2F")}


def _key() -> list[Document]:
    return _things("AWS::KMS::Key", _KEY)


def _things(kind: str, arn: str) -> list[Document]:
    return [{"accountId": ACCOUNT, "type": kind, "ARN": arn}]
