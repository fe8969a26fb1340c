"""Rows of every schema: events, findings and dead letters as the engine makes them, from lines made
up for the purpose, and what the stream makes of those.

The lines hold what an attacker or an odd estate would put there. All addresses are reserved ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

import orjson

from pipeline.batch import Ingested, Record, Stream
from pipeline.config import Config
from pipeline.engine import Plan, ingest
from pipeline.registry import sources
from pipeline.stages.detect import detect, sighted
from pipeline.stages.enrich import Principal, describe
from pipeline.stages.redact import Redactor
from schemas.types import (
    AccountOf,
    ChangeVersion,
    Clock,
    DeadLetter,
    Event,
    Finding,
    HeldState,
    Observation,
    Row,
    columns,
)
from tests.detectors.test_estates import Estate, grant

PRINCIPALS = (
    "User:alice",
    "User:CN=broker-1, OU=Platform, O=Example = Ltd",
    "alice",
    "User:",
    ":",
    ":bob",
    "Group:ops",
    "User:ANONYMOUS",
    "User:Åse \u212a \u0130 \U0001f511",
    "User:a\0b",
    "User:" + "x" * 9000,
)
HOSTS = (
    "192.0.2.7",
    "2001:db8::7",
    "2001:db8:0:0:0:0:0:7%eth0",
    "",
    "192.0.2.0/24",
    "broker-1.example",
    "999.1.1.1",
)
RESOURCES = (
    ("Topic:LITERAL", "payments.orders"),
    ("Topic:LITERAL", ""),
    ("Topic:PREFIXED", "a\0b\tc"),
    ("Topic", "no.pattern"),
    ("Group:LITERAL", 'quotes " and \\ and é'),
    ("Cluster:LITERAL", "kafka-cluster"),
    ("Spaceship:LITERAL", "x"),
    ("TransactionalId:LITERAL", "x" * 9000),
)
OPERATIONS = ("READ", "WRITE", "CLUSTER_ACTION", "ALTER_CONFIGS", "TWO_PHASE_COMMIT", "TELEPORT")
LEAVES: Final = ("audit_event", "finding", "dead_letter")
"""Schemas whose rows leave as JSON, so that their columns say where it states them."""
STAMP = "2026-11-20 23:52:44,297"


def decision(
    *,
    principal: str = "User:alice",
    host: str = "192.0.2.7",
    resource: str = "Topic:LITERAL:payments",
    operation: str = "READ",
    denied: bool = False,
    stamp: str = STAMP,
) -> str:
    """A line of StandardAuthorizer in Kafka's default layout."""
    return (
        f"[{stamp}] INFO Principal = {principal} is {'Denied' if denied else 'Allowed'} "
        f"operation = {operation} from host = {host} on resource = {resource} for request = Fetch "
        f"with resourceRefCount = 1 based on rule {'DefaultDeny' if denied else 'SuperUser'} "
        "(kafka.authorizer.logger)"
    )


def login(
    *, host: str = "192.0.2.7", details: str = "", reason: str = "bad", stamp: str = STAMP
) -> str:
    """A failed login in Kafka's default layout."""
    return (
        f"[{stamp}] INFO [SocketServer listenerType=BROKER, nodeId=1] Failed authentication with "
        f"/{host} {details}({reason}) (org.apache.kafka.common.network.Selector)"
    )


def _decisions() -> list[str]:
    return [
        *(decision(principal=p) for p in PRINCIPALS),
        *(decision(host=h, denied=True) for h in HOSTS),
        *(decision(resource=f"{kind}:{name}", denied=True) for kind, name in RESOURCES),
        *(decision(operation=o) for o in OPERATIONS),
        # What clients write into names: the log's own wording, and line breaks.
        decision(resource=f"Group:LITERAL:x is Denied operation = READ {decision()[32:]}"),
        decision(resource="Topic:LITERAL:a\nb"),
        (
            f"[{STAMP}] INFO Principal = User:alice is Denied Operation = Read from host = "
            "192.0.2.7 on resource = Topic:payments (kafka.authorizer.logger)"
        ),
    ]


