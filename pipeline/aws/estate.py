"""Changes of CloudTrail itself, of PrivateLink and of MSK.
API: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/, …/AWSEC2/latest/APIReference/,
https://docs.aws.amazon.com/msk/1.0/apireference/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.aws.policies import grant, in_order, policy, reach, sentences
from pipeline.aws.record import inner, items, number, text, texts, yes
from pipeline.aws.resources import short
from pipeline.aws.told import (
    Call,
    Tell,
    Told,
    entity,
    policy_gone,
    policy_set,
    settings,
    worded,
)

_TRAIL: Final = {
    "is_multi_region": "isMultiRegionTrail", "include_global": "includeGlobalServiceEvents",
    "log_file_validation": "enableLogFileValidation", "organization": "isOrganizationTrail",
}  # fmt: skip
_STORE_DAYS: Final = 7


def _trail(call: Call) -> str:
    store = call.subject.kind.endswith("::EventDataStore")
    return f"{'EventDataStore' if store else 'Trail'}:{call.subject.name}"


def _trail_facts(asked: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, key in _TRAIL.items():
        if (on := yes(asked.get(key))) is not None:
            out[name] = on
    texts_of = (("bucket", "s3BucketName"), ("kms_key", "kmsKeyId"), ("topic", "snsTopicName"),
                ("log_group", "cloudWatchLogsLogGroupArn"))  # fmt: skip
    out |= {name: short(said) for name, key in texts_of if (said := text(asked, key))}
    return out


def _create_trail(call: Call) -> Told:
    return entity(_trail(call), "create", _trail_facts(call.asked))


def _update_trail(call: Call) -> Told:
    return settings(_trail(call), _trail_facts(call.asked))


def _delete_trail(call: Call) -> Told:
    return entity(_trail(call), "delete", closed=[f"the record that {worded(_trail(call))} keeps"])


def _logging(on: bool) -> Tell:
    def tell(call: Call) -> Told:
        words = worded(_trail(call))
        said = [f"the record that {words} keeps"]
        return Told("state", "enable" if on else "disable", _trail(call),
                    after={"state": "logging" if on else "stopped"}, opened=said if on else (),
                    closed=() if on else said,
                    did=f"{'started' if on else 'stopped'} {words}")  # fmt: skip

    return tell


def _store_state(action: str, state: str) -> Tell:
    def tell(call: Call) -> Told:
        after: dict[str, Any] = {"state": state}
        if action == "schedule_deletion":
            after["days"] = _STORE_DAYS
        said = [f"the record that {worded(_trail(call))} keeps"]
        return Told("state", action, _trail(call), after=after,
                    closed=said if action == "schedule_deletion" else ())  # fmt: skip

    return tell


def _selectors(call: Call) -> Told:
    basic = items(call.asked.get("eventSelectors"))
    advanced = items(call.asked.get("advancedEventSelectors"))
    rows = [_basic(s) for s in basic if isinstance(s, dict)]
    rows += [_advanced(s) for s in advanced if isinstance(s, dict)]
    kept = "; ".join(_kept(row) for row in rows) or "nothing"
    return Told("selectors", "set", _trail(call), after={"selectors": rows},
                opened=[f"the record of {_kept(row)}" for row in rows],
                did=f"had {worded(_trail(call))} record {kept}")  # fmt: skip


def _basic(said: Mapping[str, Any]) -> dict[str, Any]:
    management = yes(said.get("includeManagementEvents"))
    data = []
    for each in items(said.get("dataResources")):
        kind, values = text(each, "type"), texts(inner({"x": each}, "x").get("values"))
        data += [f"{kind} {value}" for value in values] or [kind] * bool(kind)
    return {
        "read_write": text(said, "readWriteType") or "All",
        "management": True if management is None else management,
        "data": sorted(data),
        "excluded": sorted(texts(said.get("excludeManagementEventSources"))),
    }


def _advanced(said: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, dict[str, list[str]]] = {}
    for each in items(said.get("fieldSelectors")):
        if isinstance(each, dict) and (field := text(each, "field")):
            conditions = {
                operator: sorted(found)
                for operator, values in sorted(each.items())
                if operator != "field" and (found := texts(values))
            }
            fields.setdefault(field, {}).update(conditions)
    name = text(said, "name")
    return {**({"name": name} if name else {}), "fields": dict(sorted(fields.items()))}


def _kept(row: Mapping[str, Any]) -> str:
    """One selector in words."""
    if "fields" in row:
        parts = [f"{field} {op} {', '.join(values)}" for field, ops in row["fields"].items()
                 for op, values in ops.items()]  # fmt: skip
        return " and ".join(parts) or "all events"
    said = [f"{row['read_write']} management events"] * row["management"] + list(row["data"])
    return " and ".join(said) or "nothing"


def _insights(call: Call) -> Told:
    kinds = sorted(text(s, "insightType") for s in items(call.asked.get("insightSelectors")))
    did = f"had {worded(_trail(call))} look for {', '.join(kinds) or 'nothing'}"
    after = {"selectors": kinds}
    return Told("selectors", "set", _trail(call), "insights", after=after, did=did)


def _resource_policy(call: Call) -> Told:
    return policy_set(_trail(call), policy(call.asked.get("resourcePolicy"), call.account))


TRAILS: Final[Mapping[str, Tell]] = {
    "CreateTrail": _create_trail,
    "UpdateTrail": _update_trail,
    "DeleteTrail": _delete_trail,
    "StartLogging": _logging(True),
    "StopLogging": _logging(False),
    "StartEventDataStoreIngestion": _logging(True),
    "StopEventDataStoreIngestion": _logging(False),
    "DeleteEventDataStore": _store_state("schedule_deletion", "pending deletion"),
    "RestoreEventDataStore": _store_state("cancel_deletion", "enabled"),
    "PutEventSelectors": _selectors,
    "PutInsightSelectors": _insights,
    "PutResourcePolicy": _resource_policy,
    "DeleteResourcePolicy": lambda call: policy_gone(_trail(call)),
}


def _service(call: Call) -> str:
    return f"EndpointService:{text(call.asked, 'serviceId') or call.subject.name}"


def _permissions(call: Call) -> Told:
    """Both may be asked for at once; what was added tells, what was removed stood before."""
    target, words = _service(call), worded(_service(call))
    added, removed = (
        in_order(grant(to, reach(to, call.account), ["vpce:AllowAccess"])
                 for to in texts(call.asked.get(key)))
        for key in ("addAllowedPrincipals", "removeAllowedPrincipals")
    )  # fmt: skip
    before = {"grants": removed} if removed else None
    closed = sentences(removed, words)
    if added or not removed:
        told = policy_set(target, {"grants": added}, "permissions", "add", before=before)
        return told._replace(closed=closed)
    whom = ", ".join(row["to"] for row in removed)
    return Told("policy", "remove", target, "permissions", before=before, closed=closed,
                did=f"closed {words} to {whom}")  # fmt: skip


def _service_settings(call: Call) -> Told:
    asked = call.asked
    facts: dict[str, Any] = {}
    if (required := yes(asked.get("acceptanceRequired"))) is not None:
        facts["acceptance_required"] = required
    if name := text(asked, "privateDnsName"):
        facts["private_dns_name"] = name
    opened = [f"{worded(_service(call))} to connections that nobody accepts"]
    said = opened if facts.get("acceptance_required") is False else []
    if call.name.startswith("Create"):
        return entity(_service(call), "create", facts, opened=said)
    return settings(_service(call), facts, opened=said)


def _delete_services(call: Call) -> Told:
    return entity(_service(call), "delete", closed=[f"{worded(_service(call))} to everyone"])


def _connections(action: str) -> Tell:
    def tell(call: Call) -> Told:
        ends = sorted(texts(call.asked.get("vpcEndpointId")) or texts(
            call.asked.get("vpcEndpointIds")))  # fmt: skip
        said = [f"{worded(_service(call))} to {end}" for end in ends]
        did = f"{action}ed the connection of {', '.join(ends) or 'endpoints'}"
        return Told("endpoint", action, _service(call), after={"endpoints": ends}, did=did,
                    opened=said if action == "accept" else (),
                    closed=() if action == "accept" else said)  # fmt: skip

    return tell


def _endpoint(action: str) -> Tell:
    def tell(call: Call) -> Told:
        target, asked = f"Endpoint:{call.subject.name}", call.asked
        facts: dict[str, Any] = {
            name: said
            for name, key in (("service", "serviceName"), ("vpc", "vpcId"),
                              ("type", "vpcEndpointType"))
            if (said := text(asked, key))
        }  # fmt: skip
        opened: list[str] = []
        if document := text(asked, "policyDocument"):
            facts["policy"] = policy(document, call.account)
            opened = sentences(facts["policy"]["grants"], worded(target))
        if action == "create" and "service" in facts:
            opened = [f"{facts['service']} to {facts.get('vpc', 'a network')}", *opened]
        if action == "delete":
            return Told("endpoint", action, target, closed=[f"{worded(target)} to its network"])
        return Told("endpoint", action, target, after=facts, opened=opened)

    return tell


LINKS: Final[Mapping[str, Tell]] = {
    "ModifyVpcEndpointServicePermissions": _permissions,
    "CreateVpcEndpointServiceConfiguration": _service_settings,
    "ModifyVpcEndpointServiceConfiguration": _service_settings,
    "DeleteVpcEndpointServiceConfigurations": _delete_services,
    "AcceptVpcEndpointConnections": _connections("accept"),
    "RejectVpcEndpointConnections": _connections("reject"),
    "CreateVpcEndpoint": _endpoint("create"),
    "ModifyVpcEndpoint": _endpoint("set"),
    "DeleteVpcEndpoints": _endpoint("delete"),
}


def _cluster(call: Call) -> str:
    return f"MskCluster:{call.subject.name}"


def _cluster_settings(call: Call) -> Told:
    facts = _cluster_facts(call.asked)
    public = facts.get("public_access")
    words = worded(_cluster(call))
    opened = [f"{words} to the internet"] if public not in (None, "DISABLED") else []
    if _anybody(facts):
        opened.append(f"{words} to whoever reaches it, unauthenticated")
    closed = [f"{words} to the internet"] if public == "DISABLED" else []
    if call.name.startswith("Create"):
        return entity(_cluster(call), "create", facts, opened=opened)
    return settings(_cluster(call), facts, opened=opened, closed=closed)


_STATED: Final = (
    ("kafka_version", "kafkaVersion"), ("kafka_version", "targetKafkaVersion"),
    ("monitoring", "enhancedMonitoring"), ("instance_type", "targetInstanceType"),
)  # fmt: skip


def _cluster_facts(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What of a cluster's settings says how it is guarded, and how big it is."""
    asked = {**asked, **inner(asked, "provisioned"), **inner(asked, "serverless")}
    out: dict[str, Any] = {}
    connectivity = inner(asked, "connectivityInfo") or inner(
        inner(asked, "brokerNodeGroupInfo"), "connectivityInfo"
    )
    if public := text(inner(connectivity, "publicAccess"), "type"):
        out["public_access"] = public
    if authentication := _switches(inner(asked, "clientAuthentication")):
        out["authentication"] = authentication
    encryption = inner(asked, "encryptionInfo")
    in_transit, at_rest = (
        inner(encryption, "encryptionInTransit"),
        inner(encryption, "encryptionAtRest"),
    )
    if in_transit or at_rest:
        out["encryption"] = {
            **{k: v for k in ("clientBroker", "inCluster") if isinstance(v := in_transit.get(k),
                                                                       (str, bool))},
            **({"kms_key": short(key)} if (key := text(at_rest, "dataVolumeKMSKeyId")) else {}),
        }  # fmt: skip
    if logging := _switches(inner(inner(asked, "loggingInfo"), "brokerLogs")):
        out["logging"] = logging
    for name, key in _STATED:
        if said := text(asked, key):
            out[name] = said
    if configuration := text(inner(asked, "configurationInfo"), "arn"):
        out["configuration"] = short(configuration)
    for name, key in (("brokers", "numberOfBrokerNodes"), ("brokers", "targetNumberOfBrokerNodes")):
        if (count := number(asked.get(key))) is not None:
            out[name] = count
    return out


