"""Changes of a cluster's metadata, as the KRaft controllers write them down: what, never who.

Events: 3004 Entity Management for records and for requests that failed; 6002 Application
Lifecycle where a controller becomes the active one or ceases to be.

::

    [QuorumController id=1] Replayed TopicRecord for topic NAME with topic ID ID.
    [QuorumController id=1] CreateTopics result(s): CreatableTopic(name='NAME', …): ERROR (text)

A record is written on every controller, and again by one that starts and reads the metadata log:
from `Creating new QuorumController` to `Becoming the active controller`, and on a standby, the leg
is ``replayed`` and the time is the reading's. Where neither is known (a rotated file) it is
``effect``. What a request led to is told by its records; its result line is read for what failed.
Records of metadata transactions (the first start, a migration from ZooKeeper), registrations,
elections and tokens that ran out are nobody's deeds: ``bookkeeping``. :mod:`pipeline.kraft` has
the wordings and where they are from; Kafka 3.3 to 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeline.batch import (
    Fact,
    Filtered,
    Line,
    Outcome,
    Reading,
    Source,
    State,
    in_turn,
    moment,
)
from pipeline.errors import Reason, Unreadable
from pipeline.kraft.messages import said
from pipeline.kraft.standing import nobodys, standing, take
from pipeline.kraft.stated import Stated, body
from schemas.types import Event
from schemas.vocabulary import (
    APPLICATION_LIFECYCLE,
    ENTITY_MANAGEMENT,
    OTHER_ACTIVITY,
    BlindSpot,
    Forgery,
    Leg,
)

_PACKAGE = "org.apache.kafka.controller."
_MANAGERS = (
    "QuorumController", "ReplicationControlManager", "ConfigurationControlManager",
    "AclControlManager", "ScramControlManager", "ClientQuotaControlManager",
    "FeatureControlManager", "DelegationTokenControlManager", "ClusterControlManager",
    "OffsetControlManager", "ProducerIdControlManager",
    # Without facts of their own: listed so that nobody has to wonder.
    "BrokerHeartbeatManager", "EventPerformanceMonitor", "PartitionChangeBuilder",
    "PeriodicTaskControlManager",
)  # fmt: skip
_ACTIVITY: Final = {"create": 1, "set": 3, "alter": 3, "delete": 4, "expire": 4}
_SELF: Final = "Self"
"""Stands for a resource: the line is about the controller that writes it."""


def _whole(message: str) -> bool:
    items = said(body(message).text)
    if isinstance(items, Unreadable):
        return items.reason != Reason.TORN
    return not any(item.ambiguous for item in items)


def _forged(message: str) -> bool:
    return not isinstance(said(body(message).text), Unreadable)


def _is_result(item: Stated) -> bool:
    """A request's result, not a record."""
    return item.operation in ("CreateTopics", "DeleteTopics")


def _ours(text: str) -> bool:
    return text.startswith("[QuorumController id=") and (
        "] Replayed " in text[:45] or "Topics result(s): " in text[:80]
    )


def _read_line(line: Line, reading: Reading, state: State) -> Sequence[Outcome]:
    node, text = body(line.message)
    items = said(text)
    if isinstance(items, Unreadable):
        raise Unreadable(items.reason, items.detail)
    if not line.complete:
        raise Unreadable(Reason.TORN, "the end of a controller's line is missing")
    if not items:
        return (_other(line, reading, state, node, text),)
    made = [item for item in items if not (_is_result(item) and item.success)]
    if not made:
        return (Filtered("kafka_controller:said_by_record"),)
    return [_fact(line, reading, state, node, item) for item in made]


def _other(line: Line, reading: Reading, state: State, node: str, text: str) -> Outcome:
    """A line of no record. One that is suspect teaches nothing."""
    now = standing(text)
    if now is None:
        if "[QuorumController id=" in text:
            detail = "a controller's prefix behind text that no controller writes"
            raise Unreadable(Reason.UNKNOWN_LAYOUT, detail)
        return Filtered(f"logger:{line.logger}" if line.logger else "kafka_controller:other")
    if not line.suspect:
        take(state, now, moment(line, reading)[0])
    if not now.operation:
        return Filtered("kafka_controller:standing")
    return _fact(line, reading, state, node, Stated(now.operation, "", _SELF, "", text[:400]))


def _fact(line: Line, reading: Reading, state: State, node: str, item: Stated) -> Fact:
    at, precision, spots = moment(line, reading)
    result, lifecycle = _is_result(item), item.resource_type == _SELF
    aside = not (result or lifecycle) and nobodys(item, state, at, learn=not line.suspect)
    outcome = "success" if item.success else "unknown" if item.ambiguous else "failure"
    activity = _ACTIVITY.get(item.action, OTHER_ACTIVITY)
    uid = APPLICATION_LIFECYCLE if lifecycle else ENTITY_MANAGEMENT
    event = Event(at, uid, activity, outcome, SOURCE.name, operation=item.operation)
    event.time_precision, event.message = precision, item.sentence
    event.suspect, event.forgery = line.suspect or item.ambiguous, line.forgery
    if item.ambiguous:
        event.forgery = event.forgery or Forgery.IMITATION.value
    elif "\n" in line.message:
        event.forgery = event.forgery or Forgery.LINE_BREAK.value
    event.blind_spots = spots
    extension: dict[str, Any] = {"node": node} if node else {}
    if lifecycle:
        extension["bookkeeping"] = True
        return Fact(event, line.stamp, document={"app": dict(SOURCE.product)}, extension=extension)
    if not aside:
        event.blind_spots = (*spots, BlindSpot.NO_PRINCIPAL.value)
    event.resource_type, event.resource = item.resource_type, item.resource
    event.pattern_type = item.pattern_type
    replayed = state.get("standing") == "standby" and not result
    event.leg = Leg.REPLAYED.value if replayed else Leg.EFFECT.value
    extension |= item.extra
    if aside:
        extension["bookkeeping"] = True
    if item.kind:
        extension["deed"] = deed = {
            "kind": item.kind, "action": item.action, "target": item.target, "item": item.item,
            "after": item.after,
        }  # fmt: skip
        if item.before is not None:
            deed["before"] = item.before
    document = {"status_code": item.code, "status_detail": item.detail} if item.code else {}
    return Fact(event, line.stamp, "", (), document, extension, item.secrets)


SOURCE = Source(
    name="kafka_controller",
    title="Kafka controller log: what changed in the metadata, without its actor",
    documentation=__doc__,
    product={"name": "Apache Kafka", "vendor_name": "Apache Software Foundation"},
    read=in_turn(_read_line),
    loggers=tuple(_PACKAGE + name for name in _MANAGERS),
    recognise=_ours,
    whole=_whole,
    forged=_forged,
    shapes=("topics", "partitions", "results", "configs", "acls", "scram", "quotas", "tokens",
            "features", "bootstrap", "standing", "older", "prefixed", "unclear", "bare",
            "unreadable"),
    blind_spots=(
        "Names no actor, address or request: join it with the request log.",
        "A sensitive value is [hidden], and so is its removal: both read as set.",
        "Whether a delegation token was issued, renewed or given another end is not said.",
        "Elections are written at DEBUG, unless unclean. Early releases have no line for ACLs.",
        "A file that begins without a change of standing: its lines are taken for effects.",
    ),
)  # fmt: skip
