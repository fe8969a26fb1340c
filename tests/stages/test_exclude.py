"""Exclude: of auditstream's own principals, their own work is left out, and nothing else is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Config
from pipeline.engine import Plan
from pipeline.registry import sources
from pipeline.rights import ROLES, Role, rights
from pipeline.streaming import Streaming
from tests.feed import Fed, feed, feed_lines, records, stream
from tests.logs import START, authentication_lines, authorizer_lines, decision, login, stamp

NETWORKS = ("192.0.2.0/29", "2001:db8::/64")
STREAMING = {"raw": [{"topic": "connect-*-logs"}, {"topic": "broker.log"}]}
REQUESTS = {"CREATE": "CreateTopics", "ALTER": "CreatePartitions"}
REQUESTS["ALTER_CONFIGS"] = "IncrementalAlterConfigs"


def plan(*own: dict[str, Any], **more: Any) -> Plan:
    """The plan of a configuration with these sections."""
    return Config.model_validate({"own": own, "kafka": STREAMING, **more}).plan()


def everybody(**more: Any) -> Plan:
    return plan(*({"role": role, "networks": NETWORKS, **more} for role in ROLES))


def feed_one(line: str, with_plan: Plan, **where: Any) -> Fed:
    return feed_lines([line], stream(**where), plan=with_plan)


def work() -> list[tuple[Role, str, str, str]]:
    """Role, operation, type and name of all that is expected, as an authorizer says it."""
    return [
        (role, operation, right.resource_type, right.pattern.replace("*", "x"))
        for role in ROLES
        for right in rights(Streaming.model_validate(STREAMING), role)
        for operation in sorted(right.operations)
        if operation.isupper()
    ]


def line_of(role: str, operation: str, kind: str, name: str, **said: Any) -> str:
    request = REQUESTS.get(operation, "Metadata")
    resource = f"{kind}:LITERAL:{name}"
    given = {"operation": operation, "request": request, "resource": resource}
    return decision(START, f"User:auditstream-{role}", **(given | said))


@pytest.mark.parametrize(("role", "operation", "kind", "name"), work())
def test_all_that_is_expected_is_counted_and_left_out(
    role: str, operation: str, kind: str, name: str
) -> None:
    fed = feed_one(line_of(role, operation, kind, name), everybody())
    if operation in REQUESTS:
        # A change to the cluster is part of the audit, whoever makes it.
        assert [e.leg for e in fed.events] == ["authorizer"]
        assert fed.account.filtered == {}
    else:
        assert fed.events == []
        assert fed.account.filtered == {f"own:{role}": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"operation": "DELETE"},
        {"resource": "Topic:LITERAL:audit.events2"},
        {"resource": "Topic:LITERAL:payments.orders"},
        {"resource": "Topic:LITERAL:audit.rawest"},
        {"resource": "Topic:PREFIXED:audit.raw.auto"},
        {"resource": "Group:LITERAL:audit.raw.auto"},
        {"resource": "Group:LITERAL:auditstream-detect"},
        {"resource": "Group:LITERAL:auditstream-ingest-2"},
        {"resource": "TransactionalId:LITERAL:auditstream-detect-1", "operation": "WRITE"},
        {"resource": "Topic:LITERAL:connect-logs"},
        {"resource": "Topic:LITERAL:audit.events"},
        {"operation": "WRITE"},
        {"resource": "Cluster:LITERAL:kafka-cluster", "operation": "DESCRIBE"},
        {"address": "192.0.2.8"},
        {"address": "2001:db8:1::1"},
        {"address": "broker-1.example.com"},
        {"allowed": False},
    ],
    ids=str,
)
def test_with_one_thing_another_it_is_an_event(said: dict[str, Any]) -> None:
    assert not feed_one(line_of("ingest", "READ", "Topic", "audit.raw.auto"), everybody()).events
    given = {"operation": "READ", "resource": "Topic:LITERAL:audit.raw.auto"} | said
    line = decision(START, "User:auditstream-ingest", **given)
    fed = feed_one(line, everybody())
    assert [e.actor for e in fed.events] == ["User:auditstream-ingest"]
    assert fed.account.filtered == {}


def test_another_principal_cluster_or_source_is_an_event() -> None:
    line = line_of("ingest", "READ", "Topic", "audit.raw.auto")
    assert feed_one(line.replace("-ingest ", "-Ingest "), everybody()).events
    assert feed_one(line, everybody(), cluster="kafka-prod").events
    assert not feed_one(line, everybody(cluster="kafka-prod"), cluster="kafka-prod").events
    assert feed_one(line, plan({"role": "ingest"})).events, "no networks: expected from nowhere"
    assert feed_one(line, plan({"role": "detect", "networks": NETWORKS})).events
    as_another = plan({"role": "ingest", "networks": NETWORKS, "principal": "User:auditstream"})
    assert feed_one(line, as_another).events
    assert not feed_one(line.replace("-ingest ", " "), as_another).events


def test_one_principal_may_have_several_roles() -> None:
    both = [
        {"role": role, "networks": NETWORKS, "principal": "User:a"} for role in ("ingest", "detect")
    ]
    lines = [
        line_of(role, "READ", "Group", f"auditstream-{role}").replace(
            f"auditstream-{role} is", "a is"
        )
        for role in ("ingest", "detect", "ingest")
    ]
    fed = feed_lines(lines, plan=plan(*both))
    assert fed.account.filtered == {"own:ingest": 2, "own:detect": 1}


def test_what_a_client_may_have_written_is_an_event() -> None:
    """After a head that was broken, and with a group's name that can be read in two ways."""
    own = line_of("ingest", "READ", "Topic", "audit.raw.auto")
    broken = f"{stamp(START)} INFO Principal = User:mallory is Denied operation = READ from host = 192.0.2.7 on resource = Group:LITERAL:a"
    fed = feed_lines([own, broken, own], plan=everybody())
    assert fed.account.filtered == {"own:ingest": 1}
    assert [(e.actor, e.suspect) for e in fed.events] == [
        ("User:mallory", False),
        ("User:auditstream-ingest", True),
    ]
    torn = own[: own.index(".auto")]
    fed = feed_lines([torn, own], plan=everybody())
    assert [(e.actor, bool(e.forgery)) for e in fed.events] == [
        ("User:auditstream-ingest", True),
        ("User:auditstream-ingest", False),
    ]


