"""Changes of CloudTrail itself and of PrivateLink.
API: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/ and
…/AWSEC2/latest/APIReference/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.aws.batches import done
from pipeline.aws.policies import grant, in_order, policy, reach, sentences
from pipeline.aws.record import inner, items, text, texts, yes
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


def _administrator(call: Call) -> Told:
    """Of the trails of all of an organisation's accounts."""
    target, made = f"Account:{call.subject.name}", call.name.startswith("Register")
    words = worded(target)
    said = [f"the organisation's trails to {words}"]
    did = f"made {words} administrator" if made else f"took from {words} the administration"
    did += " of the organisation's trails"
    return settings(target, {"delegated_administrator": made or None}, did=did,
                    opened=said if made else (), closed=() if made else said)  # fmt: skip


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
    "RegisterOrganizationDelegatedAdmin": _administrator,
    "DeregisterOrganizationDelegatedAdmin": _administrator,
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


def _done(call: Call) -> list[str]:
    return done(call.name, call.asked, call.answer) or [call.subject.name]


def _delete_services(call: Call) -> Told:
    gone = _done(call)
    closed = [f"{worded(f'EndpointService:{each}')} to everyone" for each in gone]
    return entity(f"EndpointService:{', '.join(gone)}", "delete", closed=closed)


def _connections(action: str) -> Tell:
    def tell(call: Call) -> Told:
        ends = done(call.name, call.asked, call.answer)
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
        return Told("endpoint", action, target, after=facts, opened=opened)

    return tell


def _delete_endpoints(call: Call) -> Told:
    gone = _done(call)
    closed = [f"{worded(f'Endpoint:{each}')} to its network" for each in gone]
    return Told("endpoint", "delete", f"Endpoint:{', '.join(gone)}", closed=closed)


def _notification(call: Call) -> Told:
    """Of connections to an endpoint service, or of an endpoint."""
    asked = call.asked
    target = f"ConnectionNotification:{call.subject.name}"
    whom = short(text(asked, "connectionNotificationArn"))
    of = text(asked, "serviceId", "vpcEndpointId")
    facts = {"of": of, "topic": whom, "events": sorted(texts(asked.get("connectionEvents")))}
    did = f"had connections to {of} told to topic {whom}"
    return entity(target, "create", facts, did=did)


LINKS: Final[Mapping[str, Tell]] = {
    "ModifyVpcEndpointServicePermissions": _permissions,
    "CreateVpcEndpointServiceConfiguration": _service_settings,
    "ModifyVpcEndpointServiceConfiguration": _service_settings,
    "DeleteVpcEndpointServiceConfigurations": _delete_services,
    "AcceptVpcEndpointConnections": _connections("accept"),
    "RejectVpcEndpointConnections": _connections("reject"),
    "CreateVpcEndpoint": _endpoint("create"),
    "ModifyVpcEndpoint": _endpoint("set"),
    "DeleteVpcEndpoints": _delete_endpoints,
    "CreateVpcEndpointConnectionNotification": _notification,
    "DeleteVpcEndpointConnectionNotifications": lambda call: entity(
        f"ConnectionNotification:{', '.join(_done(call))}", "delete"
    ),
}