def _logins() -> list[str]:
    channel = "channelId=192.0.2.1:9092-192.0.2.7:50000-3"
    mechanism = "invalid credentials with SASL mechanism SCRAM-SHA-256"
    return [
        *(login(host=h) for h in HOSTS if h),
        login(details=f"({channel}) ", reason=mechanism),
        login(details=f"({channel}, userId=carol) ", reason=mechanism),
        login(details="(channelId=192.0.2.1:99999-192.0.2.7:99999-3) "),
        login(details="(channelId=nonsense) "),
        login(reason="\0 \u212a\u0130 " + "y" * 9000),
        login().replace("Failed authentication", "Failed re-authentication"),
        (
            f"[{STAMP}] DEBUG [SocketServer listenerType=BROKER, nodeId=1] Successfully "
            "authenticated with /192.0.2.7 (org.apache.kafka.common.network.Selector)"
        ),
    ]


def _bare() -> list[bytes]:
    """Older dialects, and no layout: nobody says when."""
    said = "Principal = User:alice is {} Operation = {} from host = {} on resource = {}:payments"
    return [
        said.format("Allowed", "AlterConfigs", "192.0.2.7", "Topic:LITERAL").encode()
        + b" for request = AlterConfigs with resourceRefCount = 1",
        said.format("Denied", "Read", "", "Topic").encode(),
    ]


def _unreadable() -> list[bytes]:
    return [
        b"\xff\xfe Principal = User:alice is Allowed",
        decision(stamp="2026-13-45 23:52:44,297").encode(),
        b"[2026-11-20 23:52:44,297] INFO Principal = password=hunter2 (kafka.authorizer.logger)",
        b"no logger's line at all",
        b"x" * 200_000,
    ]


def _enveloped() -> list[bytes]:
    """As a shipper writes them: with its own time, host and position, and any code point."""
    texts = [decision(), decision(resource="Topic:LITERAL:a\nb"), login()]
    said = [
        {
            "@timestamp": "2026-11-20T23:52:45.001Z",
            "message": text,
            "host": {"name": "broker-1"},
            "log": {"file": {"path": "/var/log/kafka/server.log"}, "offset": 1000 * number},
        }
        for number, text in enumerate(texts)
    ]
    surrogate = orjson.dumps(said[0]).replace(b"payments", b"\\ud800")
    return [*(orjson.dumps(one) for one in said), surrogate]


def engine(lines: Iterable[bytes], **stream: str) -> Ingested:
    """What the engine makes of one file of these lines, one record each."""
    records, position = [], 0
    for line in lines:
        records.append(Record(line, position))
        position += len(line) + 1
    people = (
        Principal("User:alice", "human", owner="payments"),
        Principal("User:carol", "provider_human", provider="example"),
    )
    plan = Plan(dict(sources()), describe(people), Redactor(b"key", "k1"), max_record_bytes=100_000)
    where = Stream(**{"carrier": "/var/log/kafka/server.log", "origin": b"origin", **stream})  # type: ignore[arg-type]
    return ingest(plan, where, records, {}, final=True)


@cache
def ingested() -> tuple[Ingested, ...]:
    """What the engine makes of the lines above."""
    plain = [line.encode() for line in (*_decisions(), *_logins())]
    return (
        engine(plain, cluster="prod", host="broker-1", zone="Europe/Berlin"),
        engine(_enveloped()),
        engine(_bare()),
        engine(_unreadable()),
        engine(_unreadable(), source="kafka_authorizer"),
    )


def events() -> list[Event]:
    """Events of every shape and with every hostile value."""
    made = [event for batch in ingested() for event in batch.events]
    assert len(made) > 50
    return made


def dead_letters() -> list[DeadLetter]:
    """Dead letters."""
    made = [letter for batch in ingested() for letter in batch.dead_letters]
    assert len(made) > 4
    return made


