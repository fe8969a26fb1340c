"""Random pictures of support access: small worlds, few names, times on and beside every edge.

A world is sessions as they should be, in which this and that slips: most of what is approved and
done agrees, or nothing would ever be silent.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, TypeVar

from schemas.support import Action, Activity, Picture, Scope, SupportRecord, Window
from tests.detectors.test_estate_examples import name
from tests.detectors.worker import T0

HOUR = 3_600_000
DAY = 24 * HOUR
BESIDE = (0, 0, 0, 0, -1, 1, -1000, 1000)
"""Milliseconds beside an edge."""

T = TypeVar("T")

ROLE = "arn:aws:iam::111122223333:role/support/Vendor"
ASSUMED = "arn:aws:sts::111122223333:assumed-role/Vendor/ann"
PRINCIPALS = (
    "User:vendor", "User:vendor", "User:helper", ROLE, ASSUMED,
    "arn:aws:sts::111122223333:assumed-role/Vendor", "arn:aws:iam::111122223333:role/Other",
    "arn:aws:sts::444455556666:assumed-role/Vendor/ann",
)  # fmt: skip
PERSONS = ("ann", "ben", "Carla")
PROVIDERS = ("Example", "example", "other")
HOSTS = {
    "192.0.2.7": "192.0.2.7", "192.0.2.0/24": "192.0.2.8", "198.51.100.7/24": "198.51.100.7",
    "2001:db8::/32": "2001:db8::7", "no address": "",
}  # fmt: skip
"""An address in each network."""
NETWORKS = tuple(HOSTS)
ADDRESSES = tuple(HOSTS.values())

TOPIC_ARN = "arn:aws:kafka:eu-west-1:111122223333:topic/main/1f/orders"
CLUSTER_ARN = "arn:aws:kafka:eu-west-1:111122223333:cluster/main/1f"
DONE = (
    ("READ", "Fetch", "Read", "Topic", "orders", ""),
    ("Fetch", "", "Read", "Topic", "Orders.eu", ""),
    ("READ", "JoinGroup", "Read", "Group", "billing", ""),
    ("WRITE", "Produce", "Update", "Topic", "orders", ""),
    ("DESCRIBE", "Metadata", "Read", "Topic", "orders", ""),
    ("DESCRIBE_CONFIGS", "DescribeConfigs", "Read", "Topic", "orders", ""),
    ("ALTER_CONFIGS", "IncrementalAlterConfigs", "Update", "Topic", "orders.eu", ""),
    ("CREATE", "CreateTopics", "Create", "Topic", "orders.new", ""),
    ("ALTER", "CreatePartitions", "Update", "Topic", "orders", ""),
    ("CreateAcls", "", "Create", "Topic", "orders", ""),
    ("DeleteTopics", "", "Delete", "Topic", "orders", ""),
    ("ALTER", "AlterUserScramCredentials", "Update", "Cluster", "kafka-cluster", ""),
    ("AlterTopicDynamicConfiguration", "", "Update", "AWS::MSK::Topic", "orders", TOPIC_ARN),
    ("DescribeClusterDynamicConfiguration", "", "Read", "MskCluster", "main", CLUSTER_ARN),
    ("GetObject", "", "Read", "AWS::S3::Object", "logs/2026/a.json", "arn:aws:s3:::logs/2026/a.json"),
    ("s3:GetObject", "", "Read", "object", "arn:aws:s3:::data/orders", ""),
    ("SelectObjectContent", "", "Read", "Bucket", "data", "arn:aws:s3:::data"),
    ("ListObjectsV2", "", "Read", "Bucket", "logs", "arn:aws:s3:::logs"),
    ("DisableKey", "", "Update", "AWS::KMS::Key", "k-1", "arn:aws:kms:::key/k-1"),
    ("GetCallerIdentity", "", "", "", "", ""),
    ("kafka-cluster:DescribeTopic", "", "Read", "Topic", "orders", ""),
    ("CREATE", "Metadata", "Create", "Topic", "orders", ""),
    ("CreateTopic", "", "", "Topic", "orders", ""),
    ("ALTER", "DeleteAcls", "Delete", "Topic", "orders", ""),
    ("DeleteAcls", "", "", "Topic", "orders", ""),
    ("CreatePartitions", "", "", "Topic", "orders", ""),
    ("CreateAcls", "", "", "Topic", "orders", ""),
    ("ElectLeaders", "", "", "Cluster", "kafka-cluster", ""),
    ("ListBuckets", "", "Read", "Bucket", "", ""),
    ("AlterClientQuotas", "", "", "user", "vendor", ""),
    ("PutObject", "", "Create", "AWS::S3::Object", "logs/orders", "arn:aws:s3:::logs/orders"),
    ("", "", "", "Kafka-Topic", "orders", ""),
)  # fmt: skip
"""Operation, request, OCSF's activity, type, name and full name of the resource."""

