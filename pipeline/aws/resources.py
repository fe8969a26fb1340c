"""What a call is about: the thing acted upon, by CloudFormation's name for its kind and by the
short name that people know.

In order of trust: what a service is known to name, the record's own ``resources``, what the call's
name says it is about (``TerminateInstances``: ``instanceId``), names of parameters that are used
everywhere, the ARN in a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pipeline.aws.batches import done
from pipeline.aws.calls import verb_of
from pipeline.aws.kinds import kind_of_arn, kind_of_id, kind_of_key
from pipeline.aws.parameters import likeliest
from pipeline.aws.record import decoded, inner, last_part, said, text, texts


class Subject(NamedTuple):
    """What a call is about. ``uid``: its ARN, or empty; ``others``: further ARNs of the record;
    ``owner``: the account it is of, or empty."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    others: tuple[str, ...] = ()
    owner: str = ""


_NOTHING: Final = Subject()
_KNOWN: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "iam": (
        ("instanceProfileName", "AWS::IAM::InstanceProfile"), ("groupName", "AWS::IAM::Group"),
        ("roleName", "AWS::IAM::Role"), ("userName", "AWS::IAM::User"),
        ("policyArn", "AWS::IAM::ManagedPolicy"), ("policyName", "AWS::IAM::ManagedPolicy"),
        ("sAMLProviderArn", "AWS::IAM::SAMLProvider"),
        ("openIDConnectProviderArn", "AWS::IAM::OIDCProvider"),
        ("serverCertificateName", "AWS::IAM::ServerCertificate"),
        ("serialNumber", "AWS::IAM::VirtualMFADevice"),
        ("virtualMFADeviceName", "AWS::IAM::VirtualMFADevice"),
        ("accessKeyId", "AWS::IAM::AccessKey"), ("accountAlias", "AWS::IAM::AccountAlias"),
    ),
    "sts": (("roleArn", "AWS::IAM::Role"), ("name", "AWS::STS::FederatedUser"),
            ("targetPrincipal", "AWS::Account")),
    "kms": (("aliasName", "AWS::KMS::Alias"), ("keyId", "AWS::KMS::Key")),
    "secretsmanager": (
        ("secretId", "AWS::SecretsManager::Secret"), ("name", "AWS::SecretsManager::Secret"),
    ),
    "cloudtrail": (
        ("trailName", "AWS::CloudTrail::Trail"), ("trailARN", "AWS::CloudTrail::Trail"),
        ("eventDataStore", "AWS::CloudTrail::EventDataStore"),
        ("channel", "AWS::CloudTrail::Channel"), ("memberAccountId", "AWS::Account"),
        ("delegatedAdminAccountId", "AWS::Account"),
    ),
    "kafka": (
        ("clusterArn", "AWS::MSK::Cluster"), ("targetClusterArn", "AWS::MSK::Cluster"),
        ("arn", "AWS::MSK::Configuration"), ("vpcConnectionArn", "AWS::MSK::VpcConnection"),
        ("replicatorArn", "AWS::MSK::Replicator"), ("clusterName", "AWS::MSK::Cluster"),
        ("resourceArn", "AWS::MSK::Cluster"),
    ),
    "kafka-cluster": (("resourceARN", "AWS::MSK::Cluster"), ("clusterArn", "AWS::MSK::Cluster")),
    "ec2": (("serviceId", "AWS::EC2::VPCEndpointService"),),
    "dynamodb": (("tableName", "AWS::DynamoDB::Table"), ("backupArn", "AWS::DynamoDB::Backup")),
    "ecs": (
        ("task", "AWS::ECS::Task"), ("service", "AWS::ECS::Service"),
        ("containerInstance", "AWS::ECS::ContainerInstance"),
    ),
    "eks": (("nodegroupName", "AWS::EKS::Nodegroup"), ("name", "AWS::EKS::Cluster")),
    "lambda": (("functionName", "AWS::Lambda::Function"),),
    "ssm": (("documentName", "AWS::SSM::Document"),),
    "sso": (("permissionSetArn", "AWS::SSO::PermissionSet"),),
}  # fmt: skip
"""Parameters that name the thing, by service, the one acted upon first."""
_BY_NAME: Final[Mapping[tuple[str, str], str]] = {
    ("cloudtrail", "Trail"): "AWS::CloudTrail::Trail",
    ("cloudtrail", "Logging"): "AWS::CloudTrail::Trail",
    ("cloudtrail", "TrailStatus"): "AWS::CloudTrail::Trail",
    ("cloudtrail", "EventDataStore"): "AWS::CloudTrail::EventDataStore",
    ("cloudtrail", "Channel"): "AWS::CloudTrail::Channel",
    ("iam", "SAMLProvider"): "AWS::IAM::SAMLProvider",
    ("ssm", "Parameter"): "AWS::SSM::Parameter",
    ("ssm", "Document"): "AWS::SSM::Document",
    ("kafka", "Configuration"): "AWS::MSK::Configuration",
    ("kafka", "Replicator"): "AWS::MSK::Replicator",
}
"""What a bare ``name`` is the name of, by what the call is about."""
_REFUSED: Final = re.compile(r"on resource: (?:\w+ )?(arn:[^\s\"']{1,2048})")
_SECRET_SUFFIX: Final = re.compile(r"-[A-Za-z0-9]{6}\Z")


