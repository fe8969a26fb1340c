"""Calls upon several things, whose answer names those it failed for: such a call succeeds as a
whole, whatever became of each.
API: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_UnsuccessfulItem.html,
https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-scram-secrets.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pipeline.aws.record import items, text, texts


class _Batch(NamedTuple):
    """``asked``: parameters that list the things; ``failed``: of the answer, what lists those that
    it failed for; ``name``: what names each there."""

    asked: tuple[str, ...]
    failed: str
    name: str


_ENDPOINTS: Final = _Batch(("vpcEndpointId", "vpcEndpointIds"), "unsuccessful", "resourceId")
_SERVICES: Final = _Batch(("serviceId", "serviceIds"), "unsuccessful", "resourceId")
_NOTIFICATIONS: Final = _Batch(
    ("connectionNotificationId", "connectionNotificationIds"), "unsuccessful", "resourceId"
)
_SECRETS: Final = _Batch(("secretArnList",), "unprocessedScramSecrets", "secretArn")
_BATCHES: Final[Mapping[str, _Batch]] = {
    "DeleteVpcEndpoints": _ENDPOINTS,
    "AcceptVpcEndpointConnections": _ENDPOINTS,
    "RejectVpcEndpointConnections": _ENDPOINTS,
    "DeleteVpcEndpointServiceConfigurations": _SERVICES,
    "DeleteVpcEndpointConnectionNotifications": _NOTIFICATIONS,
    "BatchAssociateScramSecret": _SECRETS,
    "BatchDisassociateScramSecret": _SECRETS,
}


def done(call: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    """The things that a call was made upon, by name, but for those that its answer says it failed
    for; all of them where it failed for all. Empty: it is no such call, or names nothing.

    Args:
        call: its name.
        asked, answer: parameters of request and response, out of what wraps them.
    """
    named, failed = _split(call, asked, answer)
    return [each for each in named if each not in failed] or named


def is_undone(call: str, asked: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Whether a call failed for each of the things it was made upon. As :func:`done` has them."""
    named, failed = _split(call, asked, answer)
    return bool(named) and failed.issuperset(named)


def _split(
    call: str, asked: Mapping[str, Any], answer: Mapping[str, Any]
) -> tuple[list[str], frozenset[str]]:
    batch = _BATCHES.get(call)
    if batch is None:
        return [], frozenset()
    named = next((found for key in batch.asked if (found := texts(asked.get(key)))), [])
    failed = (text(each, batch.name) for each in items(answer.get(batch.failed)))
    return sorted(set(named)), frozenset(filter(None, failed))