TYPES = ("topic", "Topics", "key", "object", "bucket", "kafka_topic", "*", "consumer-groups", "cluster", "s3 bucket",
         "objects", "KMS key")  # fmt: skip
NAMES = ("orders", "ORDERS*", "*", "billing", "logs", "*ata", "main", "prod", "kafka-cluster",
         "k-1", "arn:aws:kafka:*:topic/main/*", "arn:aws:s3:::logs/2026/*")  # fmt: skip
OPERATIONS = (
    (), ("READ",), ("consume",), ("fetch", "write"), ("Describe*",), ("s3:Get*",), ("*",),
    ("create",), ("Alter",), ("delete", "CreateTopic"), ("alter configs",), ("describe_configs",),
    ("describe",), ("write",), ("produce",), ("Metadata",), ("CreateTopics",), ("alterconfigs",),
    ("Delete",), ("read", "s3:*"), ("kafka-cluster:AlterTopicDynamicConfiguration",), ("Update",), ("",),
)  # fmt: skip


class World:
    """Records and activity as they are made up, one session after the other."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.records: list[SupportRecord] = []
        self.activity: list[Activity] = []
        self.edges: list[int] = [T0]
        self.made = 0
        # Where nothing slips, a picture of many pieces may still be silent.
        self.care = random.choice((0.0, 0.3, 1.0, 1.0, 1.0))

    def some(self, chance: float) -> bool:
        return self.random.random() < chance

    def slip(self, meant: T, *others: T, chance: float = 0.1) -> T:
        """What is meant, most of the time."""
        return self.random.choice(others) if self.some(chance * self.care) else meant

    def near(self, *times: int) -> int:
        """One of these times, or a little beside it; now and then, beside any other."""
        at = self.slip(self.random.choice(times), *self.edges)
        return at + self.slip(0, *BESIDE, chance=0.6)

    def number(self) -> int:
        self.made += 1
        return self.made

    def record(self, time: int, kind: str, **fields: Any) -> SupportRecord:
        number = self.number()
        time = self.slip(time, 0, chance=0.005)
        given: dict[str, Any] = {"id": f"r{number}", "suspect": self.slip(False, True)}
        made = SupportRecord(name(time, number), time, kind, **given | fields)
        self.records.append(made)
        self.edges.append(time or T0)
        return made

    def scope(self) -> tuple[Scope, ...]:
        """Most often wide enough."""
        if not self.slip(False, True, chance=0.5):
            return (Scope("*", "*"),)
        pick = self.random.choice
        if self.some(0.3):
            return (Scope("*", "*", pick(OPERATIONS)),)
        many = self.random.choice((0, 1, 1, 2, 3, 4))
        return tuple(Scope(pick(TYPES), pick(NAMES), pick(OPERATIONS)) for _ in range(many))

    def action(self) -> Action:
        operation, _, _, kind, resource, _ = self.random.choice(DONE)
        outcome = self.slip("success", "failure", "unknown", chance=0.2)
        return Action(operation, kind, resource, self.some(0.1), outcome)

    def do(self, time: int, actor: str, address: str, automatic: float = 0.2) -> None:
        """An activity by somebody from somewhere.

        Args:
            automatic: how often it is automation's.
        """
        operation, request, activity, kind, resource, uid = self.random.choice(DONE)
        login = self.some(0.15)
        number = self.number()
        made = Activity(
            name(time, number), time, self.slip("prod", "test", ""), "kafka_authorizer",
            actor, address, "provider_automation" if self.some(automatic) else "provider_human",
            self.slip("example", "", "", *PROVIDERS, chance=0.3), operation, request, activity, kind, resource, uid,
            self.slip("success", "failure", "unknown", chance=0.2), suspect=self.slip(False, True),
        )  # fmt: skip
        if login:
            made = replace(made, resource_type="", resource="", uid="", login=True)
        self.activity.append(made)
        self.edges.append(time)

    def picture(self) -> Picture:
        latest = max([r.time for r in self.records] + [a.time for a in self.activity])
        broken = [r.time + DAY for r in self.records if r.kind == "break_glass"] or [latest]
        newest = max(latest, self.random.choice(broken) + self.random.choice((-HOUR, 0, 1, HOUR)))
        return Picture(
            records=sorted(self.records, key=lambda one: (one.time, one.event)),
            activity=sorted(self.activity, key=lambda one: (one.time, one.event)),
            newest=newest,
        )


class Session:
    """One session: who, from where, when, and by which ticket, as it was meant."""

    def __init__(self, world: World, number: int) -> None:
        pick = world.random.choice
        self.world, self.id = world, f"S-{number}"
        self.start = T0 + pick((0, 0, 0, HOUR, HOUR, DAY - HOUR))
        self.end = self.start + 4 * HOUR
        self.principal, self.person = pick(PRINCIPALS), pick(("", *PERSONS))
        self.network, self.ticket = pick(NETWORKS), world.slip("T-1", "")
        self.kind = world.slip("provider_human", "provider_automation", "unknown", chance=0.4)
        self.about = [self.id]

    def who(self) -> dict[str, Any]:
        slip = self.world.slip
        return {
            "principal": slip(self.principal, *PRINCIPALS),
            "person": slip(self.person, "", *PERSONS),
        }

    def request(self) -> None:
        world = self.world
        made = world.record(
            world.near(self.start - 2 * HOUR), "request", session=world.slip(self.id, "", chance=0.3),
            ticket=world.slip(self.ticket, "", "T-2"), addresses=world.slip((), (self.network,)),
            **self.who() | world.slip({}, {"principal": ""}, {"person": ""}, chance=0.4),
        )  # fmt: skip
        self.about.append(made.id)

    def approve(self) -> None:
        world, slip = self.world, self.world.slip
        window = Window(self.start, self.end)
        names = ("", self.principal, self.person.upper(), self.person, ROLE, "ann", "User:helper")
        made = world.record(
            world.near(world.slip(self.start - HOUR, self.start + HOUR, chance=0.3)), "approval",
            session=slip("", self.id, "S-0"),
            approves=slip(world.random.choice(self.about), "lost", "S-0", "S-1"),
            approved_by=slip("dora", "", self.principal, self.person.upper(), "ANN", chance=0.2),
            approved_for=slip("", *names, chance=0.4), window=slip(window, None),
            scope=world.scope(), ticket=slip(self.ticket, "", "T-2"),
            payload_access=world.slip(True, False, chance=0.4),
        )  # fmt: skip
        self.about.append(made.id)

    def decide(self, kind: str) -> None:
        world = self.world
        approved = [r.time for r in world.records if r.kind == "approval" and r.time]
        time = world.near(self.start - 2 * HOUR, self.start + 2 * HOUR, self.end, *approved)
        about = world.slip(world.random.choice(self.about), "lost", "S-0", "S-1")
        world.record(time, kind, session=world.slip("", self.id, "S-0"), approves=about)

    def live(self, kind: str, *times: int, **fields: Any) -> SupportRecord:
        """A record of the session itself."""
        world = self.world
        stated: dict[str, Any] = {
            "session": self.id, "actor_kind": self.kind, "registered": world.slip(True, False),
            "provider": world.slip("example", "", *PROVIDERS),
            "addresses": world.slip((self.network,), ()), "ticket": world.slip("", self.ticket, "T-2"),
        }  # fmt: skip
        return world.record(world.near(*times), kind, **stated | self.who() | fields)

    def break_glass(self) -> None:
        world = self.world
        made = self.live(
            "break_glass", self.start, self.start, self.start + HOUR,
            window=world.slip(None, Window(self.start, self.end), chance=0.4),
            scope=world.slip((), world.scope(), chance=0.5), payload_access=world.some(0.5),
        )  # fmt: skip
        self.about.append(made.id)
        at = made.time or self.start
        if world.some(0.5):
            time = world.near(at, at + HOUR, at + DAY, at + DAY)
            world.record(time, "review", approves=world.random.choice(self.about))
        actor = world.slip(self.principal, "", "User:helper", chance=0.6)
        world.do(world.near(at, at + HOUR), actor, HOSTS[self.network])

    def again(self) -> None:
        """Closed once more, opened once more, in any order, and used at any time."""
        world = self.world
        times = (self.start + 2 * HOUR, self.start + 3 * HOUR, self.end, self.end + HOUR)
        for kind in ("session_opened", "session_closed", "session_closed"):
            if world.some(0.6):
                self.live(kind, *times)
        if world.some(0.2):
            self.break_glass()
        for _ in range(2):
            world.do(world.near(*times), self.principal, HOSTS[self.network])

    def play(self) -> None:
        """All that is stated and done."""
        world, inner = self.world, (self.start, self.start + HOUR, self.end)
        if world.some(0.4):
            self.request()
        for _ in range(world.slip(1, 0, 2, chance=0.4)):
            self.approve()
        if world.some(0.5):
            self.live("session_opened", self.start, self.start, self.start + HOUR)
        for _ in range(world.slip(0, 1, 1, 2, chance=0.25)):
            self.break_glass()
        for _ in range(world.random.choice((0, 1, 2))):
            self.live("action", *inner, action=world.action())
        if world.some(0.4):
            self.live("session_closed", self.end, self.end, self.start + 2 * HOUR)
        if world.slip(False, True, chance=0.2):
            self.again()
        for kind in ("denial", "revocation"):
            if world.slip(False, True, chance=0.15):
                self.decide(kind)
        for _ in range(world.random.choice((0, 1, 2, 3))):
            actor = world.slip(self.principal, "", "", "", *PRINCIPALS, chance=0.3)
            address = world.slip(HOSTS[self.network], *ADDRESSES, chance=0.5)
            world.do(world.near(*inner), actor, address)


def maintain(world: World) -> None:
    """A maintenance window, and automation at work."""
    window = Window(T0, T0 + 2 * HOUR)
    made = world.record(
        world.near(world.slip(T0 - HOUR, T0 + HOUR)), "maintenance_window", window=window,
        scope=world.slip((), world.scope(), chance=0.6),
        provider=world.slip("", *PROVIDERS, chance=0.5),
        principal=world.slip("", "User:helper", *PRINCIPALS, chance=0.4),
        payload_access=world.some(0.3),
    )  # fmt: skip
    for _ in range(world.random.choice((1, 2))):
        time = world.near(window.start, window.end, world.slip(window.end, made.time or T0))
        world.do(time, world.slip("User:helper", "", ROLE), "198.51.100.7", automatic=0.9)


def picture(random: Random) -> Picture:
    """One estate's support access."""
    world = World(random)
    if world.some(0.4):
        maintain(world)
    for number in range(random.choice((1, 1, 1, 2, 2, 3))):
        Session(world, number).play()
    if world.slip(False, True, chance=0.3) or not (world.records or world.activity):
        world.do(world.near(T0 + HOUR), random.choice(("", *PRINCIPALS)), random.choice(ADDRESSES))
    return world.picture()
