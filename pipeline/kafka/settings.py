"""Requests about configurations, quotas and features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.kafka.parts import (
    CLUSTER,
    DEFAULT,
    UNKNOWN,
    Enums,
    Item,
    Node,
    Results,
    named,
    nodes,
    number,
    text,
)
from pipeline.kafka.protocol import CONFIG_ACTIONS, CONFIGURED

_ENTITIES: Final = {"user": "User", "client-id": "ClientId", "ip": "Ip"}


def _configs(request: Node, response: Node, incremental: bool) -> Iterator[Item]:
    results = named(response, "responses", "resourceType", "resourceName")
    for resource in nodes(request, "resources"):
        enums = Enums()
        kind = enums(CONFIGURED, resource, "resourceType")
        name = text(resource, "resourceName")
        result = results.of((number(resource, "resourceType"), name))
        name = name or DEFAULT
        configs = nodes(resource, "configs")
        for config in configs:
            said = text(config, "name")
            read = Enums([*enums.unknown])
            action = read(CONFIG_ACTIONS, config, "configOperation") if incremental else "set"
            value = None if config.get("value") is None else text(config, "value")
            if action == UNKNOWN:
                action = "alter"
            yield Item("config", action, kind, name, said, None if action == "delete" else value,
                       words=f"{said} of {kind} {name}", result=result,
                       unknown=tuple(read.unknown))  # fmt: skip
        if not configs:
            # The old API sets what it names and removes all the rest.
            yield Item("config", "delete", kind, name, words=f"configuration of {kind} {name}",
                       result=result, nothing=incremental,
                       unknown=tuple(enums.unknown))  # fmt: skip


def incremental_alter_configs(request: Node, response: Node) -> Iterator[Item]:
    """IncrementalAlterConfigs."""
    return _configs(request, response, incremental=True)


def alter_configs(request: Node, response: Node) -> Iterator[Item]:
    """AlterConfigs."""
    return _configs(request, response, incremental=False)


def quotas(request: Node, response: Node) -> Iterator[Item]:
    """AlterClientQuotas."""
    answers = nodes(response, "entries", required=False)
    results = Results(response, ((_entity(node)[0], node) for node in answers))
    for entry in nodes(request, "entries"):
        entity, unknown = _entity(entry)
        for op in nodes(entry, "ops"):
            key, gone, value = text(op, "key"), op.get("remove") is True, op.get("value")
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            yield Item("quota", "delete" if gone else "set", "Quota", entity, key,
                       None if gone or not is_number else value, words=f"{key} of {entity}",
                       result=results.of(entity), unknown=unknown)  # fmt: skip


def _entity(entry: Node) -> tuple[str, tuple[str, ...]]:
    """Whose quota it is, in one order however the request has it."""
    parts: dict[str, str] = {}
    for node in nodes(entry, "entity"):
        parts[text(node, "entityType")] = (
            DEFAULT if node.get("entityName") is None else text(node, "entityName")
        )
    known = [f"{word}:{parts[kind]}" for kind, word in _ENTITIES.items() if kind in parts]
    others = [f"{UNKNOWN}:{name}" for kind, name in parts.items() if kind not in _ENTITIES]
    return ",".join(known + others), ("entity",) if others else ()


def features(request: Node, response: Node) -> Iterator[Item]:
    """UpdateFeatures."""
    results = named(response, "results", "feature")
    for update in nodes(request, "featureUpdates"):
        feature, level = text(update, "feature"), number(update, "maxVersionLevel")
        yield Item("feature", "set" if level > 0 else "delete", "Cluster", CLUSTER, feature,
                   level if level > 0 else None, words=f"feature {feature}",
                   result=results.of((feature,)))  # fmt: skip