def _spike(kind: str, seconds: Sequence[int]) -> list[Event]:
    lines = [
        (login if kind == "login" else decision)(
            stamp=f"2026-11-20 23:{second // 60:02d}:{second % 60:02d},000",
            **({} if kind == "login" else {"denied": True, "operation": "ALTER"}),  # type: ignore[arg-type]
        ).encode()
        for second in seconds
    ]
    return engine(lines).events


@cache
def findings() -> tuple[Finding, ...]:
    """Every version of the findings that detectors raise, amend and retire over such events."""
    active = Config().active()
    states: dict[Any, dict[str, Any]] = {}
    batches = [
        _spike("login", range(600, 630)),
        # Earlier than all before it: what was raised gives way.
        _spike("login", [590]),
        _spike("denial", [700]),
        _spike("denial", range(710, 760)),
        events(),
    ]
    made: list[Finding] = []
    for batch in batches:
        made += detect(active, batch, lambda key: states.setdefault(key, {})).findings
    estate, legs = Estate("acl_change"), sorted(grant(), key=lambda leg: leg.time, reverse=True)
    for size in range(len(legs) + 1):
        made += estate.judge(legs[:size])
    return (*made, *estate.judge([]))


def changes() -> tuple[ChangeVersion, ...]:
    """A change, amended and withdrawn, and one that nobody knows much of."""
    ids = tuple(bytes([n]) * 16 for n in range(4))
    bare = ChangeVersion(
        id=ids[0], version=1, status="open", cluster="prod", time=1, actor="", address="",
        kind="acl", action="create", target="Topic:Å\0\n", item="", before=b"null",
        after=b'{"host":"*"}', outcome="success", confidence="low", timely=False,
        missing=("api", "controller"), legs=ids[:1], leg_kinds=("metadata",), supersedes=(),
    )  # fmt: skip
    full = replace(
        bare, version=2, actor="User:alice", address="192.0.2.7", item="x" * 9000, timely=True,
        missing=(), legs=ids, leg_kinds=("api",) * 4, supersedes=ids[1:3],
    )  # fmt: skip
    return bare, full, replace(full, version=3, status="withdrawn", time=-1)


def accounts() -> tuple[AccountOf, ...]:
    """An account of nothing, and one of everything."""
    sums = {"kafka_authorizer:continuation": 3, "kraft:replay": 1 << 40}
    return (
        AccountOf("audit.raw.auto", 0, 0, 0, 0, 0, 0, 0, 0, {}, {}),
        AccountOf("audit.raw.auto", 7, 1, 1 << 62, 9, 8, 7, 6, 5, sums, {"torn": 1}),
    )


def observations() -> tuple[Observation, ...]:
    """Events as the counters see them."""
    batch = [*_spike("login", range(600, 610)), *events()]
    return tuple(sighted(Config().active(), batch))


def clocks() -> tuple[Clock, ...]:
    """Clocks, before and after the epoch."""
    return Clock("audit.raw.auto", 0, "prod", 1_795_218_764_297), Clock("", 9_999, "", -1)


def states() -> tuple[HeldState, ...]:
    """What a worker keeps of a partition, and of a stream."""
    return (
        HeldState("audit.raw.auto", 0, b"", b"{}"),
        HeldState("audit.raw.auto", 0, b"\0stream\xff", orjson.dumps({"held": "x" * 100_000})),
    )


_MADE: Final[Mapping[str, Callable[[], Sequence[Row]]]] = {
    "audit_event": events,
    "finding": findings,
    "dead_letter": dead_letters,
    "change": changes,
    "account": accounts,
    "observation": observations,
    "clock": clocks,
    "state": states,
}


def rows(name: str) -> Sequence[Row]:
    """Rows of the schema of that name."""
    made = _MADE[name]()
    assert made
    return made


def as_read(row: Row) -> dict[str, Any]:
    """The row as Avro gives it back: arrays are lists."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in columns(row).items()}
