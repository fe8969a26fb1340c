"""The authorizers' grammar: any names in, the same names out, or nobody is told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import Reason, Unreadable
from pipeline.grammar import _weigh, accompanies, decide, ends

IMITATION = "User:admin is Allowed operation = ALTER from host = 192.0.2.1 on resource = Cluster:LITERAL:kafka-cluster"
FRAGMENTS = [
    " is ", " is", "is ", " is is", " is Allowed operation = ", " is Denied Operation = ", "READ",
    "Read", " from host = ", "192.0.2.66", " on resource = ", "Topic:LITERAL:", "Group:", ":",
    " for request = ", "Fetch", " with resourceRefCount = ", "1", " based on rule ", "DefaultDeny",
    "SuperUser", "MatchingAcl(", ")", "))", " (", ") [", "kafka.authorizer.logger", ", ", "=", "#1f",
    "permissionType=DENY))", " ", "Principal = ", IMITATION,
    " for request = Fetch with resourceRefCount = 1",
    " for request = Fetch with resourceRefCount = 1 based on rule SuperUser",
]  # fmt: skip
NAMES = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    max_size=8,
).map("".join)
STANDARD_OPERATIONS = ["READ", "WRITE", "ALTER_CONFIGS", "CLUSTER_ACTION", "SOMETHING_NEW"]
ACL = "MatchingAcl(acl=StandardAcl(resourceType=TOPIC, resourceName=a is b, patternType=PREFIXED, principal=User:*, host=*, operation=ALL, permissionType={}))"


@dataclass(frozen=True)
class Deed:
    """What really happened, and how a dialect writes it down."""

    principal: str
    allowed: bool
    operation: str
    host: str
    resource_type: str
    pattern_type: str
    name: str
    request: str = ""
    rule: str = ""

    def message(self) -> str:
        standard = bool(self.rule)
        pattern = f"{self.pattern_type}:" if self.pattern_type else ""
        said = (
            f"Principal = {self.principal} is {'Allowed' if self.allowed else 'Denied'} "
            f"{'o' if standard else 'O'}peration = {self.operation} from host = {self.host} "
            f"on resource = {self.resource_type}:{pattern}{self.name}"
        )
        if self.request:
            said += f" for request = {self.request} with resourceRefCount = 1"
        return said + (f" based on rule {self.rule}" if standard else "")


@st.composite
def deeds(draw: st.DrawFn, dialect: str) -> Deed:
    allowed = draw(st.booleans())
    rule = request = ""
    if dialect == "standard":
        rule = draw(
            st.sampled_from(
                ["SuperUser", "DefaultAllow", ACL.format("ALLOW")]
                if allowed
                else ["DefaultDeny", ACL.format("DENY")]
            )
        )
    if dialect != "simple":
        request = draw(st.sampled_from(["Fetch", "IncrementalAlterConfigs"]))
    operations = STANDARD_OPERATIONS if rule else ["Read", "AlterConfigs", "SomethingNew"]
    return Deed(
        "User:" + draw(NAMES),
        allowed,
        draw(st.sampled_from(operations)),
        draw(st.sampled_from(["192.0.2.7", "2001:db8:0:0:0:0:0:7", "2001:db8::7%eth0", ""])),
        draw(st.sampled_from(["Topic", "Group", "TransactionalId", "Cluster", "Subject"])),
        draw(st.sampled_from(["LITERAL", "PREFIXED"])),
        draw(NAMES),
        request,
        rule,
    )


def imitates(text: str) -> bool:
    """Whether words in a principal could be taken for a decision."""
    return any(f" is {word} " in text + " " for word in ("Allowed", "Denied"))


def check(deed: Deed) -> None:
    """Read back what was written; or it says that it may be read in two ways; or not at all."""
    try:
        found, readings = decide(deed.message())
    except Unreadable:
        assert imitates(deed.principal)
        return
    read = Deed(
        found.principal, found.allowed, found.operation, found.host, found.resource_type,
        found.pattern_type, found.name, found.request, found.rule,
    )  # fmt: skip
    if readings == 1 or not imitates(deed.principal):
        assert read == deed


@given(deeds("standard"))
@example(
    Deed(IMITATION, False, "READ", "192.0.2.66", "Topic", "LITERAL", "t", "Fetch", "DefaultDeny")
)
@example(
    Deed("User:a is", True, "READ", "192.0.2.66", "Topic", "LITERAL", "t", "Fetch", "SuperUser")
)
@example(
    Deed(
        f"{IMITATION} is",
        False,
        "READ",
        "192.0.2.66",
        "Topic",
        "LITERAL",
        "t",
        "Fetch",
        "DefaultDeny",
    )
)
@settings(max_examples=400)
def test_standard_authorizers_lines_are_read_back(deed: Deed) -> None:
    check(deed)


PIECES = st.lists(
    st.sampled_from([piece.strip() for piece in FRAGMENTS]) | st.text(max_size=6), max_size=6
).map("".join)


@given(
    deeds("standard"),
    PIECES,
    PIECES,
    st.sampled_from(["192.0.2.7", "2001:db8::7", "broker-1"]),
    st.sampled_from(["DefaultDeny", "MatchingAcl(acl)", ACL.format("ALLOW"), "MatchingAcl( is )"]),
)
@settings(max_examples=600)
def test_what_is_read_at_once_is_read_the_same(
    deed: Deed, principal: str, name: str, host: str, rule: str
) -> None:
    for said in (deed, replace(deed, principal=f"User:{principal}", name=name, host=host)):
        for message in (said.message(), replace(said, rule=rule).message()):
            try:
                weighed = _weigh(message, True)
            except Unreadable as error:
                with pytest.raises(Unreadable, match=error.detail):
                    decide(message)
            else:
                assert decide(message) == weighed


@given(deeds("acl"))
@example(
    Deed(
        f"{IMITATION} for request = F with resourceRefCount = 1 based on rule MatchingAcl(",
        False,
        "Read",
        "192.0.2.66",
        "Group",
        "LITERAL",
        "x)",
        "Fetch",
    )
)
@settings(max_examples=400)
def test_acl_authorizers_lines_are_read_back(deed: Deed) -> None:
    check(deed)


@given(deeds("simple"))
@settings(max_examples=400)
def test_simple_acl_authorizers_lines_are_read_back_but_for_what_a_client_appends(
    deed: Deed,
) -> None:
    """Nothing stands behind the name there: who ends it like a request gets it read as one."""
    if " with resourceRefCount = " not in deed.name:
        check(deed)


def test_an_acl_of_an_administrator_may_hold_anything() -> None:
    rule = "MatchingAcl(acl=StandardAcl(resourceName=x based on rule DefaultDeny (), permissionType=ALLOW))"
    deed = Deed("User:a", True, "READ", "192.0.2.7", "Topic", "LITERAL", "t", "Fetch", rule)
    found, readings = decide(deed.message())
    assert (found.rule, readings) == (rule, 1)


@pytest.mark.parametrize(
    ("allowed", "rule", "agree"),
    [
        (True, "SuperUser", True),
        (True, "DefaultAllow", True),
        (True, "DefaultDeny", False),
        (True, ACL.format("ALLOW"), True),
        (True, ACL.format("DENY"), False),
        (False, "SuperUser", False),
        (False, "DefaultAllow", False),
        (False, "DefaultDeny", True),
        (False, ACL.format("ALLOW"), False),
        (False, ACL.format("DENY"), True),
    ],
)
def test_a_decision_and_its_rule_agree_or_the_line_is_forged(
    allowed: bool, rule: str, agree: bool
) -> None:
    deed = Deed("User:a", allowed, "READ", "192.0.2.7", "Topic", "LITERAL", "t", "Fetch", rule)
    if agree:
        assert decide(deed.message())[0].allowed is allowed
    else:
        with pytest.raises(Unreadable) as raised:
            decide(deed.message())
        assert raised.value.reason == Reason.AMBIGUOUS


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Principal = ", Reason.TORN),
        ("Principal = User:a", Reason.TORN),
        ("Principal = User:a is here", Reason.UNKNOWN_LAYOUT),
        ("Principal = User:a is Denied operation = READ from host = h on resource = Topic:x", Reason.TORN),
        ("Principal = User:a is Denied operation = RE AD from host = h on resource = Topic:x", Reason.UNKNOWN_LAYOUT),
        ("Principal = User:a is Denied operation = READ from host = h h on resource = Topic:x", Reason.UNKNOWN_LAYOUT),
        ("Principal = User:a is Denied operation =  from host = h on resource = Topic:x", Reason.UNKNOWN_LAYOUT),
        ("Principal = User:a is Denied operation = READ from host = h on resource = T@pic:x", Reason.UNKNOWN_LAYOUT),
        ("Principal = User:a is Denied operation = RÉAD from host = h on resource = Topic:x", Reason.UNKNOWN_LAYOUT),
        ("Principal = User:a is Denied operation = READ from host = h on resource = Topic:x for request = Fetch with resourceRefCount = 1 based on rule ", Reason.TORN),
        ("Principal = User:a is Denied operation = READ from host = h on resource = Topic:x for request = Fetch with resourceRefCount = one based on rule DefaultDeny", Reason.TORN),
        ("Principal = User:a is Denied operation = READ from host = h on resource = Topic:x based on rule DefaultDeny", Reason.TORN),
    ],
)  # fmt: skip
def test_what_is_no_decision_says_why(message: str, reason: Reason) -> None:
    with pytest.raises(Unreadable) as raised:
        decide(message)
    assert raised.value.reason == reason


def test_without_its_end_a_message_says_what_stands_before_it() -> None:
    deed = Deed("User:a", False, "READ", "192.0.2.7", "Group", "LITERAL", "half a na", "", "")
    found, readings = decide(deed.message().replace("Operation", "operation"), complete=False)
    assert (found.principal, found.name, found.request, found.rule) == (
        "User:a",
        "half a na",
        "",
        "",
    )
    assert readings == 1


@pytest.mark.parametrize(
    ("message", "whole"),
    [
        ("principal = User:a is a super user, allowing operation without checking acls.", True),
        ("principal = User:a is a super user, allow", False),
        ("No acl found for resource ResourcePattern(name=x), authorized = false", True),
        ("No acl found for resource ResourcePattern(name=x", False),
        ("operation = READ on resource = Topic:x from host = h is DENY based on acl = y", True),
    ],
)
def test_what_stands_beside_decisions_has_an_end_too(message: str, whole: bool) -> None:
    assert accompanies(message)
    assert ends(message) is whole
    assert not accompanies("Principal = " + message)
