"""Kinds of resources as CloudFormation names them (``AWS::S3::Bucket``), from ARNs and from the
names of parameters. What neither table knows is named by the same rule: service and kind."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_SERVICES: Final = {
    "apigateway": "ApiGateway", "application-autoscaling": "ApplicationAutoScaling",
    "autoscaling": "AutoScaling", "athena": "Athena", "backup": "Backup", "bedrock": "Bedrock",
    "cloudformation": "CloudFormation", "cloudfront": "CloudFront", "cloudtrail": "CloudTrail",
    "cloudwatch": "CloudWatch", "codebuild": "CodeBuild", "codecommit": "CodeCommit",
    "codepipeline": "CodePipeline", "cognito-idp": "Cognito", "cognito-identity": "Cognito",
    "config": "Config", "dynamodb": "DynamoDB", "ec2": "EC2", "ecr": "ECR", "ecs": "ECS",
    "eks": "EKS", "elasticache": "ElastiCache", "elasticbeanstalk": "ElasticBeanstalk",
    "elasticfilesystem": "EFS", "elasticloadbalancing": "ElasticLoadBalancingV2",
    "elasticmapreduce": "EMR", "es": "OpenSearchService", "events": "Events",
    "firehose": "KinesisFirehose", "glue": "Glue", "guardduty": "GuardDuty", "iam": "IAM",
    "inspector2": "InspectorV2", "kafka": "MSK", "kafka-cluster": "MSK", "kinesis": "Kinesis",
    "kms": "KMS", "lambda": "Lambda", "logs": "Logs", "macie2": "Macie", "monitoring": "CloudWatch",
    "organizations": "Organizations", "ram": "RAM", "rds": "RDS", "rds-data": "RDS",
    "redshift": "Redshift", "redshift-data": "Redshift",
    "rolesanywhere": "RolesAnywhere", "route53": "Route53", "route53resolver": "Route53Resolver",
    "s3": "S3", "s3express": "S3Express", "sagemaker": "SageMaker",
    "secretsmanager": "SecretsManager", "securityhub": "SecurityHub", "ses": "SES", "sns": "SNS",
    "sqs": "SQS", "ssm": "SSM", "sso": "SSO", "states": "StepFunctions", "sts": "STS",
    "wafv2": "WAFv2",
}  # fmt: skip
_OF_ARN: Final = {
    ("cloudtrail", "eventdatastore"): "AWS::CloudTrail::EventDataStore",
    ("dynamodb", "table"): "AWS::DynamoDB::Table",
    ("ec2", "elastic-ip"): "AWS::EC2::EIP",
    ("ec2", "image"): "AWS::EC2::Image",
    ("ec2", "vpc"): "AWS::EC2::VPC",
    ("ec2", "vpc-endpoint"): "AWS::EC2::VPCEndpoint",
    ("ec2", "vpc-endpoint-service"): "AWS::EC2::VPCEndpointService",
    ("iam", "mfa"): "AWS::IAM::VirtualMFADevice",
    ("iam", "policy"): "AWS::IAM::ManagedPolicy",
    ("iam", "saml-provider"): "AWS::IAM::SAMLProvider",
    ("iam", "oidc-provider"): "AWS::IAM::OIDCProvider",
    ("rds", "db"): "AWS::RDS::DBInstance",
    ("rds", "cluster"): "AWS::RDS::DBCluster",
    ("rds", "snapshot"): "AWS::RDS::DBSnapshot",
    ("rds", "subgrp"): "AWS::RDS::DBSubnetGroup",
    ("s3", "accesspoint"): "AWS::S3::AccessPoint",
    ("s3", "storage-lens"): "AWS::S3::StorageLens",
    ("sts", "assumed-role"): "AWS::STS::AssumedRole",
    ("sts", "federated-user"): "AWS::STS::FederatedUser",
}
_OF_KEY: Final = {
    ("ec2", "allocation"): "AWS::EC2::EIP",
    ("ec2", "connectionnotification"): "AWS::EC2::VPCEndpointConnectionNotification",
    ("ec2", "group"): "AWS::EC2::SecurityGroup",
    ("ec2", "instances"): "AWS::EC2::Instance",
    ("ec2", "key"): "AWS::EC2::KeyPair",
    ("ec2", "service"): "AWS::EC2::VPCEndpointService",
    ("ec2", "publicip"): "AWS::EC2::EIP",
    ("ec2", "vpc"): "AWS::EC2::VPC",
    ("ec2", "vpcendpoint"): "AWS::EC2::VPCEndpoint",
    ("iam", "policy"): "AWS::IAM::ManagedPolicy",
    ("ecs", "family"): "AWS::ECS::TaskDefinition",
    ("lambda", "uu"): "AWS::Lambda::EventSourceMapping",
    ("lightsail", "instance"): "AWS::Lightsail::Instance",
    ("logs", "loggroup"): "AWS::Logs::LogGroup",
    ("rds", "dbinstance"): "AWS::RDS::DBInstance",
    ("rds", "dbcluster"): "AWS::RDS::DBCluster",
    ("rds", "dbsnapshot"): "AWS::RDS::DBSnapshot",
    ("rds", "dbsubnetgroup"): "AWS::RDS::DBSubnetGroup",
    ("ses", "emailaddress"): "AWS::SES::EmailIdentity",
    ("ses", "identities"): "AWS::SES::EmailIdentity",
    ("sts", "accesskey"): "AWS::IAM::AccessKey",
}
_EVERYWHERE: Final = {
    "account": "AWS::Account", "bucket": "AWS::S3::Bucket", "function": "AWS::Lambda::Function",
    "instance": "AWS::EC2::Instance", "role": "AWS::IAM::Role", "secret":
    "AWS::SecretsManager::Secret", "vpc": "AWS::EC2::VPC", "subnet": "AWS::EC2::Subnet",
    "loggroup": "AWS::Logs::LogGroup",
}  # fmt: skip
"""Kinds of one service that others name, too."""
_OF_SERVICE: Final = {"sns": "AWS::SNS::Topic", "sqs": "AWS::SQS::Queue"}
"""Services with one kind of thing, whose ARNs do not name it."""
_WORDS: Final = {
    "internetgateway": "InternetGateway", "natgateway": "NatGateway", "routetable": "RouteTable",
    "networkinterface": "NetworkInterface", "networkacl": "NetworkAcl",
    "securitygroup": "SecurityGroup", "vpcendpoint": "VPCEndpoint", "flowlog": "FlowLog",
    "launchtemplate": "LaunchTemplate", "loadbalancer": "LoadBalancer",
    "targetgroup": "TargetGroup", "hostedzone": "HostedZone", "trustanchor": "TrustAnchor",
    "userpool": "UserPool", "restapi": "RestApi", "keypair": "KeyPair", "dbinstance": "DBInstance",
    "dbsnapshot": "DBSnapshot", "dbcluster": "DBCluster", "instanceprofile": "InstanceProfile",
    "configurationrecorder": "ConfigurationRecorder", "deliverystream": "DeliveryStream",
    "stackset": "StackSet",
}  # fmt: skip
_OF_ID: Final = {
    "i": "Instance", "vpc": "VPC", "subnet": "Subnet", "sg": "SecurityGroup", "ami": "Image",
    "snap": "Snapshot", "vol": "Volume", "eni": "NetworkInterface", "rtb": "RouteTable",
    "igw": "InternetGateway", "nat": "NatGateway", "eipalloc": "EIP", "vpce": "VPCEndpoint",
    "vpce-svc": "VPCEndpointService", "acl": "NetworkAcl", "pcx": "VPCPeeringConnection",
    "lt": "LaunchTemplate", "tgw": "TransitGateway", "vpn": "VPNConnection", "fl": "FlowLog",
    "key": "KeyPair", "rtbassoc": "SubnetRouteTableAssociation", "eipassoc": "EIPAssociation",
    "eni-attach": "NetworkInterfaceAttachment", "sgr": "SecurityGroupRule",
}  # fmt: skip
"""EC2's ids say what they are of."""
_ID: Final = re.compile(r"([a-z]{1,8}(?:-svc|-attach)?)-[0-9a-f]{8,17}")
ENDS: Final = ("identifier", "namelist", "names", "name", "ids", "arns", "arn", "url", "id")
"""What parameters that name something end with, the longer first."""


