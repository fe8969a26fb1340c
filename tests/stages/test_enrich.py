"""Enrich: who, by which path, from where, by configuration alone."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pipeline.engine import Plan
from pipeline.registry import sources
from pipeline.stages.enrich import Actor, Principal, address, covers, describe
from tests.feed import feed_lines, stream
from tests.growth import grows_no_faster
from tests.logs import START, decision
from tests.stages.carriers import filebeat

PROVIDER = Principal(
    "User:provider-*", "provider_automation", provider="example-cloud",
    networks=(ip_network("198.51.100.0/24"), ip_network("2001:db8:7::/48")),
)  # fmt: skip
PEOPLE = (
    Principal("User:alice", "human", owner="payments"),
    Principal("User:svc-*", "workload", owner="platform"),
    Principal("User:CN=*,O=Example*", "automation"),
    Principal("", "automation", owner="batch", networks=(ip_network("203.0.113.0/24"),)),
    PROVIDER,
)


@pytest.mark.parametrize(
    ("principal", "at", "actor"),
    [
        ("User:alice", "192.0.2.7", Actor("human", "payments")),
        ("User:alice2", "192.0.2.7", Actor()),
        ("user:alice", "192.0.2.7", Actor()),
        ("User:svc-", "", Actor("workload", "platform")),
        ("User:svc-orders", "", Actor("workload", "platform")),
        ("xUser:svc-orders", "", Actor()),
        ("User:CN=a,OU=b,O=Example Ltd", "", Actor("automation")),
        ("User:CN=a,O=Exampl", "", Actor()),
        ("User:svc-a\nb", "", Actor("workload", "platform")),
        ("", "", Actor()),
        # By network: whoever acts, but the name says more where it is known.
        ("", "203.0.113.9", Actor("automation", "batch")),
        ("User:nobody", "203.0.113.9", Actor("automation", "batch")),
        ("User:alice", "203.0.113.9", Actor("human", "payments")),
        # No pattern hides a provider.
        ("User:provider-bot", "192.0.2.7", Actor("provider_automation", "", "example-cloud")),
        ("User:alice", "198.51.100.9", Actor("provider_automation", "", "example-cloud")),
        ("User:nobody", "2001:db8:7::1", Actor("provider_automation", "", "example-cloud")),
    ],
)
def test_the_configuration_says_who_it_is(principal: str, at: str, actor: Actor) -> None:
    assert describe(PEOPLE)(principal, at) == actor


@pytest.mark.parametrize(
    ("pattern", "principal", "matches"),
    [
        ("*", "anything", True),
        ("*", "", False),
        ("**", "a", True),
        ("a*b", "ab", True),
        ("a*b", "aba", False),
        ("a*a", "a", False),
        ("a*bc*d", "abcbcd", True),
        ("a*bc*cd", "abcd", False),
        ("a.c", "abc", False),
        ("", "", False),
        ("", "a", False),
    ],
)
def test_a_star_is_any_run_of_characters(pattern: str, principal: str, matches: bool) -> None:
    found = describe((Principal(pattern, "human"),))(principal, "")
    assert (found.kind == "human") is matches


def test_a_pattern_takes_linear_time() -> None:
    look = describe((Principal("User:*a*a*a*a*a*a*b", "human"),))
    assert look("User:" + "a" * 200_000, "").kind == "unknown"
    grows_no_faster(lambda size: lambda: look("User:" + "a" * size, ""), 25_000, 200_000)


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:DB8::1%eth0", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("192.0.2.007", ""),
        ("192.0.2.7%eth0", ""),
        ("192.0.2.0/24", ""),
        ("192.0.2", ""),
        ("broker.example.com", ""),
        ("", ""),
        ("%", ""),
        (":" * 100_000, ""),
        ("٣.0.2.7", ""),
    ],
)
def test_addresses_are_shortest_or_none(text: str, shortest: str) -> None:
    assert address(text) == shortest


@pytest.mark.parametrize(
    ("operation", "principal", "path"),
    [
        ("READ", "User:alice", "data"),
        ("WRITE", "User:alice", "data"),
        ("DESCRIBE_CONFIGS", "User:alice", "data"),
        ("IDEMPOTENT_WRITE", "User:alice", "data"),
        ("CREATE", "User:alice", "control"),
        ("DELETE", "User:alice", "control"),
        ("ALTER", "User:alice", "control"),
        ("ALTER_CONFIGS", "User:alice", "control"),
        ("CLUSTER_ACTION", "User:alice", "control"),
        ("CREATE_TOKENS", "User:alice", "control"),
        ("DESCRIBE_TOKENS", "User:alice", "control"),
        ("TELEPORT", "User:alice", "data"),
        ("READ", "User:provider-bot", "support"),
        ("ALTER", "User:provider-bot", "support"),
    ],
)
def test_the_access_path_follows_from_operation_and_provider(
    operation: str, principal: str, path: str
) -> None:
    plan = Plan(sources(), describe(PEOPLE))
    (event,) = feed_lines([decision(START, principal, operation=operation)], plan=plan).events
    assert event.access_path == path


def test_owner_provider_host_and_cluster_are_stated() -> None:
    plan = Plan(sources(), describe(PEOPLE))
    lines = [filebeat(decision(START, who)) for who in ("User:alice", "User:provider-bot")]
    fed = feed_lines(lines, stream(cluster="prod-eu"), plan=plan)
    assert [(e.cluster, e.host, e.actor_kind) for e in fed.events] == [
        ("prod-eu", "broker-1", "human"),
        ("prod-eu", "broker-1", "provider_automation"),
    ]
    assert b'"owner":"payments"' in fed.events[0].ocsf
    assert b'"provider":"example-cloud"' in fed.events[1].ocsf
    assert b"owner" not in fed.events[1].ocsf


def test_a_providers_kind_makes_a_provider_where_nobody_gave_its_name() -> None:
    people = (
        Principal("User:vendor-*", "provider_human"),
        Principal("", "provider_automation", networks=(ip_network("198.51.100.0/24"),)),
        Principal("User:alice", "human"),
    )
    plan = Plan(sources(), describe(people))
    lines = [
        decision(START, "User:vendor-1"),
        decision(START, "User:alice", address="198.51.100.7"),
        decision(START, "User:alice"),
    ]
    fed = feed_lines(lines, plan=plan)
    assert [(e.access_path, e.actor_kind) for e in fed.events] == [
        ("support", "provider_human"),
        ("support", "provider_automation"),
        ("data", "human"),
    ]


@pytest.mark.parametrize(
    ("principal", "addresses", "known"),
    [
        ("User:provider-bot", (), True),
        ("User:provider-bot", ("192.0.2.7",), True),
        ("User:alice", (), False),
        ("User:alice", ("198.51.100.9",), True),
        ("User:nobody", ("198.51.100.9", "2001:db8:7::/64"), True),
        ("User:nobody", ("198.51.100.0/25",), True),
        # Somebody's whole network is more than the provider's part of it.
        ("User:nobody", ("198.51.0.0/16",), False),
        ("User:nobody", ("198.51.100.9", "192.0.2.7"), False),
        ("User:nobody", ("bastion.example.com",), False),
        # An entry that is no provider's makes no activity support.
        ("User:nobody", ("203.0.113.9",), False),
        ("", (), False),
    ],
)
def test_a_session_is_known_by_its_principal_or_by_all_of_its_addresses(
    principal: str, addresses: tuple[str, ...], known: bool
) -> None:
    assert covers(PEOPLE)(principal, addresses) is known
