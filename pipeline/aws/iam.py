"""Changes of IAM: users, groups, roles, policies and what people sign in with; sessions of STS.
API: https://docs.aws.amazon.com/IAM/latest/APIReference/ and …/STS/latest/APIReference/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.aws.identities import SERVICE_SUFFIXES
from pipeline.aws.policies import policy, sentences
from pipeline.aws.record import account_of, inner, number, text, yes
from pipeline.aws.resources import short
from pipeline.aws.told import Call, Tell, Told, entity, policy_set, settings, worded

_HOLDERS: Final = ("User", "Group", "Role")


def _holder(call: Call) -> str:
    """``Role:name`` of AttachRolePolicy and its like."""
    kind = next((kind for kind in _HOLDERS if kind in call.name), "User")
    return f"{kind}:{call.subject.name}"


def _attach(call: Call) -> Told:
    arn, target = text(call.asked, "policyArn"), _holder(call)
    name, whom = short(arn), worded(target)
    return Told("attachment", "attach", target, arn, after={}, opened=[f"{name} to {whom}"],
                did=f"attached {name} to {whom}")  # fmt: skip


def _detach(call: Call) -> Told:
    arn, target = text(call.asked, "policyArn", "policyName"), _holder(call)
    name, whom = short(arn), worded(target)
    return Told("attachment", "detach", target, arn, closed=[f"{name} to {whom}"],
                did=f"took {name} from {whom}")  # fmt: skip


def _inline(call: Call) -> Told:
    target, name = _holder(call), text(call.asked, "policyName")
    after, whom = policy(call.asked.get("policyDocument"), call.account), worded(target)
    opened = [said.replace("to whoever has it", f"by policy {name}", 1)
              for said in sentences(after["grants"], whom)]  # fmt: skip
    return Told("attachment", "attach", target, name, after=after, opened=opened,
                did=f"gave {whom} the policy {name}")  # fmt: skip


def _boundary(call: Call) -> Told:
    arn = text(call.asked, "permissionsBoundary") or None
    target = _holder(call)
    limit = f"the boundary {short(arn)}" if arn else "a boundary"
    said = [f"what {worded(target)} may do beyond {limit}"]
    return settings(target, {"permissions_boundary": arn}, closed=said if arn else (),
                    opened=() if arn else said)  # fmt: skip


def _create_role(call: Call) -> Told:
    target = f"Role:{call.subject.name or short(text(inner(call.answer, 'role'), 'arn'))}"
    document = call.asked.get("assumeRolePolicyDocument")
    facts: dict[str, Any] = {"description": text(call.asked, "description")}
    opened: list[str] = []
    if document is not None:
        facts["trust"] = policy(document, call.account)
        opened = sentences(facts["trust"]["grants"], worded(target))
    return entity(target, "create", facts, opened=opened)


def _service_role(call: Call) -> Told:
    made = inner(call.answer, "role")
    name, service = text(made, "roleName"), text(call.asked, "aWSServiceName")
    target = f"Role:{name or call.subject.name or service}"
    return entity(target, "create", {"service": service}, opened=[f"the account to {service}"])


def _trust(call: Call) -> Told:
    after = policy(call.asked.get("policyDocument"), call.account)
    return policy_set(f"Role:{call.subject.name}", after, "trust")


def _create_policy(call: Call) -> Told:
    facts = {"description": text(call.asked, "description")}
    stated = policy(call.asked.get("policyDocument"), call.account)
    return entity(f"Policy:{call.subject.name}", "create", facts | stated)


def _policy_version(call: Call) -> Told | None:
    if yes(call.asked.get("setAsDefault")) is False:
        return None
    target, after = f"Policy:{call.subject.name}", policy(
        call.asked.get("policyDocument"), call.account
    )  # fmt: skip
    return policy_set(target, after)


def _default_version(call: Call) -> Told:
    version = text(call.asked, "versionId")
    return settings(f"Policy:{call.subject.name}", {"default_version": version})


def _version_gone(call: Call) -> Told:
    target, version = f"Policy:{call.subject.name}", text(call.asked, "versionId")
    return settings(target, {f"version_{version}": None},
                    did=f"deleted version {version} of {worded(target)}")  # fmt: skip


def _member(action: str, owner: str, key: str) -> Tell:
    def tell(call: Call) -> Told:
        target, member = f"{owner}:{call.subject.name}", text(call.asked, key)
        said = [f"{worded(target)} to {member}"]
        if action == "add":
            did = f"added {member} to {worded(target)}"
            return Told("membership", action, target, member, after={}, opened=said, did=did)
        did = f"removed {member} from {worded(target)}"
        return Told("membership", action, target, member, closed=said, did=did)

    return tell


def _credential(kind: str, made: str, key: str) -> Tell:
    """What programs of a user's sign in with. ``made``: what the answer calls it; ``key``: what
    names it, there and in the request."""

    def tell(call: Call) -> Told:
        answer = inner(call.answer, made)
        name, user = text(answer, key) or text(call.asked, key), call.subject.name
        target = f"{kind}:{name}"
        words = worded(target)
        said = [f"the account to {words} as user {user}"]
        if call.name.startswith(("Create", "Upload")):
            facts = {"user": user, "service": text(call.asked, "serviceName")}
            return entity(target, "create", facts, opened=said, did=f"made {words} for user {user}")
        if call.name.startswith("Delete"):
            return entity(target, "delete", closed=said)
        if call.name.startswith("Reset"):
            return entity(target, "set", {"user": user}, opened=said,
                          did=f"made a new password of {words} for user {user}")  # fmt: skip
        active = text(call.asked, "status").lower() == "active"
        return Told("state", "enable" if active else "disable", target,
                    after={"state": "enabled" if active else "disabled"},
                    opened=said if active else (), closed=() if active else said)  # fmt: skip

    return tell


_ACCESS_KEY: Final = _credential("AccessKey", "accessKey", "accessKeyId")
_SSH_KEY: Final = _credential("SshKey", "sSHPublicKey", "sSHPublicKeyId")
_CERTIFICATE: Final = _credential("SigningCertificate", "certificate", "certificateId")
_SERVICE_CREDENTIAL: Final = _credential(
    "ServiceCredential", "serviceSpecificCredential", "serviceSpecificCredentialId"
)


def _login_profile(call: Call) -> Told:
    target, said = f"LoginProfile:{call.subject.name}", [f"the console to user {call.subject.name}"]
    reset = yes(call.asked.get("passwordResetRequired"))
    if call.name == "CreateLoginProfile":
        return entity(target, "create", {"reset_required": reset}, opened=said,
                      did=f"gave user {call.subject.name} a console password")  # fmt: skip
    if call.name == "DeleteLoginProfile":
        return entity(target, "delete", closed=said)
    said = said if call.name == "UpdateLoginProfile" else []
    return entity(target, "set", {"reset_required": reset}, opened=said,
                  did=f"changed the console password of user {call.subject.name}")  # fmt: skip


def _mfa(call: Call) -> Told:
    device, user = short(text(call.asked, "serialNumber")), call.subject.name
    said = [f"sign-in as user {user} without MFA device {device}"]
    on = call.name == "EnableMFADevice"
    return Told("attachment", "attach" if on else "detach", f"User:{user}", device,
                after={} if on else None, closed=said if on else (), opened=() if on else said,
                did=f"{'gave' if on else 'took from'} user {user} MFA device {device}")  # fmt: skip


def _entity(kind: str, action: str) -> Tell:
    return lambda call: entity(f"{kind}:{call.subject.name}", action)


_PASSWORD_POLICY: Final = (
    "minimumPasswordLength", "maxPasswordAge", "passwordReusePrevention", "requireSymbols",
    "requireNumbers", "requireUppercaseCharacters", "requireLowercaseCharacters", "hardExpiry",
    "allowUsersToChangePassword",
)  # fmt: skip


def _password_policy(call: Call) -> Told:
    stated = {
        k: v for k in _PASSWORD_POLICY if isinstance(v := call.asked.get(k), (bool, int, str))
    }
    return settings(f"Account:{call.account}", stated or {"password_policy": None})


def _tokens(call: Call) -> Told:
    version = text(call.asked, "globalEndpointTokenVersion")
    return settings(f"Account:{call.account}", {"global_endpoint_token_version": version})


IAM: Final[Mapping[str, Tell]] = {
    **dict.fromkeys(("AttachUserPolicy", "AttachGroupPolicy", "AttachRolePolicy"), _attach),
    **dict.fromkeys(("DetachUserPolicy", "DetachGroupPolicy", "DetachRolePolicy"), _detach),
    **dict.fromkeys(("DeleteUserPolicy", "DeleteGroupPolicy", "DeleteRolePolicy"), _detach),
    **dict.fromkeys(("PutUserPolicy", "PutGroupPolicy", "PutRolePolicy"), _inline),
    **dict.fromkeys(
        ("PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary",
         "PutRolePermissionsBoundary", "DeleteRolePermissionsBoundary"), _boundary,
    ),
    "CreateRole": _create_role,
    "CreateServiceLinkedRole": _service_role,
    "UpdateAssumeRolePolicy": _trust,
    "CreatePolicy": _create_policy,
    "CreatePolicyVersion": _policy_version,
    "SetDefaultPolicyVersion": _default_version,
    "DeletePolicyVersion": _version_gone,
    "DeletePolicy": _entity("Policy", "delete"),
    "AddUserToGroup": _member("add", "Group", "userName"),
    "RemoveUserFromGroup": _member("remove", "Group", "userName"),
    "AddRoleToInstanceProfile": _member("add", "InstanceProfile", "roleName"),
    "RemoveRoleFromInstanceProfile": _member("remove", "InstanceProfile", "roleName"),
    **dict.fromkeys(("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey"), _ACCESS_KEY),
    **dict.fromkeys(("UploadSSHPublicKey", "UpdateSSHPublicKey", "DeleteSSHPublicKey"), _SSH_KEY),
    **dict.fromkeys(("UploadSigningCertificate", "UpdateSigningCertificate",
                     "DeleteSigningCertificate"), _CERTIFICATE),
    **dict.fromkeys(
        ("CreateServiceSpecificCredential", "UpdateServiceSpecificCredential",
         "ResetServiceSpecificCredential", "DeleteServiceSpecificCredential"), _SERVICE_CREDENTIAL,
    ),
    **dict.fromkeys(("CreateLoginProfile", "UpdateLoginProfile", "DeleteLoginProfile",
                     "ChangePassword"), _login_profile),
    **dict.fromkeys(("EnableMFADevice", "DeactivateMFADevice"), _mfa),
    "UpdateAccountPasswordPolicy": _password_policy,
    "DeleteAccountPasswordPolicy": _password_policy,
    "SetSecurityTokenServicePreferences": _tokens,
}  # fmt: skip


def session(call: Call) -> Told:
    """A session of a role, or of the caller himself, was opened."""
    asked, who = call.asked, call.who
    if "Role" in call.name:
        target = f"Role:{call.subject.name}"
    elif call.name == "GetFederationToken":
        target = f"FederatedUser:{text(asked, 'name') or call.subject.name}"
    elif call.name == "AssumeRoot":
        target = f"Account:{account_of(text(asked, 'targetPrincipal')) or call.account}"
    else:
        target = f"User:{who.name}"
    after: dict[str, Any] = {
        "as": text(asked, "roleSessionName", "name"), "account": who.account or call.account,
    }  # fmt: skip
    seconds = number(asked.get("durationSeconds"))
    if seconds:
        after["hours"] = round(seconds / 3600, 2)
    whom = who.actor or "somebody"
    if who.invoked_by.endswith(SERVICE_SUFFIXES):
        whom = who.invoked_by
    words = worded(target)
    did = f"opened a session as {words}" + (f", called {after['as']}" if after["as"] else "")
    return Told("session", "create", target, after=after, opened=[f"{words} to {whom}"], did=did)