def service_of(name: str) -> str:
    """CloudFormation's name of a service, by that in ARNs and endpoints."""
    return _SERVICES.get(name) or "".join(part.capitalize() for part in name.split("-"))


@lru_cache(maxsize=65536)
def kind_of_arn(arn: str) -> str:
    """The kind of what an ARN names; empty where it is none."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return ""
    service, local = parts[2], parts[5]
    if service == "s3" and not parts[4]:
        return "AWS::S3::Object" if "/" in local else "AWS::S3::Bucket"
    if service in _OF_SERVICE:
        return _OF_SERVICE[service]
    ends = [place for sign in "/:" if (place := local.find(sign)) > 0]
    kind = local[: min(ends)] if ends else local
    if found := _OF_ARN.get((service, kind)):
        return found
    word = _WORDS.get(kind) or "".join(part[:1].upper() + part[1:] for part in kind.split("-"))
    return f"AWS::{service_of(service)}::{word[:64]}"


def kind_of_id(name: str) -> str:
    """The kind of what EC2's ids name; empty where it is none."""
    found = _ID.fullmatch(name) if len(name) < 40 else None
    kind = _OF_ID.get(found[1]) if found else None
    return f"AWS::EC2::{kind}" if kind else ""


def stem_of(key: str) -> str:
    """What a parameter in lower case names: ``table`` of ``tablename``."""
    for end in ENDS:
        if key.endswith(end):
            return key.removesuffix(end)
    return key


@lru_cache(maxsize=16384)
def kind_of_key(service: str, key: str, noun: str) -> str:
    """The kind of what stands under a parameter, by the parameter's name in lower case.

    ``noun``: what the call is about; its spelling is taken where it is the same word.
    """
    stem = stem_of(key)
    if found := _OF_KEY.get((service, stem)):
        return found
    if found := _EVERYWHERE.get(stem):
        return found
    if service in _OF_SERVICE:
        return _OF_SERVICE[service]
    single = noun.removesuffix("s")
    for word in (noun, single):
        if word.lower() == stem:
            return f"AWS::{service_of(service)}::{_WORDS.get(stem, word)}"
    if not stem or stem == "resource":
        word = single
    else:
        word = _WORDS.get(stem) or stem.capitalize()
    return f"AWS::{service_of(service)}::{word[:64]}" if word else ""
