"""Refusals: calls that AWS denied for want of a permission, by the code of their error. What was
throttled, not found or malformed was not refused; nor was a password that an application's user
mistyped, which Cognito calls so."""

from __future__ import annotations

import re
from typing import Final

from pipeline.batch import Fact

_DENIED: Final = re.compile(
    r"AccessDenied|UnauthorizedOperation|UnauthorizedAccess|^Unauthorized|NotAuthorized|Forbidden|"
    r"AuthFailure|AuthorizationError"
)


def deny(fact: Fact, service: str, code: str) -> None:
    """State that a call was denied, where its error's code says so. Changes ``fact``."""
    if code and _DENIED.search(code) and service != "cognito-idp":
        fact.event.rule = code
        decision = {"decision": "Denied", "policy": {"name": code}}
        fact.document["actor"] = {**fact.document["actor"], "authorizations": [decision]}