def subject(
    service: str, call: str, asked: Mapping[str, Any], answer: Mapping[str, Any], record: Any
) -> Subject:
    """What a call is about.

    Args:
        service: short name (``s3``); ``call``: its name.
        asked, answer: parameters of request and response, out of what wraps them.
        record: the whole record.
    """
    listed = _listed(record.get("resources"))
    found = _of_service(service, call, asked, answer, listed)
    if found is None and not listed:
        found = _by_parameters(service, call, asked, answer, record)
    if found is None:
        found = _chosen(service, listed)
    if not listed:
        return found
    others, owner = [], ""
    for arn, _, account in listed:
        if arn != found.uid:
            others.append(arn)
        else:
            owner = account
    return Subject(found.kind, found.name, found.uid, tuple(others), owner)


def of_arn(arn: str, kind: str = "") -> Subject:
    """The thing that an ARN names."""
    return Subject(kind or kind_of_arn(arn), short(arn), arn)


@lru_cache(maxsize=65536)
def short(arn: str) -> str:
    """The short name in an ARN; what is none stays as it is."""
    local = last_part(arn)
    if local is arn:
        return arn
    service = arn.split(":", 3)[2]
    if service == "s3":
        return local.partition("/")[2] if arn.split(":", 5)[4] else local
    if service == "secretsmanager":
        return _SECRET_SUFFIX.sub("", local.removeprefix("secret:"))
    if service in ("kafka", "kafka-cluster"):
        parts = local.split("/")
        if parts[0] == "vpc-connection" and len(parts) > 3:
            return "/".join(parts[2:])
        if parts[0] in ("topic", "group", "transactional-id") and len(parts) > 3:
            return "/".join(parts[3:])
        return parts[1] if len(parts) > 1 else local
    if service == "kms":
        return local.removeprefix("key/")
    if service == "ssm" and local.startswith("parameter/"):
        return local.removeprefix("parameter")
    if service == "iam":
        return local.rpartition("/")[2]
    if service == "cloudformation":
        return local.split("/")[1] if "/" in local else local
    if service == "logs":
        return local.removeprefix("log-group:").partition(":")[0]
    kind, mark, name = local.partition("/") if "/" in local else local.partition(":")
    return name if mark and kind else local


def _listed(resources: Any) -> list[tuple[str, str, str]]:
    """ARN, kind and account of each of the record's resources, in either spelling."""
    if resources.__class__ is not list:
        return []
    return [
        (arn, said(each, "type"), said(each, "accountId"))
        for each in resources
        if each.__class__ is dict and (arn := text(each, "ARN", "arn", "ARNPrefix"))
    ]


def _chosen(service: str, listed: list[tuple[str, str, str]]) -> Subject:
    """Of the record's resources the one acted upon: the most specific, of the service itself."""
    if not listed:
        return _NOTHING
    if len(listed) > 1:
        own = f":{service}:"
        listed = sorted(
            listed, key=lambda each: (not each[1].endswith("::Object"), own not in each[0][:40])
        )
    arn, kind, owner = listed[0]
    return Subject(kind or kind_of_arn(arn), short(arn), arn, owner=owner)


