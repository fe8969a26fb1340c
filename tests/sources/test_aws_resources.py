"""CloudTrail: what a call is about, in services that are told by the names of their parameters
alone; and what AWS refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.schemas.ocsf import needs_ocsf, validator
from tests.trail import document, one, record

ARN = "arn:aws:{}:eu-west-1:111122223333:{}"
GROUP, CLUSTER = "AWS::AutoScaling::AutoScalingGroup", "AWS::EKS::Cluster"
SET = "arn:aws:sso:::permissionSet/ssoins-1/ps-1"


@pytest.mark.parametrize(
    ("call", "asked", "kind", "name"),
    [
        ("autoscaling:SetDesiredCapacity", {"autoScalingGroupName": "g"}, GROUP, "g"),
        ("athena:GetQueryResults", {"queryExecutionId": "q"}, "AWS::Athena::QueryExecution", "q"),
        ("bedrock:InvokeModel", {"modelId": "m"}, "AWS::Bedrock::Model", "m"),
        ("apigateway:UpdateStage", {"restApiId": "a", "stageName": "s"}, "AWS::ApiGateway::Stage",
         "s"),
        ("events:PutTargets", {"rule": "r", "targets": [{"id": "1", "arn": "arn:aws:sqs:::q"}]},
         "AWS::Events::Rule", "r"),
        ("ecs:UpdateService", {"cluster": "c", "service": "s"}, "AWS::ECS::Service", "s"),
        ("ecs:DescribeClusters", {"clusters": ["c"]}, "AWS::ECS::Cluster", "c"),
        ("ecs:RegisterTaskDefinition", {"family": "f", "containerDefinitions": [{"name": "x"}]},
         "AWS::ECS::TaskDefinition", "f"),
        ("eks:CreateAccessEntry", {"name": "c", "principalArn": "arn:aws:iam::1:role/x"}, CLUSTER,
         "c"),
        ("eks:ListNodegroups", {"name": "c"}, CLUSTER, "c"),
        ("lambda:CreateEventSourceMapping20150331",
         {"eventSourceArn": ARN.format("sqs", "q"), "functionName": "f"}, "AWS::Lambda::Function",
         "f"),
        ("lambda:UpdateEventSourceMapping20150331", {"uUID": "u"},
         "AWS::Lambda::EventSourceMapping", "u"),
        ("rds:RestoreDBInstanceFromDBSnapshot",
         {"dBSnapshotIdentifier": "s", "dBInstanceIdentifier": "i"}, "AWS::RDS::DBInstance", "i"),
        ("rds:ModifyDBSnapshotAttribute",
         {"attributeName": "restore", "dBSnapshotIdentifier": "s"}, "AWS::RDS::DBSnapshot", "s"),
        ("organizations:RemoveAccountFromOrganization", {"accountId": "444455556666"},
         "AWS::Account", "444455556666"),
        ("sts:AssumeRoot", {"targetPrincipal": "444455556666", "taskPolicyArn": {
            "arn": "arn:aws:iam::aws:policy/root-task/x"}}, "AWS::Account", "444455556666"),
        ("sso:CreateAccountAssignment",
         {"instanceArn": "arn:aws:sso:::instance/ssoins-1", "permissionSetArn": SET},
         "AWS::SSO::PermissionSet", "ssoins-1/ps-1"),
        ("ssm:CreateAssociation", {"name": "d"}, "AWS::SSM::Document", "d"),
        ("ssm:CreatePatchBaseline", {"name": "b"}, "AWS::SSM::PatchBaseline", "b"),
        ("cloudtrail:DescribeTrails", {"trailNameList": ["t"]}, "AWS::CloudTrail::Trail", "t"),
        ("cloudformation:DescribeStackEvents",
         {"stackName": ARN.format("cloudformation", "stack/s/0a1b")}, "AWS::CloudFormation::Stack",
         "s"),
        ("elasticloadbalancing:DeleteLoadBalancer",
         {"loadBalancerArn": ARN.format("elasticloadbalancing", "loadbalancer/app/x/1")},
         "AWS::ElasticLoadBalancingV2::LoadBalancer", "app/x/1"),
        ("ec2:DescribeAddressesAttribute", {"DescribeAddressesAttributeRequest": {
            "AllocationId": {"tag": 1, "content": "eipalloc-0123456789abcdef0"}}}, "AWS::EC2::EIP",
         "eipalloc-0123456789abcdef0"),
        ("ec2:ReleaseAddress", {"publicIp": "192.0.2.9"}, "AWS::EC2::EIP", "192.0.2.9"),
        ("ses:VerifyEmailIdentity", {"emailAddress": "a@example.com"}, "AWS::SES::EmailIdentity",
         "a@example.com"),
        ("account:EnableRegion", {"RegionName": "eu-south-1"}, "AWS::Account::Region",
         "eu-south-1"),
        ("ec2:DescribeRegions", {"clientToken": "x", "roleArn": "arn:aws:iam::1:role/x"}, "", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_the_parameter_that_names_it_is_found(
    call: str, asked: dict[str, Any], kind: str, name: str
) -> None:
    service, _, call = call.partition(":")
    event = one(record(service, call, requestParameters=asked))
    assert (event.resource_type, event.resource) == (kind, name)


def test_the_arn_of_something_else_is_not_its_own() -> None:
    build = {"build": {"arn": ARN.format("codebuild", "build/p:1"), "projectName": "p"}}
    asked = {"projectName": "p"}
    event = one(record("codebuild", "StartBuild", requestParameters=asked, responseElements=build))
    assert (event.resource_type, event.resource) == ("AWS::CodeBuild::Project", "p")
    assert "uid" not in document(event)["resources"][0]
    rule = {"ruleArn": ARN.format("events", "rule/r"), "arn": ARN.format("events", "rule/r")}
    made = one(record("events", "PutRule", requestParameters={"name": "r"}, responseElements=rule))
    assert document(made)["resources"][0]["uid"] == rule["arn"]


def test_a_session_is_of_its_role_whatever_stands_first() -> None:
    role, provider = (f"arn:aws:iam::111122223333:{name}" for name in ("role/r", "saml-provider/p"))
    listed = [{"ARN": arn, "accountId": "111122223333"} for arn in (provider, role)]
    asked = {"roleArn": role, "principalArn": provider}
    said = record("sts", "AssumeRoleWithSAML", requestParameters=asked, resources=listed)
    event = one(said)
    assert (event.resource_type, event.resource) == ("AWS::IAM::Role", "r")
    assert document(event)["entity"]["uid"] == role


@pytest.mark.parametrize("as_text", [False, True])
def test_a_service_event_names_what_it_made(as_text: bool) -> None:
    made: Any = {"createAccountStatus": {"id": "car-1", "accountId": "444455556666"}}
    if as_text:
        made = '{"createAccountStatus":{"id":"car-1","accountId":"444455556666"}}'
    said = record("organizations", "CreateAccountResult", eventType="AwsServiceEvent")
    event = one(said | {"serviceEventDetails": made})
    assert (event.resource_type, event.resource) == ("AWS::Account", "444455556666")


@needs_ocsf
@pytest.mark.parametrize(
    "code",
    ["AccessDenied", "AccessDeniedException", "VpceAccessDenied", "UnauthorizedOperation",
     "Client.UnauthorizedOperation", "NotAuthorized", "Forbidden", "ForbiddenException",
     "AuthFailure", "Client.AuthFailure", "UnauthorizedAccess", "AuthorizationError"],
)  # fmt: skip
def test_a_refusal_rests_on_its_code(code: str) -> None:
    event = one(record(errorCode=code))
    said = document(event)
    assert (event.rule, event.outcome) == (code, "failure")
    assert said["actor"]["authorizations"] == [{"decision": "Denied", "policy": {"name": code}}]
    assert validator().problems(said) == []
    assert "authorizations" not in document(one(record()))["actor"]


@pytest.mark.parametrize(
    "code",
    ["ThrottlingException", "Client.RequestLimitExceeded", "NoSuchBucketPolicy",
     "Client.InvalidVolume.NotFound", "TrailNotFoundException", "ValidationException",
     "AuthorizationNotFoundFault", "InvalidClientTokenId"],
)  # fmt: skip
def test_what_failed_otherwise_was_not_refused(code: str) -> None:
    event = one(record(errorCode=code))
    assert (event.rule, event.outcome) == ("", "failure")
    assert "authorizations" not in document(event)["actor"]
