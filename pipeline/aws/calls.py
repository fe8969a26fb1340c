"""What kind of event a call is: OCSF class and activity, by service and by the call's name.

Sign-ins are 3002; changes of an IAM user or of what he signs in with 3001; of an IAM group 3006;
other changes of what an estate is guarded by 3004; all else, reads and data above all, 6003.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pipeline.aws.record import Stated, text, yes
from schemas.vocabulary import (
    ACCOUNT_CHANGE,
    API_ACTIVITY,
    AUTHENTICATION,
    ENTITY_MANAGEMENT,
    GROUP_MANAGEMENT,
    OTHER_ACTIVITY,
)

CREATE, READ, UPDATE, DELETE = 1, 2, 3, 4
_VERBS: Final[Mapping[int, str]] = {
    CREATE: "Create Run Allocate Register Import Copy Upload Generate Issue Request Purchase "
    "Provision Launch Publish Build Clone Subscribe",
    READ: "Get List Describe Head Lookup Search Query Scan Select View Check Validate Verify "
    "Decrypt Filter Preview Test Simulate Estimate Discover Download Receive BatchGet Count "
    "Detect Export Fetch Read Retrieve Explain Encrypt Sign",
    UPDATE: "Put Update Modify Set Change Alter Attach Detach Associate Disassociate Enable "
    "Disable Tag Untag Add Remove Authorize Revoke Replace Reset Rotate Restore Start Stop Reboot "
    "Move Merge Assign Unassign Accept Reject Apply Configure Edit Extend Grant Join Leave Lock "
    "Pause Promote Resume Share Suspend Transfer Unlock Upgrade Switch BatchAssociate BatchUpdate "
    "BatchWrite Complete Cancel Deactivate Activate Write Resync Unsubscribe BatchDisassociate",
    DELETE: "Delete Terminate Deregister Release Purge Destroy Retire Abort Close BatchDelete "
    "Schedule Deprovision",
}  # fmt: skip
_ACTIVITY: Final = {verb: number for number, verbs in _VERBS.items() for verb in verbs.split()}
_FIRST: Final = re.compile(r"(?:Batch)?[A-Z]?[a-z]+")

_SIGN_IN: Final = {
    "ConsoleLogin": 1, "UserAuthentication": 1, "Authenticate": 1, "Login": 1,
    "Logout": 2, "ConsoleLogout": 2, "GetSigninToken": 3, "Federate": 3, "CreateToken": 3,
    "RenewRole": 5, "CheckMfa": 6, "CredentialChallenge": 6, "CredentialVerification": 6,
    "SwitchRole": 7, "ExitRole": 7,
}  # fmt: skip
_SSO: Final = frozenset(("Authenticate", "Federate", "Logout", "UserAuthentication"))
_ACCOUNT: Final = {
    "AttachUserPolicy": 7, "PutUserPolicy": 7, "DetachUserPolicy": 8, "DeleteUserPolicy": 8,
    "ChangePassword": 3, "UpdateLoginProfile": 4, "ResetServiceSpecificCredential": 4,
    "EnableMFADevice": 10, "DeactivateMFADevice": 11, "ResyncMFADevice": 99,
    "CreateUser": 1, "CreateAccessKey": 1, "CreateLoginProfile": 1, "UploadSSHPublicKey": 1,
    "CreateServiceSpecificCredential": 1, "UploadSigningCertificate": 1,
    "DeleteUser": 6, "DeleteAccessKey": 6, "DeleteLoginProfile": 6, "DeleteSSHPublicKey": 6,
    "DeleteServiceSpecificCredential": 6, "DeleteSigningCertificate": 6,
    "UpdateUser": 99, "TagUser": 99, "UntagUser": 99, "PutUserPermissionsBoundary": 99,
    "DeleteUserPermissionsBoundary": 99, "UpdateAccessKey": 99, "UpdateSSHPublicKey": 99,
    "UpdateServiceSpecificCredential": 99, "UpdateSigningCertificate": 99,
}  # fmt: skip
_STATUS: Final = {"active": 2, "inactive": 5}
"""Updates of a credential that enable or disable it."""
_GROUP: Final = {
    "AttachGroupPolicy": 1, "PutGroupPolicy": 1, "DetachGroupPolicy": 2, "DeleteGroupPolicy": 2,
    "AddUserToGroup": 3, "RemoveUserFromGroup": 4, "DeleteGroup": 5, "CreateGroup": 6,
    "UpdateGroup": 99,
}  # fmt: skip
SESSIONS: Final = frozenset(
    ("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot",
     "GetFederationToken", "GetSessionToken")
)  # fmt: skip
"""Calls of STS that open a session; CloudTrail takes some of them for reads."""
_GUARDED: Final = frozenset(("iam", "sts", "kms", "s3", "secretsmanager", "cloudtrail", "kafka"))
_PLANE: Final = frozenset(
    ("CreateTopic", "DeleteTopic", "AlterTopic", "AlterTopicDynamicConfiguration",
     "AlterClusterDynamicConfiguration", "AlterGroup", "DeleteGroup")
)  # fmt: skip
_PRIVATE_LINK: Final = re.compile(r"VpcEndpoint")
_OBJECTS: Final = re.compile(r"Object(?!Lock(Config|$))|Multipart|UploadPart|PostObject")
_CIPHERS: Final = re.compile(
    r"^(?:Decrypt|Encrypt|ReEncrypt|GenerateData|GenerateMac|GenerateRandom|Sign$|Verify|"
    r"DeriveSharedSecret)"
)
_READING: Final = frozenset(("Get", "List", "Describe", "Head", "Lookup", "Search", "Check"))


_GUARDS: Final = (ENTITY_MANAGEMENT, ACCOUNT_CHANGE, GROUP_MANAGEMENT)
"""Classes of what changes a guarded service."""


class Kind(NamedTuple):
    """What kind of event a call is.

    Attributes:
        change: it changes administration.
        data: it is about the estate's data themselves.
    """

    class_uid: int
    activity_id: int
    change: bool = False
    data: bool = False


@lru_cache(maxsize=16384)
def verb_of(call: str) -> tuple[str, str]:
    """A call's name as verb and noun: ``("Delete", "Bucket")``. Lambda's versions are left out."""
    found = _FIRST.match(call)
    if found is None:
        return "", call
    return found[0], re.sub(r"20\d{6}(?:v\d)?\Z", "", call[found.end() :])


@lru_cache(maxsize=16384)
def _activity(call: str, read_only: bool | None) -> int:
    verb, _ = verb_of(call)
    number = _ACTIVITY.get(verb[:1].upper() + verb[1:], OTHER_ACTIVITY)
    if read_only and number != READ:
        return READ
    return number


def activity(verb: str) -> int:
    """OCSF activity of a verb; 99 where nobody knows it."""
    return _ACTIVITY.get(verb, OTHER_ACTIVITY)


def kind_of(
    service: str, call: str, record: Mapping[str, Any], own: Stated, asked: Mapping[str, Any]
) -> Kind:
    """The kind of a call, by its record.

    Args:
        own: what CloudTrail states in it.
        asked: the request's parameters.
    """
    read_only, unusual = yes(record.get("readOnly")), "insightDetails" in record
    kind = _kind(service, call, own.category, own.made, read_only, unusual)
    return _guard(kind.class_uid, call, asked) if kind.class_uid in _GUARDS else kind


@lru_cache(maxsize=16384)
def _kind(
    service: str, call: str, category: str, made: str, read_only: bool | None, unusual: bool
) -> Kind:
    """The kind of a call; of one that changes a guarded service its class alone."""
    if category == "Insight" or made == "AwsCloudTrailInsight" or unusual:
        return Kind(API_ACTIVITY, OTHER_ACTIVITY)
    if service == "signin" or (service == "sso" and call in _SSO) or made == "AwsConsoleSignIn":
        return Kind(AUTHENTICATION, _SIGN_IN.get(call, OTHER_ACTIVITY), change=True)
    data = category in ("Data", "NetworkActivity") or _is_data(service, call)
    if not data and made != "AwsServiceEvent":
        found = _guarded(service, call, read_only)
        if found:
            return Kind(found, OTHER_ACTIVITY)
    number = _activity(call, read_only)
    changes = read_only is False and number != READ and not data
    return Kind(API_ACTIVITY, number, change=changes, data=data)


@lru_cache(maxsize=16384)
def _is_data(service: str, call: str) -> bool:
    """Old records do not say whether they are about data."""
    if service == "s3":
        return _OBJECTS.search(call) is not None
    if service == "kms":
        return _CIPHERS.match(call) is not None
    return service == "lambda" and call == "Invoke"


@lru_cache(maxsize=16384)
def _guarded(service: str, call: str, read_only: bool | None) -> int:
    """The class of what changes a guarded service; 0: it is none of those."""
    if service == "sts":
        return ENTITY_MANAGEMENT if call in SESSIONS else 0
    if service == "kafka-cluster":
        return ENTITY_MANAGEMENT if call in _PLANE else 0
    if service == "ec2":
        changes = _PRIVATE_LINK.search(call) and verb_of(call)[0] not in _READING
        return ENTITY_MANAGEMENT if changes else 0
    if service not in _GUARDED or read_only or verb_of(call)[0] in _READING:
        return 0
    if service == "iam":
        if call in _ACCOUNT:
            return ACCOUNT_CHANGE
        if call in _GROUP:
            return GROUP_MANAGEMENT
        if verb_of(call)[0] in ("Simulate", "Generate"):
            return 0
    return ENTITY_MANAGEMENT


def _guard(class_uid: int, call: str, asked: Mapping[str, Any]) -> Kind:
    if class_uid == ACCOUNT_CHANGE:
        number = _ACCOUNT[call]
        if number == OTHER_ACTIVITY:
            number = _STATUS.get(text(asked, "status").lower(), number)
    elif class_uid == GROUP_MANAGEMENT:
        number = _GROUP[call]
    else:
        # What was done to the entity its deed says.
        number = UPDATE
    return Kind(class_uid, number, change=True)
