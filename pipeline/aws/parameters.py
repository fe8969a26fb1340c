"""Which of a call's parameters names what it is about, where its service is not known better.

What the call's name says (``TerminateInstances``: ``instanceId``), then names of parameters that
are used everywhere, then whatever names anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pipeline.aws.calls import verb_of
from pipeline.aws.kinds import ENDS, stem_of
from pipeline.aws.record import names, parameters

_EVERYWHERE: Final = (
    "bucketname", "functionname", "tablename", "queueurl", "topicarn", "streamname", "clustername",
    "clusterarn", "clusteridentifier", "loggroupname", "secretid", "keyid", "username", "rolename",
    "groupname", "repositoryname", "stackname", "instanceid", "instanceids", "volumeid",
    "snapshotid", "imageid", "networkinterfaceid", "subnetid", "groupid", "routetableid", "vpcids",
    "serviceid", "internetgatewayid", "natgatewayid", "vpcendpointid", "vpcid",
    "dbinstanceidentifier", "dbclusteridentifier", "dbsnapshotidentifier", "loadbalancerarn",
    "loadbalancername",
    "distributionid", "hostedzoneid", "domainname", "detectorid", "restapiid", "apiid",
    "userpoolid", "identitypoolid", "configurationrecordername", "rulename", "projectname",
    "pipelinename", "resourcearn", "resourceid", "resourceidlist", "resourcename", "keyname",
    "attachmentid", "associationid", "allocationid", "publicip",
)  # fmt: skip
_BARE: Final = frozenset(
    ("cluster", "service", "task", "taskdefinition", "family", "rule", "resource", "domain",
     "containerinstance", "identities", "emailidentity", "emailaddress")
)  # fmt: skip
"""Parameters that name something without saying so."""
_BESIDE: Final = re.compile(
    r"token|^account|accountid|role|kms|principal|owner|^requestid|sessionname|versionid|caller|"
    r"attribute"
)
"""Parameters that name what is never the thing itself."""


def likeliest(
    call: str, asked: Mapping[str, Any], answer: Mapping[str, Any], record: Mapping[str, Any]
) -> tuple[str, str, str] | None:
    """The parameter that most likely names what a call is about.

    Args:
        asked, answer: parameters of request and response, out of what wraps them.

    Returns:
        Its key in lower case, the name or ARN under it, and the word for the kind of thing where
        the key has none; None: no parameter names anything.
    """
    verb, noun = verb_of(call)
    if verb == "Restore":
        noun = noun.partition("From")[0]
    request, response = names(asked), names(answer)
    named = [request, response]
    if verb in ("Create", "Run", "Allocate"):
        named = [response, request]
    for part in ("serviceEventDetails", "additionalEventData"):
        if part in record:
            named.append(names(parameters(record[part])))
    if any(named):
        keys = _keys(noun)
        for side in named:
            for key in keys:
                if key in side:
                    return key, side[key], noun
        nearest, name, word, is_close = _nearest(asked, request, noun)
        if is_close:
            return nearest, name, word
        for side in named:
            for key in _EVERYWHERE:
                if key in side:
                    return key, side[key], side.get("resourcetype", noun)
        if name:
            return nearest, name, word
        for side in named:
            for key in ("arn", "name", "accountid", "id"):
                if key in side:
                    return key, side[key], noun
    return None


def _nearest(
    asked: Mapping[str, Any], named: Mapping[str, str], noun: str
) -> tuple[str, str, str, bool]:
    """Of a request's own parameters the one whose name stands last in the call's, else the first
    that names anything: its key in lower case, the name, the word for the kind of thing, and
    whether the call's name has it."""
    found, best, about = ("", "", noun), -1, noun.lower()
    for written in asked:
        key = written.lower()
        value = named.get(key, "")
        if not value or _BESIDE.search(key):
            continue
        bare = key if key in _BARE else key.removesuffix("s")
        if bare not in _BARE and not key.endswith(ENDS) and value[:4] != "arn:":
            continue
        key = bare if bare in _BARE else key
        stem = stem_of(key)
        place = about.rfind(stem) + len(stem) if stem in about and stem != "resource" else 0
        if place > best:
            word = written[:1].upper() + written[1 : len(stem)]
            found, best = (key, value, noun if stem in ("", "resource") else word), place
    return *found, best > 0


@lru_cache(maxsize=4096)
def _keys(noun: str) -> tuple[str, ...]:
    """Keys under which the thing that a call is about may be named."""
    stem = noun.lower()
    stems = [stem]
    for plural, single in (("ies", "y"), ("sses", "s"), ("xes", "x"), ("s", "")):
        if stem.endswith(plural) and len(stem) > len(plural) + 1:
            stems.append(stem.removesuffix(plural) + single)
            break
    # EC2 drops the word for the kind of group or address.
    stems += {"securitygroup": ["group"], "addres": ["allocation"]}.get(stems[-1], [])
    ends = ("id", "name", "arn", "identifier", "ids", "names", "url", "namelist")
    return tuple(one + end for one in reversed(stems) if one for end in ends)