def _switches(node: Mapping[str, Any], above: str = "") -> dict[str, bool]:
    """What is switched on and off within, by the way there: ``{"sasl.scram": true}``."""
    out: dict[str, bool] = {}
    for key, value in sorted(node.items()):
        if key == "enabled" and (on := yes(value)) is not None and above:
            out[above] = on
        elif isinstance(value, dict) and above.count(".") < 3:
            out |= _switches(value, f"{above}.{key}" if above else key)
    return out


def _anybody(facts: Mapping[str, Any]) -> bool:
    return bool(facts.get("authentication", {}).get("unauthenticated"))


def _scram(action: str) -> Tell:
    def tell(call: Call) -> Told:
        arns = texts(call.asked.get("secretArnList"))
        secrets = ", ".join(sorted(short(arn) for arn in arns))
        said = [f"{worded(_cluster(call))} to who knows {secrets}"]
        add = action == "add"
        return Told("membership", action, _cluster(call), secrets, after={} if add else None,
                    opened=said if add else (), closed=() if add else said,
                    did=f"{'opened' if add else 'closed'} {said[0]}")  # fmt: skip

    return tell


def _cluster_policy(call: Call) -> Told:
    return policy_set(_cluster(call), policy(call.asked.get("policy"), call.account))


def _topic(call: Call) -> Told:
    action = {"Create": "create", "Delete": "delete"}.get(call.name[:6], "set")
    topic = call.subject.kind.endswith("::Topic")
    kind = "Topic" if topic else "Group" if "Group" in call.name else "MskCluster"
    return entity(f"{kind}:{call.subject.name}", action)


MSK: Final[Mapping[str, Tell]] = {
    "PutClusterPolicy": _cluster_policy,
    "DeleteClusterPolicy": lambda call: policy_gone(_cluster(call)),
    **dict.fromkeys(
        ("CreateCluster", "CreateClusterV2", "UpdateSecurity", "UpdateConnectivity",
         "UpdateMonitoring", "UpdateClusterConfiguration", "UpdateClusterKafkaVersion",
         "UpdateBrokerCount", "UpdateBrokerType"), _cluster_settings,
    ),
    "DeleteCluster": lambda call: entity(_cluster(call), "delete"),
    "BatchAssociateScramSecret": _scram("add"),
    "BatchDisassociateScramSecret": _scram("remove"),
}  # fmt: skip

TOPICS: Final[Mapping[str, Tell]] = dict.fromkeys(
    ("CreateTopic", "DeleteTopic", "AlterTopic", "AlterTopicDynamicConfiguration",
     "AlterClusterDynamicConfiguration", "AlterGroup", "DeleteGroup"), _topic,
)  # fmt: skip
