"""What grading may never do, whatever stands before and after: raise, call what was there before
news, call closing a finding, or miss that a trail records less."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.cloud_guardrail_change import DETECTOR
from detectors.guardrails import weaknesses
from schemas.changes import Deed
from schemas.support import Picture
from schemas.vocabulary import Severity
from tests.detectors.test_estate_examples import change
from tests.growth import grows_no_faster

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    ("Allow", "Deny", "*", "everyone", "another account", "unknown", "holder", "s3:*", "s3:Get[a-",
     "kms:?", "arn:aws:iam::444455556666:root", "ReadOnly", "AWS::S3::Object arn:aws:s3:::a/")
)  # fmt: skip
NAMES = st.sampled_from(
    ("grants", "unread", "effect", "to", "reach", "actions", "resources", "conditional", "blocks",
     "state", "days", "selectors", "read_write", "management", "data", "excluded", "fields",
     "eventCategory", "readOnly", "resources.type", "equals", "startsWith", "notEquals", "bucket",
     "public_access", "is_multi_region", "versioning", "authentication", "unauthenticated", "encryption", "trust", "acl")
)  # fmt: skip
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=25,
)
DEEDS = st.builds(
    Deed,
    kind=st.sampled_from(
        ("policy", "state", "selectors", "settings", "entity", "attachment", "acl", "")
    ),
    action=st.sampled_from(
        ("set", "add", "remove", "delete", "create", "attach", "disable", "schedule_deletion", "")
    ),
    target=st.sampled_from(
        ("Key:1", "Trail:t", "Bucket:b", "Role:r", "EndpointService:e", "MskCluster:m", "Policy:p")
    ),
    item=st.sampled_from(
        ("", "policy", "acl", "trust", "grants", "permissions", "public_access_block", "insights",
         "versioning", "public_access", "arn:aws:iam::aws:policy/AdministratorAccess")
    ),
    before=JSON,
    after=JSON,
)  # fmt: skip

ACTIONS = st.lists(st.sampled_from(("*", "s3:*", "s3:GetObject", "s3:PutBucketPolicy")), max_size=2)
GRANTS = st.fixed_dictionaries(
    {
        "effect": st.sampled_from(("Allow", "Deny")),
        "to": st.sampled_from(("*", "444455556666", "79a59df900b949e5")),
        "reach": st.sampled_from(("everyone", "another account", "this account", "unknown")),
        "actions": ACTIONS,
        "resources": st.lists(st.sampled_from(("*", "arn:aws:s3:::a/*")), max_size=2),
        "conditional": st.booleans(),
    }
)
POLICIES = st.lists(GRANTS, max_size=4)

OBJECTS = "AWS::S3::Object"
PREFIXES = ("AWS::S3::Object arn:aws:s3", "AWS::S3::Object arn:aws:s3:::a/", "AWS::S3::Object")
BASIC = st.fixed_dictionaries(
    {
        "read_write": st.sampled_from(("All", "ReadOnly", "WriteOnly")),
        "management": st.booleans(),
        "data": st.lists(st.sampled_from(PREFIXES), max_size=2),
        "excluded": st.lists(st.just("kms.amazonaws.com"), max_size=1),
    }
)
EVENTS = [
    {"eventCategory": category, "resources.type": kind, "resources.ARN": arn, "readOnly": read,
     "eventSource": source, "eventName": name}
    for category, kind, arn, source in (
        ("Management", "", "", "kms.amazonaws.com"),
        ("Management", "", "", "iam.amazonaws.com"),
        ("Data", "AWS::S3::Object", "arn:aws:s3:::a/x", "s3.amazonaws.com"),
        ("Data", "AWS::S3::Object", "arn:aws:s3:::b/x", "s3.amazonaws.com"),
    )
    for read in ("true", "false")
    for name in ("GetObject", "GetObjectAcl", "DeleteObject", "PutAcl")
]  # fmt: skip
OPERATORS = {
    "equals": lambda value, one: value == one,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
VALUES = {
    "eventName": ("GetObject", "DeleteObject", "Get", "GetObjectA", "Object", "Acl", "tObject"),
    "resources.ARN": ("arn:aws:s3:::a/x", "arn:aws:s3:::", "/x"),
    "eventSource": ("kms.amazonaws.com", "s3.amazonaws.com"),
}


@st.composite
def restriction(draw: st.DrawFn, field: str) -> dict[str, Any]:
    operator = draw(st.sampled_from(sorted(OPERATORS)))
    if draw(st.booleans()):
        operator = f"not{operator[:1].upper()}{operator[1:]}"
    values = st.lists(st.sampled_from(VALUES[field]), min_size=1, max_size=2, unique=True)
    return {operator: sorted(draw(values))}


@st.composite
def advanced(draw: st.DrawFn) -> dict[str, Any]:
    category = draw(st.sampled_from(("Management", "Data")))
    fields: dict[str, Any] = {"eventCategory": {"equals": [category]}}
    if category == "Data":
        fields["resources.type"] = {"equals": ["AWS::S3::Object"]}
    if draw(st.booleans()):
        fields["readOnly"] = {"equals": [draw(st.sampled_from(("true", "false")))]}
    for field in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=2, unique=True)):
        fields[field] = draw(restriction(field))
    return {"fields": fields}


SELECTORS = st.lists(BASIC | advanced(), max_size=3)


def records(row: dict[str, Any], event: dict[str, str]) -> bool:
    """Whether a selector lets an event through, said as plainly as can be."""
    if "fields" in row:
        return all(
            any(OPERATORS[plain(operator)](event[field], value) for value in values)
            != operator.startswith("not")
            for field, operators in row["fields"].items()
            for operator, values in operators.items()
        )
    if event["readOnly"] == {"ReadOnly": "false", "WriteOnly": "true"}.get(row["read_write"]):
        return False
    if event["eventCategory"] == "Management":
        return row["management"] and event["eventSource"] not in row["excluded"]
    return any(f"{event['resources.type']} {event['resources.ARN']}".startswith(value)
               for value in row["data"] if " " in value)  # fmt: skip


def plain(operator: str) -> str:
    return operator[3:4].lower() + operator[4:] if operator.startswith("not") else operator


def policy(before: list[Any], after: list[Any], target: str = "Bucket:b") -> list[Any]:
    deed = Deed("policy", "set", target, "policy", {"grants": before}, {"grants": after})
    return weaknesses(deed, frozenset())


def trail(before: list[Any], after: list[Any]) -> list[Any]:
    deed = Deed("selectors", "set", "Trail:t", "", {"selectors": before}, {"selectors": after})
    return weaknesses(deed, frozenset())


@given(DEEDS, st.sampled_from(("success", "failure", "unknown")))
def test_nothing_that_stands_there_makes_it_raise(deed: Deed, outcome: str) -> None:
    done = change(0, 0, **deed._asdict(), outcome=outcome)
    found = list(DETECTOR.judge(Picture([done]), DETECTOR.settings()))
    assert len(found) <= (outcome != "failure")
    for judged in found:
        assert Severity.INFORMATIONAL <= judged.severity_id <= Severity.CRITICAL
        assert judged.title[:1].isupper()
        assert judged.message.endswith(".")


@given(POLICIES, POLICIES)
def test_what_was_open_before_is_no_news(before: list[Any], more: list[Any]) -> None:
    assert not policy(before, before)
    denials = [grant for grant in before + more if grant["effect"] == "Deny"]
    assert not policy(before, denials)


NARROW = st.lists(st.sampled_from(("s3:*", "S3:Get*", "s3:getobject", "s3:PutObject", "*:*Object",
                                   "*", "s3:G?tObject")), min_size=1, max_size=2)  # fmt: skip
WHERE = st.lists(st.sampled_from(("*", "b/*", "b/public/*", "b/Public/*", "b/public/x", "*/x",
                                  "b/pub?ic/x")), max_size=2)  # fmt: skip
STATEMENTS = st.lists(
    st.fixed_dictionaries(
        {"effect": st.sampled_from(("Allow", "Deny")), "to": st.just("*"),
         "reach": st.just("everyone"), "actions": NARROW, "resources": WHERE,
         "conditional": st.just(False)}
    ),
    max_size=2,
)  # fmt: skip
DEEDS_ON_OBJECTS = tuple(
    product(("s3:getobject", "s3:putobject", "s3:deleteobject", "kms:sign"),
            ("b", "b/x", "b/public/x", "b/Public/x", "c/x"))
)  # fmt: skip


def says(rows: list[Any], effect: str, action: str, resource: str) -> bool:
    """Whether a policy has something to say of a deed, said as plainly as can be."""
    return any(
        row["effect"] == effect
        and any(fnmatchcase(action, pattern.lower()) for pattern in row["actions"])
        and (not row["resources"] or any(fnmatchcase(resource, p) for p in row["resources"]))
        for row in rows
    )


@settings(max_examples=200)
@given(STATEMENTS, STATEMENTS)
def test_whatever_is_opened_or_denied_no_more_is_found(before: list[Any], after: list[Any]) -> None:
    more = any(
        says(after, "Allow", *deed) and not says(before, "Allow", *deed)
        for deed in DEEDS_ON_OBJECTS
    )
    less = any(
        says(before, "Deny", *deed) and not says(after, "Deny", *deed) for deed in DEEDS_ON_OBJECTS
    )
    titles = [weakness.title for weakness in policy(before, after)]
    assert not more or "Bucket policy opened to everyone" in titles
    assert not less or "Bucket policy denies less" in titles


def wild(size: int) -> Callable[[], object]:
    def row(effect: str, name: str) -> dict[str, Any]:
        names = [f"{name}{n}*" + "a*" * 20 for n in range(size)]
        return {"effect": effect, "to": "*", "reach": "everyone", "actions": names,
                "resources": [f"{each}b" for each in names], "conditional": False}  # fmt: skip

    before, after = [row("Allow", "s3:a"), row("Deny", "x")], [row("Allow", "s3:b")]
    return lambda: policy(before, after)


def test_however_many_patterns_there_are_they_take_no_more_than_their_length() -> None:
    assert wild(10)()
    grows_no_faster(wild, 500, 5_000)


@given(POLICIES, POLICIES)
def test_what_more_is_given_never_makes_it_less_grave(less: list[Any], more: list[Any]) -> None:
    def gravest(found: list[Any]) -> int:
        return max((w.severity_id for w in found), default=0)

    assert gravest(policy([], less)) <= gravest(policy([], less + more))
    assert gravest(policy([], less)) <= gravest(policy([], less, "Role:r"))


@given(POLICIES)
def test_accounts_that_are_trusted_are_low_at_the_most(grants: list[Any]) -> None:
    given = [grant | {"reach": "another account", "to": "444455556666"} for grant in grants]
    deed = Deed("policy", "set", "Role:r", "trust", None, {"grants": given})
    assert all(w.severity_id == Severity.LOW for w in weaknesses(deed, frozenset(["444455556666"])))


@given(SELECTORS, SELECTORS)
def test_a_trail_that_records_as_much_or_more_is_silent(rows: list[Any], more: list[Any]) -> None:
    assert not trail(rows, rows + more)


def found_if_less(before: list[Any], after: list[Any]) -> None:
    lost = [
        event
        for event in EVENTS
        if any(records(row, event) for row in before)
        and not any(records(row, event) for row in after)
    ]
    assert not lost or trail(before, after)


@given(SELECTORS, SELECTORS)
def test_a_trail_that_records_less_is_found(before: list[Any], after: list[Any]) -> None:
    found_if_less(before, after)


@settings(max_examples=200)
@given(restriction("eventName"), restriction("eventName"))
def test_one_restriction_against_another(before: dict[str, Any], after: dict[str, Any]) -> None:
    fields = {"eventCategory": {"equals": ["Data"]}, "resources.type": {"equals": [OBJECTS]}}
    found_if_less(*([{"fields": fields | {"eventName": each}}] for each in (before, after)))


NAMED = st.lists(st.sampled_from((*VALUES["eventName"], "GetObjectAcl", "PutAcl")), min_size=1,
                 max_size=2, unique=True)  # fmt: skip


@settings(max_examples=200)
@given(NAMED, restriction("eventName"))
def test_of_names_it_is_found_if_and_only_if_one_is_recorded_no_more(
    names: list[str], after: dict[str, Any]
) -> None:
    ((operator, values),) = after.items()
    lets = [
        any(OPERATORS[plain(operator)](name, value) for value in values)
        != operator.startswith("not")
        for name in names
    ]
    fields = {"eventCategory": {"equals": ["Data"]}, "resources.type": {"equals": [OBJECTS]}}
    found = trail(*([{"fields": fields | {"eventName": e}}] for e in ({"equals": names}, after)))
    assert bool(found) != all(lets)