def _of_service(
    service: str,
    call: str,
    asked: Mapping[str, Any],
    answer: Mapping[str, Any],
    listed: list[tuple[str, str, str]],
) -> Subject | None:
    look = _SERVICES.get(service)
    if look is not None and (found := look(asked, answer, call, listed)) is not None:
        return found
    if listed:
        return None
    for key, kind in _KNOWN.get(service, ()):
        value = asked.get(key)
        if value.__class__ is str and value:
            value = decoded(str(value))
            if value[:4] == "arn:":
                return of_arn(value)
            if service == "iam" and key == "policyName" and "policy" not in call.lower():
                continue
            return Subject(kind, value, _arn_in(answer, value))
    return None


def _arn_in(answer: Mapping[str, Any], name: str) -> str:
    """The ARN of what was made, as the answer names it."""
    for node in (answer, *answer.values()):
        arn = text(node, "arn", "ARN", "aRN", "trailARN", "keyArn", "clusterArn")
        if arn[:4] == "arn:" and name in arn:
            return arn
    return ""


def _bucket(
    asked: Mapping[str, Any], _: Any, call: str, listed: list[tuple[str, str, str]]
) -> Subject | None:
    bucket, key = text(asked, "bucketName", "bucket"), said(asked, "key")
    if bucket[:4] == "arn:":
        return of_arn(bucket)
    if not bucket:
        arn = text(asked, "configurationARN", "resourceArn")
        return of_arn(arn) if arn else None
    if "AccessPoint" in call and (point := text(asked, "name")):
        return Subject("AWS::S3::AccessPoint", point)
    if key and "Bucket" not in call:
        name = f"{bucket}/{key}"
        return Subject("AWS::S3::Object", name, f"arn:{_partition(listed)}:s3:::{name}")
    return Subject("AWS::S3::Bucket", bucket, f"arn:{_partition(listed)}:s3:::{bucket}")


def _partition(listed: list[tuple[str, str, str]]) -> str:
    return listed[0][0].split(":", 2)[1] if listed and listed[0][0][:4] == "arn:" else "aws"


def _topic(asked: Mapping[str, Any], _answer: Any, _call: str, _listed: Any) -> Subject | None:
    """MSK's own calls name the resource by ARN, in whatever spelling, or topic and cluster."""
    arn = decoded(text(asked, "resourceARN", "resourceArn", "clusterArn", "clusterARN"))
    topic = text(asked, "topicName", "topic")
    if topic:
        return Subject("AWS::MSK::Topic", topic, "" if ":cluster/" in arn else arn)
    return of_arn(arn) if arn[:4] == "arn:" else None


def _in_msk(asked: Mapping[str, Any], answer: Any, call: str, _listed: Any) -> Subject | None:
    """A topic, and a connection, are named beside the cluster that they are of."""
    if topic := text(asked, "topicName"):
        return Subject("AWS::MSK::Topic", decoded(topic), text(answer, "topicArn"))
    if call.endswith("VpcConnection") and not call.endswith("ClientVpcConnection"):
        arn = text(answer, "vpcConnectionArn") or text(asked, "vpcConnectionArn", "arn")
        return of_arn(decoded(arn), "AWS::MSK::VpcConnection") if arn else None
    return None


def _link(asked: Mapping[str, Any], answer: Any, call: str, _listed: Any) -> Subject | None:
    """Of what was asked for the first that it was done to; and what notifies, not what it is of."""
    if call.startswith("Delete") and (names := done(call, asked, answer)):
        return _of("ec2", _DELETED[call], names[0], "")
    if call == "CreateVpcEndpointConnectionNotification":
        made = text(inner(answer, "connectionNotification"), "connectionNotificationId")
        return _of("ec2", "connectionnotificationid", made, "") if made else None
    return None


_DELETED: Final = {
    "DeleteVpcEndpoints": "vpcendpointid",
    "DeleteVpcEndpointServiceConfigurations": "serviceid",
    "DeleteVpcEndpointConnectionNotifications": "connectionnotificationid",
}


def _store(
    asked: Mapping[str, Any], answer: Mapping[str, Any], call: str, _listed: Any
) -> Subject | None:
    """CloudTrail calls both its trails and its stores ``name``."""
    name = text(asked, "name")
    if not name:
        return None
    if name[:4] == "arn:":
        return of_arn(name)
    kind = _BY_NAME.get(("cloudtrail", verb_of(call)[1]), "AWS::CloudTrail::Trail")
    arn = text(answer, "trailARN", "eventDataStoreArn", "channelArn")
    return Subject(kind, name, arn)


