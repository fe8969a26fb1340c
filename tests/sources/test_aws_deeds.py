"""CloudTrail: deeds as the changes that they become, one after another; and calls upon several
things, of which some may fail."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.changes.join import join
from schemas.changes import Change
from tests.trail import document, legs, one, record

MSK = "arn:aws:kafka:eu-west-1:111122223333:{}"
CLUSTER = MSK.format("cluster/payments/u-1")
SECRETS = [
    f"arn:aws:secretsmanager:eu-west-1:111122223333:secret:AmazonMSK_{n}-AbC12d" for n in "ab"
]
ENDS = ["vpce-0123456789abcdef1", "vpce-0123456789abcdef2"]


def changes(*calls: tuple[str, Any, Any]) -> list[Change]:
    """Of calls (``iam:CreateUser``), each a second after the one before, with their parameters."""
    records = []
    for second, (name, asked, answer) in enumerate(calls):
        service, _, call = name.partition(":")
        said = record(service, call, requestParameters=asked, responseElements=answer)
        records.append(
            said | {"eventID": f"id-{second}", "eventTime": f"2026-11-20T23:52:{second:02}Z"}
        )
    return join("default", legs(*records))


def told(*calls: tuple[str, Any, Any]) -> list[tuple[str, str, str, Any, Any]]:
    deeds = [change.deed for change in changes(*calls)]
    return [(deed.kind, deed.action, deed.target, deed.before, deed.after) for deed in deeds]


def test_a_topic_of_msk_has_a_history_of_its_own() -> None:
    named = {"clusterArn": CLUSTER.replace(":", "%3A").replace("/", "%2F"), "topicName": "orders"}
    made = {"partitions": 3, "replication_factor": 2}
    assert told(
        ("kafka:CreateTopic", {**named, "partitionCount": 3, "replicationFactor": 2}, None),
        ("kafka:UpdateTopic", {**named, "partitionCount": "6"}, None),
        ("kafka:DeleteTopic", named, None),
        ("kafka:DeleteCluster", {"clusterArn": CLUSTER}, None),
    ) == [
        ("entity", "create", "Topic:orders", None, made),
        ("settings", "set", "Topic:orders", made, {"partitions": 6}),
        ("entity", "delete", "Topic:orders", made, None),
        ("entity", "delete", "MskCluster:payments", None, None),
    ]


def test_each_connection_of_an_account_is_one_of_its_own() -> None:
    arns = [MSK.format(f"vpc-connection/111122223333/{name}/u-1") for name in ("orders", "billing")]
    ends = changes(*[("kafka:DeleteVpcConnection", {"arn": arn}, None) for arn in arns])
    assert [c.deed.target for c in ends] == [
        "VpcConnection:orders/u-1",
        "VpcConnection:billing/u-1",
    ]
    asked = {"targetClusterArn": CLUSTER, "vpcId": "vpc-0123456789abcdef0"}
    made = one(record("kafka", "CreateVpcConnection", requestParameters=asked,
                      responseElements={"vpcConnectionArn": arns[0]}))  # fmt: skip
    assert document(made)["auditstream"]["opened"] == [
        "MSK cluster payments to vpc-0123456789abcdef0"
    ]


def test_what_a_user_signs_in_with_is_not_the_user() -> None:
    user = {"userName": "bob"}
    key, certificate = {"sSHPublicKeyId": "APKAEXAMPLE"}, {"certificateId": "CERTEXAMPLE"}
    service = {"serviceSpecificCredentialId": "ACCAEXAMPLE"}
    found = changes(
        ("iam:UploadSSHPublicKey", user, {"sSHPublicKey": user | key}),
        ("iam:UploadSigningCertificate", user, {"certificate": user | certificate}),
        ("iam:CreateServiceSpecificCredential", user, {"serviceSpecificCredential": user | service}),
        ("iam:DeleteSSHPublicKey", user | key, None),
        ("iam:DeleteSigningCertificate", user | certificate, None),
        ("iam:DeleteServiceSpecificCredential", user | service, None),
    )  # fmt: skip
    targets = [
        "SshKey:APKAEXAMPLE",
        "SigningCertificate:CERTEXAMPLE",
        "ServiceCredential:ACCAEXAMPLE",
    ]
    assert [change.deed.target for change in found] == targets * 2
    assert [change.deed.action for change in found] == ["create"] * 3 + ["delete"] * 3


def test_a_version_of_a_policy_is_not_the_policy() -> None:
    policy = {"policyArn": "arn:aws:iam::111122223333:policy/p"}
    assert told(
        ("iam:DeletePolicyVersion", policy | {"versionId": "v1"}, None),
        ("iam:DeletePolicy", policy, None),
    ) == [
        ("settings", "set", "Policy:p", None, {"version_v1": None}),
        ("entity", "delete", "Policy:p", None, None),
    ]


@pytest.mark.parametrize(
    ("call", "asked", "target"),
    [
        ("iam:SetSecurityTokenServicePreferences", {"globalEndpointTokenVersion": "v2Token"},
         "Account:111122223333"),
        ("cloudtrail:RegisterOrganizationDelegatedAdmin", {"memberAccountId": "444455556666"},
         "Account:444455556666"),
        ("cloudtrail:DeregisterOrganizationDelegatedAdmin",
         {"delegatedAdminAccountId": "444455556666"}, "Account:444455556666"),
        ("kms:DisconnectCustomKeyStore", {}, "Account:111122223333"),
        ("ec2:CreateVpcEndpointConnectionNotification",
         {"serviceId": "vpce-svc-0123456789abcdef0"},
         "ConnectionNotification:vpce-svc-0123456789abcdef0"),
        ("s3:PutObjectLockConfiguration", {"bucketName": "b"}, "Bucket:b"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_deed_names_what_it_is_done_to(call: str, asked: Any, target: str) -> None:
    assert [change.deed.target for change in changes((call, asked, None))] == [target]


# Calls upon several things.

FAILED_FOR: dict[str, Any] = {
    "bare": lambda said: said,
    "items": lambda said: {"items": said},
    "item": lambda said: {"item": said},
    "one": lambda said: {"item": said[0]} if len(said) == 1 else {"item": said},
    "tags": lambda said: [{"tag": n, "content": each} for n, each in enumerate(said)],
}


@pytest.mark.parametrize("shape", FAILED_FOR)
@pytest.mark.parametrize(
    ("call", "key", "things", "failed", "name", "words"),
    [
        ("kafka:BatchAssociateScramSecret", "secretArnList", SECRETS, "unprocessedScramSecrets",
         "secretArn", ["AmazonMSK_a", "AmazonMSK_b"]),
        ("kafka:BatchDisassociateScramSecret", "secretArnList", SECRETS, "unprocessedScramSecrets",
         "secretArn", ["AmazonMSK_a", "AmazonMSK_b"]),
        ("ec2:DeleteVpcEndpoints", "vpcEndpointId", ENDS, "unsuccessful", "resourceId", ENDS),
        ("ec2:AcceptVpcEndpointConnections", "vpcEndpointId", ENDS, "unsuccessful", "resourceId",
         ENDS),
        ("ec2:RejectVpcEndpointConnections", "vpcEndpointId", ENDS, "unsuccessful", "resourceId",
         ENDS),
        ("ec2:DeleteVpcEndpointServiceConfigurations", "serviceId", ["vpce-svc-1", "vpce-svc-2"],
         "unsuccessful", "resourceId", ["vpce-svc-1", "vpce-svc-2"]),
        ("ec2:DeleteVpcEndpointConnectionNotifications", "connectionNotificationId",
         ["vpce-nfn-1", "vpce-nfn-2"], "unsuccessful", "resourceId", ["vpce-nfn-1", "vpce-nfn-2"]),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)  # fmt: skip
def test_what_a_call_failed_for_was_not_done(
    shape: str, call: str, key: str, things: list[str], failed: str, name: str, words: list[str]
) -> None:
    asked = {"clusterArn": CLUSTER, "serviceId": "vpce-svc-0", key: things}

    def after(*unprocessed: str) -> tuple[str, str]:
        listed = FAILED_FOR[shape]([{name: each} for each in unprocessed]) if unprocessed else ""
        (change,) = changes((call, asked, {failed: listed}))
        return change.outcome, str(change.deed)

    for done in ("", "b", "ab"):
        outcome, said = after(*[t for t, n in zip(things, "ab", strict=True) if n not in done])
        assert outcome == ("success" if done else "failure")
        if done:
            assert [word in said for word in words] == [n in done for n in "ab"]


@pytest.mark.parametrize("answer", [None, "", {}, {"unsuccessful": None}, {"unsuccessful": [None]},
                                    {"unsuccessful": [{"resourceId": 5}]}], ids=str)  # fmt: skip
def test_an_answer_that_names_no_failure_names_none(answer: Any) -> None:
    (change,) = changes(("ec2:DeleteVpcEndpoints", {"vpcEndpointId": ENDS}, answer))
    assert (change.outcome, change.deed.target) == ("success", f"Endpoint:{', '.join(ENDS)}")


def test_of_several_the_event_names_the_first_that_it_was_done_to() -> None:
    said = record("ec2", "DeleteVpcEndpoints", requestParameters={"vpcEndpointId": ENDS},
                  responseElements={"unsuccessful": [{"resourceId": ENDS[0]}]})  # fmt: skip
    event = one(said)
    assert (event.resource_type, event.resource) == ("AWS::EC2::VPCEndpoint", ENDS[1])
    refused = one(said | {"responseElements": None, "errorCode": "Client.UnauthorizedOperation"})
    assert (refused.resource, refused.outcome) == (ENDS[0], "failure")
