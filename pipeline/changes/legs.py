"""Legs: what one event says of one administrative deed.

=============  ====================================================================================
leg            what it knows
=============  ====================================================================================
``request``    the request log: actor, address, what was asked of each item, what came of it
``forwarded``  the same request as the controller got it; the address is the broker's
``authorizer`` one decision on the way: actor, address, but not what came of it
``effect``     the controller's own line: what changed, and nothing of who
``replayed``   the same line, read out of the metadata log again later: its time means nothing
``record``     a cloud's own record: actor, address, what was done and what came of it
=============  ====================================================================================

Suspect events are no legs: a client may have written them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.administration import APIS, CREATES_BY_USE
from schemas.changes import Deed
from schemas.vocabulary import Leg

_BESIDE = frozenset(("partitions", "reassignment", "election"))
"""Kinds of effects that the controller also has by itself, or beside others."""
_GLOBAL = ("iam.amazonaws.com", "sts.amazonaws.com")
"""Services whose things are of no region, whichever one a record names."""
_OBJECTS = ("entity", "group", "user")
"""What a change is about, by the names that OCSF's classes have for it."""


@dataclass(frozen=True, slots=True)
class OneLeg:
    """One event as a leg. Times in epoch milliseconds.

    Attributes:
        leg: one of :class:`schemas.vocabulary.Leg`.
        deed: what it says was done; None: a decision names none, and a request may do nothing.
        api: the request's name, or empty.
        start: when the request began; the event's own time where nobody says.
        same: what the two records of one request, or of one deed in two accounts, share, or empty.
        record: what the items of one record share, or empty.
        line: what kind of line it is; one deed leads to at most one of each on each host.
        operation, resource: of a decision: what was asked of what (``Topic:payments``).
        decisive: of a decision: the request stands or falls with it.
        only_adds: it never makes a change by itself.
        aside: nobody's deed, as what a cluster starts with: no change, but known when replayed.
        place: of a cloud's record: where the name of its target is one thing's, as account and
            region; empty where it is everywhere.
    """

    id: str
    time: int
    leg: str
    host: str
    actor: str
    address: str
    outcome: str
    deed: Deed | None = None
    api: str = ""
    start: int = 0
    same: tuple[Any, ...] = ()
    record: tuple[Any, ...] = ()
    line: str = ""
    operation: str = ""
    resource: str = ""
    decisive: bool = False
    only_adds: bool = False
    aside: bool = False
    place: tuple[str, ...] = ()


def read(document: Mapping[str, Any]) -> OneLeg | None:
    """The leg that the OCSF document of an event states, or None."""
    said = document["auditstream"]
    if said["suspect"] or said["time_precision"] == "unknown":
        return None
    if said.get("leg") == Leg.AUTHORIZER:
        return _decision(document, said)
    return _change(document, said)


def _change(document: Mapping[str, Any], said: Mapping[str, Any]) -> OneLeg | None:
    leg, stated, call = said.get("leg", ""), said.get("deed"), said.get("call")
    if not leg or (stated is None and call is None):
        return None
    deed = _deed(stated) if stated else None
    time = document["time"]
    operation = document.get("api", {}).get("operation", "")
    actor, address = _who(document)
    # Nobody need have said whose file it is: controllers name themselves.
    host = f"{said['host']} {said.get('node', '')}"
    if leg == Leg.RECORD and deed is not None:
        shared = document["metadata"].get("correlation_uid")
        return OneLeg(
            document["metadata"]["uid"], time, leg, said["host"], actor, address, said["outcome"],
            deed, start=time, same=(shared, *deed.subject) if shared else (),
            place=_place(document, deed.target),
        )  # fmt: skip
    common: dict[str, Any] = {
        "id": document["metadata"]["uid"], "time": time, "leg": leg, "host": host,
        "actor": actor, "address": address, "outcome": said["outcome"], "deed": deed,
    }  # fmt: skip
    if call is None:
        adds = deed is not None and deed.kind in _BESIDE
        aside = bool(said.get("bookkeeping"))
        return OneLeg(**common, start=time, line=operation, only_adds=adds, aside=aside)
    same = (actor, call["client_id"], call["correlation_id"], call["api"], call["digest"])
    return OneLeg(
        **common, api=call["api"], start=time - int(call["took_ms"]) - 1, same=same,
        record=(leg, said["host"], call["connection"], time, *same), line=str(call["item"]),
    )  # fmt: skip


def _place(document: Mapping[str, Any], target: str) -> tuple[str, ...]:
    """Where a name is one thing's. An ARN says it better than the record, which may be of the
    account that called; of topics, which have clusters, nothing else does."""
    kind = target.partition(":")[0]
    if kind == "Bucket":
        return ()
    cloud = document.get("cloud", {})
    account, region = cloud.get("account", {}).get("uid", ""), cloud.get("region", "")
    things = [document[name] for name in _OBJECTS if name in document]
    arn = things[0].get("uid", "").split(":", 5) if things else []
    within = ""
    if len(arn) == 6 and arn[0] == "arn":
        region, account = arn[3] or region, arn[4] or account
        within = arn[5].rpartition("/")[0] if kind == "Topic" else ""
    if kind == "Account" or document.get("api", {}).get("service", {}).get("name") in _GLOBAL:
        region = ""
    return account, region, within


def _deed(stated: Mapping[str, Any]) -> Deed:
    return Deed(
        stated["kind"], stated["action"], stated["target"], stated.get("item", ""),
        stated.get("before"), stated.get("after"),
    )  # fmt: skip


def _decision(document: Mapping[str, Any], said: Mapping[str, Any]) -> OneLeg | None:
    name, operation = said.get("request", ""), document["api"]["operation"]
    creates = name == CREATES_BY_USE and operation == "CREATE"
    api = APIS.get(name)
    if api is None and not creates:
        return None
    actor, address = _who(document)
    (on,) = document["resources"]
    return OneLeg(
        document["metadata"]["uid"], document["time"], Leg.AUTHORIZER, said["host"], actor,
        address, said["outcome"], api="CreateTopics" if creates else name, start=document["time"],
        operation=operation, resource=f"{on['type']}:{on['name']}",
        decisive=api is not None and operation in api.decisive, only_adds=creates,
    )  # fmt: skip


def _who(document: Mapping[str, Any]) -> tuple[str, str]:
    actor = document["actor"]["user"].get("uid", "")
    return actor, document.get("src_endpoint", {}).get("ip", "")