def _key(
    asked: Mapping[str, Any], answer: Mapping[str, Any], call: str, listed: Any
) -> Subject | None:
    """A key by its id; only what is done to an alias itself is about the alias."""
    alias = text(asked, "aliasName")
    if alias and "Alias" in call:
        return Subject("AWS::KMS::Alias", alias)
    if listed:
        return None
    made = answer.get("keyMetadata")
    if isinstance(made, dict) and (arn := text(made, "arn", "keyId")):
        return of_arn(arn, "AWS::KMS::Key")
    key = text(asked, "keyId") or text(answer, "keyId")
    if not key:
        return None
    kind = "AWS::KMS::Alias" if "alias/" in key else "AWS::KMS::Key"
    return Subject(kind, short(key), key if key[:4] == "arn:" else "")


def _secret(
    asked: Mapping[str, Any], answer: Mapping[str, Any], _call: str, _listed: Any
) -> Subject | None:
    said = text(asked, "secretId", "name")
    arn = text(answer, "arn", "aRN", "ARN") or said
    if arn[:4] == "arn:":
        return Subject("AWS::SecretsManager::Secret", text(answer, "name") or short(arn), arn)
    return Subject("AWS::SecretsManager::Secret", said) if said else None


_OF_SSM: Final = re.compile(r"Parameter|Document|Association")


def _parameter(asked: Mapping[str, Any], _answer: Any, call: str, listed: Any) -> Subject | None:
    """Parameters and documents of SSM are called ``name``; commands go to instances."""
    if listed:
        return None
    instance = text(asked, "instanceId", "target") or "".join(texts(asked.get("instanceIds"))[:1])
    if instance:
        return Subject(kind_of_id(instance) or "AWS::EC2::Instance", instance)
    name = text(asked, "name")
    if not name and isinstance(asked.get("names"), list):
        name = next((n for n in asked["names"] if isinstance(n, str)), "")
    if not name or not _OF_SSM.search(call):
        return None
    kind = "AWS::SSM::Parameter" if "Parameter" in call else "AWS::SSM::Document"
    return of_arn(name, kind) if name[:4] == "arn:" else Subject(kind, name)


def _role(asked: Mapping[str, Any], _answer: Any, _call: str, _listed: Any) -> Subject | None:
    """A session is of its role, whichever provider stands beside it among the resources."""
    arn = text(asked, "roleArn")
    return of_arn(arn) if arn[:4] == "arn:" else None


_SERVICES: Final[Mapping[str, Callable[[Any, Any, str, Any], Subject | None]]] = {
    "s3": _bucket,
    "ec2": _link,
    "kafka": _in_msk,
    "kafka-cluster": _topic,
    "cloudtrail": _store,
    "kms": _key,
    "secretsmanager": _secret,
    "ssm": _parameter,
    "sts": _role,
}


def _by_parameters(
    service: str, call: str, asked: Mapping[str, Any], answer: Mapping[str, Any], record: Any
) -> Subject | None:
    """By a parameter of the call's, else by what a refusal names."""
    if likely := likeliest(call, asked, answer, record):
        found = _of(service, *likely)
        made = _arn_in(answer, found.name) if answer and not found.uid else ""
        return found._replace(uid=made) if kind_of_arn(made) == found.kind else found
    message = record.get("errorMessage")
    if isinstance(message, str) and (refused := _REFUSED.search(message[:8192])):
        return of_arn(refused[1])
    return None


def _of(service: str, key: str, value: str, noun: str) -> Subject:
    value = decoded(value)
    if value[:4] == "arn:":
        return of_arn(value)
    if value[:8] == "https://":
        value = value.rstrip("/").rpartition("/")[2]
    return Subject(kind_of_id(value) or kind_of_key(service, key, noun), value)


def listing(found: Subject, region: str) -> list[dict[str, Any]]:
    """OCSF ``resources``: what the call is about by name, the record's others by ARN alone."""
    if not found.name and not found.kind and not found.others:
        return []
    first: dict[str, Any] = {"name": found.name, "type": found.kind}
    if found.uid:
        first["uid"] = found.uid
    if found.owner:
        first["owner"] = {"account": {"uid": found.owner}}
    if region:
        first["region"] = region
    return [first, *({"uid": arn} for arn in found.others)]