def test_support_access_is_never_left_out() -> None:
    vendor = {"kind": "provider_automation", "networks": ["192.0.2.0/29"]}
    entry = {"role": "ingest", "networks": NETWORKS}
    own = line_of("ingest", "READ", "Topic", "audit.raw.auto")
    assert feed_one(own, plan(entry, principals=[vendor])).events


@pytest.mark.parametrize(("address", "events"), [("192.0.2.7", 0), ("192.0.2.8", 1)])
def test_a_login_that_names_the_principal_is_its_work_from_where_it_runs(
    address: str, events: int
) -> None:
    # Only Confluent's builds name it.
    line = login(START, address, success=True)
    named = line.replace(
        f"/{address} ", f"/{address} (channelId=a-b-1, userId=auditstream-detect) "
    )
    fed = feed_one(named, everybody())
    assert len(fed.events) == events
    assert fed.account.filtered == ({} if events else {"own:detect": 1})
    assert feed_one(line, everybody()).events, "it names nobody"
    assert feed_one(login(START, address), everybody()).events, "it failed"


LINES = [*authorizer_lines(150), *authentication_lines(50)]
LINES += [line_of(*one) for one in work()]


@given(st.lists(st.sampled_from(LINES), max_size=40), st.integers(1, 40))
def test_without_own_principals_nothing_changes(lines: list[str], size: int) -> None:
    """And with them, what is left is what there was, without what was left out."""
    found = records(lines)
    batches = [found[start : start + size] for start in range(0, len(found), size)]
    assert plan().exclude is None
    plain = feed(batches, plan=Plan(sources()))
    assert feed(batches, plan=plan()) == plain
    with_own = feed(batches, plan=everybody())
    kept = {e.id for e in with_own.events}
    assert with_own.events == [e for e in plain.events if e.id in kept]
    gone = Counter(
        e.actor.replace("User:auditstream-", "own:") for e in plain.events if e.id not in kept
    )
    assert {k: v for k, v in with_own.account.filtered.items() if k.startswith("own:")} == gone
    assert with_own.account.items == plain.account.items
