"""Requests about access rules, credentials and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.kafka.parts import ANY, Enums, Item, Node, Results, maybe, named, nodes, number, text
from pipeline.kafka.protocol import MECHANISMS, OPERATIONS, PATTERNS, PERMISSIONS, RESOURCES


def _acl(node: Node, pattern: str, suffix: str = "") -> tuple[Item, dict[str, str]]:
    """The rule a node describes: an item without action and result, and the rule."""
    enums = Enums()
    kind = enums(RESOURCES, node, f"resourceType{suffix}")
    name = maybe(node, f"resourceName{suffix}") or (ANY if suffix else "")
    rule = {
        "principal": maybe(node, f"principal{suffix}") or ANY,
        "host": maybe(node, f"host{suffix}") or ANY,
        "operation": enums(OPERATIONS, node, "operation"),
        "permission": enums(PERMISSIONS, node, "permissionType"),
        "pattern_type": enums(PATTERNS, node, pattern, 3),
    }
    of = "|".join(rule[k] for k in ("pattern_type", "principal", "host", "operation", "permission"))
    words = f"ACL {rule['permission']} {rule['operation']} for {rule['principal']} on {kind} {name}"
    item = Item("acl", "", kind, name, of, pattern_type=rule["pattern_type"], words=words,
                unknown=tuple(enums.unknown))  # fmt: skip
    return item, rule


def _in_order(asked: list[Node], answers: list[Node]) -> list[Node | None]:
    return [*answers] if len(asked) == len(answers) else [None] * len(asked)


def create_acls(request: Node, response: Node) -> Iterator[Item]:
    """CreateAcls."""
    asked = nodes(request, "creations")
    answers = _in_order(asked, nodes(response, "results", required=False))
    for node, result in zip(asked, answers, strict=True):
        item, rule = _acl(node, "resourcePatternType")
        item.action, item.after, item.result = "create", rule, result
        yield item


def delete_acls(request: Node, response: Node) -> Iterator[Item]:
    """DeleteAcls: every rule that matched; the filter where none did."""
    asked = nodes(request, "filters")
    answers = _in_order(asked, nodes(response, "filterResults", required=False))
    for node, result in zip(asked, answers, strict=True):
        matches = nodes(result or {}, "matchingAcls", required=False)
        for match in matches:
            item, rule = _acl(match, "patternType")
            item.action, item.before, item.result = "delete", rule, match
            yield item
        if not matches:
            item, _ = _acl(node, "patternTypeFilter", "Filter")
            item.action, item.result, item.nothing = "delete", result, result is not None
            yield item


def scram(request: Node, response: Node) -> Iterator[Item]:
    """AlterUserScramCredentials."""
    results = named(response, "results", "user")
    for key, action in (("deletions", "delete"), ("upsertions", "set")):
        for node in nodes(request, key, required=False):
            enums = Enums()
            name, mechanism = text(node, "name"), enums(MECHANISMS, node, "mechanism")
            after = None
            if action == "set":
                after = {"mechanism": mechanism, "iterations": number(node, "iterations")}
            yield Item("scram", action, "User", name, mechanism, after, result=results.of((name,)),
                       words=f"{mechanism} credential of User {name}",
                       unknown=tuple(enums.unknown))  # fmt: skip


def _token(request: Node, response: Node, action: str) -> Iterator[Item]:
    # The only name a token has here is its HMAC, which is secret.
    token_id = maybe(response, "tokenId")
    after: dict[str, Any] = {}
    owner = maybe(response, "principalName")
    asked = maybe(request, "ownerPrincipalName")
    if owner or asked:
        kinds = maybe(response, "principalType") or maybe(request, "ownerPrincipalType")
        after["owner"] = f"{kinds}:{owner or asked}"
    if token_id:
        after["token_id"] = token_id
    if number(response, "expiryTimestampMs", -1) > 0:
        after["expires"] = response["expiryTimestampMs"]
    ends = action == "expire" and number(request, "expiryTimePeriodMs", -1) < 0
    name = token_id or "<unknown>"
    yield Item("token", action, "DelegationToken", name, after=None if ends else after,
               words=f"DelegationToken {name}" if token_id else "a DelegationToken",
               result=Results(response).whole)  # fmt: skip


def create_token(request: Node, response: Node) -> Iterator[Item]:
    """CreateDelegationToken."""
    return _token(request, response, "create")


def renew_token(request: Node, response: Node) -> Iterator[Item]:
    """RenewDelegationToken."""
    return _token(request, response, "renew")


def expire_token(request: Node, response: Node) -> Iterator[Item]:
    """ExpireDelegationToken; a negative period ends it at once."""
    return _token(request, response, "expire")
