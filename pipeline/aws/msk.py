"""Changes of MSK: its clusters, their topics, and the connections into them.
API: https://docs.aws.amazon.com/msk/1.0/apireference/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.aws.batches import done
from pipeline.aws.policies import policy
from pipeline.aws.record import decoded, inner, number, text, yes
from pipeline.aws.resources import short
from pipeline.aws.told import Call, Tell, Told, entity, policy_gone, policy_set, settings, worded


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
        arns = done(call.name, call.asked, call.answer)
        secrets = ", ".join(sorted(short(arn) for arn in arns))
        said = [f"{worded(_cluster(call))} to who knows {secrets}"]
        add = action == "add"
        return Told("membership", action, _cluster(call), secrets, after={} if add else None,
                    opened=said if add else (), closed=() if add else said,
                    did=f"{'opened' if add else 'closed'} {said[0]}")  # fmt: skip

    return tell


def _cluster_policy(call: Call) -> Told:
    return policy_set(_cluster(call), policy(call.asked.get("policy"), call.account))


def _connect(call: Call) -> Told:
    asked, target = call.asked, f"VpcConnection:{call.subject.name}"
    cluster = short(decoded(text(asked, "targetClusterArn")))
    facts = {"cluster": cluster, "vpc": text(asked, "vpcId"),
             "authentication": text(asked, "authentication")}  # fmt: skip
    opened = [f"{worded(f'MskCluster:{cluster}')} to {facts['vpc'] or 'a network'}"]
    return entity(target, "create", facts, opened=opened)


def _disconnect(call: Call) -> Told:
    target = f"VpcConnection:{call.subject.name}"
    cluster = call.subject.name.partition("/")[0]
    closed = [f"{worded(f'MskCluster:{cluster}')} to {worded(target)}"]
    return entity(target, "delete", closed=closed)


def _reject(call: Call) -> Told:
    """As PrivateLink tells it: the cluster's owner closes it to one connection."""
    name = short(decoded(text(call.asked, "vpcConnectionArn")))
    words = worded(f"VpcConnection:{name}")
    closed = [f"{worded(_cluster(call))} to {words}"]
    return Told("endpoint", "reject", _cluster(call), after={"endpoints": [name]}, closed=closed,
                did=f"rejected {words}")  # fmt: skip


def _topic_settings(call: Call) -> Told:
    """As MSK's own API states them: ``configs``, in Base64, in a form that is described nowhere."""
    asked, target = call.asked, f"Topic:{call.subject.name}"
    counts = {"partitions": number(asked.get("partitionCount")),
              "replication_factor": number(asked.get("replicationFactor"))}  # fmt: skip
    facts: dict[str, Any] = {name: count for name, count in counts.items() if count is not None}
    if text(asked, "configs"):
        facts["configs"] = "set"
    if call.name.startswith("Create"):
        return entity(target, "create", facts)
    return settings(target, facts)


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
    "CreateVpcConnection": _connect,
    "DeleteVpcConnection": _disconnect,
    "RejectClientVpcConnection": _reject,
    "CreateTopic": _topic_settings,
    "UpdateTopic": _topic_settings,
    "DeleteTopic": lambda call: entity(f"Topic:{call.subject.name}", "delete"),
    "BatchAssociateScramSecret": _scram("add"),
    "BatchDisassociateScramSecret": _scram("remove"),
}  # fmt: skip

TOPICS: Final[Mapping[str, Tell]] = dict.fromkeys(
    ("CreateTopic", "DeleteTopic", "AlterTopic", "AlterTopicDynamicConfiguration",
     "AlterClusterDynamicConfiguration", "AlterGroup", "DeleteGroup"), _topic,
)  # fmt: skip
